"""The config of a run with the method that its pilot chose; how every later stage gets it."""

from ..manifests.errors import ConfigError
from ..manifests.run_folder import RunFolder
from ..stages.common.presets import alpha_of
from ..stages.evaluate.variant_catalogue import Changes
from ..stages.generate.config import GenerateConfig
from ..stages.pilot.candidates import CANDIDATES, FRESH
from .config import Config
from .ledger import Ledger

# Options of `generate` on which the choice does not depend: later changes of them hold.
APART = frozenset({"ratio", "alpha", "batch", "compile"})


def decided(config: Config, ledger: Ledger) -> Config:
    """`config` with the options of the pilot's choice; itself where its method is not `auto`.

    config: resolved.

    Raises:
        ConfigError: the method is `auto`, and no pilot has chosen one yet.
    """
    if config.generate.method != "auto":
        return config
    options = ledger.outcome("pilot").get("options")
    if options is None:
        raise ConfigError(
            f"generate.method of {ledger.run} is auto, and its pilot has not chosen a method yet."
            f" Run `scoremix-pipeline run {RunFolder(ledger.run).config}` first."
        )
    generate = config.generate
    taken = {
        name: value
        for name, value in options.items()
        if name not in APART or (name != "alpha" and getattr(generate, name) is None)
    }
    generate = generate.model_copy(update=taken)
    if generate.alpha is None:  # the preset's, which may be another one than when the pilot ran
        assert config.train.preset != "auto", "resolved"
        alpha = alpha_of(config.train.preset, str(generate.method), generate.contrast)
        generate = generate.model_copy(update={"alpha": alpha})
    return config.model_copy(update={"generate": generate})


def candidate_configs(config: Config, side: int, device_type: str) -> dict[str, GenerateConfig]:
    """The options of every candidate of a resolved config, for a corpus of this side in pixels."""
    train = config.train
    assert train.width

    def resolved(changes: Changes) -> GenerateConfig:
        changed = config.generate.model_copy(update=dict(changes))
        return changed.resolved(train.preset, side, train.width or 0, device_type, train.network)

    candidates = dict(CANDIDATES)
    if config.generate.gamma:  # it is set, so that `bridge` has it
        del candidates[FRESH]
    return {name: resolved(changes) for name, changes in candidates.items()}


def chosen_because(config: Config, ledger: Ledger) -> str:
    """How the pilot chose the method of a resolved config, in a sentence; empty without a pilot."""
    if config.generate.method != "auto":
        return ""
    return str(ledger.outcome("pilot").get("reason", ""))
