"""Runs a command as long as the process that started it lives. A program, run by its path.

    python supervisor.py WORD...    # standard input: a pipe whose other end the starter holds

The kernel closes that end when the starter dies, however it dies; then the whole process group is
ended, this program with it. It must lead a process group of its own. (PR_SET_PDEATHSIG would end
the shell alone, and what that had started would go on.)
"""

import os
import signal
import subprocess
import sys
import threading
import time

GRACE = 10.0  # seconds between SIGTERM and SIGKILL


def _end_group_after_starter() -> None:
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGTERM)
    time.sleep(GRACE)
    os.killpg(0, signal.SIGKILL)


def main() -> int:
    """The exit code of the command; 128 and the number of a signal that ended it."""
    # A handler, which the command does not inherit, so that SIGTERM ends the command alone.
    signal.signal(signal.SIGTERM, lambda *_: None)
    threading.Thread(target=_end_group_after_starter, daemon=True).start()
    code = subprocess.call(sys.argv[1:], stdin=subprocess.DEVNULL)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
