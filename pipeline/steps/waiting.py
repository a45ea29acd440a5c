"""How a follower waits for the leader's work, where that may take longer than a barrier lasts."""

import time
from collections.abc import Callable

from ...manifests.errors import Interrupted
from .. import launch
from ..job import StageContext

_POLL = 0.5  # seconds between two looks at the ledger


def wait_for_leader(context: StageContext, is_done: Callable[[], bool], work: str) -> None:
    """Waits until `is_done` of the ledger, then meets the leader at its barrier.

    work: what the leader does meanwhile, for a message. Raises Interrupted on request.
    """
    job, ledger = context.job, context.ledger
    ledger.reload()
    while not is_done():
        if job.stopping():
            raise Interrupted(f"Stopped while the leader {work}; nothing is lost.")
        time.sleep(_POLL)
        ledger.reload()
    launch.wait_for_all(job.device)
    ledger.reload()
