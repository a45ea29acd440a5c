"""repair: makes damaged or missing shards again, proves them equal to the old ones, replaces them.

A shard is made in a temporary folder and compared with every record of its old hashes before it
replaces the old one. Then the small files, which follow from shards, plan and run. Undamaged files
are never written.
"""

import hashlib
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pyarrow as pa

from ...manifests.errors import ConfigError, ScoreMixError
from ...manifests.files.atomic import canonical_digest, json_bytes, read_parquet, write_bytes
from ...manifests.files.crash_points import crash_point
from ...manifests.plan.plan import rows_digest
from ...manifests.published.croissant import CROISSANT
from ...manifests.published.index import INDEX
from ...manifests.published.mirror import mirrored_index
from ...manifests.published.names import METADATA_FILES, is_own
from ...manifests.published.owner import OWNER
from ...manifests.published.publish import (
    finished_markers,
    index_and_sums,
    metadata_files,
    unpublish,
)
from ...manifests.published.recorded_hashes import (
    EXTENSIONS,
    RecordedHashes,
    marker_digest,
    read_recorded_hashes,
)
from ...manifests.published.run_record import compare_with_run
from ...manifests.published.sums import SUMS, render_sums
from ...manifests.published.verify import Problem, verify
from ...manifests.run_folder import RunFolder
from ...manifests.shards.replace import install_shard, upload_shard
from ...manifests.shards.shard import FileFacts, Marker, marker_for
from ...manifests.storage.location import URL, Place, same_place
from ...manifests.storage.remote import RemoteStore
from ...manifests.storage.store import LocalStore, Store, store_of
from ...stages.write.tasks import ShardTask
from ..finished_run import FinishedRun
from ..progress import ProgressReporter
from ..shards.builder import ShardBuilder
from ..shards.claimant import Claimant
from ..shards.local import LocalDestination
from ..shards.ownership import refuse_copy, restore_owner


@dataclass
class Repaired:
    """Files repaired, files refused, problems left."""

    done: dict[str, str] = field(default_factory=dict)  # shard or file -> what was done to it
    refused: dict[str, str] = field(default_factory=dict)  # shard or file -> why it was not made
    left: list[Problem] = field(default_factory=list)  # as verify sees the corpus now


@dataclass
class _Repair:
    run: FinishedRun
    shards: Store
    hashes: RecordedHashes
    accept_new: bool
    progress: ProgressReporter
    builder: ShardBuilder
    temporary: Path
    has_new: bool = False  # whether a shard has other bytes than before
    report: Repaired = field(default_factory=Repaired)

    @property
    def known(self) -> list[dict[str, str]]:
        """Environments that a lost marker may have recorded."""
        planned = self.run.ledger.outcome("plan").get("environment")
        return [planned] if planned else []


def repair(
    run: FinishedRun, place: Place, *, device: str, accept_new: bool, progress: ProgressReporter
) -> Repaired:
    """Repairs the corpus at `place`, which this run made. The caller holds the run's lock.

    accept_new: where the old hashes cannot be met, or nobody knows them any more, record new ones.

    Raises:
        ConfigError: the shards are not this run's.
        StorageError: the disk refuses; the same command resumes.
    """
    names = [task.name for task in run.planned.shards]
    temporary, remembered = (
        _temporary(place, run.folder),
        mirrored_index(RunFolder(run.folder).mirror),
    )
    shards = LocalStore(place, temporary / "repair") if isinstance(place, Path) else store_of(place)
    last = remembered if isinstance(place, URL) else None
    hashes = _of_this_run(run, place, read_recorded_hashes(shards, names, last))
    restored = restore_owner(run.folder, place, damaged_alone=True)
    if accept_new:  # else only what equals the old bytes is written
        refuse_copy(Claimant(run.folder, place, same_corpus=True, keeps_foreign=True))
    shutil.rmtree(temporary, ignore_errors=True)
    job = _Repair(
        run, shards, hashes, accept_new, progress, run.builder(device), temporary / "repair"
    )
    try:
        _repair_shards(job)
        crash_point("shards-repaired")
        if not job.report.refused:
            _rewrite_metadata(job)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    job.report.left = verify(shards)
    if restored or (not job.report.left and restore_owner(run.folder, place)):
        job.report.done[OWNER] = "written, since these shards are this run's"
    _compare_with_ledger(job, place)
    if isinstance(place, URL) and not job.report.left:
        write_bytes(remembered, shards.read(INDEX))
    return job.report


def _compare_with_ledger(job: _Repair, place: Place) -> None:
    """Names digests that were all written again; of bytes that were accepted, records the new."""
    ledger, shards = job.run.ledger, job.shards
    if job.report.left or not same_place(ledger.place(), place):
        return
    if job.accept_new:
        ledger.record_sums(shards.sha256(SUMS))
    job.report.left += compare_with_run(shards, ledger.outcome("write").get("sums_sha256"))


def _temporary(place: Place, run: Path) -> Path:
    return (
        LocalDestination(place, run).temporary()
        if isinstance(place, Path)
        else RunFolder(run).temporary
    )


def _of_this_run(run: FinishedRun, shards: Place, hashes: RecordedHashes) -> RecordedHashes:
    """Refuses shards that another run made, or this one from another plan or network.

    An index of another plan among this run's own shards is damage, and not used then.
    """
    planned, index = run.planned, hashes.index
    recorded = same_place(run.ledger.place(), shards)
    agreeing = [
        task
        for task in planned.shards
        if (marker := hashes.markers.get(task.name)) is not None
        and (marker.rows_digest, marker.recipe_digest) == (task.rows_digest, task.recipe_digest)
    ]
    if index is not None:
        named = (canonical_digest(index["recipe"]), index["plan_digest"])
        if named == (planned.recipe.digest, planned.digest):
            return hashes
        if recorded and agreeing:
            return hashes.without_index()
        why = "index.json names another plan, network or options"
    elif agreeing or (recorded and not hashes.markers):
        return hashes
    else:
        why = "neither index.json nor any marker there says so"
    raise ConfigError(
        f"{shards} was not made from what {run.folder} holds now: {why}. Nothing was changed. Name"
        " the run that made it with --run."
    )


def _repair_shards(job: _Repair) -> None:
    todo = [
        task
        for task in job.run.planned.shards
        if not job.hashes.is_intact(task.name, task.rows_digest, task.recipe_digest)
        or not _has_rows(job.shards, task)
    ]
    todo = [task for task in todo if not _marker_alone(job, task)]
    if not todo:
        return
    try:
        job.builder = job.run.with_network(job.builder)
    except ScoreMixError as error:
        job.report.refused |= {task.name: f"cannot be made: {error}" for task in todo}
        return
    total = sum(task.rows.num_rows for task in todo)
    with job.progress.task("repair", total, "images") as advance:
        for task in todo:
            images = job.builder.generate(task.rows)
            made = job.builder.write(task, images, job.temporary, job.temporary.parent, advance)
            _compare(job, task.name, made)


def _has_rows(shards: Store, task: ShardTask) -> bool:
    """Whether the shard's Parquet has the planned rows: marker and index may agree with others."""
    try:
        return rows_digest(read_parquet(shards.read(f"{task.name}.parquet"))) == task.rows_digest
    except (pa.ArrowException, OSError, ValueError, KeyError):
        return False


def _marker_alone(job: _Repair, task: ShardTask) -> bool:
    """Writes a lost marker again where tar and Parquet match their hashes; makes no image."""
    name, hashes = task.name, job.hashes
    files = [f"{name}.tar", f"{name}.parquet"]
    if not all(map(hashes.matches, files)):
        return False
    tar, parquet = (FileFacts(hashes.actual[file], job.shards.size(file) or 0) for file in files)
    likely = marker_for(
        task.rows,
        tar,
        parquet,
        rows_digest=task.rows_digest,
        recipe_digest=task.recipe_digest,
        environment=job.builder.environment,
    )
    marker = hashes.confirmed_marker(likely, job.known)
    if marker is None or marker_digest(marker) == hashes.actual.get(f"{name}.json"):
        return False
    data = json_bytes(asdict(marker))
    job.shards.write(f"{name}.json", data)
    job.report.done[name] = "its marker was written again, equal to the old one"
    return True


def _compare(job: _Repair, name: str, made: Marker) -> None:
    """Replaces the old shard by the one that was made, if their hashes are equal."""
    hashes = job.hashes
    same = {
        f"{name}.tar": hashes.confirms(f"{name}.tar", made.tar.sha256),
        f"{name}.parquet": hashes.confirms(f"{name}.parquet", made.parquet.sha256),
    }
    marker = hashes.confirmed_marker(made, job.known)
    same[f"{name}.json"] = marker is not None
    if all(same.values()) and marker is not None:
        write_bytes(job.temporary / f"{name}.json", json_bytes(asdict(marker)))
        _install(job, marker, new=False)
        job.report.done[name] = "made again, equal to the old one"
        return
    known = any(hashes.recorded(f"{name}.{extension}") for extension in EXTENSIONS)
    why = (
        f"made again, but {', '.join(file for file, holds in same.items() if not holds)} came out"
        " with other bytes than before: this environment is not the one that made it"
        if known
        else "made again, but no marker, index.json or SHA256SUMS is left to compare it with"
    )
    if not job.accept_new:
        job.report.refused[name] = f"{why}. --accept-new records the new digests"
        return
    unpublish(job.shards)
    _install(job, made, new=True)
    job.has_new = True
    job.report.done[name] = f"{why}: the new digests are recorded"


def _install(job: _Repair, marker: Marker, *, new: bool) -> None:
    if isinstance(job.shards, LocalStore):
        install_shard(job.temporary, job.shards.root, marker.shard, new=new)
        return
    assert isinstance(job.shards, RemoteStore)
    upload_shard(job.temporary, job.shards, marker, new=new)
    for path in job.temporary.glob(f"{marker.shard}.*"):
        path.unlink()


def _rewrite_metadata(job: _Repair) -> None:
    """Rewrites plan, manifest and card, then index.json and SHA256SUMS."""
    planned, shards, facts = job.run.planned, job.shards, job.builder.facts()
    expected = {task.name: (task.rows_digest, task.recipe_digest) for task in planned.shards}
    markers = finished_markers(shards, planned.rows, expected)
    tables = ("plan.parquet", "manifest.parquet")
    whole = [name for name in tables if job.hashes.matches(name) and not job.has_new]
    sound = {name: (shards.size(name) or 0, job.hashes.actual[name]) for name in whole}
    files = metadata_files(shards, planned.rows, markers, facts, sound)
    if job.hashes.was_not_published(CROISSANT):  # published before there were such files
        del files[CROISSANT]
    kept = {name for name in files if job.hashes.matches(name) and not job.has_new}
    hashes = {
        name: job.hashes.actual[name] if name in kept else _digest(data)
        for name, data in files.items()
    } | _extra_hashes(job)
    write = {name: data for name, data in files.items() if name not in kept}
    if INDEX in job.hashes.actual and job.hashes.index is not None and not job.has_new:
        own = {INDEX: job.hashes.actual[INDEX]}
        write[SUMS] = render_sums(job.hashes.indexed | own)
    else:
        write[INDEX], write[SUMS] = index_and_sums(shards, planned.rows, markers, facts, hashes)
    contradicted = [name for name, data in write.items() if _contradicted(job, name, data)]
    if contradicted and not (job.accept_new or job.has_new):
        job.report.refused |= dict.fromkeys(
            contradicted,
            "made again, but with other bytes than before: this environment or version is not the"
            " one that made it. --accept-new records the new digests",
        )
        return
    for name, data in write.items():
        if shards.size(name) != len(data) or shards.read(name) != data:
            shards.write(name, data)
            job.report.done[name] = "written again"


def _contradicted(job: _Repair, name: str, data: bytes) -> bool:
    """Whether another hash was recorded; files that follow from proven ones need none."""
    recorded = job.hashes.recorded(name)
    return bool(recorded) and not job.hashes.confirms(name, _digest(data))


def _extra_hashes(job: _Repair) -> dict[str, str]:
    """Hashes of files that earlier versions listed though they are not the run's: the old ones, so
    that damage stays visible."""
    hashes = job.hashes
    if hashes.index is not None:
        files: dict[str, str] = hashes.index["files"]
        return {name: digest for name, digest in files.items() if name not in METADATA_FILES}
    listed = {name: digest for name, digest in hashes.sums.items() if not is_own(name)}
    return {name: digest for name, digest in listed.items() if name in hashes.actual}


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
