"""Writes the header of a .npy file, for arrays that are written block by block."""

import io

import numpy as np


def npy_header(shape: tuple[int, ...], descr: str = "|u1") -> bytes:
    """The header (format 1.0) of an array in C order; the values follow as they are in memory.

    descr: the type as NumPy writes it, "|u1" for uint8, "<f4" for little-endian float32.
    """
    buffer = io.BytesIO()
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()
