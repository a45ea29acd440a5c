"""CLASS FIDELITY: how often the run's recogniser names made images as the classes they are of.

    python benchmarks/class_fidelity.py runs/characters --out benchmarks/results/class-fidelity

The run's own recogniser, which real images alone have trained, names: training images, held-out
ones, and the images of each arm of the run's comparison (`scoremix-pipeline recognition`). An image
of a real class is right where it is named as that class; one of a new class where it is named as
one of the classes that it mixes.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from scoremix.manifests.plan.new_classes import read_new_classes
from scoremix.models.network.device import one_thread
from scoremix.stages.corpus.store import Corpus, open_corpus
from scoremix.stages.recognise.config import RecogniseConfig
from scoremix.stages.recognise.recognise import LabelledRows, held_out_accuracy, start_run
from scoremix.stages.recognise.run import RecogniserOptions, RecogniserRun

ARMS = ("reproduce", "compose", "condition-mix", "mixup-classes")  # of the run's new classes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="a run by compose whose arms were compared")
    parser.add_argument("--out", type=Path, required=True, help="a file of results, without .json")
    options = parser.parse_args()
    corpus = open_corpus(options.run / "corpus")
    with one_thread():
        found = fidelity(options.run, corpus)
    options.out.with_suffix(".json").write_text(json.dumps(found, indent=2) + "\n")
    for name, share in found.items():
        print(f"{name:<16} {100 * share:5.1f} %")


def fidelity(run: Path, corpus: Corpus) -> dict[str, float]:
    """Share of images that are named as a class that they are of, by what they are."""
    trained = recogniser_of(run, corpus)
    real, classes = LabelledRows.of(corpus), len(corpus.classes)

    def named(images: NDArray[np.uint8]) -> NDArray[np.int64]:
        return trained.classify(trained.embed(images), classes)

    right = named(np.asarray(corpus.images)[real.rows]) == real.labels
    found = {"training": float(right.mean())}
    if (held_out := held_out_accuracy(trained, corpus)) is not None:
        found["held out"] = held_out
    chosen = read_new_classes(run / "recogniser" / "new_classes.json", corpus.digest, classes)
    members = {id_: (id_,) for id_ in range(classes)} | {one.id: one.classes for one in chosen}
    for arm in ARMS:
        folder = run / "recognition" / "arms" / arm
        if not folder.is_dir():
            continue
        images, labels = (np.load(folder / f"{name}.npy") for name in ("images", "labels"))
        said = named(images[len(real.rows) :]).tolist()
        are = labels[len(real.rows) :].tolist()
        found[arm] = float(np.mean([a in members[b] for a, b in zip(said, are, strict=True)]))
    return {name: round(share, 4) for name, share in found.items()}


def recogniser_of(run: Path, corpus: Corpus) -> RecogniserRun:
    """The recogniser by which the run selected its new classes, at its last update."""
    facts = json.loads((run / "recogniser" / "facts.json").read_bytes())
    labelled = LabelledRows.of(corpus)
    options = RecogniserOptions.over(RecogniseConfig(**facts["options"]), len(labelled.rows))
    images = np.asarray(corpus.images)[labelled.rows]
    count, place = len(corpus.classes), torch.device("cpu")
    found = start_run(images, labelled.labels, count, options, facts["seed"], place)
    found.train(run / "recogniser", facts["identity"], lambda: False, lambda *_, **__: None)
    return found


if __name__ == "__main__":
    main()
