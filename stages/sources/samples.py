"""WebDataset samples in tars: which files belong together, which is the image, what is the label.

Members are grouped by the webdataset library's own rule, by which the key ends at the first dot of
a file's name. Files of a sample that lie apart in the tar are joined. A label that exists and
cannot be used stops the run.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from ...manifests.errors import ConfigError
from ..images.input import Input, Label, names_image
from ..images.unusable import explain
from .base import read_refused
from .class_values import class_of, class_of_text
from .tar_member import TarMember

_LABEL_KEYS = ("label", "cls", "class", "class_id")  # of a sample's JSON
_MAX_LABEL_BYTES = 200  # of a .cls beside no image; LaTeX has files of that name, and larger ones
_SHOWN = 4  # names in a message
_DOTS = "In WebDataset a key ends at the first dot of a file's name"

_Members = dict[str, TarMember]  # by field: "png", "mask.png", "cls"


@dataclass
class _Sample:
    """The files of one key."""

    key: str
    fields: _Members = field(default_factory=dict)

    @property
    def images(self) -> _Members:
        return {name: member for name, member in self.fields.items() if names_image(member.name)}

    @property
    def first(self) -> TarMember:
        return next(iter(self.fields.values()))


def are_samples(members: list[TarMember]) -> bool:
    """Whether images have fields beside them (KEY.cls, KEY.json), as in WebDataset shards."""
    from webdataset.tariterators import base_plus_ext

    images: set[tuple[str | None, str]] = set()
    fields: set[tuple[str | None, str]] = set()
    for member in members:
        key, _ = base_plus_ext(member.name)
        if key is not None:
            (images if names_image(member.name) else fields).add((member.shard, key))
    return not images.isdisjoint(fields)


def refuse_lone_labels(members: list[TarMember], title: str) -> None:
    """Raises ConfigError for .cls files in tars in which no image has a field of its key."""
    labels = [member for member in members if member.name.lower().endswith(".cls")]
    if labels and max(member.size for member in labels) <= _MAX_LABEL_BYTES:
        raise _lone_labels([member.full_name for member in labels], title)


def list_samples(
    members: list[TarMember],
    title: str,
    classes: bool,
    class_names: dict[str, tuple[str, ...]],
    image_field: str | None = None,
) -> Iterator[Input]:
    """An input per sample, in the order of the shards; images of no sample are inputs as well.

    class_names: by the path of the tar, in the order of its class numbers.
    image_field: of the image, as "left.png"; by default the one that is no part of another name.

    Raises:
        ConfigError: a label that cannot be used, or several images of a sample.
    """
    seen: set[tuple[str | None, int]] = set()
    lone_labels: list[str] = []
    unlabelled = False
    for sample in _join_apart(_group(members)):
        seen.update((member.shard, member.offset) for member in sample.fields.values())
        if not sample.images:
            yield Input(sample.first.full_name, read_refused, "sample without an image")
            lone_labels += [sample.fields["cls"].full_name] if "cls" in sample.fields else []
            continue
        chosen = _choose_image(sample, title, image_field)
        label = _sample_label(sample, title, class_names) if classes else None
        unlabelled = unlabelled or label is None
        yield chosen.input(label=label)
        for extra in sample.images.values():
            if extra is not chosen:
                reason = "second image of its sample"
                yield Input(extra.full_name, read_refused, reason, declared_image=True)
    if classes and unlabelled and lone_labels:
        raise _lone_labels(lone_labels, title)
    for member in members:
        if names_image(member.name) and (member.shard, member.offset) not in seen:
            reason = "of no sample, or twice in one"
            yield Input(member.full_name, read_refused, reason, declared_image=True)


def _group(members: list[TarMember]) -> Iterator[_Sample]:
    """Files that follow each other in one tar and have the same key.

    Tar by tar: the library takes equal keys at the end of one and the start of the next, as of
    tars of one sample each, for one sample.
    """
    from webdataset.tariterators import group_by_keys

    for _, inside in groupby(members, key=lambda member: (member.path, member.shard)):
        stream = ({"fname": member.name, "data": member, "__url__": ""} for member in inside)
        for grouped in group_by_keys(stream, handler=lambda error: True):
            files = {name: value for name, value in grouped.items() if not name.startswith("__")}
            yield _Sample(grouped["__key__"], files)


def _join_apart(samples: Iterator[_Sample]) -> list[_Sample]:
    """Adds to each sample the files of its key that lie elsewhere in the same tar.

    A key that is used again, with the same fields or with another plain image, is another sample.
    Where it is not certain to which of several the files belong, they stay apart.
    """
    joined: list[_Sample] = []
    by_key: dict[tuple[str | None, str], list[_Sample]] = {}
    for sample in samples:
        same = by_key.setdefault((sample.first.shard, sample.key), [])
        fitting = [earlier for earlier in same if _fits(earlier, sample)]
        if len(fitting) == 1:
            fitting[0].fields |= sample.fields
        else:
            same.append(sample)
            joined.append(sample)
    return joined


def _fits(earlier: _Sample, later: _Sample) -> bool:
    both_plain = _has_plain_image(earlier) and _has_plain_image(later)
    return not both_plain and earlier.fields.keys().isdisjoint(later.fields)


def _has_plain_image(sample: _Sample) -> bool:
    return any("." not in name for name in sample.images)


def _choose_image(sample: _Sample, title: str, image_field: str | None) -> TarMember:
    """The image among a sample's images: the field asked for, the only plain one, or the only one.

    Raises:
        ConfigError: several that may be it, or not the one asked for.
    """
    images = sample.images
    if image_field is not None and image_field not in images:
        raise ConfigError(
            f"image_column is {image_field!r}, and the sample {sample.key} of {title} has no such"
            f" image. Its images: {', '.join(images)}."
        )
    plain = [name for name in images if "." not in name]
    named = [name for name in images if name.split(".")[0] in ("image", "img")]
    for names in ([image_field] if image_field else [], plain, named, list(images)):
        if len(names) == 1:
            return images[names[0]]
        if names:
            break
    shown = ", ".join(member.name for member in list(images.values())[:_SHOWN])
    shown += f" and {len(images) - _SHOWN} more" if len(images) > _SHOWN else ""
    first, member = next(iter(images.items()))
    if plain:
        reason = "Nothing says which of them is the image."
    else:
        reason = (
            f"{_DOTS}: that of {member.name} is {sample.key}. If it is meant to be longer, rename"
            f" the files without dots in their keys, as in {_without_dots(member.name)}."
        )
    raise ConfigError(
        f"The sample {sample.key} of {title} has several images: {shown}. {reason} If they are one"
        f" sample, say which is the image: source: [{{source: ..., image_column: {first}}}]."
    )


def _without_dots(name: str) -> str:
    folder, slash, file = name.rpartition("/")
    stem, _, ending = file.rpartition(".")
    return f"{folder}{slash}{stem.replace('.', '_')}.{ending}"


def _lone_labels(names: list[str], title: str) -> ConfigError:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ConfigError(
        f"{title} has labels that belong to no image: {', '.join(names[:_SHOWN])}{more}. The files"
        " of a sample have the same name up to the first dot and lie in one tar. Rename them, or"
        " set ingest.classes: none."
    )


# --- labels


def _sample_label(
    sample: _Sample, title: str, class_names: dict[str, tuple[str, ...]]
) -> Label | None:
    """The class of a sample: its .cls, else its JSON's.

    Raises:
        ConfigError: there is a label, and it is none that can be used.
    """
    names = class_names.get(sample.first.path, ())
    if "cls" in sample.fields:
        member = sample.fields["cls"]
        return class_of_text(_read_label(member, title), names, f"{member.full_name} of {title}")
    if "json" in sample.fields:
        member = sample.fields["json"]
        label = _json_label(member, names, title)
        if label is not None:
            return label
    _refuse_dotted_label(sample, title)
    return None


def _read_label(member: TarMember, title: str) -> bytes:
    try:
        if member.refused:
            raise ValueError(member.refused)
        return member.input().read()
    except Exception as error:  # whatever keeps it from being read is the reason
        reason = member.refused or explain(error)
        raise ConfigError(
            f"The label {member.full_name} of {title} could not be read ({reason}). Mend it, or set"
            " ingest.classes: none."
        ) from error


def _json_label(member: TarMember, names: tuple[str, ...], title: str) -> Label | None:
    values = _json_object(_read_label(member, title))
    found = {key: values[key] for key in _LABEL_KEYS if values.get(key) is not None}
    for key, value in found.items():
        is_last = key == list(found)[-1]
        try:
            return class_of(value, names, f"{member.full_name} of {title} ({key})")
        except ConfigError:
            if is_last:
                raise
    return None


def _json_object(data: bytes) -> dict[str, Any]:
    """A JSON object; empty for anything else, which has no label."""
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _refuse_dotted_label(sample: _Sample, title: str) -> None:
    """Raises ConfigError for a label under a longer name: KEY.v1.cls, of an image KEY.v1.png."""
    stems = {name.rpartition(".")[0] for name in sample.images if "." in name}
    for name, member in sample.fields.items():
        stem, _, ending = name.rpartition(".")
        is_label = ending == "cls" and bool(stem)
        if ending == "json" and stem in stems and not member.refused:
            values = _json_object(_read_label(member, title))
            is_label = any(values.get(key) is not None for key in _LABEL_KEYS)
        if is_label:
            raise ConfigError(
                f"{title} has the label {member.full_name}, which cannot be used. {_DOTS}: here the"
                f" key is {sample.key} and the field {name}, where cls or json is expected. Rename"
                f" the files of every sample without dots in their keys, as in"
                f" {_without_dots(member.name)}, or set ingest.classes: none."
            )
