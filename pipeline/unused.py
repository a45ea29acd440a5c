"""Options that were set for nothing: `run` and its dry run name them."""

from collections.abc import Iterable

from ..manifests.errors import ConfigError
from ..manifests.plan.methods import NEW_CLASS_METHODS
from ..stages.generate.config import GenerateConfig
from ..stages.train.config import TrainConfig
from .config import Config

_OF_MORE_THAN_TRAINING = {"preset"}  # it fills in `generate` too


def unused_notes(config: Config, resolution: int, device_type: str, images: int) -> list[str]:
    """A sentence for each section with options that do nothing in this run, and for weights of 0.

    config: as the user gave it, not resolved. The other values are those of `Config.resolved`.
    A value that would be filled in anyway, as in the file that a run saves, is not named.
    """
    known = (resolution, device_type, images)
    resolved = config.resolved(*known)
    notes = []
    for section, (names, why) in _candidates(config, resolved).items():
        if set_for_nothing := [
            name for name in names if _makes_a_difference(config, resolved, section, name, known)
        ]:
            notes.append(_sentence(section, set_for_nothing, why))
    generate = resolved.generate
    if generate.method in NEW_CLASS_METHODS and 0.0 in generate.weights:
        notes.append(
            f"generate.weights are {list(generate.weights)}: a class with weight 0 is not mixed, so"
            " that images of fewer classes get the label of a new one"
        )
    return notes


def _makes_a_difference(
    config: Config, resolved: Config, section: str, name: str, known: tuple[int, str, int]
) -> bool:
    """Whether an option has another value than it would have had if it were left out."""
    given = getattr(config, section)
    default = type(given).model_fields[name].default
    if getattr(given, name) == default:
        return False
    without = config.model_copy(update={section: given.model_copy(update={name: default})})
    try:
        filled = without.resolved(*known)
    except ConfigError:  # another option needs it
        return True
    return bool(
        getattr(getattr(resolved, section), name) != getattr(getattr(filled, section), name)
    )


def _sentence(section: str, names: list[str], why: str) -> str:
    listed = ", ".join(f"{section}.{name}" for name in names)
    several = len(names) > 1
    return f"{listed} {'are' if several else 'is'} set, and {why} {'them' if several else 'it'}"


def _candidates(config: Config, resolved: Config) -> dict[str, tuple[Iterable[str], str]]:
    """Section -> the options that this run does not read, and why, before "it" or "them".

    Not those of `recognise`, which the command `recognition` reads of every run.
    """
    train, generate = resolved.train, resolved.generate
    method = generate.method
    found: dict[str, tuple[Iterable[str], str]] = {}
    if not generate.needs_network:
        names = [name for name in TrainConfig.model_fields if name not in _OF_MORE_THAN_TRAINING]
        found["train"] = names, f"method {method} trains no network by"
    elif train.network == "unet":
        found["train"] = ["conditioning"], "the U-Net makes no use of"
    else:
        found["train"] = ["early_stop"], "the RefineNet makes no use of"
    if method != "auto":
        names = list(type(config.pilot).model_fields)
        found["pilot"] = names, f"method {method} is compared with no other by"
    of_generate = GenerateConfig.model_validate(
        config.generate.model_dump() | {"method": method}
    ).unused
    found["generate"] = of_generate, f"method {method} makes no use of"
    return found
