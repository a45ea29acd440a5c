"""What others wrote stays data: a stages.yaml, names, licences, checkpoints, label files."""

import ast
import json
import re
import unicodedata
from itertools import pairwise
from pathlib import Path

import pytest
import tiny
from in_process import cli

from scoremix.manifests.published.card import CorpusFacts, Counts, dataset_card

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("manifests", "models", "stages", "pipeline")
LPIPS = "models/metrics/perceptual.py"


def calls() -> list[tuple[str, str, ast.Call]]:
    """Every call in the package: (file, dotted name, node)."""
    found = []
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call):
                    found.append((str(path.relative_to(ROOT)), ast.unparse(node.func), node))
    return found


def test_nothing_that_is_read_can_run_code() -> None:
    """No pickle but from the decoders' own children, no eval, no unsafe YAML, exec of "" alone.

    torch.load reads tensors alone (weights_only), and only weights that a user named, of LPIPS and
    of features, and what a trainer has just written, in its own environment.
    """
    # yaml.load is that of yaml_text, with a loader that is a SafeLoader.
    runs = ("pickle.load", "pickle.loads", "torch.load", "yaml.load", "yaml.unsafe_load")
    runs += ("eval", "exec", "os.system", "os.popen", "marshal.loads", "shelve.open")
    found = {(file, name) for file, name, _ in calls() if name in runs}
    allowed = {("stages/images/decode_pool.py", "pickle.load"), (LPIPS, "torch.load")}
    allowed |= {("stages/trial/trainer_script.py", "torch.load")}
    allowed |= {("models/features/convert.py", "torch.load")}
    allowed |= {("pipeline/yaml_text.py", "yaml.load")}
    allowed |= {("pipeline/signals.py", "exec")}
    assert found <= allowed
    for file, name, node in calls():
        keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if name == "exec":
            assert ast.unparse(node) == "exec('')", file
        if name in ("np.load", "numpy.load"):
            assert keywords.get("allow_pickle") == "False", file
        if name == "torch.load":
            assert keywords.get("weights_only") == "True", file
        if name.endswith(("Popen", "subprocess.run", "check_call", "check_output")):
            assert keywords.get("shell", "False") == "False", file


@pytest.mark.parametrize(
    "text",
    [
        "run: !!python/object/apply:os.system ['touch MARK']",
        "run: r\ningest: {source: !!python/object/new:pathlib.Path [MARK]}",
        "run: &a [*a]",
        "run: r\nrun: q",
        "run: r\ningest: {limit: 3, limit: 4}",
        "run: r\ningest: {source: " + 10_000 * "[" + 10_000 * "]" + "}",
        "run: r\nseed: " + 5_000 * "9",
        "run: r\nseed: 1e" + 5_000 * "9",
        "run: r\nseed: 0x" + 5_000 * "f",
        "run: r\ningest: {path: 0b" + 20_000 * "1" + "}",
        'run: r\ningest: {source: "a\\0b"}',
        "run: r\x00",
        "run: r\ningest: {source: [a, {source: b, labl: cat}]}",
        "run: r\ningest: {source: ~no-such-user/photos}",
        "run: r\ningest: {source: 'dir://x'}",
        "run: r\ningest: {source: 'reference://x'}",
        "run: r\ningest: {source: 'hf://datasets/x/y'}",
        "run: r\ningest: {source: 'simplecache::https://h/x.zip'}",
        "run: r\ningest: {source: 'github://me:x@/a.zip'}",
        "run: r\ningest: {source: '`touch MARK`'}",
        "run: r\ningest: {source: '$(touch MARK)'}",
        "run: r\ningest: {source: '; touch MARK'}",
        "a: &a [1,1,1,1,1,1,1,1,1]\n"
        + "\n".join(f"{n}: &{n} [{','.join(['*' + m] * 9)}]" for m, n in pairwise("abcdefghi")),
    ],
)
def test_a_hostile_stages_yaml_is_only_refused(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mark = tmp_path / "mark"
    (tmp_path / "stages.yaml").write_text(text.replace("MARK", str(mark)))
    code = cli("run", tmp_path / "stages.yaml", "--quiet")
    assert code in (1, 2) and not mark.exists()
    told = capsys.readouterr().err.removeprefix("ingest: not done yet\n")
    assert told.startswith("error: ") and "Traceback" not in told


def test_a_card_shows_what_others_wrote_and_does_nothing_with_it() -> None:
    licence = (
        "<script>alert(1)</script> [free](javascript:x) ![x](http://tracker/x.png) | a |\n# CC"
    )
    facts = CorpusFacts("images", ("<b>x</b>",), 8, 3, {"method": "mixup"}, (licence,))
    card = dataset_card(facts, Counts(2, 2, 1, 2, True, False, False, ("mixup",), 0))
    front, _, body = card.removeprefix("---\n").partition("\n---\n")
    assert "<script" not in body and not re.search(r"(?<!\\)\]\(", body.split("## Licences")[1])
    assert "\n# CC" not in body and "alert(1)" in body
    assert "license_name" in front


def test_commands_print_in_one_way() -> None:
    """By echo, which writes out the control characters of names and leaves out secrets of URLs."""
    found = {file for file, name, _ in calls() if name in ("click.echo", "click.secho", "print")}
    assert found == {"pipeline/echo.py"}


HOSTILE = "\x1b[31m\x1b]0;own\x07\u202egnp\x9b2J\u2066"


def obeyed(text: str) -> set[str]:
    """The characters in a text that a terminal or a browser would obey, but for line breaks."""
    kinds = {"Cc", "Cf", "Zl", "Zp"}
    return {one for one in text if unicodedata.category(one) in kinds and one != "\n"}


def test_names_are_printed_without_what_a_terminal_obeys(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    images = tiny.make_images(tmp_path / "images")
    (images / "left").rename(images / f"left{HOSTILE}")
    first, second = sorted((images / f"left{HOSTILE}").iterdir())[:2]
    first.rename(first.with_name(f"{HOSTILE}a.png"))
    second.with_name(f"{HOSTILE}b.png").write_bytes(b"no image")
    out = tmp_path / "out" / "shards"
    method = tiny.options(generate__method="mixup", generate__ratio=1)
    assert cli("augment", "--data", images, "--out", out, *method) == 0
    run = tmp_path / "out" / "shards.run"
    (out / f"foreign{HOSTILE}").write_text("x")
    assert cli("verify", out) == 3
    (out / f"foreign{HOSTILE}").unlink()
    assert cli("status", run) == 0
    assert cli("inspect", out) == 0 and cli("inspect", out, "000000") == 0
    assert cli("export", out, "--to", "imagefolder", "--out", tmp_path / "exported") == 0
    assert cli("check", images) in (0, 1, 3)
    assert cli("forget", run, f"left{HOSTILE}/{HOSTILE}a.png") == 0
    assert cli("forget", run, f"none{HOSTILE}") == 2
    assert cli("augment", "--data", f"{images}{HOSTILE}", "--out", out) == 2
    assert cli("augment", f"--{HOSTILE}") == 2
    printed = capfd.readouterr()
    assert not obeyed(printed.out) and not obeyed(printed.err)
    assert "\\u001b[31m" in printed.out and "\\u202e" in printed.err
    assert cli("run", run / "stages.yaml", "--quiet") == 0
    for page in (run / "report" / "index.html", out / "README.md"):
        assert not obeyed(page.read_text())


def test_a_line_break_in_a_name_begins_no_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What follows it could look like a message of the program."""
    images, out = tiny.make_images(tmp_path / "images"), tmp_path / "out" / "shards"
    name = "x\nverdict: forged"
    (images / f"{name}.png").write_bytes(b"no image")
    method = tiny.options(generate__method="mixup", generate__ratio=1)
    bad = ("--set", "ingest.max_bad.consecutive=1")
    assert cli("augment", "--data", images, "--out", out, *method, *bad) == 4
    (images / "dataset.json").write_text('{"labels": [["left/000.png", 0]]}')
    assert cli("augment", "--data", images, "--out", out, *method) == 2
    (images / "dataset.json").unlink()
    assert cli("augment", "--data", images, "--out", out, *method) == 0
    (out / name).write_text("x")
    assert cli("verify", out) == 3
    printed = capfd.readouterr()
    assert "\nverdict: forged" not in printed.err + printed.out
    assert printed.err.count("x\\nverdict: forged") >= 1
    assert printed.out.count("x\\nverdict: forged") == 1


def test_names_of_inputs_never_become_paths(tmp_path: Path) -> None:
    """Class folders and files with names that a shell, a browser or a path would take amiss."""
    images = tiny.make_images(tmp_path / "images")
    (images / "left").rename(images / "$(touch x)")
    (images / "right").rename(images / "<img src=x onerror=alert(1)>")
    first = next((images / "$(touch x)").iterdir())
    first.rename(first.with_name("..%2f..%2fescape .png"))
    out = tmp_path / "out" / "shards"
    before = {path for path in tmp_path.iterdir()} | {tmp_path / "out"}
    method = tiny.options(generate__method="mixup", generate__ratio=1)
    assert cli("augment", "--data", images, "--out", out, "--quiet", *method) == 0
    assert set(tmp_path.iterdir()) == before and not Path("x").exists()
    assert json.loads((out / "index.json").read_text())["classes"] == [
        "$(touch x)",
        "<img src=x onerror=alert(1)>",
    ]
    for name in ("imagefolder", "stylegan"):
        target = tmp_path / "exported" / name
        assert cli("export", out, "--to", name, "--out", target, "--quiet") == 0
        assert all(path.resolve().is_relative_to(target) for path in target.rglob("*"))
    assert set((tmp_path / "exported").iterdir()) == {
        *(tmp_path / "exported" / name for name in ("imagefolder", "stylegan")),
        *(tmp_path / "exported" / f"{name}.export.json" for name in ("imagefolder", "stylegan")),
    }
