"""Local contrast normalisation against its definition, place by place, in float64."""

import pickle

import numpy as np
import pytest
import torch

from visionpipe.networks.local_contrast_normalization import LocalContrastNormalization2d


def slow(image, kernel_size, sigma):
    """Section 2 of Jarrett et al. 2009 for one image (n, h, w), window by window."""
    v = image - local_mean(image, kernel_size, sigma)
    deviation = np.sqrt(local_mean(v**2, kernel_size, sigma))
    return v / np.maximum(deviation.mean(), deviation)


def local_mean(image, kernel_size, sigma):
    n_maps, height, width = image.shape
    half = kernel_size // 2
    found = np.empty((height, width))
    for i in range(height):
        for j in range(width):
            rows = np.arange(max(0, i - half), min(height, i + half + 1))
            columns = np.arange(max(0, j - half), min(width, j + half + 1))
            squares = (rows[:, None] - i) ** 2 + (columns - j) ** 2
            weights = np.exp(-squares / (2 * sigma**2))
            weights /= n_maps * weights.sum()
            window = image[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            found[i, j] = (weights * window).sum()
    return found


def images(*shape, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(*shape, generator=generator, dtype=dtype)


@pytest.mark.parametrize(
    ("kernel_size", "sigma", "shape"),
    [
        (9, None, (1, 16, 13)),
        (9, 2.0, (3, 13, 16)),
        (9, None, (3, 4, 5)),
        (5, 0.7, (8, 9, 7)),
        (1, None, (3, 4, 4)),
        (9, None, (2, 1, 12)),
    ],
)
def test_is_that_of_the_paper(kernel_size, sigma, shape):
    maps = images(2, *shape) * 3 + 5
    found = LocalContrastNormalization2d(kernel_size, sigma)(maps)
    for image, expected in zip(maps.numpy(), found.numpy(), strict=True):
        by_hand = slow(image, kernel_size, sigma or kernel_size / 4)
        np.testing.assert_allclose(expected, by_hand, rtol=1e-9, atol=1e-9)


def test_single_precision():
    maps = images(2, 3, 24, 20) + 100
    layer = LocalContrastNormalization2d()
    found = layer(maps.float())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), layer(maps), rtol=0, atol=2e-4)


@pytest.mark.parametrize("grey", [0.0, 0.1, -3.7])
@pytest.mark.parametrize("n_maps", [1, 3])
def test_blank_images_give_zeros_and_finite_gradients(grey, n_maps):
    maps = torch.full((2, n_maps, 11, 12), grey, requires_grad=True)
    found = LocalContrastNormalization2d()(maps)
    assert not found.any()
    (found * images(2, n_maps, 11, 12, dtype=torch.float32)).sum().backward()
    assert maps.grad.isfinite().all()


def test_blank_part_of_an_image_gives_small_numbers_and_finite_gradients():
    maps = torch.zeros(1, 1, 20, 40)
    maps[..., 30:] = images(20, 10, dtype=torch.float32)
    maps.requires_grad_()
    found = LocalContrastNormalization2d()(maps)
    assert not found[..., :22].any() and found[..., 30:].abs().max() > 1
    found.square().sum().backward()
    assert maps.grad.isfinite().all()


def test_gradients():
    maps = images(2, 2, 5, 6).requires_grad_()
    assert torch.autograd.gradcheck(LocalContrastNormalization2d(3), maps)


def test_brightness_and_contrast_do_not_matter():
    maps, layer = images(2, 3, 16, 16), LocalContrastNormalization2d()
    torch.testing.assert_close(layer(7 * maps - 2), layer(maps), rtol=1e-9, atol=1e-9)


def test_images_of_a_batch_do_not_see_each_other():
    maps, layer = images(4, 3, 12, 12), LocalContrastNormalization2d()
    torch.testing.assert_close(layer(maps)[2:3], layer(maps[2:3]), rtol=1e-12, atol=1e-12)


def test_autocast_keeps_single_precision():
    maps = images(2, 3, 16, 16, dtype=torch.float32) + 30
    layer = LocalContrastNormalization2d()
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(maps)
        assert layer(maps.bfloat16()).dtype == torch.float32
    torch.testing.assert_close(found, layer(maps), rtol=0, atol=0)


def test_meta_device_channels_last_and_pickle():
    layer = pickle.loads(pickle.dumps(LocalContrastNormalization2d(5)))
    assert layer(torch.empty(2, 3, 8, 9, device="meta")).shape == (2, 3, 8, 9)
    assert not [*layer.parameters(), *layer.buffers()]
    maps = images(2, 3, 16, 12)
    last = layer(maps.to(memory_format=torch.channels_last))
    assert last.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(last, layer(maps))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_size": 8}, "kernel_size=8.*odd and positive"),
        ({"kernel_size": -1}, "kernel_size=-1.*odd and positive"),
        ({"sigma": 0}, "sigma=0.*sigma must be positive"),
        ({"eps": -1e-4}, "eps=-0.0001.*eps must be positive"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        LocalContrastNormalization2d(**options)
