"""Job, Outcome, StageContext: what one `run` is to do, what it did, and what its stages share."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from ..manifests.errors import ConfigError, Interrupted, ScoreMixError
from ..manifests.files.lock import RunLock
from ..manifests.run_folder import STAGES, RunFolder
from ..manifests.storage.location import Place
from ..stages.corpus.store import Corpus
from .config import Config
from .launch import Worker
from .ledger import Explanations, Ledger
from .progress import ProgressReporter


@dataclass(frozen=True)
class Job:
    """One run: its config, its folders, and which stages to run."""

    config: Config
    folder: Path  # the run folder
    shards: Place  # where the shards lie, or will
    device: str  # cpu | cuda
    progress: ProgressReporter
    stopping: Callable[[], bool] = lambda: False
    until: str = STAGES[-1]
    only: str | None = None  # run this stage alone; the others must be up to date
    worker: Worker | None = None  # make this worker's shards, nothing else
    accept_environment: bool = False  # make shards in another environment than the plan's
    replace: bool = False  # a corpus of other data, or one that may be another's, is given up
    stages: Path | None = None  # the stages.yaml that the config was read from
    # Gets what to say of a run of more than an hour, before it begins; may raise Interrupted.
    confirm: Callable[[str], None] | None = None

    @property
    def files(self) -> RunFolder:
        return RunFolder(self.folder)

    @property
    def ends_with_trial(self) -> bool:
        """Whether a trial follows the last stage."""
        whole = self.until == STAGES[-1] and self.only is None and self.worker is None
        return self.config.trial.with_run and whole

    @property
    def makes_shards(self) -> bool:
        """Whether the stages asked for include `write`."""
        last = STAGES.index(self.until) >= STAGES.index("write")
        return last and self.only in (None, "write")


class Role(Enum):
    """The part that this process plays in a run."""

    LEADER = "leader"  # every stage; holds the run's lock
    FOLLOWER = "follower"  # another process of one launch: trains and makes shards with the leader
    WORKER = "worker"  # `--worker I/N`: makes shards of a run whose corpus, network and plan exist


@dataclass
class Outcome:
    """What `run` did: per stage "done", "up to date" or "skipped"; and the verdict."""

    stages: dict[str, str] = field(default_factory=dict)
    verdict: dict[str, Any] | None = None

    @property
    def worked(self) -> bool:
        return "done" in self.stages.values()


@dataclass
class StageContext:
    """The job, role, ledger and lock that every step receives."""

    job: Job
    role: Role
    ledger: Ledger
    lock: RunLock | None  # the leader's; None where another process holds the run
    is_guest: bool = False  # the shards are another run folder's: its plan must not change
    outcome: Outcome = field(default_factory=Outcome)

    def resolve(self, corpus: Corpus) -> Config:
        """The job's config with every default filled in for this corpus and device."""
        return self.job.config.resolved(*self.resolved_for(corpus))

    def resolved_for(self, corpus: Corpus) -> tuple[int, str, int]:
        """What `Config.resolved` needs to know: side in pixels, kind of device, training images."""
        from ..models.network.device import device_type  # torch; jobs are checked before it loads

        device = self.ledger.device_type(device_type(self.job.device))
        return corpus.images.shape[1], device, len(corpus.images)

    def ends_with(self, stage: str) -> bool:
        """Whether this process stops after `stage`."""
        return STAGES.index(self.job.until) <= STAGES.index(stage)

    def is_stale(
        self,
        stage: str,
        inputs: dict[str, Any],
        exists: bool,
        explain: Explanations | None = None,
    ) -> bool:
        """Whether `stage` must run with `inputs`; notes why, or that it is up to date.

        exists: whether the stage's files are there, whole. explain: as Ledger.why_stale has it.

        Raises ConfigError or Interrupted where it is stale and this job must not run it.
        """
        self.job.progress.stage = stage
        why = self.ledger.why_stale(stage, inputs, explain)
        if why is None and not exists:
            why = "its files are gone or not finished"
        if why is not None and self.job.only not in (None, stage):
            raise self.not_ready(stage, why)
        if why is not None and self.is_guest and stage in ("train", "pilot", "recognise", "plan"):
            raise ConfigError(
                f"{self.job.shards} belongs to another folder of this run, of which"
                f" {self.job.folder} is a copy, and {stage} is {why}: its shards would be replaced."
                " Nothing there was changed. Choose another --out; or, if this folder was moved"
                " here and the other is not used any more, add --replace."
            )
        self.outcome.stages[stage] = "up to date" if why is None else "done"
        self.job.progress.note(f"{stage}: {'up to date' if why is None else why}")
        return why is not None

    def skip(self, stage: str, why: str) -> None:
        """Notes that this run does not need `stage`."""
        self.job.progress.stage = stage
        self.outcome.stages[stage] = "skipped"
        self.job.progress.note(f"{stage}: skipped, {why}")

    def not_ready(self, stage: str, why: str) -> ScoreMixError:
        """The error where this job needs `stage` finished by another command first."""
        first = f"scoremix-pipeline run {self.job.files.config}"
        if self.job.worker is not None and self.ledger.outcome(stage):
            return ConfigError(
                f"Worker {self.job.worker} was given other options than {self.job.folder} was"
                f" planned with: its {stage} is stale ({why}). Give it the options of the plan, or"
                " run the same command, --set and all, once with --until plan in place of --worker."
            )
        if self.job.worker is None:
            return ConfigError(
                f"{self.job.only} of {self.job.folder} was asked for, but its {stage} is stale"
                f" ({why}). Run `{first}` first."
            )
        return Interrupted(
            f"Worker {self.job.worker} has nothing to work on yet: {stage} of {self.job.folder} is"
            f" {why}. Run the same job once with --until plan, in one process, then start the"
            " workers; this command will then do its part."
        )
