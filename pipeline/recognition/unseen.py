"""Classes that no recogniser is trained on: read as ingest reads, prepared as the corpus was."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ...manifests.errors import ConfigError, ScoreMixError
from ...manifests.files.atomic import canonical_digest, write_json
from ...manifests.files.json_reader import parse_json
from ...manifests.files.rows import rows_where
from ...manifests.foreign_text import first_names, redact_all
from ...manifests.tombstones import read_tombstones
from ...stages.corpus.store import Corpus, open_corpus
from ...stages.ingest import ingest as ingesting
from ...stages.ingest.config import IngestConfig, SourceConfig
from ...stages.recognition.config import RecognitionConfig
from ...stages.sources.class_values import is_number
from ...stages.sources.remote import FetchOptions
from ...stages.trial.locks import waiting_lock
from ..fingerprints import fingerprint
from ..finished_run import FinishedRun
from ..progress import ProgressReporter, Stoppable

_RECORD = "unseen.json"  # what the images were read from; written last
_LISTED = 5  # names in an error


def open_unseen(
    run: FinishedRun,
    config: RecognitionConfig,
    folder: Path,
    stopping: Callable[[], bool],
    progress: ProgressReporter,
) -> Corpus | None:
    """The unseen classes as a corpus in `folder`/unseen, read again where the source changed.

    None where none are named.

    Raises:
        ConfigError: nothing there, no classes, or some that the run has, or images of it.
        Interrupted: a stop was asked for; the same command reads them again.
    """
    if config.unseen is None:
        return None
    options = _ingest_options(run, config.unseen)
    place, spec = folder / "unseen", options.sources[0]
    inputs: dict[str, Any] = {
        "options": redact_all(options.model_dump(mode="json")),
        "source": fingerprint(spec.source, follow_links=options.follow_links),
        "algorithm": ingesting.ALGORITHM,
        "forgotten": sorted(read_tombstones(run.folder).hashes),
    }
    with waiting_lock(folder, "unseen", stopping):
        found = _recorded(place, canonical_digest(inputs))
        if found is None:
            watched = Stoppable(progress, stopping)
            fetching = FetchOptions(place / "fetched", watched, stopping)
            found = ingesting.ingest(
                options,
                place,
                seed=run.config.seed,
                progress=watched,
                fetching=fetching,
                forgotten=read_tombstones(run.folder).hashes,
                key="recognition.unseen",
            )
            write_json(place / _RECORD, {"digest": canonical_digest(inputs)})
            shutil.rmtree(place / "fetched", ignore_errors=True)
    _check(found, run.corpus)
    return found


def _ingest_options(run: FinishedRun, source: str | SourceConfig) -> IngestConfig:
    """Those of the run, but for what chooses images: all are read, and none is held out."""
    side, channels = run.corpus.images.shape[2:]
    return run.config.ingest.model_copy(
        update={
            "source": source,
            "path": None,
            "license": None,
            "classes": "auto",
            "resolution": side,
            "colour": "gray" if channels == 1 else "rgb",
            "limit": None,
            "per_class": None,
            "fraction": None,
            "holdout": 0.0,
            "reference": None,
        }
    )


def _recorded(place: Path, digest: str) -> Corpus | None:
    try:
        if parse_json((place / _RECORD).read_bytes())["digest"] == digest:
            return open_corpus(place)
    except (OSError, ValueError, KeyError, TypeError, ScoreMixError):
        pass
    return None


def _same_class(name: str) -> str | int:
    """What a class is compared by: its number, where the name is one (7 is 007)."""
    return int(name) if is_number(name) else name


def _check(unseen: Corpus, corpus: Corpus) -> None:
    """Raises ConfigError unless the classes and images are others than the run's."""
    if not unseen.classes:
        raise ConfigError(
            "recognition.unseen has no classes: give images with labels, or in a folder for each"
            " class (docs/ingest.md)."
        )
    of_run = {_same_class(name) for name in corpus.classes}
    known = sorted(name for name in unseen.classes if _same_class(name) in of_run)
    if known:
        raise ConfigError(
            f"recognition.unseen has {len(known)} classes of the run"
            f" ({first_names(known, _LISTED)}): a recogniser saw them. Name images of other"
            " classes."
        )
    pixels = [
        {row for status in used for row in _pixels(each, status)}
        for each, used in ((unseen, ("train",)), (corpus, ("train", "reference")))
    ]
    if same := pixels[0] & pixels[1]:
        names = unseen.sources.filter(
            pc.is_in(unseen.sources["pixel_sha256"], pa.array(sorted(same)))
        )
        shown = first_names(names["name"].to_pylist(), _LISTED)
        raise ConfigError(
            f"{len(same)} images of recognition.unseen are training or held-out images of the run"
            f" ({shown}), of classes that are trained on. Remove them, or name other images."
        )


def _pixels(corpus: Corpus, status: str) -> list[str]:
    return list(rows_where(corpus.sources, status=status)["pixel_sha256"].to_pylist())
