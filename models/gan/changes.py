"""The changes of DiffAugment by name, without torch."""

from typing import Literal

Change = Literal["colour", "translation", "cutout"]
CHANGES: tuple[Change, ...] = ("colour", "translation", "cutout")
