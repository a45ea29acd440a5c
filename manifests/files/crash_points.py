"""Named points at which a test may kill the process: SCOREMIX_FAULT="kill:POINT" or "kill:POINT:N".

`crash_point(POINT)` reads one environment variable and sends SIGKILL to its own process at the N-th
arrival (default: the first), as the kernel's out-of-memory killer would. Nothing is cleaned up and
nothing is flushed.
"""

import os
import signal
from collections import Counter

TRAIN_POINTS = ("train-step", "best-saved", "state-saved", "weights-written")
PILOT_POINTS = ("pilot-compared", "pilot-written")
RECOGNISE_POINTS = ("recogniser-saved", "recogniser-written")
RECOGNITION_POINTS = ("recogniser-saved", "recognition-finished")
TRIAL_POINTS = ("gan-snapshot", "gan-saved", "gan-finished")
SHARD_POINTS = ("tar-written", "tar-renamed", "parquet-renamed", "marker-renamed")
PUBLISH_POINTS = (
    "unpublished",
    "stale-removed",
    "plan",
    "manifest",
    "card",
    "croissant",
    "index",
    "sums",
)
EXPORT_POINTS = (
    "export-image",
    "export-synced",
    "export-cleared",
    "export-recorded",
    "export-named",
)
INSTALL_POINTS = ("install-begun", "installed-tar", "installed-parquet", "installed-json")
REPAIR_POINTS = ("shards-repaired", *INSTALL_POINTS)
FORGET_POINTS = (
    "tombstones",
    "erased-pixels",
    "erased-closed",
    "erased-rows",
    "erased",
    "shard-rewritten",
    "forgotten-published",
    "traces-removed",
)
POINTS = (
    TRAIN_POINTS
    + PILOT_POINTS
    + RECOGNISE_POINTS
    + RECOGNITION_POINTS[1:]
    + TRIAL_POINTS
    + SHARD_POINTS
    + PUBLISH_POINTS
    + EXPORT_POINTS
    + REPAIR_POINTS
    + FORGET_POINTS
)

_arrivals: Counter[str] = Counter()


def crash_point(point: str) -> None:
    """Kills the process where SCOREMIX_FAULT names this point; else does nothing."""
    assert point in POINTS, point
    action, _, rest = os.environ.get("SCOREMIX_FAULT", "").partition(":")
    name, _, arrival = rest.partition(":")
    if action != "kill" or name != point:
        return
    _arrivals[point] += 1
    if _arrivals[point] == int(arrival or 1):
        os.kill(os.getpid(), signal.SIGKILL)
