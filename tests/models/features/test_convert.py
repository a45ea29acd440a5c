"""Feature files of published networks, made with stand-ins for torchvision and timm."""

import dataclasses
import hashlib
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from scoremix.models.features import convert
from scoremix.models.features.convert import make_features
from scoremix.models.features.errors import FeaturesError
from scoremix.models.features.extractors import TorchScript, open_extractor
from scoremix.models.features.published import HOW, PUBLISHED, published

IMAGES = np.random.default_rng(1).integers(0, 256, (3, 20, 20, 3), dtype=np.uint8)


class Net(nn.Module):
    """As torchvision's: convolutions in `features`."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 5, 3, stride=2), nn.ReLU())


class Transformer(nn.Module):
    """As timm's: vectors come out."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.head(x.mean((2, 3)))
        return y


@pytest.fixture
def libraries(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """torchvision and timm in a form that has one network each; what they were asked for."""
    asked: dict[str, Any] = {}
    torch.manual_seed(0)
    nets = {"mobilenet_v2": Net(), "vit_small_patch16_224.dino": Transformer()}

    def get_model(name: str, weights: str | None) -> nn.Module:
        asked["weights"] = weights
        return nets[name]

    def create_model(name: str, pretrained: bool, num_classes: int) -> nn.Module:
        asked["pretrained"] = pretrained
        return nets[name]

    models = types.SimpleNamespace(get_model=get_model)
    timm = types.SimpleNamespace(create_model=create_model)
    monkeypatch.setitem(sys.modules, "torchvision", types.SimpleNamespace(models=models))
    monkeypatch.setitem(sys.modules, "torchvision.models", models)
    monkeypatch.setitem(sys.modules, "timm", timm)
    return asked | {"nets": nets, "asked": asked}


def change(monkeypatch: pytest.MonkeyPatch, name: str, **fields: Any) -> None:
    monkeypatch.setitem(PUBLISHED, name, dataclasses.replace(PUBLISHED[name], **fields))


def test_the_file_resizes_normalises_and_pools(libraries: Any, tmp_path: Path) -> None:
    made = make_features(tmp_path / "mobilenetv2.pt", None)
    assert libraries["asked"] == {"weights": "IMAGENET1K_V1"}
    assert made["name"] == "mobilenetv2" and made["dimensions"] == 5
    data = (tmp_path / "mobilenetv2.pt").read_bytes()
    assert made["sha256"] == hashlib.sha256(data).hexdigest()
    x = torch.from_numpy(IMAGES).permute(0, 3, 1, 2).float()
    x = nn.functional.interpolate(x, (128, 128), mode="bicubic", antialias=True).clamp(0, 255)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = (x / 255 - mean.view(1, 3, 1, 1)) / deviation.view(1, 3, 1, 1)
    with torch.no_grad():
        expected = libraries["nets"]["mobilenet_v2"].features(x).mean((2, 3)).numpy()
    found = TorchScript(tmp_path / "mobilenetv2.pt")(IMAGES)
    assert np.allclose(found, expected, atol=1e-5)


def test_timm_gives_vectors_itself(libraries: Any, tmp_path: Path) -> None:
    assert make_features(tmp_path / "dino.pt", None)["dimensions"] == 4
    assert libraries["asked"] == {"pretrained": True}


def test_local_weights_are_those_that_are_used(
    libraries: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = {name: value + 1 for name, value in Net().state_dict().items()}
    torch.save(weights, tmp_path / "w.pth")
    with pytest.raises(FeaturesError, match="another file, or damaged"):
        make_features(tmp_path / "mobilenetv2.pt", tmp_path / "w.pth")
    digest = hashlib.sha256((tmp_path / "w.pth").read_bytes()).hexdigest()
    change(monkeypatch, "mobilenetv2", sha256=digest[:8])
    make_features(tmp_path / "mobilenetv2.pt", tmp_path / "w.pth")
    assert libraries["asked"] == {"weights": None}
    kept = torch.jit.load(str(tmp_path / "mobilenetv2.pt")).state_dict()  # type: ignore[no-untyped-call]
    assert torch.equal(kept["net.features.0.weight"], weights["features.0.weight"])
    torch.save({"other": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(FeaturesError, match="does not hold the weights"):
        make_features(tmp_path / "dino.pt", tmp_path / "other.pth")
    assert sorted(path.name for path in tmp_path.glob("*")) == [
        "mobilenetv2.pt",
        "other.pth",
        "w.pth",
    ]


def test_weights_are_read_as_tensors_alone(
    libraries: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hostile:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "run",)

    torch.save({"a": Hostile()}, tmp_path / "w.pth")
    with pytest.raises(FeaturesError, match="does not hold the weights"):
        make_features(tmp_path / "dino.pt", tmp_path / "w.pth")
    assert not (tmp_path / "run").exists()


def save_network(path: Path, net: nn.Module) -> Path:
    example = torch.zeros(2, 3, 8, 8)
    torch.jit.save(torch.jit.trace(net, example), str(path))  # type: ignore[no-untyped-call]
    return path


def test_a_network_of_ones_own_is_tried_and_copied(tmp_path: Path) -> None:
    own = save_network(tmp_path / "a.pt", Transformer())
    made = make_features(tmp_path / "own.pt", own)
    assert (tmp_path / "own.pt").read_bytes() == own.read_bytes()
    assert made["dimensions"] == 4
    for net, message in ((nn.ReLU(), "features are finite numbers"), (Constant(), "the same")):
        with pytest.raises(FeaturesError, match=message):
            make_features(tmp_path / "no.pt", save_network(tmp_path / "b.pt", net))
        assert not (tmp_path / "no.pt").exists() and not list(tmp_path.glob(".*"))


class Constant(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3)) * 0


def test_inception_is_known_by_its_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = save_network(tmp_path / "downloaded", Transformer())
    name = "inception-2015-12-05.pt"
    with pytest.raises(FeaturesError, match="nvlabs-fi-cdn(.|\n)*--from FILE"):
        make_features(tmp_path / "inception.pt", None)
    with pytest.raises(FeaturesError, match="another file, or damaged"):
        make_features(tmp_path / name, file)
    change(monkeypatch, "inception", sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    with pytest.raises(FeaturesError, match=f"by the name {name} alone"):
        make_features(tmp_path / "inception.pt", file)
    assert make_features(tmp_path / name, file)["dimensions"] == 2048


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a/mobilenetv2.pt", "mobilenetv2"),
        ("MobileNet_V2.pt", "mobilenetv2"),
        ("dino.pt", "dino"),
        ("inception-2015-12-05.pt", "inception"),
        ("resnet.pt", None),
        ("dino-small.pt", "dino"),
        ("dinov2.pt", None),
        ("dino_v2.pt", None),
        ("inception_v3.pt", None),
    ],
)
def test_a_files_name_says_which_network(name: str, found: str | None) -> None:
    one = published(name)
    assert (one.name if one else None) == found


def test_what_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without(error: Exception) -> None:
        def load(name: str) -> Any:
            raise error

        monkeypatch.setattr(convert.importlib, "import_module", load)

    for error in (ImportError("no module"), RuntimeError("operator nms does not exist")):
        without(error)
        with pytest.raises(FeaturesError, match="needs the package torchvision(.|\n)*pip install"):
            make_features(tmp_path / "mobilenetv2.pt", None)
    with pytest.raises(FeaturesError, match=r"Known are mobilenetv2.pt, dino.pt, inception.pt"):
        make_features(tmp_path / "resnet.pt", None)
    with pytest.raises(FeaturesError, match="no such file"):
        make_features(tmp_path / "mobilenetv2.pt", tmp_path / "nothing.pth")


def test_no_connection_gives_the_address(
    libraries: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: Any, **__: Any) -> Any:
        raise OSError("name or service not known")

    monkeypatch.setattr(sys.modules["torchvision.models"], "get_model", offline)
    with pytest.raises(FeaturesError, match="download.pytorch.org(.|\n)*--from mobilenet_v2"):
        make_features(tmp_path / "mobilenetv2.pt", None)


def test_the_error_of_a_missing_inception_has_the_three_lines() -> None:
    with pytest.raises(FeaturesError) as caught:
        open_extractor("inception", None, IMAGES)
    assert HOW in str(caught.value)
    for part in (PUBLISHED["inception"].address, PUBLISHED["inception"].sha256, "--make"):
        assert part in HOW


def test_the_page_has_what_the_table_has() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "metrics.md").read_text()
    for one in PUBLISHED.values():
        assert one.weights in page and f"<{one.address}>" in page and one.sha256 in page
