"""Patches and their codes against the formulas of the papers, one patch at a time in float64."""

import math

import numpy as np
import pytest
import torch

from visionpipe.kernels import patches as module
from visionpipe.kernels.bag_of_visual_words import triangle_codes
from visionpipe.kernels.patches import (
    extract_patches,
    mirror_patches,
    n_positions,
    nearest,
    normalize_contrast,
    patch_k_means,
    patches_at,
    soft_threshold,
    zca_whitening,
)

RNG = np.random.default_rng(0)


def images_of(b=3, c=3, h=12, w=13):
    """Of patches of 4, there are 9 rows, whose half is rounded up."""
    return RNG.integers(0, 256, (b, c, h, w), dtype=np.uint8)


def learned(d, k, unit_norm=False):
    """A mean, a symmetric matrix and words of the right shapes."""
    matrix = RNG.normal(size=(d, d)) / math.sqrt(d)
    words = RNG.normal(size=(k, d))
    if unit_norm:
        words /= np.linalg.norm(words, axis=1, keepdims=True)
    arrays = RNG.normal(size=d) / 10, matrix + matrix.T, words
    return [array.astype(np.float32) for array in arrays]


def tensors(arrays):
    return [torch.from_numpy(array) for array in arrays]


# ------------------------------------------------------------------------------- the textbook


def patches_of(image, size, step):
    """Patches (rows, columns, d) of an image (c, h, w)."""
    _, h, w = image.shape
    return np.array(
        [
            [image[:, y : y + size, x : x + size].ravel() for x in range(0, w - size + 1, step)]
            for y in range(0, h - size + 1, step)
        ]
    )


def code_of(x, words, assignment, threshold, fraction):
    if assignment == "triangle":
        z = np.sqrt(((words - x) ** 2).sum(axis=1))
        return np.maximum(0, z.mean() - z)
    both = np.concatenate([words, -words])
    if assignment == "soft_threshold":
        return np.maximum(0, both @ x - threshold)
    order = np.argsort(((both - x) ** 2).sum(axis=1))
    return np.isin(np.arange(len(both)), order[: round(fraction * len(both))]).astype(float)


def half_up(x):
    return math.floor(x + 0.5)


def textbook(image, mean, whitening, words, size, step, assignment, grid, **options):
    """Codes of an image (c, h, w) of 0..255, summed over cells."""
    patches = patches_of(image.astype(float), size, step)
    rows, columns, _ = patches.shape
    codes = []
    for p in patches.reshape(rows * columns, -1):
        p = (p - p.mean()) / np.sqrt(p.var(ddof=1) + 10)
        x = (p - mean.astype(float)) @ whitening.astype(float)
        codes.append(code_of(x, words.astype(float), assignment, **options))
    codes = np.reshape(codes, (rows, columns, -1))
    sums = []
    for i in range(grid[0]):
        top, bottom = half_up(i * rows / grid[0]), half_up((i + 1) * rows / grid[0])
        for j in range(grid[1]):
            left, right = half_up(j * columns / grid[1]), half_up((j + 1) * columns / grid[1])
            sums.append(codes[top:bottom, left:right].sum(axis=(0, 1)))
    return np.concatenate(sums)


# ---------------------------------------------------------------------------------- the whole


@pytest.mark.parametrize("values_per_chunk", [1, 1000, 7000, 1 << 19])
@pytest.mark.parametrize("assignment", ["triangle", "soft_threshold", "nearest"])
@pytest.mark.parametrize(
    ("channels", "size", "step", "grid"), [(3, 4, 1, (2, 2)), (1, 5, 2, (3, 1)), (1, 2, 3, (1, 4))]
)
def test_sums_are_those_of_the_textbook(
    channels, size, step, grid, assignment, values_per_chunk, monkeypatch
):
    monkeypatch.setitem(module.VALUES_PER_CHUNK, "cpu", values_per_chunk)
    images = images_of(c=channels)
    arrays = learned(channels * size**2, 10, unit_norm=assignment != "triangle")
    got = patch_k_means(
        torch.from_numpy(images),
        *tensors(arrays),
        patch_size=size,
        step=step,
        assignment=assignment,
        threshold=0.3,
        nearest_fraction=0.35,
        grid=grid,
    )
    options = {"threshold": 0.3, "fraction": 0.35}
    expected = [
        textbook(image, *arrays, size, step, assignment, grid, **options) for image in images
    ]
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("assignment", ["triangle", "soft_threshold", "nearest"])
@pytest.mark.parametrize("width", [11, 12])  # 8 columns of patches, of two halves; 9
def test_mirror_adds_the_sums_of_the_mirror_image(width, assignment):
    images, k = images_of(w=width), 10
    mean, whitening, words = learned(48, k // 2, unit_norm=assignment != "triangle")
    # of a mirror image, what is learned of patches and of their mirror images has other places
    turned = mirror_patches(torch.arange(48)[None], 4)[0].numpy()
    mean, whitening = mean + mean[turned], whitening + whitening[turned][:, turned]
    words = np.concatenate([words, words[:, turned]])
    options = {"assignment": assignment, "grid": (2, 2)}
    got = patch_k_means(
        torch.from_numpy(images), *tensors([mean, whitening, words]), patch_size=4, mirror=True,
        nearest_fraction=0.35, threshold=0.3, **options,
    )  # fmt: skip

    def sums(image):
        of_cells = textbook(
            image, mean, whitening, words, 4, 1, threshold=0.3, fraction=0.35, **options
        )
        return of_cells.reshape(2, 2, -1, 2, k // 2)[:, :, :, 0]

    both = np.stack([sums(image) + sums(image[:, :, ::-1]) for image in images])
    if width == 11:
        np.testing.assert_allclose(got, both.reshape(len(got), -1), rtol=1e-4, atol=1e-4)
    else:  # a column on the border, which only the textbook counts to the left
        got = got.view(both.shape)
        np.testing.assert_allclose(got.sum(2), both.sum(2), rtol=1e-4, atol=1e-3)
        assert not np.allclose(got, both, rtol=1e-3, atol=1e-3)
    turned_over = patch_k_means(
        torch.from_numpy(images[..., ::-1].copy()), *tensors([mean, whitening, words]),
        patch_size=4, mirror=True, nearest_fraction=0.35, threshold=0.3, **options,
    )  # fmt: skip
    np.testing.assert_allclose(turned_over, got.reshape(len(got), -1), rtol=1e-4, atol=1e-3)


def test_patches_may_keep_their_contrast():
    images, (mean, whitening, words) = images_of(), learned(48, 7)
    got = patch_k_means(
        torch.from_numpy(images), *tensors([mean, whitening, words]), patch_size=4,
        contrast_eps=None, grid=(1, 1),
    )  # fmt: skip
    for image, vector in zip(images / 255, got, strict=True):
        whitened = (patches_of(image, 4, 1).reshape(-1, 48) - mean) @ whitening
        codes = [code_of(x, words, "triangle", None, None) for x in whitened]
        np.testing.assert_allclose(vector, np.sum(codes, axis=0), rtol=1e-4, atol=1e-4)


def test_uint8_is_the_same_picture_as_float32():
    images, learned_before = images_of(), tensors(learned(108, 7))
    unit = torch.from_numpy(images / np.float32(255))
    one, two = (patch_k_means(x, *learned_before) for x in (torch.from_numpy(images), unit))
    assert one.any() and torch.equal(one, two)


@pytest.mark.parametrize("size", [1, 6, 8])
def test_the_input_is_only_read(size):
    batch = torch.rand(2, 1, 8, 8)
    arrays = [batch, *tensors(learned(size**2, 4))]
    before = [array.clone() for array in arrays]
    patch_k_means(*arrays, patch_size=size)
    assert all(map(torch.equal, arrays, before))


def test_channels_last_in_memory_are_the_same():
    batch, arrays = torch.from_numpy(images_of()), tensors(learned(108, 7))
    last = batch.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    assert torch.equal(patch_k_means(batch, *arrays), patch_k_means(last, *arrays))


@pytest.mark.parametrize("assignment", ["triangle", "soft_threshold", "nearest"])
def test_blank_images_give_finite_numbers(assignment):
    batch = torch.full((2, 1, 9, 9), 255, dtype=torch.uint8)
    for words in (torch.zeros(3, 36), torch.ones(3, 36) / 6):
        got = patch_k_means(batch, torch.zeros(36), torch.eye(36), words, assignment=assignment)
        assert got.isfinite().all()


def test_one_position_belongs_to_the_first_of_two_cells():
    got = patch_k_means(torch.rand(1, 1, 6, 6), *tensors(learned(36, 5)))
    assert got.shape == (1, 20) and got[:, :5].any() and not got[:, 5:].any()


def test_images_smaller_than_a_patch_and_unknown_assignments_are_refused():
    arrays = tensors(learned(36, 5))
    with pytest.raises(ValueError, match=r"\(5, 9\).*6x6.*Resize"):
        patch_k_means(torch.rand(1, 1, 5, 9), *arrays)
    with pytest.raises(ValueError, match="triangle.*'hard'"):
        patch_k_means(torch.rand(1, 1, 9, 9), *arrays, assignment="hard")


# ---------------------------------------------------------------------------------- its parts


@pytest.mark.parametrize("step", [1, 2, 5])
def test_patches(step):
    images = images_of()
    expected = np.stack([patches_of(image / np.float32(255), 4, step) for image in images])
    _, rows, columns, d = expected.shape
    assert n_positions(images.shape[2:], 4, step) == (rows, columns)
    batch = torch.from_numpy(images)
    np.testing.assert_array_equal(extract_patches(batch, 4, step), expected.reshape(-1, d))
    which = torch.tensor([2, 0, 2, 1]), torch.tensor([0, rows * columns - 1, columns, 1])
    chosen = expected.reshape(3, -1, d)[which]
    np.testing.assert_array_equal(patches_at(batch, *which, 4, step), chosen)


def test_contrast_of_0_to_255_and_of_0_to_1():
    levels = RNG.integers(0, 256, (20, 48)).astype(float)
    levels[0] = 7
    spread = np.sqrt(levels.var(axis=1, ddof=1, keepdims=True) + 10)
    expected = (levels - levels.mean(axis=1, keepdims=True)) / spread
    unit = torch.from_numpy(levels / 255).float()
    np.testing.assert_allclose(normalize_contrast(unit, 10 / 255**2), expected, atol=1e-5)


def test_whitening_is_the_symmetric_root_of_the_inverse(monkeypatch):
    sample = RNG.normal(size=(500, 6)) @ RNG.normal(size=(6, 6)) + 3
    sample = torch.from_numpy(sample.astype(np.float32))
    for rows in (70, 8192):
        monkeypatch.setattr(module, "ROWS_PER_CHUNK", rows)
        mean, whitening = (x.double().numpy() for x in zca_whitening(sample, 0.1))
        covariance = np.cov(sample.double(), rowvar=False) + 0.1 * np.eye(6)
        np.testing.assert_allclose(mean, sample.double().mean(0), atol=1e-5)
        np.testing.assert_allclose(whitening, whitening.T, atol=1e-6)
        np.testing.assert_allclose(whitening @ covariance @ whitening, np.eye(6), atol=1e-4)
        assert np.linalg.eigvalsh(whitening).min() > 0


def test_whitening_of_one_row_and_of_equal_rows_is_finite():
    for sample in (torch.ones(1, 4), torch.ones(9, 4)):
        mean, whitening = zca_whitening(sample, 0.25)
        assert torch.equal(mean, torch.ones(4))
        np.testing.assert_allclose(whitening, 2 * np.eye(4), atol=1e-6)


def test_a_patch_on_a_word():
    """Rounding makes the squared distance slightly negative."""
    words = torch.from_numpy(RNG.normal(size=(50, 108)).astype(np.float32) * 100)
    codes = triangle_codes(words, words)
    assert codes.isfinite().all() and torch.equal(codes.argmax(1), torch.arange(50))


@pytest.mark.parametrize("fraction", [0.01, 0.05, 0.3, 0.5, 0.55, 0.9, 1.0])
def test_nearest_takes_the_fraction_of_words_and_negatives(fraction):
    _, _, words = learned(12, 10, unit_norm=True)
    x = RNG.normal(size=(30, 12)).astype(np.float32)
    got = nearest(*tensors([x, words]), fraction)
    expected = [code_of(row, words, "nearest", None, max(fraction, 1 / 20)) for row in x]
    np.testing.assert_array_equal(got, expected)
    assert (got.sum(1) == max(1, round(20 * fraction))).all()


def test_soft_threshold_of_zero_keeps_the_products():
    x, words = tensors(learned(6, 4)[1:])
    got = soft_threshold(x, words, 0.0)
    np.testing.assert_allclose(got[:, :4] - got[:, 4:], x @ words.T, atol=1e-6)
