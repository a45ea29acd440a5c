"""NumPy files as sources, where the samples of a GAN are read in decoder processes."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from scoremix.stages.images.decode_pool import DecodePool
from scoremix.stages.images.preparation import Preparation
from scoremix.stages.sources.numpy_files import open_numpy


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_an_input_takes_its_own_image_to_a_process(tmp_path: Path, suffix: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (300, 3, 16, 16), dtype=np.uint8)
    path = tmp_path / f"samples{suffix}"
    np.save(path, images) if suffix == ".npy" else np.savez(path, images)
    inputs = open_numpy(path).inputs
    assert len(pickle.dumps(inputs[7])) < 2 * images[7].nbytes
    preparation = Preparation(16, "crop", False, (255, 255, 255), 10**6)
    with DecodePool(2, processes_from=1) as pool:
        decoded = [result.pixels for result in pool.decode(inputs, preparation)]
    assert np.array_equal(np.array(decoded), images.transpose(0, 2, 3, 1))
