"""What becomes of labels before a network sees them: numbers, weights, a held-out part."""

import math

import numpy as np
import torch
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.utils import compute_class_weight
from sklearn.utils.multiclass import (
    _check_partial_fit_first_call,
    check_classification_targets,
)
from sklearn.utils.validation import _check_sample_weight, assert_all_finite, column_or_1d


def encode(y, owner):
    """Sorted classes, and the number of each label among them.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels of any type that sorts.
    owner : str
        Named in errors.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
    numbers : ndarray of int64 of shape (n,)

    Raises
    ------
    ValueError
        If labels are missing, are not classes, or are of one class only.
    """
    if y is None:
        raise ValueError(f"{owner} requires y to be passed, but the target y is None")
    y = column_or_1d(y, warn=True)
    assert_all_finite(y, input_name="y")
    try:
        check_classification_targets(y)
        classes, numbers = np.unique(y, return_inverse=True)
    except TypeError:
        kinds = " and ".join(sorted({type(label).__name__ for label in y}))
        raise ValueError(
            f"{owner} got labels of types {kinds}, which do not sort; make all of them strings or "
            "all of them numbers"
        ) from None
    if len(classes) < 2:
        (only,) = classes.tolist()
        raise ValueError(
            f"{owner} needs images of at least 2 classes, but y holds one class, {only!r}"
        )
    return classes, numbers.astype(np.int64, copy=False)


def check_classes(estimator, classes):
    """Set ``classes_`` in the first call of ``partial_fit``, and see that it stays the same.

    Returns
    -------
    bool
        Whether it is the first call.

    Raises
    ------
    ValueError
        If they lack in the first call, are fewer than two, or differ from those of before.
    """
    is_first = _check_partial_fit_first_call(estimator, classes)
    if is_first and len(estimator.classes_) < 2:
        del estimator.classes_
        raise ValueError(f"classes={classes!r} holds one class; pass at least 2")
    return is_first


def numbers_among(classes, y, owner):
    """Number of each label among known classes, int64 of shape (n,), or a ValueError."""
    y = column_or_1d(y, warn=True)
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        raise ValueError(f"{owner} got labels {unknown} that are not among the classes {classes}")
    return np.searchsorted(classes, y).astype(np.int64, copy=False)


def weigh(images, numbers, classes, *, sample_weight, class_weight):
    """The images that count, and how much.

    Parameters
    ----------
    images : Images
    numbers : ndarray of int64 of shape (n,)
        Class numbers.
    classes : ndarray of shape (n_classes,)
    sample_weight : array-like of shape (n,) or None
    class_weight : None, "balanced" or dict of label to weight

    Returns
    -------
    images : Images
        Those whose weight is not 0.
    numbers : ndarray of int64
    weights : ndarray of float64, or None if all are equal

    Raises
    ------
    ValueError
        If weights are negative or not finite, or all of them 0, or of classes that there are not.
    """
    if sample_weight is None and class_weight is None:
        return images, numbers, None
    weights = _check_sample_weight(
        sample_weight, images, dtype=np.float64, ensure_non_negative=True, copy=True
    )
    if class_weight is not None:
        counted = weights > 0
        present = np.unique(numbers[counted])
        of_class = np.zeros(len(classes))
        of_class[present] = compute_class_weight(
            class_weight,
            classes=classes[present],
            y=classes[numbers[counted]],
            sample_weight=weights[counted],
        )
        if not np.isfinite(of_class).all() or of_class.min() < 0:
            raise ValueError(
                f"class_weight={class_weight!r} holds a weight that is negative or not finite; "
                "make all of them numbers from 0"
            )
        weights *= of_class[numbers]
    if not weights.any():
        raise ValueError("the weights of all images are 0; at least one has to count")
    rows = np.flatnonzero(weights)
    if len(rows) == len(weights):
        return images, numbers, weights
    return images[rows], numbers[rows], weights[rows]


def normalized(weights, rows=None):
    """Weights as a float32 tensor of mean 1 over some rows, or None."""
    if weights is None:
        return None
    mean = weights.mean() if rows is None else weights[rows].mean()
    return torch.from_numpy(weights / mean).float()


def held_out(fraction, numbers, seed):
    """Rows to train on and rows to validate on, drawn by class; nothing for None.

    Returns
    -------
    dict of str to ndarray of int
        With keys "train" and "valid", or empty.

    Raises
    ------
    ValueError
        If a class has one image only, or either part fewer images than there are classes.
    """
    if fraction is None:
        return {}
    _check_can_hold_out(fraction, numbers)
    splitter = StratifiedShuffleSplit(1, test_size=fraction, random_state=seed)
    train, valid = next(splitter.split(numbers, numbers))
    return {"train": train, "valid": valid}


def _check_can_hold_out(fraction, numbers):
    counts = np.bincount(numbers)
    n_classes, n_single = np.count_nonzero(counts), np.count_nonzero(counts == 1)
    n_valid = math.ceil(fraction * len(numbers))
    if n_single:
        raise ValueError(
            f"{n_single} of the {n_classes} classes have one image only, and validation images "
            "are drawn by class; give each class 2 images or more, or hold none out "
            "(validation_fraction=None, early_stopping=False)"
        )
    if min(n_valid, len(numbers) - n_valid) < n_classes:
        raise ValueError(
            f"validation_fraction={fraction:g} of {len(numbers)} images leaves {n_valid} to "
            f"validate on and {len(numbers) - n_valid} to train on, and there are {n_classes} "
            "classes; choose it so that both parts have an image for each class"
        )
