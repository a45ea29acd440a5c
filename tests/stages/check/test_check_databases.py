"""check of HDF5 and LMDB: the libraries run in a child with limits, and damage is a finding."""

import re
import struct
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from broken import PNG, Build, database, hdf5

from scoremix.stages.check.check import check_corpus
from scoremix.stages.common.progress import Silent


def overlong_value(path: Path) -> None:
    """An image of 256 MiB by its entry (MDB_node: size, flags, length of the key), in a small file.

    It begins on a page that is there, so that nothing is wrong until its end is read.
    """
    data = path / "data.mdb"
    content = bytearray(data.read_bytes())
    place = content.find(b"16-00001")
    while place >= 0:
        struct.pack_into("<HH", content, place - 8, 0xFFFF, 0x0FFF)
        place = content.find(b"16-00001", place + 1)
    data.write_bytes(content)


def test_a_database_that_kills_its_reader_is_a_finding(tmp_path: Path) -> None:
    """In a process that the check survives: LMDB maps the file, and reads beyond its end."""
    path = database(data=PNG + bytes(5000))(tmp_path)
    overlong_value(path)
    [verdict] = check_corpus(path, "lmdb", Silent())
    [finding] = verdict.findings
    assert finding.rule == "lmdb-damaged"
    [(file, reason)] = finding.files
    assert file == "data.mdb" and re.search(r"ended the reader's process \(SIG(BUS|SEGV)\)", reason)


def test_a_file_that_claims_more_than_it_can_hold_is_a_finding(tmp_path: Path) -> None:
    """4 million images that were never written, in a few kilobytes: not read block by block."""
    path = tmp_path / "ILSVRC32.hdf5"
    with h5py.File(path, "w") as file:
        shape = (4_000_000, 3, 32, 32)
        file.create_dataset("imgs", shape, np.uint8, chunks=(100, 3, 32, 32), compression="gzip")
        file.create_dataset("labels", shape[:1], np.int64, chunks=(1000,), compression="gzip")
    begin = time.monotonic()
    [verdict] = check_corpus(path, "hdf5", Silent())
    assert time.monotonic() - begin < 20 and not verdict.readable
    found = {(one.rule, one.files[0][0].split(": ")[1]) for one in verdict.findings}
    assert ("too-large", "imgs") in found
    assert "says that it holds 4,000,000 images" in str(verdict.findings)


@pytest.mark.parametrize(
    ("reader", "build", "function"),
    [("hdf5", hdf5(), "h5py.File"), ("lmdb", database(), "lmdb.open")],
)
def test_libraries_of_databases_are_called_in_another_process(
    reader: str, build: Build, function: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this one they fail; a crash in them would end it."""
    path = build(tmp_path)
    monkeypatch.setattr(function, None)
    [verdict] = check_corpus(path, reader, Silent())
    assert verdict.readable and verdict.facts["images"] in (4, 6)
