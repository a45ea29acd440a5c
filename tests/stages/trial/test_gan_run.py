"""The built-in GAN: what it learns, that it resumes exactly, and how a task keeps its result."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from blob_images import blobs
from numpy.typing import NDArray

from scoremix.manifests.errors import Interrupted, ScoreMixError
from scoremix.models.features.extractors import open_extractor
from scoremix.models.gan.networks import LATENT, GanShape
from scoremix.stages.common.progress import ignore_progress
from scoremix.stages.trial.gan_run import GanOptions, GanRun, Rise
from scoremix.stages.trial.judge import Judge
from scoremix.stages.trial.one import Labelled, Task, result_name, run_task

CPU = torch.device("cpu")
SHAPE = GanShape(1, 8, 8)
OPTIONS = GanOptions(
    images=640, snapshot_every=256, batch=32, lr=2e-3, ema=0.99, augment=(), flip=False
)
Images = NDArray[np.uint8]


def sides(images: Images) -> NDArray[np.float64]:
    """Mean of the left half less that of the right half, (n,)."""
    values = images[..., 0].astype(float)
    return np.asarray(values[:, :, :4].mean(axis=(1, 2)) - values[:, :, 4:].mean(axis=(1, 2)))


def trained(run: GanRun) -> GanRun:
    for _ in run.advance(lambda: False, ignore_progress):
        pass
    return run


def test_it_learns_two_blobs() -> None:
    """Both are there, a quarter at least each, and their levels are right within 25 of 255."""
    options = replace(OPTIONS, images=24_000)
    run = trained(GanRun(blobs(500, 1), None, SHAPE, options, 0, CPU))
    found = sides(run.sample(500, "test"))
    left = found > 0
    assert 0.25 < left.mean() < 0.75
    for mine, wanted in ((found[left], 130), (found[~left], -130)):
        assert abs(np.median(mine) - wanted) < 25


def test_a_growing_corpus_is_shown_round_by_round() -> None:
    """100 real images and three rounds: each number of rounds for a quarter of the training."""
    options, rises = replace(OPTIONS, images=40 * 32), Rise(100, 3)
    seen = [options.seen(step, 400, rises) for step in range(options.steps)]
    assert seen == [100] * 10 + [200] * 10 + [300] * 10 + [400] * 10
    shorter = [options.seen(step, 200, Rise(100, 1)) for step in range(options.steps)]
    assert shorter == [100] * 20 + [200] * 20
    assert all(options.seen(step, 400, None) == 400 for step in range(options.steps))


def test_a_growing_corpus_begins_as_its_real_images_alone() -> None:
    """Until the first round is shown, weights are those of a GAN without it; then they are not."""
    real, more = blobs(64, 1), np.concatenate([blobs(64, 1), blobs(64, 2)])
    options = replace(OPTIONS, images=8 * 32)
    alone = GanRun(real, None, SHAPE, options, 0, CPU)
    grows = GanRun(more, None, SHAPE, options, 0, CPU, Rise(64, 1))
    for step in range(options.steps):
        alone.update(), grows.update()
        alone.step, grows.step = step + 1, step + 1
        same = np.array_equal(alone.sample(8, "test"), grows.sample(8, "test"))
        assert same == (step < options.steps // 2)


def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    images, ids = blobs(100, 1), np.arange(100) % 2
    shape, options = replace(SHAPE, classes=2), replace(OPTIONS, augment=("colour",), flip=True)

    def fresh() -> GanRun:
        return GanRun(images, ids, shape, options, 5, CPU)

    whole = trained(fresh())
    first = fresh()
    next(first.advance(lambda: False, ignore_progress))
    first.save(tmp_path, "me")
    second = fresh()
    second.load(tmp_path, "me")
    assert second.step == first.step > 0
    trained(second)
    for mine, wanted in zip(second._nets().values(), whole._nets().values(), strict=True):
        for name, value in wanted.state_dict().items():
            assert torch.equal(mine.state_dict()[name], value), name
    assert np.array_equal(second.sample(9, "x"), whole.sample(9, "x"))
    other = fresh()
    other.load(tmp_path, "another")
    assert other.step == 0
    (tmp_path / "state.safetensors").write_bytes(b"{}")
    with pytest.raises(ScoreMixError, match="damaged"):
        fresh().load(tmp_path, "me")


def task(folder: Path, images: Images, **changes: object) -> Task:
    values = {
        "folder": folder, "trained": "me", "identity": "judged", "images": images, "labels": None,
        "real": Labelled(blobs(100, 1), None), "held_out": Labelled(blobs(100, 2), None),
        "shape": SHAPE, "options": OPTIONS, "samples": 100, "seed": 0,
    }  # fmt: skip
    return Task(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def judge() -> Judge:
    held_out = blobs(100, 2)
    return Judge(open_extractor("pixels", None, held_out), blobs(100, 1), held_out, 0)


def test_copies_of_mirrored_images_are_seen_where_gans_see_them(judge: Judge) -> None:
    training, held_out = blobs(100, 1), blobs(100, 2)
    flipping = Judge(open_extractor("pixels", None, held_out), training, held_out, 0, flips=True)
    mirrored = training[:, :, ::-1]
    assert flipping.measure(mirrored)["copies"] == flipping.measure(training)["copies"] == 1
    assert judge.measure(mirrored)["copies"] < 0.1


def test_random_features_judge_and_pixels_find_copies_with_noise() -> None:
    random = np.random.default_rng(0)
    coarse = random.integers(20, 236, (120, 4, 4, 1), np.uint8)
    training, held_out = np.split(coarse.repeat(4, axis=1).repeat(4, axis=2), 2)
    judging = Judge(open_extractor("random", None, held_out), training, held_out, 0, flips=True)
    noise = random.normal(0, 3, training.shape)
    copies = np.clip(training + noise, 0, 255).round().astype(np.uint8)
    for samples in (copies, copies[:, :, ::-1]):
        assert judging.measure(samples)["copies"] == 1
    assert judging.measure(held_out)["copies"] == 0
    assert judging.features["name"] == "random"


def test_a_task_stopped_anywhere_ends_with_the_same_files(judge: Judge, tmp_path: Path) -> None:
    images = blobs(100, 1)

    def work(name: str, stop_after: int | None = None) -> None:
        count = 0

        def stopping() -> bool:
            nonlocal count
            count += 1
            return stop_after is not None and count > stop_after

        run_task(task(tmp_path / name, images), judge, CPU, stopping, ignore_progress)

    work("whole")
    for stop_after in (3, 9, 11):
        with pytest.raises(Interrupted):
            work("parts", stop_after)
    work("parts")
    parts, whole = (tmp_path / name / result_name("judged") for name in ("parts", "whole"))
    assert parts.read_bytes() == whole.read_bytes()
    snapshots = json.loads(whole.read_text())["snapshots"]
    assert [each["step"] for each in snapshots] == [8, 20]  # 16 is too near the end


def test_batch_norm_has_the_statistics_of_the_averaged_weights() -> None:
    """After many updates: those that the drawn network itself has over other latents."""
    run = GanRun(blobs(100, 1), None, SHAPE, replace(OPTIONS, images=3200, ema=0.999), 0, CPU)
    net = trained(run).settled()
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    norms = [layer for layer in net.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.register_forward_pre_hook(lambda layer, given: seen.append((layer, given[0])))
    net(torch.randn(4000, LATENT, generator=torch.Generator().manual_seed(0)))
    assert len(seen) == len(norms) == 2
    for norm, given in seen:
        mean, spread = given.mean(dim=(0, 2, 3)), given.std(dim=(0, 2, 3))
        assert (mean - norm.running_mean).abs().max() < 0.2 * spread.mean()
        assert torch.allclose(norm.running_var.sqrt(), spread, rtol=0.1)


def test_a_gan_that_is_judged_otherwise_is_not_trained_again(judge: Judge, tmp_path: Path) -> None:
    mine = task(tmp_path, blobs(100, 1))
    first = run_task(mine, judge, CPU, lambda: False, ignore_progress)
    state = (tmp_path / "state.safetensors").stat().st_mtime_ns
    again = run_task(
        replace(mine, identity="other", samples=60), judge, CPU, lambda: False, ignore_progress
    )
    assert (tmp_path / "state.safetensors").stat().st_mtime_ns == state
    figures = [[one["gap"] for one in each["snapshots"]] for each in (first, again)]
    assert figures[0] == figures[1] and again["identity"] == "other"
    assert first["snapshots"] != again["snapshots"]  # of fewer samples
    (tmp_path / "snapshots" / "0000008.safetensors").write_bytes(b"{}")
    with pytest.raises(ScoreMixError, match="snapshot of a trial's GAN, is damaged or gone"):
        run_task(replace(mine, identity="third"), judge, CPU, lambda: False, ignore_progress)


@pytest.mark.parametrize("every, batch", [(25_000, 64), (25_000, 16), (256, 32), (7, 32)])
def test_a_longer_training_has_the_snapshots_of_a_shorter_one(every: int, batch: int) -> None:
    """Where the shorter one ends with a snapshot that comes in turn."""
    options = replace(OPTIONS, snapshot_every=every, batch=batch)
    lengths = [replace(options, images=count * every) for count in range(1, 41)]
    for number, shorter in enumerate(lengths):
        assert len(shorter.snapshots) == number + 1 or every < batch
        for longer in lengths[number:]:
            assert shorter.snapshots == longer.snapshots[: len(shorter.snapshots)]
    between = replace(options, images=10 * every + every // 3)
    assert between.snapshots[:-1] == lengths[9].snapshots or every < batch
    assert between.judged[-1] == between.steps and set(between.judged) <= {*between.snapshots}
    assert between.judged[:-1] == lengths[8].snapshots or every < batch  # 10 is too near the end


ALL = 704  # images of the longest training below: 22 updates


@pytest.mark.parametrize("lengths, resumed", [
    ([384, 640], [0, 384]),  # longer: goes on
    ([320, 640], [0, 320]),  # from between two snapshots, too
    ([640, 384, 640], [0, 384, 640]),  # shorter, and longer again: nothing to train
    ([640, 320, 640, ALL], [0, 0, 640, 640]),  # to where the longer one had no snapshot
])  # fmt: skip
def test_a_training_of_another_length_goes_on_where_it_can(
    lengths: list[int], resumed: list[int], judge: Judge, tmp_path: Path
) -> None:
    """Its result is that of a training of this length alone, and stays beside the others."""
    before: list[int] = []

    def work(name: str, images: int) -> dict[str, Any]:
        options = replace(OPTIONS, images=images, snapshot_every=128)
        identity = f"{images:08d}"
        mine = task(tmp_path / name, blobs(100, 1), options=options, identity=identity)
        # A finished one is not asked for again: as if it had another judge.
        (tmp_path / name / result_name(identity)).unlink(missing_ok=True)
        return run_task(mine, judge, CPU, lambda: False, advance)

    def advance(count: int, /, *, resumed: bool = False) -> None:
        before.append(count) if resumed else None

    found = [work("together", images) for images in lengths]
    assert before == resumed
    alone = {images: work(f"alone-{images}", images) for images in lengths}
    assert found == [alone[images] for images in lengths]
    assert len([*(tmp_path / "together").glob("result-*.json")]) == len(alone)


def test_a_shorter_training_that_is_stopped_leaves_the_longer_one(
    judge: Judge, tmp_path: Path
) -> None:
    long = task(tmp_path, blobs(100, 1))
    run_task(long, judge, CPU, lambda: False, ignore_progress)
    state = (tmp_path / "state.safetensors").read_bytes()
    count = 0

    def stopping() -> bool:
        nonlocal count
        count += 1
        return count > 9

    short = replace(long, identity="short", options=replace(OPTIONS, images=320))
    with pytest.raises(Interrupted):
        run_task(short, judge, CPU, stopping, ignore_progress)
    assert (tmp_path / "state.safetensors").read_bytes() == state


def test_a_gan_that_diverges_has_a_reason_for_its_result(judge: Judge, tmp_path: Path) -> None:
    mine = task(tmp_path, blobs(100, 1), options=replace(OPTIONS, lr=1e30))
    found = run_task(mine, judge, CPU, lambda: False, ignore_progress)
    assert "the GAN's loss is" in found["failed"] and "Set trial.lr lower" in found["failed"]
    assert run_task(mine, judge, CPU, lambda: pytest.fail("trains"), ignore_progress) == found


def test_another_task_begun_in_between_leaves_no_trace(judge: Judge, tmp_path: Path) -> None:
    """Options changed, stopped, changed back: the snapshots of before are still there."""

    def work(name: str, stop_after: int, **changes: object) -> None:
        count = 0

        def stopping() -> bool:
            nonlocal count
            count += 1
            return count > stop_after

        mine = task(tmp_path / name, blobs(100, 1), **changes)
        run_task(mine, judge, CPU, stopping, ignore_progress)

    for name in ("parts", "whole"):
        with pytest.raises(Interrupted):
            work(name, 9)
    with pytest.raises(Interrupted):
        work("parts", 3, trained="other", identity="x", options=replace(OPTIONS, lr=1e-4))
    for name in ("parts", "whole"):
        work(name, 100)
    parts, whole = (tmp_path / name / result_name("judged") for name in ("parts", "whole"))
    assert parts.read_bytes() == whole.read_bytes()


def test_held_out_images_without_a_class_do_not_judge_a_conditional_gan() -> None:
    images, labels = blobs(20, 1), np.arange(20) % 3 - 1
    some = Labelled.some(images, labels, np.arange(20), classes=True)
    assert some.labels is not None and len(some.images) == 13 and some.labels.min() == 0
    assert Labelled.some(images, labels, np.arange(20), classes=False).labels is None


def test_a_finished_task_is_not_trained_again(judge: Judge, tmp_path: Path) -> None:
    mine = task(tmp_path, blobs(100, 1))
    first = run_task(mine, judge, CPU, lambda: False, ignore_progress)
    shown: list[tuple[int, bool]] = []

    def advance(count: int, /, *, resumed: bool = False) -> None:
        shown.append((count, resumed))

    again = run_task(mine, judge, CPU, lambda: pytest.fail("trains"), advance)
    assert again == first and shown == [(640, True)]
