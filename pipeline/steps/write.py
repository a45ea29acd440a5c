"""The step `write`: shards made by this process among others, published by who sees all of them."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from ...manifests.errors import ConfigError, Interrupted, LockedError
from ...manifests.files.lock import forget_shard_locks, run_lock, shard_lock
from ...models.network.compiled import BEFOREHAND
from ...stages.corpus.store import check_pixels
from .. import environment, launch, preflight
from ..fingerprints import inputs_of_write
from ..shards.builder import Making
from ..shards.local import Product
from ..shards.worker import Crew

if TYPE_CHECKING:
    from ..run import Job
    from .all import Desk

_PUBLISH = "publish"  # the lock of whoever publishes, beside those of the shards
_LOOK_AGAIN = 0.2  # seconds


def prepare(desk: "Desk", making: Making, product: Product) -> bool:
    """Whether shards are to be made or published; if so, makes their place this run's own."""
    job, planned = desk.job, making.planned
    _keep_higher_rounds(making, product)
    todo = [work for work in planned.work if not product.finished(work)]
    if not desk.decide("write", inputs_of_write(planned), not todo and product.is_published()):
        return False
    if todo:
        environment.check(desk.ledger, job.device, job.accept_environment)
        check_pixels(making.corpus)
        if planned.recipe.get("compile", "off") != "off":
            job.progress.note(f"write: {BEFOREHAND}")
        making.probe()
    product.check_room(making, todo)
    product.claim(making, lambda: _own(desk), changes=bool(todo))
    if todo and len(todo) < len(planned.work):
        finished = len(planned.work) - len(todo)
        job.progress.note(f"write: {finished} of {len(planned.work)} shards are finished already")
    return True


def finish(desk: "Desk", making: Making, product: Product) -> bool:
    """Makes this process's part, and publishes if all is there: False if others are at it yet."""
    job = desk.job
    crew = Crew(making, product, job.progress, job.worker or launch.worker())
    if not crew.make_all(waits=job.worker is None):
        return False
    inputs = inputs_of_write(making.planned)
    while not _published(desk, making, product, inputs):
        if job.stopping():
            raise Interrupted("Stopped while another worker publishes; nothing is lost.")
        time.sleep(_LOOK_AGAIN)
    return True


def help_out(job: "Job", making: Making, product: Product) -> None:
    """Makes a follower's part; the leader makes what is then missing, and publishes."""
    Crew(making, product, job.progress, launch.worker()).make_all(waits=False)


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


def _published(desk: "Desk", making: Making, product: Product, inputs: dict[str, object]) -> bool:
    with shard_lock(desk.job.folder, _PUBLISH) as mine:
        if not mine:
            return False
        desk.ledger.reload()
        if desk.ledger.why("write", inputs) is not None or not product.is_published():
            product.publish(making)
            desk.ledger.record("write", inputs, shards=len(making.planned.work))
        forget_shard_locks(desk.job.folder)
        return True


def _own(desk: "Desk") -> None:
    preflight.check_owner(desk.job)
    desk.ledger.own(desk.job.shards)


def _keep_higher_rounds(making: Making, product: Product) -> None:
    """Refuses a lower ratio than was made: publishing it would delete finished rounds."""
    work = making.planned.work
    recipes = {item.recipe_digest for item in work}
    beyond = product.others({item.name for item in work})
    rounds = [found.round for found in beyond if found.recipe_digest in recipes]
    if rounds:
        ratio = max(item.rows["round"][0].as_py() for item in work)
        raise ConfigError(
            f"generate.ratio is {ratio}, but {product} holds finished rounds up to {max(rounds)}"
            " of the same recipe, which a lower ratio would delete. Nothing was changed. The first"
            f" {ratio} rounds ARE the corpus at ratio {ratio}: index.json names each shard's round."
            " To have them alone, use another --out, or remove the other shards yourself."
        )
