"""The stage: its files, equal bytes, resuming, selection without training anew, what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
from PIL import Image

from scoremix.manifests.errors import ConfigError, Interrupted, ScoreMixError
from scoremix.manifests.plan.new_classes import read_new_classes
from scoremix.stages.common.progress import Silent
from scoremix.stages.corpus.store import Corpus
from scoremix.stages.ingest.ingest import IngestConfig, ingest
from scoremix.stages.recognise.config import ClassRequest, RecogniseConfig
from scoremix.stages.recognise.recognise import recognise

QUICK = RecogniseConfig(epochs=6, batch=16, width=4, embedding=8, precision="float32")
FILES = {"centres.npy", "facts.json", "model.safetensors", "new_classes.json", "state.safetensors"}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Five classes of eight images: a bright bar at a place of the class's own."""
    folder = tmp_path_factory.mktemp("bars")
    random = np.random.default_rng(3)
    for number in range(5):
        (folder / f"bar{number}").mkdir()
        for index in range(10):
            pixels = random.integers(0, 60, (8, 8, 3), dtype=np.uint8)
            pixels[:, number : number + 2] += np.uint8(150)
            Image.fromarray(pixels).save(folder / f"bar{number}" / f"{index}.png")
    config = IngestConfig(source=str(folder), resolution=8, holdout=0.2)
    return ingest(config, folder.parent / "corpus", seed=0, progress=Silent())


def run(
    corpus: Corpus, out: Path, config: RecogniseConfig = QUICK, **given: object
) -> list[object]:
    request = given.pop("request", ClassRequest())
    options = {"seed": 0, "device": "cpu", "progress": Silent()} | given
    return list(recognise(config, corpus, out, request, **options))  # type: ignore[arg-type]


def test_it_leaves_its_files_and_finds_the_classes(corpus: Corpus, tmp_path: Path) -> None:
    longer = QUICK.model_copy(update={"epochs": 30, "affine": False})
    found = run(corpus, tmp_path, longer)
    assert {path.name for path in tmp_path.iterdir()} == FILES
    path = tmp_path / "new_classes.json"
    assert read_new_classes(path, corpus.digest, 5) == found and len(found) == 5
    facts = json.loads((tmp_path / "facts.json").read_bytes())
    assert facts["held_out_accuracy"] > 0.8 and facts["updates"] == 75  # 30 x 40 / 16
    centres = np.load(tmp_path / "centres.npy")
    assert centres.shape == (5, 8)
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1, rtol=1e-5)


def test_the_same_seed_gives_the_same_bytes(corpus: Corpus, tmp_path: Path) -> None:
    for name, seed in (("one", 0), ("same", 0), ("other", 1)):
        run(corpus, tmp_path / name, seed=seed)
    one, same, other = (tiny.digests(tmp_path / name) for name in ("one", "same", "other"))
    assert one == same and one["model.safetensors"] != other["model.safetensors"]


@pytest.mark.parametrize("stop_at", [1, 7])
def test_stopped_and_gone_on_with_it_gives_the_same_bytes(
    corpus: Corpus, tmp_path: Path, stop_at: int
) -> None:
    run(corpus, tmp_path / "whole")
    polled = 0

    def stopping() -> bool:
        nonlocal polled
        polled += 1
        return polled > stop_at

    with pytest.raises(Interrupted, match=f"update {stop_at} of 15"):
        run(corpus, tmp_path / "parts", stopping=stopping)
    assert not (tmp_path / "parts" / "new_classes.json").exists()
    run(corpus, tmp_path / "parts")
    assert tiny.digests(tmp_path / "parts") == tiny.digests(tmp_path / "whole")


def test_another_selection_trains_nothing(corpus: Corpus, tmp_path: Path) -> None:
    run(corpus, tmp_path)
    before = tiny.digests(tmp_path), (tmp_path / "state.safetensors").stat().st_mtime_ns
    close = QUICK.model_copy(update={"selection": "close"})
    found = run(corpus, tmp_path, close)
    assert {one.selection for one in found} == {"close"}  # type: ignore[attr-defined]
    after = tiny.digests(tmp_path), (tmp_path / "state.safetensors").stat().st_mtime_ns
    assert after[1] == before[1]
    changed = {name for name in FILES if before[0][name] != after[0][name]}
    assert changed == {"new_classes.json", "facts.json"}


def test_other_weights_and_counts_train_nothing(corpus: Corpus, tmp_path: Path) -> None:
    pairs = run(corpus, tmp_path)
    before = tiny.digests(tmp_path)
    unequal = run(corpus, tmp_path, request=ClassRequest(None, (0.7, 0.3)))
    assert [replace(one, weights=(0.5, 0.5)) for one in unequal] == pairs  # type: ignore[type-var]
    triples = run(corpus, tmp_path, request=ClassRequest(3, (0.4, 0.3, 0.3)))
    assert [len(one.classes) for one in triples] == [3] * 3  # type: ignore[attr-defined]
    after = tiny.digests(tmp_path)
    assert {name for name in FILES if before[name] != after[name]} == {"new_classes.json"}
    with pytest.raises(ConfigError, match="there are 10 different choices of 2"):
        run(corpus, tmp_path, request=ClassRequest(11))


def test_a_damaged_state_is_named(corpus: Corpus, tmp_path: Path) -> None:
    run(corpus, tmp_path)
    (tmp_path / "state.safetensors").write_bytes(b"nothing")
    with pytest.raises(ScoreMixError, match=r"state\.safetensors.*damaged.*Delete"):
        run(corpus, tmp_path)


def test_a_corpus_without_classes_is_refused(tmp_path: Path) -> None:
    source = tiny.make_images(tmp_path / "images")
    config = IngestConfig(source=str(source), resolution=8, classes="none")
    plain = ingest(config, tmp_path / "corpus", seed=0, progress=Silent())
    with pytest.raises(ConfigError, match="two classes or more, and the training images have 0"):
        run(plain, tmp_path / "out")


def test_a_loss_that_is_not_finite_stops_it(corpus: Corpus, tmp_path: Path) -> None:
    wild = QUICK.model_copy(update={"lr": 1e30, "head": "softmax"})
    with pytest.raises(ScoreMixError, match=r"loss is .*lower"):
        run(corpus, tmp_path, wild)


def test_held_out_images_choose_nothing(corpus: Corpus, tmp_path: Path) -> None:
    """Other held-out images, the same recogniser and new classes."""
    run(corpus, tmp_path / "one")
    changed = replace(corpus, reference=255 - np.asarray(corpus.reference))
    run(changed, tmp_path / "other")
    one, other = (tiny.digests(tmp_path / name) for name in ("one", "other"))
    assert {name for name in FILES if one[name] != other[name]} <= {"facts.json"}
