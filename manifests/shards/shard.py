"""A shard: a deterministic tar, its Parquet and, written last, the marker that commits both.

    write the tar to a temporary name, hash and count - fsync - rename - fsync the directory
    the same for the Parquet
    the same for NAME.json, the marker: a shard without one does not exist

An old marker is removed before anything is replaced, so that a marker never describes other files
than those beside it. The caller holds the shard's lock (files/lock.py, shard_lock).
"""

import hashlib
import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from ..errors import ScoreMixError, VerifyError
from ..files.atomic import parquet_bytes, replacing, storage_errors, write_json
from ..files.crash_points import crash_point
from ..files.durable import make_folder, remove_file
from ..files.json_reader import parse_json
from ..plan.plan import rows_digest as digest_of
from ..plan.schema import MANIFEST, PLAN, SAMPLE_FIELDS
from ..storage.store import Store, store_of
from .tar import TarWriter

MARKER_FORMAT = "scoremix-shard-1"
NORMS = ("norm_mixup", "norm_minimised", "norm_final")
_NAME = re.compile(r"(real|aug)-\d{6,}")
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)
_KEY = re.compile(r"[A-Za-z0-9_-]{1,80}")  # no dot: readers cut a name at its first
_EXTENSION = re.compile(r"[a-z0-9]{1,8}")


@dataclass(frozen=True)
class Sample:
    """A finished sample, to be written into a shard."""

    row: dict[str, Any]  # its plan row, every column of PLAN
    image: bytes  # the encoded image file
    pixel_sha256: str  # of its H,W,C uint8 pixels
    width: int
    height: int
    norms: tuple[float, float, float] | None  # NORMS; None without a score network
    soft_label: list[float] | None
    source_sha256: tuple[str, str]  # of the parents' files as ingested
    license: str | None
    extension: str = "png"
    sha256: str | None = None  # of `image`; None: computed when it is written


@dataclass(frozen=True)
class FileFacts:
    """Identifies a file's content."""

    sha256: str
    size: int  # bytes


@dataclass(frozen=True)
class Marker:
    """NAME.json: what was committed. The environment is recorded and never compared."""

    shard: str
    round: int
    kind: str
    samples: int
    first_key: str
    last_key: str
    tar: FileFacts
    parquet: FileFacts
    rows_digest: str  # of the shard's plan rows
    recipe_digest: str  # model, options, micro-batch, precision, encoder
    environment: dict[str, str]
    format: str = MARKER_FORMAT

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """Raises ValueError unless `text` is a marker with exactly our fields and types."""
        found = parse_json(text)
        kinds = {
            name: {"tar": dict, "parquet": dict, "environment": dict}.get(name, str)
            for name in cls.__dataclass_fields__
        } | {"round": int, "samples": int}
        if not isinstance(found, dict) or {k: type(v) for k, v in found.items()} != kinds:
            raise ValueError("not a shard marker")
        if found["format"] != MARKER_FORMAT:
            raise ValueError(f"format {found['format']!r}, known is {MARKER_FORMAT!r}")
        for name in ("tar", "parquet"):
            if {k: type(v) for k, v in found[name].items()} != {"sha256": str, "size": int}:
                raise ValueError(f"{name} needs sha256 and size")
            found[name] = FileFacts(**found[name])
        return cls(**found)


def commit_shard(
    folder: Path,
    temporary: Path,
    name: str,
    samples: Iterable[Sample],
    *,
    rows_digest: str,
    recipe_digest: str,
    environment: dict[str, str],
) -> Marker:
    """Writes NAME.tar, NAME.parquet and NAME.json into `folder`; returns the marker.

    `temporary` is a folder on the same file system. Samples are streamed: one is held at a time.
    Raises ScoreMixError if they are not the planned ones (`rows_digest`) or differ in fields, and
    StorageError if the disk refuses; then the shard has no marker and the same call makes it.
    """

    def write_members(tar: TarWriter) -> pa.Table:
        rows = _write_samples(tar, name, samples, recipe_digest)
        return pa.Table.from_pylist(rows, schema=MANIFEST)

    return committed(
        folder,
        temporary,
        name,
        write_members,
        rows_digest=rows_digest,
        recipe_digest=recipe_digest,
        environment=environment,
    )


def committed(
    folder: Path,
    temporary: Path,
    name: str,
    fill: Callable[[TarWriter], pa.Table],
    *,
    rows_digest: str,
    recipe_digest: str,
    environment: dict[str, str],
) -> Marker:
    """Commits a shard; `fill` writes the tar's members and returns the rows of its Parquet."""
    _remove_old(folder, temporary, name)
    stem = temporary / f"{name}.{secrets.token_hex(4)}"
    tar_path, parquet_path = folder / f"{name}.tar", folder / f"{name}.parquet"
    with replacing(tar_path, Path(f"{stem}.tar.tmp")) as file:
        tar = TarWriter(file)
        table = fill(tar)
        tar.finish()
        _check_planned(name, table, rows_digest)
        crash_point("tar-written")
    crash_point("tar-renamed")
    data = parquet_bytes(table)
    with replacing(parquet_path, Path(f"{stem}.parquet.tmp")) as file:
        file.write(data)
    crash_point("parquet-renamed")
    marker = marker_for(
        table,
        FileFacts(tar.digest.hexdigest(), tar.size),
        FileFacts(hashlib.sha256(data).hexdigest(), len(data)),
        rows_digest=rows_digest,
        recipe_digest=recipe_digest,
        environment=environment,
    )
    write_json(folder / f"{name}.json", asdict(marker), Path(f"{stem}.json.tmp"))
    crash_point("marker-renamed")
    return marker


def marker_for(
    rows: pa.Table,
    tar: FileFacts,
    parquet: FileFacts,
    *,
    rows_digest: str,
    recipe_digest: str,
    environment: dict[str, str],
) -> Marker:
    """The marker of a shard with these rows (of the plan, or of its Parquet) and these files."""
    first, last = rows.slice(0, 1).to_pylist()[0], rows.slice(rows.num_rows - 1).to_pylist()[0]
    return Marker(
        shard=first["shard"],
        round=first["round"],
        kind=first["kind"],
        samples=rows.num_rows,
        first_key=first["key"],
        last_key=last["key"],
        tar=tar,
        parquet=parquet,
        rows_digest=rows_digest,
        recipe_digest=recipe_digest,
        environment=environment,
    )


def check_shard_name(name: str) -> str:
    """`name`, if a shard may have it. A corpus from elsewhere may name files outside its folder.

    Raises VerifyError for any other.
    """
    if not _NAME.fullmatch(name):
        raise VerifyError(
            f"{name!r} is named as a shard; names of shards are like real-000000 and aug-000012, in"
            " the corpus's own folder. It was not opened: do not use this corpus."
        )
    return name


def read_marker(shards: Path | Store, name: str) -> Marker | None:
    """The marker of a shard, or None where there is none that can be read as one."""
    try:
        marker = Marker.parse(store_of(shards).read(f"{name}.json"))
    except (FileNotFoundError, ValueError):
        return None
    return marker if marker.shard == name else None


def is_complete(
    shards: Path | Store, name: str, *, rows_digest: str, recipe_digest: str, thorough: bool = False
) -> bool:
    """Whether the shard is there and is the planned one; `thorough` reads every byte again."""
    store = store_of(shards)
    marker = read_marker(store, name)
    if marker is None:
        return False
    if (marker.rows_digest, marker.recipe_digest) != (rows_digest, recipe_digest):
        return False
    for extension, facts in (("tar", marker.tar), ("parquet", marker.parquet)):
        file = f"{name}.{extension}"
        if store.size(file) != facts.size:
            return False
        if thorough and store.sha256(file) != facts.sha256:
            return False
    return True


def sample_json(sample: Sample) -> bytes:
    """KEY.json: the fields of SAMPLE_FIELDS, sorted, compact; those that do not apply left out."""
    values: dict[str, Any] = dict(sample.row)
    if sample.norms is not None:
        values |= zip(NORMS, sample.norms, strict=True)
    if sample.soft_label is not None:
        values["soft_label"] = [float(weight) for weight in sample.soft_label]
    known = {name: kind(values[name]) for name, kind in SAMPLE_FIELDS.items() if name in values}
    try:
        return _ENCODER.encode(known).encode()
    except ValueError as error:
        raise ScoreMixError(
            f"Sample {known['key']} has a number that is not finite and was not written: {known}. "
            "The score network or its options are at fault; the shard was not committed."
        ) from error


def _remove_old(folder: Path, temporary: Path, name: str) -> None:
    """Removes the old marker, and temporary files of this shard from a killed process."""
    with storage_errors(folder):
        make_folder(folder)
        make_folder(temporary)
        for leftover in temporary.glob(f"{name}.*.tmp"):
            leftover.unlink(missing_ok=True)
        remove_file(folder / f"{name}.json")


def _write_samples(
    tar: TarWriter, name: str, samples: Iterable[Sample], recipe_digest: str
) -> list[dict[str, Any]]:
    """Members of all samples, adjacent and sorted within a sample; returns the manifest rows."""
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    shape: tuple[object, ...] | None = None
    for sample in samples:
        key = sample.row["key"]
        _check_sample(sample, name, seen)
        found = (sample.norms is None, sample.soft_label is None, sample.extension)
        shape = shape or found
        if found != shape:
            raise ScoreMixError(
                f"Sample {key} of shard {name} has other fields than the first: norms, soft label "
                "and extension must be there in every sample or in none."
            )
        seen.add(key)
        members = {"json": sample_json(sample), sample.extension: sample.image}
        if sample.row["class_id"] >= 0:
            members["cls"] = str(sample.row["class_id"]).encode()
        offsets = {end: tar.add(f"{key}.{end}", members[end]) for end in sorted(members)}
        rows.append(_manifest_row(sample, offsets[sample.extension], recipe_digest))
    return rows


def _check_sample(sample: Sample, name: str, seen: set[str]) -> None:
    key, shard = sample.row["key"], sample.row["shard"]
    if not _KEY.fullmatch(key):
        raise ScoreMixError(f"Key {key!r} in shard {name}: use 1 to 80 of A-Z a-z 0-9 _ - only.")
    if key in seen:
        raise ScoreMixError(f"Key {key} came twice into shard {name}.")
    if shard != name:
        raise ScoreMixError(f"Sample {key} is planned for shard {shard}, but came into {name}.")
    if not _EXTENSION.fullmatch(sample.extension) or sample.extension in ("cls", "json"):
        raise ScoreMixError(f"Extension {sample.extension!r} of sample {key} cannot be used.")


def _check_planned(name: str, table: pa.Table, planned: str) -> None:
    if not table.num_rows:
        raise ScoreMixError(f"No sample came into shard {name}.")
    if digest_of(table) != planned:
        raise ScoreMixError(
            f"The {table.num_rows} samples of shard {name} are not the planned ones, or not in "
            "plan order. The shard was not committed."
        )


def _manifest_row(sample: Sample, offset: int, recipe_digest: str) -> dict[str, Any]:
    plan_row: Mapping[str, Any] = {name: sample.row[name] for name in PLAN.names}
    norms = sample.norms or (None, None, None)
    return {
        **plan_row,
        "offset": offset,
        "size": len(sample.image),
        "sha256": sample.sha256 or hashlib.sha256(sample.image).hexdigest(),
        "pixel_sha256": sample.pixel_sha256,
        "source_1_sha256": sample.source_sha256[0],
        "source_2_sha256": sample.source_sha256[1],
        "soft_label": sample.soft_label,
        "recipe_digest": recipe_digest,
        **dict(zip(NORMS, norms, strict=True)),
        "license": sample.license,
        "width": sample.width,
        "height": sample.height,
    }
