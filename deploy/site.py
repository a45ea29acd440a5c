"""Collects README, docs and what they link to into one folder, from which mkdocs makes the site.

python deploy/site.py build/site-docs

Pages lie in docs/ and link to files beside it, which mkdocs does not see: here README.md becomes
index.md, docs/ is the root, and links are changed to fit. `mkdocs build --strict` then checks them.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BESIDE = ("CHANGELOG.md", "benchmarks", "deploy", "examples")  # of what docs/ links to

_LISTED = ("git", "ls-files", "--cached", "--others", "--exclude-standard")
_LINK = re.compile(r"(\]\()(?!https?://|#|mailto:)([^)\s#]*)")


def moved(path: Path) -> Path:
    """Where a file of the repository lies in the site; both relative."""
    path = path.relative_to("docs") if path.parts[0] == "docs" else path
    return path.with_name("index.md") if path.name == "README.md" else path


def with_moved_links(text: str, page: Path) -> str:
    """The text of `page` (relative to the repository) with links as the site has its files."""

    def change(match: re.Match[str]) -> str:
        target = (ROOT / page.parent / match[2]).resolve()
        if not match[2] or not target.is_relative_to(ROOT):
            return match[0]
        to = moved(target.relative_to(ROOT))
        up = [".."] * (len(moved(page).parts) - 1)
        link = Path(*up, to).as_posix()
        return match[1] + (f"{link}/index.md" if target.is_dir() else link)

    return _LINK.sub(change, text)


def collect(target: Path) -> None:
    """Writes the site's pages and files below `target`, which is made anew."""
    shutil.rmtree(target, ignore_errors=True)
    listed = subprocess.run(
        [*_LISTED, "README.md", "docs", *BESIDE],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for page in map(Path, listed.stdout.splitlines()):
        place = target / moved(page)
        place.parent.mkdir(parents=True, exist_ok=True)
        if page.suffix == ".md":
            place.write_text(with_moved_links((ROOT / page).read_text(), page))
        else:
            shutil.copyfile(ROOT / page, place)
    for folder in map(target.joinpath, BESIDE):
        if folder.is_dir() and not (folder / "index.md").exists():
            files = sorted(path.name for path in folder.iterdir())
            lines = [f"# {folder.name}", "", *(f"* [{name}]({name})" for name in files)]
            (folder / "index.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    collect(Path(sys.argv[1]))
