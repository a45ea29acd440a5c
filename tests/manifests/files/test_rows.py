"""Rows of a table by their values, and tables read without pandas."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa

from scoremix.manifests.files.atomic import read_parquet, write_parquet
from scoremix.manifests.files.rows import rows_where

TABLE = pa.table({"kind": ["real", "augmented", "real", None], "class_id": [0, 0, 1, 1]})


def test_rows_have_every_value_and_keep_their_order() -> None:
    assert rows_where(TABLE, kind="real")["class_id"].to_pylist() == [0, 1]
    assert rows_where(TABLE, kind="real", class_id=1).to_pylist() == [TABLE.to_pylist()[2]]
    assert rows_where(TABLE, kind="copied").num_rows == 0
    assert rows_where(TABLE).equals(TABLE)


def test_a_table_is_read_as_it_was_written_and_without_pandas(tmp_path: Path) -> None:
    file = tmp_path / "key=value" / "kind=other.parquet"  # no partition of a larger table
    file.parent.mkdir()
    write_parquet(file, TABLE)
    assert read_parquet(file).equals(TABLE) and read_parquet(file.read_bytes()).equals(TABLE)
    program = (
        "import pathlib, sys; from scoremix.manifests.files.atomic import read_parquet;"
        " read_parquet(pathlib.Path(sys.argv[1])); print('pandas' in sys.modules)"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, file], capture_output=True, text=True, check=True
    )
    assert found.stdout == "False\n"
