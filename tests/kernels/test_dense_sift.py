"""Dense SIFT against a textbook version, against VLFeat, and at its edges."""

import math

import numpy as np
import pytest
import torch
from skimage import data
from skimage.color import rgb2gray

from benchmarks import vlfeat
from visionpipe.kernels.dense_sift import dense_sift, grid_centres, to_bytes

PHOTOGRAPH = rgb2gray(data.astronaut()).astype(np.float32)
VLFEAT = vlfeat.library()


def textbook(image, step, bin_size):
    """Dense SIFT of one image, one pixel, one cell, one orientation at a time."""
    h, w = image.shape
    dy, dx = np.gradient(image.astype(np.float64))
    lengths, positions = np.hypot(dy, dx), np.arctan2(dy, dx) / (2 * math.pi) * 8
    votes = np.zeros((h, w, 8))
    for y in range(h):
        for x in range(w):
            low = math.floor(positions[y, x])
            votes[y, x, low % 8] += (low + 1 - positions[y, x]) * lengths[y, x]
            votes[y, x, (low + 1) % 8] += (positions[y, x] - low) * lengths[y, x]
    reach = np.arange(1 - bin_size, bin_size)
    cell_centres = bin_size * (np.arange(4) - 1.5)
    window = [np.exp(-0.5 * ((reach - c) / (2 * bin_size)) ** 2).mean() for c in cell_centres]
    descriptors = []
    for top in range(0, h - 3 * bin_size, step):
        for left in range(0, w - 3 * bin_size, step):
            descriptor = np.zeros((4, 4, 8))
            for i in range(4):
                for j in range(4):
                    for oy in reach:
                        for ox in reach:
                            y = min(max(top + i * bin_size + oy, 0), h - 1)
                            x = min(max(left + j * bin_size + ox, 0), w - 1)
                            weight = (1 - abs(oy) / bin_size) * (1 - abs(ox) / bin_size)
                            descriptor[i, j] += weight * votes[y, x]
                    descriptor[i, j] *= window[i] * window[j]
            flat = descriptor.ravel()
            flat = np.minimum(flat / max(np.linalg.norm(flat), 1e-12), 0.2)
            descriptors.append(flat / max(np.linalg.norm(flat), 1e-12))
    return np.array(descriptors)


def ours(images, **settings):
    images = images if images.ndim == 3 else images[None]
    return dense_sift(torch.from_numpy(images)[:, None], **settings).numpy()


@pytest.mark.parametrize(
    ("size", "step", "bin_size"), [((17, 23), 4, 4), ((16, 14), 3, 4), ((21, 20), 8, 3)]
)
def test_equals_the_textbook(size, step, bin_size):
    image = PHOTOGRAPH[80 : 80 + size[0], 200 : 200 + size[1]].copy()
    expected = textbook(image, step, bin_size)
    (found,) = ours(image, step=step, bin_size=bin_size)
    np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.skipif(VLFEAT is None, reason="VLFeat (Debian's libvlfeat-dev) is not installed")
@pytest.mark.parametrize(
    ("size", "step", "bin_size"), [((32, 32), 4, 4), ((150, 131), 8, 4), ((90, 200), 3, 6)]
)
def test_equals_vlfeat(size, step, bin_size):
    peer = vlfeat.DSift(VLFEAT, size, step, bin_size)
    for photograph in (PHOTOGRAPH, data.camera() / np.float32(255), data.coins() / np.float32(255)):
        image = np.ascontiguousarray(photograph[60 : 60 + size[0], 40 : 40 + size[1]])
        expected, centres, contrasts = peer.descriptors(image)
        y, x = grid_centres(size, step=step, bin_size=bin_size)
        np.testing.assert_allclose(centres, [(cx, cy) for cy in y for cx in x])
        (found,) = ours(image, step=step, bin_size=bin_size)
        correlation = [
            np.corrcoef(ours, theirs)[0, 1] for ours, theirs in zip(found, expected, strict=True)
        ]
        assert min(correlation) > 0.999
        np.testing.assert_allclose(found, expected, atol=0.02)  # its atan2 and sqrt are rough
        threshold = float(np.median(contrasts))
        clear = abs(contrasts - threshold) > 0.01 * threshold
        (kept,) = ours(image, step=step, bin_size=bin_size, contrast_threshold=threshold)
        np.testing.assert_array_equal(kept.any(axis=1)[clear], (contrasts > threshold)[clear])


def test_norm_clip_and_bytes():
    found = ours(PHOTOGRAPH[:128, :128].copy(), step=8, bin_size=4)
    np.testing.assert_allclose(np.linalg.norm(found, axis=2), 1, rtol=1e-6)
    assert (found >= 0).all()
    rounded = to_bytes(torch.from_numpy(found.copy())).numpy()
    np.testing.assert_array_equal(rounded, np.minimum(255, np.floor(512 * found + 0.5)))


def test_brightness_and_contrast_do_not_matter():
    image = PHOTOGRAPH[100:140, 100:140].copy()
    expected = ours(image, step=4, bin_size=4)
    np.testing.assert_allclose(ours(0.3 * image + 0.5, step=4, bin_size=4), expected, atol=1e-4)


def test_a_quarter_turn_turns_the_descriptor():
    image = PHOTOGRAPH[100:113, 200:213].copy()  # one descriptor of 4-pixel cells
    (upright,) = ours(image, step=4, bin_size=4)[0].reshape(-1, 4, 4, 8)
    (turned,) = ours(np.rot90(image, -1).copy(), step=4, bin_size=4)[0].reshape(-1, 4, 4, 8)
    expected = np.roll(np.rot90(upright, -1), 2, axis=-1)  # clockwise by two of eight orientations
    np.testing.assert_allclose(turned, expected, atol=1e-5)


def test_first_moves_the_grid():
    image = PHOTOGRAPH[:60, :70].copy()
    moved = ours(image, step=4, bin_size=4, first=8)[0].reshape(10, 13, 128)
    whole = ours(image, step=4, bin_size=4)[0].reshape(12, 15, 128)
    np.testing.assert_allclose(moved, whole[2:, 2:], atol=1e-6)
    assert grid_centres((60, 70), step=4, bin_size=4, first=8)[0][0] == 14


def test_channels_are_described_one_by_one():
    image = data.astronaut()[100:140, 120:240]
    batch = torch.from_numpy(image).permute(2, 0, 1)[None]
    together = dense_sift(batch, step=8, bin_size=4, contrast_threshold=0.04)
    single = [dense_sift(batch[:, c : c + 1], step=8, bin_size=4) for c in range(3)]
    kept = together.any(2)
    assert 0 < kept.sum() < kept.numel()
    np.testing.assert_allclose(together[kept], torch.cat(single, 2)[kept], atol=1e-6)


def test_blank_images_give_zeros():
    assert not ours(np.full((2, 20, 20), 0.7, np.float32), step=4, bin_size=4).any()


def test_batch_size_does_not_matter():
    images = np.stack([PHOTOGRAPH[i : i + 40, i : i + 44] for i in range(0, 90, 10)])
    together = ours(images, step=3, bin_size=4)
    for i in (0, 8):
        np.testing.assert_allclose(ours(images[i], step=3, bin_size=4)[0], together[i], atol=1e-6)


def test_too_small_images():
    assert ours(np.zeros((13, 13), np.float32), step=4, bin_size=4).shape == (1, 1, 128)
    with pytest.raises(ValueError, match=r"4-pixel cells.*\(13, 13\) pixels; got \(12, 13\)"):
        ours(np.zeros((12, 13), np.float32), step=4, bin_size=4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu():
    batch = torch.from_numpy(PHOTOGRAPH[None, None, :100, :100].copy())
    expected = dense_sift(batch, step=4, bin_size=6)
    found = dense_sift(batch.cuda(), step=4, bin_size=6).cpu()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
