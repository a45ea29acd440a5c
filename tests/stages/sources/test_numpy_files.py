"""NumPy files as sources, where the samples of a GAN are read in decoder processes."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from scoremix.manifests.errors import ConfigError
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


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_one_image_is_no_row_of_gray_ones(tmp_path: Path, channels: int) -> None:
    np.save(tmp_path / "one.npy", np.zeros((64, 64, channels), np.uint8))
    with pytest.raises(ConfigError, match=rf"uint8 \(N, H, W, C\).*\(64, 64, {channels}\)"):
        open_numpy(tmp_path / "one.npy")
    np.save(tmp_path / "gray.npy", np.zeros((5, 64, 64), np.uint8))
    assert len(open_numpy(tmp_path / "gray.npy").inputs) == 5
