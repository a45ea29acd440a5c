"""LPIPS, the perceptual distance of images, with local weights: nothing is downloaded.

Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric",
version 0.1 over AlexNet. Called `lpips` over the published weights alone, `pd_alex` over others.
"""

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..features.errors import FeaturesError
from ..features.extractors import Images, file_sha256
from .diversity import Diversity
from .neighbours import Floats

# torchvision names its weights by the start of their sha256: alexnet-owt-7be5be79.pth.
TRUNK_SHA256 = "7be5be79"
LINEAR_SHA256 = "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"  # in the package

_TRUNK = {0: "slice1", 3: "slice2", 6: "slice3", 8: "slice4", 10: "slice5"}  # convolution -> where
_AT_ONCE = 32
MOST_PAIRS = 10_000  # of outputs of one source: 222 sources of ten outputs


class Lpips:
    """Distances of pairs of images, by the package `lpips`.

    trunk: torchvision's AlexNet weights, alexnet-owt-7be5be79.pth.

    Raises:
        FeaturesError: no such file, not those weights' names, or no package (it needs torchvision).
    """

    def __init__(self, trunk: Path, known_sha256: str = TRUNK_SHA256) -> None:
        self.weights_sha256 = file_sha256(trunk)
        try:
            import lpips
        except (ImportError, RuntimeError) as error:  # torchvision of another torch: RuntimeError
            raise FeaturesError(
                "LPIPS needs the packages lpips and torchvision, which cannot be imported"
                f" ({str(error).splitlines()[0]}). Install them: pip install"
                ' "scoremix-pipeline[parity]", or use the mean distance of features.'
            ) from error
        linear = Path(lpips.__file__).parent / "weights" / "v0.1" / "alex.pth"
        self._linear_sha256 = file_sha256(linear)
        known = self.weights_sha256.startswith(known_sha256)
        self.verified = known and self._linear_sha256 == LINEAR_SHA256
        self.name = "lpips" if self.verified else "pd_alex"
        self._net = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
        _load_trunk(self._net.net, trunk)

    def describe(self) -> dict[str, Any]:
        return {
            "kind": "lpips",
            "name": "alex",
            "version": "0.1",
            "weights_sha256": self.weights_sha256,
            "linear_sha256": self._linear_sha256,
            "weights_are_the_known_ones": self.verified,
            "resize": "none",
        }

    def __call__(self, a: Images, b: Images) -> Floats:
        """uint8 (N, H, W, C) twice -> (N,) distances."""
        parts: list[Floats] = [np.zeros(0)]
        for start in range(0, len(a), _AT_ONCE):
            pair = [_signed(images[start : start + _AT_ONCE]) for images in (a, b)]
            with torch.inference_mode():
                parts.append(self._net(*pair).to(torch.float64).numpy().reshape(-1))
        return np.concatenate(parts)


def perceptual_diversity(measure: Lpips, images: Images, pairs: int, seed: int) -> Diversity:
    """Mean LPIPS of `pairs` seeded pairs of different images; its error as of independent pairs.

    Raises:
        ValueError: fewer than two images or pairs.
    """
    n = len(images)
    if n < 2 or pairs < 2:
        raise ValueError(f"diversity needs two images and two pairs, got {n} and {pairs}")
    random = np.random.default_rng(seed)
    one = random.integers(0, n, pairs)
    two = (one + random.integers(1, n, pairs)) % n
    found = _distances(measure, images, one, two)
    error = float(found.std(ddof=1) / np.sqrt(pairs))
    return Diversity(float(found.mean()), error, n, pairs, seed)


def diversity_by_source(
    measure: Lpips,
    images: Images,
    sources: Sequence[Hashable],
    seed: int,
    most_pairs: int = MOST_PAIRS,
) -> Diversity | None:
    """Mean LPIPS of the outputs of one source image: of all their pairs, then over sources.

    The protocol of Choi et al. 2020, "StarGAN v2" (metrics/eval.py), there on images of 256 px. Its
    error is of the mean over sources; 0 for one. None where no source has two outputs.

    sources: of each image, what it was made of. most_pairs: of more, a seeded choice of sources.
    """
    rows: dict[Hashable, list[int]] = {}
    for row, source in enumerate(sources):
        rows.setdefault(source, []).append(row)
    several = [np.asarray(found) for found in rows.values() if len(found) > 1]
    if not several:
        return None
    chosen, pairs = list[NDArray[np.int64]](), 0
    for place in np.random.default_rng(seed).permutation(len(several)).tolist():
        more = len(several[place]) * (len(several[place]) - 1) // 2
        if chosen and pairs + more > most_pairs:
            break
        chosen.append(several[place])
        pairs += more
    means = []
    for outputs in chosen:
        one, two = np.triu_indices(len(outputs), k=1)
        means.append(_distances(measure, images, outputs[one], outputs[two]).mean())
    error = float(np.std(means, ddof=1) / np.sqrt(len(means))) if len(means) > 1 else 0.0
    n = sum(map(len, chosen))
    all_of_them = len(chosen) == len(several)
    return Diversity(float(np.mean(means)), error, n, pairs, None if all_of_them else seed)


def _distances(
    measure: Lpips, images: Images, one: NDArray[np.int64], two: NDArray[np.int64]
) -> Floats:
    """LPIPS of images[one[i]] and images[two[i]]; some are read at once."""
    parts = [
        measure(images[one[i : i + _AT_ONCE]], images[two[i : i + _AT_ONCE]])
        for i in range(0, len(one), _AT_ONCE)
    ]
    return np.concatenate(parts)


def _load_trunk(net: torch.nn.Module, path: Path) -> None:
    state = torch.load(path, map_location="cpu", weights_only=True)
    try:
        trunk = {
            f"{place}.{layer}.{part}": state[f"features.{layer}.{part}"]
            for layer, place in _TRUNK.items()
            for part in ("weight", "bias")
        }
        net.load_state_dict(trunk)
    except (KeyError, RuntimeError) as error:
        raise FeaturesError(
            f"{path} does not hold AlexNet's weights as torchvision names them ({error}): give"
            " alexnet-owt-7be5be79.pth."
        ) from error


def _signed(images: Images) -> torch.Tensor:
    """(B, 3, H, W) in [-1, 1]; gray is replicated."""
    values = np.asarray(images, dtype=np.float32) / 127.5 - 1.0
    values = np.repeat(values, 3, axis=3) if values.shape[3] == 1 else values
    return torch.from_numpy(np.ascontiguousarray(values.transpose(0, 3, 1, 2)))
