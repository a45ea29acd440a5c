"""The plan: which images are mixed with which lambda; a pure function of sources, options, seed.

Round 0 holds the real images. In each of the rounds 1..mu every real image is the base of exactly
one augmented image, so the first k rounds of a plan ARE the plan at ratio k. The order within a
round is a seeded permutation of its own; shards never straddle rounds.
"""

import hashlib
import json
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..errors import ConfigError, ScoreMixError
from .methods import ONE_PARENT, PASTING
from .random_streams import image_seed, stream
from .rounds import MAX_ROUND, RoundImages, real_round, round_table, shards_of
from .schema import PLAN
from .training_images import (
    Integers,
    TrainingImages,
    class_names,
    has_classes,
    quoted_names,
    read_training_images,
)

MAX_RATIO = MAX_ROUND

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PlanOptions:
    """What a plan depends on besides the sources and the seed."""

    ratio: int  # mu: augmented images per real one, 0..999
    alpha: float  # lambda ~ Beta(alpha, alpha)
    pairing: str  # auto | within (the class) | any
    lone_class: str  # refuse | self: what a class with one image does under "within"
    method: str  # as in section `generate`: written into the augmented rows
    shard_size: int  # images a shard


@dataclass(frozen=True)
class _Pairs:
    """The partners and lambdas of one round, shape (N,) each, in corpus order."""

    partners: Integers  # position of the partner in corpus order
    lambdas: Floats


def resolve_pairing(sources: pa.Table, pairing: str) -> str:
    """`auto` becomes "within" where the training images have classes, else "any".

    Raises ConfigError for an unknown word, for "within" without classes, and for labels that miss
    an image or a class.
    """
    if pairing not in ("auto", "within", "any"):
        raise ConfigError(f"generate.pairing is {pairing!r}; use one of auto, within, any.")
    classed = has_classes(sources)
    if pairing == "within" and not classed:
        raise ConfigError(
            "generate.pairing is 'within', but the images have no classes. Use 'any' or 'auto', or "
            "put the images of each class into a folder of its own."
        )
    return ("within" if classed else "any") if pairing == "auto" else pairing


def uses_soft_labels(sources: pa.Table, pairing: str) -> bool:
    """True where parents of different classes may meet: then every sample has a soft label."""
    return has_classes(sources) and resolve_pairing(sources, pairing) == "any"


def build_plan(
    sources: pa.Table, options: PlanOptions, seed: int, side: int | None = None
) -> pa.Table:
    """The plan of a corpus, schema PLAN, N * (ratio + 1) rows in shard order.

    side: of the images in pixels; needed by methods that paste, whose lambdas are whole pixels.

    Only rows of `sources` with status "train" become images. Raises ConfigError for options that
    cannot be met (a class with one image, say) and InputError for a corpus without images.
    """
    _check_options(options)
    within = resolve_pairing(sources, options.pairing) == "within"  # images pair in their class
    corpus = read_training_images(sources, classes=within)
    one_parent = options.method in ONE_PARENT
    if options.ratio and not one_parent:
        _check_lone(sources, corpus, options.lone_class)
    count = len(corpus.rows)
    itself = _Pairs(np.arange(count), np.ones(count))
    shards = shards_of(count, options.shard_size)
    rounds = [real_round(corpus, shard_size=options.shard_size, seed=seed)]
    for round_ in range(1, options.ratio + 1):
        pairs = itself if one_parent else _draw_pairs(corpus, round_, options.alpha, seed)
        if options.method in PASTING:
            assert side is not None
            shares = whole_pixels(options.method, pairs.lambdas, side)
            pairs = _Pairs(pairs.partners, shares)
        rounds.append(
            round_table(
                corpus,
                RoundImages(np.arange(count), pairs.partners, pairs.lambdas, corpus.classes),
                round_,
                (round_ - 1) * shards,
                method=options.method,
                shard_size=options.shard_size,
                seed=seed,
            )
        )
    return pa.concat_tables(rounds).combine_chunks()


def whole_pixels(method: str, lambdas: Floats, side: int) -> Floats:
    """The nearest lambdas that are a share of whole pixels: cutmix leaves out a square."""
    if method == "cutmix":
        left_out = np.rint(side * np.sqrt(1.0 - lambdas)) ** 2
    else:
        left_out = side**2 - np.rint(lambdas * side**2)
    shares: Floats = 1.0 - left_out / side**2
    return shares


def group_by_shard(plan: pa.Table) -> dict[str, pa.Table]:
    """Shard name -> its rows, both in plan order. Raises ScoreMixError if a shard is in pieces."""
    names = np.array(plan["shard"].to_pylist(), dtype=object)
    if not len(names):
        return {}
    starts = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1).tolist(), len(names)]
    shards: dict[str, pa.Table] = {}
    for start, end in zip(starts, starts[1:], strict=False):
        if names[start] in shards:
            raise ScoreMixError(f"Plan rows of shard {names[start]} are not adjacent.")
        shards[names[start]] = plan.slice(start, end - start)
    return shards


_DIGESTED = 65_536  # rows that are Python's objects at a time


def rows_digest(rows: pa.Table) -> str:
    """sha256 of the plan columns in a canonical form.

    Depends only on the values, not on chunking, Parquet or pyarrow; a manifest has the digest of
    the plan rows that it was made from.
    """
    digest = hashlib.sha256(json.dumps(PLAN.names).encode())
    encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
    for batch in rows.select(PLAN.names).to_batches(max_chunksize=_DIGESTED):
        columns = [column.to_pylist() for column in batch.columns]
        for row in zip(*columns, strict=True):
            digest.update(b"\n" + encode(row).encode())
    return digest.hexdigest()


def soft_label(class_1: int, class_2: int, lambda_: float, classes: int) -> list[float]:
    """Class weights of a mixture, length `classes`, sum 1: lambda for class_1, the rest class_2."""
    label = [0.0] * classes
    label[class_1] += lambda_
    label[class_2] += 1.0 - lambda_
    return label


def _check_options(options: PlanOptions) -> None:
    if not 0 <= options.ratio <= MAX_RATIO:
        raise ConfigError(f"generate.ratio is {options.ratio}; it must be 0 to {MAX_RATIO}.")
    if not (options.alpha > 0 and math.isfinite(options.alpha)):
        raise ConfigError(f"generate.alpha is {options.alpha}; it must be a number above 0.")
    if options.lone_class not in ("refuse", "self"):
        raise ConfigError(f"generate.lone_class is {options.lone_class!r}; use 'refuse' or 'self'.")
    if options.shard_size < 1:
        raise ConfigError(f"write.shard_size is {options.shard_size}; it must be at least 1.")
    if options.method == "real":
        raise ConfigError("generate.method 'real' is the mark of images that were not made.")


def _check_lone(sources: pa.Table, corpus: TrainingImages, lone_class: str) -> None:
    """Refuses groups in which an image has no partner, unless it may pair with itself."""
    ids, counts = np.unique(corpus.classes, return_counts=True)
    lone = ids[counts == 1].tolist()
    if not lone or lone_class == "self":
        return
    remedy = (
        "Add images, or let a lone image pair with itself (generate.lone_class: self: its "
        "augmented images are versions of that one image)"
    )
    if lone == [-1]:
        raise ConfigError(
            "The corpus has one image, which has no partner to mix with. Cut it into squares, as"
            " one-shot translation does (ingest.patches: {per_image: 16, size: 128}), add images,"
            " or let it pair with itself (generate.lone_class: self: its augmented images are"
            " versions of that one image)."
        )
    names = class_names(sources)
    raise ConfigError(
        f"{len(lone)} of {len(ids)} classes have one image, which has no partner within its class: "
        f"{quoted_names([names[id_] for id_ in lone])}. {remedy}, or mix across classes "
        "(generate.pairing: any: labels become soft). Single images of one-shot translation are "
        "cut into squares instead: ingest.patches."
    )


def _draw_pairs(corpus: TrainingImages, round_: int, alpha: float, seed: int) -> _Pairs:
    """Partner, uniform over the image's group without itself, then lambda; each image's own stream.

    The only image of a group is its own partner.
    """
    by_group = np.argsort(corpus.classes, kind="stable")
    _, inverse, counts = np.unique(corpus.classes, return_inverse=True, return_counts=True)
    starts = (np.cumsum(counts) - counts)[inverse]  # where an image's group begins in by_group
    sizes = counts[inverse]
    ranks = np.empty_like(starts)  # place of an image within its group
    ranks[by_group] = np.arange(len(by_group)) - starts[by_group]
    choices = np.zeros_like(starts)
    lambdas = np.empty(len(starts))
    for place, (key, size) in enumerate(zip(corpus.keys, sizes.tolist(), strict=True)):
        random = stream(image_seed(seed, f"{key}-{round_:03d}"), "plan")
        if size > 1:
            choices[place] = random.integers(size - 1)
        lambdas[place] = random.beta(alpha, alpha)
    choices += (choices >= ranks) & (sizes > 1)  # the n - 1 others: step over the image itself
    return _Pairs(by_group[starts + choices], lambdas)
