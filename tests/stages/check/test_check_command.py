"""scoremix-pipeline check: text, JSON, exit codes; what is hostile does not reach the terminal."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from broken import CUT_PNG, PNG, folder, labels, only, png, splits, tree, write, zipped
from click.testing import CliRunner, Result
from made import make_corpus

from scoremix.manifests.errors import ConfigError
from scoremix.pipeline.cli import commands, exit_code
from scoremix.stages.check.check import check_corpus
from scoremix.stages.common.progress import Silent

ZIP = zipped(
    [
        ("a/0.png", PNG),
        ("b/0.png", PNG),
        ("dataset.json", labels([["a/0.png", 0], ["b/0.png", 1]])),
    ]
)


def run(*arguments: str) -> tuple[int, Result]:
    runner = CliRunner()
    result = runner.invoke(commands, ["check", "--quiet", *arguments])
    if result.exception is None or isinstance(result.exception, SystemExit):
        return result.exit_code, result

    def again() -> None:
        assert result.exception is not None
        raise result.exception

    return exit_code(again), result


def test_the_command_on_a_sound_corpus(tmp_path: Path) -> None:
    path = ZIP(tmp_path)
    code, result = run(str(path), "--for", "StyleGAN3")
    assert code == 0
    assert result.stdout == (
        "stylegan3 reads it: 2 images, 16x16, RGB, PNG; 2 classes: 0 (1), 1 (1); labels: class"
        " numbers\nremember: labels are there: pass --cond=1, or they are ignored\n"
    )
    code, result = run(str(splits("train", "val")(tmp_path / "more")), "--for", "stargan-v2")
    assert (code, "remember: --num_domains 2" in result.stdout) == (0, True)


@pytest.mark.parametrize("reader", [(), ("--for", "stylegan"), ("--for", "biggan")])
def test_shards_are_named_as_such(reader: tuple[str, ...], tmp_path: Path) -> None:
    shards = make_corpus(tmp_path)
    code, result = run(str(shards), *reader)
    assert code == 3
    assert "These are shards: run `scoremix-pipeline export` first." in str(result.exception)
    code, result = run(str(folder(z__png=png(32))(tmp_path / "images")), "--for", "stylegan")
    assert code == 3 and "These are" not in str(result.exception)


def test_the_command_on_a_broken_corpus(tmp_path: Path) -> None:
    path = folder(z__png=png(32))(tmp_path)
    code, result = run(str(path), "--for", "stylegan")
    assert code == 3
    lines = result.stdout.splitlines()
    assert lines[0].startswith("error mixed-sizes, 1 found: ")
    assert lines[1] == "    z.png: 32x32; 3 of 4 are 16x16"
    assert lines[2].startswith("  trainer: a bare AssertionError")
    assert f"--data {path} " in lines[3]
    assert not result.stderr.startswith("Traceback")


def test_json_says_the_same(tmp_path: Path) -> None:
    code, result = run(str(folder(z__png=png(32))(tmp_path)), "--for", "stylegan", "--json")
    report = json.loads(result.stdout)
    assert (code, report["readable"], report["for"]) == (3, False, "stylegan")
    [verdict] = report["verdicts"]
    [finding] = verdict["findings"]
    assert (finding["rule"], finding["severity"], finding["count"]) == ("mixed-sizes", "error", 1)
    assert finding["files"] == [{"file": "z.png", "found": "32x32; 3 of 4 are 16x16"}]
    assert set(finding) == {"rule", "severity", "what", "count", "files", "trainer", "remedy"}


def test_without_for_it_tells_who_can_read_it(tmp_path: Path) -> None:
    code, result = run(str(tree()(tmp_path / "a")))
    assert code == 0
    assert "imagefolder: read by dcgan, stylegan2-pytorch, lightweight-gan" in result.stdout
    assert "not by lecam, diffaugment-biggan: side-unknown (cat/00.png and 7 more)" in result.stdout
    assert "stylegan:    read by stylegan2-ada (1 warning), stylegan3 (1 warning)" in result.stdout
    assert "not by fastgan: images-too-deep (cat/00.png and 7 more)" in result.stdout
    assert "2 classes: cat (4), dog (4)" in result.stdout
    code, result = run(str(only({"x.png": CUT_PNG})(tmp_path / "b")))
    assert code == 3
    assert "read by nobody" in result.stdout


def nothing(root: Path) -> Path:
    return root / "gone"


def tar(root: Path) -> Path:
    return write(root, {"corpus.tar": b"x" * 1024}) / "corpus.tar"


@pytest.mark.parametrize(("make", "said"), [(nothing, "nearest folder"), (tar, "no known kind")])
def test_what_cannot_be_judged_is_a_usage_error(
    make: Callable[[Path], Path], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=said):
        check_corpus(make(tmp_path), "stylegan", Silent())
    assert run(str(make(tmp_path)))[0] == 2


def test_an_unknown_trainer_is_a_usage_error(tmp_path: Path) -> None:
    code, result = run(str(tmp_path), "--for", "biggen")
    assert code == 2
    assert "biggan" in result.stderr


def test_hostile_names_do_not_reach_the_terminal(tmp_path: Path) -> None:
    write(tmp_path, {"a\x1b[2J\n.png": CUT_PNG, os.fsdecode(b"b\xff.png"): CUT_PNG})
    code, result = run(str(tmp_path), "--for", "stylegan")
    assert code == 3
    assert "\x1b" not in result.output
    assert r"a\x1b[2J\x0a.png" in result.stdout
    assert r"b\udcff.png" in result.stdout
