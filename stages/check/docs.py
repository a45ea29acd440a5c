"""docs/check.md, made from the tables of rules and needs."""

from .needs import NEEDS, PLAIN, Need
from .rules import SECTIONS

_HEAD = """# Can the trainer read it?

Made from the code by `make docs`.

```sh
scoremix-pipeline check corpus.zip --for stylegan3     # one trainer
scoremix-pipeline check photos/ --for imagefolder      # a layout, as any trainer of it reads it
scoremix-pipeline check photos/                        # who can read this?
```

It works on any corpus: a folder, a zip, an HDF5 file, a folder with an LMDB. Every image is decoded
to its end; nothing is written, extracted or executed. A finding names the first three files and how
many there are, what the trainer would do, and the remedy; `--json` gives the same. It ends with 0
if the trainer can read the corpus, 3 if it cannot, 2 if there is nothing that can be judged.

An **error**: the trainer crashes, or trains on something else than the corpus without a word. A
**warning**: it works, but. Where a trainer's source leaves a case open it is a warning.

A damaged HDF5 or LMDB is found by reading it with their own libraries; an LMDB first in a process
of its own, because LMDB trusts the file and a damaged one ends whoever reads it.
"""


def text() -> str:
    """The whole document."""
    parts = [_HEAD, "## The rules\n"]
    for title, rules in SECTIONS.items():
        parts.append(
            f"### {title}\n\n| rule | what | trainers | there | remedy |\n|---|---|---|---|---|"
        )
        for name, rule in rules.items():
            cells = [f"{rule.severity} `{name}`", rule.what, rule.hits, rule.happens, rule.remedy]
            parts.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
        parts.append("")
    parts.append("## What trainers ask for\n\n| `--for` | target | asks for |\n|---|---|---|")
    for need in (*PLAIN.values(), *NEEDS):
        name = need.trainer or need.target
        parts.append(f"| `{name}` | {need.target} | {_cell(asks(need))} |")
    return "\n".join(parts) + "\n"


def _cell(value: str) -> str:
    return value.replace("{path}", "PATH").replace("|", "\\|")


def asks(need: Need) -> str:
    """A row of the table of needs, in words."""
    sides = ", ".join(map(str, need.sides or need.advised_sides))
    words = [
        f"modes {' and '.join(need.modes)}" if need.modes else "",
        "one size, square" if need.exact else "",
        "side a power of two" if need.exact and need.power_of_two else "",
        f"side a multiple of {need.multiple_of}" if need.multiple_of > 1 else "",
        f"sides {sides}" + ("" if need.sides else " with its usual networks") if sides else "",
        "folders " + " and ".join(f"{name}/" for name in need.splits) if need.splits else "",
        f"folder {need.base}/" if need.base else "",
        f"one folder{', at any depth' if need.nested else ' alone'}" if need.flat else "",
        f"endings {' '.join(need.endings)}" if need.endings else "",
        f"at least {need.least_images} images" if need.least_images > 1 else "",
        f"at most {need.most_classes:,} classes" if need.most_classes else "",
        "exactly one image a side" if need.one_a_side else "",
        f"`{need.path_word}` in the path" if need.path_word else "",
        f"axes {need.axes}" if need.axes else "",
        f"file {need.file_example.replace('{side}', 'SIDE')}" if need.file_example else "",
    ]
    return "; ".join(word for word in words if word) or "RGB images, uint8, whole-number labels"
