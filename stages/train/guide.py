"""The guide: averages of an early step, by which autoguidance (arXiv 2406.02507) steers.

Kept at the steps first, 2 first, 4 first, ... while training goes on; the one that is used is the
last at or before a quarter of the chosen step, or the first where there is none. A network that was
chosen at the first has no guide.
"""

from pathlib import Path

from ...manifests.errors import ScoreMixError
from ...manifests.files.atomic import write_bytes
from ...manifests.files.durable import remove_file
from ...manifests.run_folder import TRAINING_STATE
from ...models.network.checkpoint import GUIDE, weights_bytes
from ...models.network.ema import Ema
from ...models.network.score_net import ScoreNet

_SHOWN = 12  # characters of an identity in a file's name


def is_guide_step(step: int, first: int | None) -> bool:
    """Whether the averages of `step` are kept; first: None for a network without a guide."""
    return first is not None and step % first == 0 and (step // first).bit_count() == 1


def save_guide(folder: Path, ema: Ema[ScoreNet], step: int, identity: str) -> None:
    """folder/early-IDENTITY-STEP.safetensors."""
    write_bytes(_path(folder, step, identity), weights_bytes(ema.net))


def drop_early_states(folder: Path, identity: str) -> None:
    """Removes those of other trainings, once the state of this one has replaced theirs.

    They may have seen images that are gone since.
    """
    mine = set(folder.glob(_path(folder, 0, identity).name.replace("-0.", "-*.")))
    for path in set(folder.glob("early-*.safetensors")) - mine:
        remove_file(path)


def keep_guide(out: Path, chosen_step: int, first: int | None, identity: str) -> None:
    """Writes out/guide.safetensors; none where no earlier state than the chosen one was kept."""
    remove_file(out / GUIDE)
    if first is None or chosen_step <= first:
        return
    step = first
    while 2 * step <= chosen_step // 4:
        step *= 2
    early = _path(out / TRAINING_STATE, step, identity)
    if not early.is_file():
        raise ScoreMixError(
            f"{early} is gone: it holds an early state of this training, by which samples are"
            " guided. Restore it, or delete the folder it was in, and run the same command again,"
            " which trains anew."
        )
    write_bytes(out / GUIDE, early.read_bytes())


def _path(folder: Path, step: int, identity: str) -> Path:
    return folder / f"early-{identity[:_SHOWN]}-{step}.safetensors"
