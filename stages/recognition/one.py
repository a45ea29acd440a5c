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
from ..common.progress import Advance
from ..corpus.store import Corpus
from ..evaluate.number_format import round_floats
from ..recognise.recognise import start_run
from ..recognise.run import RecogniserDiverged, RecogniserOptions
from ..trial.one import RESULT, read_result
from .judge import UnseenClasses, measure


@dataclass(frozen=True)
class RecognitionTask:
    """What one recogniser is trained on and judged by, and where its files lie."""

    folder: Path
    trained: str  # identity of everything that the recogniser depends on
    identity: str  # and of how it is judged: of the result
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
    advance: Advance,
) -> dict[str, Any]:
    """Trains the recogniser to its end, from where it stopped, and judges it.

    One that is trained, and was judged otherwise, is judged alone. Writes result.json last; of one
    that diverged it has `failed`, the reason. The last state is kept, to be judged again.

    Raises:
        Interrupted: `stopping()` became true; the same call goes on.
        ScoreMixError: the state is damaged.
    """
    total = task.options.updates * task.options.config.batch
    done = read_result(task.folder, task.identity)
    if done is not None:
        advance(total, resumed=True)
        return done
    run = start_run(task.images, task.labels, task.classes, task.options, task.seed, device)
    clock = _Clock(advance)
    result: dict[str, Any] = {"identity": task.identity, "seed": task.seed}
    result |= {"trained": task.trained, "updates": task.options.updates}
    try:
        run.train(task.folder, task.trained, stopping, clock.advance)
    except RecogniserDiverged as error:
        result["failed"] = str(error)
    else:
        seconds = clock.seconds_of(total)
        seconds = _seconds_before(task) if seconds is None else round(seconds, 2)
        result["figures"] = round_floats(measure(run, task.corpus, task.unseen))
        result |= {"last_batch": round_floats(run.figures), "seconds": seconds}
    write_json(task.folder / RESULT, result)
    crash_point("recognition-finished")
    return result


def _seconds_before(task: RecognitionTask) -> float | None:
    """How long this recogniser took, by an earlier judgement of it; None where that is gone."""
    before = read_result(task.folder, task.trained, of="trained")
    return None if before is None else before.get("seconds")


class _Clock:
    """Times a training by its reports."""

    def __init__(self, advance: Advance) -> None:
        self._advance, self._started, self._images = advance, time.monotonic(), 0

    def advance(self, images: int, /, *, resumed: bool = False) -> None:
        self._advance(images, resumed=resumed)
        if resumed:
            self._started = time.monotonic()
        else:
            self._images += images

    def seconds_of(self, images: int) -> float | None:
        """Seconds that so many images take at the rate of this process; None where it made none."""
        if self._images <= 0:
            return None
        return (time.monotonic() - self._started) * images / self._images
