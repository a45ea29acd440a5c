"""Shared by all tests: one thread each, because several test processes share the cores."""

import os
from pathlib import Path

# Before torch loads: two processes with a thread per core each spend their time waiting.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")

import sys  # noqa: E402

import pytest  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent))  # for the helpers in tiny.py


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder of real images and weights, from SCOREMIX_TEST_DATA; skips where there is none."""
    folder = os.environ.get("SCOREMIX_TEST_DATA")
    if not folder:
        pytest.skip("SCOREMIX_TEST_DATA does not name a folder of real images")
    if not Path(folder, "data").is_dir():
        pytest.skip(f"SCOREMIX_TEST_DATA={folder} has no data/ folder")
    return Path(folder)
