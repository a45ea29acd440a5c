"""The options of section `ingest` of stages.yaml."""

from typing import Any, Literal

from pydantic import BaseModel, Field, field_validator, model_validator

from ...manifests.errors import ConfigError
from ..images.preparation import Fit, Preparation
from ..sources.spec import SourceSpec

SIDES = [
    side for side in range(8, 1025) if side % (2 if side <= 64 else 4 if side <= 128 else 8) == 0
]  # in pixels, that the score network's down-sampling divides


class MaxBad(BaseModel, frozen=True, extra="forbid"):
    """From when on bad inputs stop the run. Files that do not claim to be images do not count."""

    consecutive: int = Field(default=100, ge=1)  # so many in a row
    fraction: float = Field(default=0.5, ge=0, le=1)  # more than this part of those that were read


class PatchesConfig(BaseModel, frozen=True, extra="forbid"):
    """Squares cut out of every image at random places, each an image of its own."""

    per_image: int = Field(ge=1, le=9999)
    size: int = Field(ge=8)  # side in pixels of the source image, before it becomes `resolution`


class SourceConfig(BaseModel, frozen=True, extra="forbid"):
    """One source with what is particular to it."""

    source: str = Field(min_length=1)  # as ingest.source
    path: str | None = None  # as ingest.path
    license: str | None = None  # as ingest.license
    label: str | None = None  # the class of all of its images
    # Of Parquet or Arrow files; unset: the one that holds files. Of WebDataset samples: the field
    # of the image, as left.png; unset: the only one whose name has no dot.
    image_column: str | None = None
    # Of these, of metadata.csv, or a key of a sample's JSON; unset: label, class, ... or a Hugging
    # Face ClassLabel.
    label_column: str | None = None


class IngestConfig(BaseModel, frozen=True, extra="forbid"):
    """Section `ingest`.

    At most one of `limit`, `per_class` and `fraction` chooses the training images; what it leaves
    out is the reference, unless `reference` or `holdout` says what is: then the rest is not used at
    all, nor held out with a `holdout` of 0. `reference` and a `holdout` above 0 exclude each other.
    `holdout` is taken out of what was chosen, and leaves at least two images of every class.
    """

    # A folder, zip, tar, WebDataset shards, Parquet or Arrow files, HDF5 file, LMDB folder, or the
    # bundled "digits" | "faces" | "pair"; or a list of them.
    source: str | SourceConfig | list[str | SourceConfig] = "digits"
    path: str | None = None  # the folder inside it to read
    license: str | None = None  # of images whose source says none; goes into every manifest row
    follow_links: bool = False  # of folders, to files and folders wherever they lie
    classes: Literal["auto", "none"] = "auto"  # auto: labels, else folders; none: one set
    resolution: int | None = None  # side in pixels; unset: digits 8, faces 24, else from headers
    fit: Fit = "crop"  # non-square images: centre crop, pad with background, stretch
    colour: Literal["auto", "rgb", "gray"] = "auto"  # auto: gray only if every image is
    colour_profile: Literal["srgb", "ignore"] = "srgb"  # srgb: convert from an ICC profile
    background: str = Field(
        default="#ffffff", pattern="^#[0-9a-fA-F]{6}$"
    )  # under alpha, around padding
    # So many good images: one of every class in turn; without classes, the first in name order.
    # This and the next two count patches, where there are any.
    limit: int | None = Field(default=None, ge=1)
    per_class: int | None = Field(default=None, ge=1)  # the first so many of each class
    fraction: float | None = Field(default=None, gt=0, le=1)  # a seeded part of each class
    holdout: float | None = Field(default=None, ge=0, lt=1)  # unset: inventory.default_holdout
    patches: PatchesConfig | None = None  # of every image; none is held out unless asked for
    reference: str | SourceConfig | None = None  # a source whose images are the reference
    reference_limit: int = Field(default=5000, ge=0)  # held-out images at most, a seeded choice
    duplicates: Literal["drop", "keep"] = "drop"  # images whose prepared pixels are equal
    min_side: int | None = Field(default=None, ge=1)  # short side in pixels; smaller: left out
    max_aspect: float | None = Field(default=None, ge=1)  # long side / short side; above: left out
    max_bad: MaxBad = MaxBad()
    max_pixels: int = Field(default=100_000_000, ge=64)  # width x height in an image's header

    @field_validator("source", mode="before")
    @classmethod
    def _not_empty(cls, source: Any) -> Any:
        if source in ("", [], None):
            raise ValueError("name a folder, a zip, another source, or a list of them")
        return source

    @field_validator("resolution")
    @classmethod
    def _supported_resolution(cls, side: int | None) -> int | None:
        if side is not None and side not in SIDES:
            near = [s for s in SIDES if s < side][-1:] + [s for s in SIDES if s > side][:1]
            raise ConfigError(
                f"ingest.resolution is {side}; it must be a multiple of 2 up to 64, of 4 up to 128"
                f" and of 8 up to 1024, at least 8. Nearest: {' or '.join(map(str, near))}."
            )
        return side

    @model_validator(mode="after")
    def _no_conflicts(self) -> "IngestConfig":
        chosen = [name for name in ("limit", "per_class", "fraction") if getattr(self, name)]
        if len(chosen) > 1:
            raise ConfigError(
                f"ingest.{chosen[0]} and ingest.{chosen[1]} both choose the training images."
                " Give one of them."
            )
        if self.reference is not None and self.holdout:
            raise ConfigError(
                f"ingest.reference is {self.reference} and ingest.holdout {self.holdout}: both say"
                " which images are held out. Give one of them."
            )
        if self.path is not None and not isinstance(self.source, str):
            raise ConfigError(
                f"ingest.path is {self.path!r}, and ingest.source is no single name: give the path"
                " beside each source, as in source: [{source: cats.zip, path: train}]."
            )
        return self

    @property
    def selection_option(self) -> str | None:
        """The option that selects the training images, as a row's reason names it; None without."""
        for name in ("limit", "per_class", "fraction"):
            if getattr(self, name) is not None:
                return f"ingest.{name} {getattr(self, name)}"
        return None

    @property
    def rest_is_unused(self) -> bool:
        """Whether images that are not selected for training are unused, and not the reference."""
        return self.reference is not None or self.holdout is not None

    def preparation(self, resolution: int, *, gray: bool) -> Preparation:
        """How an image of any shape becomes one of `resolution` px and of gray or RGB."""
        red, green, blue = bytes.fromhex(self.background[1:])
        return Preparation(
            resolution=resolution,
            fit=self.fit,
            gray=gray,
            background=(red, green, blue),
            max_pixels=self.max_pixels,
            ignore_profile=self.colour_profile == "ignore",
        )

    @property
    def sources(self) -> list[SourceSpec]:
        """The sources to open, in order."""
        listed = self.source if isinstance(self.source, list) else [self.source]
        return [self._spec(item, self.path) for item in listed]

    @property
    def reference_source(self) -> SourceSpec | None:
        """The source that `reference` names, or None."""
        return None if self.reference is None else self._spec(self.reference, None)

    def _spec(self, item: str | SourceConfig, path: str | None) -> SourceSpec:
        config = item if isinstance(item, SourceConfig) else SourceConfig(source=item, path=path)
        options = config.model_dump()
        options["license"] = config.license or self.license
        options["follow_links"] = self.follow_links
        return SourceSpec(**options, classes=self.classes == "auto")
