"""A second command on what a first one left: another option, another place, a file that changed."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from in_process import cli

import scoremix
from scoremix.manifests.errors import ConfigError
from scoremix.manifests.published.subset import shard_urls
from scoremix.manifests.published.sums import SUMS
from scoremix.manifests.run_folder import RunFolder
from scoremix.pipeline.config import load_config
from scoremix.pipeline.fingerprints import fingerprint
from scoremix.pipeline.finished_run import load_finished_run, require_written
from scoremix.pipeline.other_options import builder_by

Captured = pytest.CaptureFixture[str]
MIXUP = tiny.options(generate__method="mixup", generate__ratio=1)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images/, shards/ and shards.run/, by mixup."""
    root = tmp_path_factory.mktemp("built")
    tiny.make_images(root / "images")
    words = ["augment", "--data", root / "images", "--out", root / "shards", "--quiet", *MIXUP]
    assert cli(*words) == 0
    return root


@pytest.fixture
def root(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "a")
    return tmp_path / "a"


def augment(root: Path, *more: str | Path) -> int:
    words = ["augment", "--data", root / "images", "--out", root / "shards", "--quiet"]
    return cli(*words, *MIXUP, *more)


def test_an_evaluation_keeps_its_own_options_and_takes_no_others(
    root: Path, capsys: Captured
) -> None:
    """Other options would be ignored, and saved: the next run would make everything anew."""
    run = root / "shards.run"
    before = (run / "stages.yaml").read_bytes()
    assert cli("evaluate", run, "--set", "ingest.holdout=0.3", "--quiet") == 2
    assert "--set ingest.holdout=0.3 does not hold for an evaluation" in capsys.readouterr().err
    assert (run / "stages.yaml").read_bytes() == before
    assert cli("evaluate", run, "--set", "evaluate.rows=7", "--quiet") == 0
    assert load_config(run / "stages.yaml", []).evaluate.rows == 7


def test_labels_above_a_pattern_are_a_part_of_the_source(tmp_path: Path, capsys: Captured) -> None:
    tiny.make_images(tmp_path / "images", ("one",))
    folder = tmp_path / "images" / "one"
    names = sorted(path.name for path in folder.iterdir())
    rows = [f"{name},{'ab'[index % 2]}" for index, name in enumerate(names)]
    table = folder / "metadata.csv"
    table.write_text("\n".join(["file_name,label", *rows]) + "\n")
    words = ["augment", "--data", f"{folder}/*.png", "--out", tmp_path / "s", *MIXUP]
    words += ["--until", "ingest"]
    assert cli(*words) == 0 and cli(*words) == 0
    assert "Nothing to do" in capsys.readouterr().out
    table.write_text(table.read_text().replace(",b\n", ",c\n"))
    assert cli(*words) == 0
    corpus = json.loads((tmp_path / "s.run" / "corpus" / "classes.json").read_text())
    assert corpus == ["a", "c"]


def test_verify_compares_with_the_run_that_was_named_or_says_so(
    root: Path, capsys: Captured
) -> None:
    assert cli("verify", root / "shards", "--run", root / "shards.rum") == 2
    assert "shards.rum" in capsys.readouterr().err
    (root / "bare" / ".scoremix").mkdir(parents=True)
    shutil.copy(root / "shards.run" / "stages.lock.json", root / "bare")
    content = json.loads((root / "bare" / "stages.lock.json").read_text())
    assert content["stages"]["write"]
    assert cli("verify", root / "shards", "--run", root / "shards.run") == 0
    assert "with the ledger of" in capsys.readouterr().out


def test_a_flipped_bit_of_the_sums_is_for_repair(root: Path, capsys: Captured) -> None:
    """Not for an empty folder and hours of work: index and markers show what is damaged."""
    sums = root / "shards" / SUMS
    damaged = bytearray(sums.read_bytes())
    damaged[3] = ord("f") if damaged[3] != ord("f") else ord("0")
    sums.write_bytes(damaged)
    assert cli("verify", root / "shards") == 3
    error = capsys.readouterr().err
    assert "scoremix-pipeline repair" in error and "empty the folder" not in error
    assert cli("repair", root / "shards") == 0
    assert cli("verify", root / "shards") == 0


def test_shards_that_are_replaced_need_no_room_of_their_own(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(root)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=40_000))
    assert augment(root, "--set", "seed=5", "--until", "write") == 0
    assert cli("verify", root / "shards") == 0


def test_a_worker_writes_where_the_others_do(root: Path, capsys: Captured) -> None:
    run, other = root / "shards.run", root / "shard"
    words = ["augment", "--data", root / "images", "--out", other, "--run", run, *MIXUP]
    assert cli(*words, "--worker", "1/2") == 2
    assert "Give all of them one --out" in capsys.readouterr().err
    assert not other.exists()
    assert cli("verify", run) == 0


def test_a_damaged_header_of_the_images_is_named(root: Path, capsys: Captured) -> None:
    images = root / "shards.run" / "corpus" / "images.npy"
    damaged = bytearray(images.read_bytes())
    damaged[20] ^= 0xFF
    images.write_bytes(damaged)
    before = tiny.digests(root / "shards")
    assert cli("repair", root / "shards") == 3
    assert "images.npy" in capsys.readouterr().err
    assert augment(root) == 0  # reads the same images again
    assert tiny.digests(root / "shards") == before


def test_a_run_that_lost_its_ledger_is_still_a_run(root: Path, capsys: Captured) -> None:
    """The next run restores it from its copy; until then the folder is not taken for shards."""
    (root / "shards.run" / "stages.lock.json").unlink()
    assert cli("verify", root / "shards.run") == 0
    assert "is whole" in capsys.readouterr().out


def test_arms_of_shards_that_are_stale_are_refused(root: Path) -> None:
    """They may hold images that are held out now."""
    run = root / "shards.run"
    require_written(load_finished_run(run, finished=False))
    assert augment(root, "--set", "ingest.holdout=0.4", "--until", "plan") == 0
    with pytest.raises(ConfigError, match="are not what it would make now: write is"):
        require_written(load_finished_run(run, finished=False))


def test_a_checkout_is_found_from_the_folder_of_its_stages_yaml(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "stages.yaml"
    file.parent.mkdir()
    file.write_text("trial:\n  trainer: dcgan\n  checkout: ../dcgan\n")
    found = load_config(file, []).trial.checkout
    assert found is not None and Path(found).resolve() == (tmp_path / "dcgan").resolve()


def test_a_dry_run_counts_to_the_stage_where_the_run_ends(tmp_path: Path, capsys: Captured) -> None:
    tiny.make_images(tmp_path / "images")
    words = ["augment", "--data", tmp_path / "images", "--out", tmp_path / "s", *tiny.options()]
    assert cli(*words, "--until", "train", "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "train:" in shown and "generate:" not in shown and "evaluate:" not in shown
    assert "until train" in shown.splitlines()[-1]
    assert cli(*words, "--dry-run") == 0
    assert "evaluation included" in capsys.readouterr().out.splitlines()[-1]


def test_a_dry_run_does_not_call_a_lost_evaluation_up_to_date(
    tmp_path: Path, capsys: Captured
) -> None:
    tiny.make_images(tmp_path / "images")
    words = ["augment", "--data", tmp_path / "images", "--out", tmp_path / "s", *tiny.options()]
    assert cli(*words, "--quiet") == 0
    for lost in (False, True):
        if lost:
            RunFolder(tmp_path / "s.run").metrics.unlink()
        assert cli(*words, "--dry-run") == 0
        stages = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines())
        assert stages["write"].strip() == "up to date"
        assert (stages["evaluate"].strip() == "up to date") != lost


def test_init_takes_no_path_in_nothing(tmp_path: Path, capsys: Captured) -> None:
    assert cli("init", tmp_path / "a.yaml", "--path", "train") == 2
    assert not (tmp_path / "a.yaml").exists()


def test_a_moved_source_with_followed_links_is_the_same(root: Path, tmp_path: Path) -> None:
    follow = ("--set", "ingest.follow_links=true")
    assert augment(root, *follow) == 0
    (root / "images").rename(root / "renamed")
    words = ["augment", "--data", root / "renamed", "--out", root / "shards", *MIXUP, *follow]
    assert cli(*words, "--quiet") == 0


def test_status_needs_no_access_to_the_source(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    def unreachable(*_: object) -> None:
        raise ConfigError("credentials are missing")

    monkeypatch.setattr("scoremix.pipeline.status.source_changes", unreachable)
    assert cli("status", root / "shards.run") == 0
    shown = capsys.readouterr().out
    assert "whether its source changed is not known: credentials are missing" in shown
    assert "write:    done" in shown


def test_an_export_to_a_mount_point_is_refused_before_it_is_written(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    (root / "out").mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda self: self == root / "out")
    words = ["export", root / "shards", "--to", "imagefolder", "--out", root / "out"]
    assert cli(*words) == 2
    assert "is a mount point" in capsys.readouterr().err
    assert not list((root / "out").iterdir()) and not (root / ".out.exporting").exists()
    assert cli(*words[:-1], root / "out" / "in") == 0


def test_a_run_folder_is_named_to_repair_beside_its_run(root: Path, capsys: Captured) -> None:
    """`repair A --run B` mends the shards of A, or says that B did not make them."""
    before = tiny.digests(root / "shards")
    assert cli("repair", root / "shards.run", "--run", root / "shards.run") == 0
    assert tiny.digests(root / "shards") == before


def test_a_network_is_opened_for_the_options_of_what_is_made(tmp_path: Path) -> None:
    """And not for the run's own, which may be another method's."""
    tiny.make_images(tmp_path / "images")
    words = ["augment", "--data", tmp_path / "images", "--out", tmp_path / "s", "--quiet"]
    assert cli(*words, *tiny.options(generate__ratio=1), "--until", "write") == 0
    run = load_finished_run(tmp_path / "s.run")
    mixup = run.config.generate.model_copy(update={"method": "mixup"})
    without = replace(run, config=run.config.model_copy(update={"generate": mixup}))
    builder = builder_by(without, run.config.generate, "cpu", lambda: False)
    assert builder.net is None and without.with_network(builder).net is not None
    assert without.with_network(builder_by(without, mixup, "cpu", lambda: False)).net is None


@pytest.mark.parametrize("until, missing", [("ingest", "train"), ("train", "recognise")])
def test_a_run_that_was_stopped_before_its_shards_is_unfinished_and_not_damaged(
    until: str, missing: str, tmp_path: Path, capsys: Captured
) -> None:
    images = tiny.make_bars(tmp_path / "images", range(0, 3))
    words = ["augment", "--data", images, "--out", tmp_path / "s", "--quiet", "--until", until]
    assert cli(*words, *tiny.options(generate__method="compose")) == 0
    for command in ("recognition", "trial", "repair"):
        run = tmp_path / "s.run"
        assert cli(command, run, *(["--run", run] if command == "repair" else ["--quiet"])) != 0
        shown = capsys.readouterr().err
        assert f"its stage {missing} is not done yet. Run `scoremix-pipeline run" in shown


@pytest.mark.parametrize("open_corpus", [shard_urls, scoremix.Corpus])
def test_a_corpus_that_is_being_changed_is_not_read(
    open_corpus: Callable[[Path], object], root: Path
) -> None:
    assert open_corpus(root / "shards")
    (root / "shards" / SUMS).unlink()
    with pytest.raises(ConfigError, match="SHA256SUMS"):
        open_corpus(root / "shards")


def test_images_whose_decoder_was_missing_are_read_once_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    tiny.make_images(tmp_path / "images", ("one",))
    heic = b"\0\0\0\x18ftypheic" + bytes(40)
    (tmp_path / "images" / "one" / "phone.heic").write_bytes(heic)
    words = ["augment", "--data", tmp_path / "images", "--out", tmp_path / "s", *MIXUP]
    words += ["--until", "ingest"]
    assert cli(*words) == 0 and cli(*words) == 0
    assert "Nothing to do" in capsys.readouterr().out
    for place in ("fingerprints", "steps.ingest"):
        monkeypatch.setattr(f"scoremix.pipeline.{place}.is_installed", lambda package: True)
    assert cli(*words) == 0
    assert "ingest: changed: decoders" in capsys.readouterr().err
    assert cli(*words) == 0  # it was read again, once, though this package is none
    assert "Nothing to do" in capsys.readouterr().out


def test_class_names_beside_a_tar_are_a_part_of_the_source(tmp_path: Path) -> None:
    """And of a tar alone: another archive has no business with it, nor has one that is missing."""
    for name in ("a.tar", "a.zip"):
        (tmp_path / name).write_bytes(b"something")
    before = {name: fingerprint(str(tmp_path / name)) for name in ("a.tar", "a.zip", "b.tar")}
    assert before["b.tar"] is None
    (tmp_path / "index.json").write_text('{"classes": ["cat"]}')
    after = {name: fingerprint(str(tmp_path / name)) for name in before}
    assert [name for name in before if before[name] != after[name]] == ["a.tar"]
