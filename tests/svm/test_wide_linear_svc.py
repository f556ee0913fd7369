"""WideLinearSVC against LinearSVC."""

import warnings

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from visionpipe import WideLinearSVC

RNG = np.random.default_rng(0)
LABELS = np.repeat(["a", "b", "c"], 15)
X = RNG.normal(size=(45, 300))
X[LABELS == "b", :20] += 0.7
X[LABELS == "c", 20:40] += 0.7


def failures_of_linear_svc(estimator):
    """What scikit-learn expects its own LinearSVC to fail: liblinear's dual solver is random."""
    kinds = ("dense", "sparse")
    return {f"check_sample_weight_equivalence_on_{kind}_data": "as LinearSVC" for kind in kinds}


@parametrize_with_checks([WideLinearSVC()], expected_failed_checks=failures_of_linear_svc)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "settings",
    [{}, {"C": 30}, {"fit_intercept": False}, {"loss": "hinge", "dual": True, "C": 0.01}],
    ids=str,
)
def test_the_optimum_is_that_of_linear_svc(settings, dtype):
    settings = {"tol": 1e-8, "max_iter": 100_000, **settings}
    expected = LinearSVC(**settings, random_state=0).fit(X, LABELS)
    found = WideLinearSVC(**settings, random_state=0).fit(X.astype(dtype), LABELS)
    assert found.coef_.shape == expected.coef_.shape and found.n_features_in_ == 300
    scale = abs(expected.coef_).max()
    np.testing.assert_allclose(found.coef_, expected.coef_, atol=1e-3 * scale)
    np.testing.assert_allclose(found.intercept_, expected.intercept_, atol=1e-3)


def test_two_classes_weights_and_names():
    y, weights = LABELS == "b", RNG.random(45)
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=[f"f{i}" for i in range(300)])
    settings = {"tol": 1e-8, "max_iter": 100_000}
    expected = LinearSVC(**settings).fit(frame, y, weights)
    found = WideLinearSVC(**settings).fit(frame, y, weights)
    assert found.coef_.shape == (1, 300)
    np.testing.assert_array_equal(found.feature_names_in_, expected.feature_names_in_)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # about missing names
        np.testing.assert_allclose(
            found.decision_function(frame), expected.decision_function(frame), atol=1e-3
        )


def test_rows_that_repeat_or_are_zero():
    doubled = np.vstack([X, X, np.zeros((3, 300))])
    y = np.concatenate([LABELS, LABELS, ["a", "b", "c"]])
    found = WideLinearSVC(max_iter=100_000).fit(doubled, y)
    assert np.isfinite(found.coef_).all() and found.score(X, LABELS) == 1
    zeros = WideLinearSVC().fit(np.zeros((6, 20)), ["a", "b"] * 3)
    assert not zeros.coef_.any()


def test_what_linear_svc_does_itself():
    tall = X[:, :10]
    for rows, settings in ((tall, {}), (csr_matrix(X), {}), (X, {"penalty": "l1", "dual": False})):
        settings = {"max_iter": 100_000, "random_state": 0, **settings}
        expected = LinearSVC(**settings).fit(rows, LABELS)
        found = WideLinearSVC(**settings).fit(rows, LABELS)
        np.testing.assert_array_equal(found.coef_, expected.coef_)
