"""Image files written byte by byte, for what no library cares to write."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

EXIF_ORIENTATION = 0x0112
ADAM7 = (  # first row and column, steps down and across
    *((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2)),
    *((0, 1, 2, 2), (1, 0, 2, 1)),
)
BLANK_MEGABYTE = 1 << 20


def saved(pixels, kind, *, mode=None, **options):
    """Content of the file that Pillow writes of an array or of a Pillow image."""
    picture = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    (picture if mode is None else picture.convert(mode)).save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation, *, kind="H"):
    """EXIF block with one tag, its value a SHORT ("H") or a LONG ("I")."""
    value = struct.pack("<" + kind, orientation).ljust(4, b"\0")
    tag = struct.pack("<HHI", EXIF_ORIENTATION, 3 if kind == "H" else 4, 1) + value
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + tag + bytes(4)


# ------------------------------------------------------------------------------------------- PNG


def png(*chunks):
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def chunk(kind, data, *, crc=None):
    crc = zlib.crc32(kind + data) if crc is None else crc
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def ihdr(width, height, depth, colour, *, interlaced=False):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))


def packed_rows(samples, depth):
    """Rows of (h, w) or (h, w, c) samples as PNG packs them, each after its filter's number, 0."""
    rows = samples.reshape(len(samples), -1)
    if depth == 16:
        packed = rows.astype(">u2").view(np.uint8)
    else:
        bits = np.unpackbits(rows.astype(np.uint8)[..., None], axis=2)[..., 8 - depth :]
        packed = np.packbits(bits.reshape(len(rows), -1), axis=1)
    return np.insert(packed, 0, 0, axis=1).tobytes()


def png_of(samples, depth, colour, *extra, interlaced=False):
    """PNG of samples that need `depth` bits each, with chunks `extra` before the pixels."""
    height, width = samples.shape[:2]
    passes = [samples[y::dy, x::dx] for y, x, dy, dx in ADAM7] if interlaced else [samples]
    data = b"".join(packed_rows(part, depth) for part in passes if part.size)
    header = ihdr(width, height, depth, colour, interlaced=interlaced)
    return png(header, *extra, chunk(b"IDAT", zlib.compress(data)), chunk(b"IEND", b""))


def deflated_zeros(n_megabytes):
    """Deflate stream of that many million zeros, made in no time: one flushed block, repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(BLANK_MEGABYTE)) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = (n_megabytes * BLANK_MEGABYTE % 65_521) << 16 | 1  # Adler-32 of zeros
    return b"\x78\xda" + block * n_megabytes + b"\x03\x00" + struct.pack(">I", checksum)


# ------------------------------------------------------------------------------------------ JPEG


def after_start(jpeg, segment):
    """A JPEG with a segment put in right after its start marker."""
    return jpeg[:2] + segment + jpeg[2:]


def app1(data):
    return b"\xff\xe1" + struct.pack(">H", len(data) + 2) + data


def ycck(cmyk, **options):
    """JPEG (Adobe's inverted YCCK) of pixels (h, w, 4): its C, M, Y planes are stored as YCbCr."""
    ycc = np.asarray(Image.fromarray(cmyk[..., :3]).convert("YCbCr"))
    planes = np.dstack([255 - ycc, cmyk[..., 3]])  # Pillow stores the inverse of what it is given
    picture = Image.frombytes("CMYK", planes.shape[1::-1], planes.tobytes())
    content = saved(picture, "JPEG", **options)
    transform = content.index(b"Adobe") + 11
    return content[:transform] + b"\x02" + content[transform + 1 :]


# ------------------------------------------------------------------------------------ TIFF and GIF


def tiff(tags, data, *, next_page=0):
    """Little-endian TIFF of one page, of tags {number: value} and 273, where `data` lies."""
    tags = dict(sorted({**tags, 273: 8 + 2 + 12 * (len(tags) + 1) + 4}.items()))
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items()]
    directory = struct.pack("<H", len(tags)) + b"".join(entries) + struct.pack("<I", next_page)
    return b"II*\0" + struct.pack("<I", 8) + directory + data


def on_canvas(gif, width, height):
    """A GIF whose canvas is made another size than its frames."""
    return gif[:6] + struct.pack("<HH", width, height) + gif[10:]
