"""SPEED: training and generation against the yardstick, and how near the processor's own rate.

    python benchmarks/speed.py --out benchmarks/results/speed-cpu

Per size: images a second of training and of generation by the project and by the yardstick
(yardstick.py: plain eager PyTorch of standard modules), in turn, the median of the pairs' ratios;
floating-point operations a second against the best that convolutions of the network's shapes reach
here; pixels of both after 100 steps of Algorithm 1. Weights are of a short training, so that a
gradient is what it is in use. Equal weights, plan rows, noise, precision and batch throughout.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
import torch.nn.functional as F
import yardstick
from torch.utils.flop_counter import FlopCounterMode

from scoremix.models.checkpoint import TrainedNet, build
from scoremix.models.device import one_thread
from scoremix.models.ema import Ema
from scoremix.models.ladder import noise_ladder, sigma_at
from scoremix.models.loss import draw_levels, dsm_loss
from scoremix.models.methods import mix
from scoremix.models.score_net import Architecture, ScoreNet
from scoremix.stages.generate import GenerateConfig, generate, recipe
from scoremix.stages.noise import Streams
from scoremix.stages.pixels import to_pixels, to_unit
from scoremix.stages.presets import choose, micro_batch

WARM = 60  # updates before anything is measured
_COMPARED = 16  # images whose pixels are compared
PUBLISHED = 100, 25  # steps of Algorithm 1 and levels of the chain


def main() -> None:
    options = _arguments()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
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
    preset = choose("auto", side, device.type)[1]
    width = options.width or preset.width
    channels = 1 if side == 8 else 3
    images = smooth_images(512, side, channels)
    sigma_1 = 0.4 * side * channels**0.5
    net = build(Architecture(channels, side, width), noise_ladder(sigma_1)).to(device)
    net.trunk_dtype = torch.bfloat16 if options.precision == "bfloat16" else None
    training = train_rates(net, images, preset.batch, sigma_1, options, device)
    facts = {"weights_sha256": "", "ladder": {"sigma_1": sigma_1, "sigma_N": 0.01}}
    trained = TrainedNet(net.requires_grad_(False).eval(), sigma_1, 0.01, facts)
    batch = micro_batch(device.type, side, width)
    flops = network_flops(net, side, channels, device)
    best = convolution_rate(net, side, batch, options, device)
    made = generation_rates(trained, images, batch, options, device)
    matrix = matrix_rate(options, device)
    calls = network_calls(options.steps, options.levels)
    found = {
        "side": side,
        "width": width,
        "precision": options.precision,
        "compile": options.compile,
        "train_batch": preset.batch,
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
        found["peak_memory_gb"] = torch.cuda.max_memory_allocated() / 1e9
    if device.type == "cuda":
        found["idle"] = idle_share(trained, images, batch, options, device)
    if options.steady:
        found["steady"] = steady(trained, images, batch, options, device)
    if options.pixels:
        found["pixels"] = same_pixels(trained, images, batch, device)
    return found


def network_calls(steps: int, levels: int) -> int:
    """In forward passes of an image: a step's gradient on x costs one more; two norms more than
    the steps work out anyway."""
    return 2 * steps + levels + 2


def shares(flops: float, convolution: float, matrix: float) -> dict[str, float]:
    return {"of_convolution_rate": flops / convolution, "of_matrix_rate": flops / matrix}


def smooth_images(count: int, side: int, channels: int) -> np.ndarray[Any, Any]:
    """Random images with the spectrum of natural ones, about 1 / frequency."""
    random = np.random.default_rng(0)
    noise = np.fft.fft2(random.standard_normal((count, channels, side, side)))
    across = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    images = np.fft.ifft2(noise / (across + 0.5 / side)).real
    images = 128 + 50 * images / images.std(axis=(2, 3), keepdims=True)
    return np.ascontiguousarray(images.clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1))


def pairs(ours: Callable[[], float], other: Callable[[], float], repeats: int) -> dict[str, Any]:
    """Rates of both, in turn; the ratio is the median of the pairs'."""
    ours(), other()
    found = [(ours(), other()) for _ in range(repeats)]
    ratios = sorted(a / b for a, b in found)
    return {
        "ours": statistics.median(a for a, _ in found),
        "yardstick": statistics.median(b for _, b in found),
        "ratio": statistics.median(ratios),
        "ratios": [ratios[0], ratios[-1]],
    }


def rate(work: Callable[[], int], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    begin = time.perf_counter()
    count = work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return count / (time.perf_counter() - begin)


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
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-4, fused=True)
    average = Ema(net, 0.999)

    def drawn() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        x = to_unit(images[random.integers(0, len(images), batch)], device)
        sigma = torch.from_numpy(draw_levels(ladder, batch, random, None)).to(device, torch.float32)
        return x, sigma, torch.randn_like(x)

    def ours() -> int:
        for step in range(options.batches):
            x, sigma, noise = drawn()
            loss = dsm_loss(net, x, sigma, noise).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            average.update(net, step + 1000)
            float(loss.detach())
        return options.batches * batch

    def other() -> int:
        for _ in range(options.batches):
            x, sigma, noise = drawn()
            plain.update(x.contiguous(), sigma, noise.contiguous())
        return options.batches * batch

    for _ in range(WARM // options.batches):
        ours()
    return pairs(lambda: rate(ours, device), lambda: rate(other, device), options.repeats)


def generation_rates(
    trained: TrainedNet,
    images: np.ndarray[Any, Any],
    batch: int,
    options: argparse.Namespace,
    device: torch.device,
) -> dict[str, Any]:
    rows = plan_rows(options.batches * batch, len(images))
    config = _config(batch, options.precision, options.steps, options.levels, options.compile)
    wanted = recipe(config, trained.facts, "")
    plain = yardstick.stock(trained.net)

    def ours() -> int:
        made = generate(rows, images, wanted, trained, device=device)
        return sum(len(each.final) for each in made)

    def other() -> int:
        done = 0
        for start in range(0, rows.num_rows, batch):
            done += len(
                by_yardstick(plain, trained, rows.slice(start, batch), images, config, device)
            )
        return done

    return pairs(lambda: rate(ours, device), lambda: rate(other, device), options.repeats)


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
    noise = Streams(rows["seed"].to_numpy(), tuple(x1.shape[1:]), device)
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
    """How many pixels are within a grey level after the published 100 steps and 25 levels."""
    batch = min(batch, _COMPARED)
    rows = plan_rows(batch, len(images))
    config = _config(batch, "float32", *PUBLISHED)
    (made,) = generate(rows, images, recipe(config, trained.facts, ""), trained, device=device)
    plain = yardstick.stock(trained.net)
    other = by_yardstick(plain, trained, rows, images, config, device)
    apart = np.abs(made.final.astype(int) - other.astype(int))
    return {"within_one": float((apart <= 1).mean()), "most": int(apart.max())}


def steady(
    trained: TrainedNet,
    images: np.ndarray[Any, Any],
    batch: int,
    options: argparse.Namespace,
    device: torch.device,
) -> dict[str, Any]:
    """Whole micro-batches at the published settings for some time; and what 10,000 would take."""
    config = _config(batch, options.precision, *PUBLISHED, options.compile)
    rows = plan_rows(1000 * batch, len(images))
    made = generate(rows, images, recipe(config, trained.facts, ""), trained, device=device)
    len(next(made).final)
    begin, done = time.perf_counter(), 0
    while time.perf_counter() - begin < options.steady:
        done += len(next(made).final)
    seconds = time.perf_counter() - begin
    made.close()  # type: ignore[attr-defined]
    hours = 10_000 * seconds / done / 3600
    return {"images": done, "seconds": seconds, "hours_of_10000_extrapolated": hours}


def idle_share(
    trained: TrainedNet,
    images: np.ndarray[Any, Any],
    batch: int,
    options: argparse.Namespace,
    device: torch.device,
) -> float:
    """The share of the wall time of generation in which the GPU runs no kernel and no copy."""
    from torch.profiler import ProfilerActivity, profile

    config = _config(batch, options.precision, options.steps, options.levels, options.compile)
    rows, wanted = plan_rows(3 * batch, len(images)), recipe(config, trained.facts, "")
    list(generate(rows.slice(0, batch), images, wanted, trained, device=device))
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        begin = time.perf_counter()
        list(generate(rows, images, wanted, trained, device=device))
        torch.cuda.synchronize()
        wall = 1e6 * (time.perf_counter() - begin)
    busy, end = 0.0, 0.0
    times = [
        (event.time_range.start, event.time_range.end)
        for event in seen.events()
        if event.device_type == torch.autograd.DeviceType.CUDA
    ]
    for start, stop in sorted(times):
        busy += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return 1.0 - busy / wall


def plan_rows(count: int, images: int) -> pa.Table:
    random = np.random.default_rng(2)
    return pa.table(
        {
            "key": [f"{number:06d}-001" for number in range(count)],
            "kind": ["augmented"] * count,
            "row_1": random.integers(0, images, count),
            "row_2": random.integers(0, images, count),
            "lambda": random.uniform(0.1, 0.9, count),
            "seed": random.integers(0, 2**62, count),
        }
    )


def _config(
    batch: int, precision: str, steps: int, levels: int, compiled: str = "off"
) -> GenerateConfig:
    return GenerateConfig(
        steps=steps,
        lr=0.005,
        t0=0.25,
        denoise_steps=levels,
        noise_rule="ancestral",
        batch=batch,
        precision=precision,  # type: ignore[arg-type]
        compile=compiled,  # type: ignore[arg-type]
    )


def network_flops(net: ScoreNet, side: int, channels: int, device: torch.device) -> float:
    """Of one image forward; a multiply-add is two."""
    x = torch.zeros(1, channels, side, side, device=device)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(x, torch.ones(1, device=device))
    return float(counter.get_total_flops())


def convolution_rate(
    net: ScoreNet, side: int, batch: int, options: argparse.Namespace, device: torch.device
) -> float:
    """The best rate of a 3x3 convolution of the network's own widths, floating-point operations
    a second: all threads in one, or one thread a convolution and several at once."""
    dtype = torch.bfloat16 if options.precision == "bfloat16" else torch.float32
    best = 0.0
    for channels, at in ((net.architecture.width, side), (2 * net.architecture.width, side // 2)):
        x = torch.randn(batch, channels, at, at, device=device, dtype=dtype)
        x = x.to(memory_format=torch.channels_last)
        weight = torch.randn(channels, channels, 3, 3, device=device, dtype=dtype)
        weight = weight.to(memory_format=torch.channels_last)
        flops = 2.0 * 9 * channels * channels * at * at * batch
        times = max(1, int(2e10 / flops)) * (20 if device.type == "cuda" else 1)

        def work(x: torch.Tensor = x, weight: torch.Tensor = weight, times: int = times) -> int:
            with torch.no_grad():
                for _ in range(times):
                    F.conv2d(x, weight, padding=1)
            return times

        best = max(best, *(flops * rate(work, device) for _ in range(options.repeats)))
        if device.type != "cpu":
            continue
        with one_thread() as threads, ThreadPoolExecutor(threads) as pool:

            def together(work: Callable[[], int] = work, threads: int = threads) -> int:
                return sum(pool.map(lambda _: work(), range(threads)))

            best = max(best, *(flops * rate(together, device) for _ in range(options.repeats)))
    return best


def matrix_rate(options: argparse.Namespace, device: torch.device) -> float:
    """The best rate of a product of large square matrices, floating-point operations a second."""
    dtype = torch.bfloat16 if options.precision == "bfloat16" else torch.float32
    side = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    times = 20 if device.type == "cuda" else 2

    def work() -> int:
        for _ in range(times):
            a @ b
        return times

    rate(work, device)
    return 2.0 * side**3 * max(rate(work, device) for _ in range(options.repeats))


def machine(device: torch.device) -> dict[str, Any]:
    name = torch.cuda.get_device_name() if device.type == "cuda" else platform.processor()
    return {
        "device": name or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "load_before": os.getloadavg()[0],
    }


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
                f"| {row['side']} px, {row['width']}, {row['precision']} | {what} |"
                f" {found['ours']:.3g} | {found['yardstick']:.3g} |"
                f" {found['ratio']:.2f} ({low:.2f}-{high:.2f}) |"
                f" {100 * found['of_convolution_rate']:.0f} % of {row['convolution_gflops']:.0f}"
                f" GFLOP/s | {100 * found['of_matrix_rate']:.0f} % of {row['matrix_gflops']:.0f}"
                " GFLOP/s |"
            )
    for row in result["sizes"]:
        lines += [""] if {"idle", "steady", "peak_memory_gb"} & row.keys() else []
        if "idle" in row:
            lines.append(f"{row['side']} px: the GPU is idle for {100 * row['idle']:.1f} %.")
        if "peak_memory_gb" in row:
            lines.append(f"{row['side']} px: peak memory {row['peak_memory_gb']:.2f} GB.")
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
