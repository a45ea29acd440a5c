"""The step `write`: shards made by this process among others, published by who sees all of them."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from ...manifests.errors import ConfigError, Interrupted, LockedError
from ...manifests.files.lock import remove_shard_locks, run_lock, shard_lock
from ...models.network.compiled import BEFOREHAND
from ...stages.corpus.store import check_pixels
from .. import environment, launch, preflight
from ..fingerprints import inputs_of_write
from ..shards.builder import ShardBuilder
from ..shards.local import ShardDestination
from ..shards.worker import ShardWorker

if TYPE_CHECKING:
    from ..run import Job
    from .all import StageContext

_PUBLISH = "publish"  # the lock of whoever publishes, beside those of the shards
_LOOK_AGAIN = 0.2  # seconds


def prepare(context: "StageContext", builder: ShardBuilder, destination: ShardDestination) -> bool:
    """Whether shards are to be made or published; if so, makes their place this run's own."""
    job, planned = context.job, builder.planned
    _keep_higher_rounds(builder, destination)
    todo = [work for work in planned.work if not destination.finished(work)]
    if not context.decide(
        "write", inputs_of_write(planned), not todo and destination.is_published()
    ):
        return False
    if todo:
        environment.check_environment(context.ledger, job.device, job.accept_environment)
        check_pixels(builder.corpus)
        if planned.recipe.compile != "off":
            job.progress.note(f"write: {BEFOREHAND}")
        builder.probe()
    destination.check_room(builder, todo)
    destination.claim(builder, lambda: _own(context), changes=bool(todo))
    if todo and len(todo) < len(planned.work):
        finished = len(planned.work) - len(todo)
        job.progress.note(f"write: {finished} of {len(planned.work)} shards are finished already")
    return True


def finish(context: "StageContext", builder: ShardBuilder, destination: ShardDestination) -> bool:
    """Makes this process's part, and publishes if all is there: False if others are at it yet."""
    job = context.job
    crew = ShardWorker(builder, destination, job.progress, job.worker or launch.launch_worker())
    if not crew.make_all(waits=job.worker is None):
        return False
    inputs = inputs_of_write(builder.planned)
    while not _published(context, builder, destination, inputs):
        if job.stopping():
            raise Interrupted("Stopped while another worker publishes; nothing is lost.")
        time.sleep(_LOOK_AGAIN)
    return True


def help_out(job: "Job", builder: ShardBuilder, destination: ShardDestination) -> None:
    """Makes a follower's part; the leader makes what is then missing, and publishes."""
    ShardWorker(builder, destination, job.progress, launch.launch_worker()).make_all(waits=False)


@contextmanager
def joined(job: "Job") -> Iterator[None]:
    """Holds the run as one worker among others.

    Raises Interrupted while one process prepares the run: a worker that is started again later
    finds its work.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(run_lock(job.folder, shared=True))
        except LockedError as error:
            raise Interrupted(
                f"Worker {job.worker} cannot begin: {error} Workers can join when the plan is made."
            ) from error
        yield


def _published(
    context: "StageContext",
    builder: ShardBuilder,
    destination: ShardDestination,
    inputs: dict[str, object],
) -> bool:
    with shard_lock(context.job.folder, _PUBLISH) as mine:
        if not mine:
            return False
        context.ledger.reload()
        if context.ledger.why("write", inputs) is not None or not destination.is_published():
            destination.publish(builder)
            context.ledger.record("write", inputs, shards=len(builder.planned.work))
        remove_shard_locks(context.job.folder)
        return True


def _own(context: "StageContext") -> None:
    preflight.check_owner(context.job)
    context.ledger.own(context.job.shards)


def _keep_higher_rounds(builder: ShardBuilder, destination: ShardDestination) -> None:
    """Refuses a lower ratio than was made: publishing it would delete finished rounds."""
    work = builder.planned.work
    recipes = {item.recipe_digest for item in work}
    beyond = destination.others({item.name for item in work})
    rounds = [found.round for found in beyond if found.recipe_digest in recipes]
    if rounds:
        ratio = max(item.rows["round"][0].as_py() for item in work)
        raise ConfigError(
            f"generate.ratio is {ratio}, but {destination} holds finished rounds up to"
            f" {max(rounds)} of the same recipe, which a lower ratio would delete. Nothing was"
            f" changed. The first {ratio} rounds ARE the corpus at ratio {ratio}: index.json names"
            " each shard's round."
            " To have them alone, use another --out, or remove the other shards yourself."
        )
