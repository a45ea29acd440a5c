"""Shared by the tests of the pipeline."""

import pytest
import s3
from remote_runs import Uploaded, upload


@pytest.fixture(autouse=True)
def _short_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three steps of each kind are timed, and not steps for a second or two each."""
    for name in (
        "dry_run.PROBE_SECONDS",
        "steps.pilot._PROBE_SECONDS",
        "trial.cost._PROBE_SECONDS",
    ):
        monkeypatch.setattr(f"scoremix.pipeline.{name}", 0.0)


@pytest.fixture(scope="session")
def built_upload(s3_server: s3.Server, tmp_path_factory: pytest.TempPathFactory) -> Uploaded:
    """To be restored by `uploaded`."""
    return upload(tmp_path_factory.mktemp("uploaded"), s3_server, "uploaded")


@pytest.fixture
def uploaded(
    built_upload: Uploaded, s3_server: s3.Server, monkeypatch: pytest.MonkeyPatch
) -> Uploaded:
    """A corpus in a bucket and its run, restored to what they were; free to be damaged."""
    s3.use(s3_server, monkeypatch)
    built_upload.restore()
    return built_upload
