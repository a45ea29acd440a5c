"""Subset of a corpus at a smaller ratio: which shards, and how many samples they hold.

A shard holds samples of one round, so a ratio is a choice of whole shards.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import ConfigError
from .index import INDEX, read_index
from .sums import SUMS

Kind = Literal["all", "real", "augmented"]


@dataclass(frozen=True)
class Subset:
    """Shards for a trainer that streams WebDataset."""

    urls: tuple[str, ...]  # in plan order, real shards first
    samples: int  # in all of them together


def shard_urls(shards: Path, *, ratio: int | None = None, kind: Kind = "all") -> Subset:
    """The shards of a published corpus up to `ratio`, and their sample count.

    ratio: augmented images per real one; None takes all that there are. kind: "real" leaves the
    augmented shards out, "augmented" the real ones. Raises ConfigError where `shards` is no
    corpus, has no such ratio, or where nothing would be left.
    """
    if kind not in ("all", "real", "augmented"):
        raise ConfigError(f"Kind {kind!r} was asked for; use all, real or augmented.")
    for name in (INDEX, SUMS):  # without the latter it is being changed, or was left so
        if not (shards / name).is_file():
            raise ConfigError(
                f"{shards} is no published corpus: it has no {name}. Name the shards folder of a"
                " finished run, or run the same command again to finish it."
            )
    index = read_index(shards)
    last = last_round(index["ratio"], ratio)
    chosen = [
        entry
        for entry in index["shardlist"]
        if entry["round"] <= last and kind in ("all", entry["kind"])
    ]
    if not chosen:
        raise ConfigError(
            f"No shard of {shards} is {kind} and of ratio {last} or below. Choose a ratio from 1 to"
            f" {index['ratio']}, or the kind all or real."
        )
    urls = tuple(str(shards / entry["url"]) for entry in chosen)
    return Subset(urls, sum(entry["nsamples"] for entry in chosen))


def last_round(highest: int, ratio: int | None) -> int:
    """The last round of a corpus at `ratio`; raises ConfigError beyond `highest`, what it has."""
    if ratio is None:
        return highest
    if not 0 <= ratio <= highest:
        raise ConfigError(
            f"Ratio {ratio} was asked for, but this corpus has ratios 0 to {highest}. Choose one of"
            " these, or raise generate.ratio and run again: finished rounds are kept."
        )
    return ratio
