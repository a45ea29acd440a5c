"""What to know of the samples that a trial's arms were judged by."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from .outcome import ArmOutcome, judged_alike

_SHOWN = 5  # notes on what GANs left, that are printed


def notes_of(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Sentences on what a command's GANs left, each once, with the arms that it holds for.

    results: arm -> the result of each seed.
    """
    arms: dict[str, dict[str, None]] = {}
    for arm, found in results.items():
        for note in itertools.chain.from_iterable(one.get("notes", ()) for one in found):
            arms.setdefault(note, {})[arm] = None
    sentences = [f"Note on {', '.join(named)}: {note}." for note, named in arms.items()]
    more = len(sentences) - _SHOWN
    rest = [f"{more:,} more notes are in trial.json."] if more > 0 else []
    return [*sentences[:_SHOWN], *rest]


def unequal_samples(arms: Sequence[ArmOutcome]) -> str | None:
    """The sentence on arms that were judged by different numbers of samples; None where alike."""
    if judged_alike(arms):
        return None
    counts = ", ".join(f"{arm.name} {arm.judged_by}" for arm in arms)
    return (
        f"Note: not all arms were judged by as many samples: {counts}. The kernel distance does"
        " not depend on their number, but is surer of more; recall rises and coverage falls with"
        " fewer, so that these do not compare. Have the command leave as many of each arm, or"
        " lower trial.samples to the least."
    )
