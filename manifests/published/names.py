"""Which files below a corpus's folder are its own, by their names, and which are foreign."""

import re

from ..files.lock import FOLDER_LOCK
from ..storage.store import LocalStore, Store
from .croissant import CROISSANT
from .index import INDEX, indexed_hashes, parse_index
from .owner import OWNER
from .sums import SUMS

SHARD_FILE = re.compile(r"(real|aug)-\d{6,}\.(tar|parquet|json)")

# Determined by shards, plan and facts; in the order in which they are written.
METADATA_FILES = ("plan.parquet", "manifest.parquet", "README.md", CROISSANT, INDEX)

# Unfinished files of a run, which it removes: at a mount point, or of a record of the owner.
_TEMPORARY = re.compile(
    rf"\.scoremix-tmp(-[0-9a-f]{{12}}|-none)?(/.*)?|\.{re.escape(OWNER)}(\.[0-9a-f]{{8}})?\.\d+\.tmp"
)
# Left by file browsers and network file systems, without anybody's doing; and by our own locks.
_LITTER = re.compile(
    rf"{re.escape(FOLDER_LOCK)}|(.*/)?(\.DS_Store|\._[^/]*|Thumbs\.db|desktop\.ini|\.nfs[^/]*|\.fuse_hidden[^/]*)"
)


def is_own(name: str) -> bool:
    """Whether the corpus's own files have such names."""
    return name in (*METADATA_FILES, SUMS, OWNER) or SHARD_FILE.fullmatch(name) is not None


def is_litter(name: str) -> bool:
    """Whether file browsers, network file systems or our locks leave files of such names."""
    return _LITTER.fullmatch(name) is not None or name.startswith("__MACOSX/")


def is_counted(name: str) -> bool:
    """Whether a file or an empty folder that no record lists is one too many: all but the owner,
    litter, and the folder that a file system has at its top."""
    return name not in (OWNER, "lost+found") and not is_litter(name)


def every_name(store: Store) -> list[str]:
    """Every file, and every folder with nothing in it."""
    folders = store.empty_folders() if isinstance(store, LocalStore) else []
    return sorted([*store.names(), *folders])


def content_names(store: Store) -> list[str]:
    """Files and empty folders that count before a place is claimed: all that `verify` would report,
    but for temporary files, which the run removes."""
    names = (name for name in every_name(store) if is_counted(name))
    return [name for name in names if not _TEMPORARY.fullmatch(name)]


def listed_extras(store: Store) -> dict[str, str]:
    """Name -> sha256 of files that an intact index.json of an earlier version lists besides its
    own, as far as they are still there."""
    if store.size(INDEX) is None:
        return {}
    try:
        hashes = indexed_hashes(parse_index(store.read(INDEX)))
    except ValueError:
        return {}
    others = {name: digest for name, digest in hashes.items() if not is_own(name)}
    there = set(store.names()) if others else set()
    return {name: digest for name, digest in others.items() if name in there}
