"""What becomes of labels before a network sees them: numbers, weights, a held-out part."""

import numpy as np
import torch
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.utils import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import assert_all_finite, column_or_1d


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
        raise ValueError(
            f"{owner} needs images of at least 2 classes, but y holds one class, {classes[0]!r}"
        )
    return classes, numbers.astype(np.int64, copy=False)


def loss_weights(class_weight, classes, numbers):
    """The loss's options for scikit-learn's ``class_weight``; none for None."""
    if class_weight is None:
        return {}
    weights = compute_class_weight(class_weight, classes=classes, y=classes[numbers])
    return {"criterion__weight": torch.tensor(weights, dtype=torch.float32)}


def held_out(fraction, numbers, seed):
    """Rows to train on and rows to validate on, drawn by class; nothing for None.

    Returns
    -------
    dict of str to ndarray of int
        With keys "train" and "valid", or empty.
    """
    if fraction is None:
        return {}
    splitter = StratifiedShuffleSplit(1, test_size=fraction, random_state=seed)
    train, valid = next(splitter.split(numbers, numbers))
    return {"train": train, "valid": valid}
