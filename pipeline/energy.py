"""Joules that NVIDIA GPUs draw, from NVML's counters (extra `gpu`); nothing where it is missing.

Counters are of the whole GPU: other programs on it are included. Figures go to the run's log and
its report, never into shards.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Meter:
    """Joules drawn since the meter was made."""

    counters: list[Callable[[], float]]  # joules since some moment; raise OSError once unreadable
    _first: list[float] = field(init=False)
    _has_failed: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self._first = [read() for read in self.counters]

    def joules(self) -> dict[str, float]:
        """{"gpu": joules of all GPUs together}; {} for good once a counter could not be read, since
        what it then missed is not known."""
        if self._has_failed:
            return {}
        try:
            drawn = [read() - first for read, first in zip(self.counters, self._first, strict=True)]
        except OSError:
            self._has_failed = True
            return {}
        return {"gpu": sum(drawn)}


def open_meter(device: str) -> Meter | None:
    """A meter of the GPUs that torch sees.

    device: cpu | cuda. None for cpu, and where a GPU has no counter or nvidia-ml-py is missing.
    """
    if device != "cuda":
        return None
    try:
        import pynvml
    except ImportError:
        return None
    return read_gpus(_gpu_uuids(), pynvml)


def read_gpus(uuids: Iterable[bytes], nvml: Any) -> Meter | None:
    """A meter of the GPUs with these UUIDs; None where one of them has no energy counter.

    nvml: the module pynvml.
    """

    def counter(uuid: bytes) -> Callable[[], float]:
        handle = nvml.nvmlDeviceGetHandleByUUID(uuid)

        def read() -> float:
            try:
                return float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1e3
            except nvml.NVMLError as error:
                raise OSError(f"the energy counter of GPU {uuid.decode()}: {error}") from error

        return read

    try:
        nvml.nvmlInit()
        return Meter([counter(uuid) for uuid in uuids])
    except (nvml.NVMLError, OSError):  # older than Volta, a slice of a GPU, no driver
        return None


def _gpu_uuids() -> list[bytes]:
    import torch

    found = (torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count()))
    return [f"GPU-{properties.uuid}".encode() for properties in found]
