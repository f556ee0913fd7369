"""Deskewing against scipy's moments and interpolation."""

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from visionpipe.kernels.deskew import deskew


def moments(image):
    """Centre (row, column) and slant of an image (c, h, w)."""
    mass = image.sum(0)
    places = np.indices(mass.shape).reshape(2, -1)
    covariance = np.cov(places, aweights=mass.ravel(), ddof=0)
    return np.average(places, axis=1, weights=mass.ravel()), covariance[0, 1] / covariance[0, 0]


def slow_deskew(image):
    (row, _), slant = moments(image)
    rows, columns = np.indices(image.shape[1:])
    places = [rows, columns + slant * (rows - row)]
    return np.stack([map_coordinates(c, places, order=1, mode="grid-constant") for c in image])


def strokes(n=6, channels=1, slants=(-1, 1)):
    """Bars of light that lean, (n, c, 28, 28) of float64, in levels of 1/255, with wide margins."""
    rng = np.random.default_rng(0)
    rows, columns = np.indices((28, 28))
    slants = np.linspace(*slants, n)[:, None, None]
    middle = 14 + slants * (rows - 12)
    bars = (np.abs(columns - middle) < 2.5) & (np.abs(rows - 12) < 8)
    return (bars[:, None] * rng.integers(100, 256, (n, channels, 28, 28))) / 255


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(7, 5), (20, 31), (2, 2)])
def test_equals_the_slow_way(size, channels):
    images = np.random.default_rng(0).integers(0, 256, (4, channels, *size)) / 255
    images *= np.tri(*size)  # which leans much, out of the frame
    expected = np.stack([slow_deskew(image) for image in images])
    assert (np.abs(expected - images).max((1, 2, 3)) > 0.01).all()
    found = deskew(torch.from_numpy(images).float())
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    found = deskew(torch.from_numpy(np.rint(255 * images)).byte())
    assert found.dtype == torch.uint8
    np.testing.assert_allclose(found, 255 * expected, atol=0.5 + 2e-3)


@pytest.mark.parametrize("channels", [1, 3])
def test_writing_stands_upright_and_stays_so(channels):
    images = strokes(channels=channels)
    once = deskew(torch.from_numpy(images).float())
    slants = np.array([[moments(image)[1] for image in some] for some in (images, once.numpy())])
    assert (abs(slants[0]) > 0.15).all() and (abs(slants[1]) < 2e-3).all()
    np.testing.assert_allclose(deskew(once), once, atol=0.02)
    bytes_once = deskew((255 * once).round().byte())
    assert (deskew(bytes_once).int() - bytes_once.int()).abs().max() <= 5
    for image, moved in zip(images, once.numpy(), strict=True):  # no light is lost, none moves up
        np.testing.assert_allclose(moved.sum(2), image.sum(2), atol=1e-4)
        np.testing.assert_allclose(moments(moved)[0], moments(image)[0], atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_what_has_no_slant_comes_back(dtype):
    images = torch.zeros(5, 3, 6, 8, dtype=dtype)
    images[1, :, 2] = torch.arange(8)  # one bright row
    images[2, :, :, 3] = 1  # a column
    images[3, 1, 5, 0] = 1  # a pixel
    images[4] = 1  # all
    before = images.clone()
    assert torch.equal(deskew(images), images)
    assert torch.equal(images, before)


def test_an_image_does_not_depend_on_its_neighbours():
    batch = torch.from_numpy(strokes()).float()
    together = deskew(batch)
    for one, alone in zip(batch.split(1), together.split(1), strict=True):
        assert torch.equal(deskew(one), alone)
