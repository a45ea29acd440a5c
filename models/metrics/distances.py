"""Frechet and kernel distance between two sets of feature vectors, and a paired comparison.

Everything is float64 numpy. Legend: x (n, D), y (m, D) feature vectors, one image a row;
weights (R, n) how often each row counts in each of R resamples.

Sources: Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule" (Frechet distance of
the Gaussians with the sets' moments); Binkowski et al. 2018, "Demystifying MMD GANs" (unbiased
squared MMD with a cubic kernel). Which network gave the vectors decides what the numbers may be
called: models.features names them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_BLOCK = 1024  # rows of a kernel matrix held at once
_RESAMPLED_DIMENSIONS = 64  # above this, a Frechet distance per resample costs too much
_ENOUGH_PER_DIMENSION = 5  # images per dimension below which a Frechet distance is mostly bias
_RESAMPLES = 1000  # of a kernel distance: the ends of an interval hardly depend on the seed
FRECHET_RESAMPLES = 200  # of the former, at most: each is the roots of a matrix
_TAILS = (2.5, 97.5)  # per cent: a 95 % interval


class Moments(NamedTuple):
    """Mean (D,) and a factor (k, D) with factor^T factor = covariance."""

    mean: Floats
    factor: Floats


def moments(x: ArrayLike) -> Moments:
    """Sample mean and covariance (over n - 1), as a factor with at most min(n, D) rows.

    Raises:
        ValueError: fewer than two vectors, or values that are not finite.
    """
    vectors = _vectors(x)
    mean = vectors.mean(axis=0)
    factor = (vectors - mean) / np.sqrt(len(vectors) - 1)
    if factor.shape[0] > factor.shape[1]:
        factor = np.linalg.qr(factor, mode="r")
    return Moments(mean, factor)


def frechet_between(a: Moments, b: Moments) -> float:
    """|mu_a - mu_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)), Heusel 2017.

    With C = F^T F the eigenvalues of C_a C_b are the squared singular values of F_a F_b^T, so the
    last trace is their sum: real, non-negative and exact for singular covariances, where a matrix
    square root is neither.
    """
    offset = float(np.sum((a.mean - b.mean) ** 2))
    spread = float(np.sum(a.factor**2) + np.sum(b.factor**2))
    shared = float(np.linalg.svd(a.factor @ b.factor.T, compute_uv=False).sum())
    return max(offset + spread - 2.0 * shared, 0.0)


def frechet_distance(a: ArrayLike, b: ArrayLike) -> float:
    """Frechet distance of two sets (n, D), (m, D), in squared feature units.

    Biased upwards, the more so the fewer images: see `is_biased`.
    """
    return frechet_between(moments(a), moments(b))


def is_biased(n: int, m: int, dimensions: int) -> bool:
    """Whether a Frechet distance of n and m images is mostly bias: too few images per dimension."""
    return min(n, m) < _ENOUGH_PER_DIMENSION * dimensions


def kernel_within(x: ArrayLike, weights: Floats | None = None) -> Floats:
    """Mean of k(x_i, x_j) over pairs i != j, per row of weights; (R,), or (1,) without weights.

    k(x, y) = (x.y / D + 1)^3. Pairs are distinguished by the ORIGINAL index: a bootstrap resample
    holds some images twice, and pairing an image with its own copy would bring the diagonal back
    that the unbiased estimate leaves out. With multiplicities w the estimate is
    sum_{i != j} w_i w_j k_ij / sum_{i != j} w_i w_j; as E[w_i w_j] is one constant for i != j,
    its numerator is on average proportional to the full-sample sum.

    Raises:
        ValueError: fewer than two vectors, or values that are not finite.
    """
    vectors = _vectors(x)
    counts = np.ones((1, len(vectors))) if weights is None else weights
    sums = _weighted_sums(vectors, vectors, counts, counts)
    own = (np.sum(vectors**2, axis=1) / vectors.shape[1] + 1.0) ** 3
    pairs = counts.sum(axis=1) ** 2 - np.sum(counts**2, axis=1)
    # A resample of one image, repeated, has no pair: NaN, which interval_95 leaves out.
    with np.errstate(divide="ignore", invalid="ignore"):
        means: Floats = np.where(pairs > 0, (sums - counts**2 @ own) / pairs, np.nan)
    return means


def kernel_between(
    x: ArrayLike,
    y: ArrayLike,
    weights_x: Floats | None = None,
    weights_y: Floats | None = None,
) -> Floats:
    """Mean of k(x_i, y_j) over all pairs, per row of weights; (R,), or (1,) without weights."""
    a, b = _vectors(x), _vectors(y)
    counts_a = np.ones((1, len(a))) if weights_x is None else weights_x
    counts_b = np.ones((1, len(b))) if weights_y is None else weights_y
    sums = _weighted_sums(a, b, counts_a, counts_b)
    means: Floats = sums / (counts_a.sum(axis=1) * counts_b.sum(axis=1))
    return means


def kernel_distance(a: ArrayLike, b: ArrayLike, within_b: float | None = None) -> float:
    """Unbiased squared MMD of two sets (n, D), (m, D) with the cubic kernel, Binkowski 2018.

    From the whole sets rather than averaged over subsets of 1,000 as is customary: the same
    expectation, less variance, no random choice. It is unbiased, so it scatters around 0 (and may
    be negative) for two sets of one distribution. Raw values; reports multiply by 1,000.

    within_b: kernel_within(b), where the caller compares many sets with one.
    """
    own = float(kernel_within(b)[0]) if within_b is None else within_b
    return float(kernel_within(a)[0] - 2.0 * kernel_between(a, b)[0]) + own


class Reference:
    """The real images (m, D) that many sets are compared with; their own terms are computed once.

    Raises:
        ValueError: fewer than two vectors, or values that are not finite.
    """

    def __init__(self, vectors: ArrayLike) -> None:
        self.vectors = _vectors(vectors)
        self.moments = moments(self.vectors)
        self.within = float(kernel_within(self.vectors)[0])

    def kernel(self, x: ArrayLike) -> float:
        """`kernel_distance` of x (n, D), raw."""
        return kernel_distance(x, self.vectors, self.within)

    def frechet(self, x: ArrayLike) -> float:
        """`frechet_distance` of x (n, D), in squared feature units."""
        return frechet_between(moments(x), self.moments)


@dataclass(frozen=True)
class Comparison:
    """Distances of two versions of the same n images to m reference images.

    Differences are after minus before: negative is better. Intervals hold 95 % of the resamples.
    """

    n: int
    reference_n: int
    dimensions: int
    resamples: int
    kd_before: float
    kd_after: float
    kd_interval: tuple[float, float]
    fd_before: float
    fd_after: float
    fd_interval: tuple[float, float] | None  # None above 64 dimensions: not resampled
    fd_biased: bool  # too few images for its dimensions: mostly bias

    @property
    def kd_difference(self) -> float:
        """Kernel distance after less before; raw."""
        return self.kd_after - self.kd_before

    @property
    def fd_difference(self) -> float:
        """Frechet distance after less before."""
        return self.fd_after - self.fd_before


def compare(
    reference: ArrayLike | Reference,
    mixup: ArrayLike,
    final: ArrayLike,
    seed: int,
    resamples: int = _RESAMPLES,
    *,
    frechet: bool = True,
) -> Comparison:
    """Compares two versions of the same images by a paired bootstrap of their distances.

    reference (m, D); mixup and final (n, D), the same plan row at the same place. A paired
    bootstrap: every resample draws n rows with replacement, the SAME for both, and m reference
    images, so what the two have in common cancels in the difference (the reference's own kernel
    mean does so exactly and is left out). The interval is over the choice of rows and reference
    images, for this corpus and this network. Equal arguments give equal numbers.

    frechet: whether its difference is resampled, by some of the resamples.

    Raises:
        ValueError: unpaired sets, fewer than two vectors, or values that are not finite.
    """
    target = reference if isinstance(reference, Reference) else Reference(reference)
    y, before, after = target.vectors, _vectors(mixup), _vectors(final)
    if before.shape != after.shape:
        raise ValueError(f"a paired comparison of {before.shape} with {after.shape} vectors")
    random = np.random.default_rng(seed)
    rows, images = (_multiplicities(len(x), resamples, random) for x in (before, y))
    kd_before, kd_after = (_without_own_term(x, y, rows, images) for x in (before, after))
    fd_interval = None
    if frechet and y.shape[1] <= _RESAMPLED_DIMENSIONS:
        rows, images = rows[:FRECHET_RESAMPLES], images[:FRECHET_RESAMPLES]
        sets = [_resampled_moments(x, rows) for x in (before, after)]
        fds = _resampled_frechet(sets, _resampled_moments(y, images))
        fd_interval = interval_95(fds[1] - fds[0])
    return Comparison(
        n=len(before),
        reference_n=len(y),
        dimensions=y.shape[1],
        resamples=resamples,
        kd_before=float(kd_before[0]) + target.within,
        kd_after=float(kd_after[0]) + target.within,
        kd_interval=interval_95((kd_after - kd_before)[1:]),
        fd_before=target.frechet(before),
        fd_after=target.frechet(after),
        fd_interval=fd_interval,
        fd_biased=is_biased(len(before), len(y), y.shape[1]),
    )


def resampled_kernel(reference: Reference, x: ArrayLike, seed: int, resamples: int = 200) -> Floats:
    """Kernel distance of x (n, D), of the whole set first and then of each resample; (1 + R,).

    Sets of one size are resampled alike, and so is the reference: the difference of two results is
    a paired bootstrap where the i-th images of both belong together (as samples of one latent do),
    and an unpaired one where they do not. Reference images' share of the spread cancels in it.

    Raises:
        ValueError: fewer than two vectors, or values that are not finite.
    """
    vectors, y = _vectors(x), reference.vectors
    images = _multiplicities(len(y), resamples, np.random.default_rng([seed, 0]))
    rows = _multiplicities(len(vectors), resamples, np.random.default_rng([seed, 1]))
    distances: Floats = _without_own_term(vectors, y, rows, images)
    distances[0] += reference.within
    distances[1:] += kernel_within(y, images)
    return distances


def _without_own_term(x: Floats, y: Floats, rows: Floats, images: Floats) -> Floats:
    """MMD^2 less the reference's own term: of the whole sets, then of every resample; (1 + R,)."""
    rows = np.concatenate([np.ones((1, len(x))), rows])
    images = np.concatenate([np.ones((1, len(y))), images])
    return kernel_within(x, rows) - 2.0 * kernel_between(x, y, rows, images)


def _multiplicities(n: int, resamples: int, random: np.random.Generator) -> Floats:
    """How often each of n rows is drawn; (R, n), every row sums to n."""
    return random.multinomial(n, np.full(n, 1.0 / n), size=resamples).astype(np.float64)


def interval_95(values: Floats) -> tuple[float, float]:
    """The 2.5th and 97.5th percentile of resampled values (R,); NaN is left out."""
    low, high = np.nanpercentile(values, _TAILS)
    return float(low), float(high)


class _Resampled(NamedTuple):
    """Moments of R resamples: means (R, D), covariances (R, D, D)."""

    means: Floats
    covariances: Floats


def _resampled_moments(x: Floats, weights: Floats) -> _Resampled:
    """Mean and covariance of x (n, D) under each row of weights (R, n)."""
    n, dimensions = x.shape
    centre = x.mean(axis=0)
    centred = x - centre
    means = weights @ centred / n
    # All products of two coordinates in one matrix product: a hundred small ones are slower.
    row, column = np.triu_indices(dimensions)
    covariances = np.empty((len(weights), dimensions, dimensions))
    covariances[:, row, column] = weights @ (centred[:, row] * centred[:, column])
    covariances[:, column, row] = covariances[:, row, column]
    covariances -= n * means[:, :, None] * means[:, None, :]
    return _Resampled(means + centre, covariances / (n - 1))


def _resampled_frechet(sets: list[_Resampled], target: _Resampled) -> list[Floats]:
    """Frechet distance of each set's resamples to the target's; (R,) each."""
    values, vectors = np.linalg.eigh(target.covariances)
    root = (vectors * np.sqrt(values.clip(min=0.0))[:, None, :]) @ vectors.transpose(0, 2, 1)
    distances = []
    for each in sets:
        offset = np.sum((each.means - target.means) ** 2, axis=1)
        both = each.covariances + target.covariances
        shared = np.linalg.eigvalsh(root @ each.covariances @ root).clip(min=0.0)
        spread = np.trace(both, axis1=1, axis2=2)
        distances.append(offset + spread - 2.0 * np.sqrt(shared).sum(axis=1))
    return distances


class KernelSums(NamedTuple):
    """Sums of k(x_i, y_j) over j, (n,), and over i, (m,)."""

    rows: Floats
    columns: Floats


def kernel_sums(x: Floats, y: Floats) -> KernelSums:
    """Row and column sums of the kernel of x (n, D) and y (m, D), computed block by block."""
    rows, columns = np.empty(len(x)), np.zeros(len(y))
    for block, kernel in _kernel_blocks(x, y):
        rows[block] = kernel.sum(axis=1)
        columns += kernel.sum(axis=0)
    return KernelSums(rows, columns)


def kernel_of_measures(x: Floats, y: Floats, weights: Floats) -> Floats:
    """sum_j w_rj k(x_i, y_j) of x (n, D) and y (m, D) for each row of weights (R, m); (R, n)."""
    sums = np.empty((len(weights), len(x)))
    for block, kernel in _kernel_blocks(x, y):
        sums[:, block] = weights @ kernel.T
    return sums


def _kernel_blocks(x: Floats, y: Floats) -> Iterator[tuple[slice, Floats]]:
    """Blocks of rows of k(x, y) = (x.y / D + 1)^3, with their place."""
    for start in range(0, len(x), _BLOCK):
        block = slice(start, start + _BLOCK)
        kernel = x[block] @ y.T / x.shape[1] + 1.0
        cube = kernel * kernel  # not kernel**3: NumPy computes that by pow, ten times as slowly
        cube *= kernel
        yield block, cube


def _weighted_sums(x: Floats, y: Floats, weights_x: Floats, weights_y: Floats) -> Floats:
    """sum_ij w_i k(x_i, y_j) v_j per row of weights, (R,), computed block by block."""
    sums = np.zeros(len(weights_x))
    for block, kernel in _kernel_blocks(x, y):
        sums += np.sum((weights_x[:, block] @ kernel) * weights_y, axis=1)
    return sums


def _vectors(x: ArrayLike) -> Floats:
    """x as float64 (n, D); raises ValueError for fewer than two vectors, or not finite ones."""
    vectors = np.asarray(x, dtype=np.float64)
    if vectors.ndim != 2 or len(vectors) < 2:
        raise ValueError(f"a distance needs two or more vectors (n, D), got {vectors.shape}")
    if not np.isfinite(vectors).all():
        raise ValueError("feature vectors hold values that are not finite numbers")
    return vectors
