"""Interval of a corpus's kernel distance less that of its real images alone, at each ratio.

The distance of a corpus is KD(A) + KD(E) - KD(B): A holds the real images and a sample of the made
ones, B copies of the nearer parents instead of that sample, E the copies of the whole corpus, which
is the control variate of `stages.evaluate.by_ratio`. Without the features of all training images B
and E are left out.

The influence of every training image, made image and held-out image on the difference is computed;
images that share a parent are correlated, and so is a made image with its own parents
(`dyads.dyadic_variance`). So the interval covers other training images of the same kind, too.

Sources: those of dyads.py. Legend: k (x, y) = (x.y / D + 1)^3; a measure P is a row of weights that
sum to 1; g_P(x) = 2 (E k(x, P) - E k(x, Q)), the derivative of the squared MMD of P and Q.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .distances import Floats, Reference, kernel_of_measures
from .dyads import TWO_SIDED, dyadic_variance

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class SampledCorpus:
    """A corpus at R ratios, the first of which is 0, from a sample of its made images."""

    training: Floats  # (N, D)
    training_rows: Rows  # (N,) numbers by which `parents` names them
    alone: Floats  # (N,) weights of the corpus at ratio 0: real images alone
    made: Floats  # (n, D)
    parents: Rows  # (n, 2)
    groups: Rows  # (n,) the stratum of each made image, within which shares are known
    real_share: Floats  # (R,) of real images in the corpus
    made_weights: Floats  # (R, n): each made image stands for so much of the corpus
    nearer: Rows | None = None  # (n,) place in `training` of each made image's nearer parent
    copies: Floats | None = None  # (R, N) weights of E; None together with `nearer`


def half_widths(corpus: SampledCorpus, reference: Reference) -> Floats:
    """Half of the 95 % interval of the difference to ratio 0, at each ratio; (R,), 0 at ratio 0.

    A normal interval of first order.
    """
    alone = corpus.alone[None, :]
    real = corpus.real_share[:, None] * alone
    repeated = real.copy()
    if corpus.nearer is not None:
        np.add.at(repeated.T, corpus.nearer, corpus.made_weights.T)
    whole = np.zeros_like(real) if corpus.copies is None else corpus.copies
    measures = np.concatenate([real, repeated, whole, alone])
    cuts = np.cumsum([len(real)] * 3)

    def mean_kernels(x: Floats) -> list[Floats]:
        """E k(x, P) of x (m, D) for P of A, B, E, each (R, m), and of the real images, (1, m)."""
        a, b, e, first = np.split(kernel_of_measures(x, corpus.training, measures), cuts)
        return [a + kernel_of_measures(x, corpus.made, corpus.made_weights), b, e, first]

    at_training, at_made, at_reference = map(
        mean_kernels, (corpus.training, corpus.made, reference.vectors)
    )
    uniform = np.full((1, len(reference.vectors)), 1.0 / len(reference.vectors))
    q_training, q_made = (
        kernel_of_measures(x, reference.vectors, uniform) for x in (corpus.training, corpus.made)
    )
    a, b, e, first = at_training
    if corpus.copies is None:  # A alone
        of_training = real * _centred(2.0 * (a - q_training), alone)
        of_made, towards = 2.0 * (at_made[0] - q_made), at_reference[0]
    else:
        of_training = real * _centred(2.0 * (a - b), alone)
        of_training += whole * _centred(2.0 * (e - q_training), whole)
        of_made = 2.0 * (at_made[0] - q_made - (b - q_training)[:, corpus.nearer])
        towards = at_reference[0] - at_reference[1] + at_reference[2]
    of_training -= alone * _centred(2.0 * (first - q_training), alone)
    of_reference = -2.0 * (towards - at_reference[3]) / len(reference.vectors)
    return _half_widths(corpus, of_training, of_made, of_reference)


def _half_widths(
    corpus: SampledCorpus, of_training: Floats, of_made: Floats, of_reference: Floats
) -> Floats:
    """From the influence of training images (R, N) and held-out ones (R, m), and the derivative g
    at the made ones (R, n)."""
    for group in np.unique(corpus.groups):
        inside = corpus.groups == group
        of_made[:, inside] -= of_made[:, inside].mean(axis=1, keepdims=True)
    own = np.stack([corpus.training_rows, corpus.training_rows], axis=1)
    parents = np.concatenate([own, corpus.parents])
    influence = np.concatenate([of_training, of_made * corpus.made_weights], axis=1)
    of_reference = of_reference - of_reference.mean(axis=1, keepdims=True)
    variances = np.array([dyadic_variance(images, parents) for images in influence])
    variances += np.sum(of_reference**2, axis=1)
    variances[corpus.real_share == 1.0] = 0.0  # rounding errors
    halves: Floats = TWO_SIDED * np.sqrt(variances)
    return halves


def _centred(values: Floats, weights: Floats) -> Floats:
    """values (R, N) less their mean under weights (R, N) or (1, N)."""
    means: Floats = np.sum(values * weights, axis=1, keepdims=True)
    return values - means
