"""The pipeline on one page: ingest -> train -> pilot -> plan -> generate -> write -> evaluate.

Each stage asks the ledger whether its inputs changed, works only if they did, and says why.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from ..manifests.errors import (
    ConfigError,
    Interrupted,
    LockedError,
    ScoreMixError,
    StorageError,
)
from ..manifests.files.lock import run_lock
from ..manifests.run_folder import STAGES
from ..manifests.storage.location import same_place
from . import launch
from .energy import open_meter
from .finished_run import refuse_pending
from .job import Job, Outcome, Role, StageContext
from .ledger import Ledger
from .maintenance.forget import finish_pending
from .preflight import (
    check_job,
    claimant_of,
    missing_folders,
    remove_leftovers,
    removed_if_it_fails_at_once,
)
from .shards.builder import ShardBuilder
from .shards.open import open_destination
from .shards.ownership import Tenure, claim, release
from .steps.evaluate import evaluate
from .steps.ingest import ingest
from .steps.pilot import pilot
from .steps.plan import plan
from .steps.recognise import recognise
from .steps.train import train
from .steps.write import write


def run(job: Job) -> Outcome:
    """Brings every stage up to date, in order, up to and with `job.until`."""
    with open_run(job) as context:
        job = context.job  # as this process's role has it

        # Ingest: sources -> corpus/images.npy, reference.npy, and a row for every input.
        # With the corpus known, every option gets its value.
        config, corpus = ingest(context)
        if context.ends_with("ingest"):
            return context.outcome

        # Train: corpus -> S(x, sigma) on the noise ladder that begins at the exact sigma_1.
        net = train(context, config, corpus)
        if context.ends_with("train"):
            return context.outcome

        # Pilot: a few hundred mixtures by each method, where the choice is left to it.
        config, net = pilot(context, config, corpus, net)
        if context.ends_with("pilot"):
            return context.outcome

        # Recognise: which classes new classes mix, of methods that compose classes.
        recognise(context, config, corpus)
        if context.ends_with("recognise"):
            return context.outcome

        # Plan: which image is made from which two, with which lambda and seed, in which shard.
        planned = plan(context, config, corpus, net)
        if context.ends_with("plan"):
            return context.outcome

        # Generate and write: plan rows -> x' = lambda x1 + (1 - lambda) x2
        # -> x* = argmin ||S(x, sigma_N)||^2 -> denoised from sigma(t0) -> committed shards.
        builder = ShardBuilder(job.folder, config, corpus, net, planned, job.device, job.stopping)
        destination = open_destination(job.shards, job.folder, job.stopping)
        write(context, builder, destination)
        if context.ends_with("write"):
            return context.outcome

        # Evaluate: distances to held-out images per band of lambda, the verdict, the report.
        context.outcome.verdict = evaluate(context, builder, destination.manifest())
        return context.outcome


@contextmanager
def open_run(job: Job) -> Iterator[StageContext]:
    """Locks the run as this process's role needs it, recovers what a killed process left, and
    opens the ledger.

    Raises:
        ConfigError: the job cannot be done as asked; nothing was changed.
        LockedError: another process holds the run.
        Interrupted: a worker came before the run is planned.
    """
    launch.select_gpu(job.device)
    if job.worker is not None:
        with _open_as_worker(job) as context:
            yield context
    elif launch.rank() > 0:
        # Shards are published, and evaluated, by the leader; it plans while this process waits.
        until = {"plan": "recognise", "evaluate": "write"}.get(job.until, job.until)
        yield StageContext(replace(job, until=until), Role.FOLLOWER, Ledger(job.folder), lock=None)
    else:
        check_job(job)
        made = missing_folders(job.folder)
        with run_lock(job.folder) as lock, removed_if_it_fails_at_once(job.folder, made):
            remove_leftovers(job.folder)
            finish_pending(job.folder)
            job.progress.log = job.files.progress_log
            job.progress.meter = open_meter(job.device)
            ledger = Ledger(job.folder)
            ledger.restore()
            with claimed_place(job) as tenure:
                ledger.reload()
                is_guest = tenure is Tenure.GUEST
                yield StageContext(job, Role.LEADER, ledger, lock, is_guest=is_guest)


@contextmanager
def claimed_place(job: Job) -> Iterator[Tenure | None]:
    """Claims the place of the shards before any work is done for them: of several runs that want
    it, one works. A run that fails before its first shard gives a new place back."""
    if not job.makes_shards:
        yield None
        return
    claimant = claimant_of(job)
    made = missing_folders(job.shards) if isinstance(job.shards, Path) else []
    try:
        tenure = claim(claimant)
    except StorageError:  # the record may be there, and the run that it names may soon be gone
        with suppress(StorageError, ConfigError):
            release(claimant, made)
        raise
    if tenure is Tenure.ADOPTED:
        job.progress.note(f"{job.shards} is recorded as made by this run, which it was before")
    try:
        yield tenure
    except Interrupted:
        raise  # it goes on
    except ScoreMixError:
        if tenure is Tenure.NEW:
            with suppress(StorageError):
                release(claimant, made)
        raise


@contextmanager
def _open_as_worker(job: Job) -> Iterator[StageContext]:
    """Shares the run's lock with other workers."""
    if job.until not in ("write", STAGES[-1]):
        raise ConfigError(
            f"--worker {job.worker} makes shards alone; --until {job.until} asks for what"
            " comes before. Run the command once without --worker, then start the workers."
        )
    with ExitStack() as stack:
        try:
            stack.enter_context(run_lock(job.folder, shared=True))
        except LockedError as error:
            raise Interrupted(
                f"Worker {job.worker} cannot begin: {error} Workers can join when the plan is made."
            ) from error
        refuse_pending(job.folder)
        job = replace(job, only="write", until="write")
        ledger = Ledger(job.folder)
        if ledger.shards is not None and not same_place(ledger.place(), job.shards):
            raise ConfigError(
                f"The shards of {job.folder} go to {ledger.place()}, and worker {job.worker} was to"
                f" write to {job.shards}: each would get a part. Give all of them one --out."
            )
        yield StageContext(job, Role.WORKER, ledger, lock=None)
