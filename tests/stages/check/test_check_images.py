"""check, the stylegan target: a broken corpus of every kind, built from nothing."""

from pathlib import Path

import pytest
from broken import Case, assert_told
from broken_images import CASES


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule}-{case.file}")
def test_a_broken_corpus_is_told(case: Case, tmp_path: Path) -> None:
    assert_told(case, tmp_path)
