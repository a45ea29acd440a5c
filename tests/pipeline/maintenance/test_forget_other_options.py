"""A forget that was killed, and whose run has other options since: it ends, and nothing stays."""

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import tiny
import yaml
from in_process import cli

from scoremix.manifests.files.atomic import read_parquet

KEY = "000003"


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """shards/ and shards.run/, in which a forget was killed before any shard was written again."""
    root = tmp_path_factory.mktemp("killed")
    tiny.make_images(root / "images")
    words = ["--data", root / "images", "--out", root / "shards", "--quiet", "--until", "write"]
    assert cli("augment", *words, *tiny.options(generate__method="mixup")) == 0
    request = ["forget", root / "shards.run", KEY, "--quiet"]
    found = tiny.command(request, SCOREMIX_FAULT="kill:erased")
    assert found.returncode == -signal.SIGKILL, found.stderr
    return root


def test_it_ends_and_the_run_makes_the_rest_anew(
    killed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, shards = killed / "shards.run", killed / "shards"
    stages = yaml.safe_load((run / "stages.yaml").read_text())
    stages["generate"]["alpha"] = 0.7
    (run / "stages.yaml").write_text(yaml.safe_dump(stages))
    touched = _shards_of(read_parquet(shards / "plan.parquet").to_pylist())
    before = {path.name for path in shards.glob("*.tar")}
    assert cli("repair", shards, "--quiet") == 75
    assert cli("forget", run, "--quiet") == 0
    assert {path.name for path in shards.glob("*.tar")} == before - touched and touched
    assert not (shards / "manifest.parquet").exists() and not (shards / "SHA256SUMS").exists()
    assert cli("forget", run, "000004", "--quiet") == 2
    assert "to finish them first" in capsys.readouterr().err
    assert cli("run", run / "stages.yaml", "--quiet", "--until", "write") == 0
    rows = read_parquet(shards / "manifest.parquet").to_pylist()
    assert not _shards_of(rows) and {row["shard"] + ".tar" for row in rows} == before
    assert cli("verify", shards, "--deep") == 0 and cli("forget", run, "000004", "--quiet") == 0


def test_the_original_of_a_hard_linked_snapshot_stays_whole(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    tiny.make_images(tmp_path / "images")
    words = ["--data", tmp_path / "images", "--out", first / "shards", "--quiet"]
    more = [*words, "--until", "write", *tiny.options(generate__method="mixup")]
    assert cli("augment", *more) == 0
    shutil.copytree(first, second, copy_function=os.link)  # cp -al
    before = tiny.digests(first)
    assert cli("forget", second / "shards.run", KEY, "--quiet") == 0
    after = tiny.digests(first)
    assert {name for name in before if before[name] != after[name]} <= {"shards.run/.scoremix/lock"}
    assert not np.load(second / "shards.run" / "corpus" / "images.npy")[int(KEY)].any()
    assert cli("verify", first / "shards") == cli("verify", second / "shards") == 0
    assert cli("augment", *more, "--set", "seed=1") == 0  # its images are whole
    assert {path.name for path in (second / "shards.run" / "corpus").iterdir()} == {
        path.name for path in (first / "shards.run" / "corpus").iterdir()
    }


def _shards_of(rows: list[dict[str, str]]) -> set[str]:
    """Files of the shards with an image that has KEY among its parents."""
    return {f"{row['shard']}.tar" for row in rows if KEY in (row["source_1"], row["source_2"])}
