"""Perceptual hashes against scipy's cosine transform and Pillow's resizing."""

import numpy as np
import pytest
import scipy.fft
import torch
from PIL import Image
from skimage.data import astronaut

from visionpipe.kernels.perceptual_hash import perceptual_hash, small_grey


def to_batch(images):
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)


def photographs(n=40, h=90, w=120):
    """Parts of a photograph, (n, h, w, 3)."""
    rng = np.random.default_rng(0)
    corners = rng.integers(0, [512 - h, 512 - w], (n, 2))
    return np.stack([astronaut()[y : y + h, x : x + w] for y, x in corners])


def textbook(small):
    """Bits of grey pixels (32, 32), highest frequency last."""
    coefficients = scipy.fft.dct(scipy.fft.dct(small.astype(float), axis=0), axis=1)[:8, :8]
    return (coefficients > np.median(coefficients)).ravel()


def bits_of(hashes):
    return np.unpackbits(hashes.numpy().astype(">i8").view(np.uint8)).reshape(-1, 64)


def test_the_bits_are_those_of_the_textbook():
    small = small_grey(to_batch(photographs()))
    expected = np.stack([textbook(image) for image in small[:, 0].numpy()])
    # Cosines are rounded to 1 / 4096: a coefficient next to the median may change sides with it.
    assert (bits_of(perceptual_hash(small)) != expected).mean() < 0.002
    assert len(np.unique(expected, axis=0)) > 30


def test_small_grey_is_pillows():
    images = photographs(5)
    small = small_grey(to_batch(images))
    assert small.shape == (5, 1, 32, 32) and small.dtype == torch.uint8
    for image, got in zip(images, small[:, 0].numpy(), strict=True):
        resized = np.asarray(Image.fromarray(image).resize((32, 32), Image.Resampling.BILINEAR))
        expected = resized @ np.array([0.2125, 0.7154, 0.0721])
        np.testing.assert_allclose(got, expected, atol=1.6)  # a level, of some pixels, and a half
        assert abs(got - expected).mean() < 0.3


def test_what_is_hashed_is_the_small_image():
    batch = to_batch(photographs(6))
    assert torch.equal(perceptual_hash(batch), perceptual_hash(small_grey(batch)))
    assert torch.equal(small_grey(small_grey(batch)), small_grey(batch))


def test_grey_and_rgb_and_floats_of_one_picture():
    grey = photographs(8)[..., :1]
    hashes = perceptual_hash(to_batch(grey))
    assert torch.equal(perceptual_hash(to_batch(grey.repeat(3, -1))), hashes)
    floats = perceptual_hash(to_batch(grey / np.float32(255)))
    assert (bits_of(floats) != bits_of(hashes)).sum(1).max() <= 2  # resized without rounding


@pytest.mark.parametrize("images", [photographs(7), photographs(7) / np.float32(255)])
def test_an_image_does_not_depend_on_its_neighbours(images):
    batch = to_batch(images)
    hashes = perceptual_hash(batch)
    assert hashes.shape == (7,) and hashes.dtype == torch.int64
    alone = torch.cat([perceptual_hash(one) for one in batch.split(1)])
    assert torch.equal(alone, hashes)
    assert torch.equal(perceptual_hash(batch.contiguous()), hashes)


def test_bits_of_zero_coefficients_are_not_those_of_rounding():
    """The lower half of a mirrored image is the upper one: odd vertical frequencies are zero."""
    half = np.random.default_rng(0).integers(0, 256, (50, 16, 32, 1), dtype=np.uint8)
    bits = bits_of(perceptual_hash(to_batch(np.concatenate([half, half[:, ::-1]], axis=1))))
    odd = bits.reshape(50, 8, 8)[:, 1::2].reshape(50, -1)
    assert (odd == odd[:, :1]).all()


def test_the_same_picture_has_nearly_the_same_bits():
    images = photographs()
    hashes = bits_of(perceptual_hash(to_batch(images)))
    for changed in (
        np.clip(0.9 * images + 10, 0, 255).astype(np.uint8),
        images[:, ::2, ::2],
        images.repeat(2, axis=1).repeat(2, axis=2),
    ):
        differing = (bits_of(perceptual_hash(to_batch(changed))) != hashes).sum(1)
        assert differing.max() <= 6
    others = (hashes[:20] != hashes[20:]).sum(1)
    assert others.mean() > 20


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 1, 50), (1, 1, 300, 2), (0, 3, 8, 8)])
def test_any_size(shape):
    batch = torch.full(shape, 7, dtype=torch.uint8)
    assert perceptual_hash(batch).shape == shape[:1]


def test_what_cannot_be_hashed_is_refused():
    with pytest.raises(ValueError, match=r"1 or 3.*\(2, 4, 5, 5\)"):
        perceptual_hash(torch.zeros(2, 4, 5, 5))
    with pytest.raises(ValueError, match=r"\(5, 5\)"):
        perceptual_hash(torch.zeros(5, 5))
    with pytest.raises(ValueError, match="float64"):
        perceptual_hash(torch.zeros(1, 1, 5, 5, dtype=torch.float64))
