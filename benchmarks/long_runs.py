"""Steady generation for minutes, and the share of time in which a GPU runs no kernel."""

import argparse
import time
from typing import Any

import numpy as np
import torch
from material import PUBLISHED, options_of, plan_rows

from scoremix.models.network.checkpoint import TrainedNet
from scoremix.stages.generate.generate import generate
from scoremix.stages.generate.recipe import Recipe


def steady(
    trained: TrainedNet,
    images: np.ndarray[Any, Any],
    batch: int,
    options: argparse.Namespace,
    device: torch.device,
) -> dict[str, Any]:
    """Generates micro-batches at the published settings for some time; extrapolates to 10,000."""
    config = options_of(batch, options.precision, *PUBLISHED, options.compile)
    rows = plan_rows(1000 * batch, len(images))
    made = generate(
        rows, images, Recipe.from_config(config, trained.facts, ""), trained, device=device
    )
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

    config = options_of(batch, options.precision, options.steps, options.levels, options.compile)
    rows, wanted = plan_rows(3 * batch, len(images)), Recipe.from_config(config, trained.facts, "")
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
