"""Writes the page that compares several runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...manifests.files.atomic import write_bytes
from ...manifests.run_folder import RunFolder
from ..common.units import format_duration
from ..evaluate.number_format import format_kernel
from ..evaluate.sentences import Change
from ..evaluate.tables import change_cell, frechet_cell
from . import pictures
from .page import head_of, names_of, render, steps_of
from .run_facts import RunFacts


@dataclass(frozen=True)
class _Cell:
    """A cell of the table; its value where the lowest of the row is the best."""

    text: str
    value: float | None = None


_TITLE = b"<title>Runs side by side: "  # as in compare.html


def is_comparison(page: bytes) -> bool:
    """Whether a file is a page that `write_comparison` wrote."""
    return _TITLE in page[:1024]


def write_comparison(runs: Sequence[RunFacts], out: Path) -> None:
    """Writes a page with a column for each run.

    Raises:
        ConfigError: jinja2 is missing.
        StorageError: the file cannot be written.
    """
    comparable = (
        len({facts.digests["corpus"] for facts in runs}) == 1
        and len({facts.metrics["features"]["name"] for facts in runs}) == 1
    )
    columns = [dict(_column(facts)) for facts in runs]
    rows = [
        (name, _marked([column[name] for column in columns], comparable=comparable))
        for name in columns[0]
    ]
    options = [_options(facts.config) for facts in runs]
    changed = {
        key: [str(values.get(key, "")) for values in options]
        for key in sorted(set().union(*options))
        if len({str(values.get(key)) for values in options}) > 1
    }
    sheets = [_sheet(facts) for facts in runs]
    values = {
        "runs": [facts.run.name for facts in runs],
        "rows": rows,
        "changed": changed,
        "verdicts": [facts.metrics["verdict"]["text"] for facts in runs],
        "advice": [facts.metrics.get("answers", {}).get("sentence") for facts in runs],
        "sheets": [pictures.file_uri(path) if path.exists() else None for path in sheets],
        "comparable": comparable,
    }
    write_bytes(out, render("compare.html", values))


def _column(facts: RunFacts) -> Iterator[tuple[str, _Cell]]:
    """The cells of a run, the same names for every run."""
    metrics, head = facts.metrics, head_of(facts)
    mixed, (kd, fd) = metrics["lambda_from_0.1"], names_of(metrics)
    answers = metrics.get("answers", {})
    ratio = answers.get("ratio")
    yield "method", _Cell(metrics["method"])
    yield "verdict", _Cell("It is mixup" if metrics["method"] == "mixup" else head["headline"])
    yield "recommended ratio", _Cell("–" if ratio is None else str(ratio))
    alone = min((_alone(one) for one in metrics.get("by_ratio") or () if one["ratio"]),
                key=lambda change: 0.0 if change is None else change.interval[1],
                default=None)  # fmt: skip
    yield (
        "kernel distance × 1000 of the corpus less that of real images alone, surest ratio",
        _Cell(change_cell(alone) or "–", None if alone is None else alone.difference),
    )
    shown = {step: mixed[step] for step in steps_of(metrics)}
    for step in ("final", "mixup", "minimised"):
        value = shown.get(step, {}).get(kd)
        text = "–" if value is None else format_kernel(value)
        yield f"kernel distance × 1000, {step}", _Cell(text, value if step == "final" else None)
    for step in ("final", "mixup", "minimised"):
        found = shown.get(step, {})
        text = frechet_cell(found.get(fd), biased=bool(found.get("fd_biased"))) or "–"
        best = step == "final" and not found.get("fd_biased")
        yield f"Fréchet distance, {step}", _Cell(text, found.get(fd) if best else None)
    real = (metrics["real_floor"] or {}).get(kd)
    yield "kernel distance × 1000, real", _Cell("–" if real is None else format_kernel(real))
    yield "features", _Cell(metrics["features"]["name"])
    for name, number in head["numbers"]:
        yield name, _Cell(number)
    for stage in ("train", "write"):
        seconds = facts.cost.seconds.get(stage)
        yield f"time of {stage}", _Cell(format_duration(seconds) if seconds else "")
    last = facts.training[-1] if facts.training else {}
    yield "updates", _Cell(f"{last['step']:,}" if last else "")


def _alone(entry: dict[str, Any]) -> Change | None:
    """The change of a ratio against the real images alone; None in runs of earlier versions."""
    found = entry.get("less_real_images", {}).get("final")
    if found is None:
        return None
    low, high = found["interval_95_other_training_images"]
    return Change(found["difference"], (low, high))


def _marked(cells: Sequence[_Cell], *, comparable: bool) -> list[tuple[str, bool]]:
    """Each text, and whether it is the best of its row; none where runs are not comparable."""
    values = [cell.value for cell in cells if cell.value is not None]
    best = min(values) if comparable and len(values) > 1 else None
    if best is not None and values.count(best) == len(values):
        best = None  # all alike
    return [(cell.text, best is not None and cell.value == best) for cell in cells]


def _sheet(facts: RunFacts) -> Path:
    """The strips of lambda; the contact sheet of runs that have none."""
    files = RunFolder(facts.run)
    return files.lambda_strips if files.lambda_strips.exists() else files.contact_sheet


def _options(config: str) -> dict[str, Any]:
    """ "train.steps" -> 600 for every leaf of a stages.yaml."""
    import yaml

    options: dict[str, Any] = {}
    for section, values in (yaml.safe_load(config) or {}).items():
        if isinstance(values, dict):
            options |= {f"{section}.{key}": value for key, value in values.items()}
        else:
            options[section] = values
    return options
