"""Opens pages in headless Chromium, where one is installed: console messages, overflow, texts."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
# Run in a copy of the page without its policy, which forbids scripts.
_PROBE = """<script>
addEventListener("load", () => {
  const root = document.documentElement, regions = [...document.querySelectorAll(".wide")];
  const cut = regions.filter(e => e.scrollWidth > e.clientWidth + 1);
  const focusable = "a[href], summary, [tabindex='0']";
  const unreachable = cut.filter(e => !e.matches("[tabindex='0'][aria-label]"));
  const found = {
    overflow: root.scrollWidth - root.clientWidth,
    width: root.clientWidth,
    cut: cut.map(e => e.getAttribute("aria-label")),
    unreachable: unreachable.length,
    without_alt: [...document.images].filter(e => !e.alt).length,
    charts_without_label: [...document.querySelectorAll("svg")].filter(
      e => e.getAttribute("role") !== "img" || !e.getAttribute("aria-label")).length,
    broken: [...document.images].filter(e => !e.naturalWidth).length,
    focusable: document.querySelectorAll(focusable).length,
    ink: getComputedStyle(document.body).color,
    paper: getComputedStyle(document.body).backgroundColor,
    text: [...document.querySelectorAll("svg text")].slice(0, 1).map(e => getComputedStyle(e).fill),
  };
  document.body.innerHTML = "";
  document.body.setAttribute("data-found", JSON.stringify(found));
});
</script>"""


def find() -> str | None:
    """The path of a Chromium or Chrome; None where none is installed."""
    return next((path for name in _NAMES if (path := shutil.which(name))), None)


def console(page: Path, folder: Path, width: int) -> list[str]:
    """What the page writes to the console. folder: of the browser's own files."""
    log = _run(page, folder, width, "--screenshot=" + str(folder / "page.png")).stderr
    return [line for line in log.splitlines() if "CONSOLE" in line]


def measure(page: Path, folder: Path, width: int, *, dark: bool = False) -> dict[str, Any]:
    """Overflow of the page in a window `width` pixels wide, missing texts, colours."""
    copy = folder / "probed.html"
    text, count = _POLICY.subn("", page.read_text())
    assert count == 1
    copy.write_text(text.replace("</head>", f"{_PROBE}</head>"))
    scheme = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    dumped = _run(copy, folder, width, "--dump-dom", scheme).stdout
    found = re.search(r'data-found="([^"]*)"', dumped)
    assert found is not None, dumped[-2000:]
    measured: dict[str, Any] = json.loads(found[1].replace("&quot;", '"').replace("&amp;", "&"))
    return measured


def _run(page: Path, folder: Path, width: int, *options: str) -> subprocess.CompletedProcess[str]:
    program = find()
    assert program is not None
    common = ["--headless", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr"]
    if os.getuid() == 0:
        common.append("--no-sandbox")  # Chromium refuses to be root otherwise
    own = [f"--user-data-dir={folder / 'profile'}", f"--window-size={width},900"]
    return subprocess.run(
        [program, *common, *own, *options, page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
