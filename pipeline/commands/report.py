"""The commands `report` and `compare`: HTML pages of one run, or of several side by side."""

from pathlib import Path

import click

from ...manifests.errors import ConfigError
from ...manifests.run_folder import RunFolder
from ...manifests.storage.store import Store, store_of
from ..ledger import Ledger


@click.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
def report(folder: Path) -> None:
    """Make RUN/report/index.html again: self-contained HTML, works offline."""
    from ...stages.report.page import write_report

    _check_run_folder(folder)
    click.echo(write_report(folder, _shards(folder)))


@click.command()
@click.argument("folders", metavar="RUN...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("comparison.html"),
    show_default=True,
    help="The page to write.",
)
def compare(folders: tuple[Path, ...], out: Path) -> None:
    """Put runs side by side on one page: what differs in them, and their results."""
    from ...stages.report.page import write_comparison
    from ...stages.report.run_facts import read_facts

    if len(folders) < 2:
        raise ConfigError("compare takes two run folders or more.")
    for folder in folders:
        _check_run_folder(folder)
    if out.is_dir():
        out = out / "comparison.html"
    write_comparison([read_facts(path, _shards(path)) for path in folders], out)
    click.echo(out)


def _shards(run: Path) -> Store:
    return store_of(Ledger(run).place())


def _check_run_folder(folder: Path) -> None:
    """Raises ConfigError where the ledger of a run is missing."""
    if not RunFolder(folder).ledger.exists():
        raise ConfigError(
            f"{folder} is not a run folder: it has no stages.lock.json. Name the folder that `run:`"
            " in your stages.yaml points to."
        )
