"""stages.lock.json: per stage, what it was made from. A stage is stale by content.

The file carries its own digest, so that a flipped bit is damage and not a stale stage. A second
copy lies in .scoremix and is read where the first one is damaged.
"""

import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..manifests.errors import ConfigError, ScoreMixError
from ..manifests.files.atomic import canonical_digest, sha256_file, write_json
from ..manifests.files.json_reader import parse_json
from ..manifests.files.lock import folder_lock
from ..manifests.foreign_text import redact_all
from ..manifests.run_folder import RunFolder
from ..manifests.storage.location import Place, is_url, place, same_place

_FORMAT = 1
Explanations = Mapping[str, Callable[[], str]]
logger = logging.getLogger(__name__)


class Ledger:
    """Inputs and outcome of each stage's last run."""

    def __init__(self, run: Path) -> None:
        self.run, files = run, RunFolder(run)
        self.path, self.backup = files.ledger, files.ledger_backup
        self.stages: dict[str, dict[str, Any]] = {}
        self.shards: str | None = None  # where the shards lie: a URL, or relative to the run
        self.identity: dict[str, Any] | None = None  # id of the run, and where it is at home
        self.reload()

    def reload(self) -> None:
        """Reads the ledger again; other processes may have written it."""
        if not self.path.exists() and not self.backup.exists():
            return
        try:
            self._take(_read(self.path))
        except (ValueError, FileNotFoundError) as error:
            try:
                self._take(_read(self.backup))
            except (ValueError, OSError):
                raise ScoreMixError(
                    f"{self.path} is damaged ({error}), and so is its copy {self.backup}."
                    " Restore one of them from a backup. Without them nothing says what was made"
                    " from what: remove the run folder and its shards, and build again."
                ) from error
            logger.warning(
                "%s is damaged or gone (%s); its copy in .scoremix is read instead.",
                self.path,
                error,
            )

    def why_stale(
        self, stage: str, inputs: dict[str, Any], explain: Explanations | None = None
    ) -> str | None:
        """Why `stage` must run with these inputs; None if it is done.

        explain: by the name of an input, what to say of a change that its values do not show.
        """
        entry = self.stages.get(stage)
        if entry is None:
            return "not done yet"
        changed = _changes(entry["inputs"], json.loads(json.dumps(inputs)), explain=explain or {})
        if not changed:
            return None
        return "changed: " + "; ".join(changed[:4]) + (" ..." if len(changed) > 4 else "")

    def record(self, stage: str, inputs: dict[str, Any], **outcome: Any) -> None:
        """Marks `stage` as made from `inputs`; `outcome` is stored with them."""
        with folder_lock(self.run):  # several workers may be about to publish
            self.reload()
            self.stages[stage] = {"inputs": inputs, "outcome": outcome}
            self._save()

    def record_place(self, shards: Place) -> None:
        """Records where the shards lie."""
        with folder_lock(self.run):
            self.reload()
            if isinstance(shards, Path):
                self.shards = self._relative(shards)
            else:
                self.shards = str(shards)
            self._save()

    def record_sums(self, digest: str) -> None:
        """Records the sha256 of SHA256SUMS as the run has published it."""
        with folder_lock(self.run):
            self.reload()
            if "write" in self.stages:
                self.stages["write"]["outcome"]["sums_sha256"] = digest
                self._save()

    @property
    def run_id(self) -> str | None:
        """The run's random id; None before its first shards, and in runs of earlier versions."""
        return None if self.identity is None else str(self.identity["id"])

    def settle_identity(
        self, seal: Callable[[str | None], dict[str, Any]], run_id: str | None
    ) -> dict[str, Any]:
        """Records `seal(run_id)`, unless it is recorded already; gives what is recorded.

        run_id: None where the run gets a new id; an id that another process of the run has recorded
        since the ledger was read is kept.
        """
        with folder_lock(self.run):
            before = self.run_id
            self.reload()
            if run_id is None and self.run_id != before:
                run_id = self.run_id
            identity = seal(run_id)
            if identity != self.identity:
                self.identity = identity
                self._save()
        return identity

    def place(self) -> Place:
        """Where the shards lie: where they were put before, or in the run's own folder."""
        if self.shards is not None and is_url(self.shards):
            return place(self.shards)
        relative = self.shards or RunFolder(self.run).shards.name
        named = Path(os.path.normpath(self.run / relative))
        real = Path(os.path.normpath(self.run.resolve() / relative))
        # Recorded as seen from the folder itself; where it was moved since, and a link left at its
        # old place, that link is what leads to the shards.
        is_here = same_place(named, real) or (named.exists() and not real.exists())
        return named if is_here else real

    def _relative(self, shards: Path) -> str:
        """`shards` as seen from the run folder itself, links to which are followed; links on the
        way to the shards are kept where they lead there from it too."""
        relative, real = os.path.relpath(shards, self.run), self.run.resolve()
        if same_place(Path(os.path.normpath(real / relative)), shards):
            return relative
        return os.path.relpath(shards.parent.resolve() / shards.name, real)

    def outcome(self, stage: str) -> dict[str, Any]:
        """What was stored with the last run of `stage`; {} where there was none."""
        found: dict[str, Any] = self.stages.get(stage, {}).get("outcome", {})
        return found

    def has_metrics(self) -> bool:
        """Whether the metrics.json of the last evaluation is there as it was written."""
        path, digest = RunFolder(self.run).metrics, self.outcome("evaluate").get("metrics_sha256")
        return path.is_file() and sha256_file(path) == digest

    def device_type(self, here: str) -> str:
        """The device type of the run's first ingest, `here` before it. Presets depend on it, so
        that a run which moves to another machine stays the same run."""
        return str(self.outcome("ingest").get("device_type", here))

    def _take(self, content: dict[str, Any]) -> None:
        # Earlier versions stored URLs with their secrets.
        self.stages, self.shards = redact_all(content["stages"]), content["shards"]
        self.identity = content["identity"]

    def _save(self) -> None:
        content = {"format": _FORMAT, "stages": self.stages, "shards": self.shards}
        if self.identity is not None:
            content["identity"] = self.identity
        content["digest"] = canonical_digest(content)
        write_json(self.path, content)
        write_json(self.backup, content)

    def restore(self) -> None:
        """Writes both copies again as they were read, unless both are whole and equal: one was
        damaged, or a launch ended between the two. The caller holds the run."""
        try:
            _read(self.path)
            is_whole = self.path.read_bytes() == self.backup.read_bytes()
        except (ValueError, FileNotFoundError):
            is_whole = False
        if self.stages and not is_whole:
            self._save()


def _read(path: Path) -> dict[str, Any]:
    """Stages, place and identity. Raises ValueError unless they are as they were written."""
    content = parse_json(path.read_bytes())
    try:
        written = content.pop("digest", None)
        if written is not None and written != canonical_digest(content):
            raise ValueError("its content is not what its digest says")
        return {
            "stages": dict(content["stages"]),
            "shards": content.get("shards"),
            "identity": content.get("identity"),
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no stages.lock.json: {error!r}") from error


def find_shards(path: Place) -> Place:
    """Where the shards lie: at `path` itself, or where the run folder `path` put them.

    Raises ConfigError where there is no folder.
    """
    if not isinstance(path, Path):
        return path
    if not path.is_dir():
        raise ConfigError(f"{path} is not a folder. Name a folder of shards, or a run folder.")
    return Ledger(path).place() if is_run(path) else path


def find_run(shards: Place) -> Path | None:
    """The run that names `shards` as its own, in the place where `augment` or `run` puts it.

    A path is a run folder itself, or lies in or beside one; of a URL it is in the working folder.
    """
    if not isinstance(shards, Path):
        near = [Path.cwd() / f"{shards.name}.run"]
    else:
        shards = shards.absolute()
        if is_run(shards):
            return shards
        near = [shards.parent, shards.with_name(f"{shards.name}.run")]
    there = (run for run in near if is_run(run))
    return next((run for run in there if same_place(Ledger(run).place(), shards)), None)


def run_of(path: Place) -> Path:
    """The run folder at `path`, or the run that made the shards there.

    Raises ConfigError where there is neither.
    """
    if isinstance(path, Path) and RunFolder(path).internal.exists():
        return path
    return require_run(path)


def require_run(path: Place) -> Path:
    """As run_of, but of a run of which a stage is done."""
    if isinstance(path, Path) and is_run(path):
        return path
    run = find_run(path)
    if run is None:
        raise _no_run(path)
    return run


def is_run(folder: Path) -> bool:
    """Whether a stage of a run is done in the folder."""
    files = RunFolder(folder)
    return files.ledger.exists() or files.ledger_backup.exists()


def _no_run(path: Place) -> ConfigError:
    found = "is not a run folder: it has no stages.lock.json"
    if isinstance(path, Path) and not path.exists():
        found = "does not exist"
    return ConfigError(
        f"{path} {found}. Name the folder that `run:` in your stages.yaml points to, or OUT.run of"
        " `augment`."
    )


def find_local_shards(path: Place) -> Path:
    """As find_shards, but a local folder only. Raises ConfigError where they lie elsewhere."""
    found = find_shards(path)
    if not isinstance(found, Path):
        raise ConfigError(
            f"The shards lie in {found}, and this command reads a folder. Copy them to a disk first"
            f" (as with `aws s3 sync {found} shards`) and name that folder."
        )
    return found


def _changes(old: Any, new: Any, place: str = "", *, explain: Explanations) -> list[str]:
    """ "train.steps 1500 -> 3000" for every leaf that differs."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            line
            for key in sorted(old.keys() | new.keys())
            for line in _changes(
                old.get(key), new.get(key), f"{place}.{key}".lstrip("."), explain=explain
            )
        ]
    if old != new and place in explain:
        return [f"{place}: {explain[place]()}"]
    return [] if old == new else [f"{place} {_short(old)} -> {_short(new)}"]


def _short(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text[:12] + "..." if len(text) > 24 else text
