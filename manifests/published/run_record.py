"""Compares a corpus with what its run recorded when it was published."""

from pathlib import Path

from ..errors import ConfigError
from ..storage.store import Store, store_of
from .owner import OWNER, read_owner
from .sums import SUMS
from .verify import Problem


def compare_with_run(shards: Path | Store, recorded: str | None) -> list[Problem]:
    """A problem where SHA256SUMS is not the file that the run published.

    Digests that lie in the corpus agree with each other after whoever changed an image has written
    all of them again; the one in the run's ledger does not.

    recorded: sha256 in the ledger; None in ledgers of earlier versions.
    """
    store = store_of(shards)
    if recorded is None or store.size(SUMS) is None or store.sha256(SUMS) == recorded:
        return []
    return [
        Problem(
            SUMS,
            "is not the file that the run published, though it may agree with the files beside it:"
            " the corpus was changed and its digests written again, or another folder of this run"
            " has published since",
        )
    ]


def foreign_owner(shards: Path | Store, run_id: str | None) -> Problem | None:
    """A problem where the corpus records that another run made it; None where the record is gone,
    damaged (`verify` says so) or the run's.

    run_id: in the ledger; None in ledgers of earlier versions.
    """
    try:
        owner = read_owner(store_of(shards))
    except ConfigError:
        return None
    if owner is None or run_id is None or owner.run_id == run_id:
        return None
    return Problem(OWNER, f"names another run as the owner of what lies here: {owner.run_id[:12]}")
