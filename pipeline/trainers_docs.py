"""The part of docs/trainers.md that is made from the table of trainers."""

from ..manifests.trainers.requirements import trainer_names
from ..manifests.trainers.spec import TrainerSpec
from ..manifests.trainers.table import TRAINERS

_ENDS = {"stylegan": ".zip", "lmdb": ".lmdb"}


def trainers_text() -> str:
    """A table of every preset, then a section per trainer."""
    lines = [
        "| trainer | `--trainer` | layout | sides | images | classes |",
        "|---|---|---|---|---|---|",
        *map(_row, TRAINERS),
    ]
    for name in trainer_names():
        presets = [preset for preset in TRAINERS if preset.trainer == name]
        lines += ["", f"### {presets[0].title}"]
        for preset in presets:
            lines += _section(preset, default=preset is presets[0], alone=len(presets) == 1)
    return "\n".join(lines) + "\n"


def _row(preset: TrainerSpec) -> str:
    sides = ", ".join(map(str, preset.resolutions)) or (
        "a power of two" if preset.power_of_two else "any"
    )
    if preset.networks and not preset.resolutions:
        several = len(preset.networks) > 3
        known = f"{preset.networks[0]} or more" if several else ", ".join(map(str, preset.networks))
        sides += f", scaled to {known}"
    layout = f"`{preset.target}`"
    if preset.target == "hdf5":
        layout += f", {preset.axes}, `{preset.file}`".replace("{resolution}", "SIDE").replace(
            "{name}", "NAME"
        )
    elif preset.target == "imagefolder":
        folders = [preset.split, *([preset.real_split] if preset.real_split else [])]
        layout += ", flat" if preset.flat else ", " + " and ".join(f"`{name}/`" for name in folders)
    images = "RGB, gray is made so" if preset.rgb or preset.target == "hdf5" else "as they are"
    classes = "needed" if preset.needs_classes else "optional"
    if preset.max_classes:
        classes = f"at most {preset.max_classes:,}"
    if preset.flat or preset.target == "lmdb":
        classes = "not kept"
    if preset.target == "unpaired":
        classes = "two, A and B"
    cells = (preset.title, f"`{preset.trainer}`", layout, sides, images, classes)
    return f"| {' | '.join(cells)} |"


def _section(preset: TrainerSpec, *, default: bool, alone: bool) -> list[str]:
    end = _ENDS.get(preset.target, "")
    to = "" if default else f" --to {preset.target}"
    real_to = f" --to {preset.real_to}" if preset.real_to else to
    words = f"scoremix-pipeline export SHARDS --trainer {preset.trainer}"
    commands = [f"{words}{to} --out CORPUS{end}"]
    if "{real}" in preset.evaluate:
        commands.append(f"{words}{real_to} --real-only --out REAL{end}")
    facts = {
        "out": f"CORPUS{end}",
        "real": f"REAL{end}",
        "real_name": "REAL",
        "name": "NAME",
        "resolution": "SIDE",
        "network": preset.networks[0] if len(preset.networks) == 1 else "SIDE",
        "classes": "CLASSES",
        "last_class": "CLASSES - 1",
        "count": "more",
        "batch": "256",
        "cond": f" [{preset.conditional.strip()}]" if preset.conditional else "",
    }
    trainers = [preset.train.format(**facts), preset.evaluate.format(**facts)]
    heading = [] if alone else ["", f"As `{preset.target}`:"]
    return [
        *heading,
        "",
        "```sh",
        *commands,
        "```",
        "```text",
        *trainers,
        "```",
        *(f"* {note.format(**facts)}" for note in preset.notes),
    ]
