"""Shared by the tests of the pipeline."""

import pytest


@pytest.fixture(autouse=True)
def _short_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dry runs time three steps of each kind, and not steps for two seconds each."""
    monkeypatch.setattr("scoremix.pipeline.dry_run.PROBE_SECONDS", 0.0)
