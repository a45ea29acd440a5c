"""The commands `report` and `compare`: HTML pages of one run, or of several side by side."""

from pathlib import Path

import click

from ...manifests.errors import ConfigError
from ...manifests.storage.store import Store, store_of
from ..echo import echo
from ..ledger import Ledger, require_run
from .options import JSON, LOCAL, print_json


@click.command()
@click.argument("folder", metavar="RUN", type=LOCAL)
def report(folder: Path) -> None:
    """Make RUN/report/index.html again: self-contained HTML, works offline."""
    folder = require_run(folder)
    from ...stages.report.page import write_report

    echo(write_report(folder, _shards(folder)))


@click.command()
@click.argument("folders", metavar="RUN...", nargs=-1, type=LOCAL)
@click.option(
    "--out",
    type=LOCAL,
    default=Path("comparison.html"),
    show_default=True,
    help="The page to write; one that compare wrote before is replaced.",
)
@JSON
def compare(folders: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Put runs side by side on one page: what differs in them, and their results."""
    if len(folders) < 2:
        raise ConfigError("compare takes two run folders or more.")
    runs_named = [require_run(folder) for folder in folders]
    from ...stages.report.compare_page import is_comparison, write_comparison
    from ...stages.report.run_facts import read_facts
    from ..own_places import refuse_existing, refuse_output_among

    if out.is_dir():
        out = out / "comparison.html"
    refuse_output_among(out, runs_named, [Ledger(run).place() for run in runs_named])
    refuse_existing(out, is_comparison)
    facts = [read_facts(path, _shards(path)) for path in runs_named]
    write_comparison(facts, out)
    if as_json:
        runs = [{"run": str(one.run), "metrics": one.metrics} for one in facts]
        print_json({"page": str(out), "runs": runs})
    else:
        echo(out)


def _shards(run: Path) -> Store:
    return store_of(Ledger(run).place())
