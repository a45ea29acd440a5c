"""What each trainer asks of its data: one literal table, a row per trainer and target.

Only what decides whether the trainer reads the corpus to the end. It was read in the trainers'
sources; where those leave it open, a row asks for nothing.

In `remember`: {path} of the corpus, {side} in pixels, {classes}, {count} of images.
"""

from dataclasses import dataclass, replace
from typing import Literal

Target = Literal["stylegan", "imagefolder", "unpaired", "hdf5", "lmdb"]
TARGETS: tuple[Target, ...] = ("stylegan", "imagefolder", "unpaired", "hdf5", "lmdb")

# File name endings that a loader takes; all others it passes over in silence.
TORCHVISION = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
_BIGGAN_ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm")
_CUT_ENDINGS = tuple(
    spelling
    for ending in (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".tif", ".tiff")
    for spelling in (ending, ending.upper())
)


@dataclass(frozen=True)
class Need:
    """One trainer's way of reading one target; an empty value asks for nothing."""

    trainer: str  # as --for takes it; empty: the target itself, without a trainer
    target: Target
    modes: tuple[str, ...] = ()  # Pillow modes that it takes; empty: it converts to RGB itself
    exact: bool = False  # takes pixels as they are: one size, square
    power_of_two: bool = False  # of the side, where `exact`
    multiple_of: int = 1  # of the side, where `exact`
    least_side: int = 1
    sides: tuple[int, ...] = ()  # the only ones its networks have
    advised_sides: tuple[int, ...] = ()  # its default networks have these, other settings more
    splits: tuple[str, ...] = ()  # imagefolder: must be there, with the same classes in each
    base: str = ""  # imagefolder: the one folder below the data root that it reads
    flat: bool = False  # imagefolder: takes images from any depth, or has no classes
    nested: bool = True  # imagefolder, flat: looks into sub-folders
    endings: tuple[str, ...] = ()
    any_case: bool = False  # of the endings
    lists_files: bool = False  # imagefolder: a plain file beside the classes becomes a class
    least_images: int = 1  # for training
    most_classes: int | None = None
    one_a_side: bool = False  # unpaired: exactly one image in trainA and in trainB
    axes: Literal["NCHW", "NHWC"] | None = None  # hdf5
    file_pattern: str = ""  # hdf5: regular expression of the file's name, {side} put in
    file_example: str = ""
    path_word: str = ""  # must be in the path, or it is read as another kind
    remember: tuple[str, ...] = ()  # options that are easily forgotten


_COND = "labels are there: pass --cond=1, or they are ignored"
_SQUARE = Need("", "stylegan", modes=("RGB", "L"), exact=True, power_of_two=True, least_side=4)
_FOLDER = Need("", "imagefolder", endings=TORCHVISION, any_case=True)
_BIGGAN_FOLDER = replace(
    _FOLDER,
    endings=_BIGGAN_ENDINGS,
    most_classes=1000,
    remember=(
        "delete I{side}_imgs.npz in the trainer's working folder after each new export: it is a"
        " cache of the file names and goes stale",
    ),
)
_BIGGAN_FILE = Need(
    "",
    "hdf5",
    axes="NCHW",
    sides=(32, 64, 128, 256),
    most_classes=1000,
    file_pattern=r"ILSVRC{side}\.hdf5",
    file_example="ILSVRC{side}.hdf5",
    remember=("--dataset I{side}_hdf5 --data_root {parent}",),
)
_CUT = Need("", "unpaired", endings=_CUT_ENDINGS)
_LUCIDRAINS = Need(
    "",
    "imagefolder",
    flat=True,
    endings=(".jpg", ".jpeg", ".png"),
    remember=("--image-size {side} (a power of two)",),
)
_LMDB = Need("", "lmdb", modes=("RGB",), exact=True, power_of_two=True, least_side=4)

# A target without a trainer asks for its plain layout; a trainer below may ask for more, or less.
PLAIN: dict[Target, Need] = {
    "stylegan": replace(_SQUARE, remember=(_COND,)),
    "imagefolder": _FOLDER,
    "unpaired": _CUT,
    "hdf5": Need("", "hdf5"),
    "lmdb": _LMDB,
}

NEEDS: tuple[Need, ...] = (
    replace(_SQUARE, trainer="stylegan2-ada", remember=(_COND,)),
    replace(_SQUARE, trainer="stylegan3", remember=(_COND,)),
    replace(_SQUARE, trainer="diffaugment-stylegan2", remember=(_COND,)),
    replace(
        _SQUARE,
        trainer="projected-gan",
        modes=("RGB",),  # its feature network has three input channels
        advised_sides=(128, 256, 512, 1024),
        remember=(_COND,),
    ),
    replace(_SQUARE, trainer="stylegan-xl", modes=("RGB",), remember=(_COND,)),
    replace(_SQUARE, trainer="edm", power_of_two=False, multiple_of=4, remember=(_COND,)),
    replace(
        _FOLDER,
        trainer="stargan-v2",
        splits=("train", "val"),
        endings=(".png", ".jpg", ".jpeg", ".JPG"),
        any_case=False,
        lists_files=True,
        least_images=8,  # its loader drops the last batch that is not full; batches have 8
        remember=("--num_domains {classes}", "--img_size {side} (a power of two, 32 or more)"),
    ),
    replace(
        _FOLDER,
        trainer="studiogan",
        splits=("train", "valid"),
        remember=("num_classes: {classes} and img_size: {side} in CFG.yaml",),
    ),
    Need(
        "studiogan",
        "hdf5",
        axes="NHWC",
        advised_sides=(32, 64, 128, 256, 512),
        file_pattern=r".+_{side}_.+_train\.hdf5",
        file_example="NAME_{side}_wo_resize_train.hdf5",
        remember=("num_classes: {classes} and img_size: {side} in CFG.yaml",),
    ),
    replace(_BIGGAN_FILE, trainer="biggan"),
    replace(_BIGGAN_FOLDER, trainer="biggan", base="ImageNet"),
    replace(_BIGGAN_FOLDER, trainer="lecam"),
    replace(_BIGGAN_FILE, trainer="lecam"),
    replace(_BIGGAN_FOLDER, trainer="diffaugment-biggan"),
    replace(
        _FOLDER,
        trainer="dcgan",
        remember=("--imageSize 64: its networks are made for that, and other images are scaled",),
    ),
    # It only drops alpha: an index image or a gray one with alpha goes in as it is.
    replace(_LUCIDRAINS, trainer="stylegan2-pytorch", modes=("RGB", "L", "RGBA")),
    replace(_LUCIDRAINS, trainer="lightweight-gan"),
    Need(
        "fastgan",
        "imagefolder",
        flat=True,
        nested=False,
        endings=(".jpg", ".png", ".jpeg"),
        remember=("--im_size {side}",),
    ),
    replace(_CUT, trainer="cut"),
    replace(_CUT, trainer="fastcut", remember=("--CUT_mode FastCUT",)),
    replace(_CUT, trainer="sincut", one_a_side=True),
    replace(_LMDB, trainer="rosinality", remember=("--size {side}",)),
    replace(_LMDB, trainer="fastgan", sides=(1024,), path_word="lmdb"),
)

# What --for takes: targets, then trainers.
NAMES: tuple[str, ...] = (*TARGETS, *dict.fromkeys(need.trainer for need in NEEDS))


def needs_of(wanted: str) -> tuple[Need, ...]:
    """The rows for a target (one), or for a trainer (one for each target that it reads)."""
    plain = tuple(need for target, need in PLAIN.items() if target == wanted)
    return plain or tuple(need for need in NEEDS if need.trainer == wanted)
