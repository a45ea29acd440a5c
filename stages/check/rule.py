"""Defines a rule: what is wrong, which trainers it affects, what they do, and the remedy.

An error: the trainer crashes, or silently trains on something else than the corpus. A warning: it
works, with a drawback.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Rule:
    """One rule of `check`, in words."""

    severity: Literal["error", "warning"]
    what: str
    hits: str  # trainers or targets
    happens: str  # what the trainer does
    remedy: str  # {path}: of the corpus, as a shell takes it; {side}: one that the trainer reads;
    # {batch}: one that the corpus fills; FILES: image files, which databases do not have


def error(what: str, hits: str, happens: str, remedy: str) -> Rule:
    """A rule that stops the trainer or spoils what it learns."""
    return Rule("error", what, hits, happens, remedy)


def warning(what: str, hits: str, happens: str, remedy: str) -> Rule:
    """A rule whose breach the trainer survives."""
    return Rule("warning", what, hits, happens, remedy)


ALL = "all"
REBUILD = (
    "`scoremix-pipeline augment --data {path} --out SHARDS --ratio 1 --set"
    " ingest.resolution={side} --set ingest.holdout=0 --set generate.method=mixup` crops and"
    " resizes, and trains nothing; `export SHARDS --real-only --trainer NAME --out NEW` writes the"
    " images for the trainer."
)
RESIZE = (
    f"Bring all to one size: {REBUILD} Other tools, in place: `mogrify -resize"
    " '{side}x{side}^' -gravity center -extent {side}x{side} FILES`."
)
# In place of a remedy for FILES, and after one.
IN_DATABASE = f"A database has no files to convert: make it anew. {REBUILD}"
IN_ZIP = " Unpack the zip before, and pack it again afterwards."
