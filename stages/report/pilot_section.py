"""The page's section on the pilot, where one chose the method."""

from pathlib import Path
from typing import Any

import yaml

from ...manifests.errors import VerifyError
from ...manifests.files.json_reader import parse_json
from ...manifests.run_folder import RunFolder
from ..pilot.record import pilot_table
from . import pictures


def pilot_section(run: Path, config: str) -> dict[str, Any] | None:
    """What the page shows of pilot/pilot.json; None where a method was set, or the file is gone.

    config: the text of stages.yaml as resolved.

    Raises:
        VerifyError: the file is damaged.
    """
    files = RunFolder(run)
    generate = (yaml.safe_load(config) or {}).get("generate") or {}
    if generate.get("method") != "auto" or not files.pilot_record.is_file():
        return None
    try:
        record = parse_json(files.pilot_record.read_bytes())
        decision = record["decision"]
        reasons = [("cannot win", decision["disqualified"]), ("was not made", record["left_out"])]
        return {
            "text": decision["reason"],
            "ratio": decision["ratio"],
            "ratio_reason": decision["ratio_reason"],
            "table": pilot_table(record),
            "rows": record["rows"],
            "apart": [
                f"{name} {what}: {reason}."
                for what, found in reasons
                for name, reason in found.items()
            ],
            "sheet": pictures.file_uri(files.pilot_sheet) if files.pilot_sheet.exists() else None,
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise VerifyError(
            f"{files.pilot_record} is damaged ({error!r}). Delete {files.pilot} and run"
            f" `scoremix-pipeline run {files.config}`, which makes it again."
        ) from error
