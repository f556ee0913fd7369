"""The idx format of MNIST: one array a file, gzipped or not."""

import gzip
import math
import os
import struct

import numpy as np

from visionpipe.datasets.damage import telling_damage

__all__ = ["read_idx"]

GZIP = b"\x1f\x8b"
DTYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
HIGHEST_RATIO = 1_032  # deflate packs no tighter (zlib.net/zlib_tech.html)


def read_idx(path, *, out=None):
    """Read an array of the idx format, as MNIST and Fashion-MNIST come.

    Parameters
    ----------
    path : path-like
        Gzipped or not; the content says which.
    out : ndarray or None
        An array to read into, contiguous, of the shape and the type that the file must have.

    Returns
    -------
    ndarray
        Of the shape and the type that the file states: uint8 (n, h, w) for images, uint8 (n,) for
        labels. Numbers of several bytes stay big-endian.

    Raises
    ------
    ValueError
        If the file is not of this format, is cut off or damaged, or does not fit `out`.
    OSError
        If it cannot be opened.

    References
    ----------
    http://yann.lecun.com/exdb/mnist, "File formats for the MNIST database".

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from visionpipe.datasets.idx import read_idx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "labels-idx1-ubyte")
    ...     n_bytes = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]))
    ...     read_idx(path)
    array([5, 0, 4], dtype=uint8)
    """
    with telling_damage(path), open(path, "rb") as raw:
        is_packed = raw.read(2) == GZIP
        raw.seek(0)
        if not is_packed:
            return _read(raw, os.path.getsize(path), out)
        with gzip.open(raw) as file:
            return _read(file, HIGHEST_RATIO * os.path.getsize(path), out)


def _read(file, most_bytes, out):
    shape, dtype = _header(file)
    if out is None:
        if math.prod(shape) * dtype.itemsize > most_bytes:  # before memory is asked for
            raise ValueError(f"it states the shape {shape}, for which it is too short")
        out = np.empty(shape, dtype)
    elif (out.shape, out.dtype) != (shape, dtype):
        raise ValueError(f"it holds {_kind(shape, dtype)}; wanted {_kind(out.shape, out.dtype)}")
    n_read = file.readinto(memoryview(out.view("u1")).cast("B")) if out.size else 0
    if n_read < out.nbytes:
        raise ValueError(f"it ends after {n_read:,} of {out.nbytes:,} bytes")
    if file.read(1):  # what also makes gzip compare its checksum
        raise ValueError(f"more follows after the {out.nbytes:,} bytes of {_kind(shape, dtype)}")
    return out


def _header(file):
    """Shape and type out of the magic number and the sizes."""
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in DTYPES or not magic[3]:
        raise ValueError(f"it begins with {magic.hex(' ') or 'nothing'}, not as an idx file does")
    sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise ValueError("it ends within the header")
    return struct.unpack(f">{magic[3]}I", sizes), np.dtype(DTYPES[magic[2]])


def _kind(shape, dtype):
    return f"{dtype.name} of shape {shape}"
