"""mount: the shards as a read-only tree of the files that an export would write, without a copy.

A mount is served by this process, for as long as it lives. Reads come from the tars, at the
offsets that the manifest says; what the kernel has read once, it keeps.
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
from ...manifests.trainers.commands import Commands, commands_for
from ...manifests.trainers.layout import ExportListing, read_layout
from ...manifests.trainers.requirements import check_needs, find_spec
from ...manifests.trainers.spec import Target, TrainerSpec
from ...manifests.trainers.table import TRAINERS
from ..export.options import LayoutChoice
from .contents import ImageStore, open_all
from .fuse import load_fuse, options, refused, unmount, unmount_line
from .mountpoint import check_place, place_for
from .operations import FuseOperations
from .tree import Tree, build_tree

logger = logging.getLogger(__name__)

MOUNTABLE: tuple[Target, ...] = ("stylegan", "imagefolder", "unpaired")
_LOOK = 0.2  # seconds between two looks at whether to stop
_LEAVING = 10.0  # seconds that the library gets to end after an unmount


class MountConfig(LayoutChoice, frozen=True, extra="forbid"):
    """What to mount."""


@dataclass(frozen=True)
class Mounted:
    """What is served, told once it can be read."""

    place: Path
    listing: ExportListing
    files: int
    commands: Commands
    unmount: str  # the command that ends it from elsewhere


def mount(
    shards: Path,
    place: Path,
    config: MountConfig,
    *,
    ready: Callable[[Mounted], None],
    stopping: Callable[[], bool],
) -> None:
    """Serves a published corpus at `place` until `stopping`, or until somebody unmounts it.

    Raises:
        ConfigError: no FUSE here, no empty folder, or a trainer that cannot read this corpus.
        VerifyError: the corpus is damaged or unfinished.
    """
    fuse = load_fuse()
    spec = _spec(config)
    place = Path(os.path.abspath(place))
    check_place(place, shards)
    listing = read_layout(Path(os.path.abspath(shards)), config.layout(spec))
    check_needs(listing, spec)
    tree = build_tree(listing.entries())
    with open_all(listing, tree.table.shards) as tars, place_for(place):
        files = FuseOperations(tree, ImageStore(tree.table, tars), fuse.fuse_exit)
        service = _Service(fuse, files, place)
        with _same_folder():
            try:
                service.start()
                ready(_mounted(place, listing, tree, spec))
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


def _mounted(place: Path, listing: ExportListing, tree: Tree, spec: TrainerSpec) -> Mounted:
    commands = commands_for(spec, listing, place)
    return Mounted(place, listing, len(tree.table), commands, unmount_line(place))


@dataclass
class _Service:
    """libfuse in a thread of its own, so that signals reach this one whatever it waits for."""

    fuse: Any  # mfusepy
    files: FuseOperations
    place: Path
    failed: list[Exception] = field(default_factory=list)

    def start(self) -> None:
        """Returns once the place can be read. Raises ConfigError where the system refuses."""
        self._thread = threading.Thread(target=self._serve, name="mount", daemon=True)
        self._thread.start()
        while self._thread.is_alive() and not self.files.ready.wait(_LOOK):
            continue
        if not self.files.ready.is_set():
            raise refused(self.place) from next(iter(self.failed), None)

    def wait(self, stopping: Callable[[], bool]) -> None:
        """Returns once `stopping`, or once somebody has unmounted."""
        while self._thread.is_alive() and not stopping():
            self._thread.join(_LOOK)
        if self.failed:
            raise ScoreMixError(
                f"The mount at {self.place} ended by itself; a line above may say why. Run the same"
                " command again."
            )

    def end(self) -> None:
        """Unmounts; where the mount is in use, it is detached and its users get errors."""
        if not self._thread.is_alive():
            return
        problem = unmount(self.place)
        if problem is not None:
            if "busy" in problem:
                logger.warning(
                    "%s is in use: detached all the same. What still has a file or a folder of it"
                    " open gets errors.",
                    self.place,
                )
            # The library can be told to end inside an operation alone: so here is one. On its way
            # out it detaches a mount that is in use.
            self.files.closing = True
            with contextlib.suppress(OSError):
                os.statvfs(self.place)
        self._thread.join(_LEAVING)

    def _serve(self) -> None:
        try:
            self.fuse.FUSE(self.files, str(self.place), **options(self.fuse))
        except RuntimeError as error:  # libfuse has said why on standard error
            self.failed.append(error)


@contextlib.contextmanager
def _same_folder() -> Iterator[None]:
    """libfuse changes the working folder of the whole process to the root."""
    before = os.open(".", os.O_RDONLY)
    try:
        yield
    finally:
        os.fchdir(before)
        os.close(before)
