"""One pipeline on one fold: fitted, tested and measured; a failure stays where it happened."""

import time
from dataclasses import dataclass, replace
from numbers import Integral

import numpy as np
import torch
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, get_tags

from visionpipe.comparison.cost import cost_of, memory_growth
from visionpipe.comparison.outcome import CurvePoint, Outcome
from visionpipe.comparison.pictures import draw_pictures
from visionpipe.comparison.tuning import tune
from visionpipe.deep.fitted import HoldsNetwork
from visionpipe.inspection.parts import best_of, flat_steps
from visionpipe.inspection.scores import class_scores, score_name

__all__ = [
    "Job",
    "in_one_line",
    "keeping_features",
    "numbers_of",
    "reseeded",
    "run_curve_point",
    "run_fold",
]

N_TOP = 5
_NEED_PROBABILITIES = "log loss and calibration error"
_NEED_SCORES = f"top-5 accuracy, {_NEED_PROBABILITIES}"


@dataclass(frozen=True)
class Job:
    """A pipeline and the images that it is to be tried on.

    Attributes
    ----------
    pipeline : estimator
    X : array-like of images
    y : ndarray of shape (n_images,)
    classes : ndarray of shape (n_classes,)
        All of `y`, sorted.
    groups : ndarray of shape (n_images,) or None
        For the folds of a search.
    grid : dict, list of dict or None
        To be searched within each training fold.
    n_explained : int
        Images of the first fold to draw pictures of.
    random_state : int
        Seed of the folds of a search.
    """

    pipeline: object
    X: object
    y: np.ndarray
    classes: np.ndarray
    groups: np.ndarray | None = None
    grid: object = None
    n_explained: int = 0
    random_state: int = 0

    def with_parameters(self, chosen):
        """Return the job with parameters that a search has chosen, or as it is without any."""
        if not chosen:
            return self
        return replace(self, pipeline=clone(self.pipeline).set_params(**chosen))


def run_fold(job, fold, train, test):
    """Fit a pipeline on a fold and ask it for the classes of the held-out images.

    Parameters
    ----------
    job : Job
    fold : int
        Number of the fold. Of the first one, 0, costs are measured and pictures drawn.
    train, test : ndarray of int

    Returns
    -------
    Outcome
    """
    try:
        return _run_fold(job, fold, train, test)
    except Exception as error:
        return Outcome(error=in_one_line(error))


def _run_fold(job, fold, train, test):
    X_train, y_train = _safe_indexing(job.X, train), job.y[train]
    X_test, true = _safe_indexing(job.X, test), numbers_of(job.y[test], job.classes)
    pipeline, search = reseeded(job.pipeline, fold), {}
    if fold:  # costs are those of the first one
        pipeline = keeping_features(pipeline)
    if job.grid is not None:
        groups = None if job.groups is None else job.groups[train]
        seed = job.random_state
        tuned = tune(pipeline, job.grid, X_train, y_train, groups=groups, random_state=seed)
        pipeline = tuned.pipeline
        search = {
            "chosen": tuned.chosen, "search_seconds": tuned.seconds, "n_fits": tuned.n_fits,
        }  # fmt: skip
    model = clone(pipeline)
    if any(isinstance(step, HoldsNetwork) for step in flat_steps(model)):
        torch.optim.SGD([torch.zeros(1)])  # the first optimizer loads modules for a second or two
    with memory_growth(wanted=fold == 0) as growth:
        start = time.perf_counter()
        model.fit(X_train, y_train)
        fitted = time.perf_counter()
        classifier, vectors = _before_classifier(model, X_test)
        predicted = numbers_of(classifier.predict(vectors), job.classes)
        done = time.perf_counter()
    in_top_5, probabilities, notes = _scores(classifier, vectors, true, job.classes)
    pictures, complaints = (), ()
    if fold == 0 and job.n_explained:
        wrong_first = np.argsort(predicted == true, kind="stable")[: job.n_explained]
        pictures, complaints = draw_pictures(model, X_test, wrong_first, job.y[test])
    return Outcome(
        predicted=predicted,
        in_top_5=in_top_5,
        probabilities=probabilities,
        fit_seconds=fitted - start,
        predict_seconds=done - fitted,
        **search,
        cost=cost_of(model, X_test, growth.peak_bytes) if fold == 0 else None,
        pictures=pictures,
        notes=(*notes, *complaints),
    )


def reseeded(pipeline, fold):
    """Give a pipeline other seeds for each fold but the first.

    With one seed for all folds, its luck would look like skill: of 500 simulated comparisons of a
    recipe with itself under another seed, the t-test over 5 folds called 48 different; with other
    seeds in every fold, 5 (`python -m benchmarks.verdicts`).

    Parameters
    ----------
    pipeline : estimator
    fold : int

    Returns
    -------
    estimator
        With all parameters named ``random_state`` that are ints replaced, from the second fold on.
    """
    seeds = {
        name: int(np.random.SeedSequence([int(value), fold]).generate_state(1)[0] >> 1)  # 31 bits
        for name, value in _parameters(pipeline, "random_state")
        if isinstance(value, Integral)
    }
    return clone(pipeline).set_params(**seeds) if fold and seeds else pipeline


def keeping_features(pipeline):
    """Let a pipeline keep in the user's store what it computes of images, where that is faster.

    Encoders keep nothing: in another fold they learn other words, and their vectors are large.

    Parameters
    ----------
    pipeline : estimator

    Returns
    -------
    estimator
        With the parameter ``store`` replaced, where it is None, of all steps that learn nothing.
    """
    parts = {"": pipeline, **pipeline.get_params()}
    stores = {
        name: "auto"
        for name, value in _parameters(pipeline, "store")
        if value is None and not get_tags(parts[name.rpartition("__")[0]]).requires_fit
    }
    return clone(pipeline).set_params(**stores)


def _parameters(pipeline, kind):
    """Names and values of the parameters of a kind, at any depth."""
    found = pipeline.get_params().items()
    return [(name, value) for name, value in found if name.rpartition("__")[2] == kind]


def _before_classifier(model, X):
    """The classifier and what reaches it, so that predictions and scores share the features."""
    if isinstance(model, Pipeline) and len(model) > 1 and hasattr(model, "predict"):
        return model[-1], model[:-1].transform(X)
    return model, X


def numbers_of(labels, classes):
    """Numbers of classes.

    Parameters
    ----------
    labels : array-like of shape (n,)
    classes : ndarray of shape (n_classes,)

    Returns
    -------
    ndarray of int32 of shape (n,)
        -1 for a label that is no class.
    """
    known = {label: number for number, label in enumerate(classes.tolist())}
    labels = np.asarray(labels).tolist()
    return np.array([known.get(label, -1) for label in labels], dtype=np.int32)


# ------------------------------------------------------------------------- scores of the classes


def _scores(classifier, vectors, true, classes):
    """Whether the right class is among the first five, probabilities, and what is missing why."""
    kind = type(best_of(classifier)).__name__
    try:
        scores = class_scores(classifier, vectors, owner="compare")
    except ValueError:
        return None, None, (f"no {_NEED_SCORES}: {kind} gives no scores of classes",)
    if not np.isfinite(scores).all():
        return None, None, (f"no {_NEED_SCORES}: scores of {kind} are NaN or infinite",)
    own = numbers_of(classifier.classes_, classes)
    in_top_5 = None
    if len(classes) > N_TOP:
        ranked = own[np.argsort(scores, axis=1, kind="stable")[:, ::-1][:, :N_TOP]]  # (n, 5)
        in_top_5 = (ranked == true[:, None]).any(axis=1)
    if score_name(classifier) != "probability":
        return in_top_5, None, (f"no {_NEED_PROBABILITIES}: {kind} gives no probabilities",)
    probabilities = np.zeros((len(true), len(classes)), dtype=np.float32)
    probabilities[:, own] = scores
    return in_top_5, probabilities, ()


def run_curve_point(job, fold, train, test):
    """Fit a pipeline on a part of a fold's training images.

    Parameters
    ----------
    job : Job
    fold : int
        Number of the fold.
    train, test : ndarray of int

    Returns
    -------
    CurvePoint
    """
    try:
        model = keeping_features(reseeded(job.pipeline, fold))
        model.fit(_safe_indexing(job.X, train), job.y[train])
        right = model.predict(_safe_indexing(job.X, test)) == job.y[test]
        return CurvePoint(len(train), fold, float(np.mean(right)))
    except Exception:
        return CurvePoint(len(train), fold, float("nan"))


def in_one_line(error):
    """Kind and message of an error, without line breaks."""
    return " ".join(f"{type(error).__name__}: {error}".split())
