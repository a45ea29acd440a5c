"""inspect: counts of a published corpus, lineage and bytes of one of its images."""

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import ConfigError, VerifyError
from ..files.atomic import read_parquet
from ..files.rows import rows_where
from ..shards.shard import check_shard_name
from ..storage.store import Store, store_of
from .index import INDEX, read_index

_BINS = 10


class PublishedCorpus:
    """A published corpus to look at; manifest.parquet and index.json are read once, when needed."""

    def __init__(self, shards: Path | Store) -> None:
        self.store = store_of(shards)

    @cached_property
    def manifest(self) -> pa.Table:
        """As `read_manifest` gives it."""
        return read_manifest(self.store)

    @cached_property
    def index(self) -> dict[str, Any]:
        """The content of index.json."""
        return read_index(self.store)

    def summary(self) -> dict[str, Any]:
        """Counts, JSON-able: by kind, round, class and method; lambdas; ratio; bytes.

        `lambda_histogram` holds the augmented images only: ten equal bins over [0, 1]. Classes go
        by name; samples without one class are under None.
        """
        manifest, index = self.manifest, self.index
        augmented = rows_where(manifest, kind="augmented")
        counts, edges = np.histogram(augmented["lambda"].to_numpy(), bins=_BINS, range=(0.0, 1.0))
        names = dict(enumerate(self.class_names))
        classes = _counts(manifest, "class_id")
        because = index.get("chosen_because")
        return {
            "name": index["name"],
            "samples": manifest.num_rows,
            "ratio": index["ratio"],
            "shards": len(index["shardlist"]),
            "kinds": _counts(manifest, "kind"),
            "rounds": _counts(manifest, "round"),
            "classes": {
                None if id_ < 0 else names.get(id_, str(id_)): n for id_, n in classes.items()
            },
            "methods": _counts(manifest, "method"),
            **_contrast(index),
            **({"method_chosen_because": because} if because else {}),
            "lambda_histogram": {"edges": edges.round(6).tolist(), "counts": counts.tolist()},
            "bytes": {
                "images": pc.sum(manifest["size"]).as_py(),
                "tars": sum(entry["filesize"] for entry in index["shardlist"]),
                "folder": sum(self.store.sizes().values()),
            },
        }

    @property
    def class_names(self) -> list[str]:
        """Names of the classes by id; [] without."""
        return list(self.index["classes"])

    def has_key(self, key: str) -> bool:
        """Whether there is a sample of that key."""
        return self._find(key) is not None

    def lineage(self, key: str) -> dict[str, Any]:
        """{"sample": its manifest row, "parents": [rows of parent 1 and 2]}; a real image has none.

        A parent that is not in the corpus is None. `contrast` is there where it was kept. A sample
        of a new class has it under `new_class`, as index.json does, with the names of its members.

        Raises ConfigError for an unknown key.
        """
        row = self._row(key)
        if row["kind"] == "real":
            return {"sample": row, "parents": []}
        parents = [self._find(row[name]) for name in ("source_1", "source_2")]
        found: dict[str, Any] = {"sample": row, "parents": parents, **_contrast(self.index)}
        news = self.index.get("new_classes", ())
        new = next((one for one in news if one["id"] == row["class_id"]), None)
        if new is not None:
            members = [self.class_names[id_] for id_ in new["classes"]]
            found["new_class"] = new | {"members": members}
        return found

    def count_children(self, key: str) -> int:
        """How many samples have this one as a parent, in the corpus as it is."""
        made = rows_where(self.manifest, kind="augmented")
        is_parent = pc.or_(pc.equal(made["source_1"], key), pc.equal(made["source_2"], key))
        return int(pc.sum(is_parent).as_py() or 0)

    def image_bytes(self, key: str) -> bytes:
        """The image file of a sample, read by its offset: one seek.

        Raises ConfigError for an unknown key, VerifyError where the shard is gone or too short.
        """
        row = self._row(key)
        name = f"{check_shard_name(row['shard'])}.tar"
        path = self.store.where(name)
        if self.store.size(name) is None:
            raise VerifyError(
                f"{path} is missing, but the manifest names it. Run verify, then repair."
            )
        with self.store.open(name) as tar:
            tar.seek(row["offset"])
            data = tar.read(row["size"])
        if len(data) != row["size"]:
            raise VerifyError(f"{path} ends within sample {key}. Run verify, then repair.")
        return data

    def unknown_key(self, key: str, *, known_names: bool, forgotten: bool = False) -> ConfigError:
        """The error for what is no key, nor a file where their names are known.

        forgotten: whether images of the run were forgotten, whose keys and names are gone.
        """
        files = (
            "no file of its sources is called so either"
            if known_names
            else "names of files are known to its run alone: name the run folder for them"
        )
        if forgotten:
            files += ". Images of this run were forgotten, and with them their keys and names"
        return ConfigError(
            f"No sample {key!r} among the {self.manifest.num_rows} of {self.store}; {files}. Keys"
            f" look like {self.manifest['key'][0].as_py()} and {self.manifest['key'][-1].as_py()}."
        )

    def _find(self, key: str) -> dict[str, Any] | None:
        rows: list[dict[str, Any]] = rows_where(self.manifest, key=key).to_pylist()
        return rows[0] if rows else None

    def _row(self, key: str) -> dict[str, Any]:
        row = self._find(key)
        if row is None:
            raise self.unknown_key(key, known_names=False)
        return row


def _contrast(index: dict[str, Any]) -> dict[str, str]:
    """{"contrast": "kept"} where that is how images were mixed, which their method does not say."""
    contrast = index["recipe"].get("contrast", "plain")
    return {} if contrast == "plain" else {"contrast": contrast}


def read_manifest(store: Store) -> pa.Table:
    """manifest.parquet. Raises ConfigError without a corpus, VerifyError where it is damaged."""
    name = "manifest.parquet"
    if store.size(name) is None or store.size(INDEX) is None:
        raise ConfigError(
            f"{store} is no published corpus: it needs manifest.parquet and {INDEX}. Name the "
            "shards folder of a finished run, or run the same command again to finish it."
        )
    try:
        return read_parquet(store.read(name))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise VerifyError(
            f"{store.where(name)} cannot be read ({error}). Run verify, then repair."
        ) from error


def _counts(table: pa.Table, column: str) -> dict[Any, int]:
    """Value -> how often, in the order of the values."""
    pairs = pc.value_counts(table[column]).to_pylist()
    return {pair["values"]: pair["counts"] for pair in sorted(pairs, key=lambda p: p["values"])}
