"""The part of docs/trainers.md that is made from the table of trainers."""

from ..manifests.trainers.requirements import trainer_names
from ..manifests.trainers.spec import TrainerSpec
from ..manifests.trainers.table import TRAINERS

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
    if spec.exact:
        several = ", ".join(map(str, spec.sides))
        whole = f"a multiple of {spec.multiple_of}" if spec.multiple_of > 1 else "any"
        return several or ("a power of two" if spec.power_of_two else whole)
    if not spec.networks:
        return "any"
    one = ", ".join(map(str, spec.networks))
    return "any, scaled to " + (one if len(spec.networks) < 5 else f"{spec.networks[0]} or more")


def _row(spec: TrainerSpec) -> str:
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
    end = _ENDS.get(spec.target, "")
    to = "" if default else f" --to {spec.target}"
    real_to = f" --to {spec.real_to}" if spec.real_to else to
    words = f"scoremix-pipeline export SHARDS --trainer {spec.trainer}"
    commands = [f"{words}{to} --out CORPUS{end}"]
    if "{real}" in spec.evaluate:
        commands.append(f"{words}{real_to} --real-only --out REAL{end}")
    facts = {
        "out": f"CORPUS{end}",
        "real": f"REAL{end}",
        "real_name": "REAL",
        "name": "NAME",
        "resolution": "SIDE",
        "network": spec.networks[0] if len(spec.networks) == 1 else "SIDE",
        "classes": "CLASSES",
        "last_class": "CLASSES - 1",
        "count": "more",
        "batch": "256",
        "cond": f" [{spec.conditional.strip()}]" if spec.conditional else "",
    }
    trainers = [spec.train.format(**facts), spec.evaluate.format(**facts)]
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
