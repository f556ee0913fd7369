"""WideRidgeClassifier against scikit-learn's RidgeClassifier."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from visionpipe import WideRidgeClassifier
from visionpipe.svm import wide_ridge_classifier as module

both_precisions = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def made_up(n_rows, n_columns, n_classes, dtype=np.float64):
    rng = np.random.default_rng(0)
    y = np.arange(n_rows) % n_classes
    X = rng.normal(size=(n_rows, n_columns)) + rng.normal(size=(n_classes, n_columns))[y] + 3
    return X.astype(dtype), np.array(["ape", "bee", "cat", "dog"])[y]


@parametrize_with_checks([WideRidgeClassifier()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@both_precisions
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize(("n_rows", "n_columns"), [(90, 20), (30, 130), (40, 40)])
@pytest.mark.parametrize("class_weight", [None, "balanced", {"ape": 3.0}])
def test_weights_are_scikit_learns(n_rows, n_columns, n_classes, class_weight, dtype, monkeypatch):
    monkeypatch.setattr(module, "ROWS_PER_CHUNK", 16)
    monkeypatch.setattr(module, "ROWS_PER_BLOCK", 7)
    X, y = made_up(n_rows, n_columns, n_classes, dtype)
    weights = np.linspace(0, 2, len(X))
    found = WideRidgeClassifier(0.5, class_weight=class_weight).fit(X, y, weights)
    expected = RidgeClassifier(0.5, class_weight=class_weight)
    expected.fit(X.astype(np.float64), y, weights)
    tol = 2e-4 if dtype == np.float32 else 1e-9
    np.testing.assert_allclose(found.coef_, np.atleast_2d(expected.coef_), atol=tol)
    np.testing.assert_allclose(found.intercept_, expected.intercept_, atol=10 * tol)
    scores = found.decision_function(X)
    np.testing.assert_allclose(scores, expected.decision_function(X), atol=10 * tol)
    assert (found.predict(X) == expected.predict(X)).all()
    assert found.coef_.dtype == found.intercept_.dtype == scores.dtype == dtype


@pytest.mark.filterwarnings("ignore:An ill-conditioned matrix")
def test_vectors_far_from_zero_and_small_alpha_in_float32(monkeypatch):
    """Products summed in float64 keep an alpha that sums in float32 drown."""
    monkeypatch.setattr(module, "ROWS_PER_CHUNK", 64)
    X, y = made_up(6000, 40, 4, np.float32)
    X[:, 1] = X[:, 0] + 1e-3 * X[:, 1]  # nearly one direction
    exact = RidgeClassifier(1e-3).fit(X.astype(np.float64), y).coef_
    found = WideRidgeClassifier(1e-3).fit(X, y).coef_
    assert abs(found - exact).max() < 0.1 * abs(RidgeClassifier(1e-3).fit(X, y).coef_ - exact).max()


def test_vectors_are_left_as_they_were():
    X, y = made_up(30, 5, 2)
    before = X.copy()
    WideRidgeClassifier().fit(X, y)
    np.testing.assert_array_equal(X, before)


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="two classes; y has one class, 'ape'"):
        WideRidgeClassifier().fit([[1.0], [2.0]], ["ape", "ape"])


@pytest.mark.parametrize("alpha", [0, -1, None, "1"])
def test_alpha_that_is_not_positive_is_refused(alpha):
    with pytest.raises((ValueError, TypeError), match="alpha"):
        WideRidgeClassifier(alpha).fit([[1.0], [2.0]], [0, 1])


def test_alpha_lost_in_rounding_is_refused():
    X = np.repeat(np.random.default_rng(0).normal(size=(200, 1)) * 1e6, 50, axis=1)
    with pytest.raises(ValueError, match="alpha=1e-09 is lost in the rounding"):
        WideRidgeClassifier(1e-9).fit(X.astype(np.float32), np.arange(200) % 2)


def test_the_gram_matrix_is_factored_where_it_is():
    """What it held is gone: a second one of 18,000 numbers a side would be 2.6 GB."""
    rows = torch.from_numpy(np.random.default_rng(0).normal(size=(30, 9)))
    gram = rows.T @ rows
    expected = gram + 0.5 * torch.eye(9, dtype=torch.float64)
    module._divide(torch.ones(9, 1, dtype=torch.float64), gram, 0.5)
    factor = gram.tril()
    torch.testing.assert_close(factor @ factor.T, expected)
