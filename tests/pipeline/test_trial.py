"""The command `trial`: files left, exit codes, that it goes on, that more arms add to it."""

import contextlib
import hashlib
import io
import json
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tiny
from gans import gan
from in_process import cli

from scoremix.manifests.files.atomic import read_parquet
from scoremix.manifests.files.crash_points import TRIAL_POINTS
from scoremix.pipeline.config import load_config
from scoremix.pipeline.finished_run import load_finished_run
from scoremix.pipeline.shards.builder import ShardBuilder
from scoremix.pipeline.trial.cost import _largest_of_each
from scoremix.pipeline.trial.sizes import open_train
from scoremix.stages.common.units import format_duration
from scoremix.stages.corpus.store import open_corpus
from scoremix.stages.trial.arms import parse_arms

QUICK = (
    "--images", "512", "--set", "trial.snapshot_every=256", "--set", "trial.samples=100",
    "--set", "trial.width=4", "--set", "trial.batch=64", "--set", "trial.ratio=1",
)  # fmt: skip
BOTH = ("--arms", "real,own", "--seeds", "2")
OF_RUN = {
    "generate__method": "bridge",
    "ingest__holdout": None,
    "ingest__fraction": 0.05,
    "ingest__reference_limit": 80,
    "evaluate__variants": "off",
    "write__shard_size": 40,
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trial")
    (folder / "stages.yaml").write_text("run: run\ningest: {source: digits}\n")
    words = ("run", folder / "stages.yaml", "--until", "write", "--quiet")
    assert cli(*words, *tiny.options(**OF_RUN)) == 0
    return folder / "run"


@pytest.fixture
def run(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "run"))


@pytest.fixture(scope="module")
def finished(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another copy, with the trial of BOTH; what it printed lies beside it, in `shown`."""
    run = Path(shutil.copytree(built, tmp_path_factory.mktemp("finished") / "run"))
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        assert trial(run, *BOTH) == 0
    (run.parent / "shown").write_text(shown.getvalue())
    return run


@pytest.fixture
def tried(finished: Path, tmp_path: Path) -> Path:
    """A copy of it, of one's own."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture(scope="module")
def undisturbed(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The record of its first seed alone."""
    run = Path(shutil.copytree(finished, tmp_path_factory.mktemp("alone") / "run"))
    (run / "trial" / "trial.json").unlink()  # which a trial that compares nothing would leave
    assert trial(run, "--arms", "real,own", "--seeds", "1") == 0
    return record(run)


def trial(run: Path, *more: str) -> int:
    return cli("trial", run, "--quiet", "--processes", "1", *QUICK, *more)


def record(run: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((run / "trial" / "trial.json").read_bytes())
    return loaded


def test_it_compares_and_goes_on(finished: Path, tried: Path) -> None:
    run, shown = tried, (finished.parent / "shown").read_text()
    first = record(run)
    assert [arm["name"] for arm in first["arms"]] == ["real", "own"]
    assert first["conclusion"] in shown and (run / "trial" / "table.txt").read_text() in shown
    assert (run / "trial" / "curves.svg").read_text().startswith("<svg")
    real, own = (arm["corpus"] for arm in first["arms"])
    assert own == 2 * real

    # The same command trains nothing; another arm and a third seed leave what there is.
    (state,) = gan(run, "own", 1).glob("result-*.json")
    before = state.stat().st_mtime_ns
    assert trial(run, "--arms", "real,own,mixup:2", "--seeds", "3") == 0
    assert state.stat().st_mtime_ns == before
    more = record(run)
    assert [arm["name"] for arm in more["arms"]] == ["real", "own", "mixup-2"]
    assert more["results"]["own"][:2] == first["results"]["own"]


def test_arms_are_made_once(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run's own from its shards, pixel by pixel at the ratio that was built; of one method the
    largest, whose beginning others are."""
    made: list[int] = []
    original = ShardBuilder.__dict__["generate"].func

    def counted(self: ShardBuilder) -> Callable[[pa.Table], Any]:
        generate = original(self)

        def work(rows: pa.Table) -> Any:
            made.append(rows.num_rows)
            return generate(rows)

        return work

    monkeypatch.setattr(ShardBuilder, "generate", property(counted))
    more = ("--arms", "own:2,own:1,mixup:1,mixup:3", "--seeds", "1")
    assert trial(run, *more) == 0
    assert (run / "trial" / "ratios.svg").exists()
    real, arms = training_images(run), run / "trial" / "arms"
    assert made == [3 * real]
    kept = {path.name: np.load(path / "images.npy") for path in arms.iterdir()}
    assert np.array_equal(kept["mixup-1"], kept["mixup-3"][: 2 * real])
    assert np.array_equal(kept["own-1"], kept["own-2"][: 2 * real])
    manifest = read_parquet(run / "shards" / "manifest.parquet")
    hashes = [hashlib.sha256(image.tobytes()).hexdigest() for image in kept["own-2"]]
    assert sorted(hashes) == sorted(manifest["pixel_sha256"].to_pylist())

    # Without the shards they are made, and are the same.
    for gone in (run / "shards", arms):
        shutil.rmtree(gone)
    assert trial(run, *more) == 0 and sorted(made[1:]) == [2 * real, 3 * real]
    for name, images in kept.items():
        assert np.array_equal(np.load(arms / name / "images.npy"), images)


def test_other_options_leave_gans_that_are_there(
    tried: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A short trial after a long one leaves its files; both judges' tables come back untrained."""
    run, first = tried, record(tried)
    assert trial(run, *BOTH, "--seeds", "1", "--set", "trial.lr=0.001") == 0
    assert "Nothing was compared, so that" in capsys.readouterr().out
    assert record(run) == first
    states = {path: path.stat().st_mtime_ns for path in (run / "trial/gans").rglob("state.*")}
    assert len(states) == 4 + 2
    assert trial(run, *BOTH, "--set", "evaluate.features=pixels") == 0
    judged = record(run)
    assert trial(run, *BOTH) == 0 and record(run) == first != judged
    assert {path: path.stat().st_mtime_ns for path in states} == states


def test_a_sweep_of_ratios_and_a_growing_one(run: Path) -> None:
    more = ("--arms", "real,own,growing:2", "--ratios", "0,1", "--seeds", "1")
    assert trial(run, *more) == 0
    found = {arm["name"]: arm["corpus"] for arm in record(run)["arms"]}
    real = found["real"]
    assert found == {"real": real, "own-1": 2 * real, "growing-2": 3 * real}
    assert not (run / "trial" / "ratios.svg").exists()  # of one ratio
    # Its corpus is that of the static arm, but the GAN is another.
    assert trial(run, "--arms", "growing:2,own:2", "--seeds", "1") == 0
    grown, static = (record(run)["results"][name] for name in ("growing-2", "own-2"))
    arms = run / "trial" / "arms"
    assert (arms / "growing-2/images.npy").read_bytes() == (arms / "own-2/images.npy").read_bytes()
    assert grown[0]["snapshots"] != static[0]["snapshots"]


def test_a_run_ends_with_its_trial_if_asked(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report shows it; later runs and trials find its GANs."""
    pytest.importorskip("matplotlib", reason="the extra `report` is not installed")
    places = "scoremix.pipeline.commands.trial.default_processes"
    monkeypatch.setattr(places, lambda *_, **__: 1)  # children have their own test
    given = ["--set", "trial.with_run=true", "--set", "trial.arms=[real, own]"]
    options = [*QUICK[2:], "--set", "trial.images=512", "--set", "trial.seeds=1", *given]
    command = ["run", run / "stages.yaml", "--set", f"run={run}", "--quiet", *options]
    assert cli(*command) == 0
    assert [arm["name"] for arm in record(run)["arms"]] == ["real", "own"]
    page = (run / "report" / "index.html").read_text()
    assert "Does the corpus pay?" in page and record(run)["conclusion"][:40] in page
    assert page.count('alt="own"') == page.count('alt="training images"') == 1
    states = sorted((run / "trial" / "gans").rglob("result-*.json"))
    before = [path.stat().st_mtime_ns for path in states]
    assert cli(*command) == 0 and len(states) == 2
    assert [path.stat().st_mtime_ns for path in states] == before

    (run / "trial" / "trial.json").write_text("{}")
    assert cli("report", run) == 3  # damaged


def test_people_vote_on_its_arms(
    built: Path, tried: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("jinja2", reason="the extra `report` is not installed")
    run = tried
    assert cli("trial", built, "--vote", "4") == 2
    assert "no finished trial" in capsys.readouterr().err
    assert cli("trial", run, "--vote", "4") == 0
    shown = capsys.readouterr().out
    (page,) = (run / "trial" / "votes").glob("*.html")
    assert page.name in shown
    answers = page.with_suffix(".answers")
    answers.write_text(
        json.dumps({"vote": page.stem, "voter": "a", "answers": {"0": "left", "1": "neither"}})
    )
    assert cli("trial", run, "--count", answers) == 0
    assert "2 answers" in capsys.readouterr().out

    # Also after a trial that replaced it, of which nothing is left; and it says of what it is.
    table = run / "trial" / "trial.json"
    kept = table.read_bytes()
    table.write_text(json.dumps(json.loads(kept) | {"arms": [], "of": None}))
    assert cli("trial", run, "--count", answers) == 0
    assert cli("status", run) == 0
    assert "trial:    stale, it is of an earlier corpus" in capsys.readouterr().out
    table.write_text(json.dumps(json.loads(kept) | {"of": None}))
    assert cli("trial", run, "--vote", "4") == 0
    assert "The vote is on the trial that there is" in capsys.readouterr().out
    table.write_bytes(kept)
    assert cli("status", run) == 0
    assert "trial:    done, of 2 arms" in capsys.readouterr().out

    # Options that would have no effect are refused.
    assert cli("trial", run, "--count", answers, "--arms", "real,own", "--seeds", "3") == 2
    assert "--arms, --seeds: no effect beside --count" in capsys.readouterr().err
    assert cli("trial", run, "--vote", "4", "--dry-run") == 2

    # Of chosen arms alone; one that was not trained is named.
    assert cli("trial", run, "--vote", "4", "--arms", "real,mixup") == 2
    assert "has no arm mixup; it has real, own." in capsys.readouterr().err

    # GANs of another trial are not shown for those of the table.
    found = json.loads(table.read_text())
    found["results"]["own"][0]["identity"] = "another"
    table.write_text(json.dumps(found))
    assert cli("trial", run, "--vote", "4") == 2
    assert "has no GAN of the trial in trial.json" in capsys.readouterr().err


@pytest.mark.parametrize("point", TRIAL_POINTS)
def test_killed_anywhere_it_ends_with_the_same_table(
    run: Path, point: str, undisturbed: dict[str, Any]
) -> None:
    words = ["trial", str(run), "--quiet", "--processes", "1", *QUICK, "--arms", "real,own"]
    words += ["--seeds", "1"]
    nth = 1 if point == "gan-finished" else 2
    assert tiny.command(words, SCOREMIX_FAULT=f"kill:{point}:{nth}").returncode == -9
    assert not (run / "trial" / "trial.json").exists()
    assert cli(*words) == 0
    assert record(run) == undisturbed


@pytest.mark.parametrize(
    ("more", "named"),
    [
        (["--arms", "reel"], "no arm 'reel'"),
        (["--arms", "real,own,own"], "the arm own is named twice"),
        (["--set", "trial.augment=[colors]"], "trial.augment"),
        (["--ratios", "0,x"], "trial.ratios"),
        (["--ratios", "5,5"], "ratios names 5 twice"),
        (["--ratios", "0"], "The trial has one arm, real, and compares nothing."),
        (["--arms", "growing", "--set", "trial.command=x {data} {out}"], "for the built-in GAN"),
        (["--set", "generate.ratio=5"], "--set generate.ratio=5 does not hold for a trial"),
    ],
)
def test_wrong_options_are_named(
    run: Path, more: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trial(run, *more) == 2
    assert named in capsys.readouterr().err and not (run / "trial").exists()


COPY = "mkdir {out}/samples; cp $(find {data} -name '*.png') {out}/samples"


def by_command(run: Path, command: str, *more: str) -> int:
    given = ("--set", f"trial.command={command}", "--set", "trial.generated=samples")
    return trial(run, "--arms", "real,own:2,mixup:1", "--seeds", "2", *given, *more)


def test_a_trainer_of_ones_own_gets_every_arm_in_its_layout(run: Path) -> None:
    """One that gives back what it was trained on: of real images, all are copies."""
    command = f"echo seed {{seed}}, gpu {{gpu}}; {COPY}"
    assert by_command(run, command) == 0
    found = record(run)
    counts = {arm["name"]: arm["corpus"] for arm in found["arms"]}
    real = counts["real"]
    assert counts == {"real": real, "own-2": 3 * real, "mixup-1": 2 * real}
    for name, count in counts.items():
        samples = gan(run, name, 1) / "out" / "samples"
        assert len(list(samples.iterdir())) == count
    assert [one["snapshots"][0]["copies"] for one in found["results"]["real"]] == [1, 1]
    log = gan(run, "real", 1) / "trainer.log"
    assert log.read_text() == "seed 1, gpu 0\n"
    assert (run / "trial" / "arms" / "mixup-1" / "shards" / "SHA256SUMS").exists()
    assert cli("verify", run / "trial" / "arms" / "mixup-1" / "shards") == 0

    # What is finished is kept.
    log.unlink()
    assert by_command(run, command) == 0 and not log.exists()
    assert record(run) == found


def test_a_corpus_that_is_replaced_while_a_command_trains_does_not_count(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By a trial of another ratio, which is not in the arm's name: both have one folder."""
    few = ("--arms", "mixup,own:1", "--seeds", "1", "--set", "trial.ratio=1")
    replaced = run / "trial" / "data" / "mixup.json"
    assert by_command(run, f"rm -f {replaced}; {COPY}", *few) == 5
    assert "was replaced by another trial of this run meanwhile" in capsys.readouterr().err
    assert not [*gan(run, "mixup").glob("*.json")]
    assert by_command(run, COPY, *few) == 0


def test_more_rounds_leave_the_gans_of_a_command(run: Path) -> None:
    few = ("--arms", "real,own:1", "--seeds", "1")
    assert by_command(run, COPY, *few) == 0
    first = record(run)
    words = ("run", run / "stages.yaml", "--set", f"run={run}", "--until", "write", "--quiet")
    assert cli(*words, *tiny.options(**OF_RUN | {"generate__ratio": 3})) == 0
    assert by_command(run, COPY, *few) == 0
    assert record(run)["results"] == first["results"]


def test_two_processes_share_a_trial(run: Path) -> None:
    """Each arm is made once, each GAN trained once, and both print the same table."""
    command = f"echo >> {run.parent}/$(basename $(dirname {{out}})); sleep 0.5; {COPY}"
    words = [str(word) for word in ("trial", run, "--quiet", "--processes", "1", *QUICK, "--arms")]
    words += ["real,mixup:1", "--seeds", "2", "--set", f"trial.command={command}"]
    words += ["--set", "trial.generated=samples"]
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: tiny.command(words), range(2)))
    assert [one.returncode for one in both] == [0, 0], [one.stderr for one in both]
    assert both[0].stdout == both[1].stdout
    for seed in (0, 1):
        assert len((run.parent / f"seed-{seed}").read_text().splitlines()) == 2  # one per arm


def test_a_trainer_that_fails_costs_its_arm(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each of four in its own way; those of the other arms are compared."""
    ways = {
        "own-1": ("echo first; echo bad news; exit 3", "exit code 3"),
        "own-2": ("sleep 60", "ended after trial.minutes: 0.01"),
        "mixup-2": ("mkdir {out}/samples", "left nothing that can be judged"),
        "mixup-3": (f"{COPY}; rm {{out}}/samples/*[1-9].png", "samples, and 30 are needed"),
    }
    cases = "".join(f"*{arm}*) {command};; " for arm, (command, _) in ways.items())
    more = ("--arms", "real,mixup:1,own:1,own:2,mixup:2,mixup:3", "--seeds", "1")
    fails = f"case {{data}} in {cases}*) {COPY};; esac"
    assert by_command(run, fails, *more, "--set", "trial.minutes=0.01") == 0
    parts = re.split(r"^(?=[\w-]+ failed, seed)", capsys.readouterr().out, flags=re.M)
    reasons = {part.partition(" ")[0]: part for part in parts[1:]}
    assert [*reasons] == [*ways]
    for arm, (command, named) in ways.items():
        assert named in reasons[arm] and ("bad news" in reasons[arm]) == ("bad news" in command)
    assert set(record(run)["results"]) == {"real", "mixup-1"}


def test_a_command_can_show_every_arm_the_same_number_of_images(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--images 512 over 90 and 270 images: six epochs and two."""
    says, few = "echo {images} shown, {epochs} epochs of {count};", ("--arms", "real,own:2")
    assert by_command(run, f"{says} {COPY}", *few, "--seeds", "1") == 0
    said = [(gan(run, arm, 0) / "trainer.log").read_text() for arm in ("real", "own-2")]
    assert said == ["512 shown, 6 epochs of 90\n", "512 shown, 2 epochs of 270\n"]
    assert "trial.command names none" not in capsys.readouterr().out
    shutil.rmtree(run / "trial" / "gans")
    assert by_command(run, COPY, *few, "--seeds", "1") == 0
    assert (
        "the arm of 270 images was shown 3 times as many as that of 90" in record(run)["conclusion"]
    )


def test_whole_passes_that_show_arms_unequal_numbers_are_named(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--images 512 over 90, 270 and 360 images: 540, 540 and 360 of them; 1,080 are whole passes
    of all."""
    few = ("--arms", "real,own:2,own:3", "--seeds", "1")
    named = "the arm of 270 images was shown 540, the arm of 360 images was shown 360"
    fits = "use {images}; 1,080 as trial.images shows all the same"
    for more in ((), ("--dry-run",)):
        assert by_command(run, f"echo {{epochs}}; {COPY}", *few, *more) == 0
        said = capsys.readouterr().out.replace("\n", " ")
        assert named in said and fits in said


def test_lengths_of_arms_that_failed_are_not_compared(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = ("--arms", "real,own:2", "--seeds", "1")
    assert by_command(run, "true {data} {out}; exit 3", *few) == 1
    assert "times as many" not in capsys.readouterr().out


def test_a_wrong_place_of_samples_costs_no_training(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was trained is judged where it lies; one snapshot of several may be unusable."""
    few = ("--arms", "real,own:1", "--seeds", "1")
    snapshots = "; ".join(
        f"mkdir -p {{out}}/samples/step-{step}; {fill} {{out}}/samples/step-{step}"
        for step, fill in (
            (1, "cp $(find {data} -name '*.png')"),
            (2, "cp $(find {data} -name '*.png')"),
            (3, "echo damaged | tee $(printf 'x%s.png ' {{1..90}}); mv x*.png"),
        )
    )
    command = f"echo >> {run.parent}/trained; {snapshots}"
    wrong = ("--set", "trial.generated=sample")
    assert by_command(run, command, *few, *wrong) == 1
    shown, out = capsys.readouterr().out, gan(run, "own-1") / "out"
    assert f"trial.generated {out}/sample: there is nothing there" in shown
    assert f"{out} holds samples/. It stays" in shown and "--generated" not in shown
    assert by_command(run, command, *few, *wrong) == 1
    assert by_command(run, command, *few) == 0
    assert len((run.parent / "trained").read_text()) == 2
    found = record(run)["results"]["own-1"][0]
    assert [each["name"] for each in found["snapshots"]] == ["step-1", "step-2"]
    assert "the snapshot step-3 was left out: trial.generated" in found["notes"][0]
    assert "Note on real: the snapshot step-3 was left out" in record(run)["conclusion"]


def test_a_command_that_left_no_file_is_run_again(run: Path) -> None:
    few, ready = ("--arms", "own:1,real", "--seeds", "1"), run.parent / "ready"
    command = f"if [ -e {ready} ]; then {COPY}; fi"
    assert by_command(run, command, *few) == 1
    ready.touch()
    assert by_command(run, command, *few) == 0


@pytest.mark.parametrize(
    ("command", "named"),
    [("train {dat} {out}", "no placeholder {dat}"), ("train {data}", "{data} and {out}"),
     ("train {data} {out} {", "brace")],
)  # fmt: skip
def test_a_wrong_command_is_named(
    run: Path, command: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert by_command(run, command) == 2
    assert named in capsys.readouterr().err


def test_a_dry_run_counts_images_once_that_several_arms_share() -> None:
    arms = parse_arms(["real", "own:2", "growing:9", "mixup", "mixup-kept"], 5, [1, 10])
    largest = {arm.name for arm in _largest_of_each(arms)}
    assert largest == {"real", "growing-9", "mixup-10", "mixup-kept-10"}


def test_a_dry_run_counts_and_writes_nothing(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert trial(run, "--arms", "real,own:2", "--seeds", "3", "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "GANs:          6, each shown 512 images of 8 px; 2 snapshots of 100 samples" in shown
    assert "total:" in shown and "note:" not in shown and not (run / "trial").exists()
    # What the run's shards hold is not made; one seed is no trial.
    assert trial(run, "--arms", "real,own:1", "--seeds", "1", "--dry-run") == 0
    shown = capsys.readouterr().out
    assert f"making:        about {format_duration(0.0)}\n" in shown
    assert "note:          trial.seeds is 1, which shows no conclusion: set 3 or more" in shown


def test_a_dry_run_refuses_what_the_trial_would(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.make_images(tmp_path / "images")
    words = ("augment", "--data", tmp_path / "images", "--out", tmp_path / "s", "--quiet")
    few = tiny.options(generate__method="mixup", ingest__holdout=0.0)
    assert cli(*words, *few, "--until", "write") == 0
    capsys.readouterr()
    assert trial(tmp_path / "s.run", "--arms", "real,own", "--dry-run") == 2
    assert "0 images are held out, and a trial needs 60" in capsys.readouterr().err


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_a_size_that_leaves_a_class_one_image_is_refused_at_once(
    more: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Eight classes of three images, within which the run mixes."""
    tiny.make_bars(tmp_path / "images", range(8))
    words = ("augment", "--data", tmp_path / "images", "--out", tmp_path / "s", "--quiet")
    few = tiny.options(generate__method="mixup", ingest__holdout=0.76)
    assert cli(*words, *few, "--until", "write") == 0
    capsys.readouterr()
    run = tmp_path / "s.run"
    assert trial(run, "--arms", "real,own:1", "--seeds", "1", "--sizes", "10", *more) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "trial.sizes has 10" in said and "name sizes of 16 images or more" in said
    assert not (run / "trial" / "sizes").exists()
    assert trial(run, "--arms", "real,own:1", "--sizes", "16", "--dry-run") == 0


def test_forget_removes_what_shows_images(tried: Path) -> None:
    assert (tried / "trial" / "gans").exists()
    assert cli("forget", tried, "000001", "--quiet") == 0
    assert not (tried / "trial").exists()


def test_fewer_images_are_runs_of_their_own(
    tried: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, images = tried, training_images(tried)
    more = ("--arms", "real,own", "--seeds", "1", "--sizes", "30,50")
    assert trial(run, *more, "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "sizes:         30, 50 and all" in shown and "networks:" in shown
    assert trial(run, *more) == 0
    shown = capsys.readouterr().out
    sizes = run / "trial" / "sizes"
    figures = json.loads((sizes / "sizes.json").read_bytes())["sizes"]
    assert [each["images"] for each in figures] == [30, 50, images]
    assert [arm["corpus"] for arm in figures[0]["arms"]] == [30, 60]
    assert (sizes / "sizes.txt").read_text() in shown
    assert (sizes / "sizes.svg").read_text().startswith("<svg")

    # A smaller choice is part of a larger one, held-out images are the run's own, options too.
    small, large, whole = (open_corpus(place / "corpus") for place in (
        sizes / "30" / "run", sizes / "50" / "run", run
    ))  # fmt: skip
    pixels = [{image.tobytes() for image in corpus.images} for corpus in (small, large, whole)]
    assert pixels[0] < pixels[1] < pixels[2]
    assert np.array_equal(np.sort(small.reference, axis=0), np.sort(whole.reference, axis=0))
    assert small.classes == whole.classes and set(np.bincount(small.training_ids)) == {3}
    config, own = (
        load_config(sizes / "30/run/stages.yaml", []),
        load_config(run / "stages.yaml", []),
    )
    assert config.generate.method == own.generate.method == "bridge"
    assert config.train.steps == own.train.steps == 6  # set by the user: kept

    # What nobody set is decided anew by their number: measured as often in passes as usual.
    opened = load_finished_run(run)
    usual = opened.config.train.model_copy(update={"checkpoint_every": None, "network": "unet"})
    usual = usual.resolved(opened.corpus.images.shape[1], "cpu", len(opened.corpus.images))
    opened = replace(opened, config=opened.config.model_copy(update={"train": usual}))
    assert open_train(opened).checkpoint_every is None

    # Again: nothing is made. The report of the run still has its own trial.
    states = sorted(run.rglob("result-*.json")) + sorted(sizes.rglob("model.safetensors"))
    before = [path.stat().st_mtime_ns for path in states]
    assert trial(run, *more) == 0 and len(before) == 4 + 2 * 2 + 2
    assert [path.stat().st_mtime_ns for path in states] == before
    assert trial(run, "--sizes", "30,4000") == 2
    assert f"the run has {images} training images" in capsys.readouterr().err


def training_images(run: Path) -> int:
    """How many training images a run has."""
    return len(open_corpus(run / "corpus").images)
