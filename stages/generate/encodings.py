"""Encodings of training images by the probability-flow ODE: each is made once.

Method `bridge` encodes both parents of every mixture. An encoding depends on its own image and
class alone, and at ratio mu each image is a parent 2 mu times: made anew, encodings would be two
thirds of the work. Each is made in a micro-batch of the recipe's shape, as mixtures are, so that
its bits do not depend on those that are made with it.
"""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import replace
from typing import NamedTuple

import pyarrow as pa
import torch
from torch import Tensor

from ...models.method.options import BridgeOptions
from .recipe import Recipe

MOST_BYTES = 2**30  # of memory for kept encodings: 21,000 images of 64 px in colour
_VALUE_BYTES = 4  # float32


class Parent(NamedTuple):
    """What an encoding depends on, beside network and recipe."""

    row: int  # of the corpus
    class_id: int  # that the network is conditioned on; -1 for none


def parents_of(rows: pa.Table, knows_classes: bool) -> list[Parent]:
    """Parents 1 of plan rows, then their parents 2.

    knows_classes: whether the network is conditioned on the class of a row.
    """
    ids = rows["class_id"].to_pylist() if knows_classes else [-1] * rows.num_rows
    columns = (rows[name].to_pylist() for name in ("row_1", "row_2"))
    return [Parent(*pair) for column in columns for pair in zip(column, ids, strict=True)]


# Encodes some parents, as many as a micro-batch has, in order: (B, C, H, W).
Encode = Callable[[list[Parent]], Tensor]


class Encodings:
    """Encodings by recipe, kept while they fit in `most_bytes`; several threads may ask at once.

    Once full, others are made for the mixtures at hand alone. None gives way to a later one: a plan
    goes through the images round after round, so each would give way just before it is wanted.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._left = most_bytes
        self._lock = threading.Lock()
        self._made: dict[Recipe, dict[Parent, Tensor]] = {}  # in the computer's memory
        self._in_work: dict[Recipe, dict[Parent, Future[Tensor]]] = {}

    def get(
        self, recipe: Recipe, wanted: list[Parent], coming: Iterable[Parent], encode: Encode
    ) -> Tensor:
        """The encodings of `wanted`, (len(wanted), C, H, W) in the computer's memory.

        coming: parents that are wanted next, gone through as far as they are needed to fill up the
            last micro-batch.
        """
        alike = _of_encoding(recipe)
        size = recipe.micro_batch

        # Claim what nobody has made or is making; fill up the last micro-batch.
        with self._lock:
            made = self._made.setdefault(alike, {})
            in_work = self._in_work.setdefault(alike, {})

            def is_missing(parent: Parent) -> bool:
                return parent not in made and parent not in in_work

            own = {parent: Future[Tensor]() for parent in wanted if is_missing(parent)}
            if own and self._left > 0:
                full = len(own) + -len(own) % size
                for parent in coming if len(own) < full else ():
                    if is_missing(parent):
                        own.setdefault(parent, Future())
                    if len(own) == full:
                        break
            mine = list(own)
            in_work.update(own)
            others = {each: in_work[each] for each in wanted if each in in_work}

        # Make mine, then wait for those that other threads are making.
        try:
            for start in range(0, len(mine), size):
                part = mine[start : start + size]
                padded = part + part[-1:] * (size - len(part))
                for parent, encoding in zip(part, encode(padded).cpu(), strict=False):
                    own[parent].set_result(encoding.clone())
        except BaseException as error:
            for future in own.values():
                if not future.done():
                    future.set_exception(error)
            raise
        finally:
            self._keep(made, in_work, own)
        ready = {parent: future.result() for parent, future in others.items()}
        return torch.stack([ready[each] if each in ready else made[each] for each in wanted])

    def _keep(
        self,
        made: dict[Parent, Tensor],
        in_work: dict[Parent, "Future[Tensor]"],
        own: dict[Parent, "Future[Tensor]"],
    ) -> None:
        with self._lock:
            for parent, future in own.items():
                del in_work[parent]
                if future.exception() is None and self._left > 0:
                    made[parent] = future.result()
                    self._left -= made[parent].nbytes


def _of_encoding(recipe: Recipe) -> Recipe:
    """What encodings depend on: recipes that only mix in other ways share them."""
    assert isinstance(recipe.options, BridgeOptions)
    options = replace(recipe.options, keep="both", gamma=0.0)
    return replace(recipe, options=options, means_sha256=None, format=None, encoder=None)


def encodings_each(made: int, training: int, values: int) -> float:
    """About how many encodings an image takes where `made` are made of `training` images.

    values: of an image, C * H * W.
    """
    if not made:
        return 2.0
    kept, parents = min(training, MOST_BYTES // (_VALUE_BYTES * values)), 2 * made
    beyond = max(0, parents - kept) * (1 - kept / training)
    return (min(parents, kept) + beyond) / made
