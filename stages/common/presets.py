"""The table of presets: the values of `preset: auto` and of options that are not set.

A preset is a cost class. `paper` is the published network and settings and wants a GPU; `small`
and `tiny` are for two to sixteen CPU cores, with settings chosen by measurement (docs/presets.md).
The row used is the first whose `up_to` is not below the corpus's resolution.
"""

from dataclasses import dataclass
from typing import Literal

PresetName = Literal["paper", "small", "tiny"]


@dataclass(frozen=True)
class Preset:
    """Options that are filled in for corpora up to one side."""

    up_to: int  # largest side in pixels that this row serves
    width: int  # g
    steps: int  # updates
    batch: int  # images per update, over all processes
    lr: float
    levels: Literal["uniform", "focus"]
    checkpoint_every: int  # updates between held-out measurements and resumable states
    minimise_steps: int  # Algorithm 1
    minimise_lr: float
    t0: float
    denoise_steps: int
    noise_rule: Literal["ancestral", "reverse-sde"]


_ANY = 4096

BRIDGE_T0 = 0.5  # the level to which method `bridge` encodes, with every preset

PRESETS: dict[PresetName, tuple[Preset, ...]] = {
    "paper": (
        Preset(64, 128, 200_000, 32, 1e-4, "uniform", 5_000, 100, 0.005, 0.25, 25, "ancestral"),
        Preset(_ANY, 128, 300_000, 32, 1e-4, "uniform", 5_000, 100, 0.005, 0.25, 25, "ancestral"),
    ),
    "small": (
        Preset(16, 32, 6_000, 128, 1e-3, "focus", 500, 20, 0.001, 0.35, 25, "ancestral"),
        Preset(64, 48, 30_000, 32, 5e-4, "focus", 1_000, 20, 0.001, 0.15, 25, "ancestral"),
        Preset(_ANY, 48, 60_000, 16, 5e-4, "focus", 2_000, 20, 0.001, 0.15, 25, "ancestral"),
    ),
    "tiny": (
        Preset(16, 16, 600, 128, 1e-3, "focus", 100, 10, 0.002, 0.35, 25, "ancestral"),
        Preset(32, 24, 4_000, 32, 1e-3, "focus", 500, 10, 0.002, 0.05, 25, "ancestral"),
        Preset(_ANY, 24, 3_000, 16, 1e-3, "focus", 500, 10, 0.002, 0.05, 25, "ancestral"),
    ),
}


def choose_preset(name: str, resolution: int, device_type: str) -> tuple[PresetName, Preset]:
    """The preset and its row; `auto` is `paper` on a GPU and `tiny` on a CPU."""
    chosen: PresetName
    if name == "auto":
        chosen = "tiny" if device_type == "cpu" else "paper"
    else:
        assert name in PRESETS
        chosen = name
    return chosen, next(row for row in PRESETS[chosen] if resolution <= row.up_to)


def micro_batch(device_type: str, resolution: int, width: int) -> int:
    """Most images generated at once. `resolution` in pixels, `width` as Preset.width.

    It comes from a table and is never measured: it is part of the plan, since the last bit of a
    pixel may depend on it. On a GPU, what a step of Algorithm 1 keeps for its backward pass, at
    most 390 bytes a pixel and unit of width in float32 (test_presets.py), stays under 20 GB. On a
    CPU, the values are near the fastest.
    """
    if device_type == "cpu":
        rows = ((16, 150), (32, 32), (64, 16))
        return next((size for side, size in rows if resolution <= side), 4)
    fit = int(20e9 / (390 * resolution**2 * max(width, 32)))
    return max(1, min(512, fit - fit % 8 if fit > 8 else fit))


def balanced_batch(batch: int, shard_size: int, images: int) -> int:
    """The micro-batch size, at most `batch`, with the least cost for `images` images in shards.

    The last micro-batch of a shard is padded: 100 images in micro-batches of 150 would cost half as
    much again. Starting a micro-batch costs about as much as generating `batch` / 4 images.
    """
    whole, rest = divmod(images, shard_size)

    def cost(size: int) -> float:
        count = whole * -(-shard_size // size) - (-rest // size)
        return count * (size + batch / 4)

    step = 8 if batch > 16 else 1  # kernels are faster at multiples of 8
    most = min(batch, -(-min(shard_size, images) // step) * step)
    best: int = min((most, *range(step, most, step)), key=lambda size: (cost(size), -size))
    return best
