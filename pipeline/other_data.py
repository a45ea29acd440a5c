"""Stops before the corpus of a run is given up for other images, unless that was asked for."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..manifests.errors import ConfigError, StorageError
from ..manifests.foreign_text import redact_url
from ..manifests.run_folder import RunFolder
from ..manifests.storage.location import Place, is_url, same_place
from ..stages.sources.base import clean_path
from ..stages.sources.spec import BUNDLED, SourceSpec
from .config import Config
from .fingerprints import fingerprint
from .ledger import Ledger
from .other_images import find_exchanged
from .shards.home import Standing, standing_of
from .shards.stores import open_shards


def refuse_other_data(config: Config, folder: Path, shards: Place) -> None:
    """Raises ConfigError where the run in `folder` has a network or shards of other sources.

    A source under another path whose files have the same names, sizes and times is the same, and so
    is one that was moved or copied together with the run folder. A source of which next to no image
    is left, by names and the content of some, is another one under the path of the first. Images or
    sources that were added are not its concern, nor other options: the run is then stale, as it
    says.
    """
    ledger = Ledger(folder)
    before = ledger.stages.get("ingest", {}).get("inputs")
    if before is None:
        return
    old, new = _specs(before["options"]), config.ingest.sources
    homes = (ledger.identity or {}).get("homes", [])
    places = _places(_sources(old), _sources(new), homes, folder.resolve())
    if places is not None:
        if made := _made(ledger, folder, shards):
            now = [
                replace(spec, source=new[at].source) for spec, at in zip(old, places, strict=True)
            ]
            _refuse_exchanged(RunFolder(folder), before, old, now, made)
        return
    follow = config.ingest.follow_links
    prints = [fingerprint(spec.source, follow_links=follow) for spec in new]
    if None in prints:  # nothing is there: ingest says so
        return
    was, asked = _sources(old), _sources(new)
    inside = [path for _, path in was] == [path for _, path in asked]
    bundled = set(BUNDLED) & {source for source, _ in (*was, *asked)}
    if inside and before["source"] == json.loads(json.dumps(prints)) and not bundled:
        return
    why = f"{folder} was made from {_shown(was)}, and {_shown(asked)} was asked for"
    _refuse(why, _made(ledger, folder, shards))


def _refuse_exchanged(
    files: RunFolder,
    before: dict[str, Any],
    old: list[SourceSpec],
    now: list[SourceSpec],
    made: list[str],
) -> None:
    """Refuses local sources whose images are other ones than when they were read.

    before: what ingest was made from. old, now: its sources, and how to read each of them today.
    """
    patches = before["options"].get("patches") is not None
    for number, (was, spec) in enumerate(zip(old, now, strict=True)):
        if is_url(spec.source) or spec.source in BUNDLED:
            continue
        print_now = fingerprint(spec.source, follow_links=spec.follow_links)
        if json.loads(json.dumps(print_now)) == before["source"][number]:
            continue
        left = find_exchanged(files, number, was.source, spec, patches=patches)
        if left is not None:
            kept = f"about {left.kept:,.0f} of them are" if left.kept else "none of them is"
            what = f"{left.total:,} images in {spec.source}, and {kept} there as it was"
            _refuse(f"{files.path} was made from {what}", made)


def _refuse(why: str, made: list[str]) -> None:
    if made:
        raise ConfigError(
            f"{why}: what it made would be replaced, namely {' and '.join(made)}. Nothing was"
            " changed. Name another place (--out and --run; for `run`, another `run:` in"
            " stages.yaml), or add --replace."
        )


_Source = tuple[str, str]  # the place, links followed, and the folder inside it, "" for its root


def _specs(options: dict[str, Any]) -> list[SourceSpec]:
    """What `ingest.source` and `ingest.path` named, with the options that decide on names."""
    given = options["source"]
    entries = given if isinstance(given, list) else [given]
    listed = [one if isinstance(one, dict) else {"source": one} for one in entries]
    options_of_one = ("label", "image_column", "label_column")
    return [
        SourceSpec(
            source=one["source"],
            path=one.get("path") or options.get("path"),
            follow_links=options.get("follow_links", False),
            classes=options.get("classes") != "none",
            **{name: one.get(name) for name in options_of_one},
        )
        for one in listed
    ]


def _sources(specs: list[SourceSpec]) -> list[_Source]:
    return [(_plain(spec.source), clean_path(spec.path)) for spec in specs]


def _places(
    old: list[_Source], new: list[_Source], homes: list[str], folder: Path
) -> list[int] | None:
    """Where in `new` each of `old` is, by its place or as seen from the run; None where one is not.

    homes: where the run folder was; folder: where it is.
    """
    seen = _seen_from(new, folder)
    for was, now in [(old, new), *((_seen_from(old, home), seen) for home in homes)]:
        if set(was) <= set(now):
            return [now.index(one) for one in was]
    return None


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
    return ", ".join(f"{source} ({path})" if path else source for source, path in sources)


def _made(ledger: Ledger, folder: Path, shards: Place) -> list[str]:
    """What of the run took work, and would go or be left without its run: also shards in the place
    of before, where another was asked for; those of a copied run folder are the original's."""
    made = []
    if ledger.outcome("train"):
        steps = ledger.stages["train"]["inputs"]["options"].get("steps")
        made.append(f"a network trained for {steps} steps")
    places = [shards]
    if standing_of(folder, ledger.identity) is not Standing.COPY:
        places += [place for place in (ledger.place(),) if not same_place(place, shards)]
    for place in places:
        try:
            names = open_shards(place, folder).names()
        except StorageError:
            names = []
        tars = [name for name in names if name.endswith(".tar")]
        if tars:
            made.append(f"{len(tars)} shards in {place}")
    run = RunFolder(folder)
    for what, results in (("trial", run.trial), ("recognisers", run.recognition)):
        if results.is_dir() and any(path.is_file() for path in results.rglob("*")):
            made.append(f"the {what} in {results}")
    return made
