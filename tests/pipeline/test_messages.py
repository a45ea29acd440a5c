"""Messages say what was found and what to do, and what they advise works."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import tiny
from earlier import rewrite_card
from in_process import cli

from scoremix.manifests.errors import ConfigError
from scoremix.manifests.storage.location import place
from scoremix.pipeline.cli import exit_code
from scoremix.pipeline.config import compose, dump_config, load_config

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tiny.make_images(tmp_path / "images")


@pytest.mark.parametrize(
    "word, read",
    [("01", "a number"), ("1.5", "a number"), ("no", "true"), ("2024-01-02", "a date")],
)
def test_a_word_that_yaml_reads_as_something_else(word: str, read: str, tmp_path: Path) -> None:
    file = tmp_path / "stages.yaml"
    for key in ("ingest.path", "ingest.license"):
        with pytest.raises(ConfigError, match=f"{key}: .*YAML reads it as {read}.*Quote it"):
            compose({}, [f"{key}={word}"], "The command line")
        section, name = key.split(".")
        file.write_text(f"{section}:\n  {name}: {word}\n")
        with pytest.raises(ConfigError, match=f"{key}: .*YAML reads it as {read}.*Quote it"):
            load_config(file, [])
        file.write_text(f"{section}:\n  {name}: '{word}'\n")
        assert getattr(load_config(file, []).ingest, name) == word  # the remedy works
        assert getattr(compose({}, [f'{key}="{word}"'], "").ingest, name) == word


@pytest.mark.parametrize("word", ["null", "~", "Null"])
def test_a_folder_that_is_named_as_no_value(word: str, images: Path) -> None:
    values = {"ingest": {"source": str(images)}}
    assert compose(values, [f"ingest.path={word}"], "").ingest.path is None
    (images / word).mkdir()
    with pytest.raises(ConfigError, match="has a folder of that name. To read it, quote it"):
        compose(values, [f"ingest.path={word}"], "")
    assert compose(values, [f'ingest.path="{word}"'], "").ingest.path == word


@pytest.mark.parametrize("word", ["null", "~"])
@pytest.mark.parametrize(
    "text",
    [
        "ingest:\n  source: images\n  path: {}\n",
        "ingest: {{source: [{{source: images, path: {}}}]}}\n",
        "ingest: {{source: digits, reference: {{path: {}, source: images}}}}\n",
        "recognition: {{unseen: {{source: images, path: {} }}}}  # all\n",
    ],
)
def test_a_folder_that_a_file_names_as_no_value(word: str, text: str, images: Path) -> None:
    file = images.parent / "stages.yaml"
    file.write_text(text.format(word))
    load_config(file, [])  # there is no such folder
    (images / word).mkdir()
    with pytest.raises(ConfigError, match=f"has path: {word}: YAML .* quote it: path: '{word}'"):
        load_config(file, [])
    file.write_text(text.format(f"'{word}'"))
    load_config(file, [])
    file.write_text(text.replace("path: {}", "license: null").format() + "# path: null\n")
    config = load_config(file, [])
    file.write_text(dump_config(config))  # as a run folder has it
    assert load_config(file, []).ingest == config.ingest


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "seed: 1\ningest:\n  source: 'a\nrun: b\n",
            "quoted scalar that begins in line 3, column 11",
        ),
        ("trial:\n  arms: [real\n\n", "flow sequence that begins in line 2, column 9"),
        ("seed: 1\nrun: a\x07b\n", r"does not allow the character '\\x07', in line 2, column 7"),
    ],
)
def test_an_error_of_yaml_names_the_line_where_to_mend_it(
    text: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "stages.yaml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_config(tmp_path / "stages.yaml", [])


@pytest.mark.parametrize(
    ("setting", "last"),
    [
        ("generate=[1", "generate is a section: set one option at a time, as in --set generate."),
        (
            "ingest.source=[a",
            "If it is meant as text, quote it, as in --set 'ingest.source=\"[a\"'.",
        ),
    ],
)
def test_advice_on_a_setting_has_a_line_of_its_own(setting: str, last: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose({}, [setting], "the test")
    *_, caret, advice = str(caught.value).splitlines()
    assert caret.strip() == "^" and advice.startswith(last)


def test_an_error_of_yaml_stands_under_its_line(tmp_path: Path) -> None:
    file = tmp_path / "stages.yaml"
    file.write_text("seed: 1\ningest:\n  source: a: b\n")
    with pytest.raises(ConfigError) as caught:
        load_config(file, [])
    first, line, caret = str(caught.value).splitlines()
    assert first.endswith("in line 3, column 12:") and str(file) in first
    assert line.strip() == "source: a: b" and caret.strip() == "^"
    assert line[caret.index("^")] == ":"


def test_a_folder_in_place_of_its_stages_yaml(images: Path, capsys: Captured) -> None:
    (images / "stages.yaml").write_text("seed: 1\n")
    assert cli("run", "images") == 2
    assert "scoremix-pipeline run images/stages.yaml" in capsys.readouterr().err
    assert cli("run", "images/left") == 2
    assert "is a folder without a stages.yaml" in capsys.readouterr().err


@pytest.mark.parametrize(
    "url", ["s3://bu[cket/x", "https://[::1/x.zip", "https://::1]/x.zip", "s3://[pets]/x"]
)
def test_brackets_in_a_host(url: str) -> None:
    with pytest.raises(ConfigError, match="has a square bracket in its host"):
        place(url)


def test_an_ipv6_address_and_a_pattern_have_brackets() -> None:
    for url in ("http://[::1]:80/x.zip", "s3://pets/[ab].tar"):
        assert str(place(url)) == url
    with pytest.raises(ConfigError, match="chain of URLs"):
        place("zip://a::http://[::1]/x.zip")


def test_check_of_an_empty_folder(tmp_path: Path, capsys: Captured) -> None:
    for more in ([], ["--for", "stylegan3"]):
        assert cli("check", tmp_path, *more) == 2
        assert "is an empty folder" in capsys.readouterr().err
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / ".DS_Store").touch()
    assert cli("check", tmp_path) == 2
    assert "is an empty folder" in capsys.readouterr().err
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as archive:
        archive.mkdir("a")
    assert cli("check", tmp_path / "none.zip") == 2
    assert "is an empty zip" in capsys.readouterr().err
    assert cli("check", tmp_path) == 3  # the zip lies there


@pytest.mark.parametrize(
    "pattern, classes",
    [("images/left/*.png", ", no classes"), ("images/*/*.png", " in 2 classes"),
     ("images/{left,right}/*.png", " in 2 classes")],
)  # fmt: skip
def test_a_pattern_names_images(pattern: str, classes: str, images: Path, capsys: Captured) -> None:
    options = tiny.options(ingest__holdout=0)
    assert cli("augment", "--data", pattern, "--out", "out", "--until", "ingest", *options) == 0
    count = 10 if "no" in classes else 20
    assert f"ingest: {count} training images{classes}" in capsys.readouterr().err


def test_a_start_that_fails_leaves_nothing(images: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    there = set(tmp_path.rglob("*"))
    for data, more in (("empty", []), ("images", ["--set", "ingest.path=nowhere"])):
        assert cli("augment", "--data", data, "--out", "new/deep/out", "--quiet", *more) in (2, 4)
        assert set(tmp_path.rglob("*")) == there
    apart = ("--out", "e2/o", "--run", "e2b/r", "--quiet", *tiny.options(ingest__limit=1))
    assert cli("augment", "--data", "images", *apart) == 4  # once it has claimed e2/o
    assert set(tmp_path.rglob("*")) == there
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine.run").mkdir()
    assert cli("augment", "--data", "empty", "--out", "mine", "--quiet") == 4
    assert (tmp_path / "mine").is_dir() and (tmp_path / "mine.run").is_dir()


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no /proc")
def test_a_place_in_which_no_folder_can_be_made(images: Path, capsys: Captured) -> None:
    for where in (["--out", "/proc/made/here"], ["--out", "out", "--run", "/proc/made"]):
        assert cli("augment", "--data", "images", *where, "--dry-run") == 2
        assert "cannot be made: /proc takes no folder" in capsys.readouterr().err


def test_a_folder_of_images_is_no_corpus_to_repair(images: Path, capsys: Captured) -> None:
    (images / "README.md").write_text("photos")
    assert cli("verify", images) == 2
    error = capsys.readouterr().err
    assert "is no published corpus" in error and "repair" not in error
    (images.parent / "lost").mkdir()
    assert cli("verify", images.parent / "lost") == 3
    (images / "index.json").write_text("{}")  # what is left of one
    assert cli("verify", images) == 3
    assert f"`scoremix-pipeline repair {images} --run RUN` makes" in capsys.readouterr().err


def test_two_ratios_are_refused(images: Path, capsys: Captured) -> None:
    words = ("augment", "--data", images, "--out", "out", "--ratio", "2", "--dry-run")
    assert cli(*words, "--set", "generate.ratio=3") == 2
    asked = "--ratio 2 and --set generate.ratio=3 name two values of generate.ratio"
    assert asked in capsys.readouterr().err
    assert cli(*words, "--set", "generate={ratio: 3}") == 2
    assert cli(*words, "--set", "generate.ratio=2", *tiny.options()) == 0


@pytest.mark.parametrize(
    ("command", "option", "setting"),
    [
        ("augment --out out --data images", "--data", "ingest.source=others"),
        ("augment --out out --data images", "--data", "ingest.source=01"),
        ("augment --out out --data images --run a", "--run", "run=b"),
        ("trial RUN --seeds 2", "--seeds", "trial.seeds=3"),
        ("trial RUN --arms real,own", "--arms", "trial.arms=[real]"),
        ("recognition RUN --seeds 2", "--seeds", "recognition.seeds=3"),
        ("recognition RUN --unseen digits", "--unseen", "recognition.unseen=faces"),
        ("evaluate RUN --features pixels", "--features", "evaluate.features=random"),
    ],
)
def test_an_option_that_is_set_twice_is_refused(
    command: str, option: str, setting: str, images: Path, capsys: Captured
) -> None:
    (run := images.parent / "RUN").mkdir()
    (run / "stages.yaml").write_text("run: .")
    (run / "stages.lock.json").write_text("{}")
    assert cli(*command.split(), "--set", setting) == 2
    said = capsys.readouterr().err
    assert f"error: {option} " in said and f"--set {setting} name two values" in said.replace(
        "'", ""
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ([], "1 of 3 classes have one image, which has no partner within its class: 'c'"),
        (["ingest.classes=none", "train.labels=true"], "train.labels is true, and the images have"),
        (["ingest.classes=none", "train.draw=classes"], "train.draw is classes, and the images"),
        (["ingest.classes=none", "generate.pairing=within"], "'within', but the images have no"),
        (["ingest.classes=none", "generate.method=reproduce"], "reproduce, which makes images of"),
    ],
)
def test_a_dry_run_refuses_what_the_run_refuses(
    settings: list[str], words: str, images: Path, capsys: Captured
) -> None:
    alone = images / "c" / "alone.png"
    alone.parent.mkdir()
    shutil.copy(next(images.rglob("*.png")), alone)
    options = [*tiny.options(train__network="unet"), *(f"--set={one}" for one in settings)]
    for dry_run in (["--dry-run"], []):
        assert cli("augment", "--data", "images", "--out", "out", *dry_run, *options) == 2
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["trial.trainer=nobody"], "trial.trainer is 'nobody', which is not known. Presets are"),
        (["trial.trainer=nobody", "trial.command=x {data} {out}"], "how {data} is laid out. Use"),
        (["trial.trainer=dcgan", "trial.checkout=nowhere"], "nowhere, which is no folder"),
        (["trial.trainer=sincut", "trial.checkout=cut", "trial.python=sh"], "Set ingest.patches"),
        (["ingest.holdout=0"], "trial.with_run is true, and ingest.holdout 0: no image is held"),
        (["ingest.holdout=null", "ingest.patches={per_image: 4, size: 8}"], "ingest.patches holds"),
        (["generate.method=compose", "train.network=unet"], "Leave the arm own out of trial.arms"),
        (["trial.arms=[real, scoremix]"], "trial.arms names scoremix, which needs a score network"),
        (
            ["ingest.resolution=24"],
            "The images have 24 px, and the trial's own GAN",
        ),
        (["trial.arms=[own]"], "The trial has one arm, own, and compares nothing."),
        ([], "4 images are held out, and a trial needs 60"),
    ],
)
def test_a_trial_that_cannot_be_is_refused_before_its_run(
    settings: list[str], words: str, images: Path, capsys: Captured
) -> None:
    (images.parent / "cut").mkdir()
    for name in ("train.py", "test.py"):
        (images.parent / "cut" / name).touch()
    command = ["augment", "--data", "images", "--out", "out", "--quiet"]
    command += tiny.options(generate__method="mixup", trial__with_run=True)
    command += [f"--set={one}" for one in settings]
    for dry_run in (["--dry-run"], []):
        assert cli(*command, *dry_run) == 2
        assert words in capsys.readouterr().err
    assert not (images.parent / "out").exists()
    assert not (images.parent / "out.run").exists() or not settings


def test_what_changed_in_a_source_is_named(images: Path, capsys: Captured) -> None:
    words = ["augment", "--data", "images", "--out", "out", "--until", "ingest", *tiny.options()]
    assert cli(*words) == 0
    capsys.readouterr()
    (images / "left" / "000.png").unlink()
    os.utime(images / "right" / "003.png", (1, 1))
    for name in ("a", "b", "c", "d"):
        (images / "left" / f"{name}.png").write_bytes((images / "left/001.png").read_bytes())
    added = "4 files added: left/a.png, left/b.png, left/c.png, ..."
    wanted = f"source: {added}, 1 file removed: left/000.png, 1 file changed: right/003.png"
    assert cli("status", "out.run") == 0
    assert wanted in capsys.readouterr().out
    assert cli(*words) == 0
    assert wanted in capsys.readouterr().err
    (images / "left" / "a.png").unlink()
    (images.parent / "out.run/.scoremix/source-files.json").unlink()  # of an earlier version
    assert cli("status", "out.run") == 0
    assert "source: other files, or the same with other sizes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--data", "digit"], "Did you mean the bundled set 'digits'?"),
        (["--data", "digits", "--set", "recognition.command={unseen}"], "Quote the whole value"),
    ],
)
def test_what_was_meant_is_named(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli("augment", "--out", tmp_path / "o", "--dry-run", *words) == 2
    assert said in capsys.readouterr().err


def test_help_and_a_typo_load_no_large_library() -> None:
    program = (
        "import sys, scoremix.pipeline.cli\n"
        "print([name for name in ('numpy', 'torch', 'pyarrow', 'pydantic') if name in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert found.stdout == "[]\n"


def test_a_lack_of_memory_is_no_traceback(capsys: Captured) -> None:
    def command() -> None:
        raise MemoryError

    assert exit_code(command) == 1
    assert "not enough memory for this command" in capsys.readouterr().err


def test_verify_says_to_go_on_where_a_run_was_killed_as_it_published(
    images: Path, tmp_path: Path, capsys: Captured
) -> None:
    """The corpus agrees with itself, and the ledger does not know it yet."""
    out, run = tmp_path / "shards", tmp_path / "shards.run"
    changed = tiny.options(generate__method="mixup", generate__ratio=1)
    words = ["augment", "--data", str(images), "--out", str(out), "--until", "write", "--quiet"]
    assert cli(*words, *changed) == 0
    more = [*words, *tiny.options(generate__method="mixup", generate__ratio=2)]
    assert tiny.command(more, SCOREMIX_FAULT="kill:sums:1").returncode == -9
    capsys.readouterr()
    assert cli("verify", run) == 3
    error = capsys.readouterr().err
    assert "stopped before it recorded" in error and f"run {run / 'stages.yaml'}`" in error
    assert cli("run", run / "stages.yaml", "--until", "write", "--quiet") == 0
    assert cli("verify", run) == 0

    # Digests that someone wrote anew are another matter.
    rewrite_card(out)
    assert cli("verify", run) == 3
    assert "empty the folder" in capsys.readouterr().err
