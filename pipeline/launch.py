"""Workers, and processes of one launch: index and count of this one, barriers, GPUs."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from ..manifests.errors import ConfigError
from ..manifests.published.partition import parse_fraction
from ..stages.write.tasks import ShardTask

_SLURM_COUNT = "SLURM_ARRAY_TASK_COUNT"


@dataclass(frozen=True)
class Worker:
    """The I-th of N, from 0."""

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ConfigError(
                f"Worker {self.index}/{self.count} does not exist: of {self.count} workers the"
                f" first is 0/{self.count}, the last {self.count - 1}/{self.count}."
            )

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def share(self, tasks: list[ShardTask]) -> list[ShardTask]:
        """Every count-th shard from the index-th on."""
        return tasks[self.index :: self.count]

    def order(self, tasks: list[ShardTask]) -> list[ShardTask]:
        """Its own share first, then the others' from the end, since they begin at the start."""
        own = self.share(tasks)
        names = {task.name for task in own}
        return own + [task for task in reversed(tasks) if task.name not in names]


def parse_worker(text: str, environment: Mapping[str, str] = os.environ) -> Worker:
    """ "I/N", or "auto": from the variables of Slurm, Kubernetes or torchrun.

    Raises ConfigError where it is neither.
    """
    if text == "auto":
        return _detect_worker(environment)
    numbers = parse_fraction(text)
    if numbers is None:
        raise ConfigError(f"--worker is {text!r}; use I/N, as in 0/4 to 3/4, or auto.")
    return Worker(*numbers)


def _detect_worker(environment: Mapping[str, str]) -> Worker:
    def number(name: str) -> int:
        try:
            return int(environment[name])
        except (KeyError, ValueError) as error:
            found = repr(environment[name]) if name in environment else "not set"
            raise ConfigError(f"--worker auto needs {name} as a number; it is {found}.") from error

    if "SLURM_ARRAY_TASK_ID" in environment:
        first = number("SLURM_ARRAY_TASK_MIN")
        step = int(environment.get("SLURM_ARRAY_TASK_STEP", "1"))
        return Worker((number("SLURM_ARRAY_TASK_ID") - first) // step, number(_SLURM_COUNT))
    if "JOB_COMPLETION_INDEX" in environment:
        return Worker(number("JOB_COMPLETION_INDEX"), number("SCOREMIX_WORKERS"))
    if "RANK" in environment:
        return Worker(number("RANK"), number("WORLD_SIZE"))
    raise ConfigError(
        "--worker auto finds neither SLURM_ARRAY_TASK_ID (a Slurm array), JOB_COMPLETION_INDEX (a"
        " Kubernetes Indexed Job, with SCOREMIX_WORKERS beside) nor RANK (torchrun) in the"
        " environment. Name the worker: --worker I/N."
    )


def rank() -> int:
    """0 for the leader of a launch (`accelerate launch`, torchrun), and where there is none."""
    return int(os.environ.get("RANK", "0")) if world_size() > 1 else 0


def world_size() -> int:
    """How many processes this launch has."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def launch_worker() -> Worker:
    """This process as a worker among those of its launch."""
    return Worker(rank(), world_size())


def select_gpu(device: str) -> None:
    """Gives each process of a launch its own GPU."""
    if device == "cuda" and world_size() > 1:
        import torch

        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))


def wait_for_all(device: str) -> None:
    """Barrier over all processes of the launch; the leader's files are there after it."""
    if world_size() > 1:
        from ..stages.common.accelerator import patient_accelerator

        select_gpu(device)
        patient_accelerator(device).wait_for_everyone()
