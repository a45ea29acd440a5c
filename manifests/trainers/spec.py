"""One row of the table of trainers (trainers.py)."""

from dataclasses import dataclass
from typing import Literal

from .layout import Target


@dataclass(frozen=True)
class TrainerSpec:
    """One trainer's way of reading one target."""

    trainer: str
    target: Target
    title: str
    train: str = ""
    evaluate: str = ""
    conditional: str = ""  # the option that makes it use labels
    split: str = "train"  # imagefolder: where training images go, "" for none
    real_split: str | None = None  # imagefolder: a second folder, of the real images alone
    flat: bool = False  # imagefolder: images directly in the folder
    rgb: bool = False  # cannot read gray images, and does not convert them itself
    axes: Literal["NCHW", "NHWC"] | None = None  # hdf5
    file: str | None = None  # hdf5: the file's name inside the folder
    resolutions: tuple[int, ...] = ()  # those it has; empty: any
    power_of_two: bool = False  # of the side
    networks: tuple[int, ...] = ()  # sides of its networks, to which it scales images
    needs_classes: bool = False
    real_to: Target | None = None  # what `evaluate` reads as {real}; None: the same target
    max_classes: int | None = None
    notes: tuple[str, ...] = ()
