"""WebDataset samples in tars: which files belong together, which is the image, what is the label.

Members are grouped by the webdataset library's own rule, by which the key ends at the first dot of
a file's name. Files of a sample that lie apart in the tar are joined. A label that exists and
cannot be used, or that has a second one beside it, stops the run.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from ...manifests.errors import ConfigError
from ...manifests.files.json_reader import parse_json
from ...manifests.foreign_text import first_names
from ..images.input import SECOND_IMAGE, Input, Label, names_image
from .base import read_refused
from .label_fields import (
    LABEL_FIELDS,
    MAX_LABEL_BYTES,
    json_value,
    label_file,
    label_of_fields,
    read_label,
    says_label,
    stored_label,
)
from .lone_labels import refuse_lone_labels
from .spec import SourceSpec
from .tar_member import TarMember

_PLAIN = ("", "image", "img")  # roles of the field that is the image wherever it is there
_MAX_ARRAY_BYTES = 10_000  # of a label that an array holds; a mask's is larger
_REAL, _MADE = "real", "augmented"
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
    def inputs(self) -> dict[str, Input]:
        """Its fields as inputs."""
        return {name: member.input() for name, member in self.fields.items()}


def are_samples(members: list[TarMember], image_field: str | None) -> bool:
    """Whether images have fields beside them (KEY.cls, KEY.json), as in WebDataset shards.

    image_field: that of the image, which other images may be fields beside.
    """
    from webdataset.tariterators import base_plus_ext

    images: set[tuple[str | None, str]] = set()
    fields: set[tuple[str | None, str]] = set()
    asked: set[tuple[str | None, str]] = set()
    for member in members:
        key, name = base_plus_ext(member.name)
        if key is not None and name == image_field:
            asked.add((member.shard, key))
        elif key is not None:
            (images if names_image(member.name) else fields).add((member.shard, key))
    return not (images | asked).isdisjoint(fields) or not asked.isdisjoint(images)


def fields_of(members: list[TarMember]) -> Iterator[tuple[str, Input]]:
    """The fields that may hold a label, small ones and JSON, each with its file."""
    from webdataset.tariterators import base_plus_ext

    for member in members:
        key, name = base_plus_ext(member.name)
        if key is None or names_image(member.name) or member.refused:
            continue
        if name.lower() == "json" or member.size <= MAX_LABEL_BYTES:
            yield name, member.input()


def list_samples(
    members: list[TarMember],
    title: str,
    spec: SourceSpec,
    class_names: dict[str, tuple[str, ...]],
) -> Iterator[Input]:
    """An input per sample, in the order of the shards; images of no sample are inputs as well.

    class_names: by the path of the tar, in the order of its class numbers.
    spec: its image_column is the field of the image, as "left.png"; by default the one that is no
    part of another name. Its label_column is that of the label, or a key of the JSON; by default
    the first of those for labels.

    Raises:
        ConfigError: a label that cannot be used, several images of a sample, or augmented images
            of a corpus beside the real ones.
    """
    seen: set[tuple[str | None, int]] = set()
    apart: list[Input] = []
    unlabelled = False
    samples = _join_apart(_group(members))
    _refuse_made_beside_real(samples, title)
    classes, image_field = spec.classes, spec.image_column
    if classes:
        _refuse_second_labels(samples, members, title)
    second = {role for sample in samples for role in _second_roles(sample)}
    for sample in samples:
        seen.update((member.shard, member.offset) for member in sample.fields.values())
        if not sample.images:
            yield Input(sample.first.full_name, read_refused, "sample without an image")
            apart += sample.inputs.values()
            continue
        chosen = _choose_image(sample, title, image_field)
        if image_field is None and _roles(sample) <= second:
            # A depth map, say, whose photograph is missing: other samples show which is the image.
            for name, member in sample.images.items():
                reason = f"field {name} alone, which in other samples is beside the image"
                yield Input(member.full_name, read_refused, reason, declared_image=True)
            continue
        names = class_names.get(sample.first.path, ())
        label = _sample_label(sample, chosen, title, names, spec.label_column) if classes else None
        unlabelled = unlabelled or label is None
        yield chosen.input(label=label)
        for extra in sample.images.values():
            if extra is not chosen:
                yield Input(extra.full_name, read_refused, SECOND_IMAGE, declared_image=True)
    if classes and unlabelled:
        images = (member.name for member in members if names_image(member.name))
        refuse_lone_labels(apart, images, title, spec.label_column)
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
    shown = first_names([member.name for member in images.values()], _SHOWN)
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
        for name in (*LABEL_FIELDS, "json")
        if (member := sample.fields.get(name))
    }
    used = {id(member) for sample in samples if sample.images for member in sample.fields.values()}
    for member in members:
        first = labelled.get((member.shard, member.name))
        if first is None or id(member) in used:
            continue
        if stored_label(first.input(), title) != stored_label(member.input(), title):
            raise ConfigError(
                f"{title} has the label {member.full_name} twice, and the two differ. Make the tar"
                " again with one of them, or set ingest.classes: none."
            )


def _sample_label(
    sample: _Sample, image: TarMember, title: str, names: tuple[str, ...], column: str | None
) -> Label | None:
    """The class of a sample; None for none. Raises ConfigError for one that cannot be used.

    0.png.json is the JSON of the image 0.png, as 0.json is.
    """
    whole = f"{image.name}."
    fields = {
        member.name.removeprefix(whole).lower(): member.input()
        for member in sample.fields.values()
        if member.name.startswith(whole)
    } | sample.inputs
    label = label_of_fields(fields, names, title, column)
    if label is None and column is None and label_file(fields) is None:
        _refuse_dotted_label(sample, title)
    return label


def _refuse_dotted_label(sample: _Sample, title: str) -> None:
    """Raises ConfigError for a label under a longer name: KEY.v1.label, of an image KEY.v1.png.

    And for any KEY.v1.cls, and for KEY.cls.npy, unless that is as large as a mask.
    """
    stems = {name.rpartition(".")[0] for name in sample.images if "." in name}
    for name, member in sample.fields.items():
        stem, _, ending = name.rpartition(".")
        is_label = bool(stem) and (ending == "cls" or (stem in stems and ending in LABEL_FIELDS))
        if ending == "json" and stem in stems and not member.refused:
            is_label = says_label(json_value(member.input(), title))
        is_array = stem in LABEL_FIELDS and name not in sample.images
        if is_array and member.size <= _MAX_ARRAY_BYTES:
            raise ConfigError(
                f"{title} has the label {member.full_name}, which cannot be used: a class is read"
                f" from {sample.key}.{stem}, a name or a whole number as text. Write it so, or set"
                " ingest.classes: none."
            )
        if is_label:
            raise ConfigError(
                f"{title} has the label {member.full_name}, which cannot be used. {_DOTS}: here the"
                f" key is {sample.key} and the field {name}, where cls or json is expected. Rename"
                f" the files of every sample without dots in their keys, as in"
                f" {_without_dots(member.name)}, or set ingest.classes: none."
            )


def _refuse_made_beside_real(samples: list[_Sample], title: str) -> None:
    """Raises ConfigError for augmented images of a corpus made here beside its real ones.

    All samples of a tar are of one kind: one of each is looked at.
    """
    kinds: dict[str, str] = {}  # of the tars
    names: dict[str, str] = {}  # of one sample of each kind
    for sample in samples:
        path = sample.first.path
        if path in kinds or "json" not in sample.fields:
            continue
        kinds[path] = _kind(sample.fields["json"])
        names.setdefault(kinds[path], sample.first.full_name)
    if {_REAL, _MADE} <= names.keys():
        raise ConfigError(
            f"{title} holds augmented images of a corpus ({names[_MADE]}) beside the real ones"
            f" ({names[_REAL]}), which would count as originals. Name the real ones, as in source:"
            " shards/real-*.tar, or each kind as a source of its own."
        )


def _kind(member: TarMember) -> str:
    """What a corpus made here says of an image; empty in any other JSON."""
    with contextlib.suppress(Exception):  # whatever is wrong with it, reading the label says so
        values = parse_json(read_label(member.input(), member.full_name))
        if isinstance(values, dict) and "source_1" in values:
            return str(values.get("kind", ""))
    return ""
