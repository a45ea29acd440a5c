"""The machine's peak rates of convolutions and matrix products, and the timing of work."""

import argparse
import contextlib
import os
import platform
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from scoremix.manifests.errors import ScoreMixError
from scoremix.models.network.device import one_thread
from scoremix.models.network.refinenet import RefineNet

Result = TypeVar("Result")


@contextlib.contextmanager
def stock_settings(device: torch.device) -> Iterator[None]:
    """PyTorch's defaults, without the deterministic kernels that the project sets."""
    if device.type != "cuda":
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.deterministic
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.deterministic = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=True)
        torch.backends.cudnn.deterministic = before[1]


def peak_gb(work: Callable[[], object]) -> float:
    """Peak memory of a GPU's tensors while `work` runs, including what was allocated before."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    work()
    return torch.cuda.max_memory_allocated() / 1e9


def as_fits(batch: int, work: Callable[[int], Result]) -> tuple[int, Result]:
    """The result with `batch`, or with the largest half, quarter ... of it that memory allows."""
    while True:
        try:
            return batch, work(batch)
        except (torch.OutOfMemoryError, ScoreMixError) as error:
            full = isinstance(error.__cause__ or error, torch.OutOfMemoryError)
            if batch == 1 or not full:
                raise
        batch //= 2
        torch.cuda.empty_cache()
        print(f"out of memory: again with {batch} images at once", flush=True)


def rate(work: Callable[[], int], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    begin = time.perf_counter()
    count = work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return count / (time.perf_counter() - begin)


def network_flops(net: RefineNet, side: int, channels: int, device: torch.device) -> float:
    """Floating-point operations of one image's forward pass; a multiply-add counts as two."""
    x = torch.zeros(1, channels, side, side, device=device)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(x, torch.ones(1, device=device))
    return float(counter.get_total_flops())


def convolution_rate(
    net: RefineNet, side: int, batch: int, options: argparse.Namespace, device: torch.device
) -> float:
    """The best rate of a 3x3 convolution of the network's own widths, floating-point operations
    a second: all threads in one, or one thread a convolution and several at once."""
    dtype = torch.bfloat16 if options.precision == "bfloat16" else torch.float32
    best = 0.0
    for channels, at in ((net.architecture.width, side), (2 * net.architecture.width, side // 2)):
        x = torch.randn(batch, channels, at, at, device=device, dtype=dtype)
        x = x.to(memory_format=torch.channels_last)
        weight = torch.randn(channels, channels, 3, 3, device=device, dtype=dtype)
        weight = weight.to(memory_format=torch.channels_last)
        flops = 2.0 * 9 * channels * channels * at * at * batch
        times = max(1, int(2e10 / flops)) * (20 if device.type == "cuda" else 1)

        def work(x: torch.Tensor = x, weight: torch.Tensor = weight, times: int = times) -> int:
            with torch.no_grad():
                for _ in range(times):
                    F.conv2d(x, weight, padding=1)
            return times

        best = max(best, *(flops * rate(work, device) for _ in range(options.repeats)))
        if device.type != "cpu":
            continue
        with one_thread() as threads, ThreadPoolExecutor(threads) as pool:

            def together(work: Callable[[], int] = work, threads: int = threads) -> int:
                return sum(pool.map(lambda _: work(), range(threads)))

            best = max(best, *(flops * rate(together, device) for _ in range(options.repeats)))
    return best


def matrix_rate(options: argparse.Namespace, device: torch.device) -> float:
    """The best rate of a product of large square matrices, floating-point operations a second."""
    dtype = torch.bfloat16 if options.precision == "bfloat16" else torch.float32
    # The setting that convolutions use by default, so that both rates are of the same arithmetic.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32
    side = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    times = 20 if device.type == "cuda" else 2

    def work() -> int:
        for _ in range(times):
            a @ b
        return times

    rate(work, device)
    return 2.0 * side**3 * max(rate(work, device) for _ in range(options.repeats))


def machine(device: torch.device) -> dict[str, Any]:
    name = torch.cuda.get_device_name() if device.type == "cuda" else platform.processor()
    return {
        "device": name or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "load_before": os.getloadavg()[0],
    }
