"""Where a path is wanted and a URL is given, and the other way round."""

from pathlib import Path

import pytest
from in_process import cli

from scoremix.manifests.errors import ConfigError
from scoremix.manifests.storage.location import URL
from scoremix.pipeline.config import load_config
from scoremix.pipeline.ledger import Ledger, find_local_shards, find_shards

ON_A_DISK = "REDACTED was named where a file or folder on a disk is needed. Fetch it first"


@pytest.mark.parametrize(
    "words, why",
    [
        (("augment", "--data", "digits", "--out", "x", "--run", "s3://b/run"), "folder on a disk"),
        (("augment", "--data", "digits", "--out", "s3://"), "names no place"),
        (("augment", "--data", "digits", "--out", "nosuch://b/x"), "SCOREMIX_PROTOCOLS=nosuch"),
        (("verify", "s3://me:secret@b/x"), "user or password"),
        (("mount", "s3://b/x", "here"), "aws s3 sync s3://b/x shards"),
        (("export", "s3://b/x", "--to", "hdf5", "--out", "here"), "aws s3 sync s3://b/x shards"),
        (("export", "x", "--to", "hdf5", "--out", "https://h/x.zip?s=secret"), ON_A_DISK),
        (("run", "https://h/stages.yaml?sig=secret word"), ON_A_DISK),
        (("init", "https://h/stages.yaml?sig=secret"), ON_A_DISK),
        (("evaluate", "https://h/run?sig=secret"), ON_A_DISK),
        (("evaluate", "x", "--generated", "https://h/x.npz?sig=secret"), ON_A_DISK),
        (("repair", "x", "--run", "https://h/run?sig=secret"), ON_A_DISK),
        (("features", "--make", "a.pt", "--from", "https://h/a.pt?sig=secret"), ON_A_DISK),
    ],
)
def test_urls_of_no_use_end_with_2(
    words: tuple[str, ...],
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli(*words) == 2
    told = capsys.readouterr().err
    assert why in told and "Traceback" not in told and "secret" not in told
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("key", ["run", "evaluate.features", "evaluate.inception_weights"])
def test_only_sources_may_be_urls(key: str, tmp_path: Path) -> None:
    (tmp_path / "stages.yaml").write_text("ingest: {source: digits}\n")
    with pytest.raises(ConfigError, match=f"{key} is s3://b/x, and must be on a disk"):
        load_config(tmp_path / "stages.yaml", [f"{key}=s3://b/x"])


def test_a_run_remembers_where_its_shards_lie(tmp_path: Path) -> None:
    assert find_shards(tmp_path) == tmp_path  # no run, so the shards themselves
    ledger = Ledger(tmp_path)
    assert ledger.place() == tmp_path / "shards"
    ledger.record_place(tmp_path / "beside")
    assert ledger.shards == "beside" and find_shards(tmp_path) == tmp_path / "beside"
    ledger.record_place(URL("s3://b/x"))
    assert find_shards(tmp_path) == URL("s3://b/x") == find_shards(URL("s3://b/x"))
    with pytest.raises(ConfigError, match="reads a folder"):
        find_local_shards(tmp_path)
