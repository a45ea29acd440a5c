"""File name endings that the trainers' loaders take; they skip all other files silently."""

TORCHVISION = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
BIGGAN = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm")
LUCIDRAINS = (".jpg", ".jpeg", ".png")
CUT = tuple(
    spelling
    for ending in (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".tif", ".tiff")
    for spelling in (ending, ending.upper())
)
