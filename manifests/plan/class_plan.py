"""The plan of methods that make images class by class: real classes again, or new ones.

Round 0 holds the real images. Every class that is made gets `images_per_class` images. The key of
each is that of an image of its first class and a round, as in every plan: in a round an image is
the base of one image at most, so that keys are unique. Rounds are filled evenly: each holds equally
many images of every class, as many as the class with the fewest bases allows; the last may hold
fewer. So the rounds of fewer images per class are the first rounds of more.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from ..errors import ConfigError
from .new_classes import NewClass
from .random_streams import image_seed, stream
from .rounds import MAX_ROUND, RoundImages, real_round, round_table, shards_of
from .training_images import (
    Integers,
    TrainingImages,
    class_names,
    has_classes,
    quoted_names,
    read_training_images,
    training_rows,
)


@dataclass(frozen=True)
class ClassPlanOptions:
    """What such a plan depends on besides the sources, the classes and the seed."""

    method: str  # as in section `generate`: written into the augmented rows
    images_per_class: int
    shard_size: int  # images a shard


class MadeClass(NamedTuple):
    """A class of which images are made."""

    id: int  # class_id of its images
    first: int  # class of parent 1, whose images are the bases
    second: int  # class of parent 2; the first where the images have one parent
    lambda_: float  # weight of parent 1


def made_of_new(new_classes: Sequence[NewClass]) -> list[MadeClass]:
    """The new classes; of more than two members the first two give the parents."""
    return [
        MadeClass(one.id, one.classes[0], one.classes[1], one.weights[0]) for one in new_classes
    ]


def classes_with_images(sources: pa.Table) -> list[int]:
    """Ids of the classes that have training images, in order: not those that `forget` emptied."""
    ids = training_rows(sources)["class_id"].to_pylist()
    return sorted({id_ for id_ in ids if id_ is not None and id_ >= 0})


def reproduced(
    classes: int, usable: Sequence[int], count: int | None, seed: int
) -> list[MadeClass]:
    """The real classes, to be made again: all, or a seeded choice of `count`, in order of id.

    classes: of the corpus. usable: ids of those that have training images.

    Raises ConfigError where there are not as many.
    """
    if count is not None and count > len(usable):
        raise ConfigError(
            f"generate.new_classes is {count}, and `reproduce` makes the {len(usable)} classes of"
            f" the corpus again. Set it to {len(usable)} or fewer, or leave it out for all."
        )
    order = stream(image_seed(seed, "new-classes"), "reproduced").permutation(classes).tolist()
    ids = sorted([id_ for id_ in order if id_ in {*usable}][:count])
    return [MadeClass(id_, id_, id_, 1.0) for id_ in ids]


def check_classed(sources: pa.Table, method: str) -> None:
    """Raises ConfigError for a corpus without classes."""
    if not has_classes(sources):
        raise ConfigError(
            f"generate.method is {method}, which makes images of classes, and the images have"
            " none. Put the images of each class into a folder of its own, or choose another"
            " method."
        )


def build_class_plan(
    sources: pa.Table, made: Sequence[MadeClass], options: ClassPlanOptions, seed: int
) -> pa.Table:
    """The plan, schema PLAN: the real images, then `images_per_class` rows of every made class.

    Row 1 is an image of the class's first class, row 2 one of its second, drawn from the image's
    own stream: where it comes from, and what `mixup-classes` mixes. Only rows of `sources` with
    status "train" become images.

    Raises ConfigError for a corpus without classes, or more rounds than a key can name.
    """
    if options.shard_size < 1:
        raise ConfigError(f"write.shard_size is {options.shard_size}; it must be at least 1.")
    check_classed(sources, options.method)
    corpus = read_training_images(sources, classes=True)
    members = {int(id_): np.flatnonzero(corpus.classes == id_) for id_ in np.unique(corpus.classes)}
    _check_members(made, members, class_names(sources))
    planned = _bases(corpus, members, made, options.images_per_class, seed)
    rounds = [real_round(corpus, shard_size=options.shard_size, seed=seed)]
    first_shard = 0
    for round_ in range(1, int(planned.rounds.max()) + 1):
        inside = planned.rounds == round_
        images = _round_images(corpus, members, made, planned, inside, round_, seed)
        rounds.append(
            round_table(
                corpus,
                images,
                round_,
                first_shard,
                method=options.method,
                shard_size=options.shard_size,
                seed=seed,
            )
        )
        first_shard += shards_of(int(inside.sum()), options.shard_size)
    return pa.concat_tables(rounds).combine_chunks()


def _check_members(
    made: Sequence[MadeClass], members: dict[int, Integers], names: dict[int, str]
) -> None:
    empty = sorted({id_ for one in made for id_ in (one.first, one.second)} - members.keys())
    if empty:
        raise ConfigError(
            f"No training image is left in {len(empty)} of the classes that images are to be made"
            f" of: {quoted_names([names.get(id_, str(id_)) for id_ in empty])}. Add images to"
            " them, or take them out of the input."
        )


class _Bases(NamedTuple):
    """Every image that is made, (n,): which class, on which base, in which round."""

    made: Integers  # place in the list of made classes
    bases: Integers  # place of the base in corpus order
    rounds: Integers


def _bases(
    corpus: TrainingImages,
    members: dict[int, Integers],
    made: Sequence[MadeClass],
    images_per_class: int,
    seed: int,
) -> _Bases:
    """Bases and rounds: a class's images in turn take the images of its first class in a seeded
    order, again and again; new classes with the same first class take turns."""
    sharing = Counter(one.first for one in made)
    firsts = np.array([one.first for one in made])
    each = max(1, min(len(members[id_]) // count for id_, count in sharing.items()))
    parts: list[_Bases] = []
    for id_, count in sharing.items():
        own = np.flatnonzero(firsts == id_)
        images = members[id_]
        order = stream(image_seed(seed, f"class-{id_}"), "bases").permutation(len(images))
        turns = np.arange(count * images_per_class)
        in_a_round = min(len(images), each * count)
        # A step aside each time around, so that a class meets all bases and not every second one.
        # No base comes twice in a round: a round that is cut by such a step lacks one base or more.
        places = (turns + turns // len(images)) % len(images)
        parts.append(_Bases(own[turns % count], images[order[places]], 1 + turns // in_a_round))
    joined = _Bases(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    if joined.rounds.max() > MAX_ROUND:
        fewest = min(sharing, key=lambda id_: len(members[id_]) / sharing[id_])
        raise ConfigError(
            f"generate.images_per_class is {images_per_class}, which takes {joined.rounds.max()}"
            f" rounds; {MAX_ROUND} is the most. Class {fewest}, with {len(members[fewest])} images,"
            " gives the fewest in a round. Set images_per_class lower, or add images to it."
        )
    return joined


def _round_images(
    corpus: TrainingImages,
    members: dict[int, Integers],
    made: Sequence[MadeClass],
    planned: _Bases,
    inside: np.ndarray[tuple[int], np.dtype[np.bool_]],
    round_: int,
    seed: int,
) -> RoundImages:
    """What the images of one round are made from, by class, then base."""
    places = np.flatnonzero(inside)
    places = places[np.lexsort((planned.bases[places], planned.made[places]))]
    classes = [made[place] for place in planned.made[places]]
    partners = []
    for one, base in zip(classes, planned.bases[places].tolist(), strict=True):
        if one.second == one.first:
            partners.append(base)
            continue
        random = stream(image_seed(seed, f"{corpus.keys[base]}-{round_:03d}"), "plan")
        partners.append(int(random.choice(members[one.second])))
    return RoundImages(
        planned.bases[places],
        np.array(partners, dtype=np.int64),
        np.array([one.lambda_ for one in classes]),
        np.array([one.id for one in classes], dtype=np.int64),
    )
