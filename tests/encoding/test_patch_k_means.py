"""PatchKMeans: scikit-learn's whole list of checks, and what the class adds to its kernels."""

import pickle

import numpy as np
import pytest
import torch
from bridges import TransformsRows, small_images
from PIL import Image
from scipy.spatial.distance import cdist
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import (
    check_set_output_transform,
    check_transformer_get_feature_names_out,
    check_transformer_get_feature_names_out_pandas,
    parametrize_with_checks,
)
from sklearn.utils.validation import check_is_fitted, validate_data

from visionpipe import Images, PatchKMeans, as_images
from visionpipe.kernels.patches import (
    extract_patches,
    mirror_patches,
    normalize_contrast,
    patch_k_means,
)

ASSIGNMENTS = ["triangle", "soft_threshold", "nearest"]
DICTIONARIES = ["kmeans", "patches"]
RNG = np.random.default_rng(0)


class PatchKMeansOfRows(TransformsRows, PatchKMeans):
    def fit_transform(self, X, y=None):
        return super().fit_transform(small_images(validate_data(self, X)), y)


def pictures(n=10, height=14, width=15, channels=3):
    """uint8 images that are neither noise nor flat."""
    noise = RNG.integers(0, 256, (n, height // 2 + 1, width // 2 + 1, channels), dtype=np.uint8)
    return noise.repeat(2, axis=1).repeat(2, axis=2)[:, :height, :width]


def small(**params):
    return PatchKMeans(**{"n_words": 6, "patch_size": 5, "random_state": 0, **params})


# ------------------------------------------------------------------------ scikit-learn's checks

OF_ROWS = PatchKMeansOfRows(n_words=8, n_samples=500, random_state=0)


@parametrize_with_checks(
    [OF_ROWS, clone(OF_ROWS).set_params(dictionary="patches", assignment="soft_threshold")]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "check",
    [
        check_transformer_get_feature_names_out,
        check_transformer_get_feature_names_out_pandas,
        check_set_output_transform,
    ],
)
def test_names_of_columns(check):
    check("PatchKMeans", clone(OF_ROWS))


# ------------------------------------------------------------------------------- what is learned


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
@pytest.mark.parametrize("dictionary", DICTIONARIES)
def test_shapes(dictionary, assignment):
    X = pictures()
    model = small(dictionary=dictionary, assignment=assignment, grid=(3, 2)).fit(X)
    vectors = model.transform(X)
    n_codes = 6 if assignment == "triangle" else 12
    assert vectors.shape == (10, n_codes * 6) and vectors.dtype == np.float32
    assert model.mean_.shape == (75,) and model.whitening_.shape == (75, 75)
    assert model.words_.shape == (6, 75)
    assert len(model.get_feature_names_out()) == vectors.shape[1]
    norms = np.linalg.norm(model.words_, axis=1)
    unit = dictionary == "patches" or assignment != "triangle"
    assert np.allclose(norms, 1, atol=1e-5) == unit


def test_the_whitening_is_that_of_all_patches_if_there_are_few():
    X = pictures()
    model = small().fit(X)
    batch = torch.from_numpy(X).permute(0, 3, 1, 2)
    patches = normalize_contrast(extract_patches(batch, 5), 10 / 255**2).double().numpy()
    np.testing.assert_allclose(model.mean_, patches.mean(axis=0), atol=1e-6)
    covariance = np.cov(patches, rowvar=False) + 0.1 * np.eye(75)
    whitening = model.whitening_.astype(float)
    np.testing.assert_allclose(whitening @ covariance @ whitening, np.eye(75), atol=1e-3)


@pytest.mark.parametrize("dictionary", DICTIONARIES)
def test_the_words_are_in_the_whitened_space(dictionary):
    """As many words as patches: every whitened patch is a word, or points where one does."""
    X = pictures(n=2, height=6, width=6)
    model = small(n_words=8, dictionary=dictionary).fit(X)
    batch = torch.from_numpy(X).permute(0, 3, 1, 2)
    patches = normalize_contrast(extract_patches(batch, 5), 10 / 255**2).numpy()
    whitened = (patches - model.mean_) @ model.whitening_
    if dictionary == "patches":
        whitened /= np.linalg.norm(whitened, axis=1, keepdims=True)
    distances = np.linalg.norm(model.words_[:, None] - whitened[None], axis=2)
    np.testing.assert_allclose(distances.min(axis=1), 0, atol=1e-4)
    np.testing.assert_allclose(distances.min(axis=0), 0, atol=1e-4)


def test_the_sample_is_bounded_and_of_all_images(monkeypatch):
    X = pictures(n=50)
    samples = []
    monkeypatch.setattr(
        "visionpipe.encoding.patch_k_means.learn_words",
        lambda sample, n_words, **_: samples.append(sample) or sample[:n_words],
    )
    model = small(n_samples=300).fit(X)
    (sample,) = samples
    assert sample.shape == (300, 75)
    # undone, each row is the normalised patch of one place, none twice, from nearly every image
    rows = (sample @ np.linalg.inv(model.whitening_.astype(float)) + model.mean_).round(3)
    batch = torch.from_numpy(X).permute(0, 3, 1, 2)
    everything = normalize_contrast(extract_patches(batch, 5), 10 / 255**2).numpy()
    distances = cdist(rows, everything)
    assert distances.min(axis=1).max() < 0.02
    places = distances.argmin(axis=1)
    assert len(set(places)) == 300 and len(set(places // 110)) > 45


def test_only_images_that_patches_are_drawn_from_are_read_for_them(tmp_path):
    X = pictures(n=40)
    paths = []
    for i, image in enumerate(X):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(image).save(paths[-1])
    params = {"n_words": 2, "n_samples": 3, "standardize": False}
    fitted = small(**params).fit(paths)
    reads = []
    small(**params).fit(as_images(X).map(lambda pixels: reads.append(len(pixels)) or pixels))
    assert sum(reads) <= 5  # and the first, for its shape and for the size of batches
    np.testing.assert_array_equal(fitted.words_, small(**params).fit(X).words_)


def test_sums_are_standardised_by_the_training_images():
    X, other = pictures(n=30), pictures(n=5)
    plain = small(standardize=False).fit(X)
    sums = plain.transform(X).astype(float)
    scale = np.sqrt(sums.var(axis=0, ddof=1) + 0.01)
    model = small().fit(X)
    np.testing.assert_allclose(
        model.transform(X), (sums - sums.mean(axis=0)) / scale, rtol=1e-4, atol=1e-4
    )
    before = model.sums_mean_.copy()
    expected = (plain.transform(other) - sums.mean(axis=0)) / scale
    np.testing.assert_allclose(model.transform(other), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(model.sums_mean_, before)
    assert not hasattr(plain, "sums_mean_")


@pytest.mark.parametrize("standardize", [False, True])
def test_fitting_and_transforming_at_once_is_the_same(standardize):
    X = pictures()
    one, two = small(standardize=standardize), small(standardize=standardize)
    np.testing.assert_array_equal(one.fit_transform(X), two.fit(X).transform(X))
    np.testing.assert_array_equal(one.transform(X), two.transform(X))


def test_the_kernel_is_given_the_parameters():
    X = pictures()
    params = {"step": 2, "assignment": "soft_threshold", "threshold": 0.7, "grid": (1, 2)}
    model = small(**params, contrast_eps=50, standardize=False).fit(X)
    learned = (torch.from_numpy(a) for a in (model.mean_, model.whitening_, model.words_))
    batch = torch.from_numpy(X).permute(0, 3, 1, 2)
    expected = patch_k_means(batch, *learned, patch_size=5, contrast_eps=50 / 255**2, **params)
    np.testing.assert_allclose(model.transform(X), expected, rtol=1e-5, atol=1e-5)
    nearest = small(assignment="nearest", nearest_fraction=0.25, standardize=False).fit(X)
    assert (nearest.transform(X).sum(axis=1) == 3 * 10 * 11).all()  # 3 of 12 at every position


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
@pytest.mark.parametrize("dictionary", DICTIONARIES)
def test_mirror_images_have_the_same_vectors(dictionary, assignment):
    X = pictures()
    params = {"dictionary": dictionary, "assignment": assignment, "standardize": False}
    model = small(**params, mirror=True, n_samples=200).fit(X)
    vectors = model.transform(X)
    assert vectors.shape == (10, 12 if assignment == "triangle" else 24)
    np.testing.assert_allclose(model.transform(X[:, :, ::-1]), vectors, rtol=1e-3, atol=1e-3)
    words = torch.from_numpy(model.words_)
    assert words.shape == (6, 75) and torch.equal(mirror_patches(words[:3], 5), words[3:])
    # as if both images had been given: the same words, and twice as many of the same sums
    plain = clone(model).set_params(mirror=False).fit(X)
    plain.mean_, plain.whitening_, plain.words_ = model.mean_, model.whitening_, model.words_
    both = (plain.transform(X) + plain.transform(X[:, :, ::-1])).reshape(10, 2, 2, -1, 2, 3)
    np.testing.assert_allclose(
        vectors.reshape(10, 2, 2, -1, 3).sum(2), both[..., 0, :].sum(2), rtol=1e-3, atol=1e-3
    )


def test_patches_that_keep_their_contrast():
    X = pictures()
    model = small(contrast_eps=None, standardize=False).fit(X)
    batch = torch.from_numpy(X).permute(0, 3, 1, 2)
    np.testing.assert_allclose(model.mean_, extract_patches(batch, 5).mean(0), atol=1e-5)
    learned = (torch.from_numpy(a) for a in (model.mean_, model.whitening_, model.words_))
    expected = patch_k_means(batch, *learned, patch_size=5, contrast_eps=None)
    np.testing.assert_allclose(model.transform(X), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dictionary", DICTIONARIES)
def test_seeds_decide(dictionary):
    X = pictures()
    params = {"dictionary": dictionary, "n_samples": 200}
    one, two, other = (small(**params, random_state=seed).fit(X) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.transform(X), two.transform(X))
    assert not np.array_equal(one.words_, other.words_)


# ----------------------------------------------------------------------------------- what comes in


def test_arrays_lists_paths_and_images_agree(tmp_path):
    for channels in (1, 3):
        X = pictures(channels=channels)
        paths = []
        for i, image in enumerate(X):
            paths.append(tmp_path / f"{channels}-{i}.png")
            Image.fromarray(image.squeeze()).save(paths[-1])
        model = small().fit(X)
        expected = model.transform(X)
        for other in (list(X), paths, as_images(X), as_images(paths)):
            np.testing.assert_array_equal(model.transform(other), expected)
            np.testing.assert_array_equal(small().fit(other).transform(X), expected)


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_uint8_equals_float(assignment):
    X = pictures()
    model = small(assignment=assignment).fit(X)
    for dtype in (np.float32, np.float64):
        scaled = (X / 255).astype(dtype)
        np.testing.assert_array_equal(model.transform(scaled), model.transform(X))
        refitted = small(assignment=assignment).fit(scaled)
        np.testing.assert_array_equal(refitted.transform(X), model.transform(X))


@pytest.mark.parametrize("assignment", ["triangle", "soft_threshold"])
def test_order_subset_and_batch_size_do_not_matter(assignment, monkeypatch):
    X = pictures(n=12)
    model = small(assignment=assignment, n_samples=400).fit(X)
    expected = model.transform(X)
    for key in (RNG.permutation(12), slice(3, 4), [5, 5, 0], np.arange(12) % 3 == 1):
        np.testing.assert_allclose(model.transform(X[key]), expected[key], rtol=1e-5, atol=1e-5)
    for n_pixels in (1, 5 * 14 * 15):
        monkeypatch.setattr(Images.map_batches, "__defaults__", (n_pixels,))
        monkeypatch.setattr(Images.batches, "__defaults__", (n_pixels,))
        np.testing.assert_allclose(model.transform(X), expected, rtol=1e-5, atol=1e-5)
        refitted = small(assignment=assignment, n_samples=400).fit(X)
        np.testing.assert_array_equal(refitted.words_, model.words_)
        np.testing.assert_allclose(refitted.transform(X), expected, rtol=1e-4, atol=1e-4)


def test_grey_and_colour_images():
    grey = pictures(channels=1)
    rgb = grey.repeat(3, axis=3)
    for color_space, n_values in (("rgb", 27), ("grey", 9)):
        patches = small(color_space=color_space, patch_size=3)
        expected = patches.fit(rgb).transform(rgb)
        assert patches.words_.shape[1] == n_values
        for X in ([*rgb[:4], *grey[4:]], [*grey[:4], *rgb[4:]], grey):
            np.testing.assert_allclose(patches.fit(rgb).transform(X), expected, atol=1e-4)
            np.testing.assert_allclose(patches.fit(X).transform(rgb), expected, atol=1e-4)


def test_images_of_unequal_sizes_are_refused():
    X = [*pictures(4), *pictures(4, height=16)]
    message = r"\(14, 15\) and \(16, 15\); put Resize"
    for params in ({}, {"n_samples": 10}):  # of few samples, the scale is what meets the others
        with pytest.raises(ValueError, match=message):
            small(**params).fit(X)
    with pytest.raises(ValueError, match=message):
        small().fit(X[:4]).transform(X)


def test_images_smaller_than_a_patch_are_refused():
    with pytest.raises(ValueError, match=r"\(4, 9\) pixels, smaller than a patch of 5x5.*Resize"):
        small().fit(pictures(height=4, width=9))
    assert small(grid=(1, 1)).fit_transform(pictures(height=5, width=5)).shape == (10, 6)


def test_too_few_patches_are_refused():
    with pytest.raises(ValueError, match="PatchKMeans got 110 descriptors to learn 111 words"):
        small(n_words=111).fit(pictures(n=1))
    with pytest.raises(ValueError, match="PatchKMeans got 5 descriptors to learn 6 words"):
        small(n_samples=5, dictionary="patches").fit(pictures(n=1))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("assignment", ASSIGNMENTS)
@pytest.mark.parametrize("dictionary", DICTIONARIES)
def test_blank_images_give_finite_numbers(dictionary, assignment):
    params = {"dictionary": dictionary, "assignment": assignment}
    blank, X = np.full((6, 9, 9), 128, dtype=np.uint8), pictures(6, 9, 9, 1)
    for training in (blank, X, blank[:1]):
        model = small(**params).fit(training)
        for images in (blank, X, np.zeros_like(blank)):
            assert np.isfinite(model.transform(images)).all()


# ------------------------------------------------------------------------- an estimator in full


def test_pickles_and_clones():
    X = pictures()
    model = small().fit(X)
    assert model.image_shape_in_ == (14, 15, 3)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.transform(X), model.transform(X))
    copy = clone(model)
    assert copy.get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        check_is_fitted(copy)
    with pytest.raises(NotFittedError):
        copy.transform(X)


def test_learned_arrays_may_be_read_only():
    X = pictures()
    model = small().fit(X)
    expected = model.transform(X)
    for name, value in vars(model).items():
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
            assert name.endswith("_")
    np.testing.assert_array_equal(model.transform(X), expected)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_words": 0}, r"PatchKMeans\(n_words=0\): n_words must be a positive int"),
        ({"patch_size": (5, 5)}, "patch_size must be a positive int"),
        ({"step": 0}, "step must be a positive int"),
        ({"n_samples": 1e5}, "n_samples must be a positive int"),
        ({"dictionary": "k-means"}, "dictionary must be one of 'kmeans', 'patches'"),
        ({"assignment": "hard"}, "assignment must be one of 'triangle', 'soft_threshold'"),
        ({"threshold": -1}, "threshold must be a number of at least 0"),
        ({"nearest_fraction": 0}, "nearest_fraction must be a number above 0 and at most 1"),
        ({"nearest_fraction": 40}, "nearest_fraction must be a number above 0 and at most 1"),
        ({"contrast_eps": 0}, "contrast_eps must be a positive number"),
        ({"zca_eps": float("nan")}, "zca_eps must be a positive number"),
        ({"grid": 2}, "grid must be a pair"),
        ({"mirror": "yes"}, "mirror must be one of False, True"),
        ({"mirror": True, "n_words": 7}, "n_words must be an even number of words, since mirror"),
        ({"standardize": "no"}, "standardize must be one of False, True"),
        ({"device": "gpu"}, "device='gpu' is unknown"),
        ({"random_state": "seed"}, "seed"),
    ],
)
def test_bad_parameters_are_named(params, message):
    with pytest.raises(ValueError, match=message):
        small(**params).fit(pictures())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("assignment", ["triangle", "soft_threshold"])
def test_a_model_moves_from_the_gpu_to_the_cpu(assignment):
    X = pictures()
    model = small(assignment=assignment, device="cuda").fit(X)
    vectors = model.transform(X)
    np.testing.assert_allclose(
        model.set_params(device="cpu").transform(X), vectors, rtol=1e-3, atol=1e-3
    )
