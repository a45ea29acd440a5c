"""pilot.json and table.txt: what was compared, by which rule, what was chosen and why."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..evaluate.number_format import format_kernel, format_number
from ..evaluate.sentences import Change
from ..evaluate.tables import Table, change_cell
from .rule import CONTRAST, DETAIL, EVEN, GAIN, GRAIN, MIN_HELD_OUT, NEAREST, Decision
from .scores import RealScores, Scores

_HEADS = (
    "way of mixing",
    "kernel distance × 1000",
    "less mixup's (95 % interval)",
    "less copies'",
    "precision",
    "recall",
    "coverage",
    "nearest training image",
    "of mixup's or held-out's",
    "contrast",
    "detail",
)


@dataclass(frozen=True)
class PilotRecord:
    """Everything that a pilot found."""

    decision: Decision
    scores: Sequence[Scores]  # empty where nothing was compared
    real: RealScores | None
    rows: int  # mixtures of each candidate
    held_out: int
    left_out: Mapping[str, str]  # candidates that were not made: name -> reason
    options: Mapping[str, Any]  # of `generate`, as decided
    features: Mapping[str, Any]  # the extractor; empty where nothing was compared
    seed: int
    # Which damage the features see; None where nothing was compared.
    sensitivity: Mapping[str, Any] | None

    def as_json(self) -> dict[str, Any]:
        """The content of pilot.json. Kernel distances are raw."""
        rule = {
            "nearest": NEAREST,
            "contrast": CONTRAST,
            "detail": DETAIL,
            "grain": GRAIN,
            "even": EVEN,
            "gain": GAIN,
            "held_out": MIN_HELD_OUT,
        }
        return {
            "decision": asdict(self.decision),
            "options": dict(self.options),
            "table": [_row_as_json(row) for row in self.scores],
            "real": None if self.real is None else asdict(self.real),
            "rows": self.rows,
            "held_out": self.held_out,
            "left_out": dict(self.left_out),
            "rule": rule,
            "features": dict(self.features),
            "sensitivity": self.sensitivity,
            "seed": self.seed,
        }

    def as_text(self) -> str:
        """The content of table.txt: the decision, the table, what was left out and why."""
        lines = [self.decision.reason]
        if self.decision.ratio is not None:
            advised = "0" if self.decision.ratio == 0 else "as set"
            lines.append(f"Ratio advised: {advised}. {self.decision.ratio_reason}")
        else:
            lines.append(self.decision.ratio_reason)
        if self.scores:
            lines += ["", pilot_table(self.as_json()).as_text(), "", self._legend()]
        for title, reasons in (
            ("Cannot win", self.decision.disqualified),
            ("Not made", self.left_out),
        ):
            lines += [f"{title}: {name}: {reason}." for name, reason in reasons.items()]
        return "\n".join(lines) + "\n"

    def _legend(self) -> str:
        assert self.real is not None
        return (
            f"{self.rows} mixtures each, lambda uniform in [.1, .9]; {self.held_out} held-out"
            f" images, at {format_number(self.real.nearest)} from their nearest training image"
            " (median). Contrast and detail: shares of held-out images'."
        )


def pilot_table(record: Mapping[str, Any]) -> Table:
    """The table of a pilot.json, nearest to the held-out images first."""
    rows = sorted(record["table"], key=lambda row: row["kd"])
    return Table(_HEADS, [_cells(row) for row in rows])


def _cells(row: Mapping[str, Any]) -> list[str]:
    return [
        row["name"],
        format_kernel(row["kd"]),
        *(change_cell(_change(row[key])) for key in ("against_mixup", "against_copies")),
        *(f"{row[key]:.2f}" for key in ("precision", "recall", "coverage")),
        format_number(row["nearest"]),
        "{:.2f} ({:.2f} to {:.2f})".format(row["newness"], *row["newness_interval"]),
        *(f"{row[key]:.2f}" for key in ("contrast", "detail")),
    ]


def _change(pair: Mapping[str, Any] | None) -> Change | None:
    return None if pair is None else Change(pair["difference"], pair["interval_95"])


def _row_as_json(row: Scores) -> dict[str, Any]:
    values = asdict(row)
    for key in ("against_mixup", "against_copies"):
        pair: Change | None = getattr(row, key)
        values[key] = pair and {"difference": pair.difference, "interval_95": pair.interval}
    return values
