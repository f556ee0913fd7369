"""Comparisons that nobody has run: made up in a moment, of whatever a page has to bear."""

import io

import numpy as np
from PIL import Image

from visionpipe.comparison import Comparison, make_folds
from visionpipe.comparison.outcome import Cost, CurvePoint, Outcome, Picture, Result

VERSIONS = {"python": "3.11.7", "numpy": "2.4.6"}


def made_up(
    names=("first", "second", "third"),
    *,
    classes=tuple("abcde"),
    n_images=200,
    shape=(8, 8),
    n_folds=5,
    failing=(),
    failing_once=(),
):
    """Make up a comparison.

    Parameters
    ----------
    names : sequence of str
        Of pipelines, the most accurate ones first.
    classes : sequence of str
    n_images : int
    shape : tuple
        Of an image.
    n_folds : int
        1 is a lone fold.
    failing, failing_once : container of str
        Names of pipelines that fail on all folds, or on the second one.

    Returns
    -------
    Comparison
    """
    rng = np.random.default_rng(0)
    y = np.arange(n_images) % len(classes)
    images = rng.integers(0, 256, (n_images, *shape)).astype(np.uint8)
    folds = make_folds(images, y, cv=max(2, n_folds), random_state=0)[:n_folds]
    comparison = Comparison(images, np.array([*classes])[y], folds, name="made up")
    comparison.circumstances = {"command": "visionpipe compare made_up", "date": "2026-12-01"}
    for place, name in enumerate(names):
        accuracy = 0.98 - 0.6 * place / len(names)
        outcomes = [
            _failure()
            if name in failing or (name in failing_once and number == 1)
            else _outcome(comparison, test, accuracy, rng, is_first=number == 0, place=place)
            for number, (_, test) in enumerate(folds)
        ]
        comparison.results[name] = Result(
            f"Pipeline(steps=[('features', HOG(orientations={place})),\n('svm', SVC())])",
            outcomes,
            [] if name in failing else _curve(folds, accuracy),
            hardware="AMD EPYC, 2 cores",
            versions=VERSIONS,
        )
    return comparison


def _failure():
    return Outcome(error="RuntimeError: out of luck")


def _outcome(comparison, test, accuracy, rng, *, is_first, place):
    """Answers that are right so often; every other pipeline says how probable each class is."""
    n_classes, true = len(comparison.classes), comparison.y[test]
    probabilities = rng.dirichlet(np.full(n_classes, 0.5), len(test)).astype(np.float32)
    is_right = rng.random(len(test)) < accuracy
    probabilities[is_right, true[is_right]] += 1
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return Outcome(
        predicted=probabilities.argmax(axis=1).astype(np.int32),
        in_top_5=is_right | (rng.random(len(test)) < 0.5),
        probabilities=probabilities if place % 2 else None,
        fit_seconds=0.02 * 3**place,
        predict_seconds=0.01,
        cost=Cost(1.2 + place, 0.05 * 2**place, 35_000 * (1 + place), None) if is_first else None,
        pictures=(Picture("reasons", "What speaks for <b>.", _png()),) if is_first else (),
        notes=() if place % 2 else ("no log loss: it gives no probabilities",),
        **(
            {"chosen": {"svm__C": place}, "search_seconds": 2.5, "n_fits": 12} if place == 1 else {}
        ),
    )


def _curve(folds, accuracy):
    small = [CurvePoint(20, fold, accuracy - 0.1) for fold in range(min(2, len(folds)))]
    return small + [CurvePoint(len(t), fold, accuracy) for fold, (t, _) in enumerate(folds)]


def _png():
    file = io.BytesIO()
    Image.new("RGB", (60, 40), "teal").save(file, "PNG")
    return file.getvalue()
