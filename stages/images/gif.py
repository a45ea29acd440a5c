"""Places a GIF's first frame on its screen where it does not cover that."""

from PIL import Image


def frame_inside(image: Image.Image) -> tuple[int, int, int, int] | None:
    """Left, top, width and height of a frame that does not cover the screen of its GIF."""
    for tile in getattr(image, "tile", ())[:1]:
        left, top, right, bottom = tile.extents
        inside = (left, top, right, bottom) != (0, 0, *image.size)
        return (left, top, right - left, bottom - top) if inside else None
    return None


def only_frame(image: Image.Image, frame: tuple[int, int, int, int]) -> Image.Image:
    """The frame on a transparent screen, as browsers show it; Pillow fills it with colour 0."""
    left, top, width, height = frame
    box = (left, top, left + width, top + height)
    screen = Image.new("RGBA", image.size)
    screen.paste(image.convert("RGBA").crop(box), box)
    return screen
