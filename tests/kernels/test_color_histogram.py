"""Colour histograms against `numpy.histogramdd` and `numpy.histogram` of the pixels."""

import numpy as np
import pytest
import torch
from skimage import color as skimage_color

from visionpipe.kernels.color_histogram import color_histogram

RANGES = {
    "rgb": [(0, 1)] * 3,
    "hsv": [(0, 1)] * 3,
    "lab": [(0, 100), (-128, 127), (-128, 127)],
    "grey": [(0, 1)],
}
CONVERT = {
    "rgb": lambda image: image,
    "hsv": skimage_color.rgb2hsv,
    "lab": skimage_color.rgb2lab,
    "grey": lambda image: skimage_color.rgb2gray(image)[..., None],
}


def to_batch(images):
    """(b, h, w) -> (b, 1, h, w); (b, h, w, c) -> (b, c, h, w), channels last in memory."""
    batch = torch.from_numpy(images)
    return batch.unsqueeze(1) if batch.ndim == 3 else batch.permute(0, 3, 1, 2)


def reference(image, color_space, bins, joint, grid=(1, 1)):
    """The histogram of one image, (h, w, 3) float64 in 0..1."""
    values, ranges = CONVERT[color_space](image), RANGES[color_space]
    bins = [bins] * len(ranges) if isinstance(bins, int) else bins
    cells = []
    for rows in split(values, grid[0], 0):
        for cell in split(rows, grid[1], 1):
            pixels = cell.reshape(-1, len(ranges))
            if joint:
                counts = np.histogramdd(pixels, bins, ranges)[0].ravel()
            else:
                channels = zip(pixels.T, bins, ranges, strict=True)
                counts = np.concatenate([np.histogram(x, n, r)[0] for x, n, r in channels])
            cells.append(counts / max(counts.sum(), 1))
    return np.concatenate(cells)


def split(values, n_parts, axis):
    edges = np.linspace(0, values.shape[axis], n_parts + 1).round().astype(int)
    return np.split(values, edges[1:-1], axis)


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("bins", [*range(1, 19), 32, 51, 64, 128, 256, (5, 16, 3), (1, 300, 2)])
def test_rgb_levels_fall_where_numpy_puts_them(bins, joint):
    """All levels in all channels, those on an edge of the bins too; no tolerance."""
    if joint and np.prod(np.broadcast_to(bins, 3).astype(float)) > 1e6:
        bins = (bins, 2, 3)
    levels = np.random.default_rng(0).permuted(np.tile(np.arange(256), (6, 1)), axis=1)
    images = levels.reshape(2, 16, 16, 3).astype(np.uint8)
    params = {"color_space": "rgb", "bins": bins, "joint": joint}
    expected = np.stack([reference(image / 255, **params) for image in images])
    for batch in (to_batch(images), to_batch(images).contiguous()):
        np.testing.assert_array_equal(color_histogram(batch, **params), expected.astype("f"))
    unit = to_batch(images / np.float32(255))
    np.testing.assert_array_equal(color_histogram(unit, **params), expected.astype("f"))


@pytest.mark.parametrize("bins", [6, 7, 11, 49, 100])
def test_float32_values_around_the_edges_fall_where_numpy_puts_them(bins):
    """But for edges that are grey levels, where uint8 decides; no tolerance."""
    edges = np.linspace(0, 1, bins + 1)
    edges = edges[np.abs(edges * 255 - np.rint(edges * 255)) > 1e-3].astype(np.float32)
    values = np.concatenate([np.nextafter(edges, 0), edges, np.nextafter(edges, 1)])
    got = color_histogram(to_batch(values[None, None]), color_space="grey", bins=bins)
    expected = np.histogram(values.astype(float), bins, (0, 1))[0] / values.size
    np.testing.assert_array_equal(got[0], expected.astype(np.float32))


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("grid", [(1, 1), (2, 3)])
@pytest.mark.parametrize("color_space", RANGES)
@pytest.mark.parametrize("bins", [8, 5])
def test_float32_images_match_numpy(color_space, bins, grid, joint):
    """Where a pixel is within float32 rounding of an edge, it may fall on either side: 1 of 357
    pixels a cell at most here, and seldom."""
    images = np.random.default_rng(1).random((4, 34, 63, 3), dtype=np.float32)
    params = {"color_space": color_space, "bins": bins, "joint": joint, "grid": grid}
    got = color_histogram(to_batch(images), **params).numpy()
    expected = np.stack([reference(image.astype(float), **params) for image in images])
    assert got.dtype == np.float32
    assert got.shape == expected.shape
    difference = np.abs(got - expected)
    assert difference.max() < 1.5 / 357
    assert (difference > 1e-5).mean() < 1e-3


@pytest.mark.parametrize("color_space", RANGES)
def test_photographs_match_numpy(color_space):
    from skimage import data

    image = data.astronaut()[None, 100:228, 180:308]
    got = color_histogram(to_batch(image), color_space=color_space).numpy()
    expected = reference(image[0] / 255, color_space, 8, True)
    moved = np.abs(got[0] - expected).sum() / 2
    assert moved < {"rgb": 1e-7, "grey": 1e-7, "lab": 1e-7, "hsv": 5e-3}[color_space]


@pytest.mark.parametrize("color_space", RANGES)
def test_uint8_is_the_same_picture_as_float32(color_space):
    images = np.random.default_rng(2).integers(0, 256, (3, 20, 20, 3), dtype=np.uint8)
    images[1] //= 100
    for bins in (8, 15):
        got = color_histogram(to_batch(images), color_space=color_space, bins=bins)
        unit = to_batch(images / np.float32(255))
        assert torch.equal(got, color_histogram(unit, color_space=color_space, bins=bins))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("color_space", RANGES)
def test_a_grey_image_is_one_of_three_equal_channels(color_space, dtype):
    images = np.random.default_rng(3).integers(0, 256, (3, 20, 21)).astype(np.uint8)
    images = images if dtype == np.uint8 else images / np.float32(255)
    colored = np.repeat(images[..., None], 3, -1)
    for joint in (True, False):
        got = color_histogram(to_batch(images), color_space=color_space, joint=joint)
        expected = color_histogram(to_batch(colored), color_space=color_space, joint=joint)
        np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("color_space", RANGES)
def test_the_layout_in_memory_does_not_matter(color_space, joint):
    images = np.random.default_rng(6).integers(0, 256, (3, 12, 15, 3), dtype=np.uint8)
    batch = to_batch(images)
    layouts = [
        batch.contiguous(),
        batch.transpose(2, 3).contiguous().transpose(2, 3),
        batch.repeat_interleave(2, 3)[..., ::2],
        batch.permute(2, 3, 1, 0).contiguous().permute(3, 2, 0, 1),
    ]
    params = {"color_space": color_space, "joint": joint, "grid": (2, 3)}
    for layout in layouts:
        assert torch.equal(color_histogram(layout, **params), color_histogram(batch, **params))


@pytest.mark.parametrize("color_space", RANGES)
def test_an_image_does_not_depend_on_its_neighbours(color_space):
    images = np.random.default_rng(4).random((5, 13, 11, 3), dtype=np.float32)
    batch = to_batch(images)
    params = {"color_space": color_space, "bins": 6, "grid": (2, 2)}
    together = color_histogram(batch, **params)
    assert torch.equal(together[1:4], color_histogram(batch[1:4], **params))
    for one, alone in zip(batch.split(1), together.split(1), strict=True):
        assert torch.equal(color_histogram(one, **params), alone)


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("color_space", RANGES)
@pytest.mark.parametrize("level", [0, 255])
def test_one_pixel_in_a_grid_gives_one_full_cell(color_space, level, joint):
    batch = torch.full((2, 3, 1, 1), level, dtype=torch.uint8)
    got = color_histogram(batch, color_space=color_space, joint=joint, grid=(3, 2))
    cells = got.view(2, 6, -1).sum(2)
    np.testing.assert_allclose(cells.sort(1).values, [[0, 0, 0, 0, 0, 1]] * 2, atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*not writable:UserWarning")
@pytest.mark.parametrize("color_space", RANGES)
def test_the_input_is_only_read(color_space):
    unit = np.random.default_rng(5).random((2, 8, 8, 3), dtype=np.float32)
    for images in (unit, (unit * 255).astype(np.uint8)):
        before = images.copy()
        images.flags.writeable = False
        for bins in (8, 5):
            color_histogram(to_batch(images), color_space=color_space, bins=bins)
        np.testing.assert_array_equal(images, before)


def test_what_cannot_be_counted_is_refused():
    with pytest.raises(ValueError, match=r"\(1, 4, 2, 2\)"):
        color_histogram(torch.zeros(1, 4, 2, 2))
    with pytest.raises(ValueError, match="'xyz'"):
        color_histogram(torch.zeros(1, 3, 2, 2), color_space="xyz")
    for bins in (0, (8, 8), [8, 8, 0]):
        with pytest.raises(ValueError, match="bins"):
            color_histogram(torch.zeros(1, 3, 2, 2), bins=bins)
    with pytest.raises(ValueError, match="float64"):
        color_histogram(torch.zeros(1, 3, 2, 2, dtype=torch.float64))
