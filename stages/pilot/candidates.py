"""The ways of mixing that a pilot compares, and which of them fit the time allowed."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..common.units import format_duration
from ..evaluate.variant_catalogue import Changes

MIXUP, KEPT, BRIDGE, SCOREMIX = "mixup", "mixup, contrast kept", "bridge", "scoremix"
FRESH = "bridge, fresh noise"
COPIES = "copies of the nearer parent"  # a reference: no candidate

# By what they promise for their time: where it is short, the last are left out.
CANDIDATES: Mapping[str, Changes] = {
    MIXUP: {"method": "mixup", "contrast": "plain"},
    KEPT: {"method": "mixup", "contrast": "kept"},
    BRIDGE: {"method": "bridge"},
    FRESH: {"method": "bridge", "gamma": 0.4},
    SCOREMIX: {"method": "scoremix"},
}


@dataclass(frozen=True)
class TimeAllowed:
    """The candidates that are made, and why the others are not."""

    chosen: tuple[str, ...]
    left_out: Mapping[str, str]  # name -> reason


def choose_in_time(seconds: Mapping[str, float], minutes: float) -> TimeAllowed:
    """Goes through the candidates in order and takes each that still fits; mixup always does.

    seconds: name -> estimated time of all its rows.
    """
    left, chosen, left_out = 60 * minutes, list[str](), dict[str, str]()
    for name, estimate in seconds.items():
        if name == MIXUP or estimate <= left:
            chosen.append(name)
            left -= estimate
        else:
            left_out[name] = (
                f"would take about {format_duration(estimate)}, and of pilot.minutes:"
                f" {minutes:g} only {format_duration(max(left, 0))} were left"
            )
    return TimeAllowed(tuple(chosen), left_out)
