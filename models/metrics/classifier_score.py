"""The Inception Score, whatever the classifier (Salimans et al. 2016).

exp(E_x KL(p(y|x) || p(y))): between 1 and the number of classes; high when each image is classified
with certainty and all classes occur. It does not use real images, so a copy of the training set
scores as high as the training set: compare it with the score of real images.
"""

from dataclasses import dataclass

import numpy as np

from .neighbours import Floats, Vectors

SPLITS = 10
_ENOUGH_PER_CLASS = 10  # images in a split per class, below which p(y) is mostly chance


@dataclass(frozen=True)
class ClassifierScore:
    """The mean score over the splits, and how far it can be trusted."""

    mean: float
    std: float  # over the splits
    splits: int
    classes: int
    biased: bool  # too few images in a split to know p(y): the score is too low


def classifier_score(
    outputs: Vectors, splits: int = SPLITS, *, probabilities: bool = False
) -> ClassifierScore:
    """exp of the mean KL divergence of p(y|x) from p(y), per split (Salimans et al. 2016).

    outputs: (n, classes) logits, or probabilities, in random order: splits are consecutive, as
    published, and a split of one class alone would score 1.

    Raises:
        ValueError: fewer images than splits, or rows that are no probabilities.
    """
    values = np.asarray(outputs, dtype=np.float64)
    if values.ndim != 2 or not 1 <= splits <= len(values) or not np.isfinite(values).all():
        raise ValueError(
            f"a classifier score in {splits} splits needs that many finite rows (n, classes), got"
            f" {values.shape}"
        )
    p, log_p = _normalised(values) if probabilities else _softmax(values)
    edges = [i * len(p) // splits for i in range(splits + 1)]
    scores = []
    for start, end in zip(edges[:-1], edges[1:], strict=True):
        part, logs = p[start:end], log_p[start:end]
        marginal = part.mean(axis=0)
        # Where p is 0 it contributes 0 ln 0 = 0.
        known = np.log(np.where(marginal > 0, marginal, 1.0))
        gain = part * (np.where(part > 0, logs, 0.0) - known)
        scores.append(float(np.exp(gain.sum(axis=1).mean())))
    smallest = len(p) // splits
    biased = smallest < _ENOUGH_PER_CLASS * p.shape[1]
    return ClassifierScore(
        float(np.mean(scores)), float(np.std(scores)), splits, p.shape[1], biased
    )


def _softmax(logits: Floats) -> tuple[Floats, Floats]:
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return np.exp(log_p), log_p


def _normalised(p: Floats) -> tuple[Floats, Floats]:
    sums = p.sum(axis=1)
    if p.min() < 0 or not np.allclose(sums, 1.0, rtol=0, atol=1e-3):
        raise ValueError(
            "rows passed as probabilities are negative or do not sum to 1: pass logits"
            " with probabilities=False"
        )
    with np.errstate(divide="ignore"):
        return p, np.log(p)
