"""Models from disk that commands can use."""

from visionpipe.persistence import load

__all__ = ["load_classifier"]


def load_classifier(path):
    """Load a fitted classifier.

    Parameters
    ----------
    path : path-like
        Of a file that `visionpipe.save` wrote.

    Returns
    -------
    estimator

    Raises
    ------
    ValueError
        If there is no such file, it is damaged, or it holds something else.
    """
    model = load(path)
    if not (hasattr(model, "predict") and hasattr(model, "classes_")):
        raise ValueError(f"{path} holds a {type(model).__name__}; wanted a fitted classifier")
    return model
