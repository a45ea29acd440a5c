"""Runs and shards as earlier versions of the project left them, and ledgers that were edited."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scoremix.manifests.files.atomic import canonical_digest, json_bytes
from scoremix.manifests.published.index import index_digest, indexed_hashes
from scoremix.manifests.published.owner import OWNER
from scoremix.manifests.published.sums import SUMS, render_sums


def edit_ledger(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes both copies of a ledger and its digest, as somebody who means it would."""
    content = json.loads((run / "stages.lock.json").read_text())
    change(content)
    content.pop("digest")
    content["digest"] = canonical_digest(content)
    for path in (run / "stages.lock.json", run / ".scoremix" / "stages.lock.json"):
        path.write_bytes(json_bytes(content))


def ledger_content(path: Path) -> dict[str, Any]:
    """A ledger without the run's id and what follows from it: equal for equal runs."""
    content = json.loads(path.read_bytes())
    assert content.pop("identity") and content.pop("digest")
    return dict(content)


def forget_sums(run: Path) -> None:
    """The ledger does not know the digest of SHA256SUMS."""
    edit_ledger(run, lambda content: content["stages"]["write"]["outcome"].pop("sums_sha256"))


def without_id(shards: Path) -> None:
    """Neither the ledger of the run beside them nor the shards know of an id."""
    run = shards.with_name(f"{shards.name}.run")
    (shards / OWNER).unlink()
    edit_ledger(run, lambda content: content.pop("identity"))
    forget_sums(run)


def list_foreign(shards: Path, name: str, data: bytes) -> None:
    """Puts a file there, and lists it as one that lay there when the corpus was published."""
    (shards / name).write_bytes(data)
    index = json.loads((shards / "index.json").read_text())
    index["files"][name] = hashlib.sha256(data).hexdigest()
    write_digests(shards, index)


def write_digests(shards: Path, index: dict[str, Any]) -> None:
    """index.json and SHA256SUMS, with the digests that belong to them."""
    index["index_digest"] = index_digest(index)
    (shards / "index.json").write_bytes(json_bytes(index))
    own = {"index.json": hashlib.sha256(json_bytes(index)).hexdigest()}
    (shards / SUMS).write_bytes(render_sums(indexed_hashes(index) | own))


def rewrite_card(shards: Path) -> None:
    """Changes the card, and whatever has a digest of it: the folder agrees with itself."""
    card = shards / "README.md"
    card.write_text(card.read_text().replace("8 bit", "9 bit"))
    index = json.loads((shards / "index.json").read_text())
    index["files"]["README.md"] = hashlib.sha256(card.read_bytes()).hexdigest()
    write_digests(shards, index)
