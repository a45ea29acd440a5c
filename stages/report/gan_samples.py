"""The page's sections on samples of a trained GAN, where some were evaluated."""

from pathlib import Path
from typing import Any

from ...manifests.errors import VerifyError
from ...manifests.files.json_reader import parse_json
from ...manifests.run_folder import RunFolder
from ..gan_samples.sets import natural_sort_key
from ..gan_samples.summary import metric_table
from ..gan_samples.translation import pairs_table
from . import charts, pictures


def sections(run: Path) -> list[dict[str, Any]]:
    """What the page shows of every report/generated/NAME.json, in the order of their names."""
    paths = RunFolder(run).generated.glob("*.json")
    parts = []
    for path in sorted(paths, key=lambda path: (natural_sort_key(path.stem), path.stem)):
        report = _read(path)
        sheet = path.with_suffix(".png")
        shown = (report["best"] or {}).get("name", report["sets"][0]["name"])
        nearest = next(one["nearest"] for one in report["sets"] if one["name"] == shown)
        parts.append(
            {
                "name": report["name"],
                "text": report["text"],
                "table": metric_table(report),
                "pairs": pairs_table(report),
                "chart": charts.snapshot_curve(report) if report["best"] else None,
                "sheet": pictures.file_uri(sheet) if nearest and sheet.exists() else None,
                "shown": shown,
                "nearest": [
                    f"{one['name']} ({one['training']}, {one['ratio']:.2g})" for one in nearest
                ],
            }
        )
    return parts


def _read(path: Path) -> dict[str, Any]:
    """Raises VerifyError where the file is damaged."""
    try:
        report: dict[str, Any] = parse_json(path.read_bytes())
    except ValueError as error:
        raise VerifyError(
            f"{path} is damaged ({error}). Delete it, or evaluate these samples again."
        ) from error
    return report
