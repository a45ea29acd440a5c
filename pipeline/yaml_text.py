"""Reads YAML of others: plain values alone, no key twice, nothing that ends in another error."""

from collections.abc import Hashable
from copy import deepcopy
from functools import lru_cache
from typing import Any

import yaml

_DEEPEST = 50  # collections in each other; a stages.yaml has four
_MOST_BITS = 1024  # of a whole number; a seed has 64


class _Loader(yaml.SafeLoader):
    """SafeLoader takes the last of two equal keys without a word."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise yaml.YAMLError(f"more than {_DEEPEST} levels of nesting")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:merge":
                name = self.construct_object(key, deep=True)
                if isinstance(name, Hashable) and name in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {name!r} is there twice", key.start_mark
                    )
                if isinstance(name, Hashable):
                    seen.add(name)
        return super().construct_mapping(node, deep)

    def construct_yaml_int(self, node: Any) -> int:
        """As SafeLoader does; hexadecimal digits, unlike decimal ones, have no bound in Python."""
        value: int = super().construct_yaml_int(node)
        if value.bit_length() > _MOST_BITS:
            raise yaml.constructor.ConstructorError(
                None, None, "a number too long to be one", node.start_mark
            )
        return value


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_yaml_int)


def load_yaml(text: str) -> Any:
    """The value of a document, of the types that JSON has and dates; a copy of its own.

    Raises:
        yaml.YAMLError: no YAML, a key twice, too deep a nesting, or a number too long to be one.
    """
    return deepcopy(_parsed(text))


@lru_cache(maxsize=16)
def _parsed(text: str) -> Any:
    """Parsed once: a command reads the embedded defaults and a stages.yaml several times."""
    try:
        return yaml.load(text, _Loader)
    except (ValueError, RecursionError, OverflowError) as error:
        raise yaml.YAMLError(str(error) or type(error).__name__) from error
