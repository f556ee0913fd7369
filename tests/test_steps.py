"""What the steps do to pixels, and that they do it only when pixels are read."""

import numpy as np
import pytest
from PIL import Image
from skimage.color import rgb2gray

from visionpipe import Deskew, Grayscale, Rescale, Resize, as_images

RNG = np.random.default_rng(0)


def test_resize_is_that_of_pillow():
    photograph = RNG.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    for size in ((20, 15), (64, 96), (40, 60)):
        resized = Resize(size).fit_transform([photograph])[0]
        expected = Image.fromarray(photograph).resize(size[::-1], Image.Resampling.BILINEAR)
        assert resized.dtype == np.uint8
        assert np.abs(resized.astype(int) - np.asarray(expected)).max() <= 1


def test_pad_shows_the_whole_picture_and_repeats_its_border():
    wide = np.zeros((10, 20), dtype=np.float32)
    wide[:, 10:] = 1
    padded = Resize(8, keep_aspect="pad").fit_transform([wide])[0]
    np.testing.assert_array_equal(padded, Resize(8, keep_aspect=True).fit_transform([wide])[0])
    np.testing.assert_allclose(padded, np.repeat(padded[:1], 8, axis=0), atol=1e-6)
    assert padded[:, 0].max() == 0 and padded[:, -1].min() > 1 - 1e-6


def test_crop_fills_the_frame_and_cuts_both_sides():
    wide = np.tile(np.linspace(0, 1, 40, dtype=np.float32), (10, 1))
    cropped = Resize(10, keep_aspect="crop").fit_transform([wide])[0]
    np.testing.assert_allclose(cropped, wide[:, 15:25], atol=1e-6)


@pytest.mark.parametrize("keep_aspect", [False, "pad", "crop"])
def test_any_size_becomes_the_size(keep_aspect):
    shapes = [(1, 1), (3, 100), (100, 3), (17, 31), (64, 64)]
    images = Resize((7, 13), keep_aspect=keep_aspect).fit_transform([np.ones(s) for s in shapes])
    for i in range(len(shapes)):
        np.testing.assert_allclose(images[i], np.ones((7, 13)), atol=1e-6)


def test_rescale_keeps_proportions_between_two_lengths():
    shapes = [(10, 5), (30, 60), (300, 200), (1, 900), (64, 64)]
    images = [RNG.random(shape) for shape in shapes]
    found = Rescale((40, 64)).fit_transform(images)
    sizes = [found[i].shape for i in range(len(shapes))]
    assert sizes == [(40, 20), (30, 60), (64, 43), (1, 64), (64, 64)]
    np.testing.assert_allclose(found[1], images[1], atol=1e-7)
    expected = Resize((64, 43)).fit_transform(images[2:3])[0]
    np.testing.assert_array_equal(found[2], expected)
    with pytest.raises(ValueError, match=r"longer_side=\(9, 8\)\): longer_side must be the least"):
        Rescale((9, 8)).fit(images)
    with pytest.raises(ValueError, match="longer_side must be a pair of positive ints"):
        Rescale(64).fit(images)


def test_grayscale_is_that_of_scikit_image():
    rgb = RNG.random((3, 9, 8, 3))
    grey = Grayscale().fit_transform(rgb)
    np.testing.assert_allclose(grey[1], rgb2gray(rgb[1]), atol=1e-6)
    levels = (255 * rgb).astype(np.uint8)
    grey = Grayscale().fit_transform(levels)
    assert grey[0].dtype == np.uint8
    np.testing.assert_allclose(grey[0], np.rint(255 * rgb2gray(levels[0])), atol=1)


def test_deskew_leaves_images_what_they_are():
    leaning = np.eye(9, dtype=np.uint8)[:, :, None] * np.array([200, 100, 50], dtype=np.uint8)
    for images in (leaning, leaning[..., 0], leaning / np.float32(255)):
        found = Deskew().fit_transform([images])[0]
        assert found.dtype == images.dtype
        np.testing.assert_array_equal(found[:, 4], images[range(9), range(9)])
        assert not np.delete(found, 4, axis=1).any()


def test_steps_are_lazy_views(tmp_path):
    images = as_images([tmp_path / "not there.png"] * 5)
    with pytest.raises(ValueError, match="no such file"):
        Resize(4).fit(images)  # the first image is looked at
    view = Grayscale().transform(Resize(4).transform(images))[1:3]
    assert len(view) == 2 and "then _stretch, then _grayscale" in repr(view)
    with pytest.raises(ValueError, match="no such file"):
        view[0]


def test_what_is_odd_goes_below_and_to_the_right():
    wide = RNG.random((10, 20), dtype=np.float32)
    padded = Resize((13, 20), keep_aspect="pad").fit_transform([wide])[0]
    np.testing.assert_allclose(padded, wide[[0, *range(10), 9, 9]], atol=1e-6)
    cropped = Resize(10, keep_aspect="crop").fit_transform([wide[:, :13]])[0]
    np.testing.assert_allclose(cropped, wide[:, 1:11], atol=1e-6)


def test_levels_of_grey_are_the_nearest():
    levels = RNG.integers(0, 256, (1, 40, 40, 3), dtype=np.uint8)
    grey = Grayscale().fit_transform(levels)[0]
    exact = 255 * rgb2gray(levels[0])
    assert np.abs(grey - exact).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("size", [0, -3, (4, 0), (4,), (4, 4, 4), 1.5, (4.0, 4)])
def test_sizes_that_are_none_are_refused(size):
    with pytest.raises(ValueError, match="size must be a height and a width in pixels"):
        Resize(size).fit([np.ones((4, 4))])


def test_least_and_most_may_be_one_length():
    found = Rescale((64, 64)).fit_transform([np.ones((128, 32)), np.ones((16, 32))])
    assert found[0].shape == (64, 16) and found[1].shape == (32, 64)


def test_sides_are_rounded_to_the_nearest_pixel():
    wide = RNG.random((7, 20), dtype=np.float32)
    padded = Resize(16, keep_aspect="pad").fit_transform([wide])[0]
    expected = Resize((6, 16)).fit_transform([wide])[0]  # 5.6 rows
    np.testing.assert_array_equal(padded[5:11], expected)


def test_digests_of_what_steps_make_decode_nothing(tmp_path):
    (tmp_path / "a.png").write_text("no image")
    images = as_images([tmp_path / "a.png"])
    resized = [Resize(4), Resize(5), Resize(4, keep_aspect="crop"), Rescale((4, 5))]
    steps = [*resized, Grayscale(), Deskew()]
    digests = {bytes(step.transform(images).digests()[0]) for step in steps}
    assert len(digests) == len(steps) and bytes(images.digests()[0]) not in digests
    assert bytes(Resize(4).transform(images).digests()[0]) in digests
