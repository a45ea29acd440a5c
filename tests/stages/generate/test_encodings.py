"""Encodings that are kept: each is made once, and no image differs from one made without them."""

import functools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from scoremix.models.method.ladder import noise_ladder
from scoremix.models.network.architecture import Architecture
from scoremix.models.network.checkpoint import TrainedNet, build
from scoremix.stages.generate import apply as applying
from scoremix.stages.generate.config import GenerateConfig
from scoremix.stages.generate.encodings import MOST_BYTES, Encodings, Parent, encodings_each
from scoremix.stages.generate.generate import generate
from scoremix.stages.generate.means import mean_images
from scoremix.stages.generate.recipe import Recipe

SIDE, CLASSES, SIZE = 8, 2, 4
IMAGES = np.random.default_rng(7).integers(0, 256, (10, SIDE, SIDE, 3), dtype=np.uint8)
MEANS = mean_images(IMAGES, np.arange(10), np.arange(10) % CLASSES, CLASSES)
FACTS: dict[str, Any] = {
    "weights_sha256": "00",
    "ladder": {"sigma_1": 5.0, "sigma_N": 0.01},
    "architecture": {"classes": CLASSES},
}
CONFIG = GenerateConfig.model_validate({
    "method": "bridge", "t0": 0.4, "denoise_steps": 3, "steps": 0, "lr": 0.001,
    "noise_rule": "ancestral", "batch": SIZE, "precision": "float32",
})  # fmt: skip
RECIPE = Recipe.from_config(CONFIG, FACTS, "c0", MEANS.sha256)
BYTES = 3 * SIDE * SIDE * 4  # of an encoding
ROWS = 14  # of ten parents and all classes, the last batch not full


def network(name: str) -> TrainedNet:
    """Weights that are not zero, so that every input matters."""
    classes = CLASSES if name == "classes" else 0
    shape = Architecture(
        3, SIDE, 8, network="refinenet" if name == "refinenet" else "unet", classes=classes
    )
    net = build(shape, noise_ladder(5.0), seed=3)
    torch.manual_seed(1)
    for parameter in net.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return TrainedNet(net, 5.0, 0.01, FACTS, None)


def rows_of(count: int) -> pa.Table:
    random = np.random.default_rng(2)
    return pa.table({
        "key": [f"{row:06d}-001" for row in range(count)],
        "kind": ["augmented"] * count,
        "row_1": np.arange(count) % 10,
        "row_2": random.integers(0, 10, count),
        "lambda": random.random(count),
        "class_id": np.arange(count) % (CLASSES + 1) - 1,
        "seed": np.arange(count),
    })  # fmt: skip


def made(net: TrainedNet, rows: pa.Table, encodings: Encodings | None) -> Any:
    cpu = torch.device("cpu")
    batches = generate(rows, IMAGES, RECIPE, net, means=MEANS, encodings=encodings, device=cpu)
    return np.concatenate([batch.final for batch in batches])


@functools.cache
def made_without(name: str) -> Any:
    """The images of ROWS rows by a network that keeps no encodings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(applying, "_encodings", lambda *_: None)
        return made(network(name), rows_of(ROWS), None)


@pytest.mark.parametrize("room", [0, 3 * BYTES, MOST_BYTES])
@pytest.mark.parametrize("name", ["unet", "classes", "refinenet"])
def test_images_are_those_that_are_made_without(name: str, room: int) -> None:
    net, rows, encodings = network(name), rows_of(ROWS), Encodings(room)
    with_kept = made(net, rows, encodings)
    assert np.array_equal(made(net, rows.slice(7, 5), encodings), with_kept[7:12])
    assert np.array_equal(made_without(name), with_kept)


class Encoder:
    """Counts what it makes; an encoding holds row and class."""

    def __init__(self) -> None:
        self.calls: list[list[Parent]] = []

    def __call__(self, parents: list[Parent]) -> torch.Tensor:
        self.calls.append(parents)
        return torch.tensor(parents, dtype=torch.float32).reshape(-1, 2, 1, 1)


def parents(*rows: int) -> list[Parent]:
    return [Parent(row, -1) for row in rows]


def test_each_parent_is_encoded_once_in_full_micro_batches() -> None:
    encodings, encode = Encodings(), Encoder()
    found = encodings.get(RECIPE, parents(3, 3, 1, 0), parents(3, 7, 8, 7, 9), encode)
    assert found[:, 0, 0, 0].tolist() == [3, 3, 1, 0]
    assert encode.calls == [parents(3, 1, 0, 7)]  # the place that is left goes to the next one
    encodings.get(RECIPE, parents(7, 3), parents(8), encode)
    assert len(encode.calls) == 1
    found = encodings.get(RECIPE, [Parent(8, -1), Parent(8, 1)], [], encode)
    assert found[:, 1, 0, 0].tolist() == [-1, 1]  # the class counts
    assert encode.calls[1:] == [[Parent(8, -1), *[Parent(8, 1)] * 3]]


def test_recipes_share_encodings_unless_these_differ() -> None:
    encodings, encode = Encodings(), Encoder()
    encodings.get(RECIPE, parents(0), [], encode)
    assert RECIPE.options is not None
    for options in ({"keep": "noise"}, {"gamma": 0.4}):
        other = replace(RECIPE, options=replace(RECIPE.options, **options), means_sha256=None)
        encodings.get(other, parents(0), [], encode)
    assert len(encode.calls) == 1
    differ = [
        replace(RECIPE, options=replace(RECIPE.options, t0=0.5)),  # type: ignore[call-arg]
        replace(RECIPE, model_sha256="01"),
        replace(RECIPE, corpus_digest="c1"),
        replace(RECIPE, guidance=1.5),
        replace(RECIPE, micro_batch=2),
    ]
    for each in differ:
        encodings.get(each, parents(0), [], encode)
    assert len(encode.calls) == 1 + len(differ)


def test_what_does_not_fit_is_made_for_the_mixtures_at_hand() -> None:
    encodings, encode = Encodings(most_bytes=1), Encoder()
    for _ in range(2):
        found = encodings.get(RECIPE, parents(0, 1, 2), parents(5), encode)
        assert found[:, 0, 0, 0].tolist() == [0, 1, 2]
    # The first of them is kept, and nothing is made ahead that could not be.
    assert encode.calls == [parents(0, 1, 2, 5), parents(1, 2, 2, 2)]


def test_a_failure_keeps_nothing_and_the_next_call_makes_it() -> None:
    encodings, encode = Encodings(), Encoder()

    def fail(_: list[Parent]) -> torch.Tensor:
        raise ValueError("no memory")

    for _ in range(2):
        with pytest.raises(ValueError, match="no memory"):
            encodings.get(RECIPE, parents(0, 1), [], fail)
    assert encodings.get(RECIPE, parents(1), [], encode)[0, 0, 0, 0] == 1


def test_threads_wait_for_each_others_encodings() -> None:
    encodings, encode = Encodings(), Encoder()
    begun, may_end = threading.Event(), threading.Event()

    def slowly(some: list[Parent]) -> torch.Tensor:
        begun.set()
        assert may_end.wait(30)
        return encode(some)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(encodings.get, RECIPE, parents(0, 1), [], slowly)
        assert begun.wait(30)
        second = pool.submit(encodings.get, RECIPE, parents(1, 2), [], encode)
        while not encode.calls:  # the second makes what is its own meanwhile
            time.sleep(0.001)
        assert not second.done()
        may_end.set()
        assert first.result()[:, 0, 0, 0].tolist() == [0, 1]
        assert second.result()[:, 0, 0, 0].tolist() == [1, 2]
    assert encode.calls == [parents(2, 2, 2, 2), parents(0, 1, 1, 1)]


def test_how_many_encodings_an_image_is_expected_to_take() -> None:
    values = 3 * 64 * 64
    assert encodings_each(0, 100, values) == 2
    assert encodings_each(10, 100, values) == 2  # each parent is new, at most
    assert encodings_each(1000, 100, values) == 0.1
    room = MOST_BYTES // (4 * values)
    assert encodings_each(10 * 2 * room, 2 * room, values) == pytest.approx(
        (room + 39 * room / 2) / (20 * room)
    )
