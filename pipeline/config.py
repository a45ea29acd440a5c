"""stages.yaml: every stage's own Config composed into one, checked, and resolved."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, Field, ValidationError

from ..manifests.errors import ConfigError
from ..manifests.foreign_text import redact_all
from ..manifests.storage.location import is_url, place
from ..stages.evaluate.config import EvaluateConfig
from ..stages.generate.config import CONDITIONED, GenerateConfig
from ..stages.ingest.config import IngestConfig
from ..stages.pilot.config import PilotConfig
from ..stages.recognise.config import RecogniseConfig
from ..stages.recognition.config import RecognitionConfig
from ..stages.sources.spec import BUNDLED
from ..stages.train.config import TrainConfig
from ..stages.trial.config import TrialConfig
from ..stages.write.config import WriteConfig
from .config_errors import explain, refuse_folder, yaml_error
from .contradictions import refuse_contradictions
from .unset_path import refuse_folder_named, unset_paths, without_unset_paths
from .yaml_text import load_yaml

FEATURE_WORDS = ("auto", "random", "pixels", "inception")
_MOST_VALUES = 10_000
DEFAULT_FILE = Path(__file__).with_name("default.yaml")


class Config(BaseModel, frozen=True, extra="forbid"):
    """The whole of stages.yaml."""

    run: str = "runs/digits"
    seed: int = Field(default=0, ge=0)
    ingest: IngestConfig = IngestConfig()
    train: TrainConfig = TrainConfig()
    pilot: PilotConfig = PilotConfig()
    recognise: RecogniseConfig = RecogniseConfig()
    generate: GenerateConfig = GenerateConfig()
    write: WriteConfig = WriteConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    trial: TrialConfig = TrialConfig()
    recognition: RecognitionConfig = RecognitionConfig()

    def resolved(self, resolution: int, device_type: str, images: int) -> "Config":
        """Every unset or automatic value filled in for a corpus of this side, in pixels.

        Raises:
            ConfigError: options that contradict each other once they are filled in.
        """
        conditioned = self.generate.method in CONDITIONED
        train = self.train.for_classes(conditioned).resolved(resolution, device_type, images)
        assert train.width
        generate = self.generate.resolved(
            train.preset, resolution, train.width, device_type, train.network
        )
        refuse_contradictions(train, generate)
        recognise = self.recognise.resolved(device_type)
        filled = {
            "train": train,
            "recognise": recognise,
            "generate": generate,
            "write": self.write.resolved(),
        }
        return self.model_copy(update=filled)


def load_stages(path: Path, overrides: list[str]) -> Config:
    """As load_config, of a file that a user wrote to be run: it has to name a source.

    Raises:
        ConfigError: what load_config raises, and where neither file nor overrides name a source:
            an empty file would otherwise build the bundled digits.
    """
    config = load_config(path, overrides)
    if "source" not in config.ingest.model_fields_set:
        raise ConfigError(
            f"{path} names no images: it has no ingest.source. Write a file for yours with"
            " `scoremix-pipeline init --data photos/`, or add --set ingest.source=photos/; the"
            " bundled digits are ingest.source: digits."
        )
    return config


def load_config(path: Path, overrides: list[str]) -> Config:
    """Reads a stages.yaml; `overrides` are "section.key=value" as given to --set.

    Relative paths in the file resolve against its folder, in overrides against the working folder.

    Raises:
        ConfigError: no such file, not YAML, an unknown key (with the nearest known one), a value
            out of range; always with the place in the file.
    """
    if path.is_dir():
        raise refuse_folder(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error.reason}. Save it as UTF-8.") from error
    except OSError as error:
        raise ConfigError(
            f"{path} could not be read ({error.strerror}). Write one with"
            " `scoremix-pipeline init`, or name another file."
        ) from error
    try:
        values = load_yaml(text) or {}
    except yaml.YAMLError as error:
        raise ConfigError(yaml_error(error, str(path), text)) from error
    if _count_values(values) > _MOST_VALUES:
        raise ConfigError(
            f"{path} holds more than {_MOST_VALUES} values, or one that contains itself, once its"
            " aliases (*name) are filled in. Write out the few that a stages.yaml has."
        )
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must hold sections (ingest:, train:, ...); found {values!r}.")
    values = {key: {} if value is None else value for key, value in values.items()}
    _anchor_paths(values, path.resolve().parent)
    config = compose(values, overrides, str(path))
    for word in unset_paths(text):
        asked, quoted = f"{path} has path: {word}", f"path: '{word}'"
        refuse_folder_named(word, config.ingest, config.recognition.unseen, asked, quoted)
    return config


def _count_values(values: Any) -> int:
    """How many values there are with every alias filled in, up to a little over the most."""
    waiting, count = [values], 0
    while waiting and count <= _MOST_VALUES:
        value = waiting.pop()
        count += 1
        if isinstance(value, dict | list):
            waiting += value.values() if isinstance(value, dict) else value
    return count


# stages.yaml as runs saved it before there was a choice: sections with all of these keys set and
# none of the later ones -> the choice that they had.
_SAVED_BEFORE: tuple[tuple[str, frozenset[str], frozenset[str], dict[str, str]], ...] = (
    (
        "train",
        frozenset({"steps", "width", "batch", "lr", "levels", "checkpoint_every", "ema"}),
        frozenset({"network", "dropout", "augment", "labels", "early_stop"}),
        {"network": "refinenet"},
    ),
    (
        "generate",
        frozenset({"steps", "lr", "t0", "denoise_steps", "noise_rule", "alpha"}),
        frozenset({"keep", "gamma", "contrast", "guidance", "repair_t0"}),
        {"keep": "noise"},
    ),
)


# The same for an option that is gone: a section with all of these keys loses the last one.
_SAVED_AND_GONE = (("recognise", ("network", "embedding", "epochs", "selection", "members")),)


def _with_choices_of_then(values: dict[str, Any]) -> dict[str, Any]:
    """The values of a file, with what a run saved before an option existed always meant."""
    filled = dict(values)
    for section, keys in _SAVED_AND_GONE:
        found = values.get(section)
        if isinstance(found, dict) and all(key in found for key in keys):
            filled[section] = {key: value for key, value in found.items() if key != keys[-1]}
    for section, saved, later, choice in _SAVED_BEFORE:
        found = values.get(section)
        if isinstance(found, dict) and not later & found.keys():
            if all(found.get(key) is not None for key in saved):
                filled[section] = found | choice
    return filled


def compose(values: dict[str, Any], overrides: list[str], where: str) -> Config:
    """A Config from plain values with overrides applied; `where` is named in errors."""
    given: dict[str, Any] = {}
    for override in overrides:
        _apply(given, override)
    _anchor_paths(given, Path.cwd())
    try:
        config = Config.model_validate(_merged(_with_choices_of_then(values), given))
    except ValidationError as error:
        raise ConfigError(explain(error, where, Config, given)) from error
    texts = dict(one.split("=", 1) for one in overrides)
    if text := texts.get("ingest.path"):
        asked, quoted = f"--set ingest.path={text}", f"--set 'ingest.path=\"{text}\"'"
        refuse_folder_named(text, config.ingest, config.recognition.unseen, asked, quoted)
    return config


def value_set(overrides: Sequence[str], name: str) -> Any:
    """What --set gives an option, by its dotted name; None where it names none.

    Raises ConfigError as `compose`.
    """
    found: Any = {}
    for override in overrides:
        _apply(found, override)
    for key in name.split("."):
        found = found.get(key) if isinstance(found, dict) else None
    return found


def dump_config(config: Config) -> str:
    """YAML of a whole config, sections in the order of the flow, without the secrets of URLs.

    A `path` that is unset is left out: written as null it could be meant as a folder's name.
    """
    values = without_unset_paths(redact_all(config.model_dump(mode="json")))
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def _apply(values: dict[str, Any], override: str) -> None:
    name, equals, text = override.partition("=")
    if not equals or not name:
        raise ConfigError(f"--set {override}: expected section.key=value, as in generate.ratio=5.")
    *sections, key = name.split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise ConfigError(f"--set {override}: {section} was set to a value before.")
    try:
        values[key] = load_yaml(text)
    except yaml.YAMLError as error:
        advice = f"If it is meant as text, quote it, as in --set '{name}=\"{text}\"'."
        if isinstance(error, yaml.reader.ReaderError):
            advice = "No option has it."
        elif _is_section(name):
            advice = f"{name} is a section: set one option at a time, as in --set {name}.KEY=VALUE."
        raise ConfigError(
            f"--set {override}: {yaml_error(error, 'the value', text)}\n{advice}"
        ) from error
    if _ends_in_comment(text, values[key]):
        raise ConfigError(
            f"--set {override}: what follows # is a comment in YAML. Quote the value, as in"
            f" --set '{name}=\"{text}\"'."
        )


def _is_section(name: str) -> bool:
    """Whether a name is that of a section of stages.yaml, which has options of its own."""
    field = Config.model_fields.get(name)
    return field is not None and isinstance(field.default, BaseModel)


def _ends_in_comment(text: str, value: Any) -> bool:
    """Whether YAML has left out the end of a text: photos #2 is photos."""
    mark = re.search(r"(^|\s)#", text)
    if mark is None:
        return False
    try:
        return bool(load_yaml(text[: mark.start()]) == value)
    except yaml.YAMLError:  # it is quoted
        return False


def _merged(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            value = _merged(below, value)
        merged[key] = value
    return merged


# Where a path may stand, and the words that are not paths there. A source may also be a mapping
# with a `source` of its own, or a list of such and of plain names.
_PATHS = {
    ("run",): (),
    ("ingest", "source"): BUNDLED,
    ("ingest", "reference"): BUNDLED,
    ("recognition", "unseen"): BUNDLED,
    ("evaluate", "features"): FEATURE_WORDS,
    ("evaluate", "inception_weights"): (),
    ("evaluate", "lpips"): (),
    ("evaluate", "classifier"): (),
    ("evaluate", "maps"): (),
    ("trial", "checkout"): (),
}


def _anchor_paths(values: dict[str, Any], folder: Path) -> None:
    """Makes relative paths absolute, against `folder`, in place."""
    for (*sections, key), words in _PATHS.items():
        holder: Any = values
        for section in sections:
            holder = holder.get(section) if isinstance(holder, dict) else None
        if isinstance(holder, dict) and key in holder:
            name = ".".join((*sections, key))
            if sections not in (["ingest"], ["recognition"]) and is_url(str(holder[key])):
                raise ConfigError(
                    f"{name} is {holder[key]}, and must be on a disk. Sources may be at URLs, and"
                    " so may the shards: scoremix-pipeline augment --out URL."
                )
            holder[key] = _anchored(holder[key], folder, words)


def _anchored(value: Any, folder: Path, words: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        if value in words or not value or is_url(value):
            return value
        path = place(value)
        return str(folder / expand_user(path) if isinstance(path, Path) else path)
    if isinstance(value, list):
        return [_anchored(item, folder, words) for item in value]
    if isinstance(value, dict) and "source" in value:
        return value | {"source": _anchored(value["source"], folder, words)}
    return value


def expand_user(path: Path) -> Path:
    """The path with ~ as the home folder. Raises ConfigError for ~NAME of no user, and for NUL."""
    if "\0" in str(path):
        raise ConfigError(f"The path {path} has a NUL character in it. No file has such a name.")
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ConfigError(
            f"{path} begins with the home folder of a user who is not known here. Write the path"
            " out, or ./~NAME for a folder of that name."
        ) from error
