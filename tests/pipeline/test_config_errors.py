"""Problems of a stages.yaml in words: one line each, all types of a value in it."""

from typing import Any

import pytest
from pydantic import ValidationError

from scoremix.manifests.errors import ConfigError
from scoremix.pipeline.config import Config, compose
from scoremix.pipeline.config_errors import explain


@pytest.mark.parametrize(
    ("values", "lines"),
    [
        (
            {"generate": {"method": "cutmx"}},
            ["generate.method: Input should be 'scoremix', ", "(did you mean 'cutmix'?)"],
        ),
        ({"generate": {"batch": "x"}}, ["generate.batch: Input should be 'auto' or a valid integ"]),
        ({"generate": {"batch": 0}}, ["generate.batch: Input should be 'auto' or greater than or"]),
        ({"train": {"preset": "tny"}}, ["train.preset: ", "(did you mean 'tiny'?); found 'tny'"]),
        ({"evaluate": {"variants": 5}}, ["evaluate.variants: Input should be 'off', 'steps' or"]),
        ({"ingest": {"source": 5}}, ["ingest.source: ", "Quote it as it is written"]),
    ],
)
def test_a_value_of_several_types_is_one_problem(values: Any, lines: list[str]) -> None:
    text = explained(values)
    assert text.startswith("x.yaml has 1 problem(s):\n  ") and text.count("\n") == 1
    assert all(line in text for line in lines) and "literal[" not in text


def test_what_is_wrong_within_a_list_is_said_alone() -> None:
    text = explained({"ingest": {"source": [{"path": "x", "sourc": 3}]}})
    assert "ingest.source.0.sourc: unknown key; did you mean 'source'?" in text
    assert "ingest.source.0.source: Field required" in text and text.count("\n") == 2


def explained(values: Any) -> str:
    with pytest.raises(ValidationError) as error:
        Config.model_validate(values)
    return explain(error.value, "x.yaml", Config, {})


@pytest.mark.parametrize("given, named", [
    ({"train": {"lr": "much"}}, "The command line has 1 problem"),
    ({"generate": {"method": "cutmx"}}, "The command line has 1 problem"),
    ({"train": {"sedes": 1}}, "The command line has 1 problem"),
    ({"train": {"width": 8}}, "x.yaml has 1 problem"),
])  # fmt: skip
def test_what_the_command_line_gives_is_not_the_files_fault(
    given: dict[str, Any], named: str
) -> None:
    values = {"train": {"lr": "much"}} if "width" in str(given) else given
    with pytest.raises(ValidationError) as error:
        Config.model_validate(values)
    assert explain(error.value, "x.yaml", Config, given).startswith(named)


@pytest.mark.parametrize("value", ["photos #2", "#2", "photos  # mine"])
def test_a_comment_in_a_value_is_not_cut_off_silently(value: str) -> None:
    values = {"run": "run", "ingest": {"source": "digits"}}
    with pytest.raises(ConfigError, match="what follows # is a comment in YAML. Quote the value"):
        compose(values, [f"ingest.source={value}"], "the test")
    quoted = compose(values, [f'ingest.source="{value}"'], "the test")
    assert str(quoted.ingest.source).endswith(value)
    assert compose(values, ["ingest.source=photos#2"], "the test").ingest.source != "photos"
