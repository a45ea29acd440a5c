"""A corpus as published: what readers find in it, and that no changed byte goes unnoticed."""

import hashlib
import io
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from scoremix.manifests.errors import ConfigError, ScoreMixError, VerifyError
from scoremix.manifests.files.atomic import json_bytes, sha256_file
from scoremix.manifests.files.crash_points import PUBLISH_POINTS
from scoremix.manifests.plan.plan import (
    PlanOptions,
    build_plan,
    group_by_shard,
    rows_digest,
    soft_label,
)
from scoremix.manifests.plan.schema import MANIFEST, SOURCES
from scoremix.manifests.published.card import CorpusFacts
from scoremix.manifests.published.index import index_digest
from scoremix.manifests.published.inspect import PublishedCorpus
from scoremix.manifests.published.publish import Published, publish, unpublish
from scoremix.manifests.published.verify import Problem, verify
from scoremix.manifests.shards.shard import Sample, commit_shard

RECIPE = {"method": "scoremix", "steps": 2, "alpha": 0.2, "nested": {"lr": 0.005}}
CLASSES = ("cat", "dog")
COUNT = 6
Variant = dict[str, Any]


def make_plan(
    ratio: int = 2, pairing: str = "auto", classed: bool = True, shard_size: int = 4
) -> pa.Table:
    rows = [
        {
            "status": "train",
            "row": row,
            "key": f"{row:06d}",
            "class_id": row % 2 if classed else -1,
            "class_name": CLASSES[row % 2] if classed else None,
        }
        for row in range(COUNT)
    ]
    table = pa.Table.from_pylist([dict.fromkeys(SOURCES.names) | r for r in rows], schema=SOURCES)
    chosen = PlanOptions(ratio, 0.2, pairing, "refuse", "scoremix", shard_size)
    return build_plan(table, chosen, seed=3)


def png(key: str) -> bytes:
    file = io.BytesIO()
    colour = tuple(hashlib.sha256(key.encode()).digest()[:3])
    Image.new("RGB", (3, 3), colour).save(file, "PNG")
    return file.getvalue()


def samples_of(rows: pa.Table, soft: bool, normed: bool) -> Iterator[Sample]:
    for row in rows.to_pylist():
        label = soft_label(row["row_1"] % 2, row["row_2"] % 2, row["lambda"], len(CLASSES))
        yield Sample(
            row=row,
            image=png(row["key"]),
            pixel_sha256="p" * 64,
            width=3,
            height=3,
            norms=(0.25, 0.1, row["lambda"]) if normed else None,
            soft_label=label if soft else None,
            source_sha256=(f"{row['row_1']:064d}", f"{row['row_2']:064d}"),
            license="CC0-1.0",
        )


def make(
    root: Path,
    ratio: int = 2,
    *,
    pairing: str = "auto",
    classed: bool = True,
    normed: bool = True,
    shard_size: int = 4,
    shards_only: bool = False,
) -> Published | None:
    """The corpus in root/shards, as the writer makes it: shards that are missing, then publish."""
    plan = make_plan(ratio, pairing, classed, shard_size)
    expected: dict[str, tuple[str, str]] = {}
    for name, rows in group_by_shard(plan).items():
        expected[name] = (rows_digest(rows), "r" * 64)
        if not (root / "shards" / f"{name}.json").exists():
            commit_shard(
                root / "shards",
                root / "tmp",
                name,
                samples_of(rows, pairing == "any", normed),
                rows_digest=expected[name][0],
                recipe_digest="r" * 64,
                environment={"torch": "2"},
            )
    if shards_only:
        return None
    facts = CorpusFacts(
        name="pets",
        classes=CLASSES if classed else (),
        resolution=3,
        channels=3,
        recipe=RECIPE,
        licences=("CC0-1.0",),
        inputs={"train": COUNT, "rejected": 1},
    )
    return publish(root / "shards", plan, expected=expected, facts=facts, temporary=root / "tmp")


def tree(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def files(problems: list[Problem]) -> set[str]:
    return {problem.file for problem in problems}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pristine")
    make(root)
    return root / "shards"


@pytest.fixture
def corpus(pristine: Path, tmp_path: Path) -> Path:
    """A copy, free to be damaged: the product may be copied anywhere."""
    return Path(shutil.copytree(pristine, tmp_path / "copy"))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """One shard of each kind, for tests that verify hundreds of times."""
    make(tmp_path / "small", ratio=1, shard_size=COUNT)
    return tmp_path / "small" / "shards"


def test_the_list_of_files(pristine: Path) -> None:
    shards = ["real-000000", "real-000001"] + [f"aug-00000{n}" for n in range(4)]
    expected = [
        f"{name}.{extension}" for name in shards for extension in ("json", "parquet", "tar")
    ]
    expected += ["README.md", "SHA256SUMS", "croissant.json", "index.json"]
    expected += ["manifest.parquet", "plan.parquet"]
    assert sorted(path.name for path in pristine.iterdir()) == sorted(expected)
    assert verify(pristine) == []
    subprocess.run(
        ["sha256sum", "--strict", "--quiet", "-c", "SHA256SUMS"], cwd=pristine, check=True
    )


def test_plan_and_manifest(pristine: Path) -> None:
    plan = make_plan()
    assert pq.read_table(pristine / "plan.parquet").equals(plan)
    manifest = pq.read_table(pristine / "manifest.parquet")
    assert manifest.schema.equals(MANIFEST) and rows_digest(manifest) == rows_digest(plan)
    for row in manifest.to_pylist():
        tar = (pristine / f"{row['shard']}.tar").read_bytes()
        assert tar[row["offset"] :][: row["size"]] == png(row["key"])


def test_index_is_what_wids_reads_and_more(pristine: Path) -> None:
    index = json.loads((pristine / "index.json").read_text())
    assert (index["__kind__"], index["wids_version"]) == ("wids-shard-index-v1", 1)
    plan = make_plan()
    assert [shard["url"] for shard in index["shardlist"]] == [
        f"{n}.tar" for n in group_by_shard(plan)
    ]
    for shard in index["shardlist"]:
        path = pristine / shard["url"]
        assert (shard["filesize"], shard["sha256"]) == (path.stat().st_size, sha256_file(path))
    assert [shard["nsamples"] for shard in index["shardlist"]] == [4, 2] * 3
    assert [shard["round"] for shard in index["shardlist"]] == [0, 0, 1, 1, 2, 2]
    assert index["counts"] == {"samples": 18, "real": 6, "augmented": 12, "shards": 6}
    assert (index["ratio"], index["classes"]) == (2, list(CLASSES))
    assert (index["recipe"], index["plan_digest"]) == (RECIPE, rows_digest(plan))


VARIANTS: list[Variant] = [
    {},
    {"ratio": 0},
    {"classed": False},
    {"pairing": "any"},
    {"normed": False},
]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_webdataset_and_datasets_read_every_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variant: Variant
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    import datasets  # type: ignore[import-untyped]
    import webdataset as wds

    cache = str(tmp_path / "cache")
    make(tmp_path, **variant)
    shards = tmp_path / "shards"
    assert verify(shards) == []
    manifest = {row["key"]: row for row in pq.read_table(shards / "manifest.parquet").to_pylist()}
    by_name = {"default": None, "real": "real", "augmented": "augmented"}
    if variant.get("ratio") == 0:
        del by_name["augmented"]
    for name, kind in by_name.items():
        loaded = datasets.load_dataset(str(shards), name=name, split="train", cache_dir=cache)
        keys = {key for key, row in manifest.items() if kind in (None, row["kind"])}
        assert set(loaded["__key__"]) == keys and len(loaded) == len(keys)
        for sample in loaded:
            check_sample(sample, manifest[sample["__key__"]])
            assert sample["png"].size == (3, 3)
    plain = datasets.load_dataset(str(shards), split="train", cache_dir=cache)
    assert len(plain) == len(manifest), "without a name it is all of it"
    tars = sorted(str(path) for path in shards.glob("*.tar"))
    read = list(wds.WebDataset(tars, shardshuffle=False).decode())
    assert len(read) == len({sample["__key__"] for sample in read}) == len(manifest)
    for sample in read:
        check_sample(sample, manifest[sample["__key__"]])


def check_sample(sample: dict[str, Any], row: dict[str, Any]) -> None:
    for name, value in sample["json"].items():
        close = "norm" in name or name == "soft_label"  # single precision in the manifest
        assert value == (pytest.approx(row[name], rel=1e-6) if close else row[name]), name
    present = {name for name in row if name in sample["json"]}
    assert {name for name in ("norm_final", "soft_label") if row[name] is not None} <= present
    assert sample.get("cls", -1) == row["class_id"]


def test_card_names_configs_counts_and_warnings(pristine: Path) -> None:
    text = (pristine / "README.md").read_text()
    _, front, body = text.split("---\n", 2)
    configs = yaml.safe_load(front)["configs"]
    assert [config["config_name"] for config in configs] == ["default", "real", "augmented"]
    assert configs[0]["data_files"] == [{"split": "train", "path": "*.tar"}]
    assert yaml.safe_load(front)["license"] == "cc0-1.0"
    for words in ("| real images | 6 |", "| augmented images | 12 (2 per real image) |", "leak"):
        assert words in body
    lambdas = make_plan().to_pylist()[COUNT:]
    close = sum(not 0.1 <= row["lambda"] <= 0.9 for row in lambdas)
    assert f"* {close} of the 12 augmented images have a lambda below" in body
    assert "inputs: rejected | 1" in body and "lr: 0.005" in body


def test_code_in_the_card_runs(pristine: Path) -> None:
    """The snippets without third-party readers; those are tested above."""
    text = (pristine / "README.md").read_text()
    snippets = [part.split("```")[0] for part in text.split("```python\n")[1:]]
    ours = [code for code in snippets if "tarfile" in code or "index.json" in code]
    assert len(ours) == 2
    for code in ours:
        names: dict[str, Any] = {}
        exec(code.replace("SHARDS", str(pristine)), names)
        if "files" in names:
            assert names["files"] == [f"real-00000{n}.tar" for n in (0, 1)] + [
                f"aug-00000{n}.tar" for n in (0, 1)
            ]


def test_publishing_again_writes_nothing(tmp_path: Path) -> None:
    first = make(tmp_path)
    assert first and (first.shards, first.samples, first.removed) == (6, 18, ())
    assert first.written[-1] == "SHA256SUMS" and len(first.written) == 6
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "shards").iterdir()}
    again = make(tmp_path)
    assert again and again.written == () and again.plan_digest == first.plan_digest
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


def test_place_and_name_of_the_run_leave_no_trace(tmp_path: Path, pristine: Path) -> None:
    make(tmp_path / "another=run" / "é")
    assert tree(tmp_path / "another=run" / "é" / "shards") == tree(pristine)


def test_a_higher_ratio_only_adds_and_a_lower_one_removes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(tmp_path, ratio=2)
    two = tree(tmp_path / "shards")
    make(tmp_path, ratio=3)
    assert verify(tmp_path / "shards") == []
    three = tree(tmp_path / "shards")
    parts = {name for name in two if name.startswith(("real-", "aug-"))}
    assert all(three[name] == two[name] for name in parts)
    with caplog.at_level(logging.WARNING):
        published = make(tmp_path, ratio=2)
    assert published and len(published.removed) == 6 and "Removing 6 files" in caplog.text
    assert tree(tmp_path / "shards") == two and verify(tmp_path / "shards") == []


def test_unfinished_shards_are_not_published(tmp_path: Path) -> None:
    make(tmp_path)
    before = tree(tmp_path / "shards")
    (tmp_path / "shards" / "aug-000002.tar").unlink()
    with pytest.raises(ScoreMixError, match="1 of 6 shards are not finished: aug-000002"):
        make(tmp_path)
    assert tree(tmp_path / "shards").keys() == before.keys() - {"aug-000002.tar"}


def test_changed_parquet_of_a_shard_is_not_published(tmp_path: Path) -> None:
    """A marker that agrees with the plan, beside the Parquet of another shard."""
    make(tmp_path, shards_only=True)
    stem = tmp_path / "shards" / "aug-000000"
    data = (tmp_path / "shards" / "aug-000002.parquet").read_bytes()
    stem.with_suffix(".parquet").write_bytes(data)
    marker = json.loads(stem.with_suffix(".json").read_text())
    marker["parquet"]["size"] = len(data)
    stem.with_suffix(".json").write_text(json.dumps(marker))
    with pytest.raises(ScoreMixError, match="other rows than the plan"):
        make(tmp_path)


def test_samples_with_differing_fields_are_not_published(tmp_path: Path) -> None:
    make(tmp_path, ratio=0, shards_only=True)
    with pytest.raises(ScoreMixError, match="12 of 18 samples have no norm"):
        make(tmp_path, ratio=2, normed=False)


def test_files_of_others_are_left_and_neither_hashed_nor_listed(
    tmp_path: Path, pristine: Path
) -> None:
    (tmp_path / "shards" / "notes").mkdir(parents=True)
    (tmp_path / "shards" / "notes" / "a b.txt").write_text("kept")
    make(tmp_path)
    shards = tmp_path / "shards"
    assert (shards / "SHA256SUMS").read_bytes() == (pristine / "SHA256SUMS").read_bytes()
    name = "notes/a b.txt"
    assert verify(shards) == [Problem(name, "is foreign: SHA256SUMS does not list it")]
    os.mkfifo(shards / "pipe")
    assert files(verify(shards)) == {name, "pipe"}
    make(tmp_path)  # publishes again beside both
    assert (shards / name).read_text() == "kept" and (shards / "pipe").exists()


def test_kill_at_every_point_of_publishing(tmp_path: Path, small: Path) -> None:
    """From a corpus at ratio 2 down to 1: nothing half-changed verifies, and the rerun is clean."""
    for point in PUBLISH_POINTS:
        make(tmp_path / point, ratio=2, shard_size=COUNT)
    arguments = [f"{tmp_path / point}={point}" for point in PUBLISH_POINTS]
    subprocess.run([sys.executable, __file__, *arguments], check=True)
    for point in PUBLISH_POINTS:
        shards = tmp_path / point / "shards"
        assert (verify(shards) == []) == (point == "sums"), point
        make(tmp_path / point, ratio=1, shard_size=COUNT)
        assert tree(shards) == tree(small) and verify(shards) == []


def test_unpublished_means_unverified(corpus: Path) -> None:
    unpublish(corpus)
    unpublish(corpus)
    (problem,) = verify(corpus)
    assert problem.file == "SHA256SUMS" and "is missing" in problem.what
    unpublish(corpus / "nowhere")


def positions(size: int) -> list[int]:
    return sorted({0, 1, size // 3, size // 2, size - 2, size - 1})


def test_any_flipped_bit_is_reported_with_its_file_alone(small: Path) -> None:
    chooser = random.Random(0)
    for path in sorted(small.iterdir()):
        data = path.read_bytes()
        for position in [*positions(len(data)), *(chooser.randrange(len(data)) for _ in range(6))]:
            bit = 1 << chooser.randrange(8)
            path.write_bytes(data[:position] + bytes([data[position] ^ bit]) + data[position + 1 :])
            found = files(verify(small))
            # A damaged name in SHA256SUMS also names a file that is not there.
            assert found == {path.name} or (path.name == "SHA256SUMS" and path.name in found), (
                f"{path.name} at {position}: {found}"
            )
        path.write_bytes(data)
    assert verify(small) == []


def test_every_byte_of_sums_and_marker_counts(small: Path) -> None:
    for name, step in (("SHA256SUMS", 5), ("aug-000000.json", 23)):
        data = (small / name).read_bytes()
        for position in range(0, len(data), step):
            changed = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
            (small / name).write_bytes(changed)
            assert name in files(verify(small)), position
        (small / name).write_bytes(data)


def test_missing_extra_and_truncated_files(small: Path) -> None:
    for path in sorted(small.iterdir()):
        data = path.read_bytes()
        path.unlink()
        assert files(verify(small)) == {path.name}
        for size in (0, 1, len(data) // 2, len(data) - 1):
            path.write_bytes(data[:size])
            assert path.name in files(verify(small)), (path.name, size)
        path.write_bytes(data + b"\n")
        assert files(verify(small)) == {path.name}
        path.write_bytes(data)
    (small / "extra.tar").write_bytes(b"")
    assert verify(small) == [Problem("extra.tar", "is foreign: SHA256SUMS does not list it")]


def test_truncation_at_every_block_names_the_shard_and_its_samples(small: Path) -> None:
    path = small / "aug-000000.tar"
    data = path.read_bytes()
    keys = pq.read_table(path.with_suffix(".parquet"))["key"].to_pylist()
    for size in range(0, len(data), 512):
        path.write_bytes(data[:size])
        problems = verify(small)
        assert files(problems) == {path.name}, size
    (hit,) = (problem.what for problem in problems if "damage" in problem.what)
    assert hit == "is damaged outside its 6 images"
    path.write_bytes(data[: len(data) // 3])
    assert any(keys[-1] in problem.what for problem in verify(small))


def resum(corpus: Path) -> None:
    """SHA256SUMS anew over whatever is there, as somebody who trusts his disk would do."""
    lines = [
        f"{sha256_file(path)}  {path.name}\n"
        for path in sorted(corpus.iterdir())
        if path.name != "SHA256SUMS"
    ]
    (corpus / "SHA256SUMS").write_text("".join(lines))


def swap(corpus: Path, extensions: tuple[str, ...]) -> set[str]:
    names = set()
    for extension in extensions:
        one, two = (corpus / f"aug-00000{n}.{extension}" for n in (0, 2))
        first, second = one.read_bytes(), two.read_bytes()
        one.write_bytes(second)
        two.write_bytes(first)
        names |= {one.name, two.name}
    return names


@pytest.mark.parametrize("extensions", [("tar",), ("tar", "parquet"), ("tar", "parquet", "json")])
def test_swapped_shards(corpus: Path, extensions: tuple[str, ...]) -> None:
    names = swap(corpus, extensions)
    assert files(verify(corpus)) == names
    resum(corpus)
    assert names <= files(verify(corpus)), "new sums do not hide it"


def test_stale_manifest_under_new_sums(corpus: Path, tmp_path: Path) -> None:
    make(tmp_path / "other", ratio=3)
    for name in ("manifest.parquet", "plan.parquet", "index.json"):
        kept = (corpus / name).read_bytes()
        shutil.copy(tmp_path / "other" / "shards" / name, corpus / name)
        resum(corpus)
        assert name in files(verify(corpus)), name
        (corpus / name).write_bytes(kept)
        resum(corpus)
        assert verify(corpus) == []


def spoil_manifest(column: str, value: Any) -> Callable[[Path], None]:
    def spoil(corpus: Path) -> None:
        path = corpus / "manifest.parquet"
        rows = pq.read_table(path).to_pylist()
        rows[7] |= {column: value}
        pq.write_table(pa.Table.from_pylist(rows, schema=MANIFEST), path)

    return spoil


@pytest.mark.parametrize(
    ("column", "value"),
    [("lambda", 0.5), ("offset", 0), ("sha256", "0" * 64), ("norm_final", 9.0), ("class_id", 7)],
)
def test_manifest_against_the_shards_without_any_sums(
    corpus: Path, column: str, value: Any
) -> None:
    """Both recorded hashes of the manifest are made to agree with it; the shards still do not."""
    spoil_manifest(column, value)(corpus)
    index = json.loads((corpus / "index.json").read_text())
    index["files"]["manifest.parquet"] = sha256_file(corpus / "manifest.parquet")
    (corpus / "index.json").write_bytes(json_bytes(index | {"index_digest": index_digest(index)}))
    resum(corpus)
    problems = verify(corpus)
    shard = pq.read_table(corpus / "manifest.parquet")["shard"][7].as_py()
    assert f"{shard}.parquet" in files(problems)
    assert f"{shard}.tar" in files(problems)


def test_verify_never_raises_on_rubbish(corpus: Path, tmp_path: Path) -> None:
    assert files(verify(tmp_path / "nowhere")) == {"."}
    for path in corpus.iterdir():
        if path.name != "SHA256SUMS":
            path.write_bytes(b"[]")
    resum(corpus)
    assert {"index.json", "manifest.parquet", "plan.parquet"} <= files(verify(corpus))
    (corpus / "SHA256SUMS").write_bytes(b"")
    assert "SHA256SUMS" in files(verify(corpus))


def test_a_name_that_is_no_text_is_reported_printably(corpus: Path) -> None:
    os.close(os.open(os.fsencode(corpus) + b"/\xff.bin", os.O_CREAT))
    (problem,) = verify(corpus)
    str(problem).encode()
    assert problem.file == "\\xff.bin"


def test_summary(pristine: Path) -> None:
    found = PublishedCorpus(pristine).summary()
    assert (found["samples"], found["ratio"], found["shards"]) == (18, 2, 6)
    assert found["kinds"] == {"augmented": 12, "real": 6}
    assert found["rounds"] == {0: 6, 1: 6, 2: 6}
    assert found["classes"] == {"cat": 9, "dog": 9}
    assert found["methods"] == {"real": 6, "scoremix": 12}
    assert sum(found["lambda_histogram"]["counts"]) == 12
    assert found["bytes"]["folder"] == sum(len(data) for data in tree(pristine).values())
    json.dumps(found)


def test_lineage_and_image(pristine: Path) -> None:
    key = "000003-002"
    found = PublishedCorpus(pristine).lineage(key)
    sample, parents = found["sample"], found["parents"]
    assert [parent["key"] for parent in parents] == [sample["source_1"], sample["source_2"]]
    assert parents[0]["key"] == "000003" and parents[1]["class_id"] == sample["class_id"]
    assert PublishedCorpus(pristine).lineage("000003")["parents"] == []
    assert PublishedCorpus(pristine).image_bytes(key) == png(key)


def test_questions_that_cannot_be_answered(pristine: Path, corpus: Path) -> None:
    with pytest.raises(ConfigError, match="No sample '7' among the 18"):
        PublishedCorpus(pristine).lineage("7")
    with pytest.raises(ConfigError, match="is no published corpus"):
        PublishedCorpus(pristine.parent).summary()
    (corpus / "real-000000.tar").write_bytes(b"")
    (corpus / "real-000001.tar").unlink()
    for row in range(COUNT):
        with pytest.raises(VerifyError, match="repair"):
            PublishedCorpus(corpus).image_bytes(f"{row:06d}")


if __name__ == "__main__":
    # The process of the kill test: for each ROOT=POINT a child that must die at the point.
    for argument in sys.argv[1:]:
        root, _, point = argument.rpartition("=")
        child = os.fork()
        if child == 0:
            os.environ["SCOREMIX_FAULT"] = f"kill:{point}"
            make(Path(root), ratio=1, shard_size=COUNT)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL, argument
