"""train.jsonl when training resumes: what is kept, and what a damaged line leads to."""

from pathlib import Path

import pytest

from scoremix.manifests.errors import ScoreMixError
from scoremix.stages.train.log import TrainLog


def test_later_lines_and_an_unfinished_one_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text('{"step": 5}\n{"step": 10}\n{"step": 15}\n{"st')
    TrainLog(path, 10).write(step=12)
    assert path.read_text() == '{"step": 5}\n{"step": 10}\n{"step": 12}\n'
    TrainLog(path, 0)
    assert path.read_bytes() == b""


@pytest.mark.parametrize(
    "line", [b'{"step": 5, "loss": \x80.3}', b"{", b"[]", b'{"images": 5}', b'{"step": 1e999}']
)
def test_a_damaged_line_names_the_file_and_changes_nothing(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(line + b"\n")
    with pytest.raises(ScoreMixError, match=f"{path} is damaged .*delete it"):
        TrainLog(path, 10)
    assert path.read_bytes() == line + b"\n"
