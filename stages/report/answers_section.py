"""The head of the page: a trial's answer where one was run, then the first questions."""

from typing import Any

from ..evaluate.tables import Table
from .run_facts import RunFacts


def answers_section(facts: RunFacts, trial: dict[str, Any] | None) -> dict[str, Any]:
    """What stands above all. Runs that were evaluated before there were answers have no table.

    trial: the section on the trial; one of an earlier corpus answers nothing.
    """
    found = facts.metrics.get("answers")
    answer = None if trial is None or trial["is_earlier"] else trial["text"]
    head: dict[str, Any] = {"trial": answer, "sentence": None}
    if not found:
        return head | {"table": None, "note": "", "colour": None}
    return head | {
        "colour": _colour(found["ratio"], found["sentence"]),
        "sentence": found["sentence"],
        "table": Table(found["heads"], found["rows"]),
        "note": found["note"],
    }


def _colour(ratio: int | None, sentence: str) -> str:
    """A colour of style.html."""
    if ratio is None:
        return "faint"
    return "good" if ratio else "bad" if sentence.startswith("Do not use") else "unsure"
