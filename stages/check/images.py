"""Checks the images that one trainer would read: size, mode, depth, names."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from ...manifests.trainers.requirements import is_power_of_two, list_sides, size_problems
from ...manifests.trainers.spec import TrainerSpec
from .image_facts import ImageFacts
from .report import CheckFindings

Image = tuple[str, ImageFacts]  # name, facts

_CLIPPED = ("I", "F")  # modes that Pillow's convert("RGB") clips
_HIDDEN_ALPHA = ("LA", "RGBA", "PA", "La", "RGBa")


def check_images(
    images: Sequence[Image], spec: TrainerSpec, findings: CheckFindings
) -> dict[str, Any]:
    """Adds what is wrong with the images; returns facts: images, size, side, mode, format."""
    sound = [image for image in images if not _is_broken(image, findings)]
    # Equal facts are one object (see image_facts): each rule is evaluated once for it.
    broken: dict[int, list[tuple[str, str]]] = {}
    for name, facts in sound:
        if id(facts) not in broken:
            answers = ((rule, ask(facts, spec)) for rule, ask in _IMAGE_RULES.items())
            broken[id(facts)] = [(rule, found) for rule, found in answers if found]
            broken[id(facts)] += check_size(spec, facts.width, facts.height)
        for rule, found in broken[id(facts)]:
            findings.add(rule, name, found)
    _check_uniform(sound, spec, findings)
    return image_summary(sound, len(images))


def image_summary(images: Sequence[Image], count: int) -> dict[str, Any]:
    """Facts about the images: the most common values, and how many others there are."""
    sizes = Counter((facts.width, facts.height) for _, facts in images)
    width, height = sizes.most_common(1)[0][0] if sizes else (0, 0)
    return {
        "images": count,
        "size": _values(Counter(facts.size for _, facts in images)),
        "side": min(width, height) or None,
        "mode": _values(Counter(facts.mode for _, facts in images)),
        "format": _values(Counter(facts.format for _, facts in images)),
    }


def _values(counts: Counter[str]) -> str:
    if len(counts) > 3:
        return f"{counts.most_common(1)[0][0]} and {len(counts) - 1} others"
    return " and ".join(value for value, _ in counts.most_common())


def _is_broken(image: Image, findings: CheckFindings) -> bool:
    name, facts = image
    if facts.problem is None:
        return False
    findings.add(facts.problem, name, facts.detail)
    return True


def _check_uniform(images: Sequence[Image], spec: TrainerSpec, findings: CheckFindings) -> None:
    """Adds the images whose size or mode differs from the most common one."""
    if not images:
        return
    rule = "mixed-sizes" if spec.exact else "sizes-vary"
    _outliers(images, lambda facts: facts.size, rule, findings)
    if spec.exact:
        taken = [image for image in images if image[1].mode in spec.modes]
        _outliers(taken, lambda facts: facts.mode, "mixed-modes", findings)


def _outliers(
    images: Sequence[Image], value: Callable[[ImageFacts], str], rule: str, findings: CheckFindings
) -> None:
    counts = Counter(value(facts) for _, facts in images)
    if len(counts) < 2:
        return
    usual, many = counts.most_common(1)[0]
    for name, facts in images:
        if value(facts) != usual:
            found = f"{value(facts)}; {many:,} of {len(images):,} are {usual}"
            findings.add(rule, name, found)


def check_size(spec: TrainerSpec, width: int, height: int) -> list[tuple[str, str]]:
    """(rule, what was found) for every rule that a size of width x height pixels breaks.

    Errors are `size_problems`, by which `export` refuses a corpus; the rest are warnings.
    """
    size = f"{width}x{height}"
    found = {"side-unknown": f"{size}; it has {list_sides(spec.sides)}"}
    broken = [(rule, found.get(rule, size)) for rule in size_problems(spec, width, height)]
    if width != height or any(rule == "side-unknown" for rule, _ in broken):
        return broken
    if spec.usual_sides and width not in spec.usual_sides:
        usual = list_sides(spec.usual_sides)
        broken.append(("side-not-advised", f"{size}; its usual networks have {usual}"))
    if spec.usual_power_of_two and not broken and not is_power_of_two(width):
        broken.append(("odd-side", size))
    return broken


# --- rules for one image: what was found, or "" if it is in order


def _wide(facts: ImageFacts, spec: TrainerSpec) -> str:
    clipped = facts.mode in _CLIPPED or facts.mode.startswith("I;")
    if facts.wide and not facts.planes and (spec.modes or clipped):
        return f"mode {facts.mode}, {facts.format}, more than 8 bits a channel"
    return ""


def _mode(facts: ImageFacts, spec: TrainerSpec) -> str:
    if not spec.modes or facts.wide or facts.mode in spec.modes or facts.mode == "L":
        return ""
    return f"mode {facts.mode}; it takes {' and '.join(spec.modes)}"


def _gray(facts: ImageFacts, spec: TrainerSpec) -> str:
    missing = spec.modes and "L" not in spec.modes and facts.mode == "L" and not facts.wide
    return "mode L" if missing else ""


def _alpha(facts: ImageFacts, spec: TrainerSpec) -> str:
    dropped = facts.mode in _HIDDEN_ALPHA and (not spec.modes or facts.mode in spec.modes)
    return f"mode {facts.mode}" if dropped else ""


def _resized(facts: ImageFacts, spec: TrainerSpec) -> str:
    return facts.size if not spec.exact and facts.width != facts.height else ""


_IMAGE_RULES: dict[str, Callable[[ImageFacts, TrainerSpec], str]] = {
    "sixteen-bit": _wide,
    "sixteen-bit-planes": lambda facts, spec: facts.format if facts.planes else "",
    "mode": _mode,
    "needs-rgb": _gray,
    "alpha-dropped": _alpha,
    "not-square-resized": _resized,
    "exif-orientation": lambda facts, spec: "turned by EXIF" if facts.turned else "",
    "several-frames": lambda facts, spec: facts.format if facts.animated else "",
}


def check_names(names: Sequence[str], findings: CheckFindings) -> None:
    """Adds names that are not printable ASCII, or that lead out of an archive."""
    for name in names:
        leaves = name.startswith("/") or ".." in name.split("/")
        if leaves or not (name.isascii() and name.isprintable()) or "\\" in name:
            findings.add("odd-name", name, "leads out of the archive" if leaves else "")
