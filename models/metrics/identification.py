"""Identification: which class is this image of? By the nearest embedding, in cosine.

Where several are equally near, the answer counts for the share of them that is right: what choosing
among them at random gives on average.
"""

import numpy as np
from numpy.typing import NDArray

from .verification import normalised

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]

WAYS = 20  # classes of an episode, as few-shot learning has it (Lake et al. 2015)
_BLOCK = 512  # probes at once


def rank_one(embeddings: NDArray[np.floating], labels: Rows) -> float:
    """The share of images (N, E) whose nearest other image is of their class; leave one out.

    Images that are alone in their class (N,) are no probes, but others may be nearest to them.

    Raises:
        ValueError: no class has two images.
    """
    unit = normalised(embeddings)
    _, numbers, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    probes = np.flatnonzero(sizes[numbers] > 1)
    if not len(probes):
        raise ValueError("rank-1 identification needs a class with two images; there is none")
    right = 0.0
    for start in range(0, len(probes), _BLOCK):
        rows = probes[start : start + _BLOCK]
        scores = unit[rows] @ unit.T
        scores[np.arange(len(rows)), rows] = -np.inf
        right += float(_shares(scores, labels[rows][:, None] == labels[None]).sum())
    return right / len(probes)


def _shares(scores: Floats, is_right: NDArray[np.bool_]) -> Floats:
    """(B,) of the highest scores in each row (B, G), the share that is right."""
    best = scores >= scores.max(axis=1, keepdims=True)
    shares: Floats = (best & is_right).sum(axis=1) / best.sum(axis=1)
    return shares


def one_shot(
    embeddings: NDArray[np.floating],
    labels: Rows,
    episodes: int,
    random: np.random.Generator,
    ways: int = WAYS,
) -> float:
    """The share of right answers over episodes of `ways` classes with one known image each.

    An episode draws classes with two images or more, of each a known image and another to be named.

    Raises:
        ValueError: fewer than `ways` such classes.
    """
    unit = normalised(embeddings)
    order = np.argsort(labels, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    of_class = [part for part in parts if len(part) > 1]
    if len(of_class) < ways:
        raise ValueError(
            f"{ways}-way episodes need {ways} classes with two images; found {len(of_class)}"
        )
    own, right = np.eye(ways, dtype=np.bool_), 0.0
    for _ in range(episodes):
        chosen = random.choice(len(of_class), ways, replace=False)
        drawn = np.array([random.choice(of_class[c], 2, replace=False) for c in chosen])
        scores = unit[drawn[:, 1]] @ unit[drawn[:, 0]].T
        right += float(_shares(scores, own).sum())
    return right / (ways * episodes)
