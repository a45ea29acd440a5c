"""The preset table's micro-batches: what they keep in memory, and what is made for nothing."""

import contextlib
from typing import Any

import pytest
import torch
from torch import Tensor

from scoremix.models.method.ladder import noise_ladder
from scoremix.models.network import blocks, norm
from scoremix.models.network.architecture import Architecture, Network
from scoremix.models.network.checkpoint import build
from scoremix.pipeline.config import Config
from scoremix.stages.common.presets import balanced_batch, micro_batch
from scoremix.stages.train.config import TrainConfig


def kept(
    side: int, width: int, monkeypatch: pytest.MonkeyPatch, network: Network = "refinenet"
) -> int:
    """Bytes that one more image keeps for the gradient on x, in float32; nothing is computed."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
    for module in (norm, blocks):  # the arithmetic that a GPU gets
        monkeypatch.setattr(module, "keeps_x", lambda x: True)
    net = build(Architecture(3, side, width, network=network), noise_ladder(30.0))
    net = net.to("meta").requires_grad_(False)

    def total(images: int) -> int:
        storages: dict[int, Any] = {}

        def seen(tensor: Tensor) -> Tensor:
            storages[tensor.untyped_storage()._cdata] = tensor.untyped_storage()
            return tensor

        x = torch.zeros(images, 3, side, side, device="meta", requires_grad=True)
        with torch.autograd.graph.saved_tensors_hooks(seen, lambda tensor: tensor):
            # Held: storages that were let go would give their numbers to others.
            held = net.residual(x, torch.ones(1, device="meta"))
            assert held.shape == x.shape
        return sum(storage.nbytes() for storage in storages.values())

    return total(2) - total(1)


@pytest.mark.parametrize(
    ("side", "width"), [(32, 32), (64, 48), (64, 128), (128, 128), (256, 128), (512, 48)]
)
def test_a_gpus_micro_batch_keeps_less_than_20_gb(
    side: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = micro_batch("cuda", side, width)
    one = kept(side, width, monkeypatch)
    assert batch * one < 20e9
    assert batch == 512 or (batch + max(batch // 4, 1)) * one > 10e9  # and makes use of them


@pytest.mark.parametrize(("side", "width"), [(32, 128), (64, 160), (128, 160), (256, 96)])
def test_a_unets_micro_batch_keeps_less_still(
    side: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = micro_batch("cuda", side, width)
    assert batch * kept(side, width, monkeypatch, "unet") < 20e9


def padded(size: int, shard_size: int, images: int) -> int:
    whole, rest = divmod(images, shard_size)
    return size * (whole * -(-shard_size // size) + -(-rest // size))


@pytest.mark.parametrize("images", [2, 5, 16, 100, 300, 777, 1000, 1100, 2761, 50_000])
@pytest.mark.parametrize("batch", [1, 4, 16, 32, 96, 150, 512])
def test_micro_batches_are_evened_out_over_shards(batch: int, images: int) -> None:
    size = balanced_batch(batch, 1000, images)
    assert 1 <= size <= batch
    made, at_most = padded(size, 1000, images), padded(batch, 1000, images)
    assert images <= made <= at_most
    if batch <= images:
        assert size >= batch / 3  # many small ones would cost more than is saved


def test_a_hundred_images_are_not_padded_by_half() -> None:
    assert balanced_batch(150, 1000, 100) == 104
    assert padded(balanced_batch(512, 1000, 100), 1000, 100) == 104
    assert balanced_batch(150, 1000, 300) == 150


@pytest.mark.parametrize(
    ("preset", "method", "t0"),
    [
        ("paper", "scoremix", 0.25),
        ("gpu", "auto", None),
        ("small", "auto", None),
        ("tiny", "auto", None),
    ],
)
def test_the_published_preset_is_the_published_method(
    preset: str, method: str, t0: float | None
) -> None:
    """All others leave it to a pilot, and with it the t0, unless it is set."""
    train: dict[str, Any] = {"preset": preset}
    resolved = Config.model_validate({"train": train}).resolved(64, "cuda", 1000).generate
    assert (resolved.method, resolved.t0) == (method, t0)
    by_hand: dict[str, Any] = {"train": train, "generate": {"method": "mixup", "t0": 0.1}}
    resolved = Config.model_validate(by_hand).resolved(64, "cuda", 1000).generate
    assert (resolved.method, resolved.t0) == ("mixup", 0.1)


def test_few_images_are_measured_more_often() -> None:
    """About every 64 passes: the held-out loss of a network without protection turns after 200."""

    def every(images: int, **train: object) -> int | None:
        return TrainConfig.model_validate(train).resolved(32, "cpu", images).checkpoint_every

    assert [every(images, preset="tiny") for images in (20, 100, 180, 300, 9_000)] == [
        *(100, 100, 180, 250, 250)
    ]
    assert every(180, preset="tiny", batch=32) == 250
    assert every(20, preset="tiny", checkpoint_every=7) == 7
    assert every(20, preset="tiny", network="refinenet") == every(900, network="refinenet")


def test_few_images_are_not_passed_over_until_they_are_known_by_heart() -> None:
    def steps(images: int, **train: object) -> int | None:
        return TrainConfig.model_validate(train).resolved(32, "cpu", images).steps

    assert steps(50_000, preset="tiny") == 6_000
    assert steps(500, preset="tiny") == 600 * 500 // 64
    assert steps(500, preset="tiny", batch=32) == 6_000
    assert steps(20, preset="tiny") == 500
    assert steps(500, preset="tiny", steps=9_000) == 9_000
    assert steps(20, preset="paper") == 200_000


@pytest.mark.parametrize(
    ("preset", "side", "images", "wanted"),
    [
        ("tiny", 32, 500, (0.0, 0.15)),
        ("tiny", 32, 1_920, (0.0, 0.15)),  # 6,000 updates of 64: 200 passes
        ("tiny", 32, 1_921, (0.0, 0.0)),
        ("tiny", 16, 300, (0.25, 0.0)),
        ("tiny", 16, 1_000, (0.0, 0.0)),
        ("tiny", 8, 120, (0.25, 0.0)),  # 750 updates of 32
        ("tiny", 8, 121, (0.0, 0.0)),
        ("gpu", 64, 20_000, (0.13, 0.15)),  # 60,000 updates of 128
        ("gpu", 64, 50_000, (0.0, 0.0)),
    ],
)
def test_regularisers_depend_on_how_often_an_image_is_seen(
    preset: str, side: int, images: int, wanted: tuple[float, float]
) -> None:
    config = TrainConfig.model_validate({"preset": preset}).resolved(side, "cuda", images)
    assert (config.dropout, config.augment) == wanted
    chosen = TrainConfig.model_validate({"preset": preset, "dropout": 0.5, "augment": 0.01})
    chosen = chosen.resolved(side, "cuda", images)
    assert (chosen.dropout, chosen.augment) == (0.5, 0.01)
    # Fewer updates, asked for by the user, do not change what is trained but for its length.
    shorter = TrainConfig.model_validate({"preset": preset, "steps": 10})
    shorter = shorter.resolved(side, "cuda", images)
    assert (shorter.dropout, shorter.augment) == wanted


def test_a_training_longer_than_the_presets_is_protected_as_it_passes_over_images() -> None:
    """2,448 images: 157 passes by the preset's 6,000 updates of 64, 784 by 30,000."""
    for steps, wanted in ((None, 0.0), (30_000, 0.15)):
        config = TrainConfig.model_validate({"preset": "tiny", "steps": steps})
        assert config.resolved(32, "cpu", 2_448).augment == wanted
