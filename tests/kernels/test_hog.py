"""HOG against `skimage.feature.hog` in float64."""

import numpy as np
import pytest
import torch
from skimage import data
from skimage.color import rgb2gray
from skimage.feature import hog as skimage_hog

from visionpipe.kernels.hog import hog

BLOCK_NORMS = ["L1", "L1-sqrt", "L2", "L2-Hys"]


def reference(image, **params):
    """One image (h, w) or (h, w, 3) in 0..1, any float dtype."""
    return skimage_hog(image.astype(float), channel_axis=2 if image.ndim == 3 else None, **params)


def to_batch(images):
    """(b, h, w) -> (b, 1, h, w); (b, h, w, c) -> (b, c, h, w), channels last in memory."""
    batch = torch.from_numpy(images)
    return batch.unsqueeze(1) if batch.ndim == 3 else batch.permute(0, 3, 1, 2)


def assert_close_but_for_boundary_votes(got, expected):
    """Votes within float32 rounding of a bin boundary may fall on either side."""
    difference = np.abs(got - expected)
    assert np.isfinite(got).all()
    assert np.median(difference) < 1e-7
    assert np.quantile(difference, 0.999) < 1e-4


def random_params(rng):
    cell, block = rng.integers(2, 9, 2), rng.integers(1, 4, 2)
    params = {
        "orientations": int(rng.integers(3, 14)),
        "pixels_per_cell": tuple(map(int, cell)),
        "cells_per_block": tuple(map(int, block)),
        "block_norm": str(rng.choice(BLOCK_NORMS)),
        "transform_sqrt": bool(rng.integers(2)),
    }
    size = cell * block + rng.integers(0, 20, 2)
    return params, tuple(map(int, size))


@pytest.mark.parametrize("seed", range(40))
def test_random_parameters_match_skimage(seed):
    rng = np.random.default_rng(seed)
    params, size = random_params(rng)
    shape = (8, *size, 3) if seed % 2 else (8, *size)
    images = rng.random(shape, dtype=np.float32)
    got = hog(to_batch(images), **params).numpy()
    expected = np.stack([reference(image, **params) for image in images])
    assert got.dtype == np.float32
    assert got.shape == expected.shape
    assert_close_but_for_boundary_votes(got, expected)


@pytest.mark.parametrize("orientations", [4, 6, 8, 9, 12])
def test_directions_on_a_boundary_fall_where_skimage_puts_them(orientations):
    """Black and white images have gradients at multiples of 45 degrees only."""
    images = np.random.default_rng(0).integers(0, 2, (8, 32, 32)).astype(np.float32)
    got = hog(to_batch(images), orientations=orientations).numpy()
    expected = np.stack([reference(image, orientations=orientations) for image in images])
    np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(5, 30, 33), (5, 30, 33, 3)])
@pytest.mark.parametrize("transform_sqrt", [False, True])
def test_uint8_is_the_same_picture_as_float32(shape, transform_sqrt):
    images = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    params = {
        "pixels_per_cell": (5, 6),
        "cells_per_block": (2, 2),
        "transform_sqrt": transform_sqrt,
    }
    got = hog(to_batch(images), **params)
    unit = images / np.float32(255)
    assert torch.equal(got, hog(to_batch(unit), **params))
    expected = np.stack([reference(image, **params) for image in unit])
    assert_close_but_for_boundary_votes(got.numpy(), expected)


def test_the_first_of_equally_strong_channels_votes():
    """Red steps along the columns, green as much along the rows: red is asked first."""
    image = torch.zeros(1, 3, 8, 8)
    image[:, 0, :, 4:] = 1
    image[:, 1, 4:] = 1
    one_block = {"pixels_per_cell": (8, 8), "cells_per_block": (1, 1)}
    params = dict(orientations=4, block_norm="L1", **one_block)
    got = hog(image, **params)
    expected = reference(image[0].permute(1, 2, 0).numpy(), **params)
    np.testing.assert_allclose(got[0], expected, atol=1e-6)
    assert got[0, 0] > got[0, 2] > 0


@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_does_not_depend_on_its_neighbours(channels):
    images = np.random.default_rng(2).random((7, 37, 29, channels), dtype=np.float32)
    batch = to_batch(images)
    params = {"pixels_per_cell": (4, 5), "cells_per_block": (2, 2)}
    together = hog(batch, **params)
    assert torch.equal(together[2:5], hog(batch[2:5], **params))
    for one, alone in zip(batch.split(1), together.split(1), strict=True):
        assert torch.equal(hog(one, **params), alone)


@pytest.mark.parametrize("block_norm", BLOCK_NORMS)
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (2, 2), (16, 16)])
@pytest.mark.parametrize("level", [0, 255])
def test_a_blank_image_gives_zeros(size, level, block_norm):
    batch = torch.full((2, 3, *size), level, dtype=torch.uint8)
    got = hog(batch, pixels_per_cell=(1, 1), cells_per_block=(1, 1), block_norm=block_norm)
    assert got.shape == (2, 9 * size[0] * size[1])
    assert not got.any()


@pytest.mark.filterwarnings("ignore:.*not writable:UserWarning")
def test_the_input_is_only_read():
    images = np.random.default_rng(3).random((2, 24, 24), dtype=np.float32)
    images.flags.writeable = False
    before = images.copy()
    hog(to_batch(images), transform_sqrt=True)
    np.testing.assert_array_equal(images, before)


def test_images_smaller_than_a_block_are_refused():
    with pytest.raises(ValueError, match=r"\(24, 23\).*\(24, 24\).*smaller"):
        hog(torch.zeros(1, 1, 24, 23))


def test_unknown_block_norms_and_dtypes_are_refused():
    with pytest.raises(ValueError, match="L2-Hys.*'L3'"):
        hog(torch.zeros(1, 1, 24, 24), block_norm="L3")
    with pytest.raises(ValueError, match="float64"):
        hog(torch.zeros(1, 1, 24, 24, dtype=torch.float64))


@pytest.mark.parametrize("orientations", [4, 6, 8, 12])
def test_directions_close_to_a_boundary_that_can_be_met(orientations):
    """At 45 degrees in a picture of few levels, the rounding of its pixels decides the bin."""
    picture = rgb2gray(data.astronaut()).astype(np.float32)
    crops = np.stack([picture[i : i + 64, 2 * i : 2 * i + 72] for i in range(0, 200, 10)])
    settings = {"orientations": orientations, "pixels_per_cell": (7, 7), "block_norm": "L2"}
    found = hog(torch.from_numpy(crops)[:, None], **settings).numpy()
    expected = np.stack([reference(crop.astype(np.float64), **settings) for crop in crops])
    assert np.quantile(np.abs(found - expected), 0.999) < 1e-5
