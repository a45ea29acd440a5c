"""Distances of mixtures of several sets in given shares, from one sample of each set.

A corpus at ratio r holds real and augmented images 1 : r; samples of each, of any size, give the
distance of every such mixture. Legend: sets k of (n_k, D), shares (R, k), rows sum to 1.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from .distances import (
    Floats,
    Moments,
    Reference,
    frechet_between,
    kernel_between,
    kernel_within,
    moments,
)


def kernel_of_mixtures(
    sets: Sequence[ArrayLike],
    shares: Floats,
    reference: Reference,
    counts: Floats | None = None,
) -> Floats:
    """Squared MMD of each mixture to the reference; (R,).

    E k(P, P) of a mixture P = sum w_k P_k is sum w_j w_k E k(P_j, P_k), each term unbiased by
    itself: pairs of different images within a set, all pairs between two.

    counts (R, k): how many images of each set the mixture has; the sets given are samples of them.
    An image is then paired with itself, too, as often as one draws it twice from so many: the
    distance is that of the finite corpus as a distribution, which repeating images leaves where it
    is. None: of the distributions that the sets are samples of.

    Raises:
        ValueError: shares that do not sum to 1, or a set of fewer than two vectors.
    """
    _check(sets, shares)
    number = len(sets)
    between, own = np.empty((number, number)), np.empty(number)
    for i, each in enumerate(sets):
        between[i, i] = kernel_within(each)[0]
        x = np.asarray(each, dtype=np.float64)
        own[i] = np.mean((np.sum(x**2, axis=1) / x.shape[1] + 1.0) ** 3)
        for j in range(i):
            between[i, j] = between[j, i] = kernel_between(each, sets[j])[0]
    towards = np.array([kernel_between(each, reference.vectors)[0] for each in sets])
    within = np.einsum("ri,ij,rj->r", shares, between, shares)
    if counts is not None:
        twice = np.divide(shares**2, counts, out=np.zeros_like(shares), where=shares > 0)
        within += twice @ (own - np.diag(between))
    distances: Floats = within - 2.0 * shares @ towards + reference.within
    return distances


def frechet_of_mixtures(sets: Sequence[ArrayLike], shares: Floats, reference: Reference) -> Floats:
    """Frechet distance of each mixture's mean and covariance to the reference's; (R,).

    A mixture's covariance is the mean of the sets' own and of their means' spread.

    Raises:
        ValueError: shares that do not sum to 1, or a set of fewer than two vectors.
    """
    _check(sets, shares)
    parts = [moments(each) for each in sets]
    means = np.stack([part.mean for part in parts])
    distances = []
    for share in shares:
        mean = share @ means
        factors = [np.sqrt(w) * part.factor for w, part in zip(share, parts, strict=True) if w]
        spread = np.sqrt(share)[:, None] * (means - mean)
        factor: Floats = np.concatenate([*factors, spread])
        if factor.shape[0] > factor.shape[1]:
            factor = np.asarray(np.linalg.qr(factor, mode="r"))
        distances.append(frechet_between(Moments(mean, factor), reference.moments))
    return np.array(distances)


def distances_of_repeated(
    x: ArrayLike, counts: Floats, reference: Reference
) -> tuple[Floats, Floats]:
    """Kernel and Frechet distance of corpora that hold x_i (n, D) counts_ri times; (R,) each.

    Of each corpus as a distribution, as `kernel_of_mixtures` with counts: exact, no sample.
    """
    vectors = np.asarray(x, dtype=np.float64)
    within = kernel_between(vectors, vectors, counts, counts)
    each = np.ones((len(counts), len(reference.vectors)))
    towards = kernel_between(vectors, reference.vectors, counts, each)
    kernel: Floats = within - 2.0 * towards + reference.within
    frechet = []
    for share in counts / counts.sum(axis=1, keepdims=True):
        mean = share @ vectors
        factor: Floats = np.sqrt(share)[:, None] * (vectors - mean)
        if factor.shape[0] > factor.shape[1]:
            factor = np.asarray(np.linalg.qr(factor, mode="r"))
        frechet.append(frechet_between(Moments(mean, factor), reference.moments))
    return kernel, np.array(frechet)


def _check(sets: Sequence[ArrayLike], shares: Floats) -> None:
    whole = np.allclose(shares.sum(axis=1), 1.0) and (shares >= 0).all()
    if shares.shape[1] != len(sets) or not whole:
        raise ValueError(
            f"shares of {len(sets)} sets, not negative, with rows that sum to 1 are needed, got"
            f" {shares.tolist()}"
        )
