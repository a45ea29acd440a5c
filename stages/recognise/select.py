"""Which classes new classes mix.

distant   groups of classes whose centres lie far apart: what SM-REC found best
close     groups whose centres lie near each other
random    groups drawn with equal chance

The farthest pairs alone would share one or two classes, which lie apart from all others. So no
class is in more than ceil(members * count / K) of the groups: pairs are taken from the first to the
last while both classes have places left. Where classes with places are left over and no new pair of
them is, they are put into the place of a pair that was taken, whichever costs least.
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...manifests.errors import ConfigError
from ...manifests.plan.methods import Selection
from ...manifests.plan.new_classes import NewClass
from ...manifests.plan.random_streams import image_seed, stream
from .centres import cosine_distances

Floats = NDArray[np.float64]
Group = tuple[int, ...]  # places among the usable classes, ascending
_PAIRS = 2**16  # that are Python's numbers at a time: 10,000 classes have 50 million


def select_classes(
    centres: NDArray[np.floating],
    class_names: Sequence[str],
    count: int,
    how: Selection,
    weights: Sequence[float] = (0.5, 0.5),
    seed: int = 0,
) -> list[NewClass]:
    """`count` new classes of a class for each weight, in the order in which they were chosen.

    centres: (K, E) of the classes `class_names`; NaN for one that cannot be used, having no images.
    weights: of the members' scores, in ascending order of their ids.

    Raises:
        ConfigError: more new classes than there are groups.
    """
    usable = np.flatnonzero(np.isfinite(centres).all(axis=1))
    members = len(weights)
    _check(len(usable), count, members)
    distances = cosine_distances(centres[usable])
    gain = _gains(distances, how, seed)
    groups = _Selector(gain, count, members).groups()
    names, made = set(class_names), []
    for number, group in enumerate(groups):
        classes = tuple(int(usable[place]) for place in group)
        name = "+".join(class_names[each] for each in classes)
        new_id = len(class_names) + number
        name = f"{name}#{new_id}" if name in names else name  # as "a" + "b+c" and "a+b" + "c"
        names.add(name)
        farthest = float(distances[np.ix_(group, group)].max())
        made.append(NewClass(new_id, name, classes, tuple(weights), farthest, how))
    return made


def _check(usable: int, count: int, members: int) -> None:
    most = math.comb(usable, members)
    if not 1 <= count <= most:
        raise ConfigError(
            f"{count:,} new classes of {members} different classes each were asked for, and"
            f" {usable} classes with training images make at most {most:,}. Ask for 1 to {most:,},"
            " or give images of more classes."
        )


def _gains(distances: Floats, how: Selection, seed: int) -> Floats:
    """(K, K) symmetric: the pairs with the greatest are taken first."""
    if how == "distant":
        return distances
    if how == "close":
        return -distances
    drawn = stream(image_seed(seed, "new-classes"), "select").random(distances.shape)
    return np.triu(drawn, 1) + np.triu(drawn, 1).T


class _Selector:
    """Takes groups one after the other; gain: (K, K), of every pair of classes."""

    def __init__(self, gain: Floats, count: int, members: int) -> None:
        self._gain, self._count, self._members = gain, count, members
        self._most = math.ceil(members * count / len(gain))  # groups that a class is in
        self._used = np.zeros(len(gain), np.int64)
        self._groups: list[Group] = []
        self._taken: set[Group] = set()

    def groups(self) -> list[Group]:
        """All of them. Only where the bound cannot be kept is it raised, by one at a time."""
        first, second = np.triu_indices(len(self._gain), 1)
        order = np.argsort(-self._gain[first, second], kind="stable")
        pairs = np.stack([first[order], second[order]], axis=1)
        while len(self._groups) < self._count:
            before = len(self._groups)
            self._take(pairs)
            while len(self._groups) < self._count and self._members == 2 and self._exchange():
                pass
            if len(self._groups) == before:
                self._raise_bound()
        return self._groups

    def _raise_bound(self) -> None:
        """One more group for each class; once it does not bind, the groups that are left."""
        if self._most < self._count:
            self._most += 1
            return
        for group in itertools.combinations(range(len(self._gain)), self._members):
            if group not in self._taken and len(self._groups) < self._count:
                self._add(group)

    def _take(self, pairs: NDArray[np.int64]) -> None:
        """Goes once through the pairs in their order, and takes each with the members that suit it
        where there are places."""
        free = self._used < self._most
        for start in range(0, len(pairs), _PAIRS):
            some = pairs[start : start + _PAIRS]
            for one, other in some[free[some].all(axis=1)].tolist():
                if len(self._groups) == self._count:
                    return
                if free[one] and free[other]:
                    group = self._completed((one, other), free)
                    if group is not None and group not in self._taken:
                        self._add(group)
                        free = self._used < self._most

    def _completed(self, pair: Group, free: NDArray[np.bool_]) -> Group | None:
        """The pair with further members: each time the class with the greatest least gain."""
        group = list(pair)
        while len(group) < self._members:
            least = self._gain[group].min(axis=0)
            least = np.where(free, least, -np.inf)
            least[group] = -np.inf
            if len(group) + 1 == self._members:  # not a group that there is already
                for place in np.flatnonzero(np.isfinite(least)).tolist():
                    if tuple(sorted([*group, place])) in self._taken:
                        least[place] = -np.inf
            best = int(least.argmax())
            if not np.isfinite(least[best]):
                return None
            group.append(best)
        return tuple(sorted(group))

    def _add(self, group: Group) -> None:
        self._groups.append(group)
        self._taken.add(group)
        self._used[list(group)] += 1

    def _exchange(self) -> bool:
        """Replaces one pair (c, d) by (a, c) and (b, d), a and b being left over; False where it
        cannot be done. One class with two places left is both a and b."""
        left = np.flatnonzero(self._used < self._most)
        room = (self._most - self._used)[left]
        if not len(left) or (len(left) == 1 and room[0] < 2):
            return False
        a, b = (int(left[0]), int(left[0 if room[0] > 1 else 1]))
        best: tuple[float, int, Group, Group] | None = None
        for place, (c, d) in enumerate(self._groups):
            for x, y in ((c, d), (d, c)):
                new = tuple(sorted((a, x))), tuple(sorted((b, y)))
                if a == x or b == y or new[0] == new[1] or self._taken & {*new}:
                    continue
                gain = float(self._gain[new[0]] + self._gain[new[1]] - self._gain[c, d])
                if best is None or gain > best[0]:
                    best = gain, place, *new
        if best is None:
            return False
        _, place, one, other = best
        gone = self._groups.pop(place)
        self._taken.remove(gone)
        self._used[list(gone)] -= 1
        self._add(one)
        self._add(other)
        return True
