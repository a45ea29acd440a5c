"""recognise: trains a recogniser on a corpus's real images and selects new classes by it.

Writes recogniser/ model.safetensors (network and head), centres.npy (K, E), facts.json (how it was
trained and how well it recognises) and new_classes.json, written last; state.safetensors is what a
training that was stopped goes on from.

Images without a class are left out, and so are forgotten ones. Held-out images choose nothing: the
accuracy on them is a figure alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...manifests.errors import ConfigError
from ...manifests.files.atomic import (
    canonical_digest,
    replacing,
    sha256_file,
    write_bytes,
    write_json,
)
from ...manifests.files.crash_points import crash_point
from ...manifests.files.durable import remove_file
from ...manifests.files.json_reader import parse_json
from ...manifests.plan.new_classes import NewClass, class_count, write_new_classes
from ...models.network.device import one_thread, set_deterministic
from ..common.progress import Progress
from ..corpus.store import Corpus
from .centres import class_centres
from .config import ALGORITHM, ClassRequest, RecogniseConfig
from .run import WEIGHTS, RecogniserOptions, RecogniserRun
from .select import select_classes

CENTRES, FACTS, NEW_CLASSES = "centres.npy", "facts.json", "new_classes.json"


@dataclass(frozen=True)
class LabelledRows:
    """The training images that have a class: rows of Corpus.images, and their classes."""

    rows: NDArray[np.int64]
    labels: NDArray[np.int64]

    @classmethod
    def of(cls, corpus: Corpus) -> "LabelledRows":
        """Raises ConfigError where fewer than two classes have training images."""
        rows = corpus.training_rows
        labels = corpus.training_ids[rows]
        rows, labels = rows[labels >= 0], labels[labels >= 0]
        found = len(np.unique(labels))
        if found < 2:
            raise ConfigError(
                f"A recogniser needs two classes or more, and the training images have {found}."
                " Give images with labels, or in a folder for each class (docs/ingest.md)."
            )
        return cls(rows, labels)


def recognise(
    config: RecogniseConfig,
    corpus: Corpus,
    out: Path,
    request: ClassRequest,
    *,
    seed: int,
    device: str,
    progress: Progress,
    stopping: Callable[[], bool] = lambda: False,
) -> list[NewClass]:
    """Trains the recogniser that `config` (resolved) describes, and selects the new classes.

    out: recogniser/; a state of the same training found in it is resumed, and a finished one kept.

    Raises:
        ConfigError: too few classes, or more new classes than they make; a side of no recogniser.
        Interrupted: `stopping()` became true; the same call resumes.
        ScoreMixError: the loss is not finite, or the state is damaged.
    """
    labelled = LabelledRows.of(corpus)
    usable = len(np.unique(labelled.labels))
    count = class_count(request.count, usable, len(request.weights))
    options = RecogniserOptions.over(config, len(labelled.rows))
    identity = _identity(config, corpus, labelled, seed)
    place = torch.device(device)
    set_deterministic(place)
    images = np.asarray(corpus.images)[labelled.rows]
    remove_file(out / NEW_CLASSES)
    with one_thread():
        run = start_run(images, labelled.labels, len(corpus.classes), options, seed, place)
        total = options.updates * config.batch
        with progress.task("recognise", total, "images") as advance:
            run.train(out, identity, stopping, advance)
        centres = class_centres(run.embed(images), labelled.labels, len(corpus.classes))
        facts = _facts(run, corpus, labelled)
    chosen = select_classes(
        centres,
        corpus.classes,
        count,
        config.selection,
        request.weights,
        seed,
    )
    write_bytes(out / WEIGHTS, run.weights())
    with replacing(out / CENTRES) as file:
        np.save(file, centres, allow_pickle=False)
    facts |= {"weights_sha256": sha256_file(out / WEIGHTS), "identity": identity}
    write_json(out / FACTS, facts)
    crash_point("recogniser-written")
    made_from = {"recogniser": identity, "selection": config.selection, "seed": seed}
    write_new_classes(out / NEW_CLASSES, chosen, made_from, corpus.digest)
    progress.note(_summary(facts, chosen, corpus))
    return chosen


def is_trained(config: RecogniseConfig, corpus: Corpus, out: Path, seed: int) -> bool:
    """Whether `recognise` finished in `out` with this training, whatever it selected."""
    try:
        found = parse_json((out / FACTS).read_bytes())["identity"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    identity = _identity(config, corpus, LabelledRows.of(corpus), seed)
    return bool(found == identity) and (out / NEW_CLASSES).is_file() and (out / CENTRES).is_file()


def _identity(config: RecogniseConfig, corpus: Corpus, labelled: LabelledRows, seed: int) -> str:
    """Names a training: everything that the weights depend on."""
    facts = [ALGORITHM, config.training_inputs(), corpus.digest, labelled.rows.tolist(), seed]
    return canonical_digest(facts)


def start_run(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    classes: int,
    options: RecogniserOptions,
    seed: int,
    device: torch.device,
) -> RecogniserRun:
    """A training at its first update. Raises ConfigError for a side that no recogniser has."""
    try:
        return RecogniserRun(images, labels, classes, options, seed, device)
    except ValueError as error:
        raise ConfigError(f"The corpus cannot be recognised: {error}.") from error


def held_out_accuracy(run: RecogniserRun, corpus: Corpus) -> float | None:
    """The share of held-out images that are named rightly, among the real classes.

    None where no held-out image has a class.
    """
    ids = corpus.reference_ids
    known = np.flatnonzero(ids >= 0)
    if not len(known):
        return None
    embeddings = run.embed(np.asarray(corpus.reference)[known])
    return float(np.mean(run.classify(embeddings, len(corpus.classes)) == ids[known]))


def _facts(run: RecogniserRun, corpus: Corpus, labelled: LabelledRows) -> dict[str, Any]:
    """Nothing that depends on the time or the machine's speed: equal trainings, equal bytes."""
    return {
        "format": 1,
        "shape": vars(run.shape),
        "options": run.options.config.model_dump(mode="json"),
        "updates": run.options.updates,
        "seed": run.seed,
        "corpus": corpus.digest,
        "classes": list(corpus.classes),
        "images": len(labelled.rows),
        "last_batch": run.figures,
        "held_out_accuracy": held_out_accuracy(run, corpus),
    }


def _summary(facts: dict[str, Any], chosen: Sequence[NewClass], corpus: Corpus) -> str:
    held_out = facts["held_out_accuracy"]
    named = "" if held_out is None else f"; {held_out:.1%} of the held-out images named rightly"
    distances = [one.distance for one in chosen if one.distance is not None]
    return (
        f"recognise: {facts['updates']:,} updates, {len(corpus.classes):,} classes{named};"
        f" {len(chosen):,} new classes ({chosen[0].selection}), cosine distances"
        f" {min(distances):.2f} to {max(distances):.2f}"
    )
