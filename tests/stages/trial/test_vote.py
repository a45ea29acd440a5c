"""The vote: pairs are fair and anonymous, the page is whole in itself, answers are counted."""

import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from blob_images import blobs

from scoremix.manifests.errors import ConfigError
from scoremix.stages.trial.vote import count_votes, draw_pairs, read_answers, write_vote

pytest.importorskip("jinja2", reason="the extra `report` is not installed")

ARMS = {"real": blobs(20, 1), "bridge": blobs(30, 2), "mixup": blobs(9, 3)}


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
        write_vote(tmp_path, ARMS | {"poor": blobs(8, 4)}, 12, 0)


def answers_of(page: Path, preferred: str) -> Path:
    """A voter who always prefers one arm, and cannot say where it is not shown."""
    key = json.loads(page.with_suffix(".key.json").read_text())
    answers = {
        str(number): "left" if left == preferred else "right" if right == preferred else "neither"
        for number, (left, right) in enumerate(key["pairs"])
    }
    path = page.with_name(f"{preferred}.json")
    path.write_text(json.dumps({"vote": key["vote"], "answers": answers}))
    return path


def test_answers_are_counted_beside_the_distances(tmp_path: Path) -> None:
    page = write_vote(tmp_path, ARMS, 30, 0)
    answers = read_answers([answers_of(page, "bridge"), answers_of(page, "bridge")], tmp_path)
    table, text = count_votes(answers, {"real": 0.03, "bridge": 0.01, "mixup": 0.02})
    cells = {row[0]: row[1:] for row in table.rows}
    # Newcombe's form of Wilson's interval: 0 of 20 is 0 to 16 %.
    assert cells["real : bridge"][:4] == ["0 : 20", "0", "0% (0% to 16%)", "bridge"]
    assert cells["bridge : mixup"][:4] == ["20 : 0", "0", "100% (84% to 100%)", "bridge"]
    assert cells["real : mixup"][:4] == ["0 : 0", "20", "", ""]
    assert "(2 of 3 couples), it is the nearer one by kernel distance in 2." in text
    _, against = count_votes(answers, {"real": 0.01, "bridge": 0.02, "mixup": 0.03})
    assert "in 1." in against


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("no JSON", "no file of answers"),
        ('{"vote": "../x", "answers": {}}', "none of"),
        ('{"vote": "0123", "answers": {}}', "none of"),
        ('{"vote": "%s", "answers": {"99": "left"}}', "no pair 99"),
        ('{"vote": "%s", "answers": {"0": "bridge"}}', "pair 0: 'bridge'"),
    ],
)
def test_other_files_are_no_answers(tmp_path: Path, text: str, named: str) -> None:
    page = write_vote(tmp_path, ARMS, 6, 0)
    path = tmp_path / "answers.json"
    path.write_text(text % page.stem if "%s" in text else text)
    with pytest.raises(ConfigError, match=named):
        read_answers([path], tmp_path)


def test_a_square_shows_nine_samples_of_its_arm(tmp_path: Path) -> None:
    """An arm of one gray level: every pixel of its squares has it."""
    import base64
    import io

    from PIL import Image

    levels = {"dark": 10, "light": 90}
    flat = {arm: np.full((9, 8, 8, 1), level, np.uint8) for arm, level in levels.items()}
    page = write_vote(tmp_path, flat, 4, 0)
    key = json.loads(page.with_suffix(".key.json").read_text())["pairs"]
    pictures = pictures_of(page)
    for sides, uris in zip(key, pictures, strict=True):
        for arm, uri in zip(sides, uris, strict=True):
            image = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
            found = np.asarray(image)
            assert set(np.unique(found)) == {levels[arm], 128}  # the samples, and between them
            assert np.mean(found == levels[arm]) > 0.9
