"""The command `verify`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...manifests.errors import ConfigError, VerifyError
from ...manifests.run_folder import RunFolder
from ...manifests.storage.location import Place
from ...manifests.storage.store import LocalStore, Store, store_of
from ...manifests.tombstones import read_tombstones
from ..echo import echo
from ..ledger import Ledger, find_run, find_shards, require_run
from .options import JSON, LOCAL, PLACE, print_json

if TYPE_CHECKING:
    from ...manifests.published.verify import Problem

_SHOWN = 3  # links that a note names


@click.command()
@click.argument("shards", type=PLACE)
@click.option("--deep", is_flag=True, help="Also decode every image and compare its pixels.")
@click.option(
    "--subset",
    metavar="N/T",
    help="Read the N-th of T parts of the shards, and every small file: 1/7 on Monday, 2/7 on"
    " Tuesday, ...; all T together read everything.",
)
@click.option(
    "--run",
    "folder",
    type=LOCAL,
    help="The run that made SHARDS: SHA256SUMS is compared with the digest in its ledger, too."
    " Default: the run that SHARDS lies in or beside, if there is one.",
)
@JSON
def verify(
    shards: Place, deep: bool, subset: str | None, folder: Path | None, as_json: bool
) -> None:
    """Check every byte of SHARDS against SHA256SUMS, index, markers and manifest.

    Exit code 3 where a file is changed, missing, extra or foreign; each is named. `repair` mends
    what is damaged. Without the run, digests that were all written again are not seen.
    """
    from ...manifests.published.partition import Partition
    from ...manifests.published.run_record import compare_with_run, foreign_owner
    from ...manifests.published.verify import verify as check

    part = Partition.parse(subset) if subset else None
    run = require_run(folder) if folder else find_run(shards)
    shards = find_shards(shards)
    store = store_of(shards)
    if run is None:
        _refuse_other_folder(store)
    problems = check(shards if isinstance(shards, Path) else store, deep=deep, part=part)
    ledger = None if run is None else Ledger(run)
    recorded = None if ledger is None else ledger.outcome("write").get("sums_sha256")
    if folder is not None and recorded is None:
        raise _not_recorded(folder, shards)
    rewritten = compare_with_run(store, recorded)
    foreign = None
    if ledger and (rewritten or (recorded is None and isinstance(shards, Path))):
        foreign = foreign_owner(store, ledger.run_id)
    rewritten = [foreign] if foreign else rewritten
    if as_json:
        found = [{"file": one.file, "what": one.what} for one in (*problems, *rewritten)]
        print_json({"shards": str(shards), "whole": not found, "problems": found})
    else:
        _print_links(store)
        for problem in (*problems, *rewritten):
            echo(str(problem))
    if foreign:
        raise _of_another_run(shards, run)
    if rewritten and not problems and run is not None and (again := _command_left(run)):
        raise VerifyError(
            f"{run} was stopped before it recorded what it published in {shards}, or is still at"
            f" it; what lies there agrees with itself. Run `{again}`, which ends it and makes"
            " nothing again."
        )
    if rewritten and not problems:
        raise VerifyError(
            f"{shards} is not what {run} published. Where nobody else works on it, do not use it:"
            f" empty the folder and run `scoremix-pipeline run {run}/stages.yaml`, which makes the"
            " same bytes again."
        )
    if problems:
        raise _not_whole(shards, problems, run, only=not rewritten)
    if as_json:
        return
    read = f"every file of part {subset}" if subset else "every file"
    pixels = ", and every image decodes to its pixels" if deep else ""
    beside = f", and with the ledger of {run}" if recorded is not None else ""
    echo(
        f"{shards} is whole: {read} agrees with SHA256SUMS, index, markers and manifest"
        f"{pixels}{beside}."
    )


def _refuse_other_folder(store: Store) -> None:
    """Raises ConfigError for a place where other files lie, and none of a corpus.

    An empty place, or one whose owner alone is left, has lost what was published there.
    """
    from ...manifests.published.names import is_own
    from ...manifests.published.owner import OWNER

    names = store.names()
    corpus = [name for name in names if is_own(name) and name != "README.md"]
    if names and not corpus and OWNER not in names:
        raise ConfigError(
            f"{store} is no published corpus: no file of one lies there. Name the shards folder of"
            " a run, or the run folder."
        )


def _not_whole(
    shards: Place, problems: "list[Problem]", run: Path | None, *, only: bool
) -> VerifyError:
    """only: nothing else is wrong."""
    if only and all(problem.is_unlisted for problem in problems):
        return VerifyError(
            f"{shards} holds what is not of the corpus: {len(problems)} files or folders, listed"
            " above. The corpus itself is whole, but readers take whatever lies there: move them"
            " elsewhere, since `repair` leaves them."
        )
    mending = f"scoremix-pipeline repair {shards}{'' if run else ' --run RUN'}"
    return VerifyError(
        f"{shards} is not what its manifests promise: {len(problems)} problem(s), listed above."
        f" `{mending}` makes again what is damaged, from the run that made it, and nothing else."
    )


def _of_another_run(shards: Place, run: Path | None) -> VerifyError:
    return VerifyError(
        f"{shards} belongs to another run than {run}, which did not make what lies there. Move it"
        " back to the run that made it, and name that run with --run to verify it."
    )


def _not_recorded(folder: Path, shards: Place) -> ConfigError:
    return ConfigError(
        f"{folder} has not recorded what it published, so that {shards} cannot be compared with it."
        " Leave --run out, or name the run that made it."
    )


def _command_left(run: Path) -> str:
    """The command that a stopped run or `forget` needs to end; empty where none was stopped."""
    tombstones = read_tombstones(run)
    if tombstones.pending:
        return f"scoremix-pipeline forget {run}"
    ledger = Ledger(run)
    planned = ledger.outcome("plan").get("digest")
    written = ledger.stages.get("write", {}).get("inputs", {}).get("plan")
    # After `forget`, the plan that is written lacks rows of the one that was drawn.
    stopped = not tombstones.entries and written != planned
    return f"scoremix-pipeline run {RunFolder(run).config}" if stopped else ""


def _print_links(store: object) -> None:
    """Names links in the place of files: what they lead to may change after it was verified."""
    links = store.links() if isinstance(store, LocalStore) else {}
    if links:
        some = ", ".join(f"{name} -> {links[name]}" for name in list(links)[:_SHOWN])
        more = ", ..." if len(links) > _SHOWN else ""
        echo(
            f"note: {len(links)} of the files are symbolic links ({some}{more}); what they lead to"
            " was read, and is not part of this folder."
        )
