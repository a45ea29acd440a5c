"""Whether a file of many images, as a tar or a table, holds others than when it was read; also a
folder of such files."""

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from ..manifests.errors import ScoreMixError
from ..manifests.run_folder import RunFolder
from ..manifests.storage.location import is_url
from ..stages.sources.open import open_source
from ..stages.sources.spec import BUNDLED, SourceSpec
from .config import Config
from .fingerprints import fingerprint
from .source_listing import COMPARED, COMPARED_BYTES, KEPT, recorded_digests

_FIRST = 10  # images whose names say whether a folder holds images or archives


def exchanged_files(
    config: Config, files: RunFolder, before: list[Any]
) -> Iterator[tuple[str, int, int]]:
    """Local sources whose images are no files of their own, and that hold other ones than when they
    were read.

    before: their fingerprints then; sources that still have one of them are not opened.

    Yields:
        The source, how many images it had, and about how many of them are there under their names
        with their bytes, by those of some.
    """
    ingest = config.ingest
    if ingest.patches is not None:  # rows are then parts of images
        return
    for number, spec in enumerate(ingest.sources):
        source = spec.source
        if is_url(source) or source in BUNDLED:
            continue
        if fingerprint(source, follow_links=ingest.follow_links) in before:
            continue
        recorded = recorded_digests(files, number)
        first, folder = sorted(recorded)[:_FIRST], Path(source, spec.path or ingest.path or "")
        if not recorded or any((folder / name).is_file() for name in first):
            continue  # files of their own, which source_listing knows
        share = _share_there(spec, recorded)
        if share is not None and share < KEPT:
            yield source, len(recorded), round(share * len(recorded))


def _share_there(spec: SourceSpec, recorded: dict[str, set[str]]) -> float | None:
    """The share of images, of some in even steps, that are there as they were; None where the
    source cannot be read, as ingest then says."""
    names = sorted(recorded)
    looked_at = set(names[:: max(1, -(-len(names) // COMPARED))])
    there = size = 0
    try:
        with open_source(spec, "ingest.source") as opened:
            inputs = {item.name: item for item in opened.inputs if item.name in looked_at}
            for count, name in enumerate(sorted(looked_at), 1):
                if name in inputs and inputs[name].refused is None:
                    data = _bytes_of(inputs[name].read)
                    there += sha256(data).hexdigest() in recorded[name]
                    size += len(data)
                if size > COMPARED_BYTES:
                    return there / count
    except ScoreMixError:
        return None
    return there / len(looked_at)


def _bytes_of(read: Callable[[], bytes]) -> bytes:
    """Nothing where they cannot be read."""
    try:
        return read()
    except Exception:  # archives raise what they like
        return b""
