"""One task of a trial: an arm with a seed. Safe to run in any process; finished ones are kept."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...manifests.files.atomic import replacing, write_json
from ...manifests.files.crash_points import crash_point
from ...manifests.plan.random_streams import image_seed, stream
from ...models.gan.networks import GanShape
from ..evaluate.number_format import round_floats
from .gan_run import GanOptions, GanRun, Rise
from .judge import Judge, best_snapshot

RESULT, SAMPLES = "result.json", "samples.npy"
KEPT_SAMPLES = 252  # of the best snapshot, for pictures and votes: 28 squares of nine
_JUDGED_REAL = 500  # training and held-out images of which D's mean score is compared

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Task:
    """What one GAN is trained on, and where its files lie."""

    folder: Path
    identity: str  # of everything that its result depends on
    images: Images  # the arm's corpus
    labels: NDArray[np.int64] | None
    real: "Labelled"  # some training images, by which D is judged
    held_out: "Labelled"
    shape: GanShape
    options: GanOptions
    samples: int
    seed: int
    rises: Rise | None = None  # of a growing corpus


@dataclass(frozen=True)
class Labelled:
    """Images and their classes, None for a GAN without."""

    images: Images
    labels: NDArray[np.int64] | None

    @classmethod
    def some(
        cls, images: Images, labels: NDArray[np.int64], rows: NDArray[np.int64], *, classes: bool
    ) -> "Labelled":
        """A seeded choice among `rows`; of those with a class, where the GAN knows classes."""
        rows = rows[labels[rows] >= 0] if classes else rows
        order = stream(image_seed(0, "trial"), "judged").permutation(len(rows))[:_JUDGED_REAL]
        chosen = np.sort(rows[order])
        return cls(np.asarray(images[chosen]), labels[chosen] if classes else None)


def run_task(
    task: Task,
    judge: Judge,
    device: torch.device,
    stopping: Callable[[], bool],
    advance: Callable[[int], None],
) -> dict[str, Any]:
    """Trains the GAN to its end, from where it stopped, and judges every snapshot.

    Writes the state with the figures as it goes and result.json last; gives its content.
    """
    done = read_result(task.folder, task.identity)
    if done is not None:
        advance(task.options.steps * task.options.batch)
        return done
    given = (task.images, task.labels, task.shape, task.options, task.seed, device)
    run = GanRun(*given, rises=task.rises)
    run.load(task.folder, task.identity)
    advance(run.step * task.options.batch)
    for step in run.advance(stopping, advance):
        samples = run.sample(task.samples, "trial")
        figures = judge.measure(samples)
        if len(task.real.images) and len(task.held_out.images):
            on_real, on_new = (
                run.mean_score(some.images, some.labels) for some in (task.real, task.held_out)
            )
            figures["gap"] = on_real - on_new
        at = {"step": step, "images": step * task.options.batch}
        run.snapshots.append(at | round_floats(figures))
        if best_snapshot(run.snapshots) is run.snapshots[-1]:
            keep_samples(task.folder, samples)
        crash_point("gan-snapshot")
        run.save(task.folder, task.identity)
    result = {
        "identity": task.identity,
        "seed": task.seed,
        "snapshots": run.snapshots,
    }
    write_json(task.folder / RESULT, result)
    crash_point("gan-finished")
    return result


def keep_samples(folder: Path, samples: Images) -> None:
    """Writes the first samples (N, H, W, C) of a snapshot to folder/samples.npy."""
    with replacing(folder / SAMPLES) as file:
        np.save(file, samples[:KEPT_SAMPLES], allow_pickle=False)


def read_result(folder: Path, identity: str) -> dict[str, Any] | None:
    """The result of a finished task; None where there is none of this identity."""
    try:
        found: dict[str, Any] = json.loads((folder / RESULT).read_bytes())
    except (OSError, ValueError):
        return None
    return found if found.get("identity") == identity else None
