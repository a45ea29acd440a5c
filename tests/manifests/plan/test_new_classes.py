"""New classes as data: the random choice, the file, what is refused."""

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from scoremix.manifests.errors import ConfigError, VerifyError
from scoremix.manifests.plan.new_classes import (
    NewClass,
    check_new_classes,
    class_count,
    digest_of,
    random_classes,
    read_new_classes,
    write_new_classes,
)

NAMES = [f"n{id_}" for id_ in range(12)]


def test_the_random_choice_is_of_different_sets_and_grows() -> None:
    made = random_classes(NAMES, 40, (0.5, 0.5), 3)
    assert len({tuple(sorted(one.classes)) for one in made}) == 40
    assert [one.id for one in made] == list(range(12, 52))
    assert made[:7] == random_classes(NAMES, 7, (0.5, 0.5), 3)
    assert made != random_classes(NAMES, 40, (0.5, 0.5), 4)
    first = made[0]
    assert first.name == "+".join(NAMES[id_] for id_ in first.classes)
    assert (first.weights, first.distance, first.selection) == ((0.5, 0.5), None, "random")
    check_new_classes(made, 12)
    every = random_classes(NAMES[:5], math.comb(5, 3), (0.2, 0.3, 0.5), 0)
    assert len({frozenset(one.classes) for one in every}) == 10


def test_every_class_is_as_likely_and_as_often_first() -> None:
    counts: Counter[int] = Counter()
    firsts: Counter[int] = Counter()
    for seed in range(200):
        for one in random_classes(NAMES, 6, (0.5, 0.5), seed):
            counts.update(one.classes)
            firsts[one.classes[0]] += 1
    assert set(counts) == set(firsts) == set(range(12))
    # 200 of each are expected, with a deviation of 13; and 100, with one of 10.
    assert max(counts.values()) < 260 and min(counts.values()) > 140
    assert max(firsts.values()) < 145 and min(firsts.values()) > 55


def test_how_many_there_are() -> None:
    assert class_count(None, 136, 2) == 136 and class_count(None, 2, 2) == 1
    assert class_count(3, 3, 2) == 3 and class_count(None, 3, 3) == 1
    with pytest.raises(ConfigError, match="there are 3 different choices of 2"):
        class_count(4, 3, 2)
    with pytest.raises(ConfigError, match="mixes 3 classes .generate.weights., and the corpus has"):
        class_count(None, 2, 3)


def test_the_file_keeps_them_and_knows_its_corpus(tmp_path: Path) -> None:
    path, made = tmp_path / "new_classes.json", random_classes(NAMES, 5, (0.5, 0.5), 3)
    made[0] = replace(made[0], distance=0.25, selection="distant")
    with pytest.raises(VerifyError, match=r"new_classes\.json cannot be used"):
        read_new_classes(path, "c0", 12)
    write_new_classes(path, made, {"seed": 3}, "c0")
    assert read_new_classes(path, "c0", 12) == made
    assert digest_of(made) != digest_of(made[1:])
    with pytest.raises(VerifyError, match="another corpus"):
        read_new_classes(path, "c1", 12)
    with pytest.raises(VerifyError, match="cannot be used"):
        read_new_classes(path, "c0", 11)


@pytest.mark.parametrize("where", ["weights", "id", "selection", "corpus"])
def test_a_changed_file_is_not_read(where: str, tmp_path: Path) -> None:
    path = tmp_path / "new_classes.json"
    write_new_classes(path, random_classes(NAMES, 2, (0.5, 0.5), 3), {}, "c0")
    content = json.loads(path.read_bytes())
    holder = content if where == "corpus" else content["new_classes"][0]
    holder[where] = {"weights": [0.4, 0.6], "id": 13, "selection": "near", "corpus": "c1"}[where]
    path.write_text(json.dumps(content))
    with pytest.raises(VerifyError, match="Restore it; or delete it"):
        read_new_classes(path, "c0", 12)
    path.write_bytes(b"[")
    with pytest.raises(VerifyError, match="cannot be used"):
        read_new_classes(path, "c0", 12)


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": 13},
        {"classes": (1,), "weights": (1.0,)},
        {"classes": (1, 1)},
        {"classes": (1, 12)},
        {"weights": (0.2, 0.3, 0.5)},
    ],
)
def test_what_is_no_new_class(wrong: dict[str, object]) -> None:
    one = NewClass(12, "n1+n2", (1, 2), (0.5, 0.5), None, "random")
    check_new_classes([one], 12)
    with pytest.raises(ValueError):
        check_new_classes([replace(one, **wrong)], 12)  # type: ignore[arg-type]
