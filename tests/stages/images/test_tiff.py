"""TIFF in every layout, as tifffile writes and reads it: the right pixels, or a clear refusal."""

import io
import itertools
import struct
from typing import Any

import numpy as np
import pytest
import raw_files
import tifffile
from PIL import Image
from raw_files import Array

from scoremix.stages.images import bit_depth
from scoremix.stages.images.decode import Decoded, decode, pillow_limits
from scoremix.stages.images.preparation import Preparation

SIDE = 32
HOW = Preparation(SIDE, "crop", False, (0, 0, 255), 1_000_000)
COLOURS = {"minisblack": 1, "miniswhite": 1, "rgb": 3}
ALPHA = [None, "unspecified", "assocalpha", "unassalpha"]
# Layouts that Pillow does not open; each is refused with its name.
REFUSED = {
    "gray of 16 bits with alpha": lambda case: case.gray and case.extra and case.bits == 16,
    "white zero with alpha": lambda case: case.photometric == "miniswhite" and case.extra,
    "white zero of 16 bits, high byte first": lambda case: (
        case.photometric == "miniswhite" and case.bits == 16 and case.order == ">"
    ),
    "planes with an unspecified one, stored raw": lambda case: (
        case.planar == "separate" and case.extra == "unspecified" and case.stored is None
    ),
}


class Case:
    """One cell of the matrix: its file and what must become of it."""

    def __init__(self, bits: int, photometric: str, planar: str, tiled: bool, order: str,
                 stored: str | None, extra: str | None) -> None:  # fmt: skip
        self.bits, self.photometric, self.planar, self.tiled = bits, photometric, planar, tiled
        self.order, self.stored, self.extra = order, stored, extra
        self.gray = photometric != "rgb"
        self.top = 2**bits - 1
        channels = COLOURS[photometric] + (extra is not None)
        random = np.random.default_rng(5)
        kind = np.uint8 if bits == 8 else np.uint16
        self.values = random.integers(0, self.top + 1, (SIDE, SIDE, channels), dtype=kind)
        if extra in ("assocalpha", "unassalpha"):
            self.values[..., -1] = np.where(self.values[..., -1] < self.top // 3, 0, self.top)
        if extra == "assocalpha":
            self.values[..., :-1] *= self.values[..., -1:] > 0

    def file(self) -> bytes:
        values: Array = self.values
        options: dict[str, Any] = {"tile": (16, 16)} if self.tiled else {"rowsperstrip": 7}
        if values.shape[2] == 1:
            values = values[..., 0]
        else:
            options["planarconfig"] = self.planar
            values = np.moveaxis(values, -1, 0) if self.planar == "separate" else values
        if self.extra:
            options["extrasamples"] = [self.extra]
        buffer = io.BytesIO()
        tifffile.imwrite(
            buffer, np.ascontiguousarray(values), photometric=self.photometric,
            byteorder=self.order, compression=self.stored, **options,
        )  # fmt: skip
        back = tifffile.imread(io.BytesIO(buffer.getvalue()))
        assert (back == values).all()
        return buffer.getvalue()

    def wanted(self) -> Array:
        colours = self.values[..., : COLOURS[self.photometric]].astype(float)
        colours = self.top - colours if self.photometric == "miniswhite" else colours
        pixels = np.broadcast_to(np.rint(colours * (255 / self.top)), (SIDE, SIDE, 3)).copy()
        if self.extra in ("assocalpha", "unassalpha"):
            pixels[self.values[..., -1] == 0] = HOW.background
        return pixels.astype(np.uint8)


def cases() -> list[Case]:
    every = itertools.product(
        (8, 16), COLOURS, ("contig", "separate"), (False, True), "<>", (None, "zlib"), ALPHA
    )
    made = [Case(*cell) for cell in every]
    return [case for case in made if case.planar == "contig" or case.values.shape[2] > 1]


def decoded(data: bytes) -> Decoded:
    with pillow_limits(HOW.max_pixels):
        return decode(lambda: data, HOW)


@pytest.mark.parametrize("bits", [8, 16])
def test_every_layout_is_read_as_tifffile_does_or_refused_by_name(bits: int) -> None:
    refused = 0
    for case in cases():
        if case.bits != bits:
            continue
        result, name = decoded(case.file()), str(vars(case))
        if result.pixels is None:
            refused += 1
            assert any(rule(case) for rule in REFUSED.values()), f"{name}: {result.reason}"
            assert f"a TIFF of {bits}" in str(result.reason) and "save it as" in str(result.reason)
        else:
            assert (result.pixels == case.wanted()).all(), name
            assert (bits == 8) == ("1/257" not in str(result.note)), name
    assert refused <= {8: 48, 16: 88}[bits]


@pytest.mark.parametrize("stored", ["zlib", "lzma"])
def test_the_predictor_is_undone(stored: str) -> None:
    """Differences of neighbours (TIFF 6.0, section 14), in whatever order the bytes are."""
    layouts = itertools.product((8, 16), ("contig", "separate"), (False, True), "<>", (1, 3, 4))
    for bits, planar, tiled, order, channels in layouts:
        kind = np.uint8 if bits == 8 else np.uint16
        random = np.random.default_rng(channels)
        values = random.integers(0, 2**bits, (SIDE, SIDE, channels), dtype=kind)
        options: dict[str, Any] = {"tile": (16, 16)} if tiled else {"rowsperstrip": 7}
        if channels == 4:
            options["extrasamples"] = ["unassalpha"]
            values[..., 3] = 2**bits - 1
        if channels > 1:
            options["planarconfig"] = planar
        colours = values[..., 0] if channels == 1 else values
        apart = channels > 1 and planar == "separate"
        buffer = io.BytesIO()
        tifffile.imwrite(
            buffer, np.moveaxis(colours, -1, 0).copy() if apart else colours, predictor=2,
            photometric="minisblack" if channels == 1 else "rgb", compression=stored,
            byteorder=order, **options,
        )  # fmt: skip
        result = decoded(buffer.getvalue())
        wanted = np.rint(values[..., :3] * (255 / (2**bits - 1)))
        assert result.pixels is not None, (bits, planar, tiled, order, channels, result.reason)
        wanted = np.broadcast_to(wanted, (SIDE, SIDE, 3))
        assert (result.pixels == wanted).all(), (bits, planar, tiled, order, channels)


@pytest.mark.parametrize("predictor", [{}, {317: 2}])
@pytest.mark.parametrize("stored", ["tiff_lzw", "packbits", "tiff_adobe_deflate", "zstd", "lzma"])
def test_every_lossless_compression_of_libtiff_is_read(
    stored: str, predictor: dict[int, int]
) -> None:
    """As Pillow writes them: eight bits of every mode, and sixteen of gray."""
    random = np.random.default_rng(1)
    for shape, kind in (((), np.uint8), ((3,), np.uint8), ((4,), np.uint8), ((), np.uint16)):
        if stored == "packbits" and predictor:  # which it does not know
            continue
        values = random.integers(0, np.iinfo(kind).max, (SIDE, SIDE, *shape), kind, endpoint=True)
        if shape == (4,):
            values[..., 3] = 255
        buffer = io.BytesIO()
        Image.fromarray(values).save(buffer, "TIFF", compression=stored, tiffinfo=predictor)
        pixels = decoded(buffer.getvalue()).pixels
        wanted = np.rint(values * (255 / np.iinfo(kind).max))
        wanted = wanted[..., :3] if shape else wanted[..., None]
        assert pixels is not None and (pixels == wanted).all(), (stored, shape, kind)


def test_bands_of_an_image_give_what_the_whole_does(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [case.file() for case in cases() if case.bits == 16]
    whole = [decoded(file).pixels for file in files]
    monkeypatch.setattr(bit_depth, "_BAND", 3 * SIDE)
    for before, file in zip(whole, files, strict=True):
        after = decoded(file).pixels
        assert (before is None) == (after is None) and np.array_equal(before, after)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("stored", [None, "zlib"])
def test_ink_and_half_transparent_colour(planar: str, bits: int, stored: str | None) -> None:
    top, random = 2**bits - 1, np.random.default_rng(6)
    kind = np.uint8 if bits == 8 else np.uint16
    values = random.integers(0, top + 1, (SIDE, SIDE, 4), dtype=kind)

    def file(pixels: Array, **options: Any) -> bytes:
        buffer = io.BytesIO()
        laid = np.moveaxis(pixels, -1, 0) if planar == "separate" else pixels
        tifffile.imwrite(
            buffer, np.ascontiguousarray(laid), planarconfig=planar, compression=stored, **options
        )
        return buffer.getvalue()

    ink = decoded(file(values, photometric="separated"))
    left = 255 - np.rint(values * (255 / top))
    assert ink.pixels is not None
    assert (ink.pixels == np.rint(left[..., :3] * left[..., 3:] / 255)).all()

    alpha = values[..., 3:] / top
    colours = values[..., :3] * alpha
    premultiplied = np.dstack([np.rint(colours), values[..., 3]]).astype(kind)
    result = decoded(file(premultiplied, photometric="rgb", extrasamples=["assocalpha"]))
    if result.pixels is None:
        assert bits == 8 and planar == "separate" and stored is None, result.reason
        return
    wanted = colours * (255 / top) + (1 - alpha) * np.array(HOW.background)
    assert np.abs(result.pixels - wanted).max() < 2


@pytest.mark.parametrize("order", "<>")
def test_bigtiff_of_planes(order: str) -> None:
    values = np.random.default_rng(7).integers(0, 65536, (3, SIDE, SIDE), dtype=np.uint16)
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer, values, photometric="rgb", planarconfig="separate", bigtiff=True, byteorder=order
    )
    result = decoded(buffer.getvalue())
    if order == ">" and result.pixels is None:  # Pillow reads those of low bytes first alone
        assert "a BigTIFF is not read; save it as" in str(result.reason)
        return
    assert result.pixels is not None, result.reason
    assert (result.pixels == np.rint(np.moveaxis(values, 0, -1) / 257)).all()


@pytest.mark.parametrize("bits", [8, 16])
def test_a_missing_plane_is_missed(bits: int) -> None:
    """Two planes of three cover the image more than once, and are no image."""
    values = np.random.default_rng(8).integers(0, 2**bits, (3, SIDE, SIDE), dtype=f"u{bits // 8}")
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, photometric="rgb", planarconfig="separate", rowsperstrip=SIDE)
    data = bytearray(buffer.getvalue())
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, entry)[0] in (273, 279):  # strips: offsets and sizes
            struct.pack_into("<I", data, entry + 4, 2)
    result = decoded(bytes(data))
    assert result.pixels is None and "strips are missing" in str(result.reason)


@pytest.mark.parametrize("orientation", [3, 6])
def test_planes_are_turned_once(orientation: int) -> None:
    values = np.random.default_rng(9).integers(0, 65536, (3, SIDE, SIDE), dtype=np.uint16)
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer, values, photometric="rgb", planarconfig="separate",
        extratags=[(274, "H", 1, orientation, True)],
    )  # fmt: skip
    result = decoded(buffer.getvalue())
    turned = np.rot90(np.rint(np.moveaxis(values, 0, -1) / 257), {3: 2, 6: -1}[orientation])
    assert result.pixels is not None and (result.pixels == turned).all()
    assert f"EXIF orientation {orientation} applied" in str(result.note)


def test_signed_and_float_planes_are_refused() -> None:
    for kind in (np.int16, np.float32):
        values = np.ones((3, SIDE, SIDE), kind)
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, values, photometric="rgb", planarconfig="separate")
        result = decoded(buffer.getvalue())
        assert result.pixels is None and "a TIFF of" in str(result.reason)


def test_bits_in_reverse_order_are_read_right_or_refused() -> None:
    """FillOrder 2 stores the lowest bit first."""
    values = np.random.default_rng(10).integers(0, 65536, (SIDE, SIDE), dtype=np.uint16)
    swapped = np.packbits(np.unpackbits(values.view(np.uint8).reshape(-1, 1), axis=1)[:, ::-1])
    file = raw_files.tiff(swapped.view(np.uint16).reshape(SIDE, SIDE), 16, 1)
    entry = file.index(struct.pack("<HHI", 339, 3, 1))  # SampleFormat, of no need here
    result = decoded(raw_files.put(file, entry, struct.pack("<HHIHH", 266, 3, 1, 2, 0)))
    assert result.pixels is not None, result.reason
    assert (result.pixels == np.rint(values / 257)[..., None]).all()


# --- thumbnails


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_the_largest_full_page_is_read_and_not_its_thumbnail(bits: int, planar: str) -> None:
    random = np.random.default_rng(11)
    full = random.integers(0, 2**bits, (SIDE, SIDE, 3), dtype=f"u{bits // 8}")
    laid = np.moveaxis(full, -1, 0) if planar == "separate" else full
    small = np.ascontiguousarray(full[::4, ::4])
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        writer.write(small, photometric="rgb", subfiletype=1)
        writer.write(small[:4, :4].copy(), photometric="rgb")
        writer.write(np.ascontiguousarray(laid), photometric="rgb", planarconfig=planar)
        writer.write(np.zeros((64, 64, 3), full.dtype), photometric="rgb", subfiletype=1)
    result = decoded(buffer.getvalue())
    assert result.pixels is not None and (result.width, result.height) == (SIDE, SIDE)
    assert (result.pixels == np.rint(full * (255 / (2**bits - 1)))).all()
    assert "page 3: the first is a thumbnail" in str(result.note)


def test_the_first_of_full_pages_stays_and_so_does_a_lone_small_one() -> None:
    pages = np.random.default_rng(12).integers(0, 256, (2, SIDE, SIDE, 3), dtype=np.uint8)
    for types in ((0, 0), (0, 1), (1,)):
        buffer = io.BytesIO()
        with tifffile.TiffWriter(buffer) as writer:
            for page, kind in zip(pages, types, strict=False):
                writer.write(page, photometric="rgb", subfiletype=kind)
        result = decoded(buffer.getvalue())
        assert result.pixels is not None and (result.pixels == pages[0]).all()
        assert "thumbnail" not in str(result.note)


def test_an_image_in_a_sub_directory_is_refused_and_not_its_thumbnail() -> None:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        small = np.zeros((8, 8, 3), np.uint8)
        writer.write(small, photometric="rgb", subfiletype=1, subifds=1)
        writer.write(np.zeros((SIDE, SIDE, 3), np.uint8), photometric="rgb")
    result = decoded(buffer.getvalue())
    assert result.pixels is None and "the image is in a SubIFD" in str(result.reason)


def test_a_thumbnail_that_an_older_program_marked_is_none_either() -> None:
    """SubfileType 2, of the tag 255, which NewSubfileType replaced."""
    full = np.random.default_rng(13).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for page, kind in ((full[::4, ::4].copy(), 2), (full, 1)):
            writer.write(page, photometric="rgb", extratags=[(255, 3, 1, kind, False)])
    result = decoded(buffer.getvalue())
    assert result.pixels is not None and (result.pixels == full).all()
    assert "page 2: the first is a thumbnail" in str(result.note)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("extra", [None, ("unspecified", "unspecified")])
def test_gray_of_three_planes_is_refused_and_not_its_first(bits: int, extra: Any) -> None:
    planes = np.zeros((3, SIDE, SIDE), f"u{bits // 8}")
    buffer = io.BytesIO()
    options = {"photometric": "minisblack", "planarconfig": "separate", "extrasamples": extra}
    tifffile.imwrite(buffer, planes, **options)
    result = decoded(buffer.getvalue())
    assert result.pixels is None and "in separate planes is not read" in str(result.reason)
