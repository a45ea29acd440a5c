"""Claimant: a run that asks for the place of its shards."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...manifests.storage.location import Place, same_place
from ...manifests.storage.remote import open_remote
from ...manifests.storage.retry import RetryPolicy
from ...manifests.storage.store import LocalStore, Store
from ..ledger import Ledger


@dataclass(frozen=True)
class Claimant:
    """A run that is about to write shards at a place."""

    run: Path  # the run folder
    shards: Place
    replace: bool = False  # take over a place of which nothing proves whose it is
    corpus: str | None = None  # digest of the planned shards, once known
    same_corpus: bool = False  # the shards there are those of the plan, by their digests
    keeps_foreign: bool = False  # foreign files are left and named, as `repair` does
    stopping: Callable[[], bool] = lambda: False  # then an object store is waited for no longer

    @property
    def contains_shards(self) -> bool:
        """Whether the shards lie in the run folder itself, links followed."""
        if not isinstance(self.shards, Path):
            return False
        return self.shards.resolve().is_relative_to(self.run.resolve())

    def open_store(self) -> Store:
        """The files at the place, to be written."""
        if isinstance(self.shards, Path):
            return LocalStore(self.shards)
        return open_remote(self.shards, RetryPolicy.from_environment(self.stopping))

    def is_recorded(self, ledger: Ledger) -> bool:
        """Whether the ledger names the place, or would by default."""
        return same_place(ledger.place(), self.shards)
