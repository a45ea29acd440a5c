"""Extractors: what they call their metrics, and that blur moves images away from real ones."""

import hashlib
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from scoremix.models.features.errors import FeaturesError
from scoremix.models.features.extractors import (
    INCEPTION_FILE,
    Inception,
    Pixels,
    TorchScript,
    open_extractor,
)
from scoremix.models.metrics.distances import kernel_distance

Images = NDArray[np.uint8]


class ChannelMeans(torch.nn.Module):
    """(B, 3, H, W) -> (B, 6): means and mean squares."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x.mean(dim=[2, 3]), (x * x).mean(dim=[2, 3])], dim=1)


class Ungrouped(torch.nn.Module):
    """Not features: keeps the picture's shape."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class FakeLayers(torch.nn.Module):
    """(B, 3, 299, 299) in [-1, 1] -> (B, 2048, 1, 1): the first three are channel means."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        means = x.mean(dim=[2, 3])
        return torch.cat([means, torch.zeros(x.shape[0], 2045)], dim=1)[:, :, None, None]


class FakeInception(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = FakeLayers()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def saved(module: torch.nn.Module, path: Path) -> Path:
    torch.jit.save(torch.jit.script(module), str(path))
    return path


def random_images(count: int, side: int = 8, channels: int = 1, seed: int = 0) -> Images:
    shape = (count, side, side, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_torchscript_file_gives_name_hash_and_features(tmp_path: Path) -> None:
    path = saved(ChannelMeans(), tmp_path / "mean-net.v2.pt")
    extract = TorchScript(path)
    images = random_images(70, channels=3)  # more than one batch
    assert (extract.kd, extract.fd) == ("kd_mean_net_v2", "fd_mean_net_v2")
    assert extract.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert extract.describe()["weights_sha256"] == extract.weights_sha256
    found = extract(images)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found[:, :3], images.mean(axis=(1, 2)), rtol=1e-5)


def test_gray_is_replicated(tmp_path: Path) -> None:
    extract = TorchScript(saved(ChannelMeans(), tmp_path / "net.pt"))
    gray = random_images(5)
    replicated = extract(np.repeat(gray, 3, axis=3))
    np.testing.assert_allclose(extract(gray), replicated, rtol=1e-5)


def test_no_images_give_no_features(tmp_path: Path) -> None:
    extract = TorchScript(saved(ChannelMeans(), tmp_path / "net.pt"))
    assert len(extract(random_images(0))) == 0
    assert Pixels(random_images(9))(random_images(0)).shape == (0, 8)


def test_what_is_not_a_feature_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FeaturesError, match="no such file"):
        TorchScript(tmp_path / "absent.pt")
    (tmp_path / "text.pt").write_text("not an archive")
    with pytest.raises(FeaturesError, match="not a TorchScript file"):
        TorchScript(tmp_path / "text.pt")
    with pytest.raises(FeaturesError, match=r"\(B, D\)"):
        TorchScript(saved(Ungrouped(), tmp_path / "same.pt"))(random_images(2))
    narrow = saved(torch.nn.Linear(7, 2), tmp_path / "narrow.pt")
    with pytest.raises(FeaturesError, match="does not take images of shape"):
        TorchScript(narrow)(random_images(2))


def test_auto_is_random_unless_weights_are_given(tmp_path: Path) -> None:
    reference = random_images(10)
    assert open_extractor("auto", None, reference).name == "random"
    assert open_extractor("random", None, reference).name == "random"
    assert open_extractor("pixels", None, reference).name == "pixels"
    path = saved(ChannelMeans(), tmp_path / "net.pt")
    assert open_extractor(str(path), None, reference).name == "net"
    with pytest.raises(FeaturesError, match="inception_weights"):
        open_extractor("inception", None, reference)
    with pytest.raises(FeaturesError, match="no such file"):
        open_extractor("auto", str(tmp_path / INCEPTION_FILE), reference)
    with pytest.raises(FeaturesError, match="by the name"):
        open_extractor("inception", str(path), reference)


def test_fid_is_claimed_for_the_one_network_only(tmp_path: Path) -> None:
    pytest.importorskip("cleanfid", reason="clean-fid is not installed")
    path = saved(FakeInception(), tmp_path / INCEPTION_FILE)
    fake = open_extractor("auto", str(path), random_images(4))
    assert (fake.kd, fake.fd) == ("kd_inception", "fd_inception")
    assert fake.describe()["weights_are_the_known_ones"] is False
    known = Inception(tmp_path, known_sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    assert (known.kd, known.fd) == ("kid", "fid")


def test_inception_is_resized_and_scaled_as_clean_fid_does(tmp_path: Path) -> None:
    pytest.importorskip("cleanfid", reason="clean-fid is not installed")
    extract = Inception(saved(FakeInception(), tmp_path / INCEPTION_FILE))
    flat = np.full((3, 8, 8, 1), 200, dtype=np.uint8)
    found = extract(flat)
    assert found.shape == (3, 2048)
    np.testing.assert_allclose(found[:, :3], (200 - 128) / 128, rtol=1e-5)


def test_pixels_are_principal_components_with_fixed_signs() -> None:
    reference = random_images(200, side=6)
    extract = Pixels(reference)
    found = extract(reference)
    assert found.shape == (200, 32)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(np.mean(np.sum(found**2, axis=1)), 32)
    covariance = np.cov(found, rowvar=False)
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-9)
    assert np.all(np.diff(np.diag(covariance)) <= 1e-9)
    flipped = Pixels(reference[::-1])(reference)  # another order, the same components and signs
    np.testing.assert_allclose(flipped, found, atol=1e-6)
    assert extract.describe()["label"] == "pixels: last resort"


def test_pixels_keep_no_more_components_than_there_are() -> None:
    assert Pixels(random_images(4))(random_images(3, seed=1)).shape == (3, 3)
    large = Pixels(random_images(5, side=130, channels=3))  # averaged down first
    assert large(random_images(2, side=130, channels=3)).shape == (2, 4)
    with pytest.raises(FeaturesError, match="two different"):
        Pixels(np.zeros((5, 4, 4, 1), dtype=np.uint8))
    with pytest.raises(FeaturesError, match="two different"):
        Pixels(random_images(1))


def clothing(folder: Path, count: int) -> list[Image.Image]:
    with zipfile.ZipFile(folder / "data" / "clothing10_64_all.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        names = [names[i] for i in np.random.default_rng(0).permutation(len(names))[:count]]
        return [Image.open(io.BytesIO(archive.read(name))).convert("RGB") for name in names]


def test_mobilenet_sees_blur() -> None:
    """The more blurred the images, the farther from real ones; both halves real is nearest."""
    folder = Path(os.environ.get("SCOREMIX_TEST_DATA", ""))
    weights = folder / "weights" / "mobilenetv2.pt"
    if "SCOREMIX_TEST_DATA" not in os.environ or not weights.exists():
        pytest.skip("SCOREMIX_TEST_DATA names no folder with weights/mobilenetv2.pt and data/")
    extract = TorchScript(weights)
    pictures = clothing(folder, 64)
    reference = extract(np.stack([np.asarray(picture) for picture in pictures[:32]]))
    found = []
    for radius in (0.0, 0.5, 1.0, 2.0):
        blurred = [picture.filter(ImageFilter.GaussianBlur(radius)) for picture in pictures[32:]]
        vectors = extract(np.stack([np.asarray(picture) for picture in blurred]))
        found.append(kernel_distance(vectors, reference))
    assert extract.kd == "kd_mobilenetv2"
    assert reference.shape == (32, 1280)
    assert found == sorted(found) and found[0] < 0.5 * found[1]
