"""One task of a trial: an arm with a seed. Safe to run in any process; finished ones are kept."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...manifests.files.atomic import write_json
from ...manifests.files.crash_points import crash_point
from ...models.gan.networks import GanShape
from ...stages.common.json_lines import read_json_lines
from ..evaluate.number_format import round_floats
from ..train.log import TrainLog
from .gan_run import GanOptions, GanRun
from .judge import Judge

RESULT, LOG = "result.json", "snapshots.jsonl"
_JUDGED_REAL = 500  # training and held-out images of which D's mean score is compared

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Task:
    """What one GAN is trained on, and where its files lie."""

    folder: Path
    identity: str  # of everything that its result depends on
    images: Images  # the arm's corpus
    labels: NDArray[np.int64] | None
    real: Images  # training images
    real_labels: NDArray[np.int64] | None
    held_out: Images
    held_out_labels: NDArray[np.int64] | None
    shape: GanShape
    options: GanOptions
    samples: int
    seed: int


def run_task(
    task: Task,
    judge: Judge,
    device: torch.device,
    stopping: Callable[[], bool],
    advance: Callable[[int], None],
) -> dict[str, Any]:
    """Trains the GAN to its end, from where it stopped, and judges every snapshot.

    Writes snapshots.jsonl as it goes and result.json last; gives its content.
    """
    done = read_result(task.folder, task.identity)
    if done is not None:
        advance(task.options.steps * task.options.batch)
        return done
    run = GanRun(task.images, task.labels, task.shape, task.options, task.seed, device)
    run.load(task.folder, task.identity)
    advance(run.step * task.options.batch)
    log = TrainLog(task.folder / LOG, run.step)
    for step in run.advance(stopping, advance):
        found = judge.measure(run.sample(task.samples, "trial"))
        on_real, on_new = (
            run.mean_score(images[:_JUDGED_REAL], None if ids is None else ids[:_JUDGED_REAL])
            for images, ids in (
                (task.real, task.real_labels),
                (task.held_out, task.held_out_labels),
            )
        )
        figures = round_floats(found | {"gap": on_real - on_new})
        log.write(step=step, images=step * task.options.batch, **figures)
        crash_point("gan-snapshot")
        run.save(task.folder, task.identity)
    result = {
        "identity": task.identity,
        "seed": task.seed,
        "snapshots": list(read_json_lines(task.folder / LOG, ("step", "kd"))),
    }
    write_json(task.folder / RESULT, result)
    crash_point("gan-finished")
    return result


def read_result(folder: Path, identity: str) -> dict[str, Any] | None:
    """The result of a finished task; None where there is none of this identity."""
    try:
        found: dict[str, Any] = json.loads((folder / RESULT).read_bytes())
    except (OSError, ValueError):
        return None
    return found if found.get("identity") == identity else None
