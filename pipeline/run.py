"""The spine: ingest -> train -> plan -> generate -> write -> evaluate.

Each step looks into the ledger whether its inputs changed, works only if they did, and says why.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..manifests.errors import ConfigError
from ..manifests.files.atomic import write_bytes
from ..manifests.files.lock import run_lock
from ..manifests.storage.location import Place
from ..stages.corpus.store import open_corpus
from . import launch, preflight
from .config import Config, dump_config
from .energy import open_meter
from .finished_run import refuse_pending
from .ledger import STAGES, Ledger
from .maintenance import forget
from .progress import ProgressReporter
from .shards.builder import ShardBuilder
from .shards.local import open_destination
from .shards.worker import Worker
from .steps import all as steps
from .steps import write as build


@dataclass(frozen=True)
class Job:
    """What to do and where."""

    config: Config
    folder: Path  # the run folder
    shards: Place  # the product
    device: str  # cpu | cuda
    progress: ProgressReporter
    stopping: Callable[[], bool] = lambda: False
    until: str = STAGES[-1]
    only: str | None = None  # do this stage alone; the others must be up to date
    worker: Worker | None = None  # make this worker's shards, nothing else
    accept_environment: bool = (
        False  # make shards though libraries or device differ from the plan's
    )


@dataclass
class Outcome:
    """What `run` did: per stage "done", "up to date" or "skipped", and the verdict's text."""

    stages: dict[str, str] = field(default_factory=dict)
    verdict: dict[str, Any] | None = None

    @property
    def worked(self) -> bool:
        return "done" in self.stages.values()


def run(job: Job) -> Outcome:
    """Brings every stage up to date, in order, up to and with `job.until`."""
    outcome = Outcome()
    if job.worker is not None:
        return work(job)
    if launch.rank() > 0:
        return follow(job, outcome)
    wanted = STAGES[: STAGES.index(job.until) + 1]
    preflight.check_job(job)
    with run_lock(job.folder) as held:
        preflight.remove_leftovers(job.folder)  # what a killed launch left half written
        forget.finish_pending(job.folder)  # a `forget` that was killed
        job.progress.log = job.folder / ".scoremix" / "progress.jsonl"
        job.progress.meter = open_meter(job.device)
        ledger = Ledger(job.folder)
        ledger.restore()
        context = steps.StageContext(job, ledger, outcome.stages)

        # ingest: sources -> corpus/images.npy, reference.npy, and a row for every input
        corpus = steps.ingest(context)
        config = context.resolve(corpus)
        corpus = steps.without_forgotten(context, config, corpus)
        if job.only is None:
            _save(config, job.folder)
        if "train" not in wanted:
            return outcome
        launch.wait_for_all(job.device)

        # train: corpus -> score-net/, S(x, sigma) on the ladder from the exact sigma_1
        net = steps.train(context, config, corpus)
        if "plan" not in wanted:
            return outcome

        # plan: which image is made from which two, with which lambda and seed, in which shard
        planned = steps.plan(context, config, corpus, net)
        if "write" not in wanted:
            return outcome

        # generate -> write: rows -> mixup, x* = argmin ||S||^2, denoised -> committed shards
        builder = ShardBuilder(job.folder, config, corpus, net, planned, job.device, job.stopping)
        destination = open_destination(job.shards, job.folder, job.stopping)
        destination.clean()
        wanted_shards = build.prepare(context, builder, destination)
        held.share()  # workers may join
        launch.wait_for_all(job.device)
        if wanted_shards:
            build.finish(context, builder, destination)
        if "evaluate" not in wanted:
            return outcome

        # evaluate: distances to held-out images, band by band, and the verdict in plain words
        outcome.verdict = steps.evaluate(context, builder, destination.manifest())
        _save(config, job.folder)
    return outcome


def _save(config: Config, folder: Path) -> None:
    """The resolved config beside what it made; it names its own folder, which may be moved."""
    saved = dump_config(config.model_copy(update={"run": "."}))
    write_bytes(folder / "stages.yaml", saved.encode())


def follow(job: Job, outcome: Outcome) -> Outcome:
    """What the other processes of a launch do: they train and make shards beside the leader."""
    if job.until == "ingest":
        return outcome
    launch.wait_for_all(job.device)
    context = steps.StageContext(job, Ledger(job.folder), outcome.stages)
    corpus = open_corpus(job.folder / "corpus")
    config = context.resolve(corpus)
    net = steps.train(context, config, corpus)
    if job.until in ("train", "plan"):
        return outcome
    launch.wait_for_all(job.device)  # the leader has planned
    context.ledger.reload()
    planned = steps.plan(context, config, corpus, net)
    builder = ShardBuilder(job.folder, config, corpus, net, planned, job.device, job.stopping)
    build.help_out(job, builder, open_destination(job.shards, job.folder, job.stopping))
    return outcome


def work(job: Job) -> Outcome:
    """One of many workers on a run whose corpus, network and plan are there: makes shards."""
    if job.until not in ("write", STAGES[-1]):
        raise ConfigError(
            f"--worker {job.worker} makes shards alone; --until {job.until} asks for what"
            " comes before. Run the command once without --worker, then start the workers."
        )
    outcome = Outcome()
    job = replace(job, only="write")
    with build.joined(job):
        refuse_pending(job.folder)
        context = steps.StageContext(job, Ledger(job.folder), outcome.stages)
        corpus = steps.ingest(context)
        config = context.resolve(corpus)
        net = steps.train(context, config, corpus)
        planned = steps.plan(context, config, corpus, net)
        builder = ShardBuilder(job.folder, config, corpus, net, planned, job.device, job.stopping)
        destination = open_destination(job.shards, job.folder, job.stopping)
        launch.select_gpu(job.device)
        if build.prepare(context, builder, destination) and not build.finish(
            context, builder, destination
        ):
            job.progress.note(
                f"write: worker {job.worker} has done its part; others are still making theirs"
            )
    return outcome
