"""How many processors this process may use."""

import os


def usable_cores() -> int:
    """Those that its affinity leaves it; all of them where the system has no affinity (macOS)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
