"""check, the targets imagefolder, unpaired, hdf5 and lmdb: a broken corpus of every kind."""

from pathlib import Path

import pytest
from broken import Case, assert_told
from broken_layouts import CASES


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.rule}-{case.wanted}-{case.file}")
def test_a_broken_corpus_is_told(case: Case, tmp_path: Path) -> None:
    assert_told(case, tmp_path)
