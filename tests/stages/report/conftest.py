"""Shared by the tests of the report."""

from collections.abc import Iterator

import pytest
import quick_charts


@pytest.fixture(scope="package", autouse=True)
def _charts_as_users_get_them() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scoremix.stages.report.charts._svg", quick_charts.DRAWN)
        yield
