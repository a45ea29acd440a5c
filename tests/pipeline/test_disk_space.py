"""Too little disk space: nothing is begun, and what was published before stays so."""

import shutil
from pathlib import Path

import pytest
import tiny
from in_process import cli


def test_a_published_corpus_outlives_a_ratio_that_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.make_images(tmp_path / "images")
    out = tmp_path / "shards"
    command = ["augment", "--data", tmp_path / "images", "--out", out, "--quiet"]
    command += [*tiny.options(generate__method="mixup"), "--set"]
    assert cli(*command, "generate.ratio=1") == 0
    before = tiny.digests(out)
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda path: usage._replace(free=20_000))
        assert cli(*command, "generate.ratio=30") == 6
    assert "Nothing was begun" in capsys.readouterr().err
    assert tiny.digests(out) == before
    assert cli("verify", out) == 0
    assert cli(*command, "generate.ratio=2") == 0
    assert cli("verify", out) == 0


def test_a_corpus_that_will_not_fit_is_refused_before_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.make_images(tmp_path / "images")
    out = tmp_path / "shards"
    command = ["augment", "--data", tmp_path / "images", "--out", out, "--quiet", *tiny.options()]
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda path: usage._replace(free=20_000))
        assert cli(*command) == 6
        assert "Nothing was begun" in capsys.readouterr().err
        assert not (tmp_path / "shards.run" / "score-net").exists()
        assert cli(*command, "--until", "train") == 0  # which needs no room for shards
