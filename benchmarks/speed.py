"""SPEED: training and generation against the yardstick and against the processor's peak rate.

    python benchmarks/speed.py --out benchmarks/results/speed-cpu

Per size: images a second of training and of generation by the project and by the yardstick
(yardstick.py: plain eager PyTorch of standard modules), in turn, the median of the pairs' ratios;
floating-point operations a second against the best that convolutions of the network's shapes reach
here; pixels of both after 100 steps of Algorithm 1. Weights come from a short training, so that
gradients are realistic. Equal weights, plan rows, noise, precision and batch throughout.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
import yardstick
from limits import (
    as_fits,
    convolution_rate,
    machine,
    matrix_rate,
    network_flops,
    peak_gb,
    rate,
    stock_settings,
)
from long_runs import idle_share, steady
from material import PUBLISHED, options_of, plan_rows, smooth_images

from scoremix.models.method.ladder import noise_ladder, sigma_at
from scoremix.models.method.loss import draw_levels, dsm_loss
from scoremix.models.method.mixing import mix
from scoremix.models.network.architecture import Architecture
from scoremix.models.network.checkpoint import TrainedNet, build
from scoremix.models.network.compiled import compile_trunk
from scoremix.models.network.device import set_deterministic
from scoremix.models.network.ema import Ema
from scoremix.models.network.score_net import ScoreNet
from scoremix.stages.common.presets import choose_preset, micro_batch
from scoremix.stages.common.tensors import to_pixels, to_unit
from scoremix.stages.generate.config import GenerateConfig
from scoremix.stages.generate.generate import generate
from scoremix.stages.generate.noise import NoiseStreams
from scoremix.stages.generate.recipe import Recipe
from scoremix.stages.train.batches import Batches, BatchShare
from scoremix.stages.train.loss_guard import LossGuard

WARM = 60  # updates before anything is measured
_COMPARED = 16  # images whose pixels are compared


def main() -> None:
    options = _arguments()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    Path(options.out).parent.mkdir(parents=True, exist_ok=True)
    result = {"machine": machine(device), "repeats": options.repeats, "sizes": []}
    for side in options.sizes:
        result["sizes"].append(measure(side, options, device))
        print(json.dumps(result["sizes"][-1]), flush=True)
        Path(f"{options.out}.json").write_text(json.dumps(result, indent=1) + "\n")
        Path(f"{options.out}.md").write_text(table(result))
    print(table(result))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("--width", type=int, help="g; default: the preset's")
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--compile", default="off", choices=["off", "on", "graphs"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch", type=int, help="images generated at once; default: the table's")
    parser.add_argument("--batches", type=int, default=2, help="micro-batches a measurement")
    parser.add_argument("--steps", type=int, default=10, help="of Algorithm 1, for the rates")
    parser.add_argument("--levels", type=int, default=5, help="of the chain, for the rates")
    parser.add_argument("--pixels", action="store_true", help="compare pixels too")
    parser.add_argument(
        "--steady", type=float, default=0, help="seconds of generation at the published settings"
    )
    parser.add_argument("--out", default="benchmarks/results/speed")
    options = parser.parse_args()
    options.sizes = options.sizes or [8, 16, 32, 64]
    return options


def measure(side: int, options: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    preset = choose_preset("auto", side, device.type)[1]
    width = options.width or preset.width
    channels = 1 if side == 8 else 3
    images = smooth_images(512, side, channels)
    sigma_1 = 0.4 * side * channels**0.5
    net = build(Architecture(channels, side, width), noise_ladder(sigma_1)).to(device)
    net.trunk_dtype = torch.bfloat16 if options.precision == "bfloat16" else None
    train_batch, training = as_fits(
        preset.batch, lambda batch: train_rates(net, images, batch, sigma_1, options, device)
    )
    facts = {"weights_sha256": "", "ladder": {"sigma_1": sigma_1, "sigma_N": 0.01}}
    trained = TrainedNet(net.requires_grad_(False).eval(), sigma_1, 0.01, facts)
    flops = network_flops(net, side, channels, device)
    batch, made = as_fits(
        options.batch or micro_batch(device.type, side, width),
        lambda batch: generation_rates(trained, images, batch, options, device),
    )
    with stock_settings(device):
        best = convolution_rate(net, side, batch, options, device)
    matrix = matrix_rate(options, device)
    calls = network_calls(options.steps, options.levels)
    found = {
        "side": side,
        "width": width,
        "precision": options.precision,
        "compile": options.compile,
        "train_batch": train_batch,
        "micro_batch": batch,
        "gflop_forward": flops / 1e9,
        "convolution_gflops": best / 1e9,
        "matrix_gflops": matrix / 1e9,
        "training": training | shares(3 * flops * training["ours"], best, matrix),
        "generation": made
        | shares(calls * flops * made["ours"], best, matrix)
        | {"steps": options.steps, "levels": options.levels},
    }
    if device.type == "cuda":
        found["idle"] = idle_share(trained, images, batch, options, device)
    if options.steady:
        found["steady"] = steady(trained, images, batch, options, device)
    if options.pixels:
        found["pixels"] = same_pixels(trained, images, batch, device)
    return found


def network_calls(steps: int, levels: int) -> int:
    """Cost of an image in forward passes: a step's gradient on x counts as one more; two norms
    beyond those that the steps compute anyway."""
    return 2 * steps + levels + 2


def shares(flops: float, convolution: float, matrix: float) -> dict[str, float]:
    return {"of_convolution_rate": flops / convolution, "of_matrix_rate": flops / matrix}


def pairs(ours: Callable[[], float], other: Callable[[], float], repeats: int) -> dict[str, Any]:
    """Measures both in turn; the ratio is the median of the pairs' ratios."""
    ours(), other()
    found = [(ours(), other()) for _ in range(repeats)]
    ratios = sorted(a / b for a, b in found)
    return {
        "ours": statistics.median(a for a, _ in found),
        "yardstick": statistics.median(b for _, b in found),
        "ratio": statistics.median(ratios),
        "ratios": [ratios[0], ratios[-1]],
    }


def train_rates(
    net: ScoreNet,
    images: np.ndarray[Any, Any],
    batch: int,
    sigma_1: float,
    options: argparse.Namespace,
    device: torch.device,
) -> dict[str, Any]:
    ladder = noise_ladder(sigma_1)
    random = np.random.default_rng(1)
    plain = yardstick.Trainer(yardstick.stock(net), 1e-4)
    compile_trunk(net, options.compile)
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-4, fused=True)
    average = Ema(net, 0.999)
    losses = LossGuard(optimiser, deferred=device.type == "cuda")
    batches = Batches(
        images, ladder, None, batch, flip=False, seed=1, device=device, share=BatchShare()
    )

    def ours() -> int:
        set_deterministic(device)
        for step in range(options.batches):
            drawn = batches.draw(step)
            each = dsm_loss(net, drawn.x, drawn.sigma, drawn.noise)
            loss = each.mean()
            losses.record(step, drawn.rows, each.detach(), loss.detach())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            average.update(net, step + 1000)
        return options.batches * batch

    def other() -> int:
        with stock_settings(device):
            for _ in range(options.batches):
                x = to_unit(images[random.integers(0, len(images), batch)], device)
                levels = draw_levels(ladder, batch, random, None)
                sigma = torch.from_numpy(levels).to(device, torch.float32)
                x = x.contiguous()
                plain.update(x, sigma, torch.randn_like(x))
        return options.batches * batch

    for _ in range(WARM // options.batches):
        ours()
    return compared(ours, other, options, device)


def generation_rates(
    trained: TrainedNet,
    images: np.ndarray[Any, Any],
    batch: int,
    options: argparse.Namespace,
    device: torch.device,
) -> dict[str, Any]:
    rows = plan_rows(options.batches * batch, len(images))
    config = options_of(batch, options.precision, options.steps, options.levels, options.compile)
    wanted = Recipe.from_config(config, trained.facts, "")
    plain = yardstick.stock(trained.net)

    def ours() -> int:
        made = generate(rows, images, wanted, trained, device=device)
        return sum(len(each.final) for each in made)

    def other() -> int:
        done = 0
        with stock_settings(device):
            for start in range(0, rows.num_rows, batch):
                part = rows.slice(start, batch)
                done += len(by_yardstick(plain, trained, part, images, config, device))
        return done

    return compared(ours, other, options, device)


def compared(
    ours: Callable[[], int],
    other: Callable[[], int],
    options: argparse.Namespace,
    device: torch.device,
) -> dict[str, Any]:
    """Rates of both and their ratio; on a GPU also their memory."""
    found = pairs(lambda: rate(ours, device), lambda: rate(other, device), options.repeats)
    if device.type == "cuda":
        found |= {"peak_gb": peak_gb(ours), "yardstick_peak_gb": peak_gb(other)}
    return found


def by_yardstick(
    plain: ScoreNet,
    trained: TrainedNet,
    rows: pa.Table,
    images: np.ndarray[Any, Any],
    config: GenerateConfig,
    device: torch.device,
) -> np.ndarray[Any, Any]:
    """The final images of some plan rows, from the same parents and the same noise."""
    x1, x2 = (to_unit(images[rows[name].to_numpy()], device) for name in ("row_1", "row_2"))
    lambda_ = torch.tensor(rows["lambda"].to_pylist()).to(device, torch.float32)
    noise = NoiseStreams(rows["seed"].to_numpy(), tuple(x1.shape[1:]), device)
    assert config.steps is not None and config.lr and config.t0 and config.denoise_steps
    made = yardstick.augment(
        plain,
        mix(x1, x2, lambda_),
        lambda: noise("denoise"),
        steps=config.steps,
        lr=config.lr,
        sigma_t0=sigma_at(config.t0, trained.sigma_1, trained.sigma_N),
        sigma_N=trained.sigma_N,
        levels=config.denoise_steps,
    )
    return to_pixels(made)


def same_pixels(
    trained: TrainedNet, images: np.ndarray[Any, Any], batch: int, device: torch.device
) -> dict[str, Any]:
    """Share of pixels within a grey level after the published 100 steps and 25 levels."""
    batch = min(batch, _COMPARED)
    rows = plan_rows(batch, len(images))
    config = options_of(batch, "float32", *PUBLISHED)
    (made,) = generate(
        rows, images, Recipe.from_config(config, trained.facts, ""), trained, device=device
    )
    plain = yardstick.stock(trained.net)
    other = by_yardstick(plain, trained, rows, images, config, device)
    apart = np.abs(made.final.astype(int) - other.astype(int))
    return {"within_one": float((apart <= 1).mean()), "most": int(apart.max())}


def named(row: dict[str, Any]) -> str:
    compiled = "" if row["compile"] == "off" else f", compile: {row['compile']}"
    return f"{row['side']} px, {row['width']}, {row['precision']}{compiled}"


def table(result: dict[str, Any]) -> str:
    lines = [
        f"{result['machine']}, medians of {result['repeats']}; shares are of the best rate of the"
        " network's own convolutions, measured in the same run.",
        "",
        "| side, g | what | images/s | yardstick | ratio (range) | share of convolution rate |"
        " share of matrix rate |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in result["sizes"]:
        for what in ("training", "generation"):
            found = row[what]
            low, high = found["ratios"]
            lines.append(
                f"| {named(row)} | {what} |"
                f" {found['ours']:.3g} | {found['yardstick']:.3g} |"
                f" {found['ratio']:.2f} ({low:.2f}-{high:.2f}) |"
                f" {100 * found['of_convolution_rate']:.0f} % of {row['convolution_gflops']:.0f}"
                f" GFLOP/s | {100 * found['of_matrix_rate']:.0f} % of {row['matrix_gflops']:.0f}"
                " GFLOP/s |"
            )
    for row in result["sizes"]:
        lines += [""] if {"idle", "steady"} & row.keys() else []
        if "idle" in row:
            lines.append(f"{row['side']} px: the GPU is idle for {100 * row['idle']:.1f} %.")
        for what in (what for what in ("training", "generation") if "peak_gb" in row[what]):
            batch = row["train_batch" if what == "training" else "micro_batch"]
            mine, other = row[what]["peak_gb"], row[what]["yardstick_peak_gb"]
            lines.append(
                f"{row['side']} px: {what} with {batch} images at once takes {mine:.1f} GB, the"
                f" yardstick's {other:.1f} GB."
            )
        if "steady" in row:
            found = row["steady"]
            lines.append(
                f"{row['side']} px, published settings: {found['images']:,} images in"
                f" {found['seconds']:.0f} s; 10,000 would take"
                f" {found['hours_of_10000_extrapolated']:.2f} h (extrapolated)."
            )
    pixels = [row for row in result["sizes"] if "pixels" in row]
    for row in pixels:
        found = row["pixels"]
        lines += [
            "",
            f"{row['side']} px, 100 steps and 25 levels: {100 * found['within_one']:.3f} % of the"
            f" pixels within one grey level of the yardstick's, the farthest {found['most']}.",
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
