"""The spine: ingest -> train -> plan -> generate -> write -> evaluate.

Each step looks into the ledger whether its inputs changed, works only if they did, and says why.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..manifests.atomic import write_bytes
from ..manifests.lock import run_lock
from ..stages.corpus import open_corpus
from . import places, ranks, steps
from .config import Config, dump_config
from .ledger import STAGES, Ledger
from .making import Making
from .progress import Shown


@dataclass(frozen=True)
class Job:
    """What to do and where."""

    config: Config
    folder: Path  # the run folder
    shards: Path  # the product
    device: str  # cpu | cuda
    progress: Shown
    stopping: Callable[[], bool] = lambda: False
    until: str = STAGES[-1]
    only: str | None = None  # do this stage alone; the others must be up to date


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
    if ranks.rank() > 0:
        return follow(job, outcome)
    wanted = STAGES[: STAGES.index(job.until) + 1]
    places.check(job)
    with run_lock(job.folder):
        job.progress.log = job.folder / ".scoremix" / "progress.jsonl"
        ledger = Ledger(job.folder)
        desk = steps.Desk(job, ledger, outcome.stages)

        # ingest: sources -> corpus/images.npy, reference.npy, and a row for every input
        corpus = steps.ingest(desk)
        config = desk.resolve(corpus)
        if job.only is None:
            _save(config, job.folder)
        if "train" not in wanted:
            return outcome
        ranks.meet(job.device)

        # train: corpus -> score-net/, S(x, sigma) on the ladder from the exact sigma_1
        net = steps.train(desk, config, corpus)
        if "plan" not in wanted:
            return outcome

        # plan: which image is made from which two, with which lambda and seed, in which shard
        planned = steps.plan(desk, config, corpus, net)
        if "write" not in wanted:
            return outcome

        # generate -> write: rows -> mixup, x* = argmin ||S||^2, denoised -> committed shards
        making = Making(config, corpus, net, planned, job.device, job.stopping)
        manifest = steps.write(desk, making)
        if "evaluate" not in wanted:
            return outcome

        # evaluate: distances to held-out images, band by band, and the verdict in plain words
        outcome.verdict = steps.evaluate(desk, making, manifest)
        _save(config, job.folder)
    return outcome


def _save(config: Config, folder: Path) -> None:
    """The resolved config beside what it made; it names its own folder, which may be moved."""
    saved = dump_config(config.model_copy(update={"run": "."}))
    write_bytes(folder / "stages.yaml", saved.encode())


def follow(job: Job, outcome: Outcome) -> Outcome:
    """What the other processes of a launch do: they train beside the leader, nothing else."""
    if job.until == "ingest":
        return outcome
    ranks.meet(job.device)
    desk = steps.Desk(job, Ledger(job.folder), outcome.stages)
    corpus = open_corpus(job.folder / "corpus")
    steps.train(desk, desk.resolve(corpus), corpus)
    return outcome
