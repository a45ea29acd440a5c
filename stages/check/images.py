"""Rules over the images that one trainer takes."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from .image_facts import ImageFacts
from .needs import Need
from .report import CheckFindings

Image = tuple[str, ImageFacts]  # name, facts

_CLIPPED = ("I", "F")  # modes that Pillow's convert("RGB") clips
_HIDDEN_ALPHA = ("LA", "RGBA", "PA", "La", "RGBa")


def judge_images(images: Sequence[Image], need: Need, findings: CheckFindings) -> dict[str, Any]:
    """Adds what is wrong with the images; returns facts: images, size, side, mode, format."""
    sound = [image for image in images if not _problem(image, findings)]
    # Equal facts are one object (see facts): the rules are asked once for each.
    broken: dict[int, list[tuple[str, str]]] = {}
    for name, facts in sound:
        if id(facts) not in broken:
            answers = ((rule, ask(facts, need)) for rule, ask in _EACH.items())
            broken[id(facts)] = [(rule, found) for rule, found in answers if found]
        for rule, found in broken[id(facts)]:
            findings.add(rule, name, found)
    _judge_together(sound, need, findings)
    return summary(sound, len(images))


def summary(images: Sequence[Image], count: int) -> dict[str, Any]:
    """What is known of the images: the values of most, and that there are others."""
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


def _problem(image: Image, findings: CheckFindings) -> bool:
    name, facts = image
    if facts.problem is None:
        return False
    findings.add(facts.problem, name, facts.detail)
    return True


def _judge_together(images: Sequence[Image], need: Need, findings: CheckFindings) -> None:
    """One size, one mode: what differs from the most common value is named."""
    if not images:
        return
    rule = "mixed-sizes" if need.exact else "sizes-vary"
    _outliers(images, lambda facts: facts.size, rule, findings)
    if need.exact:
        taken = [image for image in images if image[1].mode in need.modes]
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


# --- rules for one image: what was found, or "" if it is in order


def _wide(facts: ImageFacts, need: Need) -> str:
    clipped = facts.mode in _CLIPPED or facts.mode.startswith("I;")
    if facts.wide and (need.modes or clipped):
        return f"mode {facts.mode}, {facts.format}, more than 8 bits a channel"
    return ""


def _mode(facts: ImageFacts, need: Need) -> str:
    if not need.modes or facts.wide or facts.mode in need.modes or facts.mode == "L":
        return ""
    return f"mode {facts.mode}; it takes {' and '.join(need.modes)}"


def _gray(facts: ImageFacts, need: Need) -> str:
    missing = need.modes and "L" not in need.modes and facts.mode == "L" and not facts.wide
    return "mode L" if missing else ""


def _alpha(facts: ImageFacts, need: Need) -> str:
    dropped = facts.mode in _HIDDEN_ALPHA and (not need.modes or facts.mode in need.modes)
    return f"mode {facts.mode}" if dropped else ""


def _square(facts: ImageFacts, need: Need) -> str:
    return facts.size if need.exact and facts.width != facts.height else ""


def _resized(facts: ImageFacts, need: Need) -> str:
    return facts.size if not need.exact and facts.width != facts.height else ""


def _small(facts: ImageFacts, need: Need) -> str:
    side = min(facts.width, facts.height)
    return facts.size if need.exact and side < need.least_side else ""


def power_of_two(side: int) -> bool:
    return side > 0 and side & (side - 1) == 0


def _square_side(facts: ImageFacts, need: Need) -> int:
    """The side in pixels where the trainer takes it as it is and it is square, else 0."""
    return facts.width if need.exact and facts.width == facts.height else 0


def _power(facts: ImageFacts, need: Need) -> str:
    side = _square_side(facts, need)
    return facts.size if side and need.power_of_two and not power_of_two(side) else ""


def _multiple(facts: ImageFacts, need: Need) -> str:
    side = _square_side(facts, need)
    return facts.size if side % need.multiple_of else ""


def _odd(facts: ImageFacts, need: Need) -> str:
    side = _square_side(facts, need)
    odd = side and need.multiple_of > 1 and side % need.multiple_of == 0 and not power_of_two(side)
    return facts.size if odd else ""


def _unknown(facts: ImageFacts, need: Need) -> str:
    side = _square_side(facts, need)
    if not side or not need.sides or side in need.sides:
        return ""
    return f"{facts.size}; it has {', '.join(map(str, need.sides))}"


def _unadvised(facts: ImageFacts, need: Need) -> str:
    side = _square_side(facts, need)
    if not side or not need.advised_sides or side in need.advised_sides:
        return ""
    return f"{facts.size}; its usual networks have {', '.join(map(str, need.advised_sides))}"


_EACH: dict[str, Callable[[ImageFacts, Need], str]] = {
    "sixteen-bit": _wide,
    "mode": _mode,
    "needs-rgb": _gray,
    "not-square": _square,
    "too-small": _small,
    "not-power-of-two": _power,
    "side-multiple": _multiple,
    "side-unknown": _unknown,
    "odd-side": _odd,
    "side-not-advised": _unadvised,
    "alpha-dropped": _alpha,
    "not-square-resized": _resized,
    "exif-orientation": lambda facts, need: "turned by EXIF" if facts.turned else "",
    "several-frames": lambda facts, need: facts.format if facts.animated else "",
}


def judge_names(names: Sequence[str], findings: CheckFindings) -> None:
    """Names that other systems, or dataset.json, cannot spell, or that lead out of an archive."""
    for name in names:
        leaves = name.startswith("/") or ".." in name.split("/")
        if leaves or not (name.isascii() and name.isprintable()) or "\\" in name:
            findings.add("odd-name", name, "leads out of the archive" if leaves else "")
