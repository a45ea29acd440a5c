"""Turns loaded images of any mode into RGB."""

from PIL import Image

from . import bit_depth
from .colour_profile import to_srgb
from .unusable import Unusable


def to_rgb(
    image: Image.Image, background: tuple[int, int, int], profile: bytes | None, notes: list[str]
) -> Image.Image:
    """Any accepted mode -> RGB without loss of range.

    profile: the ICC profile of its colours; without one they are taken for sRGB.
    """
    mode, is_bmp = image.mode, image.format == "BMP"
    if mode.startswith("I;16") or (mode == "I" and image.format in ("PNG", "PPM")):
        image = bit_depth.scale_gray(image)
        notes.append(bit_depth.NOTE)
    elif mode in ("F", "I") or mode.startswith("I;") or bit_depth.is_signed(image):
        kind = "floating-point" if mode == "F" else "32-bit or signed integer"
        raise Unusable(f"{kind} pixels (mode {mode}) have no fixed range; save it as 8 or 16 bit")
    elif mode not in ("RGB", "RGBA", "L", "LA"):
        notes.append(f"mode {mode} converted")
    if image.mode == "La":  # premultiplied gray, which Pillow converts to this alone
        image = image.convert("LA")
    if profile:
        image = to_srgb(image, profile, notes)
    if not image.has_transparency_data:
        return image if image.mode == "RGB" else image.convert("RGB")
    layer = image.convert("RGBA")
    lowest, highest = layer.getchannel("A").getextrema()
    if lowest == 255:
        return layer.convert("RGB")
    if is_bmp and highest == 0:  # reserved and left empty: viewers ignore it
        notes.append("alpha ignored: it is 0 everywhere")
        return layer.convert("RGB")
    notes.append("alpha composited")
    base = Image.new("RGBA", layer.size, (*background, 255))
    return Image.alpha_composite(base, layer).convert("RGB")
