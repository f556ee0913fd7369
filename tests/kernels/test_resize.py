"""Resizing against Pillow and against a slow filter in float64."""

import itertools

import numpy as np
import pytest
import torch
from PIL import Image

from visionpipe.kernels.resize import resize

SIZES = [1, 2, 7]


def to_batch(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2)  # (b, h, w, c) -> (b, c, h, w)


def pillow(image, size):
    image = image[..., 0] if image.shape[2] == 1 else image
    resized = np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))
    return resized.reshape(*size, -1)


def filter_matrix(n_from, n_to):
    """Weight of every pixel in every pixel of the result: a triangle as wide as two of them."""
    scale = n_from / n_to
    centres = (np.arange(n_to) + 0.5) * scale
    distances = np.abs(np.arange(n_from) + 0.5 - centres[:, None]) / max(scale, 1)
    weights = np.maximum(0, 1 - distances)
    return weights / weights.sum(1, keepdims=True)


def slow_resize(images, size):
    rows, columns = (filter_matrix(*pair) for pair in zip(images.shape[1:3], size, strict=True))
    return np.einsum("ih,bhwc,jw->bcij", rows, images.astype(float), columns)


def layouts(images):
    batch = to_batch(images)
    turned = batch.transpose(2, 3).contiguous().transpose(2, 3)
    padded = torch.nn.functional.pad(batch, (1, 2, 1, 1))[:, :, 1:-1, 1:-2]
    strided = batch.repeat_interleave(2, 2).repeat_interleave(3, 3)[:, :, ::2, ::3]
    return [batch, batch.contiguous(), turned, padded, strided]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("seed", range(12))
def test_uint8_is_within_one_level_of_pillow(seed, channels):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (3, *rng.integers(1, 120, 2), channels), dtype=np.uint8)
    size = tuple(rng.integers(1, 70, 2).tolist())
    expected = np.stack([pillow(image, size) for image in images]).transpose(0, 3, 1, 2)
    for batch in layouts(images):
        got = resize(batch, size)
        assert got.dtype == torch.uint8
        assert got.shape == expected.shape
        assert np.abs(got.numpy() - expected.astype(int)).max() <= 1


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_all_small_sizes_match_the_slow_filter(channels):
    rng = np.random.default_rng(channels)
    for height, width in itertools.product(SIZES, SIZES):
        images = rng.integers(0, 256, (2, height, width, channels), dtype=np.uint8)
        unit = images / np.float32(255)
        for size in itertools.product(SIZES, SIZES):
            expected = slow_resize(unit, size)
            for batch in layouts(unit):
                got = resize(batch, size)
                assert got.dtype == torch.float32
                np.testing.assert_allclose(got, expected, atol=2e-6)
            # Rounded once, or, as in Pillow, after the rows and after the columns.
            tolerance = 0.501 if 1 in (height, width, *size) else 1.02
            for batch in layouts(images):
                np.testing.assert_allclose(resize(batch, size), 255 * expected, atol=tolerance)


def test_levels_of_a_constant_image_stay():
    for level in (0, 1, 200, 255):
        batch = torch.full((1, 3, 50, 60), level, dtype=torch.uint8)
        assert torch.equal(resize(batch, (13, 70)), torch.full((1, 3, 13, 70), level).byte())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_an_image_does_not_depend_on_its_neighbours(dtype, channels):
    images = np.random.default_rng(0).integers(0, 256, (6, 37, 29, channels)).astype(dtype)
    batch = to_batch(images)
    together = resize(batch, (17, 40))
    assert torch.equal(together[1:4], resize(batch[1:4], (17, 40)))
    for one, alone in zip(batch.split(1), together.split(1), strict=True):
        assert torch.equal(resize(one, (17, 40)), alone)


def test_images_of_that_size_come_back():
    batch = torch.rand(2, 3, 8, 9)
    assert resize(batch, (8, 9)) is batch


@pytest.mark.filterwarnings("ignore:.*not writable:UserWarning")
@pytest.mark.parametrize("size", [(4, 5), (1, 1), (9, 1)])
def test_the_input_is_only_read(size):
    for dtype in (np.uint8, np.float32):
        images = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 3)).astype(dtype)
        before = images.copy()
        images.flags.writeable = False
        resize(to_batch(images), size)
        np.testing.assert_array_equal(images, before)


def test_what_cannot_be_resized_is_refused():
    with pytest.raises(ValueError, match=r"\(0, 4\)"):
        resize(torch.zeros(1, 1, 4, 4), (0, 4))
    with pytest.raises(ValueError, match="float64"):
        resize(torch.zeros(1, 1, 4, 4, dtype=torch.float64), (2, 2))
