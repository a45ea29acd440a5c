"""Converts colours from an embedded ICC profile, as Display P3 of phones, to sRGB.

A profile that says what sRGB says, to within rounding, changes nothing. LittleCMS does the
conversion (relative colorimetric, with black point compensation, as browsers do).
"""

import io
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, features

_SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_ROUNDING = 2  # levels by which profiles of sRGB differ among themselves
_GRID = 9  # colours each way on which a profile is compared with sRGB
_CACHED = 32  # profiles


def to_srgb(image: Image.Image, profile: bytes, notes: list[str]) -> Image.Image:
    """An image of 8 bits with its colours in sRGB: as it is, or of mode L, LA, RGB or RGBA.

    profile: of the file. One that cannot be used is ignored, with a note.
    """
    if not features.check("littlecms2"):
        notes.append("colour profile ignored: Pillow has no LittleCMS")
        return image
    try:
        space, name, transform = _transform(profile)
    except Exception:  # lcms raises what it likes for a damaged profile
        notes.append("colour profile ignored: it cannot be read")
        return image
    if transform is None:
        return image
    colours, alpha = _without_alpha(image)
    if colours.mode != space:
        notes.append(f"colour profile {name} ignored: it is not of mode {colours.mode}")
        return image
    from PIL import ImageCms

    converted = ImageCms.applyTransform(colours, transform)
    assert converted is not None
    if space == "L" or _is_neutral(colours):  # also where rounding says otherwise
        converted = converted.getchannel("G")
    if alpha is not None:
        converted.putalpha(alpha)
    notes.append(f"colour profile {name} converted to sRGB")
    return converted


def _is_neutral(image: Image.Image) -> bool:
    """Whether R == G == B everywhere; the first row decides for most images that are not gray."""
    pixels = np.asarray(image)
    if image.mode != "RGB":
        return False
    return all(bool((part == part[:, :, :1]).all()) for part in (pixels[:1], pixels))


def _without_alpha(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The colours in a mode that a profile may have, and the alpha channel."""
    if image.has_transparency_data:
        layer = image.convert("LA" if image.mode in ("L", "LA", "La") else "RGBA")
        return layer.convert(layer.mode[:-1]), layer.getchannel("A")
    return (image.convert("RGB") if image.mode in ("P", "YCbCr") else image), None


@lru_cache(maxsize=_CACHED)
def _transform(profile: bytes) -> tuple[str, str, Any]:
    """The mode of a profile's colours, its name, and the transform to sRGB; None if it is sRGB."""
    from PIL import ImageCms

    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    space = _SPACES[opened.profile.xcolor_space]
    transform = ImageCms.buildTransform(
        opened,
        ImageCms.createProfile("sRGB"),
        space,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    name = " ".join(ImageCms.getProfileDescription(opened).split())[:60] or "without a name"
    if space != "CMYK":
        steps = np.linspace(0, 255, _GRID).round().astype(np.uint8)
        grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
        before = Image.fromarray(grid) if space == "RGB" else Image.fromarray(steps[None])
        after = ImageCms.applyTransform(before, transform)
        assert after is not None
        plain = np.asarray(before.convert("RGB")).astype(int)
        if np.abs(np.asarray(after) - plain).max() <= _ROUNDING:
            return space, name, None
    return space, name, transform
