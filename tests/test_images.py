"""Reading, colour modes, views, batches, and the errors of the one door for pixels."""

import copy
import pickle
import threading

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from visionpipe import (
    Deskew,
    Grayscale,
    ImageReadError,
    Images,
    Pixels,
    Rescale,
    Resize,
    as_images,
    threads,
)
from visionpipe import images as images_module


@pytest.fixture
def rgb():
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


# ------------------------------------------------------------------------------- colour modes


def test_lossless_files_come_back_as_they_were(tmp_path, rgb):
    for suffix in ("png", "bmp", "tif", "ppm"):
        Image.fromarray(rgb).save(tmp_path / f"rgb.{suffix}")
        Image.fromarray(rgb[..., 0]).save(tmp_path / f"grey.{suffix}")
        np.testing.assert_array_equal(as_images([tmp_path / f"rgb.{suffix}"])[0], rgb)
        np.testing.assert_array_equal(as_images([tmp_path / f"grey.{suffix}"])[0], rgb[..., 0])


def test_transparency_is_dropped(tmp_path, rgb):
    alpha = np.arange(20 * 30, dtype=np.uint8).reshape(20, 30)
    Image.fromarray(np.dstack([rgb, alpha])).save(tmp_path / "rgba.png")
    Image.fromarray(np.dstack([rgb[..., 0], alpha])).save(tmp_path / "la.png")
    np.testing.assert_array_equal(as_images([tmp_path / "rgba.png"])[0], rgb)
    np.testing.assert_array_equal(as_images([tmp_path / "la.png"])[0], rgb[..., 0])


def test_palettes_are_looked_up(tmp_path, rgb):
    indexed = Image.fromarray(rgb).quantize(16)
    indexed.save(tmp_path / "colours.png")
    indexed.save(tmp_path / "transparent.png", transparency=bytes(range(16)))
    expected = np.asarray(indexed.convert("RGB"))
    np.testing.assert_array_equal(as_images([tmp_path / "colours.png"])[0], expected)
    np.testing.assert_array_equal(as_images([tmp_path / "transparent.png"])[0], expected)
    Image.fromarray(rgb[..., 0]).convert("P").save(tmp_path / "grey.png")
    np.testing.assert_array_equal(as_images([tmp_path / "grey.png"])[0], rgb[..., 0])


def test_one_bit_is_black_and_white(tmp_path):
    bits = np.eye(8, dtype=bool)
    Image.fromarray(bits).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(as_images([tmp_path / "bits.png"])[0], 255 * np.eye(8))


def test_sixteen_bits_keep_the_upper_eight(tmp_path):
    levels = np.arange(0, 65_536, 64, dtype=np.uint16).reshape(32, 32)
    for suffix in ("png", "tif"):
        cv2.imwrite(str(tmp_path / f"grey.{suffix}"), levels)
        cv2.imwrite(str(tmp_path / f"rgb.{suffix}"), np.dstack([levels] * 3))
        np.testing.assert_array_equal(as_images([tmp_path / f"grey.{suffix}"])[0], levels >> 8)
        colours = as_images([tmp_path / f"rgb.{suffix}"])[0]
        np.testing.assert_array_equal(colours, np.dstack([levels >> 8] * 3))


def test_floating_point_tiff(tmp_path):
    cv2.imwrite(str(tmp_path / "f.tif"), np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16))
    np.testing.assert_array_equal(as_images([tmp_path / "f.tif"])[0].ravel(), np.arange(256))
    cv2.imwrite(str(tmp_path / "far.tif"), np.full((4, 4), 7, dtype=np.float32))
    with pytest.raises(ImageReadError, match=r"do not lie in 0\.\.1"):
        as_images([tmp_path / "far.tif"])[0]


def test_cmyk_becomes_rgb(tmp_path):
    Image.new("CMYK", (8, 6), (0, 255, 255, 0)).save(tmp_path / "red.jpg", quality=100)
    red = as_images([tmp_path / "red.jpg"])[0]
    assert red.shape == (6, 8, 3) and red.dtype == np.uint8
    np.testing.assert_allclose(red[3, 4], [255, 0, 0], atol=3)


def test_exif_rotation_is_undone(tmp_path, rgb):
    upright = Image.fromarray(rgb)
    turns = {3: Image.ROTATE_180, 6: Image.ROTATE_90, 8: Image.ROTATE_270}
    for orientation, turn in turns.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        upright.transpose(turn).save(tmp_path / "turned.png", exif=exif)
        np.testing.assert_array_equal(as_images([tmp_path / "turned.png"])[0], rgb)


# ------------------------------------------------------------------------- views of a sequence


def sources(tmp_path, n=6):
    pixels = np.random.default_rng(1).integers(0, 256, (n, 5, 7, 3), dtype=np.uint8)
    paths = []
    for i, image in enumerate(pixels):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(image).save(paths[-1])
    return pixels, {
        "array": pixels,
        "list": list(pixels),
        "nested lists": pixels.tolist(),
        "paths": paths,
        "array of paths": np.array([str(p) for p in paths]),
        "Series of paths": pd.Series([str(p) for p in paths]),
        "paths and arrays": [*paths[:3], *pixels[3:]],
        "Images": as_images(paths),
    }


def everything(images, n_pixels=64):
    """All pixels in order, by way of batches."""
    out = [None] * len(images)
    for rows, pixels in images.batches(n_pixels):
        positions = range(len(images))[rows] if isinstance(rows, slice) else rows
        for position, image in zip(positions, pixels, strict=True):
            assert out[position] is None
            out[position] = image
    return np.stack(out)


def test_every_source_gives_the_same_pixels(tmp_path):
    pixels, named = sources(tmp_path)
    for name, source in named.items():
        images = as_images(source)
        assert images.shape == (len(images),) == (6,), name
        np.testing.assert_array_equal(images[2], pixels[2], err_msg=name)
        np.testing.assert_array_equal(everything(images), pixels, err_msg=name)
        assert as_images(images) is images


def test_indexing_gives_views(tmp_path):
    pixels, named = sources(tmp_path)
    mask = np.array([True, False, True, False, False, True])
    for source in named.values():
        images = as_images(source)
        for key in (slice(1, 5, 2), slice(None, None, -1), [0, 3, 3], np.array([5, 0]), mask):
            expected = pixels[key]
            for form in (key, (key,), (key, ...)):  # scikit-learn sends tuples
                view = images[form]
                assert isinstance(view, Images)
                np.testing.assert_array_equal(everything(view), expected)
            if len(expected):
                np.testing.assert_array_equal(images[key][::-1][0], expected[-1])
        np.testing.assert_array_equal(images[-1], pixels[-1])
        assert len(images[[]]) == 0 and list(images[[]].batches()) == []
        with pytest.raises(IndexError):
            images[6]
        with pytest.raises(IndexError):
            images[2, 3]


def test_views_read_nothing(tmp_path, monkeypatch):
    images = as_images([tmp_path / "not there.png"] * 4)
    assert "4 images" in repr(images)
    view = images[1:][[True, False, True]]
    assert len(pickle.loads(pickle.dumps(view))) == 2
    with pytest.raises(ImageReadError, match="no such file"):
        view[0]


def test_pickles_carry_what_is_looked_at_only():
    images = as_images(np.zeros((1000, 32, 32), dtype=np.uint8))
    one = pickle.dumps(images[[7]])
    assert len(one) < 4000 < len(pickle.dumps(images))
    np.testing.assert_array_equal(pickle.loads(one)[0], np.zeros((32, 32)))
    assert len(copy.deepcopy(images[3:9])) == 6


def test_arrays_are_not_copied():
    pixels = np.zeros((50, 8, 8), dtype=np.uint8)
    batches = [batch for _, batch in as_images(pixels).batches()]
    assert all(np.shares_memory(pixels, batch) for batch in batches)


def test_mixed_sizes_come_in_batches_of_equal_shape():
    rng = np.random.default_rng(0)
    shapes = [(4, 6), (4, 6, 3), (5, 5), (4, 6), (4, 6, 1)]
    images = as_images([rng.random(shape, dtype=np.float32) for shape in shapes])
    seen = {}
    for rows, pixels in images.batches():
        seen |= dict(zip(rows.tolist(), pixels, strict=True))
    assert [seen[i].shape for i in range(5)] == [(*shape, 1)[:3] for shape in shapes]


def test_batches_are_bounded_and_threads_stay_close(tmp_path, monkeypatch):
    n_decoded = 0
    lock = threading.Lock()

    def decode(path, **options):
        nonlocal n_decoded
        with lock:
            n_decoded += 1
        return np.zeros((10, 10, 1), dtype=np.uint8)

    monkeypatch.setattr(images_module, "decode", decode)
    monkeypatch.setattr(threads, "n_threads", lambda: 3)
    n_seen = 0
    for _, pixels in as_images(["x.png"] * 400).batches(n_pixels=500):
        n_seen += len(pixels)
        assert len(pixels) == 5
        # batches under way, and tasks of four images to read under way
        assert n_decoded <= n_seen + 7 * 5 + 7 * 4
    assert n_seen == n_decoded == 400


def test_functions_see_every_file_once_in_batches_of_equal_shape(tmp_path, monkeypatch):
    monkeypatch.setattr(threads, "n_threads", lambda: 2)
    paths, expected = [], []
    for i in range(30):
        pixels = np.full((10, 10 + i % 3, 3)[: 2 + i % 2], i, dtype=np.uint8)
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(pixels).save(paths[-1])
        expected.append(pixels.shape)
    for images, most in ((as_images(paths), 4), (Resize(10).transform(paths), 8)):
        found, sizes = {}, []
        for rows, (shape, levels) in images.map_batches(
            lambda pixels: (pixels.shape, pixels[:, 0, 0, 0]), n_pixels=800
        ):
            sizes.append(len(rows))
            assert shape[0] == len(rows)
            found |= dict(zip(rows.tolist(), levels.tolist(), strict=True))
        assert found == {i: i for i in range(30)} and sum(sizes) == 30
        assert max(sizes) <= most
    with pytest.raises(ImageReadError, match="no such file"):
        list(as_images([*paths, "nowhere.png"]).map_batches(len))


def test_unfinished_reading_leaves_no_threads(tmp_path):
    _, named = sources(tmp_path)
    images = as_images(named["paths"])
    for reading in (images.batches(n_pixels=1), images.map_batches(len, n_pixels=1)):
        next(reading)
        reading.close()
        assert not [t for t in threading.enumerate() if t.name.startswith("visionpipe")]


def test_scikit_learn_splits_and_searches(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 100, (40, 8, 8), dtype=np.uint8)
    y = np.repeat(["dark", "light"], 20)
    pixels[20:] += 150
    paths = []
    for i, image in enumerate(pixels):
        paths.append(str(tmp_path / f"{i}.png"))
        Image.fromarray(image).save(paths[-1])
    for X in (pixels, list(pixels), paths, np.array(paths), as_images(pixels), as_images(paths)):
        train, test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
        model = make_pipeline(Pixels(), SVC())
        assert model.fit(train, y_train).score(test, y_test) == 1
        assert cross_val_score(model, X, y, cv=3).mean() == 1
        search = GridSearchCV(model, {"svc__C": [1, 10]}, cv=2, n_jobs=2).fit(X, y)
        assert search.best_score_ == 1


# ------------------------------------------------------------------------------------ pixels


def test_integers_and_booleans_and_floats():
    levels = np.array([[[0, 1], [128, 255]]])
    for dtype in (np.uint8, np.int16, np.uint16, np.int64):
        image = as_images(levels.astype(dtype))[0]
        assert image.dtype == np.uint8
        np.testing.assert_array_equal(image, levels[0])
    np.testing.assert_array_equal(as_images(levels > 0)[0], 255 * (levels[0] > 0))
    for dtype in (np.float16, np.float32, np.float64):
        image = as_images((levels / 255).astype(dtype))[0]
        assert image.dtype == np.float32
        np.testing.assert_allclose(image, levels[0] / 255, atol=1e-3)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.nan, "image 3 has 1 pixels that are NaN or infinite"),
        (np.inf, "image 3 has 1 pixels that are NaN or infinite"),
        (-0.5, r"image 3 has float64 pixels from -0\.5 to .*0\.\.1"),
        (16.0, r"image 3 has float64 pixels from .* to 16; .* divide"),
    ],
)
def test_bad_float_pixels(bad, message):
    pixels = np.full((5, 4, 4), 0.5)
    pixels[3, 1, 2] = bad
    for X in (pixels, list(pixels), as_images(pixels)):
        with pytest.raises(ValueError, match=message):
            Pixels().transform(X)


def test_integers_out_of_range():
    with pytest.raises(ValueError, match=r"int64 pixels from 0 to 4000; .*0\.\.255"):
        as_images(np.array([[[0, 4000]]]))[0]


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([], "no images"),
        (np.zeros((0, 4, 4)), "no images"),
        ("folder", r"one path, 'folder'.*load_images"),
        (np.zeros((5, 64)), r"flat rows of shape \(5, 64\).*Unflatten"),
        ([np.zeros(64)], r"item 0 is a flat row of 64 numbers.*Unflatten"),
        (np.zeros(5), r"shape \(5,\)"),
        (np.zeros((2, 3, 4, 5, 6)), r"shape \(2, 3, 4, 5, 6\)"),
        (np.zeros((2, 8, 8, 4)), r"4 channels .*images\[\.\.\., :3\]"),
        (np.zeros((2, 3, 8, 8)), r"8 channels .*np\.moveaxis"),
        ([np.zeros((8, 8)), np.zeros((8, 8, 2))], "image 1 has 2 channels"),
        ([np.zeros((8, 8)), np.zeros((0, 8))], r"image 1 has no pixels: its shape is \(0, 8\)"),
        (np.zeros((3, 0, 8)), r"no pixels"),
        (np.zeros((2, 4, 4), dtype=complex), "complex128"),
        ([object()], "item 0 is object"),
        (None, "NoneType"),
        (7, "int"),
        ({"a": 1}, "dict"),
        (b"bytes", "bytes"),
    ],
)
def test_what_is_not_images_is_refused_in_one_line(X, message):
    with pytest.raises(ValueError, match=message) as caught:
        as_images(X, owner="HOG")
    assert str(caught.value).startswith("HOG") and "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------- files


def test_files_that_are_no_images(tmp_path, rgb):
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "empty.png").touch()
    Image.fromarray(rgb).save(tmp_path / "whole.jpg")
    whole = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(rgb).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:600])
    for name in ("text.png", "empty.png", "cut.jpg", "cut.png", "not there.png"):
        with pytest.raises(ImageReadError) as caught:
            as_images([tmp_path / "whole.jpg", tmp_path / name])[1]
        error = pickle.loads(pickle.dumps(caught.value))  # worker processes send it
        assert error.path == str(tmp_path / name)
        assert str(error) == f"cannot read {error.path}: {error.reason}" and error.reason


def test_files_of_too_many_pixels_are_refused_until_the_limit_is_raised(tmp_path, rgb):
    Image.fromarray(rgb).save(tmp_path / "a.png")
    refused = r"a\.png: it has 30 x 20 pixels, and the limit is 599; raise max_pixels"
    for images in (as_images([tmp_path / "a.png"], max_pixels=n) for n in (599, 600)):
        for view in (
            images,
            images[:1],
            pickle.loads(pickle.dumps(images)),
            Resize(4).transform(images),
        ):
            if view._max_pixels == 600:
                assert view[0].shape[-1] == 3
            else:
                with pytest.raises(ImageReadError, match=refused):
                    view[0]


def test_a_limit_above_that_of_pillow_is_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    Image.new("L", (30, 20)).save(tmp_path / "a.png")
    with pytest.raises(ImageReadError, match="it has far more pixels, and the limit is 100"):
        as_images([tmp_path / "a.png"], max_pixels=100)[0]
    assert as_images([tmp_path / "a.png"], max_pixels=600)[0].shape == (20, 30)


def test_failures_are_those_of_reading(tmp_path, monkeypatch):
    pixels, named = sources(tmp_path)
    whole = (tmp_path / "0.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[:-40])
    paths = [*named["paths"], tmp_path / "cut.png", *named["paths"], tmp_path / "not there.png"]
    monkeypatch.setattr(threads, "n_threads", lambda: 2)
    told = []
    failures = as_images(paths).failures(on_read=lambda *now: told.append(now))
    assert [(i, error.path) for i, error in failures.items()] == [
        (6, str(paths[6])), (13, str(paths[13])),
    ]  # fmt: skip
    assert told[-1][:2] == (14, 14) and [found for *_, found in told if found] == [
        {position: error} for position, error in failures.items()
    ]
    assert as_images(pixels).failures() == as_images(list(pixels)).failures() == {}


def test_large_jpegs_are_decoded_at_a_part_of_their_size(tmp_path, monkeypatch):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (5, 8, 3), dtype=np.uint8))
    picture.resize((800, 500), Image.BICUBIC).save(tmp_path / "a.jpg", quality=95)
    whole, shapes = as_images([tmp_path / "a.jpg"]), []
    decode = images_module.decode

    def noted(path, **options):
        pixels = decode(path, **options)
        shapes.append(pixels.shape[:2])
        return pixels

    monkeypatch.setattr(images_module, "decode", noted)
    array = as_images(whole[0][None])
    for steps, decoded, wanted in [
        ([Resize(64)], (250, 400), (64, 64)),  # a quarter would be smaller than 128 x 128
        ([Resize((62, 100))], (125, 200), (62, 100)),
        ([Resize((31, 50))], (62, 100), (31, 50)),  # without the half row that is left over
        ([Resize(150)], (500, 800), (150, 150)),
        ([Resize(100, keep_aspect="pad")], (125, 200), (100, 100)),  # of which 62 rows are drawn
        ([Resize(100, keep_aspect="crop")], (250, 400), (100, 100)),  # out of 100 x 160
        ([Rescale((48, 100))], (125, 200), (62, 100)),
        ([Rescale((48, 256))], (500, 800), (160, 256)),
        ([Grayscale(), Resize(64)], (250, 400), (64, 64)),
        ([Grayscale()], (500, 800), (500, 800)),
        ([Deskew(), Resize(64)], (500, 800), (64, 64)),
    ]:
        images, same = whole, array
        for step in steps:
            images, same = step.transform(images), step.transform(same)
        shapes.clear()
        found = images[0]
        assert shapes == [decoded] and found.shape[:2] == wanted
        far = np.abs(found.astype(int) - same[0])
        assert far.mean() < (1.5 if decoded == (62, 100) else 0.6) and far.max() <= 10


def test_errors_reach_the_caller_from_threads(tmp_path, monkeypatch):
    _, named = sources(tmp_path)
    monkeypatch.setattr(threads, "n_threads", lambda: 2)
    with pytest.raises(ImageReadError, match="no such file"):
        Pixels().transform([*named["paths"], tmp_path / "not there.png"])


def test_batches_of_a_view_are_bounded_by_what_its_steps_make():
    small = as_images(np.zeros((100, 4, 4), dtype=np.uint8))
    for view in (
        Resize(32).transform(small),
        Resize(2).transform(as_images(np.zeros((9, 40, 40)))),
    ):
        for _, pixels in view.batches(n_pixels=5000):
            assert len(pixels) * max(pixels[0, ..., 0].size, view._source[0].size) <= 5000


def test_bytes_and_floats_of_one_size_stay_what_they_are():
    pixels = [np.full((4, 4), 200, np.uint8), np.full((4, 4), 0.5, np.float32)]
    for reading in (as_images(pixels).batches(), as_images(pixels).map_batches(lambda p: p)):
        found = {
            int(i): image for rows, images in reading for i, image in zip(rows, images, strict=True)
        }
        assert [found[i].dtype for i in range(2)] == [np.uint8, np.float32]
        assert found[0].max() == 200 and found[1].max() == 0.5


def test_steps_before_a_resize_see_the_whole_picture(tmp_path):
    Image.new("RGB", (800, 500)).save(tmp_path / "a.jpg")
    seen = []

    def noted(pixels):
        seen.append(pixels.shape[1:3])
        return pixels

    Resize(64).transform(as_images([tmp_path / "a.jpg"]).map(noted))[0]
    assert seen == [(500, 800)]


def test_files_among_arrays_are_looked_at(tmp_path):
    (tmp_path / "text.png").write_text("text")
    images = as_images([np.zeros((4, 4)), tmp_path / "text.png", np.zeros((4, 4))])
    assert images.reads_files
    failures = images.failures()
    assert [*failures] == [1]
    assert failures[1].__traceback__ is None  # which would keep pixels that were half read


def test_what_threads_read_at_a_time_is_fair_and_bounded(monkeypatch):
    monkeypatch.setattr(images_module, "decode", lambda *_, **__: np.zeros((9, 9, 1), np.uint8))
    monkeypatch.setattr(threads, "n_threads", lambda: 2)
    monkeypatch.setattr(images_module, "n_threads", lambda: 2)
    for n_images, side, n_pixels, most in (
        (1000, 10, 1000, 10),  # a batch
        (1000, 2, 98_304, 64),  # the most
        (80, 2, 98_304, 10),  # a fair share: 80 images, 2 threads, 4 tasks for each
    ):
        view = Resize(side).transform(as_images(["x.png"] * n_images))
        sizes = [len(rows) for rows, _ in view.map_batches(len, n_pixels)]
        assert max(sizes) == most and sum(sizes) == n_images


def test_batches_of_files_are_smaller_than_those_of_arrays(monkeypatch):
    pixels = np.zeros((128, 128, 1), np.uint8)
    monkeypatch.setattr(images_module, "decode", lambda *_, **__: pixels)
    for source, most in ((["x.png"] * 40, 6), ([pixels] * 40, 16)):  # images make up the pixels
        sizes = [len(rows) for rows, _ in as_images(source).batches()]
        assert max(sizes) == most and sum(sizes) == 40
