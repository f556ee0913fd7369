"""What a classifier's answers on held-out images are worth, by several measures.

Each measure is written for many resamples of the images at once, so that a bootstrap of thousands
of them takes a moment. On the images as they are, the figures are those of scikit-learn.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["METRICS", "Answers", "Metric", "metric_of"]

N_BINS = 15  # of confidence, as in Guo et al. 2017
SMALLEST_PROBABILITY = np.finfo(np.float32).eps  # what scikit-learn clips float32 to


@dataclass(frozen=True)
class Answers:
    """What a classifier says of held-out images whose classes are known.

    Attributes
    ----------
    true : ndarray of int of shape (n,)
        Numbers of the right classes, from 0 to ``n_classes - 1``.
    predicted : ndarray of int of shape (n,)
        Numbers of the predicted ones; -1 is a class that does not exist.
    n_classes : int
    in_top_5 : ndarray of bool of shape (n,) or None
        Whether the right class is among the five that score highest.
    probabilities : ndarray of float32 of shape (n, n_classes) or None
    """

    true: np.ndarray
    predicted: np.ndarray
    n_classes: int
    in_top_5: np.ndarray | None = None
    probabilities: np.ndarray | None = None


@dataclass(frozen=True)
class Metric:
    """A measure of a classifier.

    Attributes
    ----------
    name : str
        As scikit-learn calls it, where it has it.
    title : str
        As a heading of a table.
    needs : str or None
        The attribute of `Answers` that not every classifier has.
    higher_is_better : bool
    of : callable
        Of `Answers` and rows (b, n) of images to take, to values (b,).
    """

    name: str
    title: str
    needs: str | None
    higher_is_better: bool
    of: Callable


def _accuracy(answers, rows):
    return (answers.true == answers.predicted)[rows].mean(axis=-1)


def _balanced_accuracy(answers, rows):
    right, _, there = _class_counts(answers, rows)
    recall = np.divide(right, there, out=np.zeros(right.shape), where=there > 0)
    return recall.sum(axis=-1) / (there > 0).sum(axis=-1)


def _f1_macro(answers, rows):
    right, said, there = _class_counts(answers, rows)
    f1 = np.divide(2 * right, said + there, out=np.zeros(right.shape), where=said + there > 0)
    return f1.sum(axis=-1) / (said + there > 0).sum(axis=-1)


def _class_counts(answers, rows):
    """How often each class is found, is predicted, and is there: (b, n_classes) each."""
    true, predicted = answers.true[rows], answers.predicted[rows]
    n_classes, n_resamples = answers.n_classes, len(rows)
    first = np.arange(n_resamples)[:, None] * (n_classes + 1)

    def count(numbers):  # those of classes that do not exist come last
        places = (first + np.where(numbers < 0, n_classes, numbers)).ravel()
        counts = np.bincount(places, minlength=n_resamples * (n_classes + 1))
        return counts.reshape(n_resamples, n_classes + 1)[:, :n_classes]

    return count(np.where(true == predicted, true, -1)), count(predicted), count(true)


def _log_loss(answers, rows):
    of_true = answers.probabilities[np.arange(len(answers.true)), answers.true]
    return -np.log(of_true.astype(float).clip(SMALLEST_PROBABILITY, 1))[rows].mean(axis=-1)


def _top_5_accuracy(answers, rows):
    return answers.in_top_5[rows].mean(axis=-1)


def _calibration_error(answers, rows):
    """Expected calibration error: confidence and accuracy, bin by bin (Guo et al. 2017, eq. 3)."""
    confidence = answers.probabilities.max(axis=1).astype(float)
    bins = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    gap = (answers.true == answers.predicted) - confidence
    places = np.arange(len(rows))[:, None] * N_BINS + bins[rows]
    sums = np.bincount(places.ravel(), gap[rows].ravel(), minlength=len(rows) * N_BINS)
    return np.abs(sums.reshape(len(rows), N_BINS)).sum(axis=-1) / rows.shape[1]


METRICS = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "accuracy", None, True, _accuracy),
        Metric("balanced_accuracy", "balanced accuracy", None, True, _balanced_accuracy),
        Metric("f1_macro", "macro F1", None, True, _f1_macro),
        Metric("top_5_accuracy", "top-5 accuracy", "in_top_5", True, _top_5_accuracy),
        Metric("log_loss", "log loss", "probabilities", False, _log_loss),
        Metric(
            "calibration_error", "calibration error", "probabilities", False, _calibration_error
        ),
    )
}


def metric_of(name, answers):
    """Measure a classifier.

    Parameters
    ----------
    name : str
        A key of `METRICS`.
    answers : Answers

    Returns
    -------
    float
        NaN if the classifier has not said what the measure needs.

    Examples
    --------
    >>> import numpy as np
    >>> from visionpipe.metrics import Answers, metric_of
    >>> answers = Answers(np.array([0, 0, 0, 1]), np.array([0, 0, 0, 0]), n_classes=2)
    >>> metric_of("accuracy", answers), metric_of("balanced_accuracy", answers)
    (0.75, 0.5)
    >>> metric_of("log_loss", answers)
    nan
    """
    metric = METRICS[name]
    if metric.needs is not None and getattr(answers, metric.needs) is None:
        return float("nan")
    return float(metric.of(answers, np.arange(len(answers.true))[None])[0])
