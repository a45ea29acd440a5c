"""The pages in headless Chromium, wide and on a phone, light and dark."""

from pathlib import Path

import browser
import pytest
import tiny
from in_process import cli

pytest.importorskip("jinja2", reason="the extra `report` is not installed")
pytest.importorskip("matplotlib", reason="the extra `report` is not installed")
pytestmark = pytest.mark.skipif(
    browser.find() is None, reason="no chromium or google-chrome is installed"
)

WIDE, NARROW = 1200, 500


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The reports of a run by ScoreMix, with variants, and of one by mixup; and both compared."""
    root = tmp_path_factory.mktemp("pages")
    images = tiny.make_images(root / "images")
    runs = {}
    for method in ("scoremix", "mixup"):
        out = root / method / "shards"
        changed = tiny.options(
            generate__method=method, evaluate__rows=40, train__steps=12, ingest__holdout=0.5
        )
        arguments = ["augment", "--data", images, "--out", out, "--run", root / method / "run",
                     "--quiet", *changed]  # fmt: skip
        assert cli(*arguments) == 0
        runs[method] = root / method / "run"
    both = root / "comparison.html"
    assert cli("compare", *runs.values(), "--out", both) == 0
    return {name: run / "report" / "index.html" for name, run in runs.items()} | {"compare": both}


@pytest.mark.parametrize("name", ["scoremix", "mixup", "compare"])
@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_nothing_is_wider_than_the_window(
    name: str, width: int, pages: dict[str, Path], tmp_path: Path
) -> None:
    found = browser.measure(pages[name], tmp_path, width)
    assert found["width"] == width
    assert found["overflow"] <= 0
    assert found["unreachable"] == 0  # what must be scrolled can be, from the keyboard
    if width == WIDE:
        assert found["cut"] == []  # every table fits
    assert found["without_alt"] == found["broken"] == found["charts_without_label"] == 0
    assert found["focusable"] > 1


@pytest.mark.parametrize("name", ["scoremix", "compare"])
def test_the_console_stays_empty(name: str, pages: dict[str, Path], tmp_path: Path) -> None:
    assert browser.console(pages[name], tmp_path, WIDE) == []


def test_what_breaks_the_policy_would_be_seen_on_the_console(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(
        """<meta http-equiv="Content-Security-Policy" content="default-src 'none'">
        <body onload="document.title = 1"><style>p { color: red }</style>"""
    )
    assert browser.console(page, tmp_path, WIDE)


@pytest.mark.parametrize("name", ["scoremix", "compare"])
def test_in_dark_mode_everything_is_light_on_dark(
    name: str, pages: dict[str, Path], tmp_path: Path
) -> None:
    def grey(colour: str) -> float:
        return sum(int(part) for part in colour[4:-1].split(",")) / 3

    light, dark = (
        browser.measure(pages[name], tmp_path, WIDE, dark=dark) for dark in (False, True)
    )
    assert grey(light["ink"]) < 80 < 200 < grey(light["paper"])
    assert grey(dark["paper"]) < 80 < 200 < grey(dark["ink"])
    assert dark["text"] in ([], [dark["ink"]]) and light["text"] in ([], [light["ink"]])
    assert bool(dark["text"]) is (name != "compare")  # the charts' words are seen, too
