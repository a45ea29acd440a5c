"""Energy: differences of counters, all of them or nothing, and where they are reported."""

import json
from pathlib import Path
from typing import Any

import pytest

from scoremix.pipeline import energy
from scoremix.pipeline.energy import Meter, open_meter, read_gpus
from scoremix.pipeline.progress import ProgressReporter
from scoremix.stages.report.page import _energy
from scoremix.stages.report.run_facts import read_cost


class Nvml:
    """The part of pynvml that is called; a GPU without a counter raises, as pynvml does."""

    class NVMLError(Exception):
        pass

    def __init__(self, millijoules: dict[bytes, int | None]) -> None:
        self.millijoules = millijoules

    def nvmlInit(self) -> None:
        pass

    def nvmlDeviceGetHandleByUUID(self, uuid: bytes) -> bytes:
        if uuid not in self.millijoules:
            raise self.NVMLError("Not Found")
        return uuid

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: bytes) -> int:
        value = self.millijoules[handle]
        if value is None:
            raise self.NVMLError("Not Supported")
        return value


def test_gpus_are_added() -> None:
    nvml = Nvml({b"GPU-a": 2_000, b"GPU-b": 7_000, b"GPU-old": None})
    meter = read_gpus([b"GPU-b", b"GPU-a"], nvml)
    assert meter is not None and meter.joules() == {"gpu": 0.0}
    nvml.millijoules |= {b"GPU-a": 3_000, b"GPU-b": 8_500}
    assert meter.joules() == {"gpu": pytest.approx(1.0 + 1.5)}
    nvml.millijoules[b"GPU-b"] = None
    assert meter.joules() == {}, "the other GPU alone would be too little"
    nvml.millijoules[b"GPU-b"] = 9_000
    assert meter.joules() == {}, "it stays so: a stage would be charged with what it did not draw"
    assert read_gpus([b"GPU-a", b"GPU-old"], nvml) is None
    assert read_gpus([b"GPU-none"], nvml) is None


def test_what_cannot_be_read_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_meter("cpu") is None
    monkeypatch.setitem(__import__("sys").modules, "pynvml", None)
    assert open_meter("cuda") is None, "the package is optional"


def test_the_real_library_without_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    pynvml: Any = pytest.importorskip("pynvml")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        monkeypatch.setattr(energy, "_gpu_uuids", lambda: [b"GPU-1"])
        assert open_meter("cuda") is None
    else:
        pytest.skip("this machine has an NVIDIA driver")


def test_the_log_and_the_report_have_it_by_stage(tmp_path: Path) -> None:
    values = iter([0.0, 10.0, 40.0, 100.0])
    shown = ProgressReporter(quiet=True)
    shown.log, shown.meter = tmp_path / "log.jsonl", Meter([lambda: next(values)])
    for note in ("train: not done yet", "write: not done yet", "evaluate: not done yet"):
        shown.note(note)
    lines = [json.loads(line) for line in shown.log.read_text().splitlines()]
    assert [line["joules"] for line in lines] == [{"gpu": 10.0}, {"gpu": 40.0}, {"gpu": 100.0}]
    cost = read_cost(shown.log)
    assert cost.joules == {"train": {"gpu": 30.0}, "write": {"gpu": 60.0}}
    lines = [line | {"seconds": float(place)} for place, line in enumerate(lines, 1)]
    again = [line | {"joules": {"gpu": line["joules"]["gpu"] - 10}} for line in lines]
    # Another launch, whose meter begins at 0.
    shown.log.write_text("".join(json.dumps(line) + "\n" for line in [*lines, *again]))
    assert read_cost(shown.log).joules == {"train": {"gpu": 60.0}, "write": {"gpu": 120.0}}
    # Older logs have processors too.
    assert _energy({"cpu": 3600.0, "gpu": 7200.0}) == "3.00 Wh (processors 1.00, GPUs 2.00)"
    assert _energy({}) == ""
    plain = ProgressReporter(quiet=True)
    plain.log = tmp_path / "plain.jsonl"
    plain.note("train: not done yet")
    assert "joules" not in plain.log.read_text()
