"""The step `write`: makes the missing shards, beside other processes, and publishes them."""

import time
from contextlib import closing
from dataclasses import replace
from functools import partial

from ...manifests.errors import Interrupted
from ...manifests.files.lock import remove_shard_locks, shard_lock
from ...manifests.storage.location import same_place
from ...models.network.compiled import BEFOREHAND
from ...stages.corpus.store import check_pixels
from .. import environment, launch, preflight
from ..fewer_rounds import refuse_fewer_rounds
from ..fingerprints import inputs_of_write
from ..job import Role, StageContext
from ..long_run import announce_generation
from ..planned import Planned
from ..shards.builder import ShardBuilder
from ..shards.clipped import ClippedShare
from ..shards.destination import ShardDestination
from ..shards.ownership import record_claim
from ..shards.worker import ShardWorker

_PUBLISH = "publish"  # the lock of the process that publishes, beside those of the shards
_POLL = 0.2  # seconds between two tries to publish


def write(context: StageContext, builder: ShardBuilder, destination: ShardDestination) -> None:
    """Plan -> committed shards -> a published corpus.

    A follower and a worker make their part; the process that finds all shards finished publishes.

    Raises:
        ConfigError: the place is another run's, or holds rounds that a lower ratio would delete.
        StorageError: the disk or the store is full or refuses; the same command resumes.
        Interrupted: a stop was asked for, and finished shards stay; or a run of more than an hour
            was declined.
    """
    job, planned = context.job, builder.planned
    if context.role is Role.LEADER:
        destination.clean()
    is_stale = context.role is Role.FOLLOWER or _prepare(context, builder, destination)
    if context.lock is not None:  # the leader's
        context.lock.share()  # from here on workers may join
        launch.wait_for_all(job.device)
    if not is_stale:
        return
    worker = ShardWorker(planned.shards, destination, job, job.worker or launch.launch_worker())
    clipped = ClippedShare()
    with job.progress.task("generate", worker.count_missing_images(), "images") as advance:
        # Each shard whose lock this process gets: its rows -> images -> tar, Parquet, marker.
        wait = context.role is Role.LEADER
        with closing(worker.lock_missing_shards(advance, wait=wait)) as tasks:
            for task in tasks:
                images = clipped.counting(builder.generate(task.rows))
                destination.write_shard(builder, task, images, advance)
    worker.note_share()
    if builder.config.generate.extrapolates and planned.new_classes:
        job.progress.note(f"write: {clipped.text}")
    if context.role is not Role.FOLLOWER and not _publish_finished(context, builder, destination):
        job.progress.note(
            f"write: worker {job.worker} has done its part; others are still making theirs"
        )


def _prepare(context: StageContext, builder: ShardBuilder, destination: ShardDestination) -> bool:
    """Whether shards are to be made or published; if so, claims their place for this run."""
    job, planned = context.job, builder.planned
    refuse_fewer_rounds(planned.shards, builder.config.generate, destination)
    missing = [task for task in planned.shards if not destination.finished(task)]
    exists = not missing and destination.is_published()
    record = partial(_record_owner, context, planned)
    if not context.is_stale("write", inputs_of_write(planned), exists):
        if not same_place(context.ledger.place(), job.shards):  # finished shards were moved
            destination.claim(builder, record, changes=False)
        return False
    if missing:
        environment.check_environment(context.ledger, job.device, job.accept_environment)
        check_pixels(builder.corpus)
        if planned.recipe.compile != "off":
            job.progress.note(f"write: {BEFOREHAND}")
        builder.probe()
        made = sum(task.rows.num_rows for task in missing if task.rows["round"][0].as_py())
        announce_generation(context, builder.config, builder.corpus, builder.net, made)
    destination.check_room(builder, missing)
    destination.claim(builder, record, changes=bool(missing))
    if missing and len(missing) < len(planned.shards):
        finished = len(planned.shards) - len(missing)
        job.progress.note(f"write: {finished} of {len(planned.shards)} shards are finished already")
    return True


def _publish_finished(
    context: StageContext, builder: ShardBuilder, destination: ShardDestination
) -> bool:
    """Publishes once every shard is finished; False while other processes make some."""
    job, planned = context.job, builder.planned
    if not all(destination.finished(task) for task in planned.shards):
        return False
    inputs = inputs_of_write(planned)
    while True:
        with shard_lock(job.folder, _PUBLISH) as is_ours:
            if is_ours:
                context.ledger.reload()
                if context.ledger.why_stale("write", inputs) or not destination.is_published():
                    destination.publish(builder)
                    sums = destination.sums_sha256()
                    context.ledger.record(
                        "write", inputs, shards=len(planned.shards), sums_sha256=sums
                    )
                remove_shard_locks(job.folder)
                return True
        if job.stopping():
            raise Interrupted("Stopped while another worker publishes; nothing is lost.")
        time.sleep(_POLL)


def _record_owner(context: StageContext, planned: Planned, same_corpus: bool) -> None:
    """Refuses a place that holds another run's shards, else records it as this run's."""
    job, corpus = context.job, inputs_of_write(planned)["shards"]
    claimant = replace(preflight.claimant_of(job), corpus=corpus, same_corpus=same_corpus)
    record_claim(claimant)
    context.ledger.record_place(job.shards)
