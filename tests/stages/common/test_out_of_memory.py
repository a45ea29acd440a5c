"""Memory that does not suffice: told with what to set, and nothing is lost."""

from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from in_process import cli

from scoremix.manifests.errors import ScoreMixError
from scoremix.stages.common.out_of_memory import explain_out_of_memory
from scoremix.stages.generate import apply
from scoremix.stages.train import train


def refused(*_: Any, **__: Any) -> Any:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
    ],
)
def test_every_librarys_word_for_it_is_understood(error: RuntimeError) -> None:
    with pytest.raises(ScoreMixError, match="This does not fit .* Do that") as told:
        with explain_out_of_memory("This", torch.device("cuda"), "Do that."):
            raise error
    assert told.value.__cause__ is error


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        with explain_out_of_memory("This", torch.device("cpu"), "Do that."):
            raise RuntimeError("shapes do not match")


@pytest.mark.parametrize(
    ("module", "name", "told"),
    [(train, "dsm_loss", "train.batch"), (apply, "scoremix", "generate.batch below 8")],
)
def test_a_run_says_what_to_set_and_goes_on_once_it_fits(
    module: Any,
    name: str,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = ["--data", tiny.make_images(tmp_path / "images"), "--out", tmp_path / "shards"]
    words = ["augment", *map(str, places), "--quiet", "--until", "write"]
    words += tiny.options(generate__ratio=1, write__shard_size=8)

    def run() -> int:
        return cli(*words)

    with monkeypatch.context() as patched:
        patched.setattr(module, name, refused)
        assert run() == 1
    said = capsys.readouterr().err
    assert told in said and "8 px does not fit into the memory of cpu" in said
    assert run() == 0
