"""Libraries in C that are loaded before all others, to see or refuse a command's system calls."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def compiled(source: Path, folder: Path, purpose: str) -> Path:
    """The shared library of a C file, in `folder`; skips the test where none can be made."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip(f"needs a C compiler on Linux, to {purpose} system calls")
    out = folder / f"{source.stem}.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", out, source, "-ldl"], check=True)
    return out
