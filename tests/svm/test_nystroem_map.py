"""NystroemMap against scikit-learn's Nystroem and the kernels themselves."""

import warnings

import joblib
import numpy as np
import pytest
import torch
from sklearn.kernel_approximation import Nystroem
from sklearn.metrics.pairwise import polynomial_kernel, rbf_kernel
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import (
    check_transformer_get_feature_names_out,
    check_transformer_get_feature_names_out_pandas,
    parametrize_with_checks,
)

from visionpipe import NystroemMap
from visionpipe.svm import nystroem_map as module

X = np.random.default_rng(0).normal(size=(150, 12))
KERNELS = [
    {},
    {"gamma": 0.3},
    {"kernel": "poly"},
    {"kernel": "poly", "degree": 2, "coef0": 1, "gamma": 0.1},
]
every_kernel = pytest.mark.parametrize("settings", KERNELS, ids=str)
both_precisions = pytest.mark.parametrize("dtype", [np.float32, np.float64])
SMALL = [NystroemMap(n_components=20), NystroemMap("poly", n_components=20)]


def kernel_values(fitted, left, right):
    if fitted.kernel == "rbf":
        return rbf_kernel(left, right, gamma=fitted.gamma_)
    return polynomial_kernel(left, right, fitted.degree, fitted.gamma_, fitted.coef0)


def check_products(found, expected):
    found = found.astype(np.float64)
    np.testing.assert_allclose(found @ found.T, expected, atol=5e-4 * abs(expected).max())


@parametrize_with_checks(SMALL)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "check",
    [check_transformer_get_feature_names_out, check_transformer_get_feature_names_out_pandas],
)
def test_names_of_columns(check):
    check("NystroemMap", SMALL[0])


@every_kernel
@both_precisions
def test_products_are_those_of_nystroem(settings, dtype, monkeypatch):
    monkeypatch.setattr(module, "ROWS_PER_CHUNK", 64)
    rows = X.astype(dtype)
    fitted = NystroemMap(**settings, n_components=40, random_state=0).fit(rows)
    options = {"gamma": fitted.gamma_}
    if fitted.kernel == "poly":
        options.update(degree=fitted.degree, coef0=fitted.coef0)
    peer = Nystroem(fitted.kernel, **options, n_components=40, random_state=0).fit(X)
    np.testing.assert_array_equal(fitted.component_indices_, peer.component_indices_)
    np.testing.assert_array_equal(fitted.components_, rows[fitted.component_indices_])
    found, expected = fitted.transform(rows), peer.transform(X)
    assert found.shape == (150, 40) and found.dtype == fitted.factor_.dtype == dtype
    check_products(found, expected @ expected.T)


@every_kernel
@both_precisions
def test_of_landmarks_products_are_the_kernel(settings, dtype):
    fitted = NystroemMap(**settings, random_state=0)
    found = fitted.fit_transform(X.astype(dtype))
    assert found.shape == (150, 150)  # all vectors are fewer than n_components
    check_products(found, kernel_values(fitted, X, X))


def test_gamma_scale_is_that_of_svc():
    for rows in (X, 1 + 3 * X):
        svc = SVC(gamma="scale").fit(rows, np.arange(150) % 2)
        assert NystroemMap().fit(rows).gamma_ == pytest.approx(svc._gamma)
    assert NystroemMap().fit(np.ones((5, 3))).gamma_ == 1


@both_precisions
def test_vectors_far_from_the_origin(dtype):
    far = (X + 1000).astype(dtype)
    fitted = NystroemMap(random_state=0)
    check_products(fitted.fit_transform(far), kernel_values(fitted, *[far.astype(float)] * 2))
    assert np.isfinite(NystroemMap("poly").fit_transform(far)).all()


@every_kernel
@both_precisions
def test_landmarks_that_repeat_or_are_blank(settings, dtype):
    twice = np.vstack([X, X, np.zeros((3, 12))]).astype(dtype)
    fitted = NystroemMap(**settings, random_state=0)
    check_products(fitted.fit_transform(twice), kernel_values(fitted, twice, twice))
    blank = NystroemMap(**settings).fit_transform(np.zeros((5, 3), dtype))
    assert np.isfinite(blank).all()


def test_a_seed_decides_all_bits():
    maps = [NystroemMap(n_components=10, random_state=seed).fit_transform(X) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(maps[0], maps[1])
    assert (maps[0] != maps[2]).any()


@pytest.fixture
def every_warning():
    torch.set_warn_always(True)  # torch warns of read-only arrays once in a process
    yield
    torch.set_warn_always(False)


@pytest.mark.usefixtures("every_warning")
def test_vectors_stay_as_they_are_and_may_be_read_only(tmp_path):
    rows = X.copy()
    fitted = NystroemMap(random_state=0, device="auto").fit(rows)
    expected = fitted.transform(rows)
    np.testing.assert_array_equal(rows, X)
    joblib.dump([fitted, rows], tmp_path / "all.joblib")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mapped, rows = joblib.load(tmp_path / "all.joblib", mmap_mode="r")
        np.testing.assert_array_equal(mapped.transform(rows), expected)
        np.testing.assert_array_equal(NystroemMap(random_state=0).fit_transform(rows), expected)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kernel": "linear"}, r"NystroemMap\(kernel='linear'\): kernel must be one of 'rbf'"),
        ({"gamma": "auto"}, "gamma must be a positive number"),
        ({"gamma": 0}, "gamma must be a positive number"),
        ({"degree": 0}, "degree must be a positive int"),
        ({"degree": 1.5}, "degree must be a positive int"),
        ({"coef0": -1}, "coef0 must be a number of at least 0"),
        ({"n_components": 0}, "n_components must be a positive int"),
        ({"device": "gpu"}, "device='gpu' is unknown"),
    ],
)
def test_bad_parameters_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        NystroemMap(**settings).fit(X)


def test_numbers_that_are_too_large():
    with pytest.raises(ValueError, match="whose kernel is infinite; scale them"):
        NystroemMap("poly", gamma=1.0).fit(1e60 * X)
