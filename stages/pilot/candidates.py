"""The ways of mixing that a pilot compares, and which of them fit the time allowed."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..common.units import format_duration
from ..evaluate.variant_catalogue import Changes

MIXUP, KEPT, BRIDGE, SCOREMIX = "mixup", "mixup, contrast kept", "bridge", "scoremix"
FRESH = "bridge, fresh noise"
COPIES = "copies of the nearer parent"  # a reference: no candidate
WITHOUT_NETWORK = frozenset({MIXUP, KEPT})
FEWEST = 100  # mixtures that a comparison is made of where time is short

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
        if name == FRESH and BRIDGE in left_out:  # whose encodings it would have to make itself
            estimate = max(estimate, seconds[BRIDGE])
        if name == MIXUP or estimate <= left:
            chosen.append(name)
            left -= estimate
        else:
            left_out[name] = (
                f"would take about {format_duration(estimate)}, and of pilot.minutes:"
                f" {minutes:g} only {format_duration(max(left, 0))} were left"
            )
    return TimeAllowed(tuple(chosen), left_out)


def rows_in_time(seconds: Mapping[str, float], rows: int, minutes: float) -> int:
    """How many of `rows` mixtures each candidate makes: fewer where nothing by the network fits.

    So few that `bridge` does: a pilot that compares mixup alone says nothing of the network. Not
    fewer than FEWEST: then choose_in_time leaves the network's candidates out.

    seconds: name -> estimated time of one mixture, in the order of CANDIDATES.
    """
    costs = {name: rows * each for name, each in seconds.items()}
    if BRIDGE not in costs or not WITHOUT_NETWORK.issuperset(choose_in_time(costs, minutes).chosen):
        return rows
    fitting = int(60 * minutes / (seconds.get(KEPT, 0.0) + seconds[BRIDGE]))
    return fitting if fitting >= FEWEST else rows
