"""Placeholders of a command, inside quotes and outside: bash is asked what it makes of them."""

import subprocess

import pytest

from scoremix.stages.trial.quoting import fill_template

PATHS = ("/a/b", "/a b/it's", '/with "quotes" and $HOME', "/a\\b `c` (d) #e")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "template",
    [
        "printf %s {data}",
        'printf %s "{data}"',
        "printf %s '{data}'",
        'printf %s "$(printf %s {data})"',
        'printf %s "$(printf %s "{data}")"',
        'printf %s "it\'s "{data} | cut -c6-',
        "true # it's\nprintf %s {data}",
        "printf %s {data} # \"'",
        "true $((2 * (3 + 1))) \\' \\\"; printf %s {data}",
        "a=x-y; true ${{a#*-}} '#'; printf %s {data}",
    ],
)
def test_a_path_is_itself_wherever_it_stands(template: str, path: str) -> None:
    text = fill_template(template, {}, {"data": path})
    done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip("\n") == path and not done.stderr


def test_other_values_are_inserted_as_they_are() -> None:
    assert fill_template('"{seed}" {{x}} {data}', {"seed": 3}, {"data": "a b"}) == "\"3\" {x} 'a b'"
