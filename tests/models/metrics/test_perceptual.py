"""LPIPS: never called so without its weights, never downloaded, equal to the package's own."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from scoremix.models.features.errors import FeaturesError
from scoremix.models.metrics.perceptual import Lpips, perceptual_diversity

Images = NDArray[np.uint8]


def random_images(count: int, seed: int = 0) -> Images:
    return np.random.default_rng(seed).integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def package() -> Any:
    try:
        import lpips
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"lpips cannot be imported: {str(error).splitlines()[0]}")
    return lpips


@pytest.fixture
def trunk(package: Any, tmp_path: Path) -> Path:
    """Random weights under torchvision's names."""
    torch.manual_seed(0)
    net = package.LPIPS(net="alex", pnet_rand=True, verbose=False).net
    state = {
        f"features.{name.split('.', 1)[1]}": value.clone()
        for name, value in net.state_dict().items()
    }
    torch.save(state, tmp_path / "alexnet.pth")
    return tmp_path / "alexnet.pth"


def test_distances_are_the_package_s_over_the_given_trunk(package: Any, trunk: Path) -> None:
    measure = Lpips(trunk)
    a, b = random_images(3), random_images(3, seed=1)
    found = measure(a, b)
    net = package.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    net.net.load_state_dict(measure._net.net.state_dict())
    tensors = [torch.from_numpy(x.transpose(0, 3, 1, 2) / 127.5 - 1).float() for x in (a, b)]
    with torch.no_grad():
        np.testing.assert_allclose(found, net(*tensors).numpy().ravel(), rtol=1e-5)
    np.testing.assert_allclose(measure(a, a), 0.0, atol=1e-7)
    assert found.min() > 0
    gray = a[..., :1]
    replicated = measure(np.repeat(gray, 3, axis=3), b)
    np.testing.assert_allclose(measure(gray, b), replicated, rtol=1e-5)


def test_the_name_lpips_needs_the_published_weights(trunk: Path) -> None:
    other = Lpips(trunk)
    assert other.name == "pd_alex"
    assert other.describe()["weights_are_the_known_ones"] is False
    known = Lpips(trunk, known_sha256=other.weights_sha256[:8])
    assert known.name == "lpips"  # the package's own linear layers are the published ones


def test_diversity_over_seeded_pairs(trunk: Path) -> None:
    measure, images = Lpips(trunk), random_images(6)
    found = perceptual_diversity(measure, images, pairs=10, seed=3)
    assert found == perceptual_diversity(measure, images, pairs=10, seed=3)
    assert found != perceptual_diversity(measure, images, pairs=10, seed=4)
    assert found.mean > 0
    alike = perceptual_diversity(measure, np.repeat(images[:1], 6, axis=0), pairs=10, seed=3)
    assert alike.mean == pytest.approx(0.0, abs=1e-7)
    with pytest.raises(ValueError, match="two images and two pairs"):
        perceptual_diversity(measure, images[:1], pairs=10, seed=3)


def test_what_is_no_alexnet_is_refused(package: Any, tmp_path: Path) -> None:
    torch.save({"features.0.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(FeaturesError, match="does not hold AlexNet's weights"):
        Lpips(tmp_path / "other.pth")


def test_without_package_or_weights_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FeaturesError, match="no such file"):
        Lpips(tmp_path / "absent.pth")
    (tmp_path / "any.pth").write_bytes(b"weights")
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(FeaturesError, match="LPIPS needs the packages lpips and torchvision"):
        Lpips(tmp_path / "any.pth")
