"""A vote on the arms: anonymous pairs of small squares of samples, and what the answers say.

trial/votes/ID.html       the page, whole in itself: pictures, keys, a file of answers at the end
trial/votes/ID.key.json   which arm lies on which side; the page does not know
"""

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...manifests.errors import ConfigError
from ...manifests.files.atomic import canonical_digest, write_bytes, write_json
from ...manifests.plan.random_streams import image_seed, stream
from ...models.metrics.copying import share_interval_95
from ..evaluate.number_format import format_kernel
from ..evaluate.tables import Table
from ..images.png import to_pil
from ..report.page import render
from ..report.pictures import data_uri

ACROSS = 3  # samples along a side of a square
_SIDE, _GAP, _BETWEEN = 288, 6, 128  # pixels of a square and between samples; their gray level
Side = Literal["left", "right", "neither"]

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class VotePair:
    """Two arms beside each other, and which of each arm's squares is shown."""

    left: str
    right: str
    square_left: int
    square_right: int


def draw_pairs(squares: Mapping[str, int], count: int, seed: int) -> list[VotePair]:
    """`count` pairs of arms in random order and on random sides, each two arms as often as others.

    squares: arm -> squares that it has; they come in a random order, again once all were shown.
    Raises ConfigError for fewer than two arms.
    """
    if len(squares) < 2:
        raise ConfigError("A vote needs two arms: run the trial with two or more first.")
    random = stream(image_seed(seed, "trial"), "vote")
    couples = list(itertools.islice(itertools.cycle(itertools.combinations(squares, 2)), count))
    order = {arm: random.permutation(number) for arm, number in squares.items()}
    used = dict.fromkeys(squares, 0)

    def square(arm: str) -> int:
        used[arm] += 1
        return int(order[arm][(used[arm] - 1) % len(order[arm])])

    pairs = []
    for place in random.permutation(count):
        left, right = random.permutation(couples[place]).tolist()
        pairs.append(VotePair(left, right, square(left), square(right)))
    return pairs


def write_vote(folder: Path, arms: Mapping[str, Images], count: int, seed: int) -> Path:
    """Writes the page and its key below `folder`; gives the page's path.

    arms: name -> samples (N, H, W, C).

    Raises:
        ConfigError: fewer than two arms, an arm without a whole square, no jinja2.
    """
    whole = ACROSS**2
    poor = [name for name, images in arms.items() if len(images) < whole]
    if poor:
        raise ConfigError(f"A vote shows {whole} samples of an arm at once; {poor[0]} has fewer.")
    squares = {name: len(images) // whole for name, images in arms.items()}
    pairs = draw_pairs(squares, count, seed)
    sides = [[pair.left, pair.right] for pair in pairs]
    shown = {name: hashlib.sha256(images.tobytes()).hexdigest() for name, images in arms.items()}
    identity = canonical_digest([sides, shown])[:12]
    pictures = [
        [_square(arms[pair.left], pair.square_left), _square(arms[pair.right], pair.square_right)]
        for pair in pairs
    ]
    values = {"vote": identity, "pictures": json.dumps(pictures), "count": count}
    write_json(folder / f"{identity}.key.json", {"vote": identity, "pairs": sides})
    page = folder / f"{identity}.html"
    write_bytes(page, render("vote.html", values))
    return page


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


def read_answers(files: Sequence[Path], folder: Path) -> list[tuple[str, str, Side]]:
    """(left, right, answer) of every answered pair. folder: where the keys of votes lie.

    Raises ConfigError for a file that is no answer of a vote of this trial.
    """
    found: list[tuple[str, str, Side]] = []
    for path in files:
        try:
            given = json.loads(path.read_bytes())
            identity, answers = str(given["vote"]), dict(given["answers"])
            key = folder / f"{identity}.key.json"
            if not identity.isalnum() or not key.is_file():
                raise ConfigError(
                    f"{path} answers vote {identity!r}, which is none of {folder}: count it with"
                    " the run whose trial wrote that page."
                )
            pairs = json.loads(key.read_bytes())["pairs"]
            for number, answer in answers.items():
                if answer not in ("left", "right", "neither"):
                    raise ValueError(f"pair {number}: {answer!r}")
                left, right = pairs[_place(number, len(pairs))]
                found.append((left, right, answer))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"{path} is no file of answers that a vote's page saved ({error})."
            ) from error
    return found


def _place(number: str, count: int) -> int:
    place = int(number)
    if not 0 <= place < count:
        raise ValueError(f"there is no pair {number}")
    return place


def count_votes(
    answers: Sequence[tuple[str, str, Side]], distances: Mapping[str, float]
) -> tuple[Table, str]:
    """Metric against vote: a row for each two arms, and a sentence.

    distances: arm -> kernel distance of its best snapshots, the mean over seeds.
    """
    rows, agreed, clear = [], 0, 0
    for first, second in itertools.combinations(distances, 2):
        mine = [answer for answer in answers if {answer[0], answer[1]} == {first, second}]
        wins = [sum(_winner(answer) == arm for answer in mine) for arm in (first, second)]
        decided = sum(wins)
        nearer = min((first, second), key=lambda arm: distances[arm])
        cells = [f"{first} : {second}", f"{wins[0]} : {wins[1]}", f"{len(mine) - decided}"]
        voted = ""
        if decided:
            low, high = share_interval_95(wins[0], decided)
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
        "kernel distance x 1000", "nearer",
    )  # fmt: skip
    text = f"{len(answers):,} answers. "
    if clear:
        text += f"Where people clearly prefer one arm ({clear} of {len(rows)} couples), it is the"
        text += f" nearer one by kernel distance in {agreed}."
    else:
        text += "No arm is clearly preferred to another."
    return Table(heads, rows), text


def _winner(answer: tuple[str, str, Side]) -> str | None:
    left, right, side = answer
    return {"left": left, "right": right, "neither": None}[side]


def distances_of(record: Mapping[str, Any]) -> dict[str, float]:
    """Arm -> kernel distance, of trial.json."""
    return {
        arm["name"]: float(np.mean([snapshot["kd"] for snapshot in arm["best"]]))
        for arm in record["arms"]
    }
