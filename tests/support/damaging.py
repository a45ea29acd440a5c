"""Damage of every kind to a finished run's shards, for the tests of verify and repair."""

import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

from scoremix.manifests.files.atomic import json_bytes
from scoremix.manifests.published.index import index_digest, indexed_hashes
from scoremix.manifests.published.sums import render_sums

Damage = Callable[[Path], None]

SMALL = (
    "README.md",
    "plan.parquet",
    "manifest.parquet",
    "croissant.json",
    "index.json",
    "SHA256SUMS",
)


def flip(path: Path, position: int, bit: int = 1) -> None:
    data = path.read_bytes()
    position %= len(data)
    path.write_bytes(data[:position] + bytes([data[position] ^ bit]) + data[position + 1 :])


def flipped(name: str, share: float) -> Damage:
    """One bit of `name`, at that share of its length."""
    return lambda shards: flip(shards / name, int(share * (shards / name).stat().st_size))


def cut(name: str, share: float) -> Damage:
    def damage(shards: Path) -> None:
        os.truncate(shards / name, int(share * (shards / name).stat().st_size))

    return damage


def missing(*names: str) -> Damage:
    def damage(shards: Path) -> None:
        for name in names:
            (shards / name).unlink()

    return damage


def swapped(one: str, two: str, *extensions: str) -> Damage:
    def damage(shards: Path) -> None:
        for extension in extensions:
            first, second = shards / f"{one}.{extension}", shards / f"{two}.{extension}"
            kept = first.read_bytes()
            first.write_bytes(second.read_bytes())
            second.write_bytes(kept)

    return damage


def summed_again(damage: Damage) -> Damage:
    """SHA256SUMS anew over what is damaged, as somebody does who trusts his disk."""

    def both(shards: Path) -> None:
        damage(shards)
        lines = [
            f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
            for path in sorted(shards.iterdir())
            if path.name != "SHA256SUMS"
        ]
        (shards / "SHA256SUMS").write_text("".join(lines))

    return both


def together(*damages: Damage) -> Damage:
    def all_of_them(shards: Path) -> None:
        for damage in damages:
            damage(shards)

    return all_of_them


def stale(older: Path, *names: str) -> Damage:
    """Files of another corpus (another ratio, say) in place of these."""

    def damage(shards: Path) -> None:
        for name in names:
            shutil.copy(older / name, shards / name)

    return damage


def random_flips(shards: Path, count: int, seed: int) -> list[tuple[str, int, int]]:
    """`count` single bits, every file the same number of times or one more, places at random."""
    names = sorted(path.name for path in shards.iterdir())
    chooser = random.Random(seed)
    found = []
    for number in range(count):
        name = names[number % len(names)]
        place = chooser.randrange((shards / name).stat().st_size)
        found.append((name, place, 1 << chooser.randrange(8)))
    return found


def without_croissant(shards: Path) -> None:
    """The corpus as it was published before there was a croissant.json: sound, and without one."""
    (shards / "croissant.json").unlink()
    index = json.loads((shards / "index.json").read_text())
    del index["files"]["croissant.json"]
    (shards / "index.json").write_bytes(json_bytes(index | {"index_digest": index_digest(index)}))
    sums = indexed_hashes(index)
    sums["index.json"] = hashlib.sha256((shards / "index.json").read_bytes()).hexdigest()
    (shards / "SHA256SUMS").write_bytes(render_sums(sums))
