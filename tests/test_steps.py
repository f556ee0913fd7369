"""What the steps do to pixels, and that they do it only when pixels are read."""

import numpy as np
import pytest
from PIL import Image
from skimage.color import rgb2gray

from visionpipe import Grayscale, Rescale, Resize, as_images

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


def test_steps_are_lazy_views(tmp_path):
    images = as_images([tmp_path / "not there.png"] * 5)
    with pytest.raises(ValueError, match="no such file"):
        Resize(4).fit(images)  # the first image is looked at
    view = Grayscale().transform(Resize(4).transform(images))[1:3]
    assert len(view) == 2 and "then _stretch, then _grayscale" in repr(view)
    with pytest.raises(ValueError, match="no such file"):
        view[0]
