"""Writes the files of the documentation that are made from the code.

python -m scoremix.pipeline.docs docs/
"""

import json
import sys
from pathlib import Path

import click

from ..manifests.trainers.commands import DRAWN
from ..manifests.trainers.requirements import find_spec, list_sides, specs_of, trainer_names
from ..manifests.trainers.spec import TrainerSpec
from ..manifests.trainers.table import TRAINERS
from ..manifests.trainers.training_length import LENGTHS
from ..stages.check.docs import check_text as check_text
from .cli import commands
from .config import Config


def schema_text() -> str:
    """The JSON Schema of stages.yaml, for editors."""
    return json.dumps(Config.model_json_schema(), indent=2, sort_keys=True) + "\n"


def commands_text() -> str:
    """The --help of every command, 100 columns wide."""
    parts = ["# The commands\n\nThe `--help` of every command. Made by `make docs`.\n"]
    names = [None, *commands.commands]
    for name in names:
        command = commands if name is None else commands.commands[name]
        path = "scoremix-pipeline" + ("" if name is None else f" {name}")
        # The group's -h holds for its commands too: click keeps the first names it was asked for.
        context = click.Context(
            command,
            info_name=path,
            terminal_width=100,
            max_content_width=100,
            help_option_names=["-h", "--help"],
        )
        parts.append(f"## {path}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


# --- the trainers' part of docs/trainers.md

_ENDS = {"stylegan": ".zip", "lmdb": ".lmdb"}


def trainers_text() -> str:
    """A table of all trainers, then a section per trainer."""
    lines = [
        "| trainer | `--trainer` | layout | sides | images | classes |",
        "|---|---|---|---|---|---|",
        *map(_row, TRAINERS),
    ]
    for name in trainer_names():
        specs = [spec for spec in TRAINERS if spec.trainer == name]
        lines += ["", f"### {specs[0].title}"]
        for spec in specs:
            lines += _section(spec, default=spec is specs[0], alone=len(specs) == 1)
    return "\n".join(lines) + "\n"


def _sides(spec: TrainerSpec) -> str:
    """The sides that it reads, and those to which it scales."""
    if not spec.exact:
        few = len(spec.networks) < 5
        scaled = list_sides(spec.networks) if few else f"{spec.networks[0]} or more"
        return f"any, scaled to {scaled}" if spec.networks else "any"
    if spec.multiple_of > 1:
        return f"a multiple of {spec.multiple_of}"
    return list_sides(spec.sides) or ("a power of two" if spec.power_of_two else "any")


def _row(spec: TrainerSpec) -> str:
    """One line of the table of trainers."""
    layout = f"`{spec.target}`"
    if spec.target == "hdf5":
        layout += f", {spec.axes}, `{spec.file}`".replace("{resolution}", "SIDE").replace(
            "{name}", "NAME"
        )
    elif spec.target == "imagefolder":
        folders = [spec.split, *([spec.real_split] if spec.real_split else [])]
        layout += ", flat" if spec.flat else ", " + " and ".join(f"`{name}/`" for name in folders)
    images = "RGB, gray is made so" if spec.rgb or spec.target == "hdf5" else "as they are"
    classes = "needed" if spec.needs_classes else "optional"
    if spec.max_classes:
        classes = f"at most {spec.max_classes:,}"
    if spec.flat or spec.target == "lmdb":
        classes = "not kept"
    if spec.target == "unpaired":
        classes = "two, A and B"
    cells = (spec.title, f"`{spec.trainer}`", layout, _sides(spec), images, classes)
    return f"| {' | '.join(cells)} |"


def _section(spec: TrainerSpec, *, default: bool, alone: bool) -> list[str]:
    """How to export for a trainer, its commands and notes, as lines of Markdown."""
    end = _ENDS.get(spec.target, "")
    to = "" if default else f" --to {spec.target}"
    real_to = f" --to {spec.real_to}" if spec.real_to else to
    words = f"scoremix-pipeline export SHARDS --trainer {spec.trainer}"
    commands = [f"{words}{to} --out CORPUS{end}"]
    if "{real}" in spec.evaluate + spec.sample:
        target = spec.real_to or spec.target
        if all(row.target != target for row in specs_of(spec.trainer)):
            words = "scoremix-pipeline export SHARDS"
        commands.append(f"{words}{real_to} --real-only --out REAL{_ENDS.get(target, '')}")
    facts: dict[str, object] = {
        "out": f"CORPUS{end}",
        "real": f"REAL{_ENDS.get(spec.real_to or spec.target, '')}",
        "real_name": "REAL",
        "samples": "SAMPLES",
        "name": "NAME",
        "resolution": "SIDE",
        "network": spec.networks[0] if len(spec.networks) == 1 else "SIDE",
        "configuration": f"[{' | '.join(option for _, option in spec.configurations)}]",
        "classes": "CLASSES",
        "last_class": "CLASSES - 1",
        "count": "IMAGES",
        "sources": "IMAGES_OF_A",
        "batch": str(spec.batch),
        "val_batch": "32",
        "cond": f" [{spec.conditional.strip()}]" if spec.conditional else "",
        "labelled": "[1 | 0]",
        "drawn": DRAWN,
        "tens": DRAWN // 10,
        "last_seed": DRAWN - 1,
        "draws": "CLASS:SEEDS",
        "gamma": "GAMMA",
        "weights": "ema",
        "weights_files": "*-ema.*",
    }
    facts |= {name: name.upper() for name in LENGTHS}
    lines = [spec.train, spec.sample, spec.sample_classes, spec.evaluate]
    trainers = [line.format(**facts) for line in dict.fromkeys(lines) if line]
    heading = [] if alone else ["", f"As `{spec.target}`:"]
    return [
        *heading,
        "",
        "```sh",
        *commands,
        "```",
        "```text",
        *trainers,
        "```",
        *(f"* {note.format(**facts)}" for note in spec.notes),
    ]


# --- the presets' part of docs/trial.md

_UNITS = {
    "kimg": "`trial.images` in thousands",
    "iterations": "updates of {update} images",
    "epochs": "epochs of the arm's size",
}


def presets_text() -> str:
    """A table of the presets of `trial`, then the command of each."""
    specs = [find_spec(name, None) for name in trainer_names()]
    rows, commands_ = [], []
    for spec in specs:
        preset = spec.preset
        if preset is None:
            continue
        scripts = ", ".join(f"`{name}`" for name in preset.scripts)
        unit = _UNITS[preset.unit].format(update=preset.update)
        device = "GPU" if preset.needs_gpu else "GPU or CPU"
        cells = (f"`{spec.trainer}`", scripts, unit, device, preset.note)
        rows.append(f"| {' | '.join(cells)} |")
        text = preset.command.replace("{{", "{").replace("}}", "}")
        commands_ += ["", f"`{spec.trainer}`:", "", "```text", text, "```"]
    return "\n".join(
        [
            "| `trial.trainer` | files of the checkout | length in | on | |",
            "|---|---|---|---|---|",
            *rows,
            "",
            "The commands, with their placeholders:",
            *commands_,
            "",
        ]
    )


# --- which document holds what

DERIVED = {"stages.schema.json": schema_text, "commands.md": commands_text, "check.md": check_text}

# What stands between these lines of a document, the rest of which is written by hand.
BEGIN, END = "<!-- derived: make docs -->\n", "<!-- end of what is derived -->\n"
REGIONS = {"trainers.md": trainers_text, "trial.md": presets_text}


def with_region(document: str, text: str) -> str:
    """The document with `text` between its two marks."""
    head, _, rest = document.partition(BEGIN)
    return head + BEGIN + text + END + rest.partition(END)[2]


def main(folder: Path) -> None:
    for name, text in DERIVED.items():
        (folder / name).write_text(text())
    for name, text in REGIONS.items():
        document = folder / name
        document.write_text(with_region(document.read_text(), text()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
