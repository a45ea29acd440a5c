"""What is seen of a corpus that somebody changed on purpose, with its digests written again."""

import json
import tarfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import made
import pyarrow as pa
import pytest
from earlier import write_digests

from scoremix.manifests.errors import VerifyError
from scoremix.manifests.files.atomic import json_bytes, parquet_bytes, read_parquet, sha256_file
from scoremix.manifests.published.index import INDEX
from scoremix.manifests.published.inspect import PublishedCorpus
from scoremix.manifests.published.owner import OWNER, Owner
from scoremix.manifests.published.run_record import compare_with_run
from scoremix.manifests.published.subset import shard_urls
from scoremix.manifests.published.sums import SUMS
from scoremix.manifests.published.verify import verify
from scoremix.manifests.shards.shard import FileFacts, read_marker
from scoremix.manifests.trainers.image_bytes import open_tars
from scoremix.manifests.trainers.layout import Slice

NAME = "aug-000000"
CHANGED = "another end than a shard has"


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    return made.make_corpus(tmp_path)


def test_a_payload_in_the_record_of_the_owner_is_seen(shards: Path) -> None:
    record = shards / OWNER
    record.write_bytes(Owner("a" * 32).as_bytes())
    assert not verify(shards)
    record.write_bytes(record.read_bytes() + b" " * 1000)
    (problem,) = verify(shards)
    assert problem.file == OWNER


def digests_again(shards: Path, change: Callable[[dict[str, Any]], None] | None = None) -> None:
    """Marker of NAME, index.json and SHA256SUMS as they would be for what lies there now."""
    marker = read_marker(shards, NAME)
    assert marker is not None
    facts = {
        end: FileFacts(sha256_file(path := shards / f"{NAME}.{end}"), path.stat().st_size)
        for end in ("tar", "parquet")
    }
    (shards / f"{NAME}.json").write_bytes(json_bytes(asdict(replace(marker, **facts))))
    index = json.loads((shards / INDEX).read_text())
    for entry in index["shardlist"]:
        if entry["url"] == f"{NAME}.tar":
            entry |= {
                "filesize": facts["tar"].size,
                "sha256": facts["tar"].sha256,
                "parquet_sha256": facts["parquet"].sha256,
                "marker_sha256": sha256_file(shards / f"{NAME}.json"),
            }
    for name in index["files"]:
        index["files"][name] = sha256_file(shards / name)
    if change is not None:
        change(index)
    write_digests(shards, index)


def member_after_the_end(tar: Path) -> None:
    with tarfile.open(tar.with_name("more"), "w", format=tarfile.USTAR_FORMAT) as more:
        more.add(tar.with_suffix(".json"), "payload.sh")
    tar.write_bytes(tar.read_bytes() + tar.with_name("more").read_bytes())
    tar.with_name("more").unlink()


def payload_in_padding(tar: Path) -> None:
    with tarfile.open(tar) as opened:
        member = next(iter(opened))
    data = bytearray(tar.read_bytes())
    assert member.size % 512 and not any(data[member.offset_data + member.size :][:8])
    place = member.offset_data + member.size
    data[place : place + 4] = b"evil"
    tar.write_bytes(data)


def payload_in_a_header(tar: Path) -> None:
    """The name of the owner: readers of samples never look at it."""
    data = bytearray(tar.read_bytes())
    data[265:269] = b"evil"
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    tar.write_bytes(data)


def payload_at_the_end(tar: Path) -> None:
    data = tar.read_bytes()
    tar.write_bytes(data[:-4] + b"evil")


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (member_after_the_end, CHANGED),
        (payload_at_the_end, CHANGED),
        (payload_in_padding, "has data in the padding after"),
        (payload_in_a_header, "has other bytes in or before the header of"),
    ],
)
def test_bytes_that_no_reader_sees_are_seen(
    tamper: Callable[[Path], None], said: str, shards: Path
) -> None:
    digests_again(shards)
    assert verify(shards) == []  # so that what is found is what was changed
    tamper(shards / f"{NAME}.tar")
    digests_again(shards)
    problems = verify(shards)
    assert [problem.file for problem in problems] == [f"{NAME}.tar"]
    assert said in problems[0].what


def test_the_runs_ledger_knows_of_digests_that_were_all_written_again(shards: Path) -> None:
    recorded = sha256_file(shards / SUMS)
    assert compare_with_run(shards, recorded) == compare_with_run(shards, None) == []
    card = shards / "README.md"
    card.write_text(card.read_text() + "Visit us.\n")
    assert verify(shards) != []
    digests_again(shards)
    assert verify(shards) == []  # nothing in the folder can tell
    (problem,) = compare_with_run(shards, recorded)
    assert problem.file == SUMS and "is not the file that the run published" in problem.what


def test_empty_folders_are_seen(shards: Path) -> None:
    (shards / "lost+found").mkdir()
    assert verify(shards) == []
    (shards / "a" / "b").mkdir(parents=True)
    assert [(problem.file, problem.what[:10]) for problem in verify(shards)] == [
        ("a/b", "is foreign")
    ]


@pytest.mark.parametrize("url", ["../secret.tar", "/etc/passwd", "s3://b/aug-000000.tar", "x.tar"])
def test_an_index_cannot_name_files_outside_its_folder(url: str, shards: Path) -> None:
    def change(index: dict[str, Any]) -> None:
        index["shardlist"][-1]["url"] = url

    digests_again(shards, change)
    for read in (shard_urls, lambda place: PublishedCorpus(place).summary()):
        with pytest.raises(VerifyError, match="was not opened"):
            read(shards)
    assert any("names a file outside the corpus" in str(problem) for problem in verify(shards))


@pytest.mark.parametrize("depth", [300, 960, 200_000])
def test_an_index_that_is_nested_deep_is_refused(depth: int, shards: Path) -> None:
    index = json.loads((shards / "index.json").read_bytes())
    text = json.dumps(index | {"deep": None}).replace("null", "[" * depth + "]" * depth)
    (shards / "index.json").write_text(text)
    assert verify(shards)
    if depth > 1000:  # more than Python reads
        for read in (shard_urls, lambda place: PublishedCorpus(place).summary()):
            with pytest.raises(VerifyError, match="cannot be read"):
                read(shards)


def test_a_manifest_cannot_either(shards: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.tar").write_bytes(bytes(20000))
    table = read_parquet(shards / "manifest.parquet")
    names = pa.array(["../secret"] * table.num_rows, pa.string())
    changed = table.set_column(table.schema.get_field_index("shard"), "shard", names)
    (shards / "manifest.parquet").write_bytes(parquet_bytes(changed))
    with pytest.raises(VerifyError, match="was not opened"):
        PublishedCorpus(shards).image_bytes("000000")
    with open_tars(shards) as tars, pytest.raises(VerifyError, match="was not opened"):
        tars.read("000000", Slice("../secret", 0, 10, "0" * 64))
