"""Options that are set for nothing are named, by the run and by its dry run."""

from typing import Any

import pytest

from scoremix.pipeline.config import Config
from scoremix.pipeline.unused import unused_notes

NO_USE = "makes no use of"


def notes(**sections: Any) -> list[str]:
    return unused_notes(Config.model_validate(sections), 32, "cpu", 500)


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        (
            {"generate": {"method": "mixup", "gamma": 0.4}},
            [f"generate.gamma is set, and method mixup {NO_USE} it"],
        ),
        (
            {"generate": {"method": "mixup", "gamma": 0.4, "keep": "none"}},
            [f"generate.keep, generate.gamma are set, and method mixup {NO_USE} them"],
        ),
        (
            {"generate": {"method": "augmix"}, "train": {"steps": 9, "preset": "tiny"}},
            ["train.steps is set, and method augmix trains no network by it"],
        ),
        (
            {"train": {"conditioning": "table"}},
            [f"train.conditioning is set, and the U-Net {NO_USE} it"],
        ),
        ({"train": {"conditioning": "table", "network": "refinenet"}}, []),
        (
            {"train": {"early_stop": False, "preset": "paper"}},
            [f"train.early_stop is set, and the RefineNet {NO_USE} it"],
        ),
        ({"train": {"early_stop": False}}, []),
        (
            {"pilot": {"rows": 60}, "generate": {"method": "bridge"}},
            ["pilot.rows is set, and method bridge is compared with no other by it"],
        ),
        ({"pilot": {"rows": 60}}, []),
        ({"recognise": {"scale": 9.0}}, []),  # the command `recognition` reads it
        ({"generate": {"keep": "none"}}, []),  # of one of the pilot's candidates
        ({"generate": {"keep": "none"}, "train": {"preset": "paper"}},
            [f"generate.keep is set, and method scoremix {NO_USE} it"]),
    ],
)  # fmt: skip
def test_what_is_set_for_nothing(sections: dict[str, Any], expected: list[str]) -> None:
    assert notes(**sections) == expected


@pytest.mark.parametrize("method", ["auto", "mixup", "bridge", "scoremix", "sample", "compose"])
@pytest.mark.parametrize("network", ["unet", "refinenet"])
def test_what_a_run_saved_is_not_taken_for_set(method: str, network: str) -> None:
    if method == "compose" and network == "refinenet":
        pytest.skip("the RefineNet knows no classes")
    given = Config.model_validate({"generate": {"method": method}, "train": {"network": network}})
    saved = given.resolved(32, "cpu", 500).model_dump()
    before = unused_notes(given, 32, "cpu", 500)
    assert unused_notes(Config.model_validate(saved), 32, "cpu", 500) == before
    trained_for_nothing = method == "mixup" and network == "refinenet"
    assert before == (
        ["train.network is set, and method mixup trains no network by it"]
        if trained_for_nothing
        else []
    )
