"""Colour spaces against `skimage.color` in float64."""

import numpy as np
import pytest
import torch
from skimage import color as skimage_color

from visionpipe.kernels.color import (
    rgb_to_grey,
    rgb_to_hsv,
    rgb_to_lab,
    rgb_to_opponent,
    to_unit,
)

CONVERSIONS = [
    (rgb_to_grey, skimage_color.rgb2gray, 1e-6),
    (rgb_to_hsv, skimage_color.rgb2hsv, 1e-5),
    (rgb_to_lab, skimage_color.rgb2lab, 2e-4),  # of 0..100, -128..127: six digits
]
conversions = pytest.mark.parametrize("convert, reference, tolerance", CONVERSIONS)


def to_batch(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2)  # (b, h, w, 3) -> (b, 3, h, w)


def assert_agree(convert, reference, tolerance, images, unit):
    """Compare the conversion of images, (b, h, w, 3), with the reference's of unit, in 0..1."""
    got = convert(to_batch(images))
    expected = reference(unit)
    expected = expected[:, None] if expected.ndim == 3 else expected.transpose(0, 3, 1, 2)
    difference = np.abs(got.numpy() - expected)
    if convert is rgb_to_hsv:  # hues 0 and 1 are the same
        difference[:, 0] = np.minimum(difference[:, 0], 1 - difference[:, 0])
    assert got.dtype == torch.float32
    assert got.shape == expected.shape
    assert difference.max() < tolerance


def pictures():
    """Noise, all corners and edges of the colour cube with ties, greys, black."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (4, 24, 18, 3), dtype=np.uint8)
    noise[1] = rng.choice(np.array([0, 10, 128, 255], np.uint8), noise[1].shape)
    noise[2] = noise[2, :, :, :1]
    noise[3] = noise[3] // 64
    return noise


@conversions
def test_uint8_matches_skimage(convert, reference, tolerance):
    images = pictures()
    assert_agree(convert, reference, tolerance, images, images / 255)


@conversions
def test_float32_matches_skimage(convert, reference, tolerance):
    images = np.random.default_rng(1).random((3, 17, 20, 3), dtype=np.float32)
    assert_agree(convert, reference, tolerance, images, images.astype(float))


@conversions
def test_uint8_is_the_same_picture_as_float32(convert, reference, tolerance):
    images = pictures()
    unit = to_batch(images / np.float32(255))
    assert torch.equal(convert(to_batch(images)), convert(unit))
    assert torch.equal(convert(unit), convert(unit.contiguous()))


@conversions
def test_an_image_does_not_depend_on_its_neighbours(convert, reference, tolerance):
    batch = to_batch(pictures())
    for one, alone in zip(batch.split(1), convert(batch).split(1), strict=True):
        assert torch.equal(convert(one), alone)


@conversions
@pytest.mark.parametrize("level", [0, 1, 255])
def test_one_grey_pixel(convert, reference, tolerance, level):
    image = np.full((1, 1, 1, 3), level, np.uint8)
    assert_agree(convert, reference, tolerance, image, image / 255)


@conversions
@pytest.mark.filterwarnings("ignore:.*not writable:UserWarning")
def test_the_input_is_only_read(convert, reference, tolerance):
    for images in (pictures(), pictures() / np.float32(255)):
        before = images.copy()
        images.flags.writeable = False
        convert(to_batch(images))
        convert(to_batch(images).contiguous())
        np.testing.assert_array_equal(images, before)


def test_to_unit_divides_every_level_as_numpy_does():
    levels = np.arange(256, dtype=np.uint8)
    expected = levels.astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(to_unit(torch.from_numpy(levels)), expected)
    unit = torch.rand(2, 3, 4, 5)
    assert to_unit(unit) is unit


def test_what_cannot_be_converted_is_refused():
    with pytest.raises(ValueError, match="float64"):
        to_unit(torch.zeros(2, dtype=torch.float64))
    for convert, _, _ in CONVERSIONS:
        with pytest.raises(ValueError, match=r"\(1, 4, 2, 2\)"):
            convert(torch.zeros(1, 4, 2, 2))


def test_opponent_colours():
    rgb = torch.rand(2, 3, 4, 5)
    red, green, blue = rgb.double().numpy().transpose(1, 0, 2, 3)
    intensity = (red + green + blue) / 3
    red_green = (red - green) / np.sqrt(2) + 0.01 * intensity
    yellow_blue = (red + green - 2 * blue) / np.sqrt(6) + 0.01 * intensity
    expected = np.stack((intensity, red_green, yellow_blue), axis=1)
    np.testing.assert_allclose(rgb_to_opponent(rgb), expected, atol=1e-6)
    with pytest.raises(ValueError, match=r"\(b, 3, h, w\); got \(1, 1, 2, 2\)"):
        rgb_to_opponent(torch.zeros(1, 1, 2, 2))
