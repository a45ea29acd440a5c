"""The vote: pairs are fair and anonymous, the page is whole in itself, answers are counted."""

import base64
import io
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from blob_images import blobs
from PIL import Image

from scoremix.manifests.errors import ConfigError
from scoremix.stages.trial.vote import (
    Contender,
    Images,
    count_votes,
    draw_pairs,
    read_answers,
    write_vote,
)

pytest.importorskip("jinja2", reason="the extra `report` is not installed")

ARMS = {
    "real": Contender([blobs(20, 1)], 0.03),
    "bridge": Contender([blobs(30, 2)], 0.01),
    "mixup": Contender([blobs(9, 3)], 0.02),
}


def pictures_of(page: Path) -> list[list[str]]:
    """The addresses of each pair's pictures."""
    found = re.findall(r'id="pictures">(.*?)</script>', page.read_text(), re.DOTALL)
    pictures: list[list[str]] = json.loads(found[0])
    return pictures


def test_arms_meet_equally_often_on_random_sides() -> None:
    pairs = draw_pairs({"a": 4, "b": 7, "c": 2}, 300, 0)
    couples = Counter(frozenset((pair.left, pair.right)) for pair in pairs)
    assert set(couples.values()) == {100}
    left = Counter(pair.left for pair in pairs)
    assert all(70 < count < 130 for count in left.values())
    shown = Counter(pair.square_left for pair in pairs if pair.left == "b")
    assert set(shown) == set(range(7))
    assert draw_pairs({"a": 4, "b": 7}, 9, 0) == draw_pairs({"a": 4, "b": 7}, 9, 0)
    assert draw_pairs({"a": 4, "b": 7}, 9, 0) != draw_pairs({"a": 4, "b": 7}, 9, 1)
    with pytest.raises(ConfigError, match="two arms"):
        draw_pairs({"a": 4}, 9, 0)
    # Of 36 couples 20 meet once: no arm is shown far oftener than others.
    few = draw_pairs(dict.fromkeys("abcdefghi", 9), 20, 0)
    assert len({frozenset((pair.left, pair.right)) for pair in few}) == 20
    times = Counter(arm for pair in few for arm in (pair.left, pair.right))
    assert len(times) == 9 and max(times.values()) <= 7


def test_the_page_is_whole_and_does_not_know_the_arms(tmp_path: Path) -> None:
    page = write_vote(tmp_path, ARMS, 12, 0)
    text = page.read_text()
    assert not re.search(r"(src|href)=\"(?!data:)", text) and "://" not in text
    assert not any(name in text for name in ("mixup", "bridge"))
    pictures = pictures_of(page)
    assert len(pictures) == 12 and all(len(pair) == 2 for pair in pictures)
    assert all(uri.startswith("data:image/png;base64,") for pair in pictures for uri in pair)
    assert write_vote(tmp_path, ARMS, 12, 0) == page and page.read_text() == text
    with pytest.raises(ConfigError, match="poor has fewer"):
        write_vote(tmp_path, ARMS | {"poor": Contender([blobs(8, 4)], 0.1)}, 12, 0)


def answers_of(page: Path, preferred: str, voter: str) -> Path:
    """A voter who always prefers one arm, and cannot say where it is not shown."""
    key = json.loads(page.with_suffix(".key.json").read_text())
    answers = {
        str(number): "left" if left == preferred else "right" if right == preferred else "neither"
        for number, (left, right) in enumerate(key["pairs"])
    }
    path = page.with_name(f"{voter}.json")
    path.write_text(json.dumps({"vote": key["vote"], "voter": voter, "answers": answers}))
    return path


def test_answers_are_counted_beside_the_distances(tmp_path: Path) -> None:
    page = write_vote(tmp_path, ARMS, 30, 0)
    files = [answers_of(page, "bridge", voter) for voter in ("ann", "ben")]
    answers = read_answers(files, tmp_path)
    table, text = count_votes(answers)
    cells = {row[0]: row[1:] for row in table.rows}
    # Newcombe's form of Wilson's interval: 0 of 20 is 0 to 16 %.
    assert cells["real : bridge"][:4] == ["0 : 20", "0", "0% (0% to 16%)", "bridge"]
    assert cells["bridge : mixup"][:4] == ["20 : 0", "0", "100% (84% to 100%)", "bridge"]
    assert cells["real : mixup"][:4] == ["0 : 0", "20", "", ""]
    assert "(2 of 3 couples), it is the nearer one by kernel distance in 2." in text
    assert table.heads[5] == "kernel distance x 1000" and table.rows[0][5] == "30.0 : 10.0"
    answers.distances.update({"real": 0.01, "bridge": 0.02, "mixup": 0.03})
    assert "in 1." in count_votes(answers)[1]


def test_an_interval_of_three_voters_is_over_people(tmp_path: Path) -> None:
    """Ten answers of one person are no ten people: two prefer bridge, one mixup."""
    page = write_vote(tmp_path, ARMS, 30, 0)
    tastes = {"ann": "bridge", "ben": "bridge", "cid": "mixup"}
    files = [answers_of(page, taste, voter) for voter, taste in tastes.items()]
    table, text = count_votes(read_answers(files, tmp_path))
    cells = {row[0]: row[1:] for row in table.rows}
    assert cells["bridge : mixup"][0] == "20 : 10"
    # Shares 1, 1 and 0: Student's half-width is 4.30 x .577 / sqrt(3), beyond both ends.
    assert cells["bridge : mixup"][2:4] == ["67% (0% to 100%)", "no difference"]
    # ann and ben alone compare real with bridge (cid: neither): two people, Wilson's.
    assert cells["real : bridge"][2] == "0% (0% to 16%)"
    few = "are of fewer than 3 voters' answers, and of these alone."
    assert text.startswith(f"90 answers of 3 voters. 2 of 3 intervals {few}")
    two, sentence = count_votes(read_answers(files[:2], tmp_path))
    assert two.rows[2][3] == "100% (84% to 100%)"
    assert f"Intervals {few}" in sentence


def test_nobody_is_counted_twice_and_no_votes_on_other_gans(tmp_path: Path) -> None:
    page = write_vote(tmp_path, ARMS, 12, 0)
    mine = answers_of(page, "bridge", "ann")
    again = mine.with_name("copy.json")
    again.write_bytes(mine.read_bytes())
    with pytest.raises(ConfigError, match=r"ann.json and .*copy.json are of one voter"):
        read_answers([mine, again], tmp_path)
    longer = write_vote(tmp_path, ARMS | {"real": Contender([blobs(20, 9)], 0.02)}, 12, 0)
    with pytest.raises(ConfigError, match="a vote on other samples"):
        read_answers([mine, answers_of(longer, "bridge", "ben")], tmp_path)


def test_votes_on_samples_that_were_judged_in_two_ways_count_apart(tmp_path: Path) -> None:
    """Each page keeps the distances of its time: a later one is another page."""
    page = write_vote(tmp_path, ARMS, 12, 0)
    mine = answers_of(page, "bridge", "ann")
    judged = {arm: Contender(one.samples, 0.05 - one.distance) for arm, one in ARMS.items()}
    again = write_vote(tmp_path, judged, 12, 0)
    assert again != page
    assert read_answers([mine], tmp_path).distances == {"real": 0.03, "bridge": 0.01, "mixup": 0.02}
    with pytest.raises(ConfigError, match="the same samples .* judged in another way"):
        read_answers([mine, answers_of(again, "bridge", "ben")], tmp_path)


def test_votes_on_some_arms_count_with_votes_on_all(tmp_path: Path) -> None:
    """Leaves out the row of two arms that no page showed together."""
    some = {arm: ARMS[arm] for arm in ("real", "bridge")}
    others = {arm: ARMS[arm] for arm in ("real", "mixup")}
    pages = (write_vote(tmp_path, arms, 4, 0) for arms in (some, others))
    files = [
        answers_of(page, "real", voter) for page, voter in zip(pages, ("ann", "ben"), strict=True)
    ]
    table, text = count_votes(read_answers(files, tmp_path))
    assert [row[:2] for row in table.rows] == [
        ["real : bridge", "4 : 0"],
        ["real : mixup", "4 : 0"],
    ]
    assert text.startswith("8 answers of 2 voters.")


@pytest.mark.parametrize(
    ("voter", "answers", "named"),
    [
        ("ann", {"0": "left", "00": "left"}, "there is no pair 00"),
        ("ann", {" 2": "left"}, "there is no pair  2"),
        ("ann", {}, "has no answer to any pair"),
        ("", {"0": "left"}, "voter: ''"),
    ],
)
def test_edited_answers_are_refused(
    tmp_path: Path, voter: str, answers: dict[str, str], named: str
) -> None:
    page = write_vote(tmp_path, ARMS, 12, 0)
    path = tmp_path / "edited.json"
    path.write_text(json.dumps({"vote": page.stem, "voter": voter, "answers": answers}))
    with pytest.raises(ConfigError, match=named):
        read_answers([path], tmp_path)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("no JSON", "no file of answers"),
        ('{"vote": "../x", "answers": {}}', "none of"),
        ('{"vote": "0123", "answers": {}}', "none of"),
        ('{"vote": "%s", "voter": "a", "answers": {"99": "left"}}', "no pair 99"),
        ('{"vote": "%s", "voter": "a", "answers": {"0": "bridge"}}', "pair 0: 'bridge'"),
    ],
)
def test_other_files_are_no_answers(tmp_path: Path, text: str, named: str) -> None:
    page = write_vote(tmp_path, ARMS, 6, 0)
    path = tmp_path / "answers.json"
    path.write_text(text % page.stem if "%s" in text else text)
    with pytest.raises(ConfigError, match=named):
        read_answers([path], tmp_path)


def flat(level: int) -> Images:
    """Nine samples of one gray level."""
    return np.full((9, 8, 8, 1), level, np.uint8)


def levels_of(page: Path) -> list[list[int]]:
    """The levels of each pair's pictures, which are flat but for the gaps between samples."""
    found = []
    for uris in pictures_of(page):
        found.append([])
        for uri in uris:
            image = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
            values, counts = np.unique(np.asarray(image), return_counts=True)
            (level,) = (int(value) for value in values if value != 128)
            assert counts[values == level] > 0.9 * counts.sum()
            found[-1].append(level)
    return found


def test_a_square_shows_nine_samples_of_its_arm(tmp_path: Path) -> None:
    levels = {"dark": 10, "light": 90}
    arms = {arm: Contender([flat(level)], 0.1) for arm, level in levels.items()}
    page = write_vote(tmp_path, arms, 4, 0)
    key = json.loads(page.with_suffix(".key.json").read_text())["pairs"]
    assert levels_of(page) == [[levels[arm] for arm in sides] for sides in key]
    assert 'id="reference"' not in page.read_text()


def test_translations_are_shown_below_real_images_of_their_target(tmp_path: Path) -> None:
    """Level 10 + target and 90 + target; both of a pair are of the target shown above them."""
    arms = {
        arm: Contender([flat(level), flat(level + 1)], 0.1)
        for arm, level in {"dark": 10, "light": 90}.items()
    }
    page = write_vote(tmp_path, arms, 12, 0, [flat(200)[:4], flat(201)])
    found = levels_of(page)
    assert all({left % 10, right % 10} == {above % 10} for left, right, above in found)
    assert {above for *_, above in found} == {200, 201} and 'id="reference"' in page.read_text()
