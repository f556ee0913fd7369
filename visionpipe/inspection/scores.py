"""What a classifier of any kind thinks of images: one score for each class."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

__all__ = ["class_scores", "number_of", "score_name"]


def score_name(estimator):
    """What the scores of a classifier are called, or None if it has none.

    Returns
    -------
    {"probability", "decision value", None}
    """
    if hasattr(estimator, "predict_proba"):
        return "probability"
    return "decision value" if hasattr(estimator, "decision_function") else None


def class_scores(estimator, X, *, owner):
    """Score of each class: probabilities where there are any, else decision values.

    Parameters
    ----------
    estimator : classifier
        Fitted.
    X : array-like of images
        What it predicts.
    owner : str
        Named in errors.

    Returns
    -------
    ndarray of float of shape (n, n_classes)
        Columns in the order of ``classes_``. The decision value of one against the other of two
        classes counts for the second, and with its sign turned for the first.

    Raises
    ------
    ValueError
        If there are no such scores, or not one for each class.
    NotFittedError
        If the estimator is not fitted.
    """
    check_is_fitted(estimator)
    name = score_name(estimator)
    if name is None or not hasattr(estimator, "classes_"):
        raise ValueError(
            f"{owner} got a {type(estimator).__name__} without scores of classes; wanted a fitted "
            "classifier with predict_proba or decision_function"
        )
    if name == "probability":
        return np.asarray(estimator.predict_proba(X))
    values = np.asarray(estimator.decision_function(X))
    if values.ndim == 1:
        return np.stack([-values, values], axis=1)  # (n, 2)
    if values.shape[1] != len(estimator.classes_) or _is_of_pairs(estimator):
        raise ValueError(
            f"{owner} got decision values of pairs of classes; set decision_function_shape='ovr' "
            f"of the classifier in {type(estimator).__name__}, for one value a class"
        )
    return values


def _is_of_pairs(estimator):
    """Whether an SVC compares class with class: of three classes, there are three pairs."""
    parameters = estimator.get_params()
    return any(
        value == "ovo"
        for name, value in parameters.items()
        if name.endswith("decision_function_shape")
    )


def number_of(label, classes, *, owner):
    """Position of a label among the classes, or a ValueError that lists them.

    Parameters
    ----------
    label : label
    classes : ndarray of shape (n_classes,)
    owner : str
        Named in errors.

    Returns
    -------
    int
    """
    known = np.asarray(classes).tolist()
    if label not in known:
        raise ValueError(
            f"{owner} got label={label!r}, which is not a class; wanted one of "
            + ", ".join(map(repr, known))
        )
    return known.index(label)
