"""A vote on the arms: anonymous pairs of small squares of samples, and what the answers say.

trial/votes/ID.html       the page, whole in itself: pictures, keys, a file of answers at the end
trial/votes/ID.key.json   which arm lies on which side; the page does not know
"""

import hashlib
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...manifests.errors import ConfigError
from ...manifests.files.atomic import canonical_digest, write_bytes, write_json
from ...manifests.files.json_reader import parse_json
from ...manifests.plan.random_streams import image_seed, stream
from ...models.metrics.copying import share_interval_95
from ...models.metrics.paired_seeds import student_quantile
from ..evaluate.number_format import format_kernel
from ..evaluate.tables import Table
from ..images.png import to_pil
from ..report.page import render
from ..report.pictures import data_uri

ACROSS = 3  # samples along a side of a square
_SIDE, _GAP, _BETWEEN = 288, 6, 128  # pixels of a square and between samples; their gray level
_VOTERS = 3  # from so many on an interval is over people
Side = Literal["left", "right", "neither"]

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class VotePair:
    """Two arms beside each other, and which of each arm's squares is shown, of which target."""

    left: str
    right: str
    square_left: int
    square_right: int
    target: int = 0


@dataclass(frozen=True)
class Contender:
    """An arm that is voted on."""

    samples: Sequence[Images]  # (N, H, W, C), of a translation for each target class
    distance: float  # of its best snapshots, the mean over seeds

    @property
    def squares(self) -> int:
        """How many different squares there are, of the target with the fewest."""
        return min(len(images) for images in self.samples) // ACROSS**2


def draw_pairs(
    squares: Mapping[str, int], count: int, seed: int, targets: int = 1
) -> list[VotePair]:
    """`count` pairs of arms in random order and on random sides.

    Each two arms come as often as others, or once more. squares: arm -> squares that it has of each
    target; they come in a random order, again once all were shown. Raises ConfigError for fewer
    than two arms.
    """
    if len(squares) < 2:
        raise ConfigError("A vote needs two arms: run the trial with two or more first.")
    random = stream(image_seed(seed, "trial"), "vote")
    couples = list(itertools.combinations(squares, 2))
    order = {arm: random.permutation(number) for arm, number in squares.items()}
    used = dict.fromkeys(itertools.product(squares, range(targets)), 0)

    def square(arm: str, target: int) -> int:
        used[arm, target] += 1
        return int(order[arm][(used[arm, target] - 1) % len(order[arm])])

    pairs: list[VotePair] = []
    while len(pairs) < count:
        for place in random.permutation(len(couples))[: count - len(pairs)]:
            left, right = random.permutation(couples[place]).tolist()
            target = int(random.integers(targets))
            pairs.append(VotePair(left, right, square(left, target), square(right, target), target))
    return pairs


def write_vote(
    folder: Path,
    arms: Mapping[str, Contender],
    count: int,
    seed: int,
    references: Sequence[Images] = (),
    figure: str = "kernel distance",
) -> Path:
    """Writes the page and its key below `folder`; gives the page's path.

    references: of a translation, real images (N, H, W, C) of each target class, of which nine are
        shown above each pair. figure: the name of the arms' distance, for the count.

    Raises:
        ConfigError: fewer than two arms, an arm without a whole square, no jinja2.
    """
    squares = {name: arm.squares for name, arm in arms.items()}
    poor = [name for name, number in squares.items() if not number]
    if poor:
        raise ConfigError(
            f"A vote shows {ACROSS**2} samples of an arm at once; {poor[0]} has fewer."
        )
    pairs = draw_pairs(squares, count, seed, max(1, len(references)))
    sides = [[pair.left, pair.right] for pair in pairs]
    shown = {name: [_digest(images) for images in arm.samples] for name, arm in arms.items()}
    distances = [[name, arm.distance] for name, arm in arms.items()]
    key = {"pairs": sides, "distances": distances, "figure": figure, "samples": shown}
    identity = canonical_digest(key)[:12]
    above = [_square(np.resize(images, (ACROSS**2, *images.shape[1:])), 0) for images in references]
    pictures = [
        [
            _square(arms[pair.left].samples[pair.target], pair.square_left),
            _square(arms[pair.right].samples[pair.target], pair.square_right),
            *above[pair.target : pair.target + 1],
        ]
        for pair in pairs
    ]
    values = {"vote": identity, "pictures": json.dumps(pictures), "count": count}
    values["references"] = bool(references)
    write_json(folder / f"{identity}.key.json", {"vote": identity, **key})
    page = folder / f"{identity}.html"
    write_bytes(page, render("vote.html", values))
    return page


def _digest(images: Images) -> str:
    return hashlib.sha256(images.tobytes()).hexdigest()


def _square(images: Images, number: int) -> str:
    """The address of a picture of ACROSS x ACROSS samples, with gaps between them."""
    some = images[ACROSS**2 * number :][: ACROSS**2]
    scale = max(1, _SIDE // (ACROSS * some.shape[1]))
    some = some.repeat(scale, axis=1).repeat(scale, axis=2)
    some = np.pad(some, ((0, 0), (0, _GAP), (0, _GAP), (0, 0)), constant_values=_BETWEEN)
    count, height, width, channels = some.shape
    grid = some.reshape(ACROSS, count // ACROSS, height, width, channels).transpose(0, 2, 1, 3, 4)
    pixels = grid.reshape(ACROSS * height, ACROSS * width, channels)
    return data_uri(to_pil(pixels[:-_GAP, :-_GAP]))


@dataclass(frozen=True)
class Votes:
    """What people answered on the pages of one trial."""

    pairs: list[tuple[str, str, Side]]  # left, right, answer
    voters: list[str]  # of each pair
    distances: dict[str, float]  # of the arms, when the pages were written
    figure: str  # the name of the distance


def read_answers(files: Sequence[Path], folder: Path) -> Votes:
    """All answers of some files, one at least. folder: where the keys of votes lie.

    Votes on some arms count with votes on others, where the samples of the arms in both are the
    same, and so are their distances.

    Raises ConfigError for a file that is no answer of a vote of this trial or has none, for a voter
    who is counted twice, and for votes on GANs that were not the same.
    """
    found: list[tuple[str, str, Side]] = []
    by_whom: list[str] = []
    distances: dict[str, float] = {}
    samples: dict[str, object] = {}
    voters: dict[str, Path] = {}
    figures: set[str] = set()
    for path in files:
        try:
            given = parse_json(path.read_bytes())
            key = _key_of(path, str(given["vote"]), folder)
            voter, answers = _named(given["voter"]), dict(given["answers"])
            for number, answer in answers.items():
                if answer not in ("left", "right", "neither"):
                    raise ValueError(f"pair {number}: {answer!r}")
                left, right = key["pairs"][_place(number, len(key["pairs"]))]
                found.append((left, right, answer))
                by_whom.append(voter)
            judged = {str(arm): float(value) for arm, value in key["distances"]}
            shown = dict(key["samples"])
            figures.add(str(key["figure"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(
                f"{path} is no file of answers that a vote's page saved ({error!r})."
            ) from error
        if not answers:
            raise ConfigError(f"{path} has no answer to any pair. Leave it out.")
        if voter in voters:
            raise ConfigError(f"{voters[voter]} and {path} are of one voter. Give one of them.")
        if not _agree(shown, samples):
            raise ConfigError(
                f"{path} answers a vote on other samples than the files before it, of other GANs or"
                " other snapshots. Count them apart."
            )
        if len(figures) > 1 or not _agree(judged, distances):
            raise ConfigError(
                f"{path} answers a vote on the same samples as the files before it, which were"
                " judged in another way when its page was written. Count them apart."
            )
        voters[voter] = path
        distances |= judged
        samples |= shown
    return Votes(found, by_whom, distances, figures.pop())


def _agree(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    return all(one[arm] == other[arm] for arm in one.keys() & other.keys())


def _named(voter: object) -> str:
    if not isinstance(voter, str) or not voter.strip():
        raise ValueError(f"voter: {voter!r}")
    return voter


def _key_of(path: Path, identity: str, folder: Path) -> dict[str, Any]:
    key = folder / f"{identity}.key.json"
    if not identity.isalnum() or not key.is_file():
        raise ConfigError(
            f"{path} answers vote {identity!r}, which is none of {folder}: count it with the run"
            " whose trial wrote that page."
        )
    return dict(parse_json(key.read_bytes()))


def _place(number: str, count: int) -> int:
    place = int(number)
    if number != str(place) or not 0 <= place < count:  # "00" would be counted beside "0"
        raise ValueError(f"there is no pair {number}")
    return place


def count_votes(answers: Votes) -> tuple[Table, str]:
    """Metric against vote: a row for each two arms that were shown together, and a sentence."""
    pairs, distances, figure = answers.pairs, answers.distances, answers.figure
    rows, agreed, clear, intervals, few = [], 0, 0, 0, 0
    for first, second in itertools.combinations(distances, 2):
        couple = [{pair[0], pair[1]} == {first, second} for pair in pairs]
        mine = list(itertools.compress(pairs, couple))
        if not mine:
            continue
        winners = [_winner(answer) for answer in mine]
        wins = [winners.count(arm) for arm in (first, second)]
        decided = sum(wins)
        nearer = min((first, second), key=lambda arm: distances[arm])
        cells = [f"{first} : {second}", f"{wins[0]} : {wins[1]}", f"{len(mine) - decided}"]
        voted = ""
        if decided:
            whose = list(itertools.compress(answers.voters, couple))
            intervals += 1
            few += len({who for who, won in zip(whose, winners, strict=True) if won}) < _VOTERS
            low, high = _interval(first, winners, whose)
            cells.append(f"{wins[0] / decided:.0%} ({low:.0%} to {high:.0%})")
            voted = first if low > 0.5 else second if high < 0.5 else "no difference"
        else:
            cells.append("")
        if voted in (first, second):
            clear += 1
            agreed += voted == nearer
        shown = " : ".join(format_kernel(distances[arm]) for arm in (first, second))
        rows.append([*cells, voted, shown, nearer])
    heads = (
        "arms", "votes", "neither", "share of the first (95 %)", "people prefer",
        f"{figure} x 1000", "nearer",
    )  # fmt: skip
    voters = len(set(answers.voters))
    text = f"{len(pairs):,} answers of {voters:,} voter{'s' * (voters != 1)}. "
    if few:
        which = "Intervals" if few == intervals else f"{few} of {intervals} intervals"
        text += f"{which} are of fewer than {_VOTERS} voters' answers, and of these alone. "
    if clear:
        text += f"Where people clearly prefer one arm ({clear} of {len(rows)} couples), it is the"
        text += f" nearer one by {figure} in {agreed}."
    else:
        text += "No arm is clearly preferred to another."
    return Table(heads, rows), text


def _interval(
    arm: str, winners: Sequence[str | None], voters: Sequence[str]
) -> tuple[float, float]:
    """Gives the 95 % interval of the share of `arm` among decided answers.

    It is Wilson's, and from _VOTERS voters on the wider of it and Student's over their shares:
    answers of one person are not independent.
    """
    decided = [(who, won == arm) for who, won in zip(voters, winners, strict=True) if won]
    low, high = share_interval_95(sum(won for _, won in decided), len(decided))
    people = sorted({who for who, _ in decided})
    if len(people) < _VOTERS:
        return low, high
    shares = [np.mean([won for whose, won in decided if whose == who]) for who in people]
    error = float(np.std(shares, ddof=1)) / math.sqrt(len(people))
    half, mean = student_quantile(0.95, len(people) - 1) * error, float(np.mean(shares))
    return max(0.0, min(low, mean - half)), min(1.0, max(high, mean + half))


def _winner(answer: tuple[str, str, Side]) -> str | None:
    left, right, side = answer
    return {"left": left, "right": right, "neither": None}[side]
