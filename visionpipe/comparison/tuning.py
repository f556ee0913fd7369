"""Nested search: parameters chosen inside of the training images of a fold."""

import time
from dataclasses import dataclass

from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from visionpipe.comparison.folds import make_folds
from visionpipe.store import use_store

__all__ = ["Tuned", "tune"]

N_INNER_FOLDS = 3


@dataclass(frozen=True)
class Tuned:
    """What a search has chosen.

    Attributes
    ----------
    pipeline : estimator
        With the chosen parameters, not fitted.
    chosen : dict of str to object
    n_fits : int
    seconds : float
    """

    pipeline: object
    chosen: dict
    n_fits: int
    seconds: float


def tune(pipeline, grid, X, y, *, groups=None, random_state=0):
    """Search a grid by accuracy over stratified folds of some images.

    What is computed of an image is kept in a store, where that is faster, and not for the pipeline
    that is returned: its times are those of a pipeline that nobody has searched.

    Parameters
    ----------
    pipeline : estimator
    grid : dict or list of dict
        As `GridSearchCV` takes it.
    X, y, groups
        Of the training images only.
    random_state : int, default=0
        Seed of the folds.

    Returns
    -------
    Tuned

    Raises
    ------
    ValueError
        If a class has fewer images than there are folds, or the grid does not suit the pipeline.
    """
    start = time.perf_counter()
    folds = make_folds(X, y, cv=N_INNER_FOLDS, groups=groups, random_state=random_state)
    search = GridSearchCV(
        use_store(clone(pipeline), "auto"), grid, cv=folds, refit=False, error_score="raise"
    ).fit(X, y)
    return Tuned(
        pipeline=clone(pipeline).set_params(**search.best_params_),
        chosen=search.best_params_,
        n_fits=len(search.cv_results_["params"]) * len(folds),
        seconds=time.perf_counter() - start,
    )
