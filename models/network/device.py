"""Determinism: how a device is set so that equal work gives equal bits."""

import contextlib
import os
from collections.abc import Iterator

import torch


def device_type(device: str) -> str:
    """The kind of device that presets depend on: cuda, cpu, or cpu-bfloat16.

    The last is a processor that multiplies in half precision (AVX-512 BF16 or AMX).
    """
    halves = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "cpu-bfloat16" if device == "cpu" and halves else device.partition(":")[0]


@contextlib.contextmanager
def one_thread() -> Iterator[int]:
    """Runs every torch operation in its calling thread; gives the number of threads before.

    Split among threads, a sum comes out in another order, so the last bits of an image would
    depend on the number of processors.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield before
    finally:
        torch.set_num_threads(before)


def set_deterministic(device: torch.device) -> None:
    """Deterministic kernels and no autotuning on a GPU; nothing to do on a CPU.

    Where an operation has no deterministic form torch warns. TF32 convolutions are within the
    method's tolerance and stay on.
    """
    if device.type != "cuda":
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Nothing reads memory before something is written there.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
