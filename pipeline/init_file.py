"""The stages.yaml that `init` writes: the commented defaults, fitted to a source it looked into."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

from ..manifests.foreign_text import first_names, printable
from ..manifests.storage.location import Place, place
from ..stages.ingest.config import SIDES, IngestConfig
from ..stages.ingest.inventory import JUDGED, default_holdout
from ..stages.ingest.survey import SourceSurvey, survey_source
from ..stages.sources.spec import BUNDLED
from .config import DEFAULT_FILE, expand_user

# Sides in pixels to begin with: on a CPU a training takes some ten minutes of a core, on a GPU an
# hour or so (docs/presets.md).
_FIRST_SIDE = {"cpu": 32, "cuda": 64}
_MANY = 5_000  # images to train on, at most, to begin with
_LONG = 1.25  # long side / short side, from which on cropping is worth a word
_NAMED = 8  # classes that the file's head names
_COLUMN = 30  # where comments begin
_HEAD = """\
# Options of scoremix-pipeline, stage by stage. Fitted to these images: run, source, resolution,
# what is held out or left out, and ratio, 1 to begin with (the default is 10). All others are the
# defaults. "auto" and null are filled in from the tables in docs/presets.md, and the values that
# were used are saved in the run folder's own stages.yaml. docs/options.md lists every option.
"""
_WIDTH = 100


def default_text() -> str:
    """The file with the bundled digits as its source."""
    return DEFAULT_FILE.read_text(encoding="utf-8")


def fitted_text(
    data: str, path: str | None, target: Path, device: Callable[[], str]
) -> tuple[str, str]:
    """The file for the source `data`, and what was found in it, in some lines.

    data: as given on the command line; written relative to the folder of `target` where it lies
    beside or below it. path: as ingest.path. device: gives cpu or cuda, on which the run will
    be; asked once the source was looked into.

    Raises:
        ConfigError: no such source, one of splits, or of classes in part.
        InputError: it holds no image.
    """
    source = _absolute(data)
    found = survey_source(IngestConfig(source=str(source), path=path))
    lines = _facts(found)
    text = default_text()
    head = "".join(f"# {line}\n" for line in lines)
    options = text.partition("\n\n")[2]  # without the head, which is of the digits
    text = f"# Written for {_shown(data)}:\n{head}#\n{_HEAD}\n{options}"
    folder = f"run: runs/{_name_of(source)}"
    text = _replaced(text, "run:", folder, "the run folder: everything is written below it")
    if path is not None:
        text = _replaced(text, "  path:", f"  path: {_quoted(path)}", "the folder inside it")
    for start, entry, reason in _choices(found, _written(source, target), device()):
        text = _replaced(text, start, entry, reason)
    return text, "\n".join(lines)


def _absolute(data: str) -> Place | str:
    if data in BUNDLED:
        return data
    found = place(data)
    return expand_user(found).absolute() if isinstance(found, Path) else found


def _written(source: Place | str, target: Path) -> str:
    """The source as the file names it."""
    if isinstance(source, Path):
        folder = target.absolute().parent
        inside = os.path.relpath(source, folder)
        if inside in BUNDLED:  # a folder of that name, and not the bundled set
            return f".{os.sep}{inside}"
        return str(source) if inside.startswith(f"..{os.sep}..") else inside
    return str(source)


def _name_of(source: Place | str) -> str:
    """A name for the run folder: photos/ -> photos, cats.zip -> cats."""
    name = source if isinstance(source, str) else source.name.partition(".")[0]
    return re.sub(r"[^\w-]+", "_", name).strip("_") or "images"


def _facts(found: SourceSurvey) -> list[str]:
    least, median, most = found.sides
    sizes = f"{least:,} px" if least == most else f"{least:,} to {most:,} px, median {median:,} px"
    colours = "gray" if found.all_gray else "in colour"
    lines = [f"{found.images:,} images, {colours}; short side {sizes}"]
    if found.others:
        lines.append(f"{found.others:,} other files, which are no images and are left out")
    if found.classes:
        named = [f"{_shown(name)} ({count:,})" for name, count in found.classes.items()]
        lines.append(f"{len(named):,} classes: {first_names(named, _NAMED)}")
    else:
        lines.append("no classes: one set")
    if found.copies:
        lines.append(f"{found.copies:,} files are byte for byte copies of others, and are dropped")
    elif found.copies is None:
        lines.append("copies among the files were not counted; ingest drops them")
    if found.bad:
        name, reason = next(iter(found.bad.items()))
        lines.append(
            f"{len(found.bad)} of {found.decoded} images tried cannot be used, as {_shown(name)}:"
            f" {_shown(reason)}"
        )
    lines += [_shown(note) for note in found.notes]
    return lines


def _choices(found: SourceSurvey, written: str, device: str) -> list[tuple[str, str, str]]:
    """(start of a line of the default file, its new entry, the reason) of all that is fitted."""
    side, why = first_side(found, device)
    images = found.images - (found.copies or 0)
    choices = [
        ("  source:", f"  source: {_quoted(written)}", "or a list of several: docs/ingest.md"),
        ("  resolution:", f"  resolution: {side}", why),
        ("  fraction:", "  # fraction: 0.5", "train on a seeded half of each class"),
        ("  ratio:", "  ratio: 1", "a higher one later keeps these images and makes more"),
    ]
    if found.aspect > _LONG:
        lost = f"crop (centre) cuts off {1 - 1 / found.aspect:.0%} of the usual image"
        choices.append(("  fit:", "  fit: crop", f"{lost}; or pad | stretch"))
    if images > _MANY * 1.2:
        reason = f"a part of {images:,} to begin with, every class in turn; the rest is held out"
        choices.append(("  # limit:", f"  limit: {_MANY}", reason))
    else:
        choices.append(_holdout(images))
    lone = [name for name, count in found.classes.items() if count < 2]
    if lone:
        reason = f"{_shown(lone[0])} has one image, which pairs with itself"
        choices.append(("  lone_class:", "  lone_class: self", reason))
    return choices


def _holdout(images: int) -> tuple[str, str, str]:
    """The entry of `holdout`: what the default would be, and what it is good for."""
    share = default_holdout(images)
    if not share:
        reason = f"with {images} images none can be spared, so that nothing is compared"
        return "  # holdout:", "  # holdout: 0.2", reason
    held = round(share * images)
    if held >= JUDGED:
        reason = f"{held} of {images:,} images are not trained on: pilot and verdict use them"
    else:
        reason = f"{held} of {images} images end the training in time; a verdict needs {JUDGED}"
    return "  # holdout:", f"  holdout: {share:.3g}", reason


def first_side(found: SourceSurvey, device: str) -> tuple[int, str]:
    """The side in pixels to begin with, and why."""
    median, most = found.sides[1], _FIRST_SIDE[device]
    if found.suggested:
        return found.suggested, "the source's own size"
    hardware = "this CPU" if device == "cpu" else "one GPU"
    if median > most:
        return most, f"quick on {hardware}; {2 * most} takes 4 times as long; images: {median:,} px"
    side = max(side for side in SIDES if side <= max(median, SIDES[0]))
    if side & (side - 1):
        return side, "the images' own; StyleGAN and others need a power of two"
    return side, "the images' own"


def _replaced(text: str, start: str, entry: str, reason: str) -> str:
    """The text with another entry and comment in the line that begins with `start`.

    Lines that continue the old comment go with it.
    """
    pattern = rf"^{re.escape(start)} [^\n]*\n(?: {{20,}}#[^\n]*\n)*"
    changed, count = re.subn(pattern, lambda _: _line(entry, reason), text, count=1, flags=re.M)
    assert count == 1, f"the default file has no line {start!r}"
    return changed


def _line(entry: str, reason: str) -> str:
    """An entry with its comment, wrapped below itself where it is long."""
    rows, row = [], ""
    for word in reason.split():
        if row and _COLUMN + 2 + len(row) + 1 + len(word) > _WIDTH:
            rows.append(row)
            row = word
        else:
            row = f"{row} {word}".strip()
    rows.append(row)
    first = f"{entry:<{_COLUMN}}" if len(entry) < _COLUMN else f"{entry}  "
    lines = [f"{first}# {rows[0]}", *(f"{'':<{_COLUMN}}# {one}" for one in rows[1:])]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A YAML scalar: JSON's quotes where a plain word could be read as something else."""
    plain = re.fullmatch(r"[A-Za-z_./][\w./-]*", text) and not re.fullmatch(
        r"(?i)null|true|false|yes|no|on|off|y|n|~", text
    )
    return text if plain else json.dumps(text, ensure_ascii=False)


def _shown(text: str) -> str:
    return printable(text, line=True)
