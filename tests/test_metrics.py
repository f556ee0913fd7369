"""Measures of classifiers against scikit-learn's, on the images as they are and on resamples."""

import numpy as np
import pytest
from sklearn import metrics

from visionpipe.metrics import METRICS, Answers, metric_of

RNG = np.random.default_rng(0)
N, K = 300, 7
TRUE = RNG.choice(K - 1, N)  # the last class is never right
SCORES = RNG.normal(size=(N, K)) + 2 * np.eye(K)[TRUE]
PROBABILITIES = (np.exp(SCORES) / np.exp(SCORES).sum(axis=1, keepdims=True)).astype(np.float32)
PREDICTED = PROBABILITIES.argmax(axis=1)
TOP = np.array([t in np.argsort(row)[::-1][:5] for t, row in zip(TRUE, SCORES, strict=True)])
ANSWERS = Answers(TRUE, PREDICTED, K, TOP, PROBABILITIES)
REFERENCES = {
    "accuracy": lambda r: metrics.accuracy_score(TRUE[r], PREDICTED[r]),
    "balanced_accuracy": lambda r: metrics.balanced_accuracy_score(TRUE[r], PREDICTED[r]),
    "f1_macro": lambda r: metrics.f1_score(TRUE[r], PREDICTED[r], average="macro"),
    "top_5_accuracy": lambda r: metrics.top_k_accuracy_score(
        TRUE[r], PROBABILITIES[r], k=5, labels=range(K)
    ),
    "log_loss": lambda r: metrics.log_loss(TRUE[r], PROBABILITIES[r], labels=range(K)),
    "calibration_error": lambda r: calibration_error(r),
}


def calibration_error(rows):
    """By its definition, a bin at a time."""
    confidence = PROBABILITIES.max(axis=1)[rows].astype(float)
    right = TRUE[rows] == PREDICTED[rows]
    error = 0
    for i in range(15):
        inside = (confidence >= i / 15) & (confidence < (i + 1) / 15)
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return error


@pytest.mark.filterwarnings("ignore:y_pred contains classes")
@pytest.mark.parametrize("name", METRICS)
def test_measures_are_those_of_scikit_learn(name):
    resamples = RNG.integers(N, size=(5, N))
    expected = [REFERENCES[name](rows) for rows in resamples]
    assert METRICS[name].of(ANSWERS, resamples) == pytest.approx(expected, rel=1e-5)
    assert metric_of(name, ANSWERS) == pytest.approx(REFERENCES[name](np.arange(N)), rel=1e-5)


def test_classes_that_do_not_exist_are_wrong_and_no_class_more():
    answers = Answers(np.array([0, 0, 1, 1]), np.array([0, -1, 1, -1]), 2)
    assert metric_of("accuracy", answers) == metric_of("balanced_accuracy", answers) == 0.5
    assert metric_of("f1_macro", answers) == pytest.approx(2 / 3)


def test_a_probability_of_zero_costs_much_but_not_all():
    answers = Answers(np.array([0]), np.array([1]), 2, None, np.array([[0, 1]], dtype=np.float32))
    assert metric_of("log_loss", answers) == pytest.approx(-np.log(np.finfo(np.float32).eps))
    assert metric_of("calibration_error", answers) == 1
    assert np.isnan(metric_of("top_5_accuracy", answers))
