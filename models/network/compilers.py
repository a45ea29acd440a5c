"""The option `compile` and the compilers that it needs; without torch, as all options are."""

import os
import shutil
from importlib import util
from typing import Any, Literal

Compile = Literal["off", "on", "graphs"]  # graphs: captured as CUDA graphs, too

_COMPILERS = ("c++", "g++", "clang++")  # torch.compile builds C++ for a processor
_C_COMPILERS = ("gcc", "clang", "cc")


def as_compile_word(value: Any) -> Any:
    """YAML reads on and off as true and false."""
    return {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value


def missing_compiler(compile_: Compile, device_type: str) -> str | None:
    """What `compile` needs and this machine lacks, in words; None if nothing."""
    if compile_ == "off":
        return None
    if device_type == "cpu":
        if compile_ == "graphs":
            return "a CUDA device: there are no CUDA graphs on a processor"
        return None if any(map(shutil.which, _COMPILERS)) else "a C++ compiler (as g++)"
    if not util.find_spec("triton"):
        return "the package triton"
    found = os.environ.get("CC") or any(map(shutil.which, _C_COMPILERS))
    return None if found else "a C compiler (as gcc), which triton builds its launchers with"
