"""Reads logs of JSON lines, such as train.jsonl and progress.jsonl."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from ...manifests.files.json_reader import parse_json


def read_json_lines(path: Path, fields: Collection[str]) -> Iterator[dict[str, Any]]:
    """The objects that have all of `fields`; nothing where there is no file.

    A line that a killed process left unfinished, or that is damaged, is skipped.
    """
    for text in path.read_bytes().splitlines() if path.exists() else []:
        try:
            line = parse_json(text)
        except ValueError:
            continue
        if isinstance(line, dict) and line.keys() >= set(fields):
            yield line
