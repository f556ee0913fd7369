"""What every estimator promises: scikit-learn's whole list of checks, and the house's own."""

import pickle

import joblib
import numpy as np
import pytest
from bridges import (
    AutoencoderOfRows,
    BagOfVisualWordsOfRows,
    CNNClassifierOfRows,
    CNNFeaturesOfRows,
    ColorHistogramOfRows,
    DenseSIFTOfRows,
    DeskewOfRows,
    FisherVectorOfRows,
    GrayscaleOfRows,
    HOGOfRows,
    LBPOfRows,
    PixelsOfRows,
    RescaleOfRows,
    ResizeOfRows,
    RootSIFTOfRows,
    SIFTOfRows,
    UnflattenOfRows,
    VLADOfRows,
    means_of,
)
from PIL import Image
from sklearn.base import clone
from sklearn.utils.estimator_checks import (
    check_set_output_transform,
    check_transformer_get_feature_names_out,
    check_transformer_get_feature_names_out_pandas,
    parametrize_with_checks,
)

from visionpipe import (
    HOG,
    LBP,
    SIFT,
    Autoencoder,
    CNNClassifier,
    CNNFeatures,
    ColorHistogram,
    DenseSIFT,
    Descriptors,
    Deskew,
    Grayscale,
    Images,
    PatchKMeans,
    Pixels,
    Rescale,
    Resize,
    RootSIFT,
    Unflatten,
    as_images,
)

# ------------------------------------------------------------------------ scikit-learn's checks

TRANSFORMERS = [
    HOGOfRows(),
    LBPOfRows(),
    ColorHistogramOfRows(),
    PixelsOfRows(),
    CNNFeaturesOfRows("lenet", random_state=0),
    AutoencoderOfRows(n_components=4, max_epochs=2, random_state=0),
]
ENCODERS = [
    BagOfVisualWordsOfRows(3, random_state=0),
    BagOfVisualWordsOfRows(4, assignment="llc", weighting="tfidf", pyramid=(1, 2), random_state=0),
    VLADOfRows(3, pyramid=(1, (2, 1)), random_state=0),
    FisherVectorOfRows(2, n_dimensions=3, xy=True, random_state=0),
]
DESCRIBERS = [SIFTOfRows(), RootSIFTOfRows(detector="sift"), DenseSIFTOfRows(bin_sizes=(3, 4))]
STEPS = [
    ResizeOfRows(16),
    RescaleOfRows((16, 20)),
    GrayscaleOfRows(),
    DeskewOfRows(),
    UnflattenOfRows(),
]


NETWORKS = [
    CNNClassifierOfRows("softmax", max_epochs=30, lr=0.1),
    CNNClassifierOfRows("mlp", max_epochs=10, lr=0.01, module__hidden=(16,), optimizer="sgd"),
]


def wanted_to_1e_9(estimator):
    """Checks that want more digits than products and sums of float32 numbers repeat."""
    if isinstance(estimator, FisherVectorOfRows):  # a row's last bit depends on where it stands
        return {
            "check_methods_sample_order_invariance": (
                "agrees to 1e-4, the root of rounding near zero: see test_encoders"
            )
        }
    if isinstance(estimator, CNNClassifierOfRows):
        return {
            "check_sample_weight_equivalence_on_dense_data": (
                "agrees to 1e-5 after training in float32: see test_training"
            )
        }
    return {}


@parametrize_with_checks(
    [*TRANSFORMERS, *ENCODERS, *DESCRIBERS, *STEPS, *NETWORKS],
    expected_failed_checks=wanted_to_1e_9,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "transformer", [*TRANSFORMERS, *ENCODERS], ids=lambda t: type(t).__bases__[-1].__name__
)
@pytest.mark.parametrize(
    "check",
    [
        check_transformer_get_feature_names_out,
        check_transformer_get_feature_names_out_pandas,
        check_set_output_transform,
    ],
)
def test_names_of_columns(transformer, check):
    check(type(transformer).__name__, clone(transformer))


# ------------------------------------------------------------------------------ the house's own

N = 12
RNG = np.random.default_rng(0)
LABELS = np.array(["cat", "dog", "emu"] * (N // 3))


def pictures(n=N, height=24, width=26, channels=3):
    """uint8 images that are neither noise nor flat."""
    noise = RNG.integers(0, 256, (n, height // 4 + 1, width // 4 + 1, channels), dtype=np.uint8)
    return noise.repeat(4, axis=1).repeat(4, axis=2)[:, :height, :width]


class Case:
    """An estimator, fit or not, and what comes out of it as rows of numbers."""

    def __init__(
        self, estimator, *, channels=(1, 3), one_size=True, tolerance=1e-5, rounding=0, least=1
    ):
        self.estimator, self.channels, self.one_size = estimator, channels, one_size
        self.tolerance, self.rounding, self.least = tolerance, rounding, least
        self.name = type(estimator).__name__

    def fitted(self, X):
        return clone(self.estimator).fit(X, LABELS[: len(X)])

    @staticmethod
    def rows(fitted, X):
        if hasattr(fitted, "predict_proba"):
            return fitted.predict_proba(X)
        out = fitted.transform(X)
        if isinstance(out, Descriptors):
            return means_of(out)
        if not isinstance(out, Images):
            assert out.dtype == np.float32 and out.ndim == 2
            return out
        return np.stack(
            [out[i].ravel() / (255 if out[i].dtype == np.uint8 else 1) for i in range(len(out))]
        )


CASES = [
    Case(HOG(), least=24),
    Case(LBP(grid=(2, 2)), channels=(1,), one_size=False),
    Case(ColorHistogram(grid=(2, 2)), one_size=False),
    Case(ColorHistogram(color_space="lab", joint=False), one_size=False, tolerance=2e-3),
    Case(Pixels()),
    Case(PatchKMeans(4, patch_size=3, random_state=0), tolerance=1e-3, rounding=1e-4, least=3),
    Case(SIFT(), one_size=False),
    Case(RootSIFT(detector="sift", max_keypoints=9), one_size=False),
    # a product of matrices may round differently for another number of rows, and bytes flip by 1
    Case(DenseSIFT(step=3, bin_sizes=(4, 5)), one_size=False, tolerance=1e-3, rounding=1e-3),
    Case(RootSIFT(detector="dense", color="rgb"), one_size=False, tolerance=1e-3, rounding=1e-3),
    # uint8 images stay uint8, and are rounded after each axis
    Case(Resize(10), one_size=False, tolerance=1.01 / 255),
    Case(Resize((9, 12), keep_aspect="pad"), one_size=False, tolerance=1.01 / 255),
    Case(Resize((9, 12), keep_aspect="crop"), one_size=False, tolerance=1.01 / 255),
    Case(Rescale((30, 40)), tolerance=1.01 / 255),
    Case(Grayscale(), tolerance=0.51 / 255),
    Case(Deskew(), tolerance=0.51 / 255),
    Case(CNNFeatures("lenet", random_state=0), rounding=1e-6),
    Case(Autoencoder(n_components=5, max_epochs=2, random_state=0), rounding=1e-6),
    Case(
        Autoencoder("convolutional", n_components=5, max_epochs=2, random_state=0),
        rounding=1e-6,
        least=4,
    ),
    Case(CNNClassifier("lenet", max_epochs=2, random_state=0), rounding=1e-6),
    Case(CNNClassifier("mlp", max_epochs=2, random_state=0, device="cpu"), rounding=1e-6),
]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: repr(case.estimator))


@every_case
def test_arrays_lists_paths_and_images_agree(case, tmp_path):
    for channels in case.channels:
        X = pictures(channels=channels)
        paths = []
        for i, image in enumerate(X):
            paths.append(tmp_path / f"{channels}-{i}.png")
            Image.fromarray(image.squeeze()).save(paths[-1])
        fitted = case.fitted(X)
        expected = case.rows(fitted, X)
        strings = np.array([str(path) for path in paths])
        for other in (list(X), X.tolist(), paths, strings, as_images(X), as_images(paths)):
            np.testing.assert_array_equal(case.rows(fitted, other), expected)
            np.testing.assert_array_equal(case.rows(case.fitted(other), X), expected)
        if channels == 1:
            np.testing.assert_array_equal(case.rows(fitted, X[..., 0]), expected)


@every_case
def test_uint8_equals_float(case):
    for channels in case.channels:
        X = pictures(channels=channels)
        fitted = case.fitted(X)
        expected = case.rows(fitted, X)
        for dtype in (np.float32, np.float64):
            scaled = (X / 255).astype(dtype)
            np.testing.assert_allclose(case.rows(fitted, scaled), expected, atol=case.tolerance)
            refitted = case.fitted(scaled)
            np.testing.assert_allclose(case.rows(refitted, X), expected, atol=case.tolerance)


@every_case
def test_order_subset_and_batch_size_do_not_matter(case, monkeypatch):
    X = pictures(channels=case.channels[-1])
    fitted = case.fitted(X)
    expected = case.rows(fitted, X)
    order = RNG.permutation(N)
    np.testing.assert_allclose(case.rows(fitted, X[order]), expected[order], atol=case.rounding)
    for key in (slice(3, 4), slice(None, None, -1), [5, 5, 0], np.arange(N) % 3 == 1):
        np.testing.assert_allclose(case.rows(fitted, X[key]), expected[key], atol=case.rounding)
        np.testing.assert_allclose(
            case.rows(fitted, as_images(X)[key]), expected[key], atol=case.rounding
        )
    for n_pixels in (1, 5 * 24 * 26):
        monkeypatch.setattr(Images.map_batches, "__defaults__", (n_pixels,))
        monkeypatch.setattr(Images.batches, "__defaults__", (n_pixels,))
        np.testing.assert_allclose(case.rows(fitted, X), expected, atol=case.rounding)


@every_case
def test_input_is_left_alone_and_may_be_read_only(case, tmp_path):
    X = pictures(channels=case.channels[-1])
    before = X.copy()
    expected = case.rows(case.fitted(X), X)
    np.testing.assert_array_equal(X, before)
    X.flags.writeable = False
    np.testing.assert_array_equal(case.rows(case.fitted(X), X), expected)
    joblib.dump(before, tmp_path / "X.joblib")
    mapped = joblib.load(tmp_path / "X.joblib", mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    np.testing.assert_array_equal(case.rows(case.fitted(mapped), mapped), expected)
    floats = (before / 255).astype(np.float32)
    floats.flags.writeable = False
    np.testing.assert_allclose(
        case.rows(case.fitted(floats), floats), expected, atol=case.tolerance
    )


@every_case
def test_blank_images_give_finite_numbers(case):
    for channels in case.channels:
        for level in (0, 255, 128):
            X = np.full((6, 24, 24, channels), level, dtype=np.uint8)
            assert np.isfinite(case.rows(case.fitted(X), X)).all()


@every_case
def test_tiny_images(case):
    for channels in case.channels:
        for size in (1, 2, 3):
            X = pictures(6, size, size, channels)
            if size >= case.least:
                assert np.isfinite(case.rows(case.fitted(X), X)).all()
            else:
                with pytest.raises(ValueError, match=f"{size}.*{size}.*Resize"):
                    case.rows(case.fitted(X), X)


@every_case
def test_unequal_sizes(case):
    channels = case.channels[-1]
    X = [*pictures(6, 24, 26, channels), *pictures(6, 30, 25, channels)]
    if case.one_size:
        if not isinstance(case.estimator, (Deskew, Grayscale, Rescale)):  # sizes stay unequal
            with pytest.raises(ValueError, match=r"\(24, 26\).*\(30, 25\).*Resize"):
                case.rows(case.fitted(X), X)
    else:
        together = case.rows(case.fitted(X), X)
        for i in (0, 7):
            np.testing.assert_array_equal(
                case.rows(case.fitted(X[i : i + 1]), X[i : i + 1]), together[i : i + 1]
            )


@every_case
def test_grey_and_colour_mix(case):
    if case.channels == (1,):
        with pytest.raises(ValueError, match=r"RGB.*Grayscale\(\)"):
            case.rows(case.fitted(pictures()), pictures())
        return
    grey = pictures(channels=1)
    mixed = [*grey[: N // 2], *grey.repeat(3, axis=3)[N // 2 :]]
    fitted = case.fitted(grey.repeat(3, axis=3))
    # from these grey images come out grey, of fewer numbers
    if not isinstance(fitted, (Deskew, Resize, Rescale)):
        expected = case.rows(fitted, grey.repeat(3, axis=3))
        atol = max(1e-6, case.rounding)
        np.testing.assert_allclose(case.rows(fitted, mixed), expected, atol=atol)


@every_case
def test_clone_pickle_and_parameters(case):
    X = pictures(channels=case.channels[-1])
    fitted = case.fitted(X)
    expected = case.rows(fitted, X)
    np.testing.assert_array_equal(case.rows(pickle.loads(pickle.dumps(fitted)), X), expected)
    copy = clone(fitted)
    assert copy.get_params() == case.estimator.get_params()
    assert not [name for name in vars(copy) if name.endswith("_")]
    reset = type(case.estimator)().set_params(**case.estimator.get_params())
    np.testing.assert_array_equal(case.rows(reset.fit(X, LABELS), X), expected)
    assert fitted.image_shape_in_ == X.shape[1:]


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (HOG(block_norm="L3"), r"HOG\(block_norm='L3'\): block_norm must be one of 'L2-Hys'"),
        (HOG(orientations=0), r"HOG\(orientations=0\): orientations must be a positive int"),
        (HOG(pixels_per_cell=8), r"HOG\(pixels_per_cell=8\): .* a pair of positive ints"),
        (HOG(cells_per_block=(3, 0)), "cells_per_block must be a pair"),
        (LBP(method="var"), "LBP.*method must be one of 'uniform', 'nri_uniform'"),
        (LBP(P=0), "P must be a positive int"),
        (LBP(R=0), "R must be a positive number"),
        (LBP(P=20, method="default"), "16"),
        (LBP(grid=2), "grid must be a pair"),
        (ColorHistogram(color_space="cmyk"), "color_space must be one of 'rgb'"),
        (ColorHistogram(bins=(4, 4)), "bins must be a positive int, or 3 of them"),
        (ColorHistogram(bins=0), "bins must be a positive int"),
        (ColorHistogram(bins=2.5), "bins must be a positive int"),
        (ColorHistogram(joint="no"), "joint must be one of False, True"),
        (Pixels(color_space="hsv"), "color_space must be one of 'grey', 'rgb'"),
        (Resize(0), "size must be a height and a width"),
        (Resize((4, 4, 3)), "size must be a height and a width"),
        (Resize(keep_aspect="maybe"), "keep_aspect must be one of False, True, 'pad', 'crop'"),
        (Unflatten((24,)), "image_shape must be"),
        (HOG(device="gpu"), "device='gpu' is unknown; use 'auto', 'cpu' or 'cuda'"),
        (HOG(device="cuda:99"), "device='cuda:99' was asked for, but torch sees"),
    ],
)
def test_bad_parameters_are_named(estimator, message):
    with pytest.raises(ValueError, match=message):
        estimator.fit(pictures(channels=1), LABELS).transform(pictures(channels=1))


def test_unflatten():
    rows = pictures(channels=3).reshape(N, -1)
    images = Unflatten((24, 26, 3)).fit_transform(rows)
    assert images[0].shape == (24, 26, 3)
    np.testing.assert_array_equal(
        Pixels(color_space="rgb").fit_transform(images), rows / np.float32(255)
    )
    with pytest.raises(ValueError, match=r"\(12, 1872\); image_shape=\(5, 5\) wants rows of 25"):
        Unflatten((5, 5)).fit(rows)
    with pytest.raises(ValueError, match="got images; wanted flat rows"):
        Unflatten((24, 26, 3)).fit(images)
