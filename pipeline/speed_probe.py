"""Seconds that the network and the encoder take on this machine, from a few calls of each kind."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..models.method.methods import FrozenScore
from ..models.method.minimise import minimise
from ..stages.evaluate.variant_catalogue import encoding_evaluations, evaluations
from ..stages.generate.config import GenerateConfig
from ..stages.generate.encodings import encodings_each


@dataclass(frozen=True)
class NetworkSpeed:
    """Seconds of the network for one image."""

    forward: float  # one level
    gradient: float  # one step of Algorithm 1

    def seconds(self, generate: GenerateConfig, encodings: float = 2.0) -> float:
        """Seconds for one image by these options, resolved; its three norms included.

        encodings: of parents that are made for it, of methods that encode; of both at most.
        """
        if not generate.needs_network:
            return 0.0
        forward, gradient = evaluations(generate)
        saved = (2.0 - encodings) * encoding_evaluations(generate)
        return self.gradient * gradient + self.forward * (forward - saved + 3)

    def of_candidates(
        self, candidates: Mapping[str, GenerateConfig], rows: int, training: int, values: int
    ) -> dict[str, float]:
        """Seconds of one of a pilot's `rows` mixtures by each candidate.

        The first that encodes does so for the others. training: images, of `values` numbers each.
        """
        encodings, found = encodings_each(rows, training, values), dict[str, float]()
        for name, options in candidates.items():
            found[name] = self.seconds(options, encodings)
            encodings = 0.0 if encoding_evaluations(options) else encodings
        return found


def probe_network(
    x: Tensor, score: FrozenScore, sigma: float, device: str, seconds: float
) -> NetworkSpeed:
    """Times both kinds of call on a micro-batch x (B, C, H, W), each for `seconds` at least."""

    def forward() -> None:
        with torch.no_grad():
            score(x, sigma)

    step = timed(lambda: minimise(x, score, score.sigma_N, steps=1, lr=0.001), device, seconds)
    return NetworkSpeed(timed(forward, device, seconds) / len(x), step / len(x))


def timed(work: Callable[[], object], device: str, seconds: float) -> float:
    """Seconds of one call: the median of as many as fit the probe, after two to warm up."""

    def once() -> float:
        begin = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - begin

    once(), once()
    begin, times = time.perf_counter(), [once()]
    while time.perf_counter() - begin < seconds:
        times.append(once())
    return float(np.median(times))


def encode_seconds(samples: NDArray[np.uint8], encode: Callable[..., object]) -> float:
    """Seconds that writing one of the images (N, H, W, C) takes on this machine."""
    begin = time.perf_counter()
    for pixels in samples:
        encode(pixels)
    # Beside the encoding, a sample costs its headers, hashes and rows.
    return (time.perf_counter() - begin) / len(samples) + 1.5e-4
