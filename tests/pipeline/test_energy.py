"""Energy: differences of counters that wrap, all of it or nothing, and where it is told."""

import ctypes
import json
from pathlib import Path
from typing import Any

import pytest

from scoremix.pipeline import energy
from scoremix.pipeline.energy import Counter, Meter, gpus, open_meter, processors
from scoremix.pipeline.progress import ProgressReporter
from scoremix.stages.report.page import _energy
from scoremix.stages.report.run_facts import read_cost


def zone(
    powercap: Path, number: str, name: str, microjoules: int, most: int = 1000_000_000
) -> Path:
    folder = powercap / f"intel-rapl:{number}"
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    (folder / "max_energy_range_uj").write_text(f"{most}\n")
    return folder


def test_packages_are_added_and_their_parts_are_not(tmp_path: Path) -> None:
    one = zone(tmp_path, "0", "package-0", 999_000_000)
    two = zone(tmp_path, "1", "package-1", 5_000_000)
    zone(tmp_path, "0:0", "core", 7)
    zone(tmp_path, "2", "psys", 7)
    found = processors(tmp_path)
    assert [(counter.kind, counter.range) for counter in found] == [("cpu", 1000.0)] * 2
    meter = Meter(found)
    assert meter.joules() == {"cpu": 0.0}
    (one / "energy_uj").write_text("3000000\n")  # it began again at 0
    (two / "energy_uj").write_text("7500000\n")
    assert meter.joules() == {"cpu": pytest.approx(4.0 + 2.5)}
    assert meter.joules() == {"cpu": pytest.approx(6.5)}
    (two / "energy_uj").unlink()
    assert meter.joules() == {}, "a part is not the whole"


def test_what_cannot_be_read_is_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert processors(tmp_path / "nowhere") == []
    zone(tmp_path, "0", "package-0", 1)
    damaged = zone(tmp_path, "1", "package-1", 2)
    (damaged / "energy_uj").write_text("no number")
    assert processors(tmp_path) == []
    monkeypatch.setattr(energy, "POWERCAP", tmp_path)
    assert open_meter("cpu") is None
    (damaged / "energy_uj").write_text("5")
    meter = open_meter("cpu")
    assert meter is not None and meter.joules() == {"cpu": 0.0}
    monkeypatch.setattr(energy, "_gpu_names", lambda: [b"GPU-1"])
    monkeypatch.setattr(energy, "_nvml", lambda: None)
    assert open_meter("cuda") is None, "without the GPU's share it would be too little"
    monkeypatch.setattr(energy, "_nvml", lambda: Library({b"GPU-1": 1}))
    meter = open_meter("cuda")
    assert meter is not None and meter.joules() == {"cpu": 0.0, "gpu": 0.0}


class Library:
    """As much of NVML as is called; a GPU without a counter gives 3, NOT_SUPPORTED."""

    def __init__(self, millijoules: dict[bytes, int | None]) -> None:
        self.millijoules = millijoules

    def nvmlInit_v2(self) -> int:
        return 0

    def nvmlDeviceGetHandleByUUID(self, name: ctypes.c_char_p, handle: Any) -> int:
        if name.value not in self.millijoules:
            return 6
        handle._obj.value = 1 + list(self.millijoules).index(name.value)
        return 0

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: ctypes.c_void_p, found: Any) -> int:
        assert handle.value is not None
        value = list(self.millijoules.values())[handle.value - 1]
        found._obj.value = value or 0
        return 3 if value is None else 0


def test_gpus_by_name() -> None:
    library = Library({b"GPU-a": 2_000, b"GPU-b": 7_000, b"GPU-old": None})
    found = gpus([b"GPU-b", b"GPU-a"], library)
    assert [counter.read() for counter in found] == [7.0, 2.0]
    meter = Meter(found)
    library.millijoules[b"GPU-b"] = 8_500
    assert meter.joules() == {"gpu": pytest.approx(1.5)}
    assert gpus([b"GPU-a", b"GPU-old"], library) == []
    assert gpus([b"GPU-none"], library) == []
    assert gpus([b"GPU-a"], None) == []


def test_the_log_and_the_report_have_it_by_stage(tmp_path: Path) -> None:
    values = iter([0.0, 10.0, 40.0, 100.0])
    shown = ProgressReporter(quiet=True)
    shown.log, shown.meter = tmp_path / "log.jsonl", Meter([Counter("cpu", lambda: next(values))])
    for note in ("train: not done yet", "write: not done yet", "evaluate: not done yet"):
        shown.note(note)
    lines = [json.loads(line) for line in shown.log.read_text().splitlines()]
    assert [line["joules"] for line in lines] == [{"cpu": 10.0}, {"cpu": 40.0}, {"cpu": 100.0}]
    cost = read_cost(shown.log)
    assert cost.joules == {"train": {"cpu": 30.0}, "write": {"cpu": 60.0}}
    lines = [line | {"seconds": float(place)} for place, line in enumerate(lines, 1)]
    again = [line | {"joules": {"cpu": line["joules"]["cpu"] - 10}} for line in lines]
    # Another launch, whose meter begins at 0.
    shown.log.write_text("".join(json.dumps(line) + "\n" for line in [*lines, *again]))
    assert read_cost(shown.log).joules == {"train": {"cpu": 60.0}, "write": {"cpu": 120.0}}
    assert _energy({"cpu": 3600.0, "gpu": 7200.0}) == "3 Wh (processors 1, GPUs 2)"
    assert _energy({}) == ""
    plain = ProgressReporter(quiet=True)
    plain.log = tmp_path / "plain.jsonl"
    plain.note("train: not done yet")
    assert "joules" not in plain.log.read_text()
