"""generate.compile and train.compile: what they are part of, and what they need."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tiny
import torch
from in_process import cli

from scoremix.manifests.errors import ConfigError
from scoremix.models.method.ladder import noise_ladder
from scoremix.models.method.loss import dsm_loss
from scoremix.models.network import blocks, compiled, compilers, norm, refinenet
from scoremix.models.network.architecture import Architecture
from scoremix.models.network.checkpoint import TrainedNet, build
from scoremix.models.network.score_net import VIEW
from scoremix.stages.generate.config import GenerateConfig
from scoremix.stages.generate.generate import generate
from scoremix.stages.generate.recipe import Recipe
from scoremix.stages.train.config import TrainConfig

CPU = torch.device("cpu")
FACTS = {"weights_sha256": "00", "ladder": {"sigma_1": 3.0, "sigma_N": 0.01}}
QUICK = {
    "method": "scoremix",
    "steps": 3,
    "lr": 0.002,
    "t0": 0.25,
    "denoise_steps": 4,
    "noise_rule": "ancestral",
}


def trained() -> TrainedNet:
    net = build(Architecture(1, 8, 4), noise_ladder(3.0), seed=2).requires_grad_(False).eval()
    return TrainedNet(net, 3.0, 0.01, FACTS)


def made(net: TrainedNet, **options: Any) -> np.ndarray[Any, Any]:
    config = GenerateConfig.model_validate({**QUICK, "batch": 4, "precision": "float32", **options})
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), dtype=np.uint8)
    rows = pa.table(
        {
            "key": [f"{number:06d}-001" for number in range(6)],
            "kind": ["augmented"] * 6,
            "row_1": np.arange(6),
            "row_2": np.arange(6)[::-1],
            "lambda": np.linspace(0.2, 0.8, 6),
            "class_id": [-1] * 6,
            "seed": np.arange(6),
        }
    )
    wanted = Recipe.from_config(config, net.facts, "")
    return np.concatenate([b.final for b in generate(rows, images, wanted, net, device=CPU)])


def test_it_is_part_of_the_recipe_only_where_it_is_on() -> None:
    config = GenerateConfig.model_validate({**QUICK, "batch": 4})
    compiled = config.model_copy(update={"compile": "on"})
    off = Recipe.from_config(config, FACTS, "").as_json()
    assert "compile" not in off
    on = Recipe.from_config(compiled, FACTS, "")
    assert on.as_json() == off | {"compile": "on"}
    assert on.for_real_images().as_json()["compile"] == "on"  # their norms are of that code too
    mixup = compiled.model_copy(update={"method": "mixup"})
    assert "compile" not in Recipe.from_config(mixup, None, "").as_json()


@pytest.mark.parametrize("section", [GenerateConfig, TrainConfig])
@pytest.mark.parametrize(
    ("written", "meant"), [(True, "on"), (False, "off"), ("on", "on"), ("graphs", "graphs")]
)
def test_yamls_words_are_understood(section: Any, written: object, meant: str) -> None:
    assert section.model_validate({"compile": written}).compile == meant


def test_the_trunk_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    modes = []

    def compile_(function: Any, *, mode: str | None, **options: Any) -> Any:
        modes.append(mode)
        return function

    monkeypatch.setattr(torch, "compile", compile_)
    plain, net = made(trained()), trained()
    assert modes == []
    for _ in range(2):
        assert np.array_equal(made(net, compile="on"), plain)
    assert modes == [None]
    compiled.compile_trunk(trained().net, "graphs")
    assert modes == [None, "reduce-overhead"]


def test_what_a_machine_lacks_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="generate.compile: graphs needs a CUDA device"):
        made(trained(), compile="graphs")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"needs a C\+\+ compiler.*Set generate.compile: off"):
        made(trained(), compile="on")
    assert "triton" in str(compilers.missing_compiler("on", "cuda"))
    monkeypatch.setattr(compilers.util, "find_spec", lambda name: object())
    monkeypatch.delenv("CC", raising=False)
    assert "a C compiler (as gcc)" in str(compilers.missing_compiler("on", "cuda"))
    (tmp_path / "gcc").write_text("#!/bin/sh\n")
    (tmp_path / "gcc").chmod(0o755)
    assert compilers.missing_compiler("on", "cuda") is None


@pytest.mark.parametrize("section", ["train", "generate"])
def test_it_is_refused_before_anything_is_made(
    section: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.make_images(tmp_path / "images")
    places = ["--data", tmp_path / "images", "--out", tmp_path / "shards", "--quiet"]
    words = [*map(str, places), *tiny.options(), "--set", f"{section}.compile=graphs"]
    assert cli("augment", *words) == 2
    assert f"{section}.compile: graphs needs a CUDA device" in capsys.readouterr().err
    assert not (tmp_path / "shards.run" / "corpus").exists()


@pytest.mark.parametrize("precision", tiny.mostly_in_faults([None, torch.bfloat16], [None]))
@pytest.mark.parametrize("few", [False, True])
def test_one_graph_holds_the_whole_network_and_its_gradient(
    few: bool, precision: torch.dtype | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traces the graphs alone, which needs no compiler: what cannot be traced is found in seconds.

    Where x is kept, of two stages alone, which hold every kind of block.
    """
    if few:
        stages = refinenet._Form((1, 2), (2, 1), (False, True), (2, 1))
        monkeypatch.setattr(refinenet, "_UP_TO_64", stages)
    for module in (norm, blocks):
        monkeypatch.setattr(module, "keeps_x", lambda x: few)
    traced = partial(torch.compile, backend="eager")
    monkeypatch.setattr(torch, "compile", lambda f, mode, **options: traced(f, **options))

    def of(how: compilers.Compile) -> list[torch.Tensor]:
        net = trained().net.requires_grad_(True)
        net.trunk_dtype = precision
        compiled.compile_trunk(net, how)
        x = torch.linspace(0, 1, 2 * 8 * 8).reshape(2, 1, 8, 8).requires_grad_()
        out = net.residual(x, torch.tensor([0.3]))
        return [out, *torch.autograd.grad(out.square().sum(), [x, *net.parameters()])]

    for plain, found in zip(of("off"), of("on"), strict=True):
        torch.testing.assert_close(found, plain, rtol=1e-3, atol=1e-3 if precision else 1e-5)


@pytest.mark.slow
@pytest.mark.faults  # minutes of compilation
def test_compiled_code_makes_the_same_images() -> None:
    if compilers.missing_compiler("on", "cpu"):
        pytest.skip("needs a C++ compiler")
    apart = np.abs(made(trained(), compile="on").astype(int) - made(trained()).astype(int))
    assert apart.max() <= 1 and (apart > 0).mean() < 0.05


def test_a_training_step_of_the_unet_is_compiled_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dropout, views and both passes, by the tracer of torch.compile without its code generator."""
    compile_ = torch.compile

    def traced(function: Any, *, mode: str | None, **options: Any) -> Any:
        return compile_(function, backend="aot_eager", **options)

    monkeypatch.setattr(torch, "compile", traced)
    shape = Architecture(1, 8, 8, network="unet", dropout=0.25, views=True)
    net = build(shape, noise_ladder(30.0)).train()
    compiled.compile_trunk(net, "on")
    x = torch.rand(2, 1, 8, 8)
    conditions = (torch.full((2,), 0.3), torch.randn_like(x), None, torch.zeros(2, VIEW))
    dsm_loss(net, x, *conditions).mean().backward()
    assert all(torch.isfinite(each.grad).all() for each in net.parameters() if each.requires_grad)
