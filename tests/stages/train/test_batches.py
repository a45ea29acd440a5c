"""Training batches, the guard against losses that are not finite, and resumed training."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from in_process import cli
from numpy.typing import NDArray

from scoremix.manifests.errors import Interrupted, TrainingDiverged
from scoremix.stages.common.progress import Silent
from scoremix.stages.ingest.ingest import IngestConfig, ingest
from scoremix.stages.train import batches, loss_guard
from scoremix.stages.train.batches import Batches, BatchShare, batch_rows, rows_by_class
from scoremix.stages.train.config import TrainConfig
from scoremix.stages.train.loss_guard import LossGuard
from scoremix.stages.train.train import train

LADDER = np.geomspace(10, 0.01, 50)
KEYS = [f"{row + 1:06d}" for row in range(10)]  # as where the first image was forgotten
CPU = torch.device("cpu")


def device(deferred: bool) -> torch.device:
    """The one on which losses are read later, or at once; tensors of these tests lie on the CPU."""
    return torch.device("cuda") if deferred else CPU


def images(count: int = 11) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(256, size=(count, 4, 4, 3), dtype=np.uint8)


def drawing(share: BatchShare = BatchShare(), *, flip: bool = True) -> Batches:  # noqa: B008
    return Batches(images(), LADDER, 0.1, 6, flip=flip, seed=3, device=CPU, share=share)


def test_an_epoch_shows_every_image_once() -> None:
    rows = np.concatenate([batch_rows(11, 6, step, seed=3) for step in range(11)])
    assert all(np.array_equal(np.sort(part), np.arange(11)) for part in rows.reshape(6, 11))


def test_by_class_each_class_comes_as_often_and_each_of_its_images() -> None:
    """Classes of 1, 3 and 7 images: each is a third of the draws, its images in turn."""
    members = [np.arange(first, end) for first, end in ((0, 1), (1, 4), (4, 11))]
    rows = np.concatenate([rows_by_class(members, 6, step, seed=3) for step in range(21)])
    counts = np.bincount(rows, minlength=11)  # 126 draws, 42 of each class
    assert counts[0] == 42 and set(counts[1:4]) == {14} and set(counts[4:]) == {6}
    sizes = np.searchsorted([1, 4, 11], rows.reshape(-1, 3), side="right")
    assert all(sorted(part) == [0, 1, 2] for part in sizes.tolist()), "every class in turn"
    assert not np.array_equal(rows[:12], rows[12:24]), "not in one order"


def test_batches_by_class_are_shared_as_others_are() -> None:
    def drawn(share: BatchShare) -> Batches:
        ids = np.array([0] * 9 + [1] * 2)
        return Batches(
            images(), LADDER, None, 6, flip=False, seed=3, device=CPU, share=share, draw_by=ids
        )

    whole = drawn(BatchShare()).draw(5).rows
    parts = [drawn(BatchShare(index, 3)).draw(5).rows for index in range(3)]
    assert np.array_equal(np.concatenate(parts), whole) and (whole >= 9).sum() == 3


def test_processes_share_what_one_would_have_drawn() -> None:
    whole = drawing().draw(5)
    parts = [drawing(BatchShare(index, 3)).draw(5) for index in range(3)]
    assert np.array_equal(np.concatenate([part.rows for part in parts]), whole.rows)
    for name in ("x", "sigma", "noise"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))


def of_a_unet(share: BatchShare = BatchShare()) -> Batches:  # noqa: B008
    """Two classes of eleven images; the network knows three."""
    return Batches(
        images(),
        LADDER,
        None,
        60,
        flip=False,
        seed=3,
        device=CPU,
        share=share,
        lognormal=True,
        augment=0.2,
        classes=np.arange(11) % 2,
        null=3,
    )


def test_a_unets_views_and_labels_are_shared_alike() -> None:
    whole = of_a_unet().draw(5)
    parts = [of_a_unet(BatchShare(index, 3)).draw(5) for index in range(3)]
    for name in ("x", "sigma", "noise", "labels", "view"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))


def test_a_tenth_of_the_images_have_no_class() -> None:
    drawn = [of_a_unet().draw(step) for step in range(50)]
    labels = torch.cat([batch.labels for batch in drawn if batch.labels is not None]).numpy()
    own = np.concatenate([batch.rows for batch in drawn]) % 2
    is_null = labels == 3
    assert 0.08 < is_null.mean() < 0.12
    assert np.array_equal(labels[~is_null], own[~is_null])


def test_images_that_lie_on_the_device_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = [drawing(flip=flip).draw(2) for flip in (False, True)]
    monkeypatch.setattr(batches, "_images_on_gpu", batches.copy_to_device)
    monkeypatch.setattr(batches, "_COPY_BATCH", 4)
    for flip, before in zip((False, True), plain, strict=True):
        assert torch.equal(drawing(flip=flip).draw(2).x, before.x)
    assert not torch.equal(plain[0].x, plain[1].x)


def means(loss: float, asked: float = 0.0) -> torch.Tensor:
    """Of a loss, and of how many processes are asked to stop."""
    return torch.tensor([loss, asked])


def update(guard: LossGuard, optimiser: torch.optim.Adam, step: int, bad: bool) -> None:
    """One step of a network that is one weight; in a bad one the second of three losses is nan."""
    weight = optimiser.param_groups[0]["params"][0]
    each = weight * torch.tensor([1.0, float("nan") if bad else 2.0, 3.0])
    guard.record(step, np.array([7, 8, 9]), each.detach(), means(float(each.detach().mean())))
    optimiser.zero_grad()
    each.mean().backward()
    optimiser.step()


@pytest.mark.parametrize("deferred", [False, True])
def test_a_loss_that_is_not_finite_never_reaches_the_weights(deferred: bool) -> None:
    weight = torch.nn.Parameter(torch.ones(1))
    optimiser = torch.optim.Adam([weight], lr=0.1, fused=True)
    guard = LossGuard(optimiser, device(deferred), KEYS)
    for step in range(3):
        update(guard, optimiser, step, bad=False)
    before = weight.detach().clone()
    with pytest.raises(TrainingDiverged, match="loss at step 3 is nan; it came from 000009"):
        update(guard, optimiser, 3, bad=True)
        guard.check_pending()
    assert torch.equal(weight.detach(), before)


def test_a_deferred_bad_loss_raises_at_the_next_step() -> None:
    weight = torch.nn.Parameter(torch.ones(1))
    optimiser = torch.optim.Adam([weight], lr=0.1, fused=True)
    guard = LossGuard(optimiser, device(True), KEYS)
    update(guard, optimiser, 0, bad=True)
    with pytest.raises(TrainingDiverged, match="loss at step 0"):
        update(guard, optimiser, 1, bad=False)
    assert float(weight) == 1.0


@pytest.mark.parametrize("deferred", [False, True])
def test_the_mean_is_of_the_steps_since_the_last_one(deferred: bool) -> None:
    guard = LossGuard(
        torch.optim.Adam([torch.nn.Parameter(torch.ones(1))], fused=True), device(deferred), KEYS
    )
    for step, value in enumerate((1.0, 2.0)):
        guard.record(step, np.arange(1), torch.tensor([value]), means(value))
    assert guard.take_mean() == 1.5
    guard.record(2, np.arange(1), torch.tensor([5.0]), means(5.0))
    assert guard.take_mean() == 5.0


@pytest.mark.parametrize("deferred", [False, True])
def test_a_stop_that_any_process_is_asked_for_is_seen_with_the_loss(deferred: bool) -> None:
    guard = LossGuard(
        torch.optim.Adam([torch.nn.Parameter(torch.ones(1))], fused=True), device(deferred), KEYS
    )
    seen = []
    for step, asked in enumerate((0.0, 0.25, 0.0, 0.0)):
        guard.record(step, np.arange(1), torch.ones(1), means(1.0, asked))
        seen.append(guard.stop_asked)
    assert seen == ([False, False, True, False] if deferred else [False, True, False, False])


def test_deferred_reading_trains_the_same_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained(name: str) -> bytes:
        words = ["augment", "--data", str(data), "--out", str(tmp_path / name), "--quiet"]
        words += ["--until", "train", *tiny.options(train__steps=6)]
        assert cli(*words) == 0
        return (tmp_path / f"{name}.run" / "score-net" / "model.safetensors").read_bytes()

    data = tiny.make_images(tmp_path / "images")
    at_once = trained("at-once")
    original = LossGuard.__init__

    def always_deferred(self: LossGuard, optimiser: torch.optim.Adam, *given: Any) -> None:
        original(self, optimiser, device(True), given[-1])

    monkeypatch.setattr(loss_guard.LossGuard, "__init__", always_deferred)
    assert trained("deferred") == at_once


@pytest.mark.parametrize("calls", [1, 2, 3, 4])
def test_a_stop_at_any_step_ends_in_the_same_network(calls: int, tmp_path: Path) -> None:
    """Also at a checkpoint's last step, whose measurement decides which state is kept."""
    images = tiny.make_images(tmp_path / "images")
    config = IngestConfig(source=str(images), resolution=8)
    corpus = ingest(config, tmp_path / "corpus", seed=0, progress=Silent())
    options = TrainConfig(preset="tiny", steps=4, width=8, batch=4, checkpoint_every=2)
    asked = 0

    def stopping() -> bool:
        nonlocal asked
        asked += 1
        return asked == calls

    def trained(name: str, stop: Callable[[], bool]) -> bytes:
        folder = tmp_path / name
        resolved = options.resolved(8, "cpu", 16)
        made = {"seed": 0, "t0": 0.3, "device": "cpu", "progress": Silent()}
        with contextlib.suppress(Interrupted):
            train(resolved, corpus, folder, stopping=stop, **made)
        train(resolved, corpus, folder, **made)
        facts = json.loads((folder / "model.json").read_text())
        steps = [json.loads(line)["step"] for line in open(folder / "train.jsonl")]
        assert steps == [2, 4]
        return str(facts["weights_sha256"]).encode()

    assert trained("stopped", stopping) == trained("straight", lambda: False)
