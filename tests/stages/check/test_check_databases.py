"""check of HDF5 and LMDB: the libraries run in a child with limits, and damage is a finding."""

import re
import shlex
import struct
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from broken import PNG, Build, batch, database, hdf5, png, zipped

from scoremix.stages.check.check import check_corpus
from scoremix.stages.check.rules import RULES
from scoremix.stages.common.progress import Silent
from scoremix.stages.sources.open import open_source
from scoremix.stages.sources.spec import SourceSpec


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


@pytest.mark.parametrize(("reader", "build", "data"), [
    ("studiogan", hdf5(batch(side=24, axes="NHWC"), name="d_24_wo_resize_train.hdf5"), "*.hdf5"),
    ("biggan", hdf5(batch(side=24), name="ILSVRC24.hdf5"), "*.hdf5"),
    ("rosinality", database(side=24, data=png(24)), "."),
    ("lmdb", database(data=png(24)), "."),
    ("lmdb", database(data=png(mode="P")), "."),
])  # fmt: skip
def test_remedies_of_a_database_can_be_followed(
    reader: str, build: Build, data: str, tmp_path: Path
) -> None:
    """No tool converts images in it; `augment` is given what it reads."""
    built = build(tmp_path)
    [verdict] = check_corpus(built.parent if data == "*.hdf5" else built, reader, Silent())
    remedies = [one.remedy for one in verdict.findings if "mogrify" in RULES[one.rule].remedy]
    assert remedies
    for remedy in remedies:
        assert "mogrify" not in remedy and "export SHARDS --real-only" in remedy
        words = shlex.split(remedy.partition("`")[2].partition("`")[0])
        named = Path(words[words.index("--data") + 1])
        assert named == built
        with open_source(SourceSpec(str(named)), "ingest.source") as source:
            assert len(source.inputs) in (4, 6)


def test_remedies_for_files_in_a_zip_begin_with_unpacking(tmp_path: Path) -> None:
    path = zipped([("0.png", png(24)), ("1.png", png(24))])(tmp_path)
    [verdict] = check_corpus(path, "stylegan3", Silent())
    [remedy] = [one.remedy for one in verdict.findings if one.rule == "not-power-of-two"]
    assert f"--data {path} " in remedy and "mogrify" in remedy and "Unpack the zip" in remedy


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
