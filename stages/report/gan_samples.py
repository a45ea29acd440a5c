"""The part of the page about images that a trained GAN made, where some were judged."""

import json
from pathlib import Path
from typing import Any

from ..gan_samples.sets import natural
from ..gan_samples.summary import table
from . import charts, pictures


def sections(run: Path) -> list[dict[str, Any]]:
    """One for every report/generated/NAME.json, in the order of their names."""
    paths = (run / "report" / "generated").glob("*.json")
    found = []
    for path in sorted(paths, key=lambda path: (natural(path.stem), path.stem)):
        report = json.loads(path.read_text())
        heads, rows = table(report)
        sheet = path.with_suffix(".png")
        shown = (report["best"] or {}).get("name", report["sets"][0]["name"])
        nearest = next(one["nearest"] for one in report["sets"] if one["name"] == shown)
        found.append(
            {
                "name": report["name"],
                "text": report["text"],
                "heads": heads,
                "rows": rows,
                "chart": charts.snapshot_curve(report) if report["best"] else None,
                "sheet": pictures.file_uri(sheet) if nearest and sheet.exists() else None,
                "shown": shown,
                "nearest": [
                    f"{one['name']} ({one['training']}, {one['ratio']:.2g})" for one in nearest
                ],
            }
        )
    return found
