"""Formats that Pillow reads with a further package: used where it is installed, else named."""

import importlib
import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from PIL import Image

_HOW = "pip install "
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_AVIF = {b"avif", b"avis"}
_JXL = (b"\xff\x0a", b"\x00\x00\x00\x0cJXL \r\n\x87\n")  # ISO/IEC 18181-2: codestream, container


def _brand(head: bytes) -> bytes:
    """The major brand of an ISO base media file, b"" of any other."""
    return head[8:12] if head[4:8] == b"ftyp" else b""


def _registered_by_import(module: Any) -> None:
    pass


def _register_heif(module: Any) -> None:
    module.register_heif_opener()


@dataclass(frozen=True)
class _Plugin:
    """A package that teaches Pillow a format."""

    format: str  # as Pillow calls it
    title: str
    module: str
    package: str
    matches: Callable[[bytes], bool]  # of a file's first bytes
    register: Callable[[Any], None] = _registered_by_import


_PLUGINS = (
    _Plugin("HEIF", "HEIC", "pillow_heif", "pillow-heif", lambda head: _brand(head) in _HEIC,
            _register_heif),
    _Plugin("AVIF", "AVIF", "pillow_avif", "pillow-avif-plugin",
            lambda head: _brand(head) in _AVIF),
    _Plugin("JXL", "JPEG XL", "pillow_jxl", "pillow-jxl-plugin",
            lambda head: head.startswith(_JXL)),
)  # fmt: skip


@cache
def register() -> None:
    """Adds the formats of the packages that are installed; call it before threads decode."""
    Image.init()
    for plugin in _PLUGINS:
        if plugin.format not in Image.OPEN:
            try:
                plugin.register(importlib.import_module(plugin.module))
            except Exception:  # not installed, or not for this Pillow: a row names the package
                continue


def packages_in(reasons: Iterable[str]) -> list[str]:
    """The packages that reasons of `missing_for` name."""
    texts = set(reasons)
    return [one.package for one in _PLUGINS if any(_HOW + one.package in text for text in texts)]


def is_installed(package: str) -> bool:
    """Whether a package of these can be imported now."""
    modules = (one.module for one in _PLUGINS if one.package == package)
    return any(importlib.util.find_spec(module) is not None for module in modules)


def missing_for(data: bytes) -> str | None:
    """The format of a file that Pillow does not read without a package, and which; else None."""
    for plugin in _PLUGINS:
        if plugin.matches(data[:16]) and plugin.format not in Image.OPEN:
            return f"{plugin.title} is read with another package: {_HOW}{plugin.package}"
    return None
