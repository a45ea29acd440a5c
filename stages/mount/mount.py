"""Mounts the shards as a read-only tree of the files that an export would write, without a copy.

This process serves the mount for as long as it lives. It reads from the tars, at the offsets in the
manifest; the kernel caches what it has read.
"""

import contextlib
import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...manifests.errors import ConfigError, ScoreMixError
from ...manifests.trainers.commands import Commands, TrainingPlan, commands_for
from ...manifests.trainers.layout import ExportListing, read_layout
from ...manifests.trainers.requirements import check_needs, find_spec
from ...manifests.trainers.spec import Target, TrainerSpec
from ...manifests.trainers.table import TRAINERS
from ..export.options import LayoutOptions
from .contents import ImageStore, open_listed_tars
from .fuse import load_fuse, mount_error, mount_options, unmount, unmount_command
from .mountpoint import check_mountpoint, make_mountpoint
from .operations import FuseOperations
from .tree import build_tree

logger = logging.getLogger(__name__)

MOUNTABLE: tuple[Target, ...] = ("stylegan", "imagefolder", "unpaired")
_POLL_SECONDS = 0.2  # between two checks of whether to stop
_EXIT_SECONDS = 10.0  # that the library may take to end after an unmount


class MountConfig(LayoutOptions, frozen=True, extra="forbid"):
    """Options of `mount`."""


@dataclass(frozen=True)
class Mounted:
    """The mount, reported once it can be read."""

    mountpoint: Path
    listing: ExportListing
    files: int
    commands: Commands
    unmount: str  # the command that ends it from elsewhere


def mount(
    shards: Path,
    mountpoint: Path,
    config: MountConfig,
    *,
    ready: Callable[[Mounted], None],
    stopping: Callable[[], bool],
    run: Path | None = None,
) -> None:
    """Serves a published corpus at `place` until `stopping`, or until somebody unmounts it.

    run: the folder of the run that made it, where that is known.

    Raises:
        ConfigError: no FUSE here, no empty folder, or a trainer that cannot read this corpus.
        VerifyError: the corpus is damaged or unfinished.
    """
    fuse = load_fuse()
    spec = _spec(config)
    mountpoint = Path(os.path.abspath(mountpoint))
    check_mountpoint(mountpoint, shards)
    listing = read_layout(Path(os.path.abspath(shards)), config.layout(spec), run)
    check_needs(listing, spec)
    tree = build_tree(listing.entries())
    with open_listed_tars(listing, tree.table.shards) as tars, make_mountpoint(mountpoint):
        files = FuseOperations(tree, ImageStore(tree.table, tars), fuse.fuse_exit)
        service = _FuseService(fuse, files, mountpoint)
        with _keep_working_folder():
            try:
                service.start()
                commands = commands_for(
                    spec, listing, mountpoint, TrainingPlan(run, config.images_shown)
                )
                ready(
                    Mounted(
                        mountpoint,
                        listing,
                        len(tree.table),
                        commands,
                        unmount_command(mountpoint),
                    )
                )
                service.wait(stopping)
            finally:
                service.end()


def _spec(config: MountConfig) -> TrainerSpec:
    spec = find_spec(config.trainer, config.to)
    if spec.target in MOUNTABLE:
        return spec
    readable = [row.target for row in TRAINERS if row.trainer == config.trainer]
    other = next((target for target in readable if target in MOUNTABLE), None)
    remedy = "Use" if other is None else f"Add --to {other}, or use"
    raise ConfigError(
        f"{config.trainer or 'This'} reads {spec.target}, one data file, which a mount cannot "
        f"serve. {remedy} `scoremix-pipeline export`."
    )


@dataclass
class _FuseService:
    """Runs libfuse in a thread of its own, so that signals reach the main thread at any time."""

    fuse: Any  # mfusepy
    files: FuseOperations
    mountpoint: Path
    failed: list[Exception] = field(default_factory=list)

    def start(self) -> None:
        """Returns once the place can be read. Raises ConfigError where the system refuses."""
        self._thread = threading.Thread(target=self._serve, name="mount", daemon=True)
        self._thread.start()
        while self._thread.is_alive() and not self.files.ready.wait(_POLL_SECONDS):
            continue
        if not self.files.ready.is_set():
            raise mount_error(self.mountpoint) from next(iter(self.failed), None)

    def wait(self, stopping: Callable[[], bool]) -> None:
        """Returns once `stopping`, or once somebody has unmounted."""
        while self._thread.is_alive() and not stopping():
            self._thread.join(_POLL_SECONDS)
        if self.failed:
            raise ScoreMixError(
                f"The mount at {self.mountpoint} ended by itself; a line above may say why. Run the"
                " same command again."
            )

    def end(self) -> None:
        """Unmounts; where the mount is in use, it is detached and its users get errors."""
        if not self._thread.is_alive():
            return
        problem = unmount(self.mountpoint)
        if problem is not None:
            if "busy" in problem:
                logger.warning(
                    "%s is in use and is detached all the same. Processes that have a file or a"
                    " folder of it open get errors.",
                    self.mountpoint,
                )
            # libfuse exits only from inside an operation: trigger one. On exit it detaches a mount
            # that is in use.
            self.files.closing = True
            with contextlib.suppress(OSError):
                os.statvfs(self.mountpoint)
        self._thread.join(_EXIT_SECONDS)

    def _serve(self) -> None:
        try:
            self.fuse.FUSE(self.files, str(self.mountpoint), **mount_options(self.fuse))
        except RuntimeError as error:  # libfuse has printed why on standard error
            self.failed.append(error)


@contextlib.contextmanager
def _keep_working_folder() -> Iterator[None]:
    """Restores the working folder, which libfuse changes to the root for the whole process."""
    before = os.open(".", os.O_RDONLY)
    try:
        yield
    finally:
        os.fchdir(before)
        os.close(before)
