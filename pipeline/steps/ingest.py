"""The step `ingest`: is the corpus stale, read the sources again, record what it was made from."""

import json
import shutil
from pathlib import Path
from typing import Any

from ...manifests.errors import ScoreMixError, VerifyError
from ...manifests.files.atomic import write_bytes
from ...manifests.run_folder import RunFolder
from ...manifests.tombstones import read_tombstones
from ...models.network.device import device_type
from ...stages.corpus.store import FORGOTTEN, Corpus, open_corpus
from ...stages.images.plugins import is_installed, packages_in
from ...stages.ingest import ingest as ingesting
from ...stages.ingest.unchanged import is_unchanged
from ...stages.sources.remote import FetchOptions
from .. import launch
from ..config import Config, dump_config
from ..fewer_rounds import refuse_before_saving
from ..fingerprints import DECODERS, inputs_of_ingest, inputs_of_train
from ..job import Role, StageContext
from ..maintenance.forget import drop_from_plan
from ..planned import check_plan
from ..progress import Stoppable
from ..source_listing import record_listing, source_changes
from ..trained_network import is_trained
from ..trial_check import check_trial_of
from ..unused import unused_notes


def ingest(context: StageContext) -> tuple[Config, Corpus]:
    """Sources -> corpus/. Gives the corpus and the config with every default filled in.

    Raises:
        InputError, ConfigError: the sources cannot be read, or give too few images.
        VerifyError: the corpus is damaged and must not be read again unasked.
        Interrupted: a stop was asked for; or a worker came before there is a corpus.
    """
    job, files = context.job, context.job.files
    if context.role is Role.FOLLOWER:
        launch.wait_for_all(job.device)  # until the leader has ingested
        context.ledger.reload()
        corpus = open_corpus(files.corpus)
    elif context.role is Role.WORKER and not _is_corpus(files.corpus):
        raise context.not_ready("ingest", "not done yet")
    elif job.only is not None:  # the source may have moved since
        corpus = open_corpus(files.corpus)
    else:
        corpus = _ingest_if_stale(context)
    config = context.resolve(corpus)
    if context.role is Role.LEADER:
        for note in unused_notes(job.config, *context.resolved_for(corpus)):
            job.progress.note(note)
        corpus = _drop_forgotten(context, config, corpus)
        if job.only is None:
            if job.ends_with_trial:
                check_trial_of(config, corpus)
            refuse_before_saving(config, corpus, job, context.ledger)
            save_config(config, files)
        launch.wait_for_all(job.device)
    return config, corpus


def save_config(config: Config, files: RunFolder) -> None:
    """Writes the resolved config into the run folder, with `run: .`, since the folder may move.

    Without the secrets of URLs: a run folder is shown and passed on.
    """
    saved = dump_config(config.model_copy(update={"run": "."}))
    write_bytes(files.config, saved.encode())


def _ingest_if_stale(context: StageContext) -> Corpus:
    job, files = context.job, context.job.files
    inputs = inputs_of_ingest(job.config, context.ledger)
    sound = _is_corpus(files.corpus, context.ledger.outcome("ingest").get("digest"))
    if not sound and files.corpus_commit.exists():
        _refuse_renumbering(files)
    if not context.is_stale("ingest", inputs, sound, source_changes(job.config, files)):
        return open_corpus(files.corpus)
    watched = Stoppable(job.progress, job.stopping)
    fetching = FetchOptions(files.fetched, watched, job.stopping)
    if sound and _can_be_kept(context, inputs, fetching):
        return _keep_erased(context, inputs)
    if sound and (before := open_corpus(files.corpus)).forgotten:
        # Other options give another corpus without the forgotten images: can a plan be made of it?
        check_plan(job.config, before, without_forgotten=True)
    device = context.ledger.device_type(device_type(job.device))
    corpus = ingesting.ingest(
        job.config.ingest,
        files.corpus,
        seed=job.config.seed,
        progress=watched,
        fetching=fetching,
        forgotten=read_tombstones(job.folder).hashes,
    )
    shutil.rmtree(files.fetched, ignore_errors=True)
    record_listing(job.config, files)
    inputs.pop(DECODERS, None)  # it asks for reading again, and that was done
    outcome: dict[str, Any] = {"digest": corpus.digest, "device_type": device}
    lacked = packages_in(text or "" for text in corpus.sources["reason"].to_pylist())
    if lacked := [package for package in lacked if not is_installed(package)]:
        outcome["packages"] = lacked
    context.ledger.record("ingest", inputs, **outcome)
    return corpus


def _can_be_kept(context: StageContext, inputs: dict[str, Any], fetching: FetchOptions) -> bool:
    """Whether images of the corpus were forgotten, and its sources, which were touched or moved,
    hold the same but for these: read again, the others would be numbered anew."""
    job = context.job
    corpus = open_corpus(job.files.corpus)
    before = context.ledger.stages.get("ingest", {}).get("inputs")
    if before is None or FORGOTTEN not in corpus.sources["status"].to_pylist():
        return False
    if _but_for_places(before) != _but_for_places(json.loads(json.dumps(inputs))):
        return False
    return is_unchanged(
        job.config.ingest,
        corpus,
        seed=job.config.seed,
        forgotten=read_tombstones(job.folder).file_hashes(),
        progress=fetching.progress,
        fetching=fetching,
    )


def _but_for_places(inputs: dict[str, Any]) -> dict[str, Any]:
    """What ingest was made from, without where its sources are, and the times of their files."""
    kept = {name: value for name, value in inputs.items() if name not in ("source", "options")}
    options = {name: value for name, value in inputs["options"].items() if name != "source"}
    return kept | {"options": options}


def _keep_erased(context: StageContext, inputs: dict[str, Any]) -> Corpus:
    """Records that the corpus is up to date; no listing, which has names that were forgotten."""
    job, files = context.job, context.job.files
    shutil.rmtree(files.fetched, ignore_errors=True)
    context.ledger.record("ingest", inputs, **context.ledger.outcome("ingest"))
    job.progress.note("ingest: the same images, but for forgotten ones: the corpus is kept")
    return open_corpus(files.corpus)


def _is_corpus(folder: Path, digest: str | None = None) -> bool:
    """Whether `folder` holds a whole corpus; digest: and the one that the ledger recorded."""
    try:
        found = open_corpus(folder).digest
    except ScoreMixError:
        return False
    return digest in (None, found)


def _refuse_renumbering(files: RunFolder) -> None:
    """Refuses to ingest a damaged corpus again where that renumbers images and costs a training."""
    if read_tombstones(files.path).file_hashes(retrained=False):
        raise VerifyError(
            f"A file in {files.corpus} is damaged, and images of it were forgotten: read again, the"
            " others are numbered anew, and the network is trained again. Restore the folder; or"
            f" delete {files.corpus_commit} and run the same command again, which does that."
        )


def _drop_forgotten(context: StageContext, config: Config, corpus: Corpus) -> Corpus:
    """The corpus without forgotten images, where a network will be trained anew on it."""
    if not corpus.forgotten or not config.generate.needs_network or context.job.only is not None:
        return corpus
    why = context.ledger.why_stale("train", inputs_of_train(config, corpus.digest, context.ledger))
    if why is None and is_trained(context.job.files):
        return corpus
    drop_from_plan(context.job.folder)
    context.ledger.reload()
    return open_corpus(corpus.folder)
