"""Local descriptors against OpenCV, VLFeat and each other; and pictures that have none."""

import cv2
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage import data
from skimage.color import rgb2gray
from sklearn.base import clone

from benchmarks import vlfeat
from visionpipe import SIFT, DenseSIFT, Descriptors, RootSIFT
from visionpipe.kernels.dense_sift import dense_sift

ASTRONAUT = data.astronaut()
GREY = cv2.cvtColor(ASTRONAUT, cv2.COLOR_RGB2GRAY)
CROPS = np.stack([GREY[i : i + 120, 150 + i : 300 + i] for i in range(0, 160, 20)])
COLOUR_CROPS = np.stack([ASTRONAUT[i : i + 60, 150 + i : 220 + i] for i in range(0, 160, 20)])
VLFEAT = vlfeat.library()

EVERY = [
    SIFT(), SIFT(detector="sift"), SIFT(detector="dense"), RootSIFT(), RootSIFT(detector="sift"),
    RootSIFT(detector="dense", step=8), DenseSIFT(), DenseSIFT(step=3, bin_sizes=(4,)),
    SIFT(color="rgb"), SIFT(detector="sift", color="opponent"), DenseSIFT(color="opponent"),
]  # fmt: skip
every = pytest.mark.parametrize("estimator", EVERY, ids=repr)


def peer(image, detector):
    """Key points and descriptors as a user of OpenCV computes them, strongest first."""
    sift = cv2.SIFT_create()
    if detector == "sift":
        keypoints = sift.detect(image, None)
    else:
        keypoints = cv2.FastFeatureDetector_create(10).detect(image, None)
        for keypoint in keypoints:
            keypoint.angle = 0
    return sift.compute(
        image, sorted(keypoints, key=lambda k: (-k.response, k.pt[1], k.pt[0], k.size, k.angle))
    )


@pytest.mark.parametrize("detector", ["fast", "sift"])
def test_key_points_equal_opencv(detector):
    found = SIFT(detector=detector).fit_transform(CROPS)
    assert found.values.dtype == np.uint8
    for i, image in enumerate(CROPS):
        keypoints, expected = peer(image, detector)
        np.testing.assert_array_equal(found[i], expected)
        frames = found.frames[found.offsets[i] : found.offsets[i + 1]]
        np.testing.assert_allclose(frames[:, :2], [k.pt for k in keypoints])
        np.testing.assert_allclose(frames[:, 2], [1.5 * k.size for k in keypoints], rtol=1e-6)
        angles = np.radians([k.angle for k in keypoints])
        np.testing.assert_allclose(frames[:, 3], angles, rtol=1e-6)
    assert (found.image_sizes == (120, 150)).all()


@pytest.mark.parametrize("detector", ["fast", "sift"])
def test_the_strongest_are_kept(detector):
    everything = SIFT(detector=detector).fit_transform(CROPS)
    for n in (1, 20):
        found = SIFT(detector=detector, max_keypoints=n).fit_transform(CROPS)
        assert found.counts.max() == n
        for some, every in zip(found, everything, strict=True):
            np.testing.assert_array_equal(some, every[:n])


@pytest.mark.parametrize("detector", ["fast", "sift"])
def test_border_and_threshold(detector):
    everything = SIFT(detector=detector).fit_transform(CROPS)
    found = SIFT(detector=detector, border=25).fit_transform(CROPS)
    x, y = found.frames[:, 0], found.frames[:, 1]
    assert x.min() > 24 and x.max() < 126 and y.min() > 24 and y.max() < 96
    assert 0 < len(found.values) < len(everything.values)
    high = {"fast": 60, "sift": 0.1}[detector]
    assert len(SIFT(detector=detector, threshold=high).fit_transform(CROPS).values) < len(
        everything.values
    )
    assert not SIFT(detector=detector, border=80).fit_transform(CROPS).counts.any()


def test_root_sift():
    for detector in ("fast", "sift", "dense"):
        sift = SIFT(detector=detector).fit_transform(CROPS)
        root = RootSIFT(detector=detector).fit_transform(CROPS)
        values = sift.values.astype(np.float64)
        total = np.maximum(values.sum(axis=1, keepdims=True), 1e-12)
        np.testing.assert_allclose(root.values, np.sqrt(values / total), atol=1e-6)
        np.testing.assert_array_equal(root.frames, sift.frames)


def test_dense_is_the_kernel_rounded():
    images = torch.from_numpy(CROPS)[:, None]
    expected = dense_sift(images, step=5, bin_size=6).numpy()
    found = DenseSIFT(step=5, bin_sizes=(6,)).fit_transform(CROPS)
    assert found.counts.tolist() == [expected.shape[1]] * len(CROPS)
    rounded = np.minimum((512 * expected + 0.5) // 1, 255)
    # a product of matrices may round differently for another number of rows
    difference = found.values.reshape(expected.shape) - rounded
    assert abs(difference).max() <= 1 and (difference != 0).mean() < 1e-3
    dense = SIFT(detector="dense", step=5, bin_sizes=(6,)).fit_transform(CROPS)
    np.testing.assert_array_equal(dense.values, found.values)
    np.testing.assert_array_equal(dense.frames, found.frames)


@pytest.mark.skipif(VLFEAT is None, reason="VLFeat (Debian's libvlfeat-dev) is not installed")
def test_phow():
    """vl_phow, in Python: per size, smooth, shift, dsift, drop low contrast."""
    image, sizes, step = (rgb2gray(ASTRONAUT)[:90, 200:300]).astype(np.float32), (4, 6, 8, 10), 3
    found = DenseSIFT(step=step, bin_sizes=sizes).fit_transform([image])
    expected, frames = [], []
    for size in sizes:
        sigma = size / 6
        smooth = gaussian_filter(image, sigma, mode="nearest", radius=int(np.ceil(4 * sigma)))
        first = int(np.floor(1.5 * (max(sizes) - size)))
        inside = smooth[first:, first:]
        values, centres, contrast = vlfeat.DSift(VLFEAT, inside.shape, step, size).descriptors(
            inside
        )
        values[contrast < 0.005] = 0
        expected.append(values)
        frames.append(centres + first)
    scales = np.repeat(sizes, [len(part) for part in frames])
    expected, frames = np.concatenate(expected), np.concatenate(frames)
    np.testing.assert_allclose(found.frames[:, :2], frames)
    np.testing.assert_array_equal(found.frames[:, 2], scales)
    # cropping moves the rim, where gradients are one-sided and pixels are repeated
    deep = (frames > 26).all(axis=1)
    correlation = [
        np.corrcoef(a, b)[0, 1]
        for a, b in zip(found[0][deep], expected[deep], strict=True)
        if b.any()
    ]
    assert len(correlation) > 500 and min(correlation) > 0.999


def test_dense_sizes_share_their_centres():
    found = DenseSIFT(step=6, bin_sizes=(4, 8, 10)).fit_transform(CROPS[:1])
    scale = found.frames[:, 2]
    first = [found.frames[scale == size][0] for size in (4, 8, 10)]
    np.testing.assert_allclose([f[:2] for f in first], [(15, 15)] * 3, atol=0.5)
    assert (found.frames[:, 3] == 0).all()


@every
def test_threads_batches_and_order_do_not_matter(estimator, monkeypatch):
    crops = COLOUR_CROPS if estimator.color != "grey" else CROPS
    expected = estimator.fit_transform(crops)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setattr("visionpipe.local.describer.PIXELS_PER_BATCH", 1)
    before = cv2.getNumThreads()
    single = clone(estimator).fit(crops[:1]).transform(list(crops))
    assert cv2.getNumThreads() == before
    order = [3, 0, 5]
    for found, wanted in ((single, expected), (estimator.transform(crops[order]), expected[order])):
        np.testing.assert_array_equal(found.offsets, wanted.offsets)
        # a product of matrices may round differently for another number of rows
        difference = found._values.astype(int) - wanted._values.astype(int)
        assert abs(difference).max() <= 1 and (difference != 0).mean() < 1e-3
        np.testing.assert_array_equal(found.frames, wanted.frames)


@every
def test_unequal_sizes_and_blank_images(estimator):
    blank = np.full((40, 50, 3), 255, dtype=np.uint8)
    X = [COLOUR_CROPS[0], blank, COLOUR_CROPS[1][:50, :40], COLOUR_CROPS[2][..., 0]]
    found = estimator.fit_transform(X)
    assert found.image_sizes.tolist() == [[60, 70], [40, 50], [50, 40], [60, 70]]
    length = 128 if estimator.color == "grey" else 384
    assert found.n_features == length and found.counts[[0, 2, 3]].min() > 0
    if getattr(estimator, "detector", "dense") != "dense":
        assert found.counts[1] == 0
    assert not found[1].any()
    assert np.isfinite(found.values).all()
    np.testing.assert_array_equal(estimator.transform(X[2:3])[0], found[2])


@every
def test_tiny_images_have_none(estimator):
    for size in (1, 2, 5, 8):
        found = estimator.fit_transform(COLOUR_CROPS[:, :size, :size])
        assert np.isfinite(found.values).all() and found.shape == (len(COLOUR_CROPS),)
        assert found.n_features in (128, 384)
    assert DenseSIFT().fit_transform(CROPS[:, :21, :60]).counts.tolist() == [0] * len(CROPS)
    assert DenseSIFT().fit_transform(CROPS[:, :22, :60]).counts.min() > 0


def test_low_contrast_is_zero_or_dropped():
    X = [COLOUR_CROPS[0], np.full((40, 50), 9, dtype=np.uint8), COLOUR_CROPS[1]]
    for estimator in (DenseSIFT(contrast_threshold=0.03), SIFT(detector="dense", threshold=0.03)):
        zero = estimator.fit_transform(X)
        dropped = clone(estimator).set_params(low_contrast="drop").fit_transform(X)
        keep = zero.values.any(axis=1)
        assert 0 < keep.sum() < len(keep)
        np.testing.assert_array_equal(dropped.values, zero.values[keep])
        np.testing.assert_array_equal(dropped.frames, zero.frames[keep])
        kept = [one.any(axis=1).sum() for one in zero]
        assert dropped.counts.tolist() == kept and kept[1] == 0


def test_colours():
    for estimator in (SIFT(), SIFT(detector="sift"), DenseSIFT()):
        rgb = clone(estimator).set_params(color="rgb").fit_transform(COLOUR_CROPS)
        for channel in range(3):
            if isinstance(estimator, DenseSIFT):
                one = DenseSIFT(contrast_threshold=0).fit_transform(COLOUR_CROPS[..., channel])
                kept = rgb.values.any(axis=1)
                part = rgb.values[:, 128 * channel : 128 * channel + 128]
                difference = part[kept].astype(int) - one.values[kept]
                assert abs(difference).max() <= 1
            elif channel == 0:
                one = estimator.fit_transform(COLOUR_CROPS[..., 0])
                np.testing.assert_array_equal(rgb.values[:, :128], one.values)
        grey = clone(estimator).set_params(color="opponent").fit_transform(CROPS[..., None])
        coloured = (
            clone(estimator)
            .set_params(color="opponent")
            .fit_transform(CROPS[..., None].repeat(3, axis=3))
        )
        np.testing.assert_array_equal(grey.values, coloured.values)
    opponent = DenseSIFT(color="opponent").fit_transform(COLOUR_CROPS)
    bright, coloured = opponent.values[:, :128].any(axis=1), opponent.values[:, 128:].any(axis=1)
    assert bright.any() and coloured[bright].all()


def test_floats_equal_bytes():
    for estimator in EVERY:
        crops = COLOUR_CROPS if estimator.color != "grey" else CROPS
        expected = estimator.fit_transform(crops)
        found = estimator.fit_transform((crops / 255).astype(np.float32))
        assert isinstance(found, Descriptors)
        difference = found._values.astype(int) - expected._values.astype(int)
        assert abs(difference).max() <= 1 and (difference != 0).mean() < 1e-3


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (SIFT(detector="orb"), "detector must be one of 'fast', 'sift', 'dense'"),
        (SIFT(threshold=-1), r"threshold must be None or, for 'fast', a number in 0..255"),
        (SIFT(detector="sift", threshold=5), r"for 'sift', a number in 0..1"),
        (SIFT(max_keypoints=0), "max_keypoints must be a positive int"),
        (SIFT(keypoint_size=0), "keypoint_size must be a positive number"),
        (RootSIFT(border=-1), r"RootSIFT\(border=-1\): border must be"),
        (SIFT(bin_sizes=()), "bin_sizes must be a tuple of positive ints"),
        (DenseSIFT(step=0), "step must be a positive int"),
        (DenseSIFT(bin_sizes=4), "bin_sizes must be a tuple"),
        (DenseSIFT(bin_sizes=(4, 0)), "bin_sizes must be a tuple"),
        (DenseSIFT(magnification=0), "magnification must be"),
        (DenseSIFT(contrast_threshold=-1), "contrast_threshold must be"),
        (DenseSIFT(low_contrast="keep"), "low_contrast must be one of 'zero', 'drop'"),
        (DenseSIFT(color="lab"), "color must be one of 'grey', 'rgb', 'opponent'"),
        (DenseSIFT(device="gpu"), "device='gpu' is unknown"),
    ],
)
def test_bad_parameters_are_named(estimator, message):
    with pytest.raises(ValueError, match=message):
        estimator.fit(CROPS).transform(CROPS)
