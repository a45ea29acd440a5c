"""Reads YAML of others: plain values alone, no key twice, nothing that ends in another error."""

from collections.abc import Hashable
from contextlib import suppress
from typing import Any

import yaml
from yaml.composer import Composer

_DEEPEST = 50  # collections in each other; a stages.yaml has four
_MOST_BITS = 1024  # of a whole number; a seed has 64
_INT = "tag:yaml.org,2002:int"


class _Strict:
    """Before a SafeLoader, which takes the last of two equal keys without a word."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise yaml.YAMLError(f"more than {_DEEPEST} levels of nesting")
        node = super().compose_node(parent, index)  # type: ignore[misc]
        self._depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:merge":
                name = self.construct_object(key, deep=True)  # type: ignore[attr-defined]
                if isinstance(name, Hashable) and name in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {name!r} is there twice", key.start_mark
                    )
                if isinstance(name, Hashable):
                    seen.add(name)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)  # type: ignore[misc]
        return mapping

    def construct_yaml_int(self, node: Any) -> int:
        """As SafeLoader does; hexadecimal digits, unlike decimal ones, have no bound in Python."""
        value: int = super().construct_yaml_int(node)  # type: ignore[misc]
        if value.bit_length() > _MOST_BITS:
            raise yaml.constructor.ConstructorError(
                None, None, "a number too long to be one", node.start_mark
            )
        return value


class _Loader(_Strict, yaml.SafeLoader):
    """All of it in Python; its errors show the line."""


_Loader.add_constructor(_INT, _Loader.construct_yaml_int)  # type: ignore[type-var]
_loaders: list[Any] = [_Loader]

if yaml.__with_libyaml__:

    class _QuickLoader(_Strict, Composer, yaml.CSafeLoader):
        """The same with libyaml's scanner and parser: a tenth of a second less for a stages.yaml.

        Composer again: libyaml's own recurses as deep as the text is nested.
        """

        def __init__(self, text: str) -> None:
            yaml.CSafeLoader.__init__(self, text)
            Composer.__init__(self)

    _QuickLoader.add_constructor(_INT, _QuickLoader.construct_yaml_int)  # type: ignore[type-var]
    _loaders.insert(0, _QuickLoader)


def load_yaml(text: str) -> Any:
    """The value of a document, of the types that JSON has and dates.

    Raises:
        yaml.YAMLError: no YAML, a key twice, too deep a nesting, or a number too long to be one.
    """
    for quick in _loaders[:-1]:
        with suppress(yaml.YAMLError, ValueError, RecursionError, OverflowError):
            return yaml.load(text, quick)
    try:
        return yaml.load(text, _Loader)
    except (ValueError, RecursionError, OverflowError) as error:
        raise yaml.YAMLError(str(error) or type(error).__name__) from error
