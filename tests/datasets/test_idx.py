"""The idx format, read from files whole and not."""

import gzip
import struct
import zlib

import numpy as np
import pytest
import small_sets

from visionpipe.datasets.idx import read_idx

IMAGES = np.random.default_rng(0).integers(256, size=(7, 5, 4), dtype=np.uint8)
WHOLE = small_sets.idx_bytes(IMAGES)
PACKED = gzip.compress(WHOLE)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "images"


@pytest.mark.parametrize("content", [WHOLE, PACKED], ids=["plain", "gzip"])
def test_content_says_whether_it_is_packed(path, content):
    path.write_bytes(content)
    np.testing.assert_array_equal(read_idx(path), IMAGES, strict=True)
    out = np.empty((2, *IMAGES.shape), np.uint8)
    assert np.shares_memory(read_idx(path, out=out[1]), out)
    np.testing.assert_array_equal(out[1], IMAGES)


@pytest.mark.parametrize("code, letter", [(9, "b"), (11, "h"), (12, "i"), (13, "f"), (14, "d")])
def test_numbers_of_other_types(path, code, letter):
    values = [[1, -2, 3], [4, 5, -6]]
    flat = struct.pack(f">6{letter}", *values[0], *values[1])
    path.write_bytes(struct.pack(">BBBBII", 0, 0, code, 2, 2, 3) + flat)
    found = read_idx(path)
    assert found.tolist() == values and found.dtype.itemsize == struct.calcsize(letter)


def test_empty_array(path):
    path.write_bytes(small_sets.idx_bytes(IMAGES[:0]))
    assert read_idx(path).shape == (0, 5, 4)


def flipped(content, position):
    return content[:position] + bytes([content[position] ^ 255]) + content[position + 1 :]


DAMAGED = {
    "empty": (b"", "begins with nothing"),
    "page": (b"<html>", "begins with 3c 68 74 6d"),
    "type": (flipped(WHOLE, 2), "begins with"),
    "no axes": (flipped(WHOLE, 3)[:3] + b"\0", "begins with"),
    "header": (WHOLE[:9], "ends within the header"),
    "cut": (WHOLE[:-1], r"ends after 139 of 140 bytes|states the shape"),
    "long": (WHOLE + b"\0", "more follows"),
    "vast": (WHOLE[:4] + b"\xff" * 12, "states the shape"),
    "cut gzip": (PACKED[:-20], "ended before|ends after"),
    "cut gzip trailer": (PACKED[:-4], "ended before"),
    "checksum": (flipped(PACKED, len(PACKED) - 6), "CRC"),
    "stream": (flipped(PACKED, 12), ""),
    "rubbish after": (PACKED + b"rubbish", "Not a gzipped file"),
}


@pytest.mark.parametrize("content, reason", DAMAGED.values(), ids=DAMAGED)
def test_damaged(path, content, reason):
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{path} is damaged: .*({reason}).*; remove it") as info:
        read_idx(path)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize("position", range(0, len(PACKED), 7))
def test_no_bit_of_a_packed_file_may_differ(path, position):
    """Some bytes of the header of gzip, such as the time, say nothing of the content."""
    path.write_bytes(flipped(PACKED, position))
    try:
        found = read_idx(path)
    except ValueError as error:
        assert str(path) in str(error)
    else:
        assert zlib.decompress(flipped(PACKED, position), wbits=31) == WHOLE
        np.testing.assert_array_equal(found, IMAGES)


def test_another_number_than_wanted(path):
    path.write_bytes(PACKED)
    with pytest.raises(ValueError, match=r"holds uint8 of shape \(7, 5, 4\); wanted .*\(8, 5, 4\)"):
        read_idx(path, out=np.empty((8, 5, 4), np.uint8))


def test_missing_file(path):
    with pytest.raises(FileNotFoundError):
        read_idx(path)
