"""A folder of odd files: each gives the right pixels or is refused, and its neighbours are read."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import warnings
from contextlib import contextmanager, nullcontext

import cv2
import numpy as np
import odd_files
import pytest
from odd_files.case import UPRIGHT
from odd_files.encoders import after_start, app1, exif, saved
from odd_files.names import FORBIDDEN
from PIL import Image
from sklearn.pipeline import make_pipeline

from visionpipe import HOG, ImageReadError, Resize, as_images, decoding, load_images
from visionpipe.decoding import decode

# Pillow's, about metadata
pytestmark = pytest.mark.filterwarnings("ignore:::PIL")

NOBODY = 65_534  # the user with the fewest rights
READ = [case for case in odd_files.cases() if case.outcome != "ignored"]

# OpenCV reads these in another way: it multiplies transparency into pixels, takes the a* and b* of
# L*a*b* for unsigned, compares with 255 whatever the largest value, does not turn AVIF, and takes
# seconds and gigabytes where they are announced.
OPENCV_DIFFERS = {
    *("tiff/rgba.tif", "gif/one clear.gif", "tiff/lab.tif", "netpbm/at most 100.pgm"),
    *("avif/orientation 6.avif", "png/a gigabyte of zeros.png"),
    *("png/announces four gigabytes.png", "tiff/half a gigabyte of zeros.tif"),
}


@pytest.fixture(scope="module")
def folder():
    """The folder of all odd files, which every user may enter."""
    with tempfile.TemporaryDirectory() as path:
        os.chmod(path, 0o755)
        assert len(odd_files.build(path)) >= len(odd_files.cases()) - 10
        yield path


def printable(case):
    return ascii(case.name)[1:-1]


def is_there(folder, case):
    """Whether this system could make the file."""
    return os.path.lexists(os.path.join(folder, case.name))


@contextmanager
def without_root():
    """Root may read everything: be nobody meanwhile."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        yield
        return
    try:
        os.seteuid(NOBODY)
    except OSError:
        pytest.skip("root cannot become another user here")
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def interrupted_after(seconds):
    """Reading that would never end, such as that of a pipe, ends in an error."""

    def interrupt(*_):
        raise TimeoutError(f"it takes more than {seconds} s")

    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


# ------------------------------------------------------------------------------------- one by one


@pytest.mark.parametrize("case", [case for case in READ if case.outcome == "pixels"], ids=printable)
def test_pixels(case, folder):
    if not is_there(folder, case):
        pytest.skip("this system has no such names")
    pixels = decode(os.path.join(folder, case.name))
    assert pixels.dtype == np.uint8
    assert pixels.shape == case.expected.shape
    assert np.abs(pixels.astype(int) - case.expected).mean() <= case.within


@pytest.mark.parametrize("case", [c for c in READ if c.outcome == "refused"], ids=printable)
def test_refusal(case, folder):
    if not is_there(folder, case):
        pytest.skip("this system has no such files")
    path = os.path.join(folder, case.name)
    nobody = without_root() if case.name == FORBIDDEN else nullcontext()
    with nobody, interrupted_after(20), pytest.raises(ImageReadError) as error:
        decode(path)
    assert error.value.path == path
    assert re.search(case.expected, error.value.reason)
    assert "\n" not in error.value.reason


def test_another_reader_sees_the_same_pixels():
    """The files are what they are meant to be."""
    n_seen = 0
    for case in READ:
        if case.outcome != "pixels" or callable(case.content) or case.name in OPENCV_DIFFERS:
            continue
        bgr = cv2.imdecode(np.frombuffer(case.content, np.uint8), cv2.IMREAD_COLOR)
        if bgr is None:
            continue
        expected = np.broadcast_to(case.expected, (*case.expected.shape[:2], 3))
        assert bgr.shape == expected.shape, case.name
        difference = np.abs(bgr[..., ::-1].astype(int) - expected).mean()
        assert difference <= max(case.within, 1), case.name
        n_seen += 1
    assert n_seen >= 80


def test_the_limit_on_pixels_is_the_number_that_is_given(folder):
    path = os.path.join(folder, "png", "rgb.png")
    assert decode(path, max_pixels=17 * 23).shape == (17, 23, 3)
    with pytest.raises(ImageReadError, match="limit is 390"):
        decode(path, max_pixels=17 * 23 - 1)


# ------------------------------------------------------------------------------- the whole folder

# Files are looked at by threads, in a process that may take only so much more memory than the
# modules take.
READ_THE_FOLDER = """
import json, sys
from visionpipe import load_images

try:
    import resource
    with open("/proc/self/statm") as file:
        n_bytes = int(file.read().split()[0]) * resource.getpagesize() + (1 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (n_bytes, n_bytes))
except (ImportError, OSError):  # only Linux keeps to that limit
    pass
data = load_images(sys.argv[1], errors="skip")
skipped = {error.path: error.reason for error in data.skipped}
print(json.dumps([data.filenames.tolist(), data.target.tolist(), skipped, data.ignored]))
"""

TAKE_DIGESTS = """
import sys
from visionpipe import ImageReadError, as_images

for path in sys.argv[1:]:
    try:
        as_images([path]).digests()
    except ImageReadError:
        continue
    raise AssertionError(path)
"""


@pytest.fixture(scope="module")
def read(folder):
    """What a process of its own makes of the folder."""
    return json.loads(said_by(READ_THE_FOLDER, folder))


def said_by(code, *arguments):
    """Standard output of a Python process, which has to end well and soon."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


def paths(folder, outcome):
    """Paths of the cases with an outcome, as this user sees them."""
    found = {}
    for case in odd_files.cases():
        path = os.path.join(folder, case.name)
        readable = case.name == FORBIDDEN and os.access(path, os.R_OK)
        seen_as = "pixels" if readable else case.outcome
        if seen_as == outcome and is_there(folder, case) and not os.path.isdir(path):
            found[path] = case
    return found


def test_exactly_the_good_files_are_left(folder, read):
    filenames, target, skipped, _ = read
    assert skipped.keys() == paths(folder, "refused").keys()
    assert sorted(filenames) == sorted(paths(folder, "pixels"))
    assert len(filenames) == len(target)


def test_reasons_are_those_of_reading_one_by_one(folder, read):
    reasons = read[2]
    for path, case in paths(folder, "refused").items():
        assert re.search(case.expected, reasons[path]), path


def test_what_is_passed_over_is_counted(read):
    ignored = read[3]
    assert sum(ignored.values()) == 4
    assert ignored["hidden"] == 1


def test_what_is_no_regular_file_has_no_digest(folder):
    irregular = [path for path in paths(folder, "refused") if not os.path.isfile(path)]
    said_by(TAKE_DIGESTS, *irregular)  # or never ends: nobody writes into the pipe


def test_every_good_neighbour_is_processed(folder, read):
    filenames = read[0]
    cases = paths(folder, "pixels")
    hog = make_pipeline(Resize(32), HOG())
    together = hog.fit_transform(as_images(filenames))
    for filename, vector in zip(filenames, together, strict=True):
        case = cases[filename]
        exact = case.outcome == "pixels" and case.within == 0
        alone = hog.transform(as_images([case.expected if exact else filename]))
        np.testing.assert_allclose(vector, alone[0], atol=1e-6, err_msg=filename)


def test_the_first_file_that_is_refused_stops_by_default(folder):
    data = load_images(folder)
    refused = paths(folder, "refused")
    first = next(filename for filename in data.filenames if filename in refused)
    with pytest.raises(ImageReadError) as error:
        list(data.images.batches())
    assert error.value.path == first


# ----------------------------------------------------------------------------------- large JPEGs


def photograph(height, width):
    """Pixels (h, w, 3) with something of every size, but little noise, as a camera sees them."""
    rng = np.random.default_rng(height)
    coarse = [rng.uniform(0, 255, (n, n, 3)) for n in (3, 12, 48)]
    layers = [cv2.resize(a, (width, height), interpolation=cv2.INTER_CUBIC) for a in coarse]
    return np.clip(np.average(layers, axis=0, weights=(4, 2, 1)), 0, 255).astype(np.uint8)


# Height and width, by how much they are divided, and the mean and the largest difference, of 255
# levels. What is left over of sides that are no multiples of 2, 4 or 8 is not seen, and everything
# moves by less than a pixel. Of 801 x 1201, a pixel more would give 1.75 and 9.
SMALLER = [
    ((640, 480), (9, 5), 0.3, 2),
    ((1100, 97), (9, 5), 2, 12),
    ((801, 1201), (33, 33), 0.5, 3),
]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("shape", "parts", "mean", "largest"), SMALLER, ids=["640", "1100", "801"])
def test_a_jpeg_is_decoded_smaller_before_it_is_resized(
    tmp_path, shape, parts, mean, largest, orientation
):
    content = saved(photograph(*shape), "JPEG", quality=90)
    path = str(tmp_path / "photograph.jpg")
    with open(path, "wb") as file:
        file.write(after_start(content, app1(exif(orientation))))
    whole = decode(path)
    assert whole.shape == UPRIGHT[orientation](photograph(*shape)).shape
    target = whole.shape[0] // parts[0], whole.shape[1] // parts[1]
    smaller = decode(path, resized_to=lambda height, width: target)
    assert np.all(np.array(smaller.shape[:2]) >= 2 * np.array(target))
    assert smaller.size < whole.size / 3
    of_whole, of_file = Resize(target).transform([whole])[0], Resize(target).transform([path])[0]
    difference = np.abs(of_whole.astype(int) - of_file)
    assert difference.any()
    assert difference.mean() <= mean
    assert difference.max() <= largest


def good(tmp_path, **options):
    path = str(tmp_path / "good.png")
    Image.fromarray(photograph(30, 40)).save(path, **options)
    return path


def test_a_name_with_a_null_is_refused_as_any_other():
    with pytest.raises(ImageReadError, match="null") as error:
        decode("a\0b.png")
    assert error.value.path == "a\0b.png"


def next_descriptor():
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    return descriptor


@pytest.mark.skipif(os.name != "posix", reason="the lowest free descriptor is the next there")
def test_no_file_stays_open(tmp_path, monkeypatch):
    path, before = good(tmp_path), next_descriptor()
    for at_once in (decoding.READ_AT_ONCE, 0):
        monkeypatch.setattr(decoding, "READ_AT_ONCE", at_once)
        decode(path)
        with pytest.raises(ImageReadError, match="no regular file"):
            decode(str(tmp_path))
        assert next_descriptor() == before


def test_large_files_and_disks_that_give_a_part_at_a_time(tmp_path, monkeypatch):
    path, expected = good(tmp_path), photograph(30, 40)
    with monkeypatch.context() as patch:
        patch.setattr(decoding, "READ_AT_ONCE", 0)
        np.testing.assert_array_equal(decode(path), expected)
    read = os.read
    monkeypatch.setattr(os, "read", lambda descriptor, n: read(descriptor, min(n, 1000)))
    np.testing.assert_array_equal(decode(path), expected)


def test_the_limit_of_pillow_is_only_ever_raised(tmp_path, monkeypatch):
    path = good(tmp_path)
    for theirs, ours, after in ((None, 5000, None), (6000, 5000, 6000), (4000, 5000, 5000)):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", theirs)
        decode(path, max_pixels=ours)
        assert after == Image.MAX_IMAGE_PIXELS
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # 1,200 are a warning, from 2,000 an error
    with warnings.catch_warnings(), pytest.raises(ImageReadError, match="raise max_pixels"):
        warnings.simplefilter("error")
        decode(path, max_pixels=1000)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "it takes more memory than there is"),
        (IndexError(), "IndexError"),
        (OSError("two\nlines"), "two lines"),
    ],
)
def test_reasons_of_errors_that_say_little(tmp_path, monkeypatch, error, reason):
    def failing(*_):
        raise error

    monkeypatch.setattr(decoding, "_decode", failing)
    with pytest.raises(ImageReadError) as caught:
        decode(good(tmp_path))
    assert caught.value.reason == reason


def test_the_limit_on_scans_is_the_most_that_are_read(tmp_path, monkeypatch):
    path = str(tmp_path / "progressive.jpg")
    content = saved(photograph(100, 100), "JPEG", progressive=True)
    with open(path, "wb") as file:
        file.write(content)
    n_scans = content.count(b"\xff\xda")
    monkeypatch.setattr(decoding, "MOST_SCANS", n_scans)
    assert decode(path).shape == (100, 100, 3)
    monkeypatch.setattr(decoding, "MOST_SCANS", n_scans - 1)
    with pytest.raises(
        ImageReadError, match=f"has {n_scans} scans, and the limit is {n_scans - 1}"
    ):
        decode(path)


def test_a_picture_of_several_is_decoded_smaller_too(tmp_path):
    path = str(tmp_path / "two.jpg")
    first = Image.fromarray(photograph(400, 600))
    first.save(path, "MPO", save_all=True, append_images=[first])
    assert decode(path, resized_to=lambda height, width: (100, 150)).shape == (200, 300, 3)


def test_sides_that_are_no_multiples_are_rounded(tmp_path):
    path = str(tmp_path / "a.jpg")
    Image.new("RGB", (805, 807)).save(path)  # an eighth is 100.6 and 100.9
    assert decode(path, resized_to=lambda height, width: (50, 50)).shape == (101, 101, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_lie_in_memory_row_by_row(tmp_path, orientation):
    path = str(tmp_path / "a.jpg")
    with open(path, "wb") as file:
        file.write(after_start(saved(photograph(30, 40), "JPEG"), app1(exif(orientation))))
    assert decode(path).flags.c_contiguous


def test_metadata_that_fails_does_not_refuse_a_file(tmp_path, monkeypatch):
    path = str(tmp_path / "a.bmp")
    Image.fromarray(photograph(30, 40)).save(path)

    def failing(*_):
        raise ValueError("no EXIF that anybody understands")

    monkeypatch.setattr(Image.Image, "getexif", failing)
    np.testing.assert_array_equal(decode(path), photograph(30, 40))
