"""Precision, recall, density and coverage: fidelity and diversity of a set of images.

Sources: Kynkaanniemi et al. 2019, "Improved Precision and Recall Metric for Assessing Generative
Models"; Naeem et al. 2020, "Reliable Fidelity and Diversity Metrics for Generative Models". A set
is modelled as the union of balls around its members, each reaching to its k-th nearest neighbour.

All four depend on the number of images: compare only figures of equal n, m and k, and with the
figures of held-out real images.
"""

from dataclasses import dataclass

import numpy as np

from .neighbours import Vectors, inside, nearest

K = 5  # neighbours, as Naeem et al. advise


@dataclass(frozen=True)
class Prdc:
    """The four metrics of one set of images, and the sizes that they depend on."""

    precision: float  # share of fake images inside the balls of real ones: do they look real
    recall: float  # share of real images inside the balls of fake ones: is all of it there
    density: float  # real balls that hold a fake image, over k: about 1 for equal distributions
    coverage: float  # share of real balls that hold a fake image
    k: int
    real_n: int
    fake_n: int


def prdc(real: Vectors, fake: Vectors, k: int = K) -> Prdc:
    """Kynkaanniemi 2019 (precision, recall) and Naeem 2020 (density, coverage), exactly.

    real (m, D), fake (n, D) features.

    Raises:
        ValueError: no more than k images in one of the sets.
    """
    for name, vectors in (("real", real), ("fake", fake)):
        if len(vectors) <= k:
            raise ValueError(
                f"precision and recall over {k} neighbours need more than {k} images, but there are"
                f" {len(vectors)} {name} ones: add images or lower k"
            )
    real_radii, fake_radii = (
        nearest(vectors, vectors, k, leave_own_out=True).squared[:, -1] for vectors in (real, fake)
    )
    fakes_in_real = inside(fake, real, real_radii)
    reals_in_fake = inside(real, fake, fake_radii)
    return Prdc(
        precision=float(np.mean(fakes_in_real.balls > 0)),
        recall=float(np.mean(reals_in_fake.balls > 0)),
        density=float(np.mean(fakes_in_real.balls) / k),
        coverage=float(np.mean(fakes_in_real.held)),
        k=k,
        real_n=len(real),
        fake_n=len(fake),
    )


def expected_coverage(real_n: int, fake_n: int, k: int = K) -> float:
    """Coverage of two sets of one continuous distribution, whatever it is (Naeem 2020, eq. 9).

    A ball is empty when the k nearest of the other real_n - 1 + fake_n images are all real.
    """
    empty = 1.0
    for i in range(1, k + 1):
        empty *= (real_n - i) / (real_n + fake_n - i)
    return 1.0 - empty
