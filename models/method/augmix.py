"""AugMix (Hendrycks et al., ICLR 2020, arXiv 1912.02781) of one image: chains of mild operations,
mixed with each other and with the image. Written from the paper; Pillow applies the operations.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

CHAINS, LONGEST, SEVERITY = 3, 3, 3.0  # published: 3 chains of 1 to 3 operations, severity 3 of 10

Operation = Callable[[Image.Image, np.random.Generator], Image.Image]


def augmix(
    image: NDArray[np.uint8],
    random: np.random.Generator,
    operations: Sequence[Operation] | None = None,
) -> NDArray[np.float32]:
    """(1 - m) x + m (w_1 chain_1(x) + w_2 chain_2(x) + w_3 chain_3(x)), in [0, 1]; (H, W, C).

    w ~ Dirichlet(1, 1, 1), m ~ Beta(1, 1); a chain is 1 to 3 operations, each drawn uniformly.

    image: uint8 (H, W, C), C 1 or 3. random: the image's own stream.
    """
    operations = OPERATIONS if operations is None else operations
    weights, m = random.dirichlet([1.0] * CHAINS), random.beta(1.0, 1.0)
    x = image.astype(np.float64) / 255.0
    mixed = np.zeros_like(x)
    for weight in weights:
        changed = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
        for _ in range(int(random.integers(1, LONGEST + 1))):
            changed = operations[int(random.integers(len(operations)))](changed, random)
        mixed += weight * (np.asarray(changed, dtype=np.float64).reshape(image.shape) / 255.0)
    return ((1.0 - m) * x + m * mixed).astype(np.float32)


def _level(random: np.random.Generator, largest: float) -> float:
    """A strength between 1 % and 30 % of `largest`."""
    return float(random.uniform(0.1, SEVERITY)) / 10.0 * largest


def _signed(random: np.random.Generator, largest: float) -> float:
    level = _level(random, largest)
    return level if random.random() < 0.5 else -level


def _autocontrast(image: Image.Image, random: np.random.Generator) -> Image.Image:
    return ImageOps.autocontrast(image)


def _equalize(image: Image.Image, random: np.random.Generator) -> Image.Image:
    return ImageOps.equalize(image)


def _posterize(image: Image.Image, random: np.random.Generator) -> Image.Image:
    return ImageOps.posterize(image, 4 - int(_level(random, 4)))


def _solarize(image: Image.Image, random: np.random.Generator) -> Image.Image:
    return ImageOps.solarize(image, 256 - int(_level(random, 256)))


def _rotate(image: Image.Image, random: np.random.Generator) -> Image.Image:
    return image.rotate(int(_signed(random, 30)), Image.Resampling.BILINEAR)


def _shear_x(image: Image.Image, random: np.random.Generator) -> Image.Image:
    return _affine(image, (1, _signed(random, 0.3), 0, 0, 1, 0))


def _shear_y(image: Image.Image, random: np.random.Generator) -> Image.Image:
    return _affine(image, (1, 0, 0, _signed(random, 0.3), 1, 0))


def _translate_x(image: Image.Image, random: np.random.Generator) -> Image.Image:
    return _affine(image, (1, 0, int(_signed(random, image.width / 3)), 0, 1, 0))


def _translate_y(image: Image.Image, random: np.random.Generator) -> Image.Image:
    return _affine(image, (1, 0, 0, 0, 1, int(_signed(random, image.height / 3))))


def _affine(image: Image.Image, matrix: tuple[float, ...]) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)


# The paper's list, without the operations of the test sets that it is judged on.
OPERATIONS: tuple[Operation, ...] = (
    _autocontrast,
    _equalize,
    _posterize,
    _rotate,
    _solarize,
    _shear_x,
    _shear_y,
    _translate_x,
    _translate_y,
)
