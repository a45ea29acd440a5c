"""Turns a label as a source stores it into a class, or stops the run: none is dropped silently."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from ...manifests.errors import ConfigError
from ...manifests.foreign_text import printable
from ..images.input import Input, Label

_MAX_DIGITS, _MAX_TEXT = 10, 200  # characters of a class number, of a class name in a text file
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
# What programs write for no number or no value, and several numbers: "1,2".
_NO_NAME = re.compile(
    r"[+-]?(nan|NaN|NAN|inf|Inf|INF|[Ii]nfinity)|None|null|NULL|\d+(\s*[,;]\s*\d+)+"
)
REMEDY = "Mend it, or set ingest.classes: none."


def class_of(value: Any, names: Sequence[str], where: str, remedy: str = REMEDY) -> Label | None:
    """A label's class: its name, its number where there are no names, None for no label.

    names: of the class numbers, or empty. where: the place of the label, for messages.

    Raises:
        ConfigError: neither a text nor a whole number from 0, a number beyond the names or of an
            empty one, or a text that is no name: 1.0, nan, "1,2", one too long or with control
            characters. Null, -1 (Hugging Face) and an empty text are no label, and spaces around a
            text are no part of it.
    """
    if value is None:
        return None
    if isinstance(value, str):
        text = value.strip()
        return None if text in ("", "-1") else _name(text, where)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        if names and value >= len(names):
            raise ConfigError(
                f"The label of {where} is {value}, and its classes have names for 0 to"
                f" {len(names) - 1} alone. {remedy}"
            )
        if names and not names[value].strip():
            raise ConfigError(f"The label of {where} is {value}, whose name is empty. {remedy}")
        return names[value] if names else value
    if value == -1:
        return None
    shown = repr(value)
    shown = f"{shown[:_MAX_TEXT]}..." if len(shown) > _MAX_TEXT else shown
    raise ConfigError(
        f"The label of {where} is {shown}; a class is a text or a whole number from 0. {remedy}"
    )


def class_of_text(data: bytes, names: Sequence[str], where: str) -> Label | None:
    """The class that the bytes of a .cls file give; None for an empty one, and for -1.

    Raises:
        ConfigError: no UTF-8, a number that is no class number, a list or object, a text in
            quotation marks or one that is no name.
    """
    try:
        text = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise ConfigError(f"The label of {where} is no text in UTF-8 ({error}). {REMEDY}") from None
    if is_number(text) and (names or len(text) < _MAX_DIGITS):
        return class_of(int(text), names, where)
    if text == "-1":
        return None
    in_quotes = len(text) > 1 and text[0] == text[-1] == '"'
    if in_quotes or text[:1] in ("[", "{"):
        raise _no_name(text, where)
    return _name(text, where) if text else None


def _no_name(text: str, where: str) -> ConfigError:
    return ConfigError(
        f"The label of {where} is {printable(text[:_MAX_TEXT], line=True)}; a class is a name or a"
        f" whole number from 0. {REMEDY}"
    )


def _name(text: str, where: str) -> str:
    is_number = _NUMBER.fullmatch(text) and not text.isdecimal()
    if is_number or _NO_NAME.fullmatch(text):
        raise _no_name(text, where)
    if not text.isprintable() and any(unicodedata.category(one) == "Cc" for one in text):
        raise _no_name(text, where)
    if len(text) > _MAX_TEXT:
        raise ConfigError(
            f"The label of {where} has {len(text):,} characters, and a class name has at most"
            f" {_MAX_TEXT}: is it a caption? {REMEDY}"
        )
    return text


def refuse_unnamed(inputs: Iterable[Input], title: str) -> None:
    """Raises ConfigError where a class is a number although other files name theirs.

    Call it only where the classes of a file have names. A number that is left is of a file without
    them: nothing says that it means the same.
    """
    numbered = next((item for item in inputs if isinstance(item.label, int)), None)
    if numbered is not None:
        raise ConfigError(
            f"{title} names its classes in some files, and numbers them without names in others, as"
            f" that of {numbered.name}, {numbered.label}. Nothing says that the numbers mean the"
            " same. Give every file the names, name the files as sources of their own, or set"
            " ingest.classes: none."
        )


def is_number(label: Label | None) -> bool:
    """Whether a class is a number, or a name of digits alone: a folder 07, a label "7"."""
    if isinstance(label, str):
        return label.isdecimal() and len(label) <= _MAX_TEXT  # int() refuses thousands of digits
    return label is not None


def clean_class_name(name: str) -> str:
    """The name in Unicode's composed form (NFC), without a byte order mark at its start.

    macOS and others decompose accents in names of files: what looks alike is one class.
    """
    return unicodedata.normalize("NFC", name.removeprefix("\ufeff"))
