"""Compares a corpus with what its run recorded when it was published."""

from pathlib import Path

from ..storage.store import Store, store_of
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
