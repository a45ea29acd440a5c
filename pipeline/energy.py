"""Joules that processors and GPUs have drawn, where their counters can be read; nothing elsewhere.

Processors: RAPL of Intel and AMD, which Linux shows below /sys/class/powercap, mostly to root
alone. GPUs: NVIDIA's NVML, which the driver brings. Counters are of the whole chip: what other
programs on the machine do is in them. Figures go to the run's log and its report, never into
shards.
"""

import contextlib
import ctypes
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

POWERCAP = Path("/sys/class/powercap")

_NVML = "libnvidia-ml.so.1"
_LOOK = 30.0  # seconds; a processor's counter starts again at 0 after some minutes of full load

Read = Callable[[], float]  # joules since some moment; raises OSError where it no longer can


@dataclass(frozen=True)
class Counter:
    kind: str  # cpu | gpu
    read: Read
    range: float | None = None  # joules after which it starts again at 0; None: it does not


@dataclass
class Meter:
    """Joules since it was made, by kind."""

    counters: list[Counter]
    _last: list[float] = field(init=False)
    _drawn: dict[str, float] = field(init=False)
    _looking: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._last = [counter.read() for counter in self.counters]
        self._drawn = {counter.kind: 0.0 for counter in self.counters}

    def joules(self) -> dict[str, float]:
        """{"cpu": ..., "gpu": ...}, as far as there are counters; {} once one cannot be read."""
        with self._looking:
            for place, counter in enumerate(self.counters):
                try:
                    now = counter.read()
                except OSError:
                    self.counters, self._drawn = [], {}  # a part would be taken for the whole
                    break
                drawn = now - self._last[place]
                if drawn < 0 and counter.range is not None:
                    drawn += counter.range
                self._drawn[counter.kind] += max(drawn, 0.0)
                self._last[place] = now
            return dict(self._drawn)

    def watch(self) -> "Meter":
        """Looks at the counters now and then, so that none comes round unseen."""
        threading.Thread(target=self._keep_looking, name="energy", daemon=True).start()
        return self

    def _keep_looking(self) -> None:
        pause = threading.Event()
        while self.counters:
            pause.wait(_LOOK)
            self.joules()


def open_meter(device: str) -> Meter | None:
    """Of this machine's processors and, for device cuda, of the GPUs that torch sees.

    None where not all of it can be read: a part would be taken for the whole.
    """
    counters = processors(POWERCAP)
    if counters and device == "cuda":
        found = gpus(_gpu_names(), _nvml())
        counters = counters + found if found else []
    try:
        return Meter(counters).watch() if counters else None
    except OSError:
        return None


def processors(powercap: Path) -> list[Counter]:
    """A counter for every package; [] where one of them cannot be read."""
    found = []
    try:
        zones = sorted(powercap.glob("intel-rapl:*"))
        for zone in zones:  # of AMD's processors too
            if not (zone / "name").read_text().startswith("package"):
                continue  # its parts, and psys, which would count it twice
            counted = zone / "energy_uj"
            _microjoules(counted)
            found.append(
                Counter(
                    "cpu",
                    lambda path=counted: _microjoules(path),  # type: ignore[misc]
                    _microjoules(zone / "max_energy_range_uj"),
                )
            )
    except (OSError, ValueError):
        return []
    return found


def _microjoules(path: Path) -> float:
    return int(path.read_text()) / 1e6


def gpus(names: Iterable[bytes], nvml: Any) -> list[Counter]:
    """A counter for each GPU, named as NVML does (GPU-...); [] where one has none."""
    if nvml is None or nvml.nvmlInit_v2() != 0:
        return []
    found = []
    for name in names:
        handle = ctypes.c_void_p()
        if nvml.nvmlDeviceGetHandleByUUID(ctypes.c_char_p(name), ctypes.byref(handle)) != 0:
            return []
        read = _reader(nvml, handle)
        try:
            read()
        except OSError:  # older than Volta, or a slice of a GPU
            return []
        found.append(Counter("gpu", read))
    return found


def _reader(nvml: Any, handle: ctypes.c_void_p) -> Read:
    def read() -> float:
        millijoules = ctypes.c_ulonglong()
        code = nvml.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(millijoules))
        if code != 0:
            raise OSError(f"NVML gave {code} for the energy of a GPU")
        return millijoules.value / 1e3

    return read


def _nvml() -> Any:
    with contextlib.suppress(OSError):
        return ctypes.CDLL(_NVML)
    return None


def _gpu_names() -> list[bytes]:
    import torch

    found = (torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count()))
    return [f"GPU-{properties.uuid}".encode() for properties in found]
