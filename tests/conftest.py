"""Shared by all tests: one thread each, because several test processes share the cores."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

# Before torch loads: two processes with a thread per core each spend their time waiting.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")

import sys  # noqa: E402

import pytest  # noqa: E402

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "support"))  # what several test files share

import quick_charts  # noqa: E402, F401
import s3  # noqa: E402

# Tests of floating-point results: the last bit of a sum, a matrix product or a convolution is the
# kernel's, so these are the ones that another processor can fail. `make test-elsewhere` runs them.
NUMERIC = (
    "manifests/plan/",
    "models/",
    "pipeline/shards/test_workers.py",
    "pipeline/test_pipeline.py::test_real_photographs",
    "pipeline/test_pipeline.py::test_the_same_seed",
    "pipeline/test_pipeline.py::test_training_longer",
    "stages/evaluate/",
    "stages/gan_samples/",
    "stages/generate/",
    "stages/images/test_bit_depth.py",
    "stages/images/test_decode.py",
    "stages/images/test_similarity.py",
    "stages/train/",
    "test_kernels.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests of NUMERIC: folders, files, and tests by the beginnings of their names."""
    for item in items:
        if f"{item.path.relative_to(HERE).as_posix()}::{item.name}".startswith(NUMERIC):
            item.add_marker(pytest.mark.numeric)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder of real images and weights, from SCOREMIX_TEST_DATA; skips where there is none."""
    folder = os.environ.get("SCOREMIX_TEST_DATA")
    if not folder:
        pytest.skip("SCOREMIX_TEST_DATA does not name a folder of real images")
    if not Path(folder, "data").is_dir():
        pytest.skip(f"SCOREMIX_TEST_DATA={folder} has no data/ folder")
    return Path(folder)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[s3.Server]:
    """An S3 server on the loopback; skips where moto or s3fs is not installed."""
    for package in ("moto", "s3fs", "flask"):
        pytest.importorskip(package, reason=f"the S3 server of the tests needs {package}")
    with s3.serving() as server:
        yield server


@pytest.fixture
def bucket(
    s3_server: s3.Server, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> str:
    """A new bucket of that server, and the environment in which clients find it."""
    import boto3

    s3.use(s3_server, monkeypatch)
    name = "b-" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]
    boto3.client("s3").create_bucket(Bucket=name)
    return name
