"""NETWORKS: images a second in training and in generation, for each network and option, in one run.

    python benchmarks/networks.py --side 32 --out benchmarks/results/networks-32

Every option is timed against the same network's plain form (float32, channels first, no compiler),
a few updates of each in turn, and again, so that a slow moment of the machine meets all of them.
Training is a whole update: drawing the batch with its augmentation, forward, backward, Adam and the
averages. Generation is `bridge` with its ten levels, made as a run makes it.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from material import plan_rows, smooth_images

from scoremix.models.method.ladder import noise_ladder
from scoremix.models.method.loss import dsm_loss
from scoremix.models.network.architecture import Architecture, Network
from scoremix.models.network.checkpoint import TrainedNet, build
from scoremix.models.network.compiled import compile_trunk
from scoremix.models.network.compilers import missing_compiler
from scoremix.models.network.device import device_type
from scoremix.models.network.ema import Ema
from scoremix.stages.common.presets import choose_preset
from scoremix.stages.generate.config import GenerateConfig
from scoremix.stages.generate.generate import generate
from scoremix.stages.generate.means import mean_images
from scoremix.stages.generate.recipe import Recipe
from scoremix.stages.train.batches import Batches, BatchShare

FORMS: dict[str, dict[str, Any]] = {
    "float32, channels first": {"last": False},
    "float32": {},
    "bfloat16, channels first": {"last": False, "dtype": torch.bfloat16},
    "bfloat16": {"dtype": torch.bfloat16},
    "bfloat16, norms in single operations": {
        "dtype": torch.bfloat16,
        "norms": "single",
        "network": "unet",
    },
    "bfloat16, compiled": {"dtype": torch.bfloat16, "compile": True},
}
LADDER = noise_ladder(30.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each form in a round")
    parser.add_argument("--networks", default="unet,refinenet")
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    lack = missing_compiler("on", device.type)
    rows = []
    for network in options.networks.split(","):
        forms = {
            name: form
            for name, form in FORMS.items()
            if form.get("network", network) == network and not (lack and form.get("compile"))
        }
        training = {name: _trainer(network, form, options, device) for name, form in forms.items()}
        rows += _rates("training", network, training, options)
        making = {name: _maker(network, form, options, device) for name, form in forms.items()}
        rows += _rates("bridge", network, making, options)
        _save(Path(options.out), rows, options, device)  # what is compiled takes minutes each


def _shape(network: Network, options: argparse.Namespace, device: torch.device) -> Any:
    kind = device_type(device.type)
    _, _, row = choose_preset(options.preset, options.side, kind, network)
    shape = Architecture(
        options.channels,
        options.side,
        row.width,
        network=network,
        dropout=row.dropout,
        views=row.augment > 0,
        block=row.block,
    )
    return shape, row


def _trainer(
    network: Network, form: dict[str, Any], options: argparse.Namespace, device: torch.device
) -> Callable[[], int]:
    """One update; gives the number of images."""
    shape, row = _shape(network, options, device)
    net = build(shape, LADDER).to(device)
    last = form.get("last", True)
    layout = torch.channels_last if last else torch.contiguous_format
    net = net.to(memory_format=layout)
    net.trunk_dtype = form.get("dtype")
    _norms(net, form)
    ema = Ema(net, 0.999)
    if form.get("compile"):
        compile_trunk(net, "on")
    adam = torch.optim.Adam(net.parameters(), lr=1e-4, fused=True)
    batches = Batches(
        smooth_images(256, options.side, options.channels),
        LADDER,
        None,
        row.batch,
        flip=False,
        seed=0,
        device=device,
        share=BatchShare(),
        lognormal=row.levels == "lognormal",
        augment=row.augment,
    )
    step = 0

    def update() -> int:
        nonlocal step
        batch = batches.draw(step)
        x, noise = (each.contiguous(memory_format=layout) for each in (batch.x, batch.noise))
        loss = dsm_loss(net, x, batch.sigma, noise, batch.labels, batch.view).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        step += 1
        ema.update(net, step)
        return len(x)

    return update


def _maker(
    network: Network, form: dict[str, Any], options: argparse.Namespace, device: torch.device
) -> Callable[[], int]:
    """Some images by `bridge` as a run makes them; gives their number."""
    shape, row = _shape(network, options, device)
    net = build(shape, LADDER).to(device)
    _norms(net, form)
    if not form.get("last", True):
        net = net.to(memory_format=torch.contiguous_format)
    images = smooth_images(256, options.side, options.channels)
    kind = device_type(device.type)
    given = {"method": "bridge", "denoise_steps": 10, "compile": bool(form.get("compile"))}
    given["precision"] = "bfloat16" if form.get("dtype") else "float32"
    config = GenerateConfig.model_validate(given)
    config = config.resolved(options.preset, options.side, row.width, kind, network)
    threads = 1 if device.type == "cuda" else torch.get_num_threads()
    count = int(config.batch) * threads
    means = mean_images(images, np.arange(len(images)), np.full(len(images), -1), 0)
    facts = {"weights_sha256": "", "ladder": {"sigma_1": 30.0, "sigma_N": 0.01}}
    recipe = Recipe.from_config(config, facts, "", means.sha256)
    plan = plan_rows(count, len(images))
    trained = TrainedNet(net, 30.0, 0.01, facts)

    def make() -> int:
        made = generate(plan, images, recipe, trained, means=means, device=device)
        return sum(batch.rows.num_rows for batch in made)

    return make


def _norms(net: torch.nn.Module, form: dict[str, Any]) -> None:
    """With `norms: single`, computes group norms without the kernel of PyTorch that fuses them."""
    for norm in net.modules() if form.get("norms") == "single" else ():
        if isinstance(norm, torch.nn.GroupNorm):
            norm.forward = partial(_single_operations, norm)


def _single_operations(norm: torch.nn.GroupNorm, x: torch.Tensor) -> torch.Tensor:
    """GroupNorm of x (B, C, H, W): mean, variance, scale and shift, each over the whole tensor."""
    groups = x.float().unflatten(1, (norm.num_groups, -1))
    variance, mean = torch.var_mean(groups, dim=(2, 3, 4), correction=0, keepdim=True)
    h = ((groups - mean) * torch.rsqrt(variance + norm.eps)).flatten(1, 2)
    return (h * norm.weight[:, None, None] + norm.bias[:, None, None]).to(x.dtype)


def _rates(
    what: str, network: str, forms: dict[str, Callable[[], int]], options: argparse.Namespace
) -> list[dict[str, Any]]:
    for work in forms.values():
        work(), work()
    found: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(options.rounds):
        for name, work in forms.items():
            begin, images = time.perf_counter(), 0
            while time.perf_counter() - begin < options.seconds:
                images += work()
                if torch.cuda.is_available():
                    torch.cuda.synchronize()
            found[name].append(images / (time.perf_counter() - begin))
    plain = float(np.median(found[next(iter(forms))]))
    rows = []
    for name, rates in found.items():
        rate = float(np.median(rates))
        rows.append({"network": network, "what": what, "form": name, "rate": rate, "all": rates})
        print(f"{network} {what} {name}: {rate:.1f}/s, {rate / plain:.2f}", flush=True)
        rows[-1]["ratio"] = rate / plain
    return rows


def _save(
    out: Path, rows: list[dict[str, Any]], options: argparse.Namespace, device: torch.device
) -> None:
    machine = torch.cuda.get_device_name() if device.type == "cuda" else platform.processor()
    lines = [
        f"Preset `{options.preset}` at {options.side} px, {torch.get_num_threads()} threads, torch"
        f" {torch.__version__}. Images a second, and the ratio to the same network's plain form.",
        "",
        "| network | form | training | ratio | bridge, 10 levels | ratio |",
        "|---|---|---|---|---|---|",
    ]
    pairs = {(row["network"], row["form"], row["what"]): row for row in rows}
    for network, form in dict.fromkeys((row["network"], row["form"]) for row in rows):
        cells = (pairs[network, form, what] for what in ("training", "bridge"))
        text = " | ".join(f"{cell['rate']:.1f} | {cell['ratio']:.2f}" for cell in cells)
        lines.append(f"| `{network}` | {form} | {text} |")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".md").write_text("\n".join(lines) + "\n")
    facts = {"machine": machine, "side": options.side, "preset": options.preset, "rows": rows}
    facts |= {"threads": torch.get_num_threads(), "torch": torch.__version__}
    out.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
