"""README.md of a corpus: a dataset card, whose front matter `load_dataset` finds the tars by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from ..plan.methods import CLASS_METHODS, NEW_CLASS_METHODS, ONE_PARENT
from ..plan.new_classes import NewClass
from .card_of_classes import (
    ORIGIN_OF_CLASSES,
    ROUNDS_OF_CLASSES,
    WARNINGS_OF_CLASSES,
    as_text,
    new_classes_section,
)

# Identifiers that the Hugging Face hub knows; anything else is "other" there.
_HUB_LICENCES = {
    "apache-2.0", "mit", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0",
    "cc-by-nc-sa-4.0", "cc-by-3.0", "cc-by-sa-3.0", "pddl", "odbl", "cdla-permissive-2.0",
}  # fmt: skip


@dataclass(frozen=True)
class CorpusFacts:
    """Facts for card and index that plan and shards do not hold. Only JSON-able values.

    Nothing here may depend on time, host, path or the name of the run.
    """

    name: str  # of the data set: "digits"
    classes: tuple[str, ...]  # names in the order of class_id, new ones last; empty without
    resolution: int  # side of an image in pixels
    channels: int  # 1 gray, 3 RGB
    recipe: Mapping[str, Any]  # every option that can change a pixel
    licences: tuple[str, ...] = ()  # of the sources, as far as known
    inputs: Mapping[str, int] = field(default_factory=dict)  # sources by status: {"train": 300}
    new_classes: tuple[NewClass, ...] = ()  # classes that no real image has
    chosen_because: str = ""  # how a pilot chose the method; empty where it was set


@dataclass(frozen=True)
class Counts:
    """Counts of plan and manifest, for the card."""

    real: int
    augmented: int
    ratio: int
    shards: int
    classed: bool  # samples have KEY.cls
    soft: bool  # samples have soft_label
    normed: bool  # samples have the three norms
    methods: tuple[str, ...]  # of the augmented images
    near_copies: int  # mixtures with lambda below 0.1 or above 0.9

    @property
    def of_one_parent(self) -> bool:
        """Whether nothing was mixed: every augmented image is made from one real image."""
        return bool(self.methods) and ONE_PARENT.issuperset(self.methods)

    @property
    def of_classes(self) -> bool:
        """Whether images were made class by class, so that a round is none per real image."""
        return bool(self.methods) and CLASS_METHODS.issuperset(self.methods)

    @property
    def of_network(self) -> bool:
        """Whether every augmented image is a sample of the network, which uses none of its
        sources."""
        sampled = (CLASS_METHODS | {"sample"}) - {"mixup-classes"}
        return bool(self.methods) and sampled.issuperset(self.methods)

    @property
    def made(self) -> str:
        """How many augmented images there are for what."""
        per = f"in {self.ratio} rounds" if self.of_classes else f"{self.ratio} per real image"
        return f"{self.augmented} ({per})"


def methods_named(facts: CorpusFacts, counts: Counts) -> str:
    """The methods of the augmented images, as card and Croissant name them."""
    kept = ", contrast kept" if facts.recipe.get("contrast") == "kept" else ""
    return (", ".join(counts.methods) or "no method") + kept


def dataset_card(facts: CorpusFacts, counts: Counts) -> str:
    """The whole README.md; equal arguments give equal text."""
    front = yaml.safe_dump(_front_matter(facts, counts), sort_keys=False, allow_unicode=True)
    parts = [
        f"---\n{front}---",
        _what(facts, counts),
        _reading(facts, counts),
        _ratios(counts),
        _fields(counts),
        new_classes_section(facts.classes, facts.new_classes),
        _warnings(counts),
        _licences(facts),
        _recipe(facts),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(facts: CorpusFacts, counts: Counts) -> dict[str, Any]:
    def config(name: str, pattern: str) -> dict[str, Any]:
        return {"config_name": name, "data_files": [{"split": "train", "path": pattern}]}

    configs = [config("default", "*.tar") | {"default": True}, config("real", "real-*.tar")]
    if counts.augmented:
        configs.append(config("augmented", "aug-*.tar"))
    front: dict[str, Any] = {
        "pretty_name": facts.name,
        "license": _hub_licence(facts.licences),
        "task_categories": ["unconditional-image-generation"],
        "tags": ["webdataset", "image", "data-augmentation", *counts.methods],
        "configs": configs,
    }
    if front["license"] == "other":
        front["license_name"] = " AND ".join(facts.licences)
    return front


def _hub_licence(licences: tuple[str, ...]) -> str:
    if not licences:
        return "unknown"
    name = licences[0].lower()
    return name if len(licences) == 1 and name in _HUB_LICENCES else "other"


def _what(facts: CorpusFacts, counts: Counts) -> str:
    colour = {1: "gray", 3: "RGB"}.get(facts.channels, f"{facts.channels}-channel")
    classes = f"{len(facts.classes)} classes" if facts.classes else "no classes"
    if facts.new_classes:
        classes += f", {len(facts.new_classes)} of them new"
    rows = [
        f"| real images | {counts.real} |",
        f"| augmented images | {counts.made} |",
        f"| method | {methods_named(facts, counts)} |",
        f"| images | {facts.resolution} x {facts.resolution} px, {colour}, 8 bit |",
        f"| classes | {classes} |",
        f"| shards | {counts.shards} |",
    ]
    rows += [f"| inputs: {status} | {n} |" for status, n in sorted(facts.inputs.items())]
    origin = (
        "every augmented image is a mixture of two real\n"
        "images of this corpus, and its row says of which two, with which weight and seed."
    )
    if NEW_CLASS_METHODS.issuperset(counts.methods) and counts.methods:
        origin = ORIGIN_OF_CLASSES[counts.of_network]
    elif counts.of_network:
        origin = (
            "every augmented image is a sample of a network\n"
            "trained on the real ones; its row says with which seed, and names a real image as\n"
            "its source, which gave it its key and its class and nothing else."
        )
    elif counts.of_one_parent:
        origin = (
            "every augmented image was made from one real\n"
            "image of this corpus, and its row says of which, with which seed; its lambda is 1."
        )
    return (
        f"# {facts.name}: real images and their augmentations\n\n"
        f"Made offline, before any GAN is trained: {origin}\n\n"
        "| | |\n|---|---|\n" + "\n".join(rows)
    )


def _reading(facts: CorpusFacts, counts: Counts) -> str:
    label = ', sample["cls"]' if counts.classed else ""
    more = (
        '\nload_dataset("SHARDS", name="real", split="train")  # or "augmented"'
        if counts.augmented
        else ""
    )
    return f"""## Reading it

Plain WebDataset: tar files with `KEY.png`, `KEY.json`{" and `KEY.cls`" if counts.classed else ""}.

```python
from datasets import load_dataset
load_dataset("SHARDS", split="train")  # all of it{more}
```
```python
import glob
import webdataset as wds
shards = sorted(glob.glob("SHARDS/*.tar"))
for sample in wds.WebDataset(shards, shardshuffle=False).decode("pil"):
    print(sample["__key__"], sample["png"].size, sample["json"]["lambda"]{label})
```
```python
import tarfile
with tarfile.open("SHARDS/real-000000.tar") as tar:
    print(tar.getnames()[:3])
```
`manifest.parquet` has a row per sample with the offset of its image in the tar, so one image is
one seek away. `sha256sum -c SHA256SUMS` checks every file."""


def _ratios(counts: Counts) -> str:
    if counts.ratio < 1:
        return ""
    if counts.of_classes:
        return ROUNDS_OF_CLASSES
    return f"""## A smaller ratio

Round r holds one augmented image per real image and shards never straddle rounds, so the corpus
at any ratio k from 0 to {counts.ratio} is a choice of shards:

```python
import json
index = json.load(open("SHARDS/index.json"))
k = {max(counts.ratio // 2, 1)}
files = [shard["url"] for shard in index["shardlist"] if shard["round"] <= k]
```"""


def _fields(counts: Counts) -> str:
    rows = [
        ("key", "`000123` real; `000123-007` augmented: base 000123, round 7"),
        ("kind, round, method", "real images: kind and method `real`, round 0"),
        ("source_1, source_2, lambda", "parents and the weight of the first; real: itself, 1.0"),
        ("seed", "of the sample's own random stream"),
        ("class_id", "index into the classes of `index.json`, -1 without one class"),
    ]
    if counts.normed:
        rows.append(
            (
                "norm_mixup, norm_minimised, norm_final",
                "mean square of sigma_N S(x, sigma_N): before, after the minimisation, at the end",
            )
        )
    if counts.soft:
        rows.append(("soft_label", "weight of every class: the parents' classes may differ"))
    table = "\n".join(f"| `{name.replace(', ', '`, `')}` | {text} |" for name, text in rows)
    return f"""## What each sample says of itself

| in `KEY.json` | |
|---|---|
{table}

`manifest.parquet` adds the hashes of image, pixels and both parents' files, the recipe's digest,
licence and size."""


def _warnings(counts: Counts) -> str:
    if not counts.augmented:
        return ""
    if counts.of_network and counts.of_classes:
        return WARNINGS_OF_CLASSES
    if counts.of_one_parent:
        return """## Before training on it

* Augmented images leak: a GAN trained on them learns to make such images too. Nothing inside the
  discriminator undoes that, as augmentations applied to real and generated images alike could.
  Compare with a GAN trained on the real shards alone, on real images that were held out.
* Whoever asks for a source image to be removed asks for every sample that names it in
  `source_1`."""
    return f"""## Before training on it

* Augmented images leak: a GAN trained on them learns to make mixtures too. Nothing inside the
  discriminator undoes that, as augmentations applied to real and generated images alike could.
  Compare with a GAN trained on the real shards alone, on real images that were held out.
* {counts.near_copies} of the {counts.augmented} augmented images have a lambda below 0.1 or above
  0.9. These are near-copies of one parent: count them as its duplicates when memorisation or
  train/test overlap is measured.
* An augmented image holds parts of both parents. Whoever asks for a source image to be removed
  asks for every sample that names it in `source_1` or `source_2`."""


def _licences(facts: CorpusFacts) -> str:
    known = "\n".join(f"* {as_text(licence)}" for licence in facts.licences)
    return "## Licences\n\n" + (
        "The sources' licences hold for the real images; an augmented image is a work made from\n"
        "both parents and is under both their licences (`license` in `manifest.parquet`).\n\n"
        + known
        if known
        else "The licences of the sources are not known to this corpus. Ask where they came from."
    )


def _recipe(facts: CorpusFacts) -> str:
    text = yaml.safe_dump(dict(facts.recipe), sort_keys=True, allow_unicode=True).rstrip()
    chosen = ""
    if facts.chosen_because:
        chosen = f"The method was chosen by a pilot. {as_text(facts.chosen_because)}\n\n"
    return f"## Recipe\n\n{chosen}```yaml\n{text}\n```"
