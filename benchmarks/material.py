"""Test images, plan rows and options for the speed benchmarks."""

from typing import Any

import numpy as np
import pyarrow as pa

from scoremix.stages.generate.config import GenerateConfig

PUBLISHED = 100, 25  # steps of Algorithm 1 and levels of the chain


def smooth_images(count: int, side: int, channels: int) -> np.ndarray[Any, Any]:
    """Random images with the spectrum of natural ones, about 1 / frequency."""
    random = np.random.default_rng(0)
    noise = np.fft.fft2(random.standard_normal((count, channels, side, side)))
    across = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side)))
    images = np.fft.ifft2(noise / (across + 0.5 / side)).real
    images = 128 + 50 * images / images.std(axis=(2, 3), keepdims=True)
    return np.ascontiguousarray(images.clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1))


def plan_rows(count: int, images: int) -> pa.Table:
    random = np.random.default_rng(2)
    return pa.table(
        {
            "key": [f"{number:06d}-001" for number in range(count)],
            "kind": ["augmented"] * count,
            "row_1": random.integers(0, images, count),
            "row_2": random.integers(0, images, count),
            "lambda": random.uniform(0.1, 0.9, count),
            "class_id": np.full(count, -1),
            "seed": random.integers(0, 2**62, count),
        }
    )


def options_of(
    batch: int, precision: str, steps: int, levels: int, compiled: str = "off"
) -> GenerateConfig:
    return GenerateConfig(
        method="scoremix",
        steps=steps,
        lr=0.005,
        t0=0.25,
        denoise_steps=levels,
        noise_rule="ancestral",
        batch=batch,
        precision=precision,  # type: ignore[arg-type]
        compile=compiled,  # type: ignore[arg-type]
    )
