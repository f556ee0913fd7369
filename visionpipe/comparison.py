"""Every pipeline on identical folds."""

import io
import statistics
import time
from dataclasses import asdict, dataclass

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.metrics import accuracy_score
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, check_cv
from sklearn.utils import _safe_indexing
from sklearn.utils.parallel import Parallel, delayed

__all__ = ["Comparison", "Row", "compare", "compare_rows", "draw_rows", "make_folds"]


@dataclass(frozen=True)
class Row:
    """What one pipeline did; None where it failed.

    Attributes
    ----------
    pipeline : str
        Its name.
    accuracy, accuracy_sd : float or None
        Mean and sample standard deviation over folds of the share of images classified rightly;
        of a single fold there is no deviation.
    fit_seconds : float or None
        Wall-clock time of one fit, mean over folds.
    predict_ms_per_image : float or None
        Wall-clock time of predicting the held-out images, per image.
    model_bytes : int or None
        Size of the first fold's fitted pipeline as joblib writes it.
    error : str or None
        Why it failed, in one line.
    """

    pipeline: str
    accuracy: float | None = None
    accuracy_sd: float | None = None
    fit_seconds: float | None = None
    predict_ms_per_image: float | None = None
    model_bytes: int | None = None
    error: str | None = None


class Comparison(list):
    """The rows of a comparison, in the order of the pipelines; prints as a table."""

    def __str__(self):
        return "\n".join([table_header(), *map(table_row, self)])

    def to_dicts(self):
        """Return the rows as a list of dictionaries, for json or a data frame.

        Returns
        -------
        list of dict
        """
        return [asdict(row) for row in self]


def compare(
    pipelines,
    X,
    y,
    *,
    cv=None,
    groups=None,
    parts=None,
    n_train=None,
    n_jobs=None,
    random_state=0,
):
    """Compare pipelines on identical folds.

    Parameters
    ----------
    pipelines : dict of str to estimator
        Classifiers of images, by name; they are cloned, never changed.
    X : array-like of images
        Anything `as_images` takes.
    y : array-like of shape (n_images,)
        Classes.
    cv : int, splitter or iterable, default=None
        Number of stratified folds, or anything that scikit-learn's `cv` may be. None is 5 folds or,
        if there are `parts`, one: learnt on "train", tested on "validation" if there is such a
        part, which leaves "test" for the end, else on "test".
    groups : array-like of shape (n_images,), default=None
        Images of one group never stand on both sides of a split.
    parts : array-like of str of shape (n_images,), default=None
        "train", "validation" or "test" for each image, where a data set comes with a split. Folds
        that `cv` asks for lie within "train".
    n_train : int, default=None
        How many images of each fold to learn from, drawn class by class; None is all.
    n_jobs : int, default=None
        Number of folds fitted at the same time, in processes. Times are truer with one.
    random_state : int, default=0
        Seed of the shuffling before the folds are made, and of what `n_train` draws. Pipelines
        bring seeds of their own.

    Returns
    -------
    Comparison
        A list of `Row`. A pipeline that fails has a row that says why.

    Raises
    ------
    ValueError
        If `X` are not images, lengths differ, a class has fewer images than there are folds, or
        there are fewer images to learn from than `n_train`.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> from visionpipe import HOG, Pixels, compare, load_faces
    >>> faces = load_faces()
    >>> rows = compare(
    ...     {"pixels": make_pipeline(Pixels(), SVC()), "hog": make_pipeline(HOG(), SVC())},
    ...     faces.images,
    ...     faces.target,
    ... )
    >>> [(row.pipeline, row.accuracy > 0.9) for row in rows]
    [('pixels', True), ('hog', True)]
    """
    folds = make_folds(
        X, y, cv=cv, groups=groups, parts=parts, n_train=n_train, random_state=random_state
    )
    return Comparison(compare_rows(pipelines, X, y, folds, n_jobs=n_jobs))


def make_folds(X, y, *, cv=None, groups=None, parts=None, n_train=None, random_state=0):
    """Make the folds that all pipelines share.

    Parameters
    ----------
    X, y, cv, groups, parts, n_train, random_state
        As in `compare`.

    Returns
    -------
    list of (train, test)
        Index arrays.
    """
    if len(X) != len(y):
        raise ValueError(f"there are {len(X)} images and {len(y)} labels; wanted as many of both")
    y, parts = np.asarray(y), _checked_parts(parts, len(y))
    if parts is None:
        folds = _folds_of(np.arange(len(y)), y, 5 if cv is None else cv, groups, random_state)
    elif cv is None:
        folds = [_split(parts, y)]
    else:
        rows = _rows_of_train(parts)
        folds = _folds_of(rows, y, cv, groups, random_state)
    if n_train is None:
        return folds
    return [(draw_rows(train, y, n_train, random_state), test) for train, test in folds]


def _checked_parts(parts, n_images):
    if parts is None:
        return None
    parts = np.asarray(parts)
    if parts.shape != (n_images,):
        raise ValueError(f"there are {n_images} images and parts of shape {parts.shape}")
    others = np.setdiff1d(parts, ["train", "validation", "test"])
    if len(others):
        raise ValueError(f"there is a part {others[0]!s}; wanted train, validation and test only")
    return parts


def _folds_of(rows, y, cv, groups, random_state):
    """Folds of some of the images."""
    y, groups = y[rows], None if groups is None else np.asarray(groups)[rows]
    if isinstance(cv, (int, np.integer)):
        _check_class_sizes(y, groups, cv)
        splitter = StratifiedKFold if groups is None else StratifiedGroupKFold
        cv = splitter(int(cv), shuffle=True, random_state=random_state)
    splits = check_cv(cv, y, classifier=True).split(np.zeros(len(y)), y, groups)
    return [(rows[train], rows[test]) for train, test in splits]


def _split(parts, y):
    """The one fold that a data set comes with."""
    train = _rows_of_train(parts)
    validation, test = (np.flatnonzero(parts == part) for part in ("validation", "test"))
    held_out = validation if len(validation) else test
    if not len(held_out):
        raise ValueError("all images are of the part train; wanted validation or test too")
    unknown = np.setdiff1d(y[held_out], y[train])
    if len(unknown):
        raise ValueError(
            f"the part train has no images of {', '.join(map(str, unknown))}, which are to be "
            "tested on; add some, or leave the class out"
        )
    return train, held_out


def _rows_of_train(parts):
    rows = np.flatnonzero(parts == "train")
    if not len(rows):
        there = " and ".join(np.unique(parts))
        raise ValueError(f"all images are of the part {there}; wanted train too, to learn from")
    return rows


def draw_rows(rows, y, n_train, random_state=0):
    """Draw images to learn from, as many of each class as its share, and at least one.

    Parameters
    ----------
    rows : ndarray of int
        Positions to draw from.
    y : ndarray of shape (n_images,)
        Classes of all images.
    n_train : int
        How many to draw.
    random_state : int, default=0

    Returns
    -------
    ndarray of int of shape (n_train,)
        Ascending.

    Raises
    ------
    ValueError
        If there are not as many, or fewer are wanted than there are classes.

    Examples
    --------
    >>> import numpy as np
    >>> from visionpipe.comparison import draw_rows
    >>> y = np.array(["cat"] * 6 + ["dog"] * 3)
    >>> y[draw_rows(np.arange(9), y, 3)].tolist()
    ['cat', 'cat', 'dog']
    """
    classes = np.unique(y[rows])
    if not len(classes) <= n_train <= len(rows):
        raise ValueError(
            f"n_train={n_train}: there are {len(rows)} images of {len(classes)} classes to learn "
            "from; wanted at least one of each class, and no more than there are"
        )
    shuffled = np.random.default_rng(random_state).permutation(rows)
    place = np.empty(len(rows))  # within its class, from 0 to 1
    for label in classes:
        of_class = np.flatnonzero(y[shuffled] == label)
        place[of_class] = np.arange(len(of_class)) / len(of_class)
    return np.sort(shuffled[np.argsort(place, kind="stable")[:n_train]])


def _check_class_sizes(y, groups, n_folds):
    if n_folds < 2:
        raise ValueError(f"cv={n_folds}: wanted at least 2 folds")
    units = "images" if groups is None else "groups of images"
    members = np.arange(len(y)) if groups is None else np.asarray(groups)
    classes = np.unique(y)
    if len(classes) < 2:
        raise ValueError(f"all images are of one class, {classes[0]!s}; wanted at least 2 classes")
    sizes = [len(np.unique(members[np.asarray(y) == label])) for label in classes]
    label, size = classes[np.argmin(sizes)], min(sizes)
    if size < n_folds:
        mend = f"or take cv={size}" if size > 1 else "or leave the class out"
        raise ValueError(
            f"class {label!s} has {size} {units}, fewer than the {n_folds} folds; add some, {mend}"
        )


def compare_rows(pipelines, X, y, folds, *, n_jobs=None, on_fold=None):
    """Yield a row as soon as a pipeline has been through all folds.

    Parameters
    ----------
    pipelines, X, y, n_jobs
        As in `compare`.
    folds : list of (train, test)
        From `make_folds`.
    on_fold : callable, default=None
        Called whenever a fold is done, with the pipeline's name, the fold's number from 0, the
        accuracy (None if it failed) and the seconds that fitting and predicting took.

    Yields
    ------
    Row
    """
    y = np.asarray(y)
    parallel = Parallel(n_jobs=n_jobs, return_as="generator")
    for name, pipeline in pipelines.items():
        results = []
        for result in parallel(
            delayed(_run_fold)(pipeline, X, y, train, test, measure_size=i == 0)
            for i, (train, test) in enumerate(folds)
        ):
            results.append(result)
            if on_fold is not None:
                on_fold(name, len(results) - 1, *_accuracy_and_seconds(result))
        yield _to_row(name, results)


@dataclass(frozen=True)
class _Fold:
    accuracy: float
    fit_seconds: float
    predict_seconds: float
    n_test: int
    model_bytes: int | None


def _run_fold(pipeline, X, y, train, test, measure_size):
    """Fit and score one fold; of a failure, return the reason so that the others go on."""
    try:
        model = clone(pipeline)
        X_train, X_test = _safe_indexing(X, train), _safe_indexing(X, test)
        start = time.perf_counter()
        model.fit(X_train, y[train])
        fitted = time.perf_counter()
        predicted = model.predict(X_test)
        done = time.perf_counter()
        size = _dumped_bytes(model) if measure_size else None
        accuracy = float(accuracy_score(y[test], predicted))
        return _Fold(accuracy, fitted - start, done - fitted, len(test), size)
    except Exception as error:
        return " ".join(f"{type(error).__name__}: {error}".split())


def _accuracy_and_seconds(result):
    if isinstance(result, str):
        return None, 0.0
    return result.accuracy, result.fit_seconds + result.predict_seconds


def _dumped_bytes(model):
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    return buffer.tell()


def _to_row(name, results):
    errors = [result for result in results if isinstance(result, str)]
    if errors:
        return Row(name, error=errors[0])
    accuracies = [fold.accuracy for fold in results]
    n_predicted = sum(fold.n_test for fold in results)
    return Row(
        pipeline=name,
        accuracy=statistics.mean(accuracies),
        accuracy_sd=statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        fit_seconds=statistics.mean(fold.fit_seconds for fold in results),
        predict_ms_per_image=1000 * sum(fold.predict_seconds for fold in results) / n_predicted,
        model_bytes=next(fold.model_bytes for fold in results if fold.model_bytes is not None),
    )


# -------------------------------------------------------------------------------- as a table

_COLUMNS = "{:<20} {:>15} {:>10} {:>15} {:>12}"


def table_header():
    """Two lines: the columns of the table that `table_row` fills."""
    header = _COLUMNS.format("pipeline", "accuracy %", "fit s", "predict ms/img", "model bytes")
    return f"{header}\n{'-' * len(header)}"


def table_row(row):
    """One line of the table."""
    if row.error is not None:
        return f"{row.pipeline:<20} failed: {row.error}"
    spread = "" if row.accuracy_sd is None else f" ± {100 * row.accuracy_sd:.2f}"
    return _COLUMNS.format(
        row.pipeline,
        f"{100 * row.accuracy:.2f}{spread}",
        f"{row.fit_seconds:.2f}",
        f"{row.predict_ms_per_image:.3f}",
        f"{row.model_bytes:,}",
    )
