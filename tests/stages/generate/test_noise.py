"""Noise is each image's own, in order, and the same whether it is drawn ahead or not."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from scoremix.manifests.plan.random_streams import stream
from scoremix.stages.generate.noise import NoiseStreams

SEEDS = np.arange(40) + 7
SHAPE = (3, 4, 4)
CPU = torch.device("cpu")


def test_an_image_has_its_numbers_whoever_is_beside_it() -> None:
    draw = NoiseStreams(SEEDS, SHAPE, CPU)
    first, second = draw("denoise"), draw("denoise")
    assert first.is_contiguous(memory_format=torch.channels_last)
    for image, seed in enumerate(SEEDS):
        own = stream(int(seed), "denoise").standard_normal((2, *SHAPE), dtype=np.float32)
        assert np.array_equal(first[image], own[0]) and np.array_equal(second[image], own[1])


def test_drawn_ahead_the_numbers_are_the_same() -> None:
    order = ["denoise", "denoise", "score-noise", "denoise", "score-noise", "denoise"]
    plain = NoiseStreams(SEEDS, SHAPE, CPU)
    with ThreadPoolExecutor(4) as pool:
        ahead = NoiseStreams(SEEDS, SHAPE, CPU, pool)
        for purpose in order:
            kept = ahead(purpose)
            assert torch.equal(kept, plain(purpose))
            before = kept.clone()
            ahead(purpose), plain(purpose)
            assert torch.equal(kept, before)  # not drawn over
