"""Options of sections `train` and `generate` that contradict each other, whatever the corpus is."""

from ..manifests.errors import ConfigError
from ..stages.generate.config import CONDITIONED, GenerateConfig
from ..stages.train.config import TrainConfig


def refuse_contradictions(train: TrainConfig, generate: GenerateConfig) -> None:
    """Refuses them; of options as they were written, and again once they are filled in."""
    conditioned = generate.method in CONDITIONED
    labels = train.for_classes(conditioned).labels
    if conditioned and (train.network == "refinenet" or not labels):
        what = "network is refinenet" if train.network == "refinenet" else "labels is false"
        raise ConfigError(
            f"generate.method is {generate.method}, which needs classes in the network, and"
            f" train.{what}. Set train.network to unet and train.labels to true, or leave both"
            " out."
        )
    if generate.by_class and generate.pairing == "any":
        raise ConfigError(
            f"generate.pairing is any, and {generate.method} makes images of one class each:"
            " nothing is paired. Leave it out."
        )
    guided = generate.needs_network and generate.guidance != 1.0
    if guided and train.network == "refinenet":
        raise ConfigError(
            f"generate.guidance is {generate.guidance:g}, and train.network is refinenet, whose"
            " training keeps no guide. Set train.network to unet, or generate.guidance to 1."
        )
    if guided and generate.guide == "null-class" and not labels:
        raise ConfigError(
            "generate.guide is null-class, and train.labels is not true: the network then has"
            " no null class. Set train.labels to true, or generate.guide to early."
        )
