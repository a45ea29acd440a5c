"""Ownership: shards are written by the run whose id lies beside them, and by no other.

A run has a random id, in its ledger, and the place of its shards records it (.scoremix-run.json).
The place is claimed at a run's start, before anything there is written or removed. A copied run
folder has the id of the original too; the ledger therefore also records in which folder the id is
at home. docs/design.md has the reasons.
"""

import logging
import secrets
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from ...manifests.errors import ConfigError, StorageError
from ...manifests.files.atomic import storage_errors
from ...manifests.files.durable import make_folder, remove_empty
from ...manifests.files.lock import FOLDER_LOCK, folder_lock
from ...manifests.published.foreign import foreign_names
from ...manifests.published.names import content_names
from ...manifests.published.owner import OWNER, Owner, read_owner
from ...manifests.run_folder import RunFolder
from ...manifests.storage.location import Place, same_place
from ...manifests.storage.remote import RemoteStore
from ...manifests.storage.store import LocalStore, Store
from ..ledger import Ledger
from .claimant import Claimant
from .home import Standing, came_from, original_of, seal_of, standing_of
from .origin import is_made_by, is_published_by, other_runs_at
from .stores import open_shards

logger = logging.getLogger(__name__)

_SHOWN = 3  # files that a message names


class Tenure(Enum):
    """What a run may do at a place."""

    NEW = "new"  # nothing is there: claim it
    OWN = "own"  # the place is this run's
    ADOPTED = "adopted"  # this run made what is there, and no record of the owner says so yet
    GUEST = "guest"  # another folder's run: make missing shards of this very plan, nothing else


def check_owner(claimant: Claimant) -> Tenure:
    """What the run may do at the place; nothing is changed.

    Raises:
        ConfigError: the place is another run's, or holds what no run makes, or is a file.
    """
    shards = claimant.shards
    if isinstance(shards, Path):
        if shards.exists() and not shards.is_dir():
            raise ConfigError(f"{shards} is a file. Name a folder for the shards.")
        if not shards.is_dir():
            return Tenure.NEW
        return _judge(claimant, Ledger(claimant.run), LocalStore(shards))
    return _judge(claimant, Ledger(claimant.run), open_shards(shards, claimant.run))


def claim(claimant: Claimant) -> Tenure:
    """Makes the place the run's, or finds that it is, durably. The caller holds the run.

    Raises:
        ConfigError: as check_owner; another run may have been faster.
        StorageError: the place cannot be written.
    """
    shards = claimant.shards
    if not isinstance(shards, Path):
        return _claim(claimant, claimant.open_store())
    for _ in range(2):  # a run that failed at its start may just have removed the empty folder
        try:
            with storage_errors(shards):
                make_folder(shards)
            with folder_lock(shards):
                return _claim(claimant, LocalStore(shards))
        except FileNotFoundError:
            continue
    raise StorageError(f"{shards} was removed while it was claimed. Run the same command again.")


def record_claim(claimant: Claimant) -> None:
    """`claim` once the shards are planned. Of a local folder the caller holds the folder_lock.

    Raises ConfigError also where a guest's plan is not that of the shards there.
    """
    store = claimant.open_store()
    tenure = _claim(claimant, store)
    if tenure is Tenure.GUEST and not claimant.same_corpus:
        owner = read_owner(store)
        if owner is None or owner.corpus is None or owner.corpus != claimant.corpus:
            raise _not_ours(claimant, content_names(store) or [OWNER])


def claim_to_change(run: Path) -> None:
    """Claims the place that the run's ledger names, before shards there are changed or removed.

    Raises ConfigError where it is another run's, or that of the run which this folder is a copy of.
    """
    place = Ledger(run).place()
    if isinstance(place, Path) and not place.is_dir():
        return
    claimant = Claimant(run, place, keeps_foreign=True)
    refuse_copy(claimant)
    claim(claimant)


def refuse_copy(claimant: Claimant) -> None:
    """Raises ConfigError where the place is another run's, or the run folder is a copy of its
    owner's; a place without a record of an owner passes if the run may claim it."""
    run, place = claimant.run, claimant.shards
    tenure, identity = check_owner(claimant), Ledger(run).identity
    if tenure is Tenure.GUEST and standing_of(run, identity) is not Standing.ELSEWHERE:
        raise ConfigError(
            f"{run} is a copy of the run {original_of(identity) or 'that owns the shards'}, to"
            f" which {place} belongs. Nothing was changed. Name that run folder instead."
        )


def restore_owner(run: Path, shards: Place, *, damaged_alone: bool = False) -> bool:
    """Records the owner of shards that are, by their plan and recipe, this run's, where the record
    is damaged or gone; False where there is nothing to do, or they may be another's.

    damaged_alone: leave it where it is gone.
    """
    ledger, store = Ledger(run), open_shards(shards, run)
    if not same_place(ledger.place(), shards):
        return False
    try:
        if read_owner(store) is not None or damaged_alone:
            return False
    except ConfigError:
        store.remove(OWNER)
    claimant = Claimant(run, shards, same_corpus=True, keeps_foreign=True)
    try:
        return claim(claimant) is not Tenure.GUEST
    except ConfigError:
        return False


def release(claimant: Claimant, made: Sequence[Path]) -> None:
    """Gives an empty place back: a run that failed at its start leaves nothing behind.

    made: the folder and those above it that were not there before it was claimed, as
        missing_folders gave them; of the latter those stay in which something else lies.
    """
    shards, run_id = claimant.shards, Ledger(claimant.run).run_id
    if not isinstance(shards, Path):
        store = claimant.open_store()
        if store.names() == [OWNER] and _recorded_id(store) == run_id:
            store.remove(OWNER)
        return
    if not shards.is_dir():
        return
    store = claimant.open_store()
    with folder_lock(shards):
        if set(store.names()) - {FOLDER_LOCK} == {OWNER} and _recorded_id(store) == run_id:
            store.remove(OWNER)
            if made:
                store.remove(FOLDER_LOCK)
                remove_empty(made)


def refuse_other_owner(store: Store, run: Path) -> None:
    """Called before shards are written: raises ConfigError unless the run still owns the place.

    A folder of shards without a run's ledger, as of a trial's arms, has no owner.
    """
    run_id = Ledger(run).run_id
    if run_id is not None and _recorded_id(store) != run_id:
        raise ConfigError(
            f"{store} does not say any more that it is {run}'s: another folder lies there now, or"
            f" {OWNER} was changed. Nothing more was written. Look at what lies there, then run the"
            " same command again."
        )


def _recorded_id(store: Store) -> str | None:
    owner = read_owner(store)
    return None if owner is None else owner.run_id


def _claim(claimant: Claimant, store: Store) -> Tenure:
    ledger = Ledger(claimant.run)
    tenure = _judge(claimant, ledger, store)
    if tenure is Tenure.GUEST:
        return tenure
    standing = standing_of(claimant.run, ledger.identity)
    anew = standing is Standing.COPY or (tenure is Tenure.NEW and standing is Standing.ELSEWHERE)
    run_id = None if anew else ledger.run_id
    shards = claimant.shards if isinstance(claimant.shards, Path) else None
    if shards is not None:
        for path in shards.glob(f".{OWNER}.*.tmp"):  # of a killed process: the folder is locked
            path.unlink(missing_ok=True)

    def seal(run_id: str | None) -> dict[str, Any]:
        return seal_of(claimant.run, run_id or secrets.token_hex(16), shards, ledger.identity)

    identity = ledger.settle_identity(seal, run_id)
    known = read_owner(store)
    corpus = claimant.corpus or (known.corpus if known is not None else None)
    owner = Owner(identity["id"], None if shards else corpus)
    if known == owner:
        return tenure
    if tenure is Tenure.NEW and isinstance(store, RemoteStore):
        if not store.create(OWNER, owner.as_bytes()):
            return _judge(claimant, Ledger(claimant.run), store)  # raises where it is another's
        return tenure
    try:
        store.write(OWNER, owner.as_bytes())
    except StorageError as error:
        if tenure is not Tenure.ADOPTED:
            raise
        logger.warning("%s cannot record its owner: %s", store, error)
    return tenure


def _judge(claimant: Claimant, ledger: Ledger, store: Store) -> Tenure:
    owner = read_owner(store)
    if owner is None:
        tenure = _judge_unowned(claimant, ledger, store)
    elif owner.run_id == ledger.run_id:
        tenure = _judge_own(claimant, ledger)
    elif (
        claimant.contains_shards
        and _names(ledger, claimant)
        and is_published_by(ledger, RunFolder(claimant.run), store)
    ):
        tenure = Tenure.OWN  # copied with this folder, which got an id of its own since
    elif not isinstance(claimant.shards, Path) and (
        claimant.same_corpus
        or (claimant.corpus is not None and owner.corpus == claimant.corpus)
        or claimant.is_recorded(ledger)
    ):
        tenure = Tenure.GUEST
    else:
        raise ConfigError(
            f"{claimant.shards} belongs to another run: {OWNER} there names {owner.run_id[:12]},"
            f" and {claimant.run} did not make what it holds. Nothing was changed. Move it back to"
            " that run, name that run with --run, or another folder with augment --out."
        )
    if tenure in (Tenure.OWN, Tenure.ADOPTED) and not claimant.keeps_foreign:
        _refuse_foreign(claimant, store)
    return tenure


def _judge_unowned(claimant: Claimant, ledger: Ledger, store: Store) -> Tenure:
    """Without a record of an owner: as of earlier versions, or it was lost."""
    names = content_names(store)
    if not names:
        return Tenure.NEW
    if _names(ledger, claimant):
        others = other_runs_at(claimant.shards, claimant.run, original_of(ledger.identity))
        if others and not claimant.contains_shards and not claimant.replace:
            if not isinstance(claimant.shards, Path):
                return Tenure.GUEST  # workers with a copy of the run folder each
            runs = ", ".join(map(str, [claimant.run, *others]))
            raise ConfigError(
                f"{claimant.shards} has no record of the run that made it, and {runs} all name it"
                " as theirs: all but one are copies. Nothing was changed. Run the command once for"
                " the one that made it, with --replace; the others then need an --out of their own."
            )
        is_known = claimant.replace or claimant.same_corpus
        if is_known or is_made_by(ledger, RunFolder(claimant.run), store):
            return Tenure.ADOPTED
        raise ConfigError(
            f"{claimant.shards} holds {_shown(names)}, and neither plan, index nor markers there"
            f" are of a plan that {claimant.run} records, though its ledger names the place."
            " Nothing was changed. Choose another folder with augment --out; or, if they may be"
            " replaced, add --replace."
        )
    if claimant.same_corpus and not isinstance(claimant.shards, Path):
        return Tenure.GUEST
    raise _not_ours(claimant, names)


def _names(ledger: Ledger, claimant: Claimant) -> bool:
    """Whether a run that has begun has its shards at the place."""
    has_begun = bool(ledger.stages) or ledger.run_id is not None
    return has_begun and claimant.is_recorded(ledger)


def _judge_own(claimant: Claimant, ledger: Ledger) -> Tenure:
    """Where the place has this run's id: is this the run, or a copy of its folder?"""
    shards, identity = claimant.shards, ledger.identity
    standing = standing_of(claimant.run, identity)
    if standing is Standing.HOME or claimant.contains_shards:
        return Tenure.OWN
    if not isinstance(shards, Path):
        takes_over = standing is Standing.ELSEWHERE and claimant.replace
        return Tenure.OWN if takes_over else Tenure.GUEST
    original = original_of(identity)
    is_the_same = identity is not None and shards.stat().st_ino in identity["shards"]
    if standing is Standing.ELSEWHERE:
        if not is_the_same or claimant.replace:
            return Tenure.OWN
        raise ConfigError(
            f"{claimant.run} was moved or copied from {came_from(identity)}, and that run may still"
            f" write to {shards}. Nothing was changed. If its folder is not used any more, add"
            " --replace; else give this one another --out."
        )
    is_originals = original is not None and same_place(Ledger(original).place(), shards)
    if is_the_same or is_originals or not claimant.is_recorded(ledger):
        lies = f"whose shards lie in {shards}: they would be replaced"
        if not (is_the_same or is_originals):
            lies = f"whose ledger has {ledger.place()} for its shards and not {shards}"
        raise ConfigError(
            f"{claimant.run} is a copy of the run {original}, {lies}. Nothing was changed. Give the"
            f" copy a place of its own, as in `cd {claimant.run} && scoremix-pipeline augment"
            f" --run . --out ../OTHER`, or go on with {original}."
        )
    return Tenure.OWN  # the shards were copied with it


def _refuse_foreign(claimant: Claimant, store: Store) -> None:
    found = foreign_names(store)
    if found:
        raise ConfigError(
            f"{claimant.shards} holds {_shown(found)}, which no run makes: readers take whatever"
            " lies there for the corpus. Nothing was changed. Move it elsewhere, or name another"
            " folder with augment --out."
        )


def _not_ours(claimant: Claimant, names: list[str]) -> ConfigError:
    return ConfigError(
        f"{claimant.shards} holds {_shown(names)}, which the run {claimant.run} did not make;"
        " nothing was changed. Choose another folder, or name the run that made them with --run."
    )


def _shown(names: list[str]) -> str:
    return f"{', '.join(names[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''}"
