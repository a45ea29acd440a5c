"""Detects copies of training images: the share of near-copies, and the data-copying test C_T.

`find_copies`: an image is a copy where it lies nearer to a training image than a tenth of that
image's own distance to its nearest other training image. Where mixing is linear,
lambda x1 + (1 - lambda) x2 lies f |x1 - x2| from its nearer parent, f = min(lambda, 1 - lambda),
and |x1 - x2| is no less than the parent's own distance: a mixture with f >= .1 is no copy of its
parents, however many there are, and one with f < .1 may be: it looks like its parent.
`judge_copying` compares the share of copies with that among held-out images.

`copying_test`: C_T of Meehan, Chaudhuri, Dasgupta 2020, "A Non-Parametric Test to Detect
Data-Copying in Generative Models". Far below 0 where images lie nearer to the training set than
unseen real images do. Good mixtures do, because their parents ARE training images: for them C_T
is reported next to mixup's, and decides nothing.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .distances import interval_95
from .neighbours import Floats, Rows, Vectors, nearest

NEAR = 0.5  # of the distance to the second nearest training image: nearer than that is like a copy
COPY = 0.1  # of a training image's own distance: nearer than that is a copy of it
MIN_IMAGES = 50  # images, judged and held out, below which shares are not compared

_Z95 = 1.959963984540054
_TOLERATED = 0.05  # share of copies that is accepted where nothing is held out
_CELLS = 5  # of the test, at most
_PER_CELL = 20  # held-out images that a cell has on average, and judged ones that it needs
_ROUNDS = 50  # of k-means, at most
_RESAMPLES = 1000  # of a ratio of medians


@dataclass(frozen=True, eq=False)
class Copies:
    """The nearest training image of each of n images."""

    ratios: Floats  # (n,) distance to it, over its own distance to its nearest other one
    distances: Floats  # (n,)
    rows: Rows  # (n,) which training image

    @property
    def n(self) -> int:
        """Images."""
        return len(self.ratios)

    @property
    def count(self) -> int:
        """Images that are copies."""
        return int(np.sum(self.ratios < COPY))

    @property
    def share(self) -> float:
        """Copies over images."""
        return self.count / self.n

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the share."""
        return share_interval_95(self.count, self.n)


def share_interval_95(count: int, n: int) -> tuple[float, float]:
    """The 95 % interval of the share `count` of n (Wilson): valid for none and for all, too."""
    p, z = count / n, _Z95
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # Exactly 0 for none and 1 for all of them: without it, rounding errors remain.
    return 0.0 if p == 0 else centre - half, 1.0 if p == 1 else centre + half


@dataclass(frozen=True)
class CopyVerdict:
    """Whether there are more copies than chance explains."""

    kind: Literal["copying", "not copying", "too few"]
    text: str  # one sentence


@dataclass(frozen=True)
class CopyTest:
    """C_T, and the cells of feature space that it averages."""

    c_t: float  # 0 in expectation for unseen images, below -3 data-copying, above 3 far away
    z: tuple[float, ...]  # of each cell, Mann-Whitney
    cells: int  # requested
    share: float  # of the held-out images that lie in the cells that were used
    seed: int


def training_spacing(training: Vectors) -> Floats:
    """Every training image's distance to the nearest other one; training (N, D) -> (N,).

    At least a tenth of their mean: equal images in the training set do not define what a copy is.

    Raises:
        ValueError: fewer than two training images, or all of them equal.
    """
    distances = nearest(training, training, 1, leave_own_out=True).distances[:, 0]
    if distances.max() == 0:
        raise ValueError(
            f"all {len(training)} training images have a twin with equal features, so copies cannot"
            " be detected: use a network's features or drop the duplicates"
        )
    spacing: Floats = np.maximum(distances, COPY * distances.mean())
    return spacing


def find_copies(x: Vectors, training: Vectors, spacing: Floats | None = None) -> Copies:
    """The nearest training image of every x, and how near it is on that image's own scale.

    x (n, D), training (N, D); spacing: training_spacing(training), (N,), where it is known.

    Raises:
        ValueError: no images, fewer than two training images, or all of them equal.
    """
    spacing = training_spacing(training) if spacing is None else spacing
    neighbours = nearest(x, training)
    rows, distances = neighbours.rows[:, 0], neighbours.distances[:, 0]
    return Copies(distances / spacing[rows], distances, rows)


@dataclass(frozen=True)
class NearCopies:
    """How many of n images lie near one training image and no other."""

    count: int
    n: int

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the share."""
        return share_interval_95(self.count, self.n)

    def exceed(self, other: "NearCopies") -> bool:
        """Whether the share is higher than the other's, beyond both intervals."""
        return self.interval[0] > other.interval[1]


def find_near_copies(x: Vectors, training: Vectors) -> NearCopies:
    """Images of x (n, D) whose nearest training image is nearer than half the second nearest.

    Changed copies are: recompressed, with noise, slightly blurred. Noise, flat images and blurred
    unseen ones may lie nearer to training images than unseen ones do, and lie equally near to many.

    Raises:
        ValueError: fewer than two training images.
    """
    if len(training) < 2:
        raise ValueError(f"two training images are needed, got {len(training)}")
    distances = nearest(x, training, 2).distances
    return NearCopies(int(np.sum(distances[:, 0] < NEAR * distances[:, 1])), len(distances))


def judge_copying(judged: Copies, held_out: Copies | None) -> CopyVerdict:
    """Is the share of copies higher than held-out images have by chance?

    The lower end of its 95 % interval is compared with the upper end of the held-out images'.

    judged: of images with folded lambda >= .1, where the corpus is one of mixtures. held_out: None
        where there are none; then a twentieth is accepted.
    """
    short = [
        f"{each.n} {name} images"
        for name, each in (("judged", judged), ("held-out", held_out))
        if each is not None and each.n < MIN_IMAGES
    ]
    if short:
        return CopyVerdict(
            "too few", f"Copying is not judged: {' and '.join(short)}, {MIN_IMAGES} are needed."
        )
    counts = f"{judged.count:,} of {judged.n:,} images ({judged.share:.1%}) are copies of training"
    counts += f" images (nearer than {COPY:g} of that image's distance to its own nearest)"
    tolerated = _TOLERATED if held_out is None else held_out.interval[1]
    if held_out is not None:
        counts += f"; of {held_out.n:,} held-out images {held_out.count:,} are"
    if judged.interval[0] > tolerated:
        return CopyVerdict("copying", f"COPYING: {counts}.")
    return CopyVerdict("not copying", f"No copying: {counts}.")


def copying_test(
    judged: Vectors, held_out: Vectors, training: Vectors, seed: int, cells: int | None = None
) -> CopyTest:
    """C_T (Meehan et al. 2020) of judged images (n, D), with held-out (m, D) and training (N, D)
    ones.

    cells: of k-means over the training images; None: one per twenty held-out images, five at
        most. C_T is the mean of the cells' z, weighted by their share of the held-out images; a
        cell counts where it has two held-out and twenty judged images (or half of an even share
        of the judged ones, where that is less).

    Raises:
        ValueError: fewer than two images in a set, or no cell has enough of both.
    """
    if min(len(judged), len(held_out), len(training)) < 2:
        raise ValueError(
            f"the copying test needs two images of each set, got {len(judged)} judged,"
            f" {len(held_out)} held out, {len(training)} training images"
        )
    count = cells or max(1, min(_CELLS, len(held_out) // _PER_CELL))
    centres = _centres(training, min(count, len(training)), seed)
    sets = [(nearest(x, centres).rows[:, 0], nearest(x, training).squared[:, 0])
            for x in (held_out, judged)]  # fmt: skip
    needed = max(2, min(_PER_CELL, len(judged) // (2 * len(centres))))
    scores, weights = [], []
    for cell in range(len(centres)):
        real, fake = (squared[cells_of == cell] for cells_of, squared in sets)
        if len(real) >= 2 and len(fake) >= needed:
            scores.append(mann_whitney_z(real, fake))
            weights.append(len(real))
    if not scores:
        raise ValueError(
            f"none of {len(centres)} cells has 2 held-out and {needed} judged images; ask for fewer"
        )
    c_t = float(np.average(scores, weights=weights))
    share = sum(weights) / len(held_out)
    return CopyTest(c_t, tuple(scores), count, share, seed)


def median_ratio(
    x: Floats, y: Floats, seed: int, *, paired: bool
) -> tuple[float, tuple[float, float]]:
    """Median of x (n,) over that of y (m,), and the 95 % interval of its bootstrap.

    paired: x_i and y_i belong together, and are drawn together. Such as distances to the nearest
    training image: below 1 where x lies nearer to them than y does. Where a median of y is 0, the
    ratio is 1: no x can be nearer.
    """
    random = np.random.default_rng(seed)

    def ratio(a: Floats, b: Floats) -> float:
        below = float(np.median(b))
        return float(np.median(a)) / below if below > 0 else 1.0

    resampled = []
    for _ in range(_RESAMPLES):
        rows = random.integers(len(x), size=len(x))
        others = rows if paired else random.integers(len(y), size=len(y))
        resampled.append(ratio(x[rows], y[others]))
    return ratio(x, y), interval_95(np.array(resampled))


def mann_whitney_z(real: Floats, fake: Floats) -> float:
    """Z_U of Meehan et al.: (U - nm/2) / sqrt(nm (n + m + 1) / 12), U the pairs with fake > real.

    Ties count one half. Negative where the fake ones' distances are the smaller.
    """
    ordered = np.sort(real)
    below = np.searchsorted(ordered, fake, side="left")
    not_above = np.searchsorted(ordered, fake, side="right")
    u = float(np.sum(below + not_above)) / 2.0
    n, m = len(real), len(fake)
    return (u - n * m / 2.0) / math.sqrt(n * m * (n + m + 1) / 12.0)


def _centres(x: Vectors, k: int, seed: int) -> Floats:
    """Means of k clusters of x: k-means++ and Lloyd's rounds; equal arguments, equal centres."""
    random = np.random.default_rng(seed)
    chosen = [int(random.integers(len(x)))]
    squared = nearest(x, x[chosen]).squared[:, 0]
    while len(chosen) < k and squared.max() > 0:
        chosen.append(int(random.choice(len(x), p=squared / squared.sum())))
        squared = np.minimum(squared, nearest(x, x[chosen[-1:]]).squared[:, 0])
    centres = np.asarray(x[chosen], dtype=np.float64)
    before = np.full(len(x), -1)
    for _ in range(_ROUNDS):
        cells = nearest(x, centres).rows[:, 0]
        if np.array_equal(cells, before):
            break
        before = cells
        for cell in np.unique(cells):  # a cell that lost its last image keeps its centre
            centres[cell] = np.mean(x[cells == cell], axis=0, dtype=np.float64)
    return centres
