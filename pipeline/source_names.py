"""Which file of the sources each key stands for, and the other way round; from a run's corpus.

Shards have no names of files, which may be private: they stay in the run folder.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..manifests.errors import ConfigError
from ..manifests.files.atomic import read_parquet
from ..manifests.run_folder import RunFolder

_LISTED = 5  # files that an error names


@dataclass(frozen=True)
class SourceNames:
    """The rows of sources.parquet, by name and by key."""

    rows: list[dict[str, Any]]

    @classmethod
    def of_run(cls, run: Path | None) -> "SourceNames":
        """Reads a run folder; empty without one, or where its corpus cannot be read."""
        if run is None:
            return cls([])
        try:
            columns = ["name", "status", "reason", "key", "class_name"]
            rows = read_parquet(RunFolder(run).corpus / "sources.parquet").select(columns)
            return cls(rows.to_pylist())
        except (OSError, KeyError, ValueError, pa.ArrowException):
            return cls([])

    def by_key(self) -> dict[str, str]:
        """Key -> name of the file, of training images that were not forgotten."""
        return {row["key"]: row["name"] for row in self.rows if row["key"] and row["name"]}

    def find(self, name: str) -> dict[str, Any] | None:
        """The row of a file: by its whole name, or by the end of it where that is one file's.

        Raises ConfigError where several files end so.
        """
        wanted = name.replace("\\", "/").removeprefix("./")
        named = [row for row in self.rows if row["name"]]
        found = [row for row in named if row["name"] == wanted]
        if not found:
            # A path on this machine ends in the name; a bare file name is the end of the name.
            found = [
                row
                for row in named
                if row["name"].endswith(f"/{wanted}") or wanted.endswith(f"/{row['name']}")
            ]
        if len(found) > 1:
            listed = ", ".join(row["name"] for row in found[:_LISTED])
            more = ", ..." if len(found) > _LISTED else ""
            raise ConfigError(f"{len(found)} files are called {name}: {listed}{more}. Name one.")
        return found[0] if found else None
