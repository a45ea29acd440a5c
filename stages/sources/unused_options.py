"""Refuses options of a source that its kind makes no use of: each would be ignored in silence."""

from ...manifests.errors import ConfigError
from .spec import SourceSpec

_SHOWN = {"path": "ingest.path"}
OPTIONS = ("path", "image_column", "label_column")
_LACKS = {
    "path": "no folders",
    "image_column": "no columns, and no samples of several images",
    "label_column": "no columns of labels",
}


def refuse_unused(spec: SourceSpec, title: str, *names: str) -> None:
    """Raises ConfigError where one of the options `names` is set.

    title: of the source, for messages.
    """
    for name in names:
        value = getattr(spec, name)
        if value is not None:
            raise ConfigError(
                f"{_SHOWN.get(name, name)} is {value!r}, but {title} has {_LACKS[name]}. Leave it"
                " out."
            )


def no_column(column: str, why: str) -> ConfigError:
    """The error for a label_column that no file of labels has."""
    return ConfigError(f"label_column is {column!r}, and {why}. Correct it or leave it out.")
