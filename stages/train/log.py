"""train.jsonl: the log of a training, a JSON line per checkpoint."""

import json
import os
from pathlib import Path
from typing import Any

from ...manifests.errors import ScoreMixError
from ...manifests.files.atomic import storage_errors, write_bytes
from ...manifests.files.json_reader import parse_json


class TrainLog:
    """train.jsonl: a line per checkpoint; drops lines after the step that training resumes from."""

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        # A line without its end was cut off when the process was killed.
        old = path.read_bytes().splitlines(keepends=True) if path.exists() and step else []
        whole = (line for line in old if line.endswith(b"\n"))
        write_bytes(path, b"".join(line for line in whole if self._step(line) <= step))

    def _step(self, line: bytes) -> int:
        try:
            return int(parse_json(line.decode())["step"])
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            shown = line.strip()[:80].decode("ascii", "backslashreplace")
            raise ScoreMixError(
                f"{self.path} is damaged ({type(error).__name__} in {shown!r}). Restore it, or"
                " delete it: training goes on without its earlier lines."
            ) from error

    def write(self, **values: Any) -> None:
        """Appends a line."""
        with storage_errors(self.path), open(self.path, "a") as file:
            file.write(json.dumps(values) + "\n")
            file.flush()
            os.fsync(file.fileno())
