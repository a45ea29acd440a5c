"""Paired differences over a few seeds: Student's distribution, and Holm's rule for several of them.

Sources: for whole degrees of freedom the distribution has a closed form (Abramowitz and Stegun
1964, 26.7.3 and 26.7.4); Holm 1979, Scandinavian Journal of Statistics 6, 65 to 70.
"""

import math
from collections.abc import Hashable, Mapping
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)


def two_sided_p(t: float, freedom: int) -> float:
    """P(|T| >= |t|) for Student's T with `freedom` degrees of freedom, 1 or more."""
    angle = math.atan2(abs(t), math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    odd = freedom % 2
    term, total = (cosine if odd else 1.0), 0.0
    for power in range(1 + odd, freedom, 2):
        total += term
        term *= cosine**2 * power / (power + 1)
    inside = 2 / math.pi * (angle + sine * total) if odd else sine * total
    return max(0.0, 1.0 - inside)


def student_quantile(share: float, freedom: int) -> float:
    """The t with P(|T| <= t) = share, 0 <= share < 1."""
    low, high = 0.0, 1.0
    while two_sided_p(high, freedom) > 1.0 - share:
        low, high = high, 2.0 * high
    for _ in range(60):
        middle = (low + high) / 2
        if two_sided_p(middle, freedom) > 1.0 - share:
            low = middle
        else:
            high = middle
    return high


def holm(p: Mapping[Name, float], level: float = 0.05) -> set[Name]:
    """The comparisons that are clear together: by chance one or more with probability `level`."""
    clear = set[Name]()
    for rank, name in enumerate(sorted(p, key=lambda name: p[name])):
        if p[name] > level / (len(p) - rank):
            break
        clear.add(name)
    return clear
