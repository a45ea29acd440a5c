"""One task of a comparison: an arm with a seed. Safe to run in any process; results are kept."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...manifests.files.atomic import write_json
from ...manifests.files.crash_points import crash_point
from ...manifests.files.durable import remove_file
from ..corpus.store import Corpus
from ..evaluate.number_format import round_floats
from ..recognise.recognise import start_run
from ..recognise.run import STATE, RecogniserOptions
from ..trial.one import RESULT, read_result
from .judge import UnseenClasses, measure


@dataclass(frozen=True)
class RecognitionTask:
    """What one recogniser is trained on and judged by, and where its files lie."""

    folder: Path
    identity: str  # of everything that its result depends on
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: int  # real ones and new ones
    options: RecogniserOptions
    corpus: Corpus
    unseen: UnseenClasses | None
    seed: int


def run_recognition_task(
    task: RecognitionTask,
    device: torch.device,
    stopping: Callable[[], bool],
    advance: Callable[[int], None],
) -> dict[str, Any]:
    """Trains the recogniser to its end, from where it stopped, and judges it.

    Writes result.json; the state, which is not needed any more, is then removed.

    Raises:
        Interrupted: `stopping()` became true; the same call goes on.
        ScoreMixError: the loss is not finite, or the state is damaged.
    """
    total = task.options.updates * task.options.config.batch
    done = read_result(task.folder, task.identity)
    if done is not None:
        advance(total)
        return done
    run = start_run(task.images, task.labels, task.classes, task.options, task.seed, device)
    clock = _Clock(advance)
    run.train(task.folder, task.identity, stopping, clock.advance)
    seconds = clock.seconds_of(total)
    figures = measure(run, task.corpus, task.unseen)
    result = {
        "identity": task.identity,
        "seed": task.seed,
        "figures": round_floats(figures),
        "last_batch": round_floats(run.figures),
        "updates": task.options.updates,
        "seconds": None if seconds is None else round(seconds, 2),
    }
    write_json(task.folder / RESULT, result)
    crash_point("recognition-finished")
    remove_file(task.folder / STATE)
    return result


class _Clock:
    """Times a training by its reports: the first is of what was done before."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        self._advance, self._started, self._images = advance, 0.0, -1

    def advance(self, images: int) -> None:
        self._advance(images)
        if self._images < 0:
            self._started, self._images = time.monotonic(), 0
        else:
            self._images += images

    def seconds_of(self, images: int) -> float | None:
        """Seconds that so many images take at the rate of this process; None where it made none."""
        if self._images <= 0:
            return None
        return (time.monotonic() - self._started) * images / self._images
