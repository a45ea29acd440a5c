"""Whether the trial of a run is of what the run makes now."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from ..manifests.files.json_reader import parse_json
from ..manifests.plan.made import is_same, made_identity
from ..manifests.run_folder import RunFolder
from ..stages.corpus.store import open_corpus
from .ledger import Ledger
from .planned import read_plan, without_keys

EARLIER = (
    "it is of an earlier corpus of this run, or of other options of generate: run the trial again;"
    " GANs of arms that did not change are kept"
)


def is_of_earlier(record: dict[str, Any], recipe: dict[str, Any], rows: pa.Table) -> bool:
    """Whether a trial.json is of other images than this recipe and these rows of the plan make."""
    return not is_same(record.get("of"), made_identity(recipe, rows))


def is_earlier_trial(run: Path, record: dict[str, Any]) -> bool:
    """Whether a trial.json is of other images than those that the ledger of `run` names.

    So it is where the corpus was read anew, and nothing is planned of it yet.
    """
    files, ledger = RunFolder(run), Ledger(run)
    entry, ingested = ledger.stages.get("plan"), ledger.outcome("ingest").get("digest")
    if entry is None or entry["inputs"]["recipe"]["corpus_digest"] != ingested:
        return True
    rows = read_plan(files, entry["outcome"]["digest"])
    if rows is None:  # gone or damaged: the run says so
        return False
    rows = without_keys(rows, open_corpus(files.corpus).forgotten)
    return is_of_earlier(record, entry["inputs"]["recipe"], rows)


def read_trial(run: Path) -> dict[str, Any] | None:
    """The record of the trial of `run`; None without a whole one."""
    try:
        record: dict[str, Any] = parse_json((RunFolder(run).trial / "trial.json").read_bytes())
    except (OSError, ValueError):
        return None
    return record if "arms" in record else None
