"""Checks dataset.json, {"labels": [["rel/path.png", 3], ...]}, as the stylegan reader reads it.

Names are paths from the root with "/". A label is a whole number (a class, one-hot) for every
image, or a list of numbers of one length for every image (soft labels).
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..images.unusable import Unusable
from ..sources.labels import LABELS_FILE, read_pairs
from ..sources.limits import check_json_keys
from .report import CheckFindings

_MISNAMED = ("labels.json", "dataset.jsonl", "metadata.json", "metadata.jsonl", "labels.csv")


def check_labels(
    data: bytes, images: Sequence[str], findings: CheckFindings, *, captions: bool = False
) -> dict[str, Any]:
    """Adds what is wrong with dataset.json's bytes; returns facts: labels, classes.

    images: the names that the reader takes. captions: it takes texts, and nothing else.
    """
    try:
        check_json_keys(LABELS_FILE, data, len(images))
        pairs = read_pairs(data)
    except (ValueError, Unusable) as error:
        findings.add("labels-unreadable", LABELS_FILE, str(error))
        return {}
    if pairs is None:
        return {}
    labels = _by_name(pairs, findings)
    there = set(images)
    for name in labels.keys() - there:
        if "\\" not in name or name.replace("\\", "/") not in there:
            continue
        findings.add("label-backslash", f"{LABELS_FILE}: {name}")
    for name in sorted(labels.keys() - there):
        if name.replace("\\", "/") not in there:
            findings.add("label-dangling", f"{LABELS_FILE}: {name}")
    found = []
    for name in images:
        # The reader looks names up with "/", whatever the file's own name has.
        if (key := name.replace("\\", "/")) in labels:
            found.append((name, labels[key]))
        else:
            findings.add("label-missing", name, _similar_name(name, labels))
    return _check_captions(found, findings) if captions else _check_values(found, findings)


def _check_captions(labels: list[tuple[str, Any]], findings: CheckFindings) -> dict[str, Any]:
    texts = Counter(label for _, label in labels if isinstance(label, str))
    for name, label in labels:
        if not isinstance(label, str):
            findings.add("label-no-caption", name, str(label)[:60])
    if not texts:
        return {}
    classes = dict(sorted(texts.items()))
    return {"labels": "captions", "classes": classes, "class_count": len(classes)}


def _by_name(pairs: list[tuple[str, Any]], findings: CheckFindings) -> dict[str, Any]:
    labels: dict[str, Any] = {}
    for name, label in pairs:
        if name in labels and labels[name] != label:
            found = f"{str(labels[name])[:40]} and {str(label)[:40]}"
            findings.add("label-twice", f"{LABELS_FILE}: {name}", found)
        labels[name] = label
    return labels


def _similar_name(name: str, labels: dict[str, Any]) -> str:
    """A similar name that has a label: in another case, without its folder, with backslashes."""
    for other in (name.lower(), name.rsplit("/", 1)[-1], f"./{name}", name.replace("/", "\\")):
        if other in labels and other != name:
            return f"there is one for {other}"
    return ""


def _kind(label: Any) -> str:
    if isinstance(label, bool) or label is None or isinstance(label, (str, dict)):
        return "other"
    if isinstance(label, int):
        return "number"
    if isinstance(label, float):
        return "float"
    numbers = all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in label)
    return "list" if numbers and label else "other"


def _check_values(labels: list[tuple[str, Any]], findings: CheckFindings) -> dict[str, Any]:
    kinds = [_kind(label) for _, label in labels]
    counts = Counter(kind for kind in kinds if kind in ("number", "list"))
    usual = counts.most_common(1)[0][0] if counts else ""
    for (name, label), kind in zip(labels, kinds, strict=True):
        if kind == "other":
            findings.add("label-type", name, str(label)[:60])
        elif kind == "float":
            findings.add("label-scalar-float", name, str(label))
        elif kind != usual:
            findings.add("label-kinds-mixed", name, str(label)[:60])
    same = [
        (name, label) for (name, label), kind in zip(labels, kinds, strict=True) if kind == usual
    ]
    if usual == "list":
        return _check_lists(same, findings)
    return _check_numbers(same, findings)


def _check_lists(labels: list[tuple[str, list[float]]], findings: CheckFindings) -> dict[str, Any]:
    counts = Counter(len(label) for _, label in labels)
    usual = counts.most_common(1)[0][0]
    for name, label in labels:
        if len(label) != usual:
            findings.add("label-lengths", name, f"{len(label)} numbers; most have {usual}")
        elif not all(math.isfinite(one) for one in label):
            findings.add("label-not-finite", name, str(label)[:60])
    return {"labels": f"lists of {usual} numbers", "class_count": usual}


def _check_numbers(labels: list[tuple[str, int]], findings: CheckFindings) -> dict[str, Any]:
    for name, label in labels:
        if label < 0:
            findings.add("label-negative", name, str(label))
    counts = Counter(label for _, label in labels if label >= 0)
    if not counts:
        return {}
    highest = max(counts)
    if len(counts) != highest + 1:
        missing = next(number for number in range(highest + 1) if number not in counts)
        found = f"highest {highest}, {len(counts)} in use; {missing} is not"
        findings.add("label-gaps", LABELS_FILE, found)
    elif highest == 0:
        findings.add("one-class", LABELS_FILE, "every label is 0")
    classes = {str(number): counts[number] for number in sorted(counts)}
    return {"labels": "class numbers", "classes": classes, "class_count": highest + 1}


def is_misnamed(name: str) -> bool:
    """Whether a file at the root looks like labels under another name."""
    return name in _MISNAMED or (name.lower() == LABELS_FILE and name != LABELS_FILE)
