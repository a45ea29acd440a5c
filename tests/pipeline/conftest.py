"""Shared by the tests of the pipeline."""

import pytest


@pytest.fixture(autouse=True)
def _short_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three steps of each kind are timed, and not steps for a second or two each."""
    for name in (
        "dry_run.PROBE_SECONDS",
        "steps.pilot._PROBE_SECONDS",
        "trial.cost._PROBE_SECONDS",
    ):
        monkeypatch.setattr(f"scoremix.pipeline.{name}", 0.0)
