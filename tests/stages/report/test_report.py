"""The page: whole in itself, true to the metrics, harmless whatever the inputs are called."""

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import quick_charts
import tiny
from in_process import cli

from scoremix.manifests.files.atomic import read_parquet
from scoremix.manifests.plan.made import made_identity
from scoremix.manifests.published.index import read_index
from scoremix.manifests.run_folder import RunFolder

pytest.importorskip("jinja2", reason="the extra `report` is not installed")
pytest.importorskip("matplotlib", reason="the extra `report` is not installed")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs of one folder, ScoreMix and mixup, with an input whose name is markup."""
    root = tmp_path_factory.mktemp("report")
    images = tiny.make_images(root / "images")
    (images / "left" / "<script>alert(1)<!--.png").write_bytes(b"no image")
    for name, method in (("first", "scoremix"), ("second", "mixup")):
        out = root / name / "shards"
        changed = tiny.options(generate__method=method, evaluate__rows=40)
        run = ["--run", root / name / "run", "--quiet"]
        assert cli("augment", "--data", images, "--out", out, *run, *changed) == 0
    return [root / name / "run" for name in ("first", "second")]


class Page(HTMLParser):
    """Tags that are open at the end, addresses, and the text."""

    VOID = {"meta", "img", "br", "path", "use", "rect", "stop"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.names: set[str] = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        named = ("src", "href", "xlink:href", "action", "data", "srcset")
        self.addresses += [value or "" for name, value in attrs if name in named]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_run_leaves_a_page_that_needs_nothing_else(runs: list[Path]) -> None:
    for run in runs:
        text = (run / "report" / "index.html").read_text()
        page = Page(text)
        assert not page.open and not page.names & {"script", "iframe", "object", "link", "form"}
        assert page.addresses
        assert all(address.startswith(("data:image/png", "#")) for address in page.addresses)
        assert "url(" not in re.sub(r"url\(#[\w-]+\)", "", text) and "@import" not in text
        ids = re.findall(r'\bid="([^"]+)"', text)
        words = " ".join(page.text.split())
        metrics = json.loads((run / "report" / "metrics.json").read_bytes())
        answers = metrics["answers"]
        cells = [cell for row in answers["rows"] for cell in row]
        for each in (answers["sentence"], metrics["verdict"]["text"], *cells):
            assert " ".join(each.split()) in words
        assert words.index(answers["sentence"]) < words.index(metrics["verdict"]["text"])
        assert len(ids) == len(re.findall(r"<(?:[\w:-]+)[^>]*\bid=", text))


def test_it_has_every_part(runs: list[Path]) -> None:
    scoremix, mixup = (Page((run / "report" / "index.html").read_text()) for run in runs)
    parts = (
        "at random",
        "have folded lambda ≥ .1",
        "Contrast and detail",
        "one image to the other",
        "step by step",
        "How far from real",
        "Nearest training",
        "Cost",
        "Inputs",
        "Digests",
    )
    for part in parts:
        assert part in scoremix.text and part in mixup.text
    for part in ("Best and worst", "The score network", "Denoising loss", "Score norm of images"):
        assert part in scoremix.text
    assert "Best and worst" not in mixup.text and "The score network" not in mixup.text
    assert "<script>alert(1)<!--.png" in scoremix.text  # as text, not as markup
    assert scoremix.text.count("a parent") > 0


def test_again_gives_the_same_bytes(runs: list[Path]) -> None:
    page = runs[0] / "report" / "index.html"
    assert cli("report", runs[0]) == 0
    once = page.read_bytes()
    page.unlink()
    assert cli("report", runs[0]) == 0
    assert page.read_bytes() == once


def test_runs_side_by_side(runs: list[Path], tmp_path: Path) -> None:
    assert cli("compare", *runs, "--out", tmp_path / "both.html") == 0
    page = Page((tmp_path / "both.html").read_text())
    assert not page.open
    assert all(address.startswith(("data:image/png", "#")) for address in page.addresses)
    assert "Best: the lowest of its row" in page.text and "A star" in page.text
    assert "generate.method" in page.text and "not comparable" not in page.text
    assert page.text.count("scoremix") >= 2 and page.text.count("mixup") >= 2
    assert cli("compare", *runs, "--out", tmp_path) == 0  # comparison.html in it
    assert cli("compare", *runs, "--out", tmp_path / "both.html") == 0  # its own page
    (tmp_path / "both.html").write_bytes(b"mine")
    assert cli("compare", *runs, "--out", tmp_path / "both.html") == 2
    assert (tmp_path / "both.html").read_bytes() == b"mine"


def test_what_cannot_be_reported_is_explained(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli("report", tmp_path) == 2
    assert "is not a run folder" in capsys.readouterr().err
    assert cli("compare", runs[0]) == 2
    assert "two run folders" in capsys.readouterr().err
    (tmp_path / "stages.yaml").write_text(f"run: run\ningest: {{source: {tmp_path / 'images'}}}\n")
    tiny.make_images(tmp_path / "images")
    assert cli("run", tmp_path / "stages.yaml", "--until", "ingest", *tiny.options()) == 0
    assert cli("report", tmp_path / "run") == 2
    assert "has no evaluation yet" in capsys.readouterr().err


def test_metrics_of_another_version_are_told_as_such(
    runs: list[Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scoremix.stages.report.charts._svg", quick_charts._undrawn)
    path = runs[0] / "report" / "metrics.json"
    before = path.read_bytes()
    whole = json.loads(before)
    try:
        for name in whole:
            path.write_text(json.dumps({key: whole[key] for key in whole if key != name}))
            code, told = cli("report", runs[0]), capsys.readouterr().err
            assert (code == 3 and f"has no {name}" in told and "evaluate" in told) or code == 0
    finally:
        path.write_bytes(before)


def test_what_a_method_does_not_do_is_not_told(runs: list[Path], tmp_path: Path) -> None:
    scoremix, mixup = (Page((run / "report" / "index.html").read_text()).text for run in runs)
    assert "The minimisation alone" in scoremix and ", minimised" in scoremix
    assert "The whole method" in scoremix
    for text in ("The minimisation", "The whole method", ", minimised"):
        assert text not in mixup


@pytest.mark.parametrize("missing", ["jinja2", "matplotlib.figure"])
def test_a_missing_package_is_named_and_stops_no_run(
    missing: str,
    runs: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    assert cli("report", runs[0]) == 2
    assert 'pip install "scoremix-pipeline[report]"' in capsys.readouterr().err
    assert cli("evaluate", runs[0], "--set", f"evaluate.sheet_rows={len(missing)}") == 0
    assert "scoremix-pipeline[report]" in capsys.readouterr().err


def test_energy_is_told_where_it_was_read(runs: list[Path]) -> None:
    run = runs[1]
    log = run / ".scoremix" / "progress.jsonl"
    before = log.read_text()
    assert "Wh (" not in Page((run / "report" / "index.html").read_text()).text
    lines = [json.loads(line) for line in before.splitlines()]
    drawn = [line | {"joules": {"cpu": 3600.0 * place}} for place, line in enumerate(lines)]
    log.write_text("".join(json.dumps(line) + "\n" for line in drawn))
    try:
        assert cli("report", run) == 0
        assert "Wh (processors" in Page((run / "report" / "index.html").read_text()).text
    finally:
        log.write_text(before)
    assert cli("report", run) == 0
    assert "Wh (" not in Page((run / "report" / "index.html").read_text()).text


def test_a_run_of_an_earlier_version_is_still_reported(runs: list[Path], tmp_path: Path) -> None:
    """Without the answers, the appearance, intervals by ratio and strips, which it had not."""
    path = runs[0] / "report" / "metrics.json"
    strips = runs[0] / "report" / "lambda-strips.png"
    before, drawn = path.read_bytes(), strips.read_bytes()
    metrics = json.loads(before)
    for name in ("answers", "appearance", "final_minus_copies"):
        del metrics[name]
    for entry in metrics["by_ratio"]:
        del entry["less_real_images"]
    path.write_text(json.dumps(metrics))
    strips.unlink()
    try:
        assert cli("report", runs[0]) == 0
        page = Page((runs[0] / "report" / "index.html").read_text())
        assert " ".join(metrics["verdict"]["text"].split()) in " ".join(page.text.split())
        assert "The curves have no intervals" in page.text
        assert "one image to the other" not in page.text and not page.open
        assert cli("compare", *runs, "--out", tmp_path / "both.html") == 0
    finally:
        path.write_bytes(before)
        strips.write_bytes(drawn)
        assert cli("report", runs[0]) == 0


def test_a_trial_answers_above_all(runs: list[Path]) -> None:
    folder = runs[0] / "trial"
    folder.mkdir()
    record = {"table": {"heads": ["arm"], "rows": [["real"]]}, "conclusion": "Worth it: 12 %."}
    plan = read_parquet(RunFolder(runs[0]).plan)
    recipe = read_index(runs[0].parent / "shards")["recipe"]
    record |= {"results": {}, "of": made_identity(recipe, plan)}
    (folder / "trial.json").write_text(json.dumps(record))
    sentence = json.loads((runs[0] / "report" / "metrics.json").read_bytes())["answers"]["sentence"]
    try:
        assert cli("report", runs[0]) == 0
        words = Page((runs[0] / "report" / "index.html").read_text()).text
        assert words.index("A trial has answered: Worth it: 12 %.") < words.index(sentence)
        other = made_identity(recipe | {"method": "another"}, plan)
        (folder / "trial.json").write_text(json.dumps(record | {"of": other}))
        assert cli("report", runs[0]) == 0
        words = Page((runs[0] / "report" / "index.html").read_text()).text
        assert "A trial has answered" not in words and "This trial is of an earlier corpus" in words
    finally:
        (folder / "trial.json").unlink()
        folder.rmdir()
        assert cli("report", runs[0]) == 0


def test_numbers_have_one_form(runs: list[Path]) -> None:
    for run in runs:
        text = Page((run / "report" / "index.html").read_text()).text
        text = text[: text.index("The configuration, every default")]
        assert not re.findall(r"\d(?:\.\d+)?e[+-]\d+", text)
