"""`make test-elsewhere` means what it says: the kernels are the ones that its variables name."""

import os
import platform

import numpy as np
import pytest
import torch


def test_the_matrix_products_are_of_the_named_processor() -> None:
    name = os.environ.get("OPENBLAS_CORETYPE")
    if not name or platform.machine() != "x86_64":
        pytest.skip("OPENBLAS_CORETYPE names no x86 kernel")
    control = pytest.importorskip("threadpoolctl", reason="threadpoolctl is not installed")
    np.ones((2, 2)) @ np.ones((2, 2))
    found = {part["architecture"] for part in control.threadpool_info() if "architecture" in part}
    if not found:
        pytest.skip("NumPy multiplies matrices with another library than OpenBLAS")
    # A build of OpenBLAS for many processors serves Zen with the kernels of Haswell.
    assert found == {"Haswell" if name == "Zen" else name}


def test_torchs_loops_are_of_the_named_instructions() -> None:
    name = os.environ.get("ATEN_CPU_CAPABILITY")
    if not name:
        pytest.skip("ATEN_CPU_CAPABILITY names no instructions")
    assert torch.backends.cpu.get_cpu_capability() == name.upper()
