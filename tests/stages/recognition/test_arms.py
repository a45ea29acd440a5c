"""Names of arms: methods with a selection and numbers, sweeps, what is refused."""

import pytest

from scoremix.manifests.plan.methods import CLASS_METHODS
from scoremix.stages.recognition.arms import METHODS, MadeFor, parse_recognition_arms
from scoremix.stages.recognition.config import RecognitionConfig


def names(*texts: str, images: list[int] | None = None, classes: list[int] | None = None) -> str:
    return " ".join(arm.name for arm in parse_recognition_arms(texts, images or [], classes or []))


def test_every_method_of_classes_can_be_an_arm() -> None:
    assert {*METHODS} == CLASS_METHODS
    arms = parse_recognition_arms(["real", "own+affine", *METHODS])
    assert [arm.name for arm in arms] == ["real", "own+affine", *METHODS]
    assert [arm.corpus for arm in arms[:2]] == ["real", "own"] and arms[1].affine
    assert [arm.made for arm in arms[:2]] == [None, None]
    assert [arm.made for arm in arms[2:]] == [MadeFor(method) for method in METHODS]


@pytest.mark.parametrize(
    ("text", "name", "made"),
    [
        ("compose@random", "compose@random", MadeFor("compose", "random")),
        ("compose@again:5", "compose@again-5", MadeFor("compose", "again", 5)),
        ("compose:7", "compose-7", MadeFor("compose", None, 7)),
        ("condition-mix:7x90", "condition-mix-7x90", MadeFor("condition-mix", None, 7, 90)),
        ("mixup-classes:x90", "mixup-classes-x90", MadeFor("mixup-classes", None, None, 90)),
        ("compose@close:2x3", "compose@close-2x3", MadeFor("compose", "close", 2, 3)),
        ("reproduce:4", "reproduce-4", MadeFor("reproduce", None, 4)),
    ],
)
def test_selection_and_numbers(text: str, name: str, made: MadeFor) -> None:
    for affine in ("", "+affine"):
        (arm,) = parse_recognition_arms([text + affine])
        assert (arm.name, arm.corpus, arm.made) == (name + affine, name, made)
        assert arm.affine == bool(affine)
        assert parse_recognition_arms([arm.name]) == [arm]  # as tables have it


def test_a_sweep_is_of_what_an_arm_does_not_name() -> None:
    assert names("real", "own", "compose", images=[5, 10]) == "real own compose-5 compose-10"
    assert names("compose:3", "compose@random+affine", images=[5], classes=[2, 4]) == (
        "compose-3x2 compose-3x4 compose@random-5x2+affine compose@random-5x4+affine"
    )
    assert names("compose:x9", images=[5, 6]) == "compose-5x9 compose-6x9"
    config = RecognitionConfig(arms=["real", "compose"], images_per_class=[5], new_classes=[3])
    assert [arm.name for arm in config.corpora] == ["real", "compose-5x3"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("mixup", "no arm 'mixup'; use real, real@twice, own, compose, condition-mix"),
        ("compose:", "no arm 'compose:'"),
        ("compose:0", "no arm 'compose:0'"),
        ("compose:5x0", "no arm 'compose:5x0'"),
        ("compose+affine:5", r"no arm 'compose\+affine:5'"),
        ("own:5", "own is made already"),
        ("real@close", "real is made already"),
        ("reproduce@close", "reproduce makes the real classes again and selects none"),
        ("compose@far", "classes are chosen distant, close, random, again"),
    ],
)
def test_other_names_are_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_recognition_arms([text])


def test_an_arm_that_comes_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="the arm compose-5 is named twice"):
        parse_recognition_arms(["compose", "compose:5"], [5])
