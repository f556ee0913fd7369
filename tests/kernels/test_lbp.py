"""LBP against `skimage.feature.local_binary_pattern`, bit for bit."""

import itertools

import numpy as np
import pytest
import torch
from skimage.feature import local_binary_pattern

from visionpipe.kernels.lbp import lbp, lbp_codes, n_bins

METHODS = ["default", "ror", "uniform", "nri_uniform"]


def to_batch(images):
    return torch.from_numpy(images).unsqueeze(1)  # (b, 1, h, w)


def reference_codes(images, P, R, method):
    return np.stack([local_binary_pattern(image, P, R, method) for image in images]).astype(int)


def textures(rng, shape):
    """Noise, near-ties, stripes, ramps and flat areas: where rounding decides and where not."""
    rows, columns = np.indices(shape)
    return np.stack(
        [
            rng.integers(0, 256, shape),
            rng.integers(100, 103, shape),
            (rows + 2 * columns) // 3 % 7 * 30,
            rows * 3 % 256,
            (2 * rows - columns) % 256,
            np.full(shape, 255),
            np.full(shape, 77),
            np.zeros(shape),
            np.where(rng.random(shape) < 0.1, rng.integers(0, 256, shape), 201),
        ]
    ).astype(np.uint8)


def rotation_classes(P):
    """The smallest pattern of every class, in increasing order."""
    patterns = [f"{pattern:0{P}b}" for pattern in range(2**P)]
    return sorted({int(min(bits[k:] + bits[:k] for k in range(P)), 2) for bits in patterns})


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "P, R", [(8, 1), (4, 1), (8, 2), (16, 2), (12, 1.5), (5, 2.3), (7, 0.7), (4, 1.000005)]
)
def test_codes_are_those_of_skimage(P, R, method):
    for shape in [(33, 40), (9, 5), (1, 1), (2, 7)]:
        images = textures(np.random.default_rng(P), shape)
        got = lbp_codes(to_batch(images), P, R, method)
        assert got.shape == images.shape
        np.testing.assert_array_equal(got, reference_codes(images, P, R, method))


@pytest.mark.parametrize("method", ["uniform", "nri_uniform"])
@pytest.mark.parametrize("P, R", [(24, 3), (17, 2.5), (31, 4)])
def test_codes_of_many_neighbours_are_those_of_skimage(P, R, method):
    images = textures(np.random.default_rng(P), (21, 18))
    got = lbp_codes(to_batch(images), P, R, method)
    np.testing.assert_array_equal(got, reference_codes(images, P, R, method))


def test_codes_of_large_images_are_those_of_skimage():
    """The rounding of interpolation weights changes at every power of two of the position."""
    images = textures(np.random.default_rng(0), (300, 530))
    got = lbp_codes(to_batch(images), 8, 1, "default")
    np.testing.assert_array_equal(got, reference_codes(images, 8, 1, "default"))


def test_float32_is_the_same_picture_as_uint8():
    images = textures(np.random.default_rng(1), (32, 32))
    got = lbp_codes(to_batch(images / np.float32(255)), 8, 1, "default")
    assert torch.equal(got, lbp_codes(to_batch(images), 8, 1, "default"))


def test_float32_between_grey_levels_has_the_codes_of_skimage():
    images = np.random.default_rng(2).random((4, 20, 20), dtype=np.float32)
    images[0, :10] = np.float32(0.3)
    levels = images.astype(float) * 255
    levels = np.where(abs(levels - levels.round()) <= 1e-4, levels.round(), levels)
    got = lbp_codes(to_batch(images), 8, 1, "default")
    with pytest.warns(UserWarning, match="floating-point images"):
        expected = reference_codes(levels, 8, 1, "default")
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("grid", [(1, 1), (2, 3), (4, 4)])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("P, R", [(8, 1), (10, 2)])
def test_histograms_count_the_codes_of_each_cell(P, R, method, grid):
    images = textures(np.random.default_rng(3), (13, 18))
    got = lbp(to_batch(images), P=P, R=R, method=method, grid=grid)
    codes = reference_codes(images, P, R, method)
    n = n_bins(P, method)
    if method == "ror":
        classes = rotation_classes(P)
        assert len(classes) == n
        codes = np.searchsorted(classes, codes)
    row_edges, column_edges = (
        np.linspace(0, length, parts + 1).round().astype(int)
        for length, parts in zip(codes.shape[1:], grid, strict=True)
    )
    expected = [
        [
            np.bincount(image[top:bottom, left:right].ravel(), minlength=n)
            / ((bottom - top) * (right - left))
            for top, bottom in itertools.pairwise(row_edges)
            for left, right in itertools.pairwise(column_edges)
        ]
        for image in codes
    ]
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got, np.reshape(expected, (len(images), -1)), rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_one_pixel_and_empty_cells_give_finite_histograms(dtype):
    got = lbp(torch.ones(2, 1, 1, 1, dtype=dtype), grid=(2, 3)).view(2, 6, 10)
    assert got.isfinite().all()
    assert got.sum((1, 2)).tolist() == [1, 1]
    assert (got.sum(2) == 1).sum(1).tolist() == [1, 1]


@pytest.mark.parametrize("params", [{}, {"P": 24, "R": 3.0}, {"method": "ror", "grid": (2, 2)}])
def test_an_image_does_not_depend_on_its_neighbours(params):
    batch = to_batch(np.random.default_rng(4).integers(0, 256, (6, 19, 23), dtype=np.uint8))
    together = lbp(batch, **params)
    assert torch.equal(together[1:4], lbp(batch[1:4], **params))
    for one, alone in zip(batch.split(1), together.split(1), strict=True):
        assert torch.equal(lbp(one, **params), alone)


@pytest.mark.filterwarnings("ignore:.*not writable:UserWarning")
def test_layout_does_not_matter_and_the_input_is_only_read():
    images = np.random.default_rng(5).integers(0, 256, (3, 16, 20, 1), dtype=np.uint8)
    images.flags.writeable = False
    before = images.copy()
    batch = torch.from_numpy(images).permute(0, 3, 1, 2)
    assert torch.equal(lbp(batch), lbp(batch.contiguous()))
    turned = batch.transpose(2, 3)
    assert torch.equal(lbp(turned), lbp(turned.contiguous()))
    np.testing.assert_array_equal(images, before)


def test_n_bins():
    assert [n_bins(8, method) for method in METHODS] == [256, 36, 10, 59]
    assert [n_bins(16, method) for method in METHODS] == [65536, 4116, 18, 243]
    assert n_bins(24, "uniform") == 26


def test_what_cannot_be_computed_is_refused():
    with pytest.raises(ValueError, match=r"\(2, 3, 8, 8\).*grey"):
        lbp(torch.zeros(2, 3, 8, 8))
    with pytest.raises(ValueError, match="P=24.*at most 16"):
        lbp(torch.zeros(1, 1, 8, 8), P=24, method="ror")
    with pytest.raises(ValueError, match="'var'"):
        lbp_codes(torch.zeros(1, 1, 8, 8), 8, 1.0, "var")
    with pytest.raises(ValueError, match="float64"):
        lbp(torch.zeros(1, 1, 8, 8, dtype=torch.float64))
