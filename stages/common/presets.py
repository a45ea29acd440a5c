"""The table of presets: the values of `preset: auto` and of options that are not set.

A preset is a cost class. `paper` is the published network and settings and wants many hours of a
GPU; `gpu` is a U-Net for hours of one; `small` and `tiny` are for two to sixteen CPU cores. The
settings of `tiny` are chosen by measurement, those of `gpu` and `small` follow them unmeasured
(docs/presets.md). The row used is the first whose `up_to` is not below the corpus's resolution.
"""

from dataclasses import dataclass
from typing import Literal

from ...models.network.architecture import Network

PresetName = Literal["paper", "gpu", "small", "tiny"]
Levels = Literal["uniform", "focus", "lognormal"]


@dataclass(frozen=True)
class Preset:
    """Options that are filled in for corpora up to one side."""

    up_to: int  # largest side in pixels that this row serves
    width: int  # g
    steps: int  # updates; of a U-Net at most: it stops where its held-out loss has turned
    batch: int  # images per update, over all processes
    lr: float
    levels: Levels
    checkpoint_every: int  # updates between held-out measurements and resumable states
    minimise_steps: int  # Algorithm 1
    minimise_lr: float
    t0: float
    denoise_steps: int
    noise_rule: Literal["ancestral", "reverse-sde"] = "ancestral"
    dropout: float = 0.0
    augment: float = 0.0  # probability of each change of non-leaking augmentation
    block: int | None = None  # of the U-Net; None: by the side of the images


_ANY = 4096

# The level to which method `bridge` encodes: with 0.65 the U-Net mixes at sigma 1 to 2.
BRIDGE_T0: dict[Network, float] = {"refinenet": 0.5, "unet": 0.65}
EMA: dict[Network, float] = {"refinenet": 0.999, "unet": 0.9995}  # decay of the averaged weights

_PASSES_BETWEEN, _FEWEST_BETWEEN = 64, 100  # passes, updates between two measurements
EPOCHS, _FEWEST_STEPS = 600, 500  # passes over the training images of a U-Net, at most
_FEW_PASSES = 200  # by a row's steps: below, a U-Net learns no image by heart

_REFINENET: dict[PresetName, tuple[Preset, ...]] = {
    "paper": (
        Preset(64, 128, 200_000, 32, 1e-4, "uniform", 5_000, 100, 0.005, 0.25, 25),
        Preset(_ANY, 128, 300_000, 32, 1e-4, "uniform", 5_000, 100, 0.005, 0.25, 25),
    ),
    "small": (
        Preset(16, 32, 6_000, 128, 1e-3, "focus", 500, 20, 0.001, 0.35, 25),
        Preset(64, 48, 30_000, 32, 5e-4, "focus", 1_000, 20, 0.001, 0.15, 25),
        Preset(_ANY, 48, 60_000, 16, 5e-4, "focus", 2_000, 20, 0.001, 0.15, 25),
    ),
    "tiny": (
        Preset(16, 16, 600, 128, 1e-3, "focus", 100, 10, 0.002, 0.35, 25),
        Preset(32, 24, 4_000, 32, 1e-3, "focus", 500, 10, 0.002, 0.05, 25),
        Preset(_ANY, 24, 3_000, 16, 1e-3, "focus", 500, 10, 0.002, 0.05, 25),
    ),
}

_REGULAR: tuple[Literal["ancestral"], float, float] = ("ancestral", 0.13, 0.15)
_AUGMENTED: tuple[Literal["ancestral"], float, float] = ("ancestral", 0.0, 0.15)

_UNET: dict[PresetName, tuple[Preset, ...]] = {
    "gpu": (
        Preset(32, 128, 40_000, 256, 5e-4, "lognormal", 1_000, 20, 0.001, 0.25, 25, *_REGULAR),
        Preset(160, 160, 60_000, 128, 5e-4, "lognormal", 1_000, 20, 0.001, 0.25, 25, *_REGULAR),
        Preset(_ANY, 96, 60_000, 128, 5e-4, "lognormal", 1_000, 20, 0.001, 0.25, 25, *_REGULAR),
    ),
    "small": (
        Preset(16, 64, 6_000, 64, 1e-3, "lognormal", 250, 20, 0.001, 0.35, 25, "ancestral", 0.25),
        Preset(160, 96, 30_000, 64, 1e-3, "lognormal", 500, 20, 0.001, 0.25, 25, *_REGULAR),
        Preset(_ANY, 64, 30_000, 64, 1e-3, "lognormal", 500, 20, 0.001, 0.25, 25, *_REGULAR),
    ),
    "tiny": (
        Preset(8, 32, 750, 32, 2e-3, "lognormal", 250, 10, 0.002, 0.35, 25, "ancestral", 0.25),
        Preset(16, 32, 1_500, 64, 1e-3, "lognormal", 250, 10, 0.002, 0.35, 25, "ancestral", 0.25),
        Preset(48, 64, 6_000, 64, 1e-3, "lognormal", 250, 10, 0.002, 0.25, 25, *_AUGMENTED),
        Preset(96, 64, 6_000, 64, 1e-3, "lognormal", 250, 10, 0.002, 0.25, 25, *_AUGMENTED, 4),
        Preset(_ANY, 64, 6_000, 64, 1e-3, "lognormal", 250, 10, 0.002, 0.25, 25, *_AUGMENTED),
    ),
}

PRESETS: dict[Network, dict[PresetName, tuple[Preset, ...]]] = {
    "refinenet": _REFINENET | {"gpu": _REFINENET["paper"]},
    "unet": _UNET | {"paper": _UNET["gpu"]},
}


def choose_preset(
    name: str, resolution: int, device_type: str, network: Network | None = None
) -> tuple[PresetName, Network, Preset]:
    """The preset, its network and its row; `auto` is `gpu` on a GPU and `tiny` on a CPU.

    network: None for the preset's own: the RefineNet of `paper`, the U-Net of the others.
    device_type: as `models.network.device.device_type` gives it.
    """
    chosen: PresetName
    if name == "auto":
        chosen = "tiny" if device_type.startswith("cpu") else "gpu"
    else:
        assert name in ("paper", "gpu", "small", "tiny")
        chosen = name  # type: ignore[assignment]
    network = network or ("refinenet" if chosen == "paper" else "unet")
    rows = PRESETS[network][chosen]
    return chosen, network, next(row for row in rows if resolution <= row.up_to)


def most_steps(row: Preset, images: int, batch: int) -> int:
    """Updates of a U-Net, of the row's at most: no more than EPOCHS passes over the images.

    Where nothing is held out, nothing but this keeps it from learning a few images by heart.
    """
    return min(row.steps, max(_FEWEST_STEPS, EPOCHS * images // batch))


def checkpoint_every(row: Preset, images: int, batch: int) -> int:
    """Updates between two measurements of a U-Net, of the row's at most.

    About every 64 passes over the images: without protection the held-out loss turns after some 200
    (docs/presets.md), and the best state is one that was measured.
    """
    return min(row.checkpoint_every, max(_FEWEST_BETWEEN, _PASSES_BETWEEN * images // batch))


def regularisers(row: Preset, images: int, steps: int | None = None) -> dict[str, float]:
    """`dropout` and `augment` of a U-Net for so many training images.

    None where the row's steps, or more `steps` that were asked for, pass over the images so seldom
    that nothing is learnt by heart.
    """
    if max(row.steps, steps or 0) * row.batch < _FEW_PASSES * images:
        return {"dropout": 0.0, "augment": 0.0}
    return {"dropout": row.dropout, "augment": row.augment}


def levels_of(method: str, network: Network, row: Preset) -> int | None:
    """Noise levels that a method follows, for the preset's row; None for `auto`, which decides.

    An ODE of second order, followed by a U-Net whose scores change slowly, needs few.
    """
    of_ode = {"bridge": 10, "sample": 18} if network == "unet" else {}
    return None if method == "auto" else of_ode.get(method, row.denoise_steps)


def alpha_of(preset: PresetName, method: str, contrast: str = "plain") -> float | None:
    """Of lambda ~ Beta(alpha, alpha); None for `auto`, which decides.

    The published .2 makes most images nearly copies of a parent. By methods that keep the
    variance of images, new images cost less nearness to real ones than by plain mixup: their lambda
    is uniform (docs/presets.md#alpha), as it is in the papers of CutMix and FMix.
    """
    if method == "auto":
        return None
    if method in ("cutmix", "fmix"):
        return 1.0
    keeps_variance = method == "bridge" or (method == "mixup" and contrast == "kept")
    return 1.0 if keeps_variance and preset != "paper" else 0.2


def trunk_precision(device_type: str, network: Network) -> Literal["float32", "bfloat16"]:
    """`precision: auto`: half precision for the U-Net where the device multiplies in it."""
    halves = device_type in ("cuda", "cpu-bfloat16")
    return "bfloat16" if network == "unet" and halves else "float32"


def default_method(preset: str) -> Literal["auto", "scoremix"]:
    """`generate.method` where it is unset: the published one for `paper`, else a pilot."""
    return "scoremix" if preset == "paper" else "auto"


def micro_batch(device_type: str, resolution: int, width: int) -> int:
    """Most images generated at once. `resolution` in pixels, `width` as Preset.width.

    It comes from a table and is never measured: it is part of the plan, since the last bit of a
    pixel may depend on it. On a GPU, what a step of Algorithm 1 keeps for its backward pass, at
    most 390 bytes a pixel and unit of width in float32 (test_presets.py), stays under 20 GB. On a
    CPU, the values are near the fastest.
    """
    if device_type.startswith("cpu"):
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
