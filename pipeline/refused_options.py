"""What is refused of a resolved config before a network is trained or images are planned.

Not where a config is read: what was made by such options stays readable.
"""

from ..manifests.errors import ConfigError
from .config import Config


def check_guide(config: Config) -> None:
    """Refuses, of a resolved config, a training too short for an early state of its own to be kept.

    Before it is trained: a network that is there is judged by its own facts.
    """
    train, generate = config.train, config.generate
    assert train.steps is not None and train.checkpoint_every is not None
    guided = generate.needs_network and generate.guidance != 1.0 and generate.guide == "early"
    if guided and train.steps <= train.checkpoint_every:
        raise ConfigError(
            f"generate.guidance is {generate.guidance:g}, and train.steps is {train.steps}: the"
            " guide is an earlier state of the same training, and the first is kept after"
            f" {train.checkpoint_every} (train.checkpoint_every). Set train.checkpoint_every to"
            f" {max(1, train.steps // 4)}, or generate.guidance to 1."
        )


def check_makes_a_difference(config: Config) -> None:
    """Refuses, of a resolved config, options that ask for a change and make none."""
    generate, dropout = config.generate, config.train.dropout
    if generate.method == "renoise" and generate.denoise == "off":
        raise ConfigError(
            "generate.method is renoise, and generate.denoise off: images would be copies of their"
            " parents. Leave generate.denoise out."
        )
    if generate.method == "scoremix" and generate.steps == 0 and generate.denoise == "off":
        raise ConfigError(
            "generate.steps is 0, and generate.denoise off: images would be plain mixup's. Set"
            " generate.method to mixup, or leave one of the two out."
        )
    if generate.repairs_seams and generate.denoise == "off":
        raise ConfigError(
            f"generate.repair_t0 is {generate.repair_t0:g}, and generate.denoise off: nothing would"
            " be repaired. Leave one of them out."
        )
    if generate.needs_network and dropout and round(256 * dropout) == 0:
        raise ConfigError(
            f"train.dropout is {dropout:g}, and shares are whole 256ths: it would be none. Use 0,"
            f" or {1 / 256:.3g} or more."
        )
