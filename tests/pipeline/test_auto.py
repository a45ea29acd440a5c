"""`generate.method: auto`: the pilot's choice, and that every later command keeps to it."""

import html
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny
import yaml
from in_process import cli

from scoremix.manifests.files.atomic import read_parquet
from scoremix.manifests.files.crash_points import PILOT_POINTS
from scoremix.manifests.run_folder import RunFolder
from scoremix.pipeline import dry_run, launch
from scoremix.pipeline.config import Config, compose, load_config
from scoremix.pipeline.decided import decided
from scoremix.pipeline.job import Job
from scoremix.pipeline.ledger import Ledger
from scoremix.pipeline.progress import ProgressReporter
from scoremix.pipeline.run import run as run_stages
from scoremix.pipeline.speed_probe import NetworkSpeed
from scoremix.stages.pilot.candidates import CANDIDATES

# Digits: with twenty images too few are held out to compare anything.
DIGITS: dict[str, Any] = {
    "generate__method": "auto",
    "generate__ratio": 1,
    "generate__batch": 50,
    "ingest__holdout": None,
    "ingest__fraction": 0.05,
    "ingest__reference_limit": 60,
    "pilot__rows": 50,
    "write__shard_size": 40,
    "evaluate__variants": "off",
}


def build(folder: Path, *more: str | Path, **options: Any) -> int:
    """`run` in folder/run, quiet, with shards inside it."""
    folder.mkdir(exist_ok=True)
    stages = folder / "stages.yaml"
    stages.write_text("run: run\ningest: {source: digits}\n")
    return cli("run", stages, "--quiet", *tiny.options(**(DIGITS | options)), *more)


def again(folder: Path, *more: str) -> int:
    """The run's own options, as it saved them."""
    return cli("run", folder / "run" / "stages.yaml", "--quiet", *more)


def record(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(RunFolder(folder / "run").pilot_record.read_bytes())
    return loaded


def stamp(folder: Path) -> tuple[int, int]:
    state = RunFolder(folder / "run").pilot_record.stat()
    return state.st_ino, state.st_mtime_ns


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose network is trained, and nothing compared yet. To be copied."""
    folder = tmp_path_factory.mktemp("learnt") / "job"
    assert build(folder, "--until", "train") == 0
    return folder


@pytest.fixture
def trained(learnt: Path, tmp_path: Path) -> Path:
    """A copy of it, to go on from."""
    return shutil.copytree(learnt, tmp_path / "trained")


@pytest.fixture(scope="module")
def done(learnt: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = shutil.copytree(learnt, tmp_path_factory.mktemp("done") / "job")
    assert build(folder) == 0
    return folder


@pytest.fixture
def copy(done: Path, tmp_path: Path) -> Path:
    shutil.copytree(done, tmp_path / "job")
    return tmp_path / "job"


def test_the_corpus_is_made_by_what_the_pilot_chose(
    done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files, found = RunFolder(done / "run"), record(done)
    choice = found["decision"]["choice"]
    assert {row["name"] for row in found["table"]} >= set(CANDIDATES)
    method = CANDIDATES[choice]["method"]
    assert found["options"]["method"] == method and found["rows"] == 50 and found["held_out"] == 60
    assert files.pilot_sheet.exists() and files.pilot_table.exists()
    rows = read_parquet(files.shards / "manifest.parquet").to_pylist()
    assert {row["method"] for row in rows} == {"real", method}
    index = json.loads((files.shards / "index.json").read_bytes())
    assert index["recipe"]["method"] == method
    assert index["chosen_because"] == found["decision"]["reason"]
    assert "chosen by a pilot" in (files.shards / "README.md").read_text()
    assert yaml.safe_load(files.config.read_text())["generate"]["method"] == "auto"
    assert cli("inspect", files.shards, "--json") == 0
    assert "method_chosen_because" in capsys.readouterr().out
    assert cli("status", done / "run") == 0
    assert f"pilot:    done, {choice} was chosen" in capsys.readouterr().out


def test_the_report_shows_what_was_compared(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = RunFolder(copy / "run")
    page = files.report_page.read_text()
    assert "Which method?" in page and record(copy)["decision"]["reason"] in html.unescape(page)
    assert 'alt="the first mixtures' in page and "copies of the nearer parent" in page
    files.pilot_record.write_text("{}")
    assert cli("report", copy / "run") == 3
    assert "pilot.json is damaged" in capsys.readouterr().err
    shutil.rmtree(files.pilot)
    assert cli("report", copy / "run") == 0 and "Which method?" not in files.report_page.read_text()


def test_the_shards_are_those_of_the_method_set_by_hand(done: Path, trained: Path) -> None:
    options = {f"generate__{name}": value for name, value in record(done)["options"].items()}
    assert build(trained, "--until", "write", **options) == 0
    made, by_hand = (tiny.digests(folder / "run" / "shards") for folder in (done, trained))
    tars = {name for name in made if name.endswith((".tar", ".parquet"))}
    assert {name: made[name] for name in tars} == {name: by_hand[name] for name in tars}
    assert not (trained / "run" / "pilot").exists()


def test_nothing_changed_nothing_done(copy: Path) -> None:
    before, first = tiny.digests(copy / "run" / "shards"), stamp(copy)
    assert again(copy) == 0
    assert build(copy) == 0
    assert tiny.digests(copy / "run" / "shards") == before and stamp(copy) == first
    assert cli("evaluate", copy / "run", "--features", "pixels", "--quiet") == 0
    assert stamp(copy) == first
    assert yaml.safe_load((copy / "run" / "stages.yaml").read_text())["generate"]["t0"] is None


def test_a_higher_ratio_keeps_the_choice_and_the_rounds(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, first = tiny.digests(copy / "run" / "shards"), stamp(copy)
    assert again(copy, "--set", "generate.ratio=2", "--until", "write") == 0
    after = tiny.digests(copy / "run" / "shards")
    kept = {name: digest for name, digest in before.items() if "-0" in name}
    assert kept.items() <= after.items() and len(after) > len(before)
    assert stamp(copy) == first
    asked = RunFolder(copy / "run").config.read_bytes()
    assert again(copy, "--set", "generate.ratio=1") == 2
    assert "holds finished rounds up to 2" in capsys.readouterr().err
    assert RunFolder(copy / "run").config.read_bytes() == asked


def test_another_alpha_keeps_the_choice_and_is_used(copy: Path) -> None:
    """Unset, it is what suits the chosen method; the choice does not depend on it."""
    first = stamp(copy)

    def planned_alpha(*more: str) -> float:
        assert again(copy, *more, "--until", "plan") == 0 and stamp(copy) == first
        alpha: float = Ledger(copy / "run").stages["plan"]["inputs"]["options"]["alpha"]
        return alpha

    by_itself = planned_alpha()
    assert by_itself == record(copy)["options"]["alpha"]
    assert planned_alpha("--set", "generate.alpha=0.7") == 0.7
    assert planned_alpha("--set", "generate.alpha=null") == by_itself


@pytest.mark.parametrize(
    "change", tiny.mostly_in_faults(["train.steps=9", "seed=3", "pilot.rows=60"], ["train.steps=9"])
)
def test_another_network_corpus_or_pilot_compares_anew(change: str, copy: Path) -> None:
    before = Ledger(copy / "run").stages["pilot"]
    assert again(copy, "--set", change, "--until", "pilot") == 0
    assert Ledger(copy / "run").stages["pilot"]["inputs"] != before["inputs"]


def test_a_deleted_record_is_made_again(copy: Path) -> None:
    before = record(copy)
    shutil.rmtree(copy / "run" / "pilot")
    assert again(copy, "--until", "pilot") == 0
    assert record(copy) == before


@pytest.mark.parametrize("point", tiny.mostly_in_faults(PILOT_POINTS, PILOT_POINTS[1:]))
def test_killed_in_the_pilot_the_same_command_goes_on(
    point: str, done: Path, trained: Path
) -> None:
    folder = trained
    command = ["run", folder / "run" / "stages.yaml", "--quiet"]
    assert tiny.command(command, SCOREMIX_FAULT=f"kill:{point}").returncode == -9
    assert not Ledger(folder / "run").outcome("pilot")
    assert again(folder, "--until", "write") == 0
    assert record(folder) == record(done)
    assert tiny.digests(folder / "run" / "shards") == tiny.digests(done / "run" / "shards")


def test_workers_wait_for_the_choice_and_keep_to_it(
    done: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = trained
    assert build(folder, "--worker", "0/2") == 75
    assert "pilot of" in capsys.readouterr().err
    assert build(folder, "--until", "plan") == 0
    for worker in ("1/2", "0/2"):
        assert build(folder, "--worker", worker) == 0
    assert tiny.digests(folder / "run" / "shards") == tiny.digests(done / "run" / "shards")


def test_repair_and_forget_keep_to_it(copy: Path) -> None:
    shards, first = copy / "run" / "shards", stamp(copy)
    before = tiny.digests(shards)
    (shards / "aug-000001.tar").unlink()
    (shards / "README.md").write_text("damage")
    assert cli("repair", shards, "--quiet") == 0
    assert tiny.digests(shards) == before
    assert cli("forget", copy / "run", "000003", "--quiet") == 0
    assert not RunFolder(copy / "run").pilot_sheet.exists(), "it shows images"
    assert again(copy) == 0 and cli("verify", shards, "--deep") == 0
    assert stamp(copy) == first


def test_a_choice_without_the_network_does_without_it(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No time for what uses the network: it is trained, and the corpus is as without one."""
    auto, mixup = trained, tmp_path / "mixup"
    assert build(auto, "--until", "write", pilot__minutes=1e-9) == 0
    choice = record(auto)["decision"]["choice"]
    assert CANDIDATES[choice]["method"] == "mixup" and list(record(auto)["left_out"]) == [
        "bridge",
        "bridge, fresh noise",
        "scoremix",
    ]
    reason = record(auto)["decision"]["reason"]
    assert "Nothing that the network makes was compared" in reason and "pilot.minutes" in reason
    options = {f"generate__{name}": value for name, value in CANDIDATES[choice].items()}
    assert build(mixup, "--until", "write", **options) == 0
    made, plain = (tiny.digests(folder / "run" / "shards") for folder in (auto, mixup))
    tars = [name for name in plain if name.endswith(".tar")]
    assert tars and all(made[name] == plain[name] for name in tars)
    (auto / "run" / "shards" / tars[0]).unlink()
    assert cli("repair", auto / "run" / "shards", "--quiet") == 0
    assert tiny.digests(auto / "run" / "shards") == made
    assert cli("status", auto / "run") == 0
    assert f"pilot:    done, {choice} was chosen" in capsys.readouterr().out
    # An arm of a trial may use the network nevertheless: it is there.
    small = [f"--set=trial.{option}" for option in ("width=4", "samples=100", "ratio=1", "seeds=1")]
    words = ["trial", auto / "run", "--arms", "real,bridge", "--images", "64", "--quiet", *small]
    assert cli(*words) == 0
    assert "bridge" in (auto / "run" / "trial" / "table.txt").read_text()


def test_with_few_images_held_out_the_bridge_is_taken_and_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.make_images(tmp_path / "images")
    words = ["augment", "--data", tmp_path / "images", "--out", tmp_path / "shards", "--quiet"]
    words += tiny.options(generate__method="auto")
    assert cli(*words, "--dry-run") == 0
    estimate = capsys.readouterr().out
    assert "nothing is compared with so few held-out images" in estimate
    assert "by bridge" in estimate and "if the pilot chooses" not in estimate
    assert cli(*words, "--until", "plan") == 0
    found = json.loads(RunFolder(tmp_path / "shards.run").pilot_record.read_bytes())
    assert found["decision"]["choice"] == "bridge" and found["table"] == []
    assert "4 images are held out" in found["decision"]["reason"]


def test_a_method_that_is_set_has_no_pilot(trained: Path) -> None:
    assert build(trained, "--until", "plan", generate__method="scoremix") == 0
    assert not (trained / "run" / "pilot").exists()
    assert "pilot" not in Ledger(trained / "run").stages


def test_a_dry_run_counts_the_pilot(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert again(copy, "--dry-run") == 0
    assert "pilot" not in capsys.readouterr().out, "it is done"
    assert again(copy, "--dry-run", "--set", "pilot.rows=60") == 0
    estimate = capsys.readouterr().out
    assert f"60 mixtures each by {'; '.join(CANDIDATES)}" in estimate
    assert "if the pilot chooses" in estimate


def test_the_slowest_method_is_the_one_that_takes_longest_for_the_corpus(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`bridge` with an encoding for each image, as at ratio 1, has 36 calls; with two it has 54."""
    monkeypatch.setattr(dry_run, "probe_network", lambda *_: NetworkSpeed(1e-3, 30e-3))
    levels = ("--set", "generate.denoise_steps=10", "--set", "generate.steps=1")
    assert again(copy, "--dry-run", "--set", "pilot.rows=60", *levels) == 0
    assert "if the pilot chooses scoremix, the slowest" in capsys.readouterr().out


@pytest.mark.parametrize("until", tiny.mostly_in_faults(["pilot", "plan", "write"], ["write"]))
def test_every_process_of_a_launch_meets_as_many_barriers(
    until: str, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = trained / "run"
    config: Config = load_config(folder / "stages.yaml", [])
    met = {0: 0, 1: 0}
    monkeypatch.setattr(launch, "world_size", lambda: 2)
    for rank in met:

        def wait(device: str, rank: int = rank) -> None:
            met[rank] += 1

        monkeypatch.setattr(launch, "rank", lambda rank=rank: rank)
        monkeypatch.setattr(launch, "wait_for_all", wait)
        progress = ProgressReporter(quiet=True)
        run_stages(Job(config, folder, folder / "shards", "cpu", progress, until=until))
    assert met[0] == met[1] == (3 if until == "write" else 2)


@pytest.mark.parametrize(("preset", "alpha"), [("gpu", 1.0), ("paper", 0.2)])
def test_alpha_is_the_presets_and_not_that_of_the_pilot(preset: str, alpha: float) -> None:
    """Two presets of equal networks share a pilot."""

    class Recorded:
        run = Path("run")

        def outcome(self, stage: str) -> dict[str, Any]:
            return {"options": {"method": "bridge", "alpha": 0.7}} if stage == "pilot" else {}

    changes = {"train": {"preset": preset, "network": "unet"}, "generate": {"method": "auto"}}
    config = compose({"run": "run", "ingest": {"source": "digits"}} | changes, [], "the test")
    resolved = config.resolved(32, "cpu", 500)
    assert decided(resolved, Recorded()).generate.alpha == alpha  # type: ignore[arg-type]
