"""Paths below a run folder that manifests writes itself; pipeline/run_folder.py has the others."""

from pathlib import Path

STATE = ".scoremix"  # locks, plan, log and caches of a run, as opposed to what it made


def run_lock_path(run: Path) -> Path:
    return run / STATE / "lock"


def shard_locks_folder(run: Path) -> Path:
    return run / STATE / "shards"


def mirror_folder(run: Path) -> Path:
    """Local copies of what publishing reads again of a corpus in an object store."""
    return run / STATE / "mirror"
