"""make site: the pages that mkdocs gets, and whether their links lead somewhere."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site") / "pages"
    subprocess.run([sys.executable, ROOT / "deploy" / "site.py", target], check=True)
    return target


def named(part: Any) -> Iterator[str]:
    """Pages below a part of mkdocs.yml's nav."""
    if isinstance(part, str):
        yield part
    for inner in (
        part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    ):
        yield from named(inner)


def test_every_page_is_in_the_navigation_once(site: Path) -> None:
    pages = list(named(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    own = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert sorted(pages) == sorted(own | {"index.md", "CHANGELOG.md"})
    assert all((site / page).is_file() for page in pages)


def test_links_lead_to_files_of_the_site(site: Path) -> None:
    seen = 0
    for page in site.rglob("*.md"):
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            if not target.startswith(("http://", "https://")):
                assert (page.parent / target).is_file(), f"{page.name}: {target}"
                seen += 1
    assert seen > 200
    start = (site / "index.md").read_text()
    assert "(clothing-pairs.png)" in start and "(tutorial.md)" in start
