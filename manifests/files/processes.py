"""Whether a process of this machine is alive."""

import os


def is_alive(process: int) -> bool:
    """True for a process id in use, also by another user; zombies count."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True
