"""Stops before the corpus of a run is given up for other images, unless that was asked for."""

import json
import os
from itertools import chain
from pathlib import Path
from typing import Any

from ..manifests.errors import ConfigError, StorageError
from ..manifests.foreign_text import redact_url
from ..manifests.run_folder import RunFolder
from ..manifests.storage.location import Place, is_url
from ..stages.sources.spec import BUNDLED
from .config import Config
from .exchanged_file import exchanged_files
from .fingerprints import fingerprint
from .ledger import Ledger
from .shards.stores import open_shards
from .source_listing import exchanged_sources


def refuse_other_data(config: Config, folder: Path, shards: Place) -> None:
    """Raises ConfigError where the run in `folder` has a network or shards of other sources.

    A source under another path whose files have the same names, sizes and times is the same, and so
    is one that was moved or copied together with the run folder. A folder of which next to no file
    is left is another source under the path of the first, by names, sizes and, where times differ,
    the content of some; so is a tar or a table with other images. Files or sources that were added
    are not its concern, nor other options: the run is then stale, as it says.
    """
    ledger = Ledger(folder)
    before = ledger.stages.get("ingest", {}).get("inputs")
    if before is None:
        return
    old, new = _sources(before["options"]), _sources(config.ingest.model_dump(mode="json"))
    homes, seen = (ledger.identity or {}).get("homes", []), _seen_from(new, folder.resolve())
    if set(old) <= set(new) or any(_seen_from(old, home) == seen for home in homes):
        if not (made := _made(ledger, folder, shards)):
            return
        run = RunFolder(folder)
        files_of = exchanged_files(config, run, before["source"])
        exchanged = chain(exchanged_sources(config, run), files_of)
        for source, files, kept in exchanged:
            left = f"{kept:,} of them are" if kept else "none of them is"
            what = f"{files:,} files in {source}, and {left} there as it was"
            _refuse(f"{folder} was made from {what}", made)
        return
    follow = config.ingest.follow_links
    prints = [fingerprint(spec.source, follow_links=follow) for spec in config.ingest.sources]
    if None in prints:  # nothing is there: ingest says so
        return
    inside = [path for _, path in old] == [path for _, path in new]
    bundled = set(BUNDLED) & {source for source, _ in (*old, *new)}
    if inside and before["source"] == json.loads(json.dumps(prints)) and not bundled:
        return
    why = f"{folder} was made from {_shown(old)}, and {_shown(new)} was asked for"
    _refuse(why, _made(ledger, folder, shards))


def _refuse(why: str, made: list[str]) -> None:
    if made:
        raise ConfigError(
            f"{why}: what it made would be replaced, namely {' and '.join(made)}. Nothing was"
            " changed. Name another place (--out and --run; for `run`, another `run:` in"
            " stages.yaml), or add --replace."
        )


_Source = tuple[str, str | None]  # the place, links followed, and the folder inside it


def _sources(options: dict[str, Any]) -> list[_Source]:
    """What `ingest.source` and `ingest.path` name."""
    given = options["source"]
    entries = given if isinstance(given, list) else [given]
    specs = [one if isinstance(one, dict) else {"source": one} for one in entries]
    return [(_plain(spec["source"]), spec.get("path") or options.get("path")) for spec in specs]


def _seen_from(sources: list[_Source], folder: str | Path) -> list[_Source]:
    """Places on a disk relative to the run folder."""
    return [
        (place if is_url(place) or place in BUNDLED else os.path.relpath(place, folder), path)
        for place, path in sources
    ]


def _plain(source: str) -> str:
    if is_url(source):
        return redact_url(source)
    return source if source in BUNDLED else os.path.realpath(source)


def _shown(sources: list[_Source]) -> str:
    return ", ".join(source if path is None else f"{source} ({path})" for source, path in sources)


def _made(ledger: Ledger, folder: Path, shards: Place) -> list[str]:
    """What of the run took work and would go."""
    made = []
    if ledger.outcome("train"):
        steps = ledger.stages["train"]["inputs"]["options"].get("steps")
        made.append(f"a network trained for {steps} steps")
    try:
        names = open_shards(shards, folder).names()
    except StorageError:
        names = []
    tars = [name for name in names if name.endswith(".tar")]
    if tars:
        made.append(f"{len(tars)} shards in {shards}")
    return made
