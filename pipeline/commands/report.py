"""The commands `report` and `compare`."""

from pathlib import Path

import click

from ...manifests.errors import ConfigError
from ...manifests.storage.store import Store, store_of
from ..ledger import Ledger


@click.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
def report(folder: Path) -> None:
    """Make RUN/report/index.html again: one page, without any network, that opens and prints."""
    click.echo(write(folder))


def write(folder: Path) -> Path:
    """Writes the page of a run; gives its path."""
    from ...stages.corpus.store import open_corpus
    from ...stages.report.page import write_page
    from ...stages.report.run_facts import read_facts

    _check(folder)
    out = folder / "report" / "index.html"
    corpus = open_corpus(folder / "corpus")
    write_page(read_facts(folder, _shards(folder)), corpus.images, out)
    return out


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
    """Put runs side by side on one page: what differs in them, and what came of it."""
    from ...stages.report.page import write_comparison
    from ...stages.report.run_facts import read_facts

    if len(folders) < 2:
        raise ConfigError("compare takes two run folders or more.")
    for folder in folders:
        _check(folder)
    if out.is_dir():
        out = out / "comparison.html"
    write_comparison([read_facts(path, _shards(path)) for path in folders], out)
    click.echo(out)


def _shards(run: Path) -> Store:
    return store_of(Ledger(run).place())


def _check(folder: Path) -> None:
    if not (folder / "stages.lock.json").exists():
        raise ConfigError(
            f"{folder} is not a run folder: it has no stages.lock.json. Name the folder that `run:`"
            " in your stages.yaml points to."
        )
