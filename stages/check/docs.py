"""Makes docs/check.md from the rules and the table of trainers."""

from ...manifests.trainers.spec import CHECKED, TrainerSpec
from ...manifests.trainers.table import PLAIN, TRAINERS
from .rules import SECTIONS

_HEAD = """# Can the trainer read it?

Made from the code by `make docs`.

```sh
scoremix-pipeline check corpus.zip --for stylegan3     # one trainer
scoremix-pipeline check photos/ --for imagefolder      # a layout, as any trainer of it reads it
scoremix-pipeline check photos/                        # who can read this?
scoremix-pipeline check photos/ --for sincut --batch 8 # with the batch that you will train with
```

It works on any corpus: a folder, a zip, an HDF5 file, a folder with an LMDB. Every image is decoded
to its end; nothing is written, extracted or executed. A finding names the first three files and how
many there are, what the trainer would do, and the remedy, with the corpus's path and a side and a
batch that fit. Image files are converted in a folder: a zip has to be unpacked first, and a
database is made anew with `augment`, which reads it. `--json` gives the same. It ends with 0
if the trainer can read the corpus, 3 if it cannot, 2 if PATH is missing or empty.

An **error**: the trainer crashes, or silently trains on something else than the corpus. A
**warning**: it works, with a drawback. Where a trainer's source leaves a case open: a warning.

HDF5 and LMDB are read with their own libraries, in a child process with limits: the libraries trust
the file, and a damaged one can end the process that reads it. That is a finding like any other.
"""


def check_text() -> str:
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
    for spec in (*map(PLAIN.__getitem__, CHECKED), *TRAINERS):
        name = spec.trainer or spec.target
        parts.append(f"| `{name}` | {spec.target} | {_cell(requirements_text(spec))} |")
    return "\n".join(parts) + "\n"


def _cell(value: str) -> str:
    for name in ("path", "side", "batch"):
        value = value.replace(f"{{{name}}}", name.upper())
    return value.replace("|", "\\|")


def requirements_text(spec: TrainerSpec) -> str:
    """What a row of the table of trainers asks of a corpus, in words."""
    words = [
        f"modes {' and '.join(spec.modes)}" if spec.modes else "",
        "uint8 RGB, whole-number labels" if spec.target == "hdf5" else "",
        *_sizes(spec),
        "folders " + " and ".join(f"{name}/" for name in spec.splits) if spec.splits else "",
        f"folder {spec.split}/" if spec.fixed_split else "",
        "one folder, at any depth" if spec.any_depth else "",
        "one folder alone" if spec.flat else "",
        f"endings {' '.join(spec.endings)}" if spec.endings else "",
        f"at least {spec.least_images} images" if spec.least_images > 1 else "",
        _batches(spec),
        f"at most {spec.max_classes:,} classes" if spec.max_classes else "",
        f"`{spec.path_word}` in the path" if spec.path_word else "",
        f"axes {spec.axes}" if spec.axes else "",
        f"file {spec.file.format(name='NAME', resolution='SIDE')}" if spec.file else "",
    ]
    return "; ".join(word for word in words if word)


def _batches(spec: TrainerSpec) -> str:
    """Says how many images it needs to form full batches."""
    if not spec.full_batches or spec.batch == 1:
        return ""
    number = "a full batch" if spec.full_batches == 1 else f"{spec.full_batches} full batches"
    return f"{number} of {spec.batch} or of `--batch`"


def _sizes(spec: TrainerSpec) -> list[str]:
    """What it asks of the images' sizes."""
    if not spec.exact:
        return []
    one_size = "one size, square"
    if spec.single_image:
        one_size = "exactly one image a side, of any size; or more of one size, square"
    return [
        one_size,
        "side a power of two" if spec.power_of_two else "",
        f"side a multiple of {spec.multiple_of}" if spec.multiple_of > 1 else "",
        f"sides {', '.join(map(str, spec.sides))}" if spec.sides else "",
        f"sides {', '.join(map(str, spec.usual_sides))} with its usual networks"
        if spec.usual_sides
        else "",
        ", ".join(
            f"`{option}` from {side} px" for side, option in spec.configurations if spec.trainer
        ),
    ]
