"""Preflight: refuses, before anything is made, what would fail late."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ..manifests.errors import ConfigError, Interrupted, LockedError, ScoreMixError
from ..manifests.extras import require
from ..manifests.files import atomic
from ..manifests.files.durable import remove_empty, remove_tree
from ..manifests.files.lock import FOLDER_LOCK
from ..manifests.run_folder import RunFolder
from ..manifests.storage.location import URL, Place, place
from ..models.features.published import HOW, INCEPTION_FILE
from ..models.network.compilers import missing_compiler
from ..stages.images.png import select_encoder
from ..stages.sources.find import check_source
from .config import Config
from .contradictions import refuse_contradictions
from .fingerprints import named_path
from .job import Job
from .other_data import refuse_other_data
from .own_places import refuse_foreign_files, refuse_shards_among
from .shards.claimant import Claimant
from .shards.ownership import check_owner
from .trial_check import check_asked_trial


def check_job(job: Job) -> None:
    """Refuses what `check_request` refuses, a missing compiler, and a missing tracker."""
    check_request(job)
    check_device(job)
    tracker = job.config.train.tracker
    if tracker != "none":
        require(tracker, tracker, f"train.tracker: {tracker}", instead="set train.tracker: none")


def check_request(job: Job) -> None:
    """Refuses options that contradict each other, sources that are not there or empty, outputs
    inside them, shards among the run's own files, another run's files, missing feature networks, a
    missing encoder, a trial that cannot be. Needs no torch, so that commands refuse at once.

    Raises:
        ConfigError, InputError: with the place and what to do.
    """
    ingest = job.config.ingest
    refuse_contradictions(job.config.train, job.config.generate)
    named = [("source", item) for item in ingest.sources] + [("reference", ingest.reference_source)]
    for key, asked in named:
        if asked is not None:
            _check_apart(f"ingest.{key}", place(asked.source), job)
            if job.only is None:
                check_source(asked, f"ingest.{key}")
    refuse_shards_among(job.files, job.shards)
    refuse_foreign_files(job.files, job.stages)
    if job.only != "evaluate":  # which reads the shards, and may do so in a copy
        check_owner(claimant_of(job))
    if job.only is None:
        for folder in (job.folder, job.shards):
            if isinstance(folder, Path):
                _check_can_be_made(folder)
    if job.only is None and not job.replace:
        refuse_other_data(job.config, job.folder, job.shards)
    if job.ends_with_trial:
        check_asked_trial(job.config)
    select_encoder(job.config.write.encoder)
    features = named_path(job.config.evaluate.features)
    if features is not None and not Path(features).is_file():
        raise ConfigError(
            f"evaluate.features names {features}, which is not a file. Use auto, random, pixels,"
            f" inception or the path of a TorchScript network. {HOW}"
        )
    for name in ("inception_weights", "lpips", "classifier"):
        path = getattr(job.config.evaluate, name)
        if path is not None and not Path(path).is_file():
            how = f" {HOW}" if name == "inception_weights" else ""
            raise ConfigError(f"evaluate.{name} names {path}, which is not a file.{how}")
    evaluate = job.config.evaluate
    if evaluate.features == "inception" and evaluate.inception_weights is None:
        raise ConfigError(
            f"evaluate.features: inception needs evaluate.inception_weights, the path of"
            f" {INCEPTION_FILE}. {HOW}"
        )


def check_unseen(config: Config) -> None:
    """Refuses unseen classes of a recogniser that are not there; needs no torch.

    Raises ConfigError or InputError as check_source.
    """
    if config.recognition.unseen is not None:
        unseen = {"source": config.recognition.unseen, "path": None}
        for spec in config.ingest.model_copy(update=unseen).sources:
            check_source(spec, "recognition.unseen")


def check_device(job: Job) -> None:
    """Refuses `compile` where this machine cannot, for the job's device, cpu or cuda."""
    for section, how in (
        ("train", job.config.train.compile),
        ("generate", job.config.generate.compile),
    ):
        if lack := missing_compiler(how, job.device):
            raise ConfigError(f"{section}.compile: {how} needs {lack}. Set {section}.compile: off.")


def _check_apart(key: str, source: Place, job: Job) -> None:
    for output in (job.folder, job.shards):
        if _is_within(output, source):
            raise ConfigError(
                f"{output} lies inside {key} {source}: what is made would become an input of the"
                " next run. Choose an output folder outside it."
            )


def _is_within(inner: Place, outer: Place) -> bool:
    if isinstance(inner, Path) and isinstance(outer, Path):
        return outer.is_dir() and inner.resolve().is_relative_to(outer.resolve())
    return isinstance(inner, URL) and isinstance(outer, URL) and inner.is_within(outer)


def _check_can_be_made(folder: Path) -> None:
    """Raises ConfigError or StorageError where a folder is not there and cannot be made."""
    above = next(path for path in (folder, *folder.parents) if path.exists())
    if above == folder:
        return
    try:
        with atomic.storage_errors(folder):
            os.rmdir(tempfile.mkdtemp(prefix=".scoremix-", dir=above))
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be made: {above} takes no folder ({error.strerror}). Name another"
            " place with --out or --run."
        ) from error


def claimant_of(job: Job) -> Claimant:
    """The job as one that asks for the place of its shards."""
    return Claimant(job.folder, job.shards, replace=job.replace, stopping=job.stopping)


def missing_folders(folder: Path) -> list[Path]:
    """The folder and those above it that are not there yet."""
    return [path for path in (folder, *folder.parents) if not path.exists()]


@contextmanager
def removed_if_it_fails_at_once(run: Path, made: Sequence[Path]) -> Iterator[None]:
    """Removes the run folder, with the parents made for it, where the run ends in an error before
    anything was made: a mistake leaves nothing behind. The caller holds its lock, so that nobody
    begins in it meanwhile.

    made: as missing_folders gave it before the lock was taken; a folder that was there stays.
    """
    try:
        yield
    except (Interrupted, LockedError):  # locked: another run has just begun in it
        raise
    except ScoreMixError:
        if made and _holds_nothing(run):
            with suppress(OSError):
                remove_tree(run)
                remove_empty(made[1:])
        raise


def _holds_nothing(run: Path) -> bool:
    """Whether a run folder has no more than a run writes before it has read its images."""
    files = RunFolder(run)
    early = {files.lock, files.progress_log, files.ledger, files.ledger_backup, run / FOLDER_LOCK}
    return run.is_dir() and {path for path in run.rglob("*") if path.is_file()} <= early


def remove_leftovers(run: Path) -> None:
    """Removes temporary files of launches of this run that were killed. The caller holds it."""
    files = RunFolder(run)
    folders = (run, files.corpus, files.network, files.training_state, files.pilot, files.report)
    for folder in (*folders, files.internal, files.feature_cache):
        atomic.remove_temporaries(folder)
