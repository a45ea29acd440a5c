"""A `path` of a source that is unset by a word, as null, which may be a folder's name, too."""

import re
from pathlib import Path
from typing import Any

from ..manifests.errors import ConfigError
from ..manifests.storage.location import is_url
from ..stages.ingest.config import IngestConfig, SourceConfig

_UNSET = re.compile(r"^[^#\n]*\bpath:[ \t]*(~|null|Null|NULL)(?![^\s,}])", re.M)


def unset_paths(text: str) -> list[str]:
    """The words by which `path` is unset in a stages.yaml."""
    return list(dict.fromkeys(_UNSET.findall(text)))


def refuse_folder_named(
    word: str, ingest: IngestConfig, unseen: str | SourceConfig | None, asked: str, quoted: str
) -> None:
    """Raises ConfigError where a source without a `path` has a folder of the name `word`.

    word: which YAML reads as no value. unseen: recognition.unseen. asked, quoted: how the word was
        written, and is written as text.
    """
    specs = [*ingest.sources, ingest.reference_source]
    if unseen is not None:
        specs += ingest.model_copy(update={"source": unseen, "path": None}).sources
    for spec in specs:
        if spec is None or spec.path is not None or is_url(spec.source):
            continue
        if Path(spec.source, word).is_dir():
            raise ConfigError(
                f"{asked}: YAML reads {word} as no value, and {spec.source} has a folder of that"
                f" name. To read it, quote it: {quoted}; for all of the source, leave the option"
                " out."
            )


def without_unset_paths(value: Any) -> Any:
    """The values of a config without each `path` that is unset, at any depth."""
    if isinstance(value, list):
        return [without_unset_paths(item) for item in value]
    if isinstance(value, dict):
        kept = ((key, item) for key, item in value.items() if (key, item) != ("path", None))
        return {key: without_unset_paths(item) for key, item in kept}
    return value
