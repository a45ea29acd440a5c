"""One task of a trial: an arm with a seed. Safe to run in any process; finished ones are kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...manifests.errors import Interrupted
from ...manifests.files.atomic import canonical_digest, replacing, write_json
from ...manifests.files.crash_points import crash_point
from ...manifests.files.json_reader import parse_json
from ...manifests.plan.random_streams import image_seed, stream
from ...models.gan.networks import GanShape
from ..common.progress import Advance
from ..evaluate.number_format import round_floats
from .gan_run import STOPPED, Diverged, GanOptions, GanRun, Rise
from .judge import Judge, best_snapshot
from .snapshots import Sampler, has_snapshot, read_snapshot, write_snapshot

RESULT = "result.json"
KEPT_SAMPLES = 252  # of the best snapshot, for pictures and votes: 28 squares of nine
_JUDGED_REAL = 500  # training and held-out images of which D's mean score is compared

Images = NDArray[np.uint8]


@dataclass(frozen=True)
class Task:
    """What one GAN is trained on, and where its files lie."""

    folder: Path
    trained: str  # identity of everything that the GAN depends on
    identity: str  # and of how it is judged: of the result
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
    advance: Advance,
) -> dict[str, Any]:
    """Trains the GAN to its end, from where it stopped, and judges its snapshots.

    A GAN that is trained, and was judged otherwise, is judged alone. Writes the result last and
    gives its content; of a GAN that diverged it has `failed`, the reason.

    Raises:
        Interrupted: `stopping()` became true; the same call goes on.
        ScoreMixError: a file of the training is damaged.
    """
    done = read_result(task.folder, task.identity, result_name(task.identity))
    if done is not None:
        advance(task.options.steps * task.options.batch, resumed=True)
        return done
    result: dict[str, Any] = {"identity": task.identity, "seed": task.seed}
    try:
        sampler = _train(task, device, stopping, advance)
    except Diverged as error:
        result["failed"] = str(error)
    else:
        result["snapshots"] = _judge(task, judge, sampler, stopping)
    write_json(task.folder / result_name(task.identity), result)
    crash_point("gan-finished")
    return result


def _train(
    task: Task,
    device: torch.device,
    stopping: Callable[[], bool],
    advance: Advance,
) -> Sampler:
    """Leaves every snapshot, and the state of the longest training so far.

    Goes on from that state where it comes before the first snapshot that is missing, and else from
    the start: a longer training had no snapshot where this one ends.
    """
    given = (task.images, task.labels, task.shape, task.options, task.seed, device)
    run = GanRun(*given, rises=task.rises)
    run.load(task.folder, task.trained)
    longest, steps = run.step, task.options.snapshots
    missing = (step for step in steps if not has_snapshot(task.folder, step, task.trained))
    first = next(missing, None)
    if first is None:
        advance(task.options.steps * task.options.batch, resumed=True)
        return run.sampler
    if longest >= first:
        run = GanRun(*given, rises=task.rises)
    advance(run.step * task.options.batch, resumed=True)
    for step in run.advance(stopping, advance):
        facts: dict[str, Any] = {"step": step, "images": step * task.options.batch}
        if len(task.real.images) and len(task.held_out.images):
            on_real, on_new = (
                run.mean_score(some.images, some.labels) for some in (task.real, task.held_out)
            )
            facts["gap"] = on_real - on_new
        write_snapshot(task.folder, run.settled(), task.trained, round_floats(facts))
        crash_point("gan-snapshot")
        if step > longest:
            run.save(task.folder, task.trained)
    return run.sampler


def _judge(
    task: Task, judge: Judge, sampler: Sampler, stopping: Callable[[], bool]
) -> list[dict[str, Any]]:
    """The figures of the snapshots; keeps some samples of the best one."""
    snapshots: list[dict[str, Any]] = []
    for step in task.options.judged:
        if stopping():
            raise Interrupted(STOPPED)
        net, facts = read_snapshot(task.folder, step, task.trained, task.shape, sampler.device)
        samples = sampler.draw(net, task.samples)
        snapshots.append(facts | round_floats(judge.measure(samples)))
        if best_snapshot(snapshots) is snapshots[-1]:
            best = samples
    keep_samples(task.folder, task.identity, best)
    return snapshots


def options_folder(above: str, made_by: list[Any]) -> str:
    """The folder of networks that are trained alike, below that of the trial.

    made_by: everything that all of them depend on. With other options there is another folder, so
    that nothing replaces the networks of an earlier trial.
    """
    return f"{above}/{canonical_digest(made_by)[:8]}"


def gan_folder(trial: Path, gans: str, arm: str, seed: int) -> Path:
    """The folder of one GAN."""
    return trial / gans / arm / f"seed-{seed}"


def some_of(samples: Images, count: int, seed: int) -> Images:
    """A seeded choice of samples (N, H, W, C), in a seeded order: trainers write class by class.

    Of as many samples it is the same choice.
    """
    order = stream(image_seed(seed, "trial"), "kept").permutation(len(samples))
    return np.asarray(samples[np.sort(order[:count])])[np.argsort(np.argsort(order[:count]))]


def failures(results: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, str]:
    """Arm -> why the first of its networks that failed has no figures; arms without one left out.

    results: arm -> the result of each seed.
    """
    return {
        arm: f"seed {number}: {one['failed']}"
        for arm, found in results.items()
        for number, one in reversed([*enumerate(found)])
        if "failed" in one
    }


def result_name(identity: str) -> str:
    """The file of a GAN's result: trainings of other lengths and other judges have their own."""
    return f"result-{identity[:8]}.json"


def samples_name(identity: str) -> str:
    """The file of the samples that go with a result."""
    return f"samples-{identity[:8]}.npy"


def keep_samples(folder: Path, identity: str, samples: Images) -> None:
    """Writes the first samples (N, H, W, C) of a snapshot beside the result of this identity."""
    with replacing(folder / samples_name(identity)) as file:
        np.save(file, samples[:KEPT_SAMPLES], allow_pickle=False)


def read_result(
    folder: Path, identity: str, name: str = RESULT, of: str = "identity"
) -> dict[str, Any] | None:
    """The result of a finished task; None where there is none of this identity.

    name: its file. of: the field that has the identity.
    """
    try:
        found: dict[str, Any] = parse_json((folder / name).read_bytes())
    except (OSError, ValueError):
        return None
    return found if found.get(of) == identity else None
