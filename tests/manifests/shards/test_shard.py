"""The commit of a shard: its bytes, what it refuses, and what a kill at any point leaves."""

import dataclasses
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from scoremix.manifests.errors import ScoreMixError, StorageError
from scoremix.manifests.files.crash_points import SHARD_POINTS
from scoremix.manifests.plan.plan import PlanOptions, build_plan, group_by_shard, rows_digest
from scoremix.manifests.plan.schema import MANIFEST, PLAN, SAMPLE_FIELDS, SOURCES
from scoremix.manifests.shards.shard import Marker, Sample, commit_shard, is_complete, read_marker
from scoremix.manifests.shards.tar import compare_members, damaged_images, header

NAME = "aug-000000"


def plan_rows(classed: bool = True) -> pa.Table:
    """The four rows of the first augmented shard of a small corpus."""
    rows = [
        {"status": "train", "row": row, "key": f"{row:06d}", "class_id": row % 2 if classed else -1}
        for row in range(4)
    ]
    empty = dict.fromkeys(SOURCES.names)
    table = pa.Table.from_pylist([empty | row for row in rows], schema=SOURCES)
    plan = build_plan(table, PlanOptions(1, 0.2, "auto", "refuse", "scoremix", 8), seed=0)
    return group_by_shard(plan)[NAME]


def png(number: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 4), (number, 2 * number, 255 - number)).save(file, "PNG")
    return file.getvalue()


def samples_of(rows: pa.Table, normed: bool = True) -> Iterator[Sample]:
    for row in rows.to_pylist():
        image = png(row["row_1"])
        yield Sample(
            row=row,
            image=image,
            pixel_sha256=hashlib.sha256(image[::-1]).hexdigest(),
            width=4,
            height=4,
            norms=(0.3, 0.1, 0.2) if normed else None,
            soft_label=None if row["class_id"] >= 0 else [0.25, 0.75],
            source_sha256=("a" * 64, "b" * 64),
            license="CC0-1.0",
        )


def commit(root: Path, samples: Any = None, rows: pa.Table | None = None) -> Marker:
    rows = plan_rows() if rows is None else rows
    return commit_shard(
        root / "shards",
        root / "tmp",
        NAME,
        samples_of(rows) if samples is None else samples,
        rows_digest=rows_digest(rows),
        recipe_digest="r" * 64,
        environment={"torch": "2"},
    )


def complete(root: Path, rows: pa.Table | None = None, **more: Any) -> bool:
    digest = rows_digest(plan_rows() if rows is None else rows)
    wanted = {"rows_digest": digest, "recipe_digest": "r" * 64} | more
    return is_complete(root / "shards", NAME, **wanted)


def tree(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_bytes_of_a_two_sample_tar_are_this_literal(tmp_path: Path) -> None:
    """Constant image bytes: nothing but names, labels, JSON and the tar format is pinned here."""
    rows = [
        {
            "key": key,
            "kind": "augmented",
            "round": 1,
            "shard": NAME,
            "position": position,
            "row_1": position,
            "row_2": 1 - position,
            "source_1": f"{position:06d}",
            "source_2": f"{1 - position:06d}",
            "lambda": 0.25,
            "class_id": 3,
            "method": "scoremix",
            "seed": 2**62 + position,
        }
        for position, key in enumerate(["000000-001", "000001-001"])
    ]
    samples = [
        Sample(row, b"image bytes", "0" * 64, 8, 8, (0.5, 0.25, 0.125), None, ("1", "2"), None)
        for row in rows
    ]
    marker = commit(tmp_path, samples, pa.Table.from_pylist(rows, schema=PLAN))
    data = (tmp_path / "shards" / f"{NAME}.tar").read_bytes()
    assert data.count(b"image bytes") == 2
    assert marker.tar.sha256 == hashlib.sha256(data).hexdigest() == LITERAL


LITERAL = "5e57e8b4b7de124ff93802a0fda44d451fae68004710576d7f0a01e4bce0f465"


def test_tar_is_plain_ustar(tmp_path: Path) -> None:
    commit(tmp_path)
    path = tmp_path / "shards" / f"{NAME}.tar"
    assert path.stat().st_size % tarfile.RECORDSIZE == 0
    with tarfile.open(path) as tar:
        members = tar.getmembers()
    assert all(
        (m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode, m.isreg()) == (0, 0, 0, "", "", 0o644, 1)
        for m in members
    )
    assert not any(m.pax_headers for m in members)
    keys = plan_rows()["key"].to_pylist()
    assert [m.name for m in members] == [
        f"{key}.{extension}" for key in keys for extension in ("cls", "json", "png")
    ]
    subprocess.run(["tar", "-tf", path], check=True, capture_output=True)


@pytest.mark.parametrize("classed", [True, False])
@pytest.mark.parametrize("normed", [True, False])
def test_readers_get_every_field_back(tmp_path: Path, classed: bool, normed: bool) -> None:
    import webdataset as wds  # here, since it brings torch: the processes to kill start faster

    rows = plan_rows(classed)
    marker = commit(tmp_path, samples_of(rows, normed), rows)
    table = pq.read_table(tmp_path / "shards" / f"{NAME}.parquet")
    assert table.schema.equals(MANIFEST)
    manifest = table.to_pylist()
    assert rows_digest(table) == rows_digest(rows) == marker.rows_digest
    read = list(
        wds.WebDataset(str(tmp_path / "shards" / f"{NAME}.tar"), shardshuffle=False).decode()
    )
    raw = (tmp_path / "shards" / f"{NAME}.tar").read_bytes()
    assert [sample["__key__"] for sample in read] == rows["key"].to_pylist()
    for sample, row in zip(read, manifest, strict=True):
        fields = sample["json"]
        absent = set() if normed else {"norm_mixup", "norm_minimised", "norm_final"}
        absent |= {"soft_label"} if classed else set()
        assert fields.keys() == SAMPLE_FIELDS.keys() - absent
        for name, value in fields.items():
            assert type(value) is SAMPLE_FIELDS[name]
            assert value == pytest.approx(row[name]) if "norm" in name else value == row[name]
        assert sample.get("cls") == (row["class_id"] if classed else None)
        assert raw[row["offset"] :][: row["size"]] == png(row["row_1"])
        assert hashlib.sha256(png(row["row_1"])).hexdigest() == row["sha256"]
        assert (row["source_1_sha256"], row["source_2_sha256"]) == ("a" * 64, "b" * 64)
        assert (row["license"], row["width"], row["height"]) == ("CC0-1.0", 4, 4)
        assert row["recipe_digest"] == "r" * 64


def test_marker_says_what_was_committed(tmp_path: Path) -> None:
    rows = plan_rows()
    marker = commit(tmp_path)
    assert read_marker(tmp_path / "shards", NAME) == marker
    for extension, facts in (("tar", marker.tar), ("parquet", marker.parquet)):
        data = (tmp_path / "shards" / f"{NAME}.{extension}").read_bytes()
        assert (facts.sha256, facts.size) == (hashlib.sha256(data).hexdigest(), len(data))
    assert (marker.shard, marker.round, marker.kind, marker.samples) == (NAME, 1, "augmented", 4)
    keys = rows["key"].to_pylist()
    assert (marker.first_key, marker.last_key) == (keys[0], keys[-1])
    assert marker.environment == {"torch": "2"}
    assert sorted(tree(tmp_path / "shards")) == [f"{NAME}.{e}" for e in ("json", "parquet", "tar")]
    assert not list((tmp_path / "tmp").iterdir())


def test_same_samples_give_same_bytes(tmp_path: Path) -> None:
    commit(tmp_path / "a")
    commit(tmp_path / "b")
    os.utime(tmp_path / "b/shards" / f"{NAME}.tar", (1, 1))
    commit(tmp_path / "b")
    assert tree(tmp_path / "a/shards") == tree(tmp_path / "b/shards")


def test_samples_are_streamed(tmp_path: Path) -> None:
    """A sample is in the tar before the next one is asked for, but for a mebibyte in all."""
    sizes: list[int] = []

    def watched() -> Iterator[Sample]:
        big = os.urandom(1 << 21)
        for sample in samples_of(plan_rows()):
            sizes.append(sum(path.stat().st_size for path in (tmp_path / "tmp").iterdir()))
            yield dataclasses.replace(sample, image=big)

    commit(tmp_path, watched())
    assert [size >= place << 21 for place, size in enumerate(sizes)] == [True] * 4


def test_complete_means_that_marker_and_files_agree(tmp_path: Path) -> None:
    assert not complete(tmp_path)
    commit(tmp_path)
    assert complete(tmp_path) and complete(tmp_path, thorough=True)
    assert not complete(tmp_path, recipe_digest="other")
    assert not complete(tmp_path, rows_digest="other")
    for extension in ("tar", "parquet"):
        path = tmp_path / "shards" / f"{NAME}.{extension}"
        data = path.read_bytes()
        path.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
        assert complete(tmp_path) and not complete(tmp_path, thorough=True)
        path.write_bytes(data[:-1])
        assert not complete(tmp_path)
        path.unlink()
        assert not complete(tmp_path)
        path.write_bytes(data)
    assert complete(tmp_path, thorough=True)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda marker: marker | {"format": "scoremix-shard-0"},
        lambda marker: marker | {"extra": 1},
        lambda marker: marker | {"samples": "4"},
        lambda marker: marker | {"tar": {"sha256": "0"}},
        lambda marker: marker | {"shard": "aug-000001"},
        lambda marker: {key: value for key, value in marker.items() if key != "rows_digest"},
        lambda marker: [marker],
        lambda marker: None,
    ],
)
def test_what_is_no_marker(tmp_path: Path, spoil: Any) -> None:
    commit(tmp_path)
    path = tmp_path / "shards" / f"{NAME}.json"
    path.write_text(json.dumps(spoil(json.loads(path.read_text()))))
    assert read_marker(tmp_path / "shards", NAME) is None and not complete(tmp_path)
    path.write_bytes(b"\xff{")
    assert read_marker(tmp_path / "shards", NAME) is None


def changed(place: int, **changes: Any) -> list[Sample]:
    """The planned samples, one of them changed; a `row` in changes is merged into its row."""
    samples = list(samples_of(plan_rows()))
    row = samples[place].row | changes.pop("row", {})
    samples[place] = dataclasses.replace(samples[place], row=row, **changes)
    return samples


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (changed(1, row={"key": "00.0001"}), "use 1 to 80 of"),
        (changed(1, row={"key": "a/b"}), "use 1 to 80 of"),
        (changed(1, row={"key": "é"}), "use 1 to 80 of"),
        (changed(1, row={"key": ""}), "use 1 to 80 of"),
        (changed(1, row={"key": plan_rows()["key"][0].as_py()}), "came twice"),
        (changed(2, row={"shard": "aug-000009"}), "planned for shard aug-000009"),
        (changed(2, row={"lambda": 0.5}), "not the planned ones"),
        (changed(0, norms=None), "other fields than the first"),
        (changed(3, soft_label=[1.0]), "other fields than the first"),
        (changed(3, extension="webp"), "other fields than the first"),
        (changed(0, extension="json"), "Extension 'json'"),
        (changed(0, extension="tar.gz"), "Extension 'tar.gz'"),
        (changed(3, norms=(0.1, float("nan"), 0.1)), "not finite"),
        (list(samples_of(plan_rows()))[:3], "not the planned ones"),
        (list(samples_of(plan_rows()))[::-1], "not the planned ones"),
        ([], "No sample"),
    ],
)
def test_wrong_samples_leave_nothing(tmp_path: Path, samples: list[Sample], message: str) -> None:
    with pytest.raises(ScoreMixError, match=message):
        commit(tmp_path, samples)
    assert not tree(tmp_path / "shards") and not tree(tmp_path / "tmp")
    commit(tmp_path)
    assert complete(tmp_path, thorough=True)


def test_a_generator_that_fails_leaves_no_shard(tmp_path: Path) -> None:
    """Also where the shard existed: it was to be made anew, and no marker may outlive its files."""
    commit(tmp_path)

    def failing() -> Iterator[Sample]:
        yield from list(samples_of(plan_rows()))[:2]
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        commit(tmp_path, failing())
    assert read_marker(tmp_path / "shards", NAME) is None and not tree(tmp_path / "tmp")


def test_storage_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    for folder in ("shards", "tmp"):  # making them needs an fsync, too
        (tmp_path / folder).mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="No space left") as caught:
            commit(tmp_path)
    assert caught.value.exit_code == 6
    assert not tree(tmp_path / "shards") and not tree(tmp_path / "tmp")


def test_torn_leftovers_are_replaced(tmp_path: Path) -> None:
    commit(tmp_path / "clean")
    for folder, names in {
        "shards": (f"{NAME}.tar", f"{NAME}.parquet", f"{NAME}.json"),
        "tmp": (f"{NAME}.0123.tar.tmp",),
    }.items():
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).write_bytes(b"torn")
    commit(tmp_path)
    assert tree(tmp_path / "shards") == tree(tmp_path / "clean/shards")
    assert not tree(tmp_path / "tmp")


def test_kill_at_every_point_then_the_same_command(tmp_path: Path) -> None:
    """SIGKILL leaves no shard or a whole one; the rerun gives the bytes of an undisturbed run."""
    commit(tmp_path / "clean")
    clean = tree(tmp_path / "clean/shards")
    points = {tmp_path / f"new-{point}": point for point in SHARD_POINTS}
    points |= {tmp_path / f"again-{point}": point for point in SHARD_POINTS}
    for root in points:
        if root.name.startswith("again-"):
            commit(root)
    arguments = [f"{root}={point}" for root, point in points.items()]
    subprocess.run([sys.executable, __file__, *arguments], check=True)
    for root, point in points.items():
        assert complete(root, thorough=True) == (point == "marker-renamed"), point
        assert read_marker(root / "shards", NAME) is None or point == "marker-renamed"
        for name, data in tree(root / "shards").items():
            assert data == clean[name], "nothing under a final name is torn"
        commit(root)
        assert tree(root / "shards") == clean and not tree(root / "tmp")


def test_damage_to_a_tar_is_named(tmp_path: Path) -> None:
    commit(tmp_path)
    path = tmp_path / "shards" / f"{NAME}.tar"
    rows = pq.read_table(path.with_suffix(".parquet")).to_pylist()
    assert list(compare_members(path, rows)) == []
    assert list(damaged_images(path, rows)) == ["is damaged outside its 4 images"]
    for place, column in ((1, "offset"), (2, "size"), (3, "sha256"), (0, "lambda")):
        wrong = [dict(row) for row in rows]
        wrong[place][column] = 1 if column != "sha256" else "0"
        (what,) = compare_members(path, wrong)
        assert what.startswith(f"sample {rows[place]['key']} does not agree")
    data = bytearray(path.read_bytes())
    data[rows[2]["offset"] + 5] ^= 1
    path.write_bytes(data)
    assert list(damaged_images(path, rows)) == [f"has damage in 1 of 4 images: {rows[2]['key']}"]


if __name__ == "__main__":
    # The process of the kill test: for each ROOT=POINT a child that must die at the point.
    for argument in sys.argv[1:]:
        root, _, point = argument.rpartition("=")
        child = os.fork()
        if child == 0:
            os.environ["SCOREMIX_FAULT"] = f"kill:{point}"
            commit(Path(root))
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL, argument


@pytest.mark.parametrize("size", [0, 1, 511, 512, 12_345_678, 8**11 - 1])
@pytest.mark.parametrize("name", ["a.png", "000123-007.json", "x" * 80 + ".extensio"])
def test_headers_are_those_of_tarfile(name: str, size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    assert header(name, size) == member.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


def test_what_does_not_fit_into_a_header_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        header("x" * 101, 1)
    with pytest.raises(ValueError, match="does not fit"):
        header("a.png", 8**11)
