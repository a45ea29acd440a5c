"""What the dataset card says of images that were made class by class."""

import html
import re
from collections.abc import Sequence

from ..plan.new_classes import NewClass

_MARKUP = re.compile(r"[\\`*_\[\]|!]")

# Of images of new classes: whether they are samples of a network.
ORIGIN_OF_CLASSES = {
    True: (
        "every augmented image is of a new class, which\n"
        "mixes classes of the real images, and is a sample of a network trained on these; its row\n"
        "says with which seed, and names an image of each of two classes as its sources, which\n"
        "gave it its key and nothing else."
    ),
    False: (
        "every augmented image is of a new class, which\n"
        "mixes classes of the real images: the pixels of an image of each, and its row says of\n"
        "which, with which weight."
    ),
}
_MOST_CLASSES = 50  # new classes that the card lists


def new_classes_section(classes: Sequence[str], new_classes: Sequence[NewClass]) -> str:
    """The new classes, each with what it mixes; all of them are in index.json.

    classes: names of all classes, new ones last.
    """
    if not new_classes:
        return ""
    real = classes[: len(classes) - len(new_classes)]
    lines = []
    for one in new_classes[:_MOST_CLASSES]:
        mixed = ", ".join(
            f"{weight:g} {as_text(real[id_])}"
            for id_, weight in zip(one.classes, one.weights, strict=True)
        )
        distance = "" if one.distance is None else f"{one.distance:.4f}"
        lines.append(f"| {one.id} | {mixed} | {one.selection} | {distance} |")
    more = len(new_classes) - len(lines)
    rest = f"\n\nand {more} more in `index.json`." if more else ""
    return (
        "## New classes\n\n"
        f"Classes 0 to {len(real) - 1} are those of the real images, the others are new. Their\n"
        "members, weights, distance (cosine, of the members' centres in the recogniser) and\n"
        "selection are in `index.json` under `new_classes`.\n\n"
        "| class_id | weights | selection | distance |\n|---|---|---|---|\n"
        + "\n".join(lines)
        + rest
    )


ROUNDS_OF_CLASSES = """## Fewer images per class

Every round holds as many images of each class that was made (the last may hold fewer) and shards
never straddle rounds, so the first rounds are the corpus with fewer images per class:

```python
import json
index = json.load(open("SHARDS/index.json"))
files = [shard["url"] for shard in index["shardlist"] if shard["round"] <= 1]
```"""


WARNINGS_OF_CLASSES = """## Before training on it

* Augmented images are samples of a network that saw every real image: each may hold parts of any of
  them. Its sources are one image of each class, by which it got its key. Whoever asks for a source
  image to be removed asks for every sample that names it, and for a network trained without it:
  `scoremix-pipeline forget --retrain`.
* Keep real and made classes apart where a recogniser is evaluated: on real images alone, of classes
  that neither it nor the network has seen."""


def as_text(given: str) -> str:
    """Text from outside with its Markdown and HTML escaped, in one line."""
    return _MARKUP.sub(r"\\\g<0>", html.escape(" ".join(given.split()), quote=False))
