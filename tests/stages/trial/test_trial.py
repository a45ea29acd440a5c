"""A whole trial on made-up corpora whose worth is known: copies of the real images, and noise."""

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from blob_images import blobs
from PIL import Image

from scoremix.manifests.errors import ConfigError, LockedError
from scoremix.models.gan.networks import GanShape
from scoremix.stages.common.progress import Advance, Silent, ignore_progress
from scoremix.stages.corpus.store import open_corpus
from scoremix.stages.evaluate.config import EvaluateConfig
from scoremix.stages.ingest.ingest import IngestConfig, ingest
from scoremix.stages.trial.arm_corpus import ArmCorpus, open_arm, write_arm
from scoremix.stages.trial.gan_run import Diverged, GanOptions, GanRun, Images
from scoremix.stages.trial.outcome import conclusion, outcomes
from scoremix.stages.trial.trial import TrialSpec, run_trial

OPTIONS = GanOptions(
    images=4_096, snapshot_every=2_048, batch=64, lr=2e-3, ema=0.99, augment=(), flip=False
)


class Counting(Silent):
    """Counts the images that are made, and those that an earlier start had made."""

    def __init__(self) -> None:
        self.counts = {True: 0, False: 0}

    def taken(self) -> tuple[int, int]:
        """Made and resumed since the last call."""
        counts, self.counts = self.counts, {True: 0, False: 0}
        return counts[False], counts[True]

    @contextlib.contextmanager
    def task(self, name: str, total: int, unit: str) -> Iterator[Advance]:
        def advance(count: int, /, *, resumed: bool = False) -> None:
            self.counts[resumed] += count

        yield advance


def arm(name: str, folder: Path, images: Images) -> ArmCorpus:
    labels = np.full(len(images), -1)
    return write_arm(name, folder / name, name, iter([images]), labels, {}, ignore_progress)


def corpus_of(folder: Path, count: int, training: int) -> None:
    """folder/corpus of blobs, of which the rest is held out."""
    (folder / "images").mkdir()
    for number, pixels in enumerate(blobs(count, 1)):
        Image.fromarray(pixels[..., 0]).save(folder / "images" / f"{number:03d}.png")
    config = IngestConfig(source=str(folder / "images"), resolution=8, limit=training)
    ingest(config, folder / "corpus", seed=0, progress=Silent())


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> TrialSpec:
    folder = tmp_path_factory.mktemp("trial")
    corpus_of(folder, 300, 200)
    return TrialSpec(
        folder / "trial", folder / "corpus", "corpus", OPTIONS, GanShape(1, 8, 8), 300,
        EvaluateConfig(features="pixels"), {"name": "pixels"}, 0, "cpu",
    )  # fmt: skip


def test_copies_make_no_difference_and_noise_is_harmful(spec: TrialSpec, tmp_path: Path) -> None:
    real = np.asarray(open_corpus(spec.corpus).images)
    noise = np.random.default_rng(0).integers(256, size=(800, 8, 8, 1), dtype=np.uint8)
    arms = [
        arm("real", tmp_path, real),
        arm("copies", tmp_path, np.concatenate([real] * 5)),
        arm("noise", tmp_path, np.concatenate([real, noise])),
    ]
    progress = Counting()
    work = functools.partial(run_trial, spec, arms, 3, stopping=lambda: False, progress=progress)
    made = work(processes=2)
    assert progress.taken() == (9 * 4_096, 0)
    text = conclusion(outcomes(made.results, {each.name: each.count for each in arms}))
    assert "Harmful: a GAN trained on noise is" in text and "Worth it" not in text
    assert "No difference seen at this size: copies" in text
    for processes in (1, 2):  # nothing is trained again: by its result, or by its last state alone
        for _ in range(2):
            assert work(processes=processes) == made and not made.failed
            assert progress.taken() == (0, 9 * 4_096)
            next(spec.folder.glob("gans/*/copies/seed-1/result-*.json")).unlink()


def test_a_gan_that_diverges_costs_its_arm(
    spec: TrialSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, update = np.asarray(open_corpus(spec.corpus).images), GanRun.update

    def diverges(run: GanRun) -> None:
        if len(run.images) > len(real) and run.seed == 1 and run.step == 9:
            raise Diverged("the GAN's loss is nan at update 9. Set trial.lr lower.")
        update(run)

    monkeypatch.setattr(GanRun, "update", diverges)
    quick = TrialSpec(**vars(spec) | {"options": replace(OPTIONS, images=640)})
    arms = [arm("real", tmp_path, real), arm("more", tmp_path, np.concatenate([real] * 2))]
    made = run_trial(quick, arms, 2, processes=1, stopping=lambda: False, progress=Silent())
    assert list(made.results) == ["real"] and len(made.results["real"]) == 2
    assert made.failed == {"more": "seed 1: the GAN's loss is nan at update 9. Set trial.lr lower."}


def test_an_arm_that_another_trial_replaced_trains_no_gan(spec: TrialSpec, tmp_path: Path) -> None:
    """The ratio of an arm without a number is not in its name: both lie in one folder."""
    real = np.asarray(open_corpus(spec.corpus).images)
    quick = TrialSpec(**vars(spec) | {"options": replace(OPTIONS, images=640)})
    mine = arm("mixup", tmp_path, np.concatenate([real] * 2))
    labels = np.full(len(real), -1)
    write_arm("mixup", tmp_path / "mixup", "other", iter([real]), labels, {}, ignore_progress)
    for _ in range(2):
        with pytest.raises(LockedError, match="was made of other images by another trial"):
            run_trial(quick, [mine], 1, processes=1, stopping=lambda: False, progress=Silent())
        (tmp_path / "mixup" / "images.npy").unlink(missing_ok=True)
    assert not [*quick.folder.glob("gans/*/mixup/seed-0/*.json")]


def test_an_arm_is_found_again_by_what_it_is_made_of(tmp_path: Path) -> None:
    made = arm("real", tmp_path, blobs(10, 1))
    assert open_arm("real", tmp_path / "real", "real") == made
    assert open_arm("real", tmp_path / "real", "other") is None
    images, labels = made.open()
    assert np.array_equal(images, blobs(10, 1)) and labels.tolist() == [-1] * 10


def test_too_few_held_out_images_are_refused(spec: TrialSpec, tmp_path: Path) -> None:
    corpus_of(tmp_path, 100, 50)
    few = TrialSpec(**(vars(spec) | {"corpus": tmp_path / "corpus"}))
    with pytest.raises(ConfigError, match="50 images are held out, and a trial needs 60"):
        run_trial(few, [], 1, processes=1, stopping=lambda: False, progress=Silent())
