"""index.json: the shards of a corpus, compatible with WIDS, and the hash of every other file."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import VerifyError
from ..files.atomic import canonical_digest, json_bytes
from ..files.json_reader import parse_json
from ..shards.shard import Marker, check_shard_name
from ..storage.store import Store, store_of
from .card import CorpusFacts

INDEX = "index.json"


def build_index(
    plan_digest: str,
    entries: list[dict[str, Any]],
    facts: CorpusFacts,
    hashes: Mapping[str, str],
) -> dict[str, Any]:
    """The index of shards (`entries`) and other files (`hashes`: name -> sha256)."""
    samples = {"real": 0, "augmented": 0}
    for entry in entries:
        samples[entry["kind"]] += entry["nsamples"]
    index: dict[str, Any] = {
        "__kind__": "wids-shard-index-v1",
        "wids_version": 1,
        "name": facts.name,
        "shardlist": entries,
        "plan_digest": plan_digest,
        "recipe": dict(facts.recipe),
        "ratio": max(entry["round"] for entry in entries),
        "counts": {**samples, "samples": sum(samples.values()), "shards": len(entries)},
        "classes": list(facts.classes),
        "resolution": facts.resolution,
        "channels": facts.channels,
        "files": dict(hashes),
    }
    if facts.new_classes:
        index["new_classes"] = [one.as_json() for one in facts.new_classes]
    if facts.chosen_because:
        index["chosen_because"] = facts.chosen_because
    index["index_digest"] = index_digest(index)
    return index


def index_entries_of_shards(store: Store, markers: Iterable[Marker]) -> list[dict[str, Any]]:
    """The index's shardlist: what WIDS reads (url, nsamples, filesize), and the hashes."""
    return [
        {
            "url": f"{marker.shard}.tar",
            "nsamples": marker.samples,
            "filesize": marker.tar.size,
            "sha256": marker.tar.sha256,
            "parquet_sha256": marker.parquet.sha256,
            "marker_sha256": hashlib.sha256(store.read(f"{marker.shard}.json")).hexdigest(),
            "round": marker.round,
            "kind": marker.kind,
        }
        for marker in markers
    ]


def index_digest(index: Mapping[str, Any]) -> str:
    """The digest inside index.json: shows whether the index or SHA256SUMS is damaged."""
    return canonical_digest({key: value for key, value in index.items() if key != "index_digest"})


def indexed_hashes(index: Mapping[str, Any]) -> dict[str, str]:
    """File name -> sha256 of every file that an index lists: all but itself and SHA256SUMS."""
    return file_hashes(index["shardlist"], index["files"])


def parse_index(raw: bytes) -> dict[str, Any]:
    """An index.json that can be trusted: in canonical form, and with the digest of its content.

    Raises:
        ValueError: it is another thing, or was changed; the message continues "index.json ...".
    """
    try:
        index: dict[str, Any] = parse_json(raw)
        intact = json_bytes(index) == raw and index["index_digest"] == index_digest(index)
        if intact:
            indexed_hashes(index), index["plan_digest"], index["counts"], index["ratio"]
            check_urls(index["shardlist"])
    except VerifyError as error:
        raise ValueError(f"names a file outside the corpus: {error}") from error
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError("cannot be read as the index of a corpus") from None
    if not intact:
        raise ValueError("was changed: it does not agree with the digest inside it")
    return index


def check_urls(entries: list[dict[str, Any]]) -> None:
    """Raises VerifyError where a shard's URL is not a plain name in the corpus's own folder."""
    for entry in entries:
        url = str(entry["url"])
        check_shard_name(url.removesuffix(".tar") if url.endswith(".tar") else url)


def read_index(shards: Path | Store) -> dict[str, Any]:
    """index.json, its digest not checked. Raises VerifyError if it cannot be read as one, or names
    a shard outside the corpus."""
    store = store_of(shards)
    try:
        index = parse_json(store.read(INDEX))
        if index["__kind__"] == "wids-shard-index-v1":
            check_urls(index["shardlist"])
            return dict(index)
    except (ValueError, KeyError, TypeError) as error:
        raise VerifyError(f"{store.where(INDEX)} cannot be read: {error}. Run verify.") from error
    raise VerifyError(f"{store.where(INDEX)} is of kind {index['__kind__']!r}. Run verify.")


def file_hashes(entries: list[dict[str, Any]], hashes: Mapping[str, str]) -> dict[str, str]:
    """File name -> sha256 of the shards' files (shardlist entries) and of others (`hashes`)."""
    files = dict(hashes)
    for entry in entries:
        stem = entry["url"].removesuffix(".tar")
        files[f"{stem}.tar"] = entry["sha256"]
        files[f"{stem}.parquet"] = entry["parquet_sha256"]
        files[f"{stem}.json"] = entry["marker_sha256"]
    return files
