"""Which run a corpus belongs to: .scoremix-run.json in its folder, with the run's id.

The one file there that differs between two runs of equal options, and so no part of the corpus:
neither index.json nor SHA256SUMS lists it. It is written before any other file, and every writer
compares it with its own id.
"""

from dataclasses import dataclass

from ..errors import ConfigError
from ..files.atomic import canonical_digest, json_bytes
from ..files.json_reader import parse_json
from ..storage.store import Store

OWNER = ".scoremix-run.json"
_FORMAT = 1


@dataclass(frozen=True)
class Owner:
    """The run that may write here."""

    run_id: str
    corpus: str | None = None  # digest of the planned shards; in an object store, once known

    def as_bytes(self) -> bytes:
        """The file, with a digest of its content."""
        content = {"format": _FORMAT, "run": self.run_id, "corpus": self.corpus}
        return json_bytes(content | {"digest": canonical_digest(content)})


def parse_owner(raw: bytes) -> Owner:
    """Raises ValueError unless it is as `as_bytes` wrote it; the message continues its name."""
    try:
        content = parse_json(raw)
        digest = content.pop("digest")
        owner = Owner(str(content["run"]), content["corpus"])
        if digest == canonical_digest(content) and raw == owner.as_bytes():
            return owner
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError("cannot be read as the record of a corpus's owner") from None
    raise ValueError("was changed: it does not agree with the digest inside it")


def read_owner(store: Store) -> Owner | None:
    """The owner of the files at `store`; None where none is recorded.

    Raises ConfigError where the record is damaged.
    """
    try:
        raw = store.read(OWNER)
    except FileNotFoundError:
        return None
    try:
        return parse_owner(raw)
    except ValueError as error:
        raise ConfigError(
            f"{store.where(OWNER)}, which says which run the shards belong to, {error}. Nothing was"
            " changed. Restore it; or, if you know that this run made the shards, delete it and run"
            " the same command again: the run then compares them with its plan."
        ) from error
