"""What is wrong in a stages.yaml or a --set: where it is, what was found, what to write."""

import datetime
import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from ..manifests.errors import ConfigError

# Types that YAML makes of plain words, where text was wanted.
_READ_AS: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),
    (int, "a number"),
    (float, "a number"),
    (datetime.date, "a date"),
)

# Parts of a problem's place that name no key but one of the types that a value may have.
_A_TYPE = re.compile(r"(str|int|float|bool|constrained-\w+|[A-Z]\w+|\w+\[.*\])$")


def refuse_folder(path: Path) -> ConfigError:
    """The error where a folder is named in place of a stages.yaml."""
    if (path / "stages.yaml").is_file():
        return ConfigError(
            f"{path} is a folder. Name the file in it: scoremix-pipeline run {path}/stages.yaml"
        )
    return ConfigError(
        f"{path} is a folder without a stages.yaml. Name a file; `scoremix-pipeline init` writes"
        " one, and a run folder has one once its images are read."
    )


def yaml_error(error: yaml.YAMLError, where: str, text: str) -> str:
    """What YAML's reader says of `text`, with line, column and the line itself over a caret.

    Where the text ends too early, the line is that of the quote or bracket which is not closed.
    """
    if isinstance(error, yaml.reader.ReaderError):
        character, before = text[error.position], text[: error.position].split("\n")
        return (
            f"{where} is not valid YAML: it does not allow the character {character!a}, in line"
            f" {len(before)}, column {len(before[-1]) + 1}. Remove it."
        )
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    problem = problem or " ".join(str(error).split())
    if mark is None:
        return f"{where} is not valid YAML: {problem}."
    opened, place = getattr(error, "context_mark", None), ", in"
    if opened is not None and not text[mark.index :].strip():
        mark, place = opened, f" {getattr(error, 'context', '')} that begins in"
    snippet = mark.get_snippet(indent=2)
    shown = "" if snippet is None else f":\n{snippet.replace(chr(9), ' ')}"
    place = f"{place} line {mark.line + 1}, column {mark.column + 1}"
    return f"{where} is not valid YAML: {problem}{place}{shown}"


def explain(
    error: ValidationError, where: str, config: type[BaseModel], given: dict[str, Any]
) -> str:
    """One line for each problem: its place, what is wrong, what was found, what to write.

    where: the file. given: the values of the command line, which is named in its place where all
    problems are in these.
    """
    if all(_is_given(given, problem["loc"]) for problem in error.errors()):
        where = "The command line"
    lines = []
    for problem in _joined(error.errors()):
        place = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            known = _known_keys(problem["loc"][:-1], config)
            near = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}."
            lines.append(f"{place}: unknown key; {hint}")
        else:
            message = problem["msg"].removeprefix("Value error, ").rstrip(".")
            found = problem["input"]
            shown = f"; found {found!r}" if not isinstance(found, dict) else ""
            lines.append(f"{place}: {message}{shown}{_quote_it(problem['type'], found)}.")
    return f"{where} has {len(lines)} problem(s):\n  " + "\n  ".join(lines)


def _is_given(given: dict[str, Any], place: Sequence[int | str]) -> bool:
    """Whether the overrides have a value at this place of the config, or one above it."""
    found: Any = given
    for part in place:
        if not isinstance(found, dict):
            return True  # a value of which pydantic names a part, or a type that it may have
        if part not in found:
            return False
        found = found[part]
    return True


def _joined(problems: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """Joins what pydantic says of a value for each type that it may have: one problem, all types.

    Where one of the types fits but for something within, what is wrong within is said alone.
    """
    at_place: dict[tuple[int | str, ...], list[Any]] = {}
    for problem in problems:
        place = tuple(part for part in problem["loc"] if not _A_TYPE.match(str(part)))
        at_place.setdefault(place, []).append(problem)
    for place, found in at_place.items():
        if any(other[: len(place)] == place for other in at_place if other != place):
            continue
        wanted = " or ".join(each["msg"].removeprefix("Input should be ") for each in found)
        words = re.findall(r"'([^']+)'", wanted) if found[0]["type"] == "literal_error" else []
        near = difflib.get_close_matches(str(found[0]["input"]), words, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        text = found[0]["msg"] if len(found) == 1 else f"Input should be {wanted}"
        yield {**found[0], "loc": place, "msg": text + hint}


def _quote_it(kind: str, found: Any) -> str:
    """Says how to quote a plain word that YAML reads as something else than text."""
    if kind != "string_type":
        return ""
    if isinstance(found, dict):
        return "; found a mapping: YAML reads { } as one. Quote the whole value: '{data} ...'"
    read = next((words for type_, words in _READ_AS if isinstance(found, type_)), None)
    if read is None:
        return ""
    return f": YAML reads it as {read}. Quote it as it is written, as in path: '01' or \"no\""


def _known_keys(location: tuple[int | str, ...], config: type[BaseModel]) -> list[str]:
    """Names the keys of the section, or of the mapping in a list, at a place in stages.yaml."""
    model = config
    for part in location:
        field = model.model_fields.get(str(part))
        model = next(_models_in(field.annotation), model) if field else model
    return list(model.model_fields)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)
