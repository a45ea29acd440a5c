"""What the images and the score network of a run took, by the rates that its logs have."""

from ...manifests.files.rows import rows_where
from ...manifests.run_folder import RunFolder
from ...stages.common.json_lines import read_json_lines
from ..finished_run import FinishedRun


def sampling_seconds(run: FinishedRun) -> float | None:
    """Seconds for 10,000 made images at the last logged rate of generation; None where none is.

    The rate is of all images of the shards, and the real ones among them are only encoded.
    """
    lines = read_json_lines(RunFolder(run.folder).progress_log, ("task", "rate"))
    rates = [line["rate"] for line in lines if line["task"] == "generate" and line["rate"] > 0]
    rows = run.planned.rows
    made = rows_where(rows, kind="augmented").num_rows
    return 10_000 / rates[-1] * rows.num_rows / made if rates and made else None


def network_seconds(run: FinishedRun) -> float | None:
    """How long the training of the score network took at its last logged rate."""
    lines = [*read_json_lines(RunFolder(run.folder).training_log, ("images", "rate"))]
    if not lines or lines[-1]["rate"] <= 0:
        return None
    return float(lines[-1]["images"] / lines[-1]["rate"])
