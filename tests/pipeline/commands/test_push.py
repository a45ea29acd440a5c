"""push: a corpus to a dataset of the Hugging Face Hub, of which HfApi is the boundary."""

import fnmatch
import io
import shutil
import sys
from pathlib import Path

import pytest
import tiny
from earlier import rewrite_card
from in_process import cli

from scoremix.manifests.files.lock import run_lock

huggingface_hub = pytest.importorskip("huggingface_hub")


class Hub:
    """Datasets, name -> files, changed as the Hub changes them."""

    def __init__(self) -> None:
        self.datasets: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.refuses: Exception | None = None

    def create_repo(self, name: str, *, repo_type: str, private: bool, exist_ok: bool) -> None:
        assert repo_type == "dataset" and exist_ok
        if self.refuses:
            raise self.refuses
        if name not in self.datasets:
            self.datasets[name], self.private[name] = {".gitattributes": b""}, private

    def upload_folder(
        self,
        *,
        repo_id: str,
        repo_type: str,
        folder_path: Path,
        allow_patterns: list[str],
        delete_patterns: list[str],
        commit_message: str,
    ) -> None:
        assert repo_type == "dataset" and commit_message
        there = self.datasets[repo_id]
        for name in list(there):
            if any(fnmatch.fnmatch(name, pattern) for pattern in delete_patterns):
                del there[name]
        for path in folder_path.iterdir():
            if any(fnmatch.fnmatch(path.name, pattern) for pattern in allow_patterns):
                there[path.name] = path.read_bytes()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Hub:
    made = Hub()
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: made)
    return made


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("run")
    data = tiny.make_images(root / "images")
    arguments = ["augment", "--data", str(data), "--out", str(root / "shards"), "--device", "cpu"]
    arguments += ["--until", "write", "--quiet", *tiny.options(generate__method="mixup")]
    assert cli(*arguments) == 0
    return root / "shards"


def test_a_corpus_is_uploaded_whole_and_says_how_to_load_it(
    built: Path, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.datasets["me/clothes"] = {"aug-000099.tar": b"of a larger corpus", "notes.txt": b"mine"}
    assert (
        cli("push", built.with_name("shards.run"), "--to", "hf://datasets/me/clothes", "--yes") == 0
    )
    there = hub.datasets["me/clothes"]
    own = {path.name: path.read_bytes() for path in built.iterdir()}
    del own[".scoremix-run.json"]  # of the run, no part of the corpus
    assert {"README.md", "croissant.json", "SHA256SUMS", "real-000000.tar"} <= own.keys()
    assert there == own | {"notes.txt": b"mine"}
    shown = capsys.readouterr()
    assert "real training images" in shown.err and "huggingface.co/datasets/me/clothes" in shown.err
    loaded = shown.out.splitlines()[-2:]
    assert loaded[0].strip() == "import datasets"
    assert loaded[1].strip() == 'samples = datasets.load_dataset("me/clothes", split="train")'

    assert cli("push", built, "--to", "hf://datasets/me/new", "--yes") == 0
    assert cli("push", built, "--to", "hf://datasets/me/open", "--public", "--yes") == 0
    assert hub.private == {"me/new": True, "me/open": False}


def test_nothing_is_uploaded_unasked(
    built: Path,
    hub: Hub,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("push", built, "--to", "hf://datasets/me/clothes")
    assert cli(*words) == 2
    assert "--yes" in capsys.readouterr().err

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    for answer, code in (("", 75), ("n", 75), ("y", 0)):
        assert not hub.datasets
        monkeypatch.setattr(sys, "stdin", Terminal(f"{answer}\n"))
        assert cli(*words) == code
    assert "real-000000.tar" in hub.datasets["me/clothes"]


def test_what_the_run_did_not_publish_or_is_changing_is_not_uploaded(
    built: Path, hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("push", built, "--to", "hf://datasets/me/clothes", "--yes")
    with run_lock(built.with_name("shards.run")):  # as `run`, `repair` and `forget` hold it
        assert cli(*words) == 5
    assert not hub.datasets and cli(*words) == 0
    shutil.copytree(built.parent, tmp_path / "copy")
    rewrite_card(tmp_path / "copy" / "shards")
    capsys.readouterr()
    assert cli("push", tmp_path / "copy" / "shards", *words[2:]) == 3
    assert "not the file that the run published" in capsys.readouterr().err


def test_a_damaged_corpus_and_a_refusing_hub_are_named(
    built: Path, hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(built, tmp_path / "copy")
    (copy / "real-000000.tar").write_bytes(b"damaged")
    assert cli("push", copy, "--to", "hf://datasets/me/clothes", "--yes") == 3
    assert "real-000000.tar" in capsys.readouterr().err and not hub.datasets
    for wrong in ("me/clothes", "hf://models/me/clothes", "hf://datasets/a/b/c"):
        assert cli("push", built, "--to", wrong, "--yes") == 2
        assert "hf://datasets/USER/SET" in capsys.readouterr().err
    errors = huggingface_hub.errors
    for refusal in (errors.LocalTokenNotFoundError("not now"), errors.HTTPError("not now")):
        hub.refuses = refusal
        assert cli("push", built, "--to", "hf://datasets/me/clothes", "--yes") == 6
        shown = capsys.readouterr().err
        assert "not now" in shown and "hf auth login" in shown


def test_without_the_library_push_says_what_to_install(
    built: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert cli("push", built, "--to", "hf://datasets/me/clothes", "--yes") == 2
    assert 'pip install "scoremix-pipeline[hub]"' in capsys.readouterr().err
