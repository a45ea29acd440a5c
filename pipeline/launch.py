"""Several processes of one launch (`accelerate launch`, torchrun): who leads, who only trains."""

import os

from .shards.worker import Worker


def rank() -> int:
    """0 for the leader, and where there is only one process."""
    return int(os.environ.get("RANK", "0")) if world_size() > 1 else 0


def world_size() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def launch_worker() -> Worker:
    return Worker(rank(), world_size())


def select_gpu(device: str) -> None:
    """Each process of a launch takes its own GPU."""
    if device == "cuda" and world_size() > 1:
        import torch

        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))


def wait_for_all(device: str) -> None:
    """Waits until every process of the launch is here; the leader's files are then there."""
    if world_size() > 1:
        from accelerate import Accelerator

        select_gpu(device)
        Accelerator(cpu=device == "cpu").wait_for_everyone()
