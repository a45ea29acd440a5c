"""Checkouts of trainers, which SCOREMIX_TRAINERS names a folder of."""

import os
from pathlib import Path

import pytest


def checkout(name: str) -> Path:
    """The absolute folder of a trainer; skips the test where there is none."""
    folder = os.environ.get("SCOREMIX_TRAINERS")
    if not folder:
        pytest.skip("SCOREMIX_TRAINERS does not name a folder of trainers")
    path = Path(folder, name)
    if not path.is_dir():
        pytest.skip(f"SCOREMIX_TRAINERS={folder} has no {name}")
    return path.resolve()
