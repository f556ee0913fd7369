"""Thousands of damaged files: the reader gives pixels or refuses, whatever the bytes.

Each format is read in a process of its own with little memory, so that a decoder that crashes,
hangs or asks for gigabytes fails one test, which says what it was reading.
"""

import base64
import json
import os
import struct
import subprocess
import sys
import time
import warnings
import zlib
from pathlib import Path

import numpy as np
import odd_files
import pytest

from visionpipe.decoding import ImageReadError, decode

N_CASES = 200  # of each format
MAX_PIXELS = 1_000_000
MEMORY = 1 << 30  # bytes beyond what the modules take; a million pixels need some megabytes
SECONDS = 5  # for one file; most take a millisecond
LARGEST = 6000  # bytes of a file to begin with: more would only be slower

FORMATS = ("avif", "bmp", "gif", "jp2", "jpeg", "netpbm", "pcx", "png", "tga", "tiff", "webp")


def originals(kind):
    """Good files of one format: pairs of a content and a suffix."""
    return [
        (case.content, os.path.splitext(case.name)[1])
        for case in odd_files.cases()
        if case.outcome == "pixels"
        and case.name.startswith(kind + "/")
        and isinstance(case.content, bytes)
        and len(case.content) <= LARGEST
    ]


# ------------------------------------------------------------------------------- ways to damage


def somewhere(content, rng):
    """A position, as often in the first 64 bytes as anywhere: that is where sizes stand."""
    return int(rng.integers(min(len(content), 64) if rng.random() < 0.5 else len(content)))


def flip_bits(content, rng, _):
    for _ in range(rng.integers(1, 9)):
        content[somewhere(content, rng)] ^= 1 << int(rng.integers(8))
    return content


def overwrite(content, rng, _):
    start, n = somewhere(content, rng), int(rng.integers(1, 17))
    fills = (bytes(n), b"\xff" * n, rng.bytes(n))
    content[start : start + n] = fills[rng.integers(3)]
    return content


def change_a_number(content, rng, _):
    value = int(rng.choice([0, 1, 255, 32_767, 65_535, 1 << 31, (1 << 32) - 1, len(content)]))
    start, form = somewhere(content, rng), ("<I", ">I", "<H", ">H")[rng.integers(4)]
    packed = struct.pack(form, value % (1 << 8 * struct.calcsize(form)))
    content[start : start + len(packed)] = packed
    return content


def cut(content, rng, _):
    return content[: somewhere(content, rng) + 1]


def insert(content, rng, _):
    start = somewhere(content, rng)
    return content[:start] + rng.bytes(int(rng.integers(1, 65))) + content[start:]


def repeat(content, rng, _):
    start, end = sorted((somewhere(content, rng), somewhere(content, rng)))
    return content[:end] + content[start:]


def splice(content, rng, other):
    return content[: somewhere(content, rng)] + other[somewhere(other, rng) :]


DAMAGES = (flip_bits, overwrite, change_a_number, cut, insert, repeat, splice)


def with_right_sums(content):
    """A PNG whose chunks have the checksums that they should: damage goes unseen for longer."""
    start = 8
    while start + 12 <= len(content):
        (n,) = struct.unpack_from(">I", content, start)
        end = start + 8 + n
        if end + 4 > len(content):
            break
        struct.pack_into(">I", content, end, zlib.crc32(content[start + 4 : end]))
        start = end + 4
    return content


def damaged(kind, number):
    """The content and the suffix of one case: the same each time."""
    rng = np.random.default_rng([FORMATS.index(kind), number])
    files = originals(kind)
    content, suffix = files[rng.integers(len(files))]
    content, other = bytearray(content), files[rng.integers(len(files))][0]
    for _ in range(rng.geometric(0.6)):
        content = DAMAGES[rng.integers(len(DAMAGES))](content, rng, other) or bytearray(1)
    if kind == "png" and rng.random() < 0.8:
        content = with_right_sums(content)
    return bytes(content), suffix


# ----------------------------------------------------------------------- the process that reads


def check(path):
    """Read a file whole, then as small as may be, with warnings as errors; was it read at first?"""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole_is_read = is_read(path)
        warnings.simplefilter("error")
        is_read(path, resized_to=lambda height, width: (1, 1))
    return whole_is_read


def is_read(path, **options):
    try:
        pixels = decode(path, max_pixels=MAX_PIXELS, **options)
    except ImageReadError as error:
        assert error.path == path
        assert error.reason.strip()
        assert "\n" not in error.reason
        assert "memory" not in error.reason.lower(), error.reason
        return False
    height, width, channels = pixels.shape
    assert pixels.dtype == np.uint8
    assert channels in (1, 3)
    assert 0 < height * width <= MAX_PIXELS
    return True


def limit_memory():
    try:
        import resource

        n_pages = int(Path("/proc/self/statm").read_text().split()[0])
        n_bytes = n_pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (n_bytes, n_bytes))
    except (ImportError, OSError):  # only Linux keeps to such a limit
        pass


def read_all(kind, folder):
    """Read the cases of one format one by one; what stands in the folder is being read."""
    limit_memory()
    n_decoded, slowest = 0, 0.0
    for number in range(N_CASES):
        content, suffix = damaged(kind, number)
        path = Path(folder, f"{kind} {number}{suffix}")
        path.write_bytes(content)
        start = time.perf_counter()
        n_decoded += check(str(path))
        seconds = time.perf_counter() - start
        assert seconds < SECONDS, f"it takes {seconds:.1f} s"
        slowest = max(slowest, seconds)
        path.unlink()
    print(json.dumps({"decoded": n_decoded, "refused": N_CASES - n_decoded, "slowest": slowest}))


if __name__ == "__main__":
    read_all(*sys.argv[1:])


# --------------------------------------------------------------------------------------- the test


@pytest.mark.parametrize("kind", FORMATS)
def test_pixels_or_a_refusal(kind, tmp_path):
    if not originals(kind):
        pytest.skip(f"Pillow writes no {kind} here")
    command = [sys.executable, __file__, kind, str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    try:
        done = subprocess.run(command, env=environment, capture_output=True, timeout=90)
        status, said = done.returncode, done.stderr.decode(errors="replace")[-3000:]
    except subprocess.TimeoutExpired:
        status, said = "no end", ""
    for path in tmp_path.iterdir():  # what is left was being read
        content = base64.b85encode(zlib.compress(path.read_bytes())).decode()
        said += f"\n{path}, as zlib in base 85: {content}"
    assert status == 0, f"reading ended with {status}: {said}"
    counts = json.loads(done.stdout)
    print(kind, counts)
    assert counts["refused"] >= N_CASES // 10  # the damage is no pretence
    assert counts["decoded"] >= 1  # nor so great that nothing but signatures was looked at
