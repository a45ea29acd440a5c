"""What makes a training the same one: a state is resumed by that alone."""

from pathlib import Path

from ...manifests.errors import ConfigError
from ...manifests.files.atomic import canonical_digest
from .checkpoint import state_in
from .config import TrainConfig

_MOST_PROCESSES = 1024  # that a training may have had


def identity_of(
    config: TrainConfig, corpus_digest: str, seed: int, t0: float, processes: int = 1
) -> str:
    """Identifies a training: a state is resumed only by the same one, whatever its `steps`."""
    length = ("steps", "early_stop")
    free = {name: value for name, value in config.as_inputs().items() if name not in length}
    return canonical_digest(
        [config.algorithm, free, corpus_digest, seed, config.focused_on(t0), processes]
    )


def identity_at(
    folder: Path, config: TrainConfig, corpus_digest: str, seed: int, t0: float, processes: int
) -> str:
    """The identity of a training that goes on from a state in `folder`, or begins there.

    Raises ConfigError where that is this training by another number of processes: its sums differ
    in the last bits, so that it would begin anew, and hours may be in it.
    """
    facts = config, corpus_digest, seed, t0
    identity, state = identity_of(*facts, processes), state_in(folder)
    if state is None or not state.step or state.identity == identity:
        return identity
    counts = range(1, _MOST_PROCESSES + 1)
    others = (n for n in counts if identity_of(*facts, n) == state.identity)
    if before := next(others, None):
        raise ConfigError(
            f"{folder} holds this training at step {state.step:,}, by {before} process(es), and"
            f" {processes} was asked for: that would begin anew. Nothing was changed. Start it with"
            f" {before} again, or remove {folder} to train from the start."
        )
    return identity
