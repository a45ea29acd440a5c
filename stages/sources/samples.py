"""WebDataset samples in tars: which files belong together, which is the image, what is the label.

Members are grouped by the webdataset library's own rule, by which the key ends at the first dot of
a file's name. Files of a sample that lie apart in the tar are joined. A label that exists and
cannot be used, or that has a second one beside it, stops the run.
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
from .metadata_file import LABEL_NAMES
from .tar_member import TarMember

# Fields of a sample, and keys of its JSON: the first of them that is there has the class.
_LABEL_FIELDS = ("cls", *(name for name in LABEL_NAMES if name != "cls"))
_LABEL_KEYS = ("label", "cls", "class", "class_id", "labels", "category", "target")
_PLAIN = ("", "image", "img")  # roles of the field that is the image wherever it is there
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

    @property
    def label_file(self) -> TarMember | None:
        """The file whose whole content is the label."""
        return next((self.fields[name] for name in _LABEL_FIELDS if name in self.fields), None)


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
    samples = _join_apart(_group(members))
    if classes:
        _refuse_second_labels(samples, members, title)
    second = {role for sample in samples for role in _second_roles(sample)}
    for sample in samples:
        seen.update((member.shard, member.offset) for member in sample.fields.values())
        if not sample.images:
            yield Input(sample.first.full_name, read_refused, "sample without an image")
            lone_labels += [sample.label_file.full_name] if sample.label_file else []
            continue
        chosen = _choose_image(sample, title, image_field)
        if image_field is None and _roles(sample) <= second:
            # A depth map, say, whose photograph is missing: other samples show which is the image.
            for name, member in sample.images.items():
                reason = f"field {name} alone, which in other samples is beside the image"
                yield Input(member.full_name, read_refused, reason, declared_image=True)
            continue
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
    return any(_role(name) == "" for name in sample.images)


def _role(field: str) -> str:
    """What the name of a field says its image is: depth of depth.png, nothing of png."""
    return field.rpartition(".")[0]


def _roles(sample: _Sample) -> set[str]:
    return {_role(name) for name in sample.images}


def _second_roles(sample: _Sample) -> set[str]:
    """Roles of images that are beside the image itself: depth, where 0.depth.png is by 0.png."""
    roles = _roles(sample)
    return roles - {*_PLAIN} if roles & {*_PLAIN} else set()


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


def _refuse_second_labels(samples: list[_Sample], members: list[TarMember], title: str) -> None:
    """Raises ConfigError where a label of an image is there twice, in the same tar.

    `tar -r` appends a file that was changed: which of the two holds is for the user to say. The
    same bytes again say nothing new.
    """
    labelled = {
        (member.shard, member.name): member
        for sample in samples
        if sample.images
        for name in (*_LABEL_FIELDS, "json")
        if (member := sample.fields.get(name))
    }
    used = {id(member) for sample in samples if sample.images for member in sample.fields.values()}
    for member in members:
        first = labelled.get((member.shard, member.name))
        if first is None or id(member) in used:
            continue
        if _stored_label(first, title) != _stored_label(member, title):
            raise ConfigError(
                f"{title} has the label {member.full_name} twice, and the two differ. Make the tar"
                " again with one of them, or set ingest.classes: none."
            )


def _sample_label(
    sample: _Sample, title: str, class_names: dict[str, tuple[str, ...]]
) -> Label | None:
    """The class of a sample: its .cls or another field of a label's name, else its JSON's.

    Raises:
        ConfigError: there is a label, and it is none that can be used.
    """
    names = class_names.get(sample.first.path, ())
    if member := sample.label_file:
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
    values = _json_object(member, title)
    found = {key: values[key] for key in _LABEL_KEYS if values.get(key) is not None}
    for key, value in found.items():
        is_last = key == list(found)[-1]
        try:
            return class_of(value, names, f"{member.full_name} of {title} ({key})")
        except ConfigError:
            if is_last:
                raise
    return None


def _stored_label(member: TarMember, title: str) -> Any:
    """What a file says of the label, whether that is a class or not."""
    if not member.name.lower().endswith(".json"):
        return _read_label(member, title)
    values = _json_object(member, title)
    return {key: values[key] for key in _LABEL_KEYS if key in values}


def _json_object(member: TarMember, title: str) -> dict[str, Any]:
    """A JSON object; empty for a list or a text, which has no label.

    Raises ConfigError for what is no JSON: a label may be in it.
    """
    try:
        values = json.loads(_read_label(member, title))
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"{member.full_name} of {title} is no JSON ({explain(error)}), so that its label, if it"
            " has one, cannot be read. Mend it, or set ingest.classes: none."
        ) from error
    return values if isinstance(values, dict) else {}


def _refuse_dotted_label(sample: _Sample, title: str) -> None:
    """Raises ConfigError for a label under a longer name: KEY.v1.cls, of an image KEY.v1.png."""
    stems = {name.rpartition(".")[0] for name in sample.images if "." in name}
    for name, member in sample.fields.items():
        stem, _, ending = name.rpartition(".")
        is_label = ending == "cls" and bool(stem)
        if ending == "json" and stem in stems and not member.refused:
            values = _json_object(member, title)
            is_label = any(values.get(key) is not None for key in _LABEL_KEYS)
        if is_label:
            raise ConfigError(
                f"{title} has the label {member.full_name}, which cannot be used. {_DOTS}: here the"
                f" key is {sample.key} and the field {name}, where cls or json is expected. Rename"
                f" the files of every sample without dots in their keys, as in"
                f" {_without_dots(member.name)}, or set ingest.classes: none."
            )
