"""Networks behind single metrics, on files made here; the mobile network where it is at hand."""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from scoremix.models.features.errors import FeaturesError
from scoremix.models.features.extractors import TorchScript, resize_bicubic
from scoremix.models.features.networks import (
    InceptionClasses,
    InceptionMaps,
    TorchScriptClassifier,
    TorchScriptMaps,
)
from scoremix.models.metrics.classifier_score import classifier_score
from scoremix.models.metrics.record import metric_name
from scoremix.models.metrics.single_image import single_image_distances

Images = NDArray[np.uint8]


class Brightest(torch.nn.Module):
    """Logits (B, 3): which channel is the brightest."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=[2, 3]) * 10.0


class Stack(torch.nn.Module):
    """As Inception's `layers`, in small: its first layers halve, scale and shift."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.AvgPool2d(2)
        self.conv_1 = torch.nn.Identity()
        self.conv_2 = torch.nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv_2(self.conv_1(self.conv(x)))


class FakeInception(torch.nn.Module):
    """The call that published code makes: probabilities without bias."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = Stack()

    def forward(
        self, img: torch.Tensor, return_features: bool = False, no_output_bias: bool = False
    ) -> torch.Tensor:
        assert no_output_bias and not return_features
        return torch.softmax(img.mean(dim=[2, 3]), dim=1)


class Sequence(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.AvgPool2d(2), torch.nn.ReLU(), torch.nn.Flatten())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


def saved(module: torch.nn.Module, path: Path) -> Path:
    torch.jit.save(torch.jit.script(module), str(path))
    return path


def random_images(count: int, side: int = 8, channels: int = 3, seed: int = 0) -> Images:
    shape = (count, side, side, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_classifier_of_one_s_own_gives_its_score_under_its_own_name(tmp_path: Path) -> None:
    extract = TorchScriptClassifier(saved(Brightest(), tmp_path / "hues.pt"))
    images = np.zeros((30, 8, 8, 3), np.uint8)
    images[np.arange(30), :, :, np.arange(30) % 3] = 255
    found = classifier_score(extract(images), splits=2, probabilities=extract.probabilities)
    assert found.mean == pytest.approx(3.0)
    assert metric_name("cs", extract.describe()) == "cs_hues"


def test_inception_s_classes_are_asked_as_the_score_was_published(tmp_path: Path) -> None:
    path = saved(FakeInception(), tmp_path / "inception.pt")
    fake = InceptionClasses(path)
    assert metric_name("cs", fake.describe()) == "cs_inception"
    known = InceptionClasses(path, known_sha256=sha256(path))
    assert metric_name("cs", known.describe()) == "is"
    found = known(random_images(5))
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=1e-6)
    assert known.probabilities


def test_inception_s_maps_are_before_the_first_pooling(tmp_path: Path) -> None:
    path = saved(FakeInception(), tmp_path / "inception.pt")
    fake, known = InceptionMaps(path), InceptionMaps(path, known_sha256=sha256(path))
    assert metric_name("sfd", fake.describe()) == "sfd_inception"
    assert metric_name("sfd", known.describe()) == "sifid"
    image = np.full((1, 8, 6, 3), 192, np.uint8)
    image[0, :2, :2] = 128  # becomes 0, the rest .5
    found = fake(image)
    assert found.shape == (1, 12, 3)
    np.testing.assert_allclose(found[0, :, 0], [0.0] + [0.5] * 11)
    with pytest.raises(FeaturesError, match="no layers conv, conv_1, conv_2"):
        InceptionMaps(saved(Brightest(), tmp_path / "other.pt"))


def test_maps_of_a_file_or_of_its_first_layers(tmp_path: Path) -> None:
    path = saved(Sequence(), tmp_path / "net.pt")
    first = TorchScriptMaps(path, "net", 2)
    white = np.full((2, 8, 8, 3), 255, np.uint8)
    np.testing.assert_allclose(first(white), np.ones((2, 16, 3)), rtol=1e-6)
    assert first.describe()["layers"] == "net[:2]"
    assert metric_name("sfd", first.describe()) == "sfd_net"
    whole = TorchScriptMaps(saved(torch.nn.Sequential(torch.nn.AvgPool2d(2)), tmp_path / "pool.pt"))
    np.testing.assert_allclose(whole(white), 255.0)
    with pytest.raises(FeaturesError, match=r"\(B, D, H, W\)"):
        TorchScriptMaps(path)(white)
    with pytest.raises(FeaturesError, match="Its parts are: net"):
        TorchScriptMaps(path, "body", 2)
    with pytest.raises(FeaturesError, match="there are 3"):
        TorchScriptMaps(path, "net", 9)


def test_single_images_differ_by_their_patches_not_by_their_layout(test_data: Path) -> None:
    """Over the mobile network's first layers: a mirrored picture is near, a blurred one is not."""
    weights = test_data / "weights" / "mobilenetv2.pt"
    if not weights.exists():
        pytest.skip("no weights/mobilenetv2.pt in SCOREMIX_TEST_DATA")
    maps = TorchScriptMaps(weights, "net", 2)
    image = next(iter(natural(test_data)))
    blurred = np.asarray(Image.fromarray(image).resize((16, 16)).resize((64, 64)))
    variants = [image, image[:, ::-1], blurred]
    found = [
        single_image_distances(list(maps(other[None])), list(maps(image[None])))
        for other in variants
    ]
    assert not found[0].biased
    assert found[0].mean == pytest.approx(0.0, abs=1e-6)
    assert found[1].mean < 0.1 * found[2].mean


def natural(folder: Path) -> list[Images]:
    import io
    import zipfile

    with zipfile.ZipFile(folder / "data" / "clothing10_64_all.zip") as archive:
        name = min(name for name in archive.namelist() if name.endswith(".jpg"))
        return [np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB"))]


def test_a_size_of_one_s_own_is_pillow_s_bicubic(tmp_path: Path) -> None:
    path = saved(torch.nn.Sequential(torch.nn.Flatten()), tmp_path / "flat.pt")
    extract = TorchScript(path, side=4)
    images = random_images(2, side=16, channels=1)
    found = extract(images)
    assert found.shape == (2, 3 * 16)
    plane = Image.fromarray(images[1, :, :, 0].astype(np.float32))
    expected = np.asarray(plane.resize((4, 4), Image.Resampling.BICUBIC)).clip(0, 255)
    np.testing.assert_array_equal(found[1].reshape(3, 4, 4), np.stack([expected] * 3))
    assert extract.describe()["resize"] == "Pillow bicubic to 4 px, not quantised"
    assert TorchScript(path).describe()["resize"] == "the network's own"


def test_resizing_is_clean_fid_s() -> None:
    clean = pytest.importorskip("cleanfid.resize", reason="clean-fid is not installed")
    images = random_images(3, side=20).astype(np.float32)
    expected = np.stack([clean.build_resizer("clean")(image) for image in images])
    np.testing.assert_array_equal(resize_bicubic(images, 299), expected)


def test_a_promised_hash_is_kept(tmp_path: Path) -> None:
    path = saved(Brightest(), tmp_path / "net.pt")
    assert TorchScript(path, known_sha256=sha256(path)).weights_sha256 == sha256(path)
    with pytest.raises(FeaturesError, match="another network, or damaged"):
        TorchScript(path, known_sha256="0" * 64)


def test_the_documented_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "metrics.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", text, flags=re.S)
    monkeypatch.chdir(tmp_path)
    saved(torch.nn.Sequential(torch.nn.Flatten()), tmp_path / "mobilenetv2.pt")
    exec(block, {"sets": [random_images(60, seed=seed) for seed in range(3)]})
    told = capsys.readouterr().out
    assert "precision=" in told and "No copying: 0 of 60 images" in told


def test_inception_needs_no_torchvision(tmp_path: Path) -> None:
    """In a process where importing torchvision fails, as it does beside another build of torch."""
    pytest.importorskip("cleanfid", reason="clean-fid is not installed")
    check = (
        "import sys; sys.modules['torchvision'] = None\n"
        "import torch, numpy as np\n"
        "from pathlib import Path\n"
        "from scoremix.models.features.extractors import Inception, INCEPTION_FILE\n"
        "class Layers(torch.nn.Module):\n"
        "    def forward(self, x: torch.Tensor) -> torch.Tensor:\n"
        "        return x.mean(dim=[1, 2, 3])[:, None].repeat(1, 2048)[:, :, None, None]\n"
        "net = torch.nn.Module(); net.layers = Layers()\n"
        "torch.jit.save(torch.jit.script(net), INCEPTION_FILE)\n"
        "print(Inception(Path(INCEPTION_FILE))(np.zeros((1, 8, 8, 1), np.uint8)).shape)\n"
    )
    (tmp_path / "check.py").write_text(check)  # TorchScript reads the class from a file
    done = subprocess.run(
        [sys.executable, "check.py"], cwd=tmp_path, env=os.environ, capture_output=True, text=True
    )
    assert done.stdout.strip() == "(1, 2048)", done.stderr
