"""`compare`: every pipeline on identical folds, in one call."""

import warnings

from visionpipe.comparison.comparison import Comparison
from visionpipe.comparison.folds import make_folds
from visionpipe.duplicates import find_duplicates

__all__ = ["compare"]


def compare(
    pipelines,
    X,
    y,
    *,
    cv=None,
    n_repeats=1,
    groups=None,
    parts=None,
    n_train=None,
    tune=False,
    train_sizes=(),
    n_explained=0,
    duplicates=True,
    n_jobs=None,
    random_state=0,
):
    """Compare pipelines on identical folds.

    Parameters
    ----------
    pipelines : dict of str to estimator
        Classifiers of images, by name; they are cloned, never changed. The module of a ready-made
        pipeline, ``pipelines.get("hog_svm")``, stands for what it builds.
    X : array-like of images
        Anything `as_images` takes.
    y : array-like of shape (n_images,)
        Classes.
    cv : int, splitter or iterable, default=None
        Number of stratified folds, or anything that scikit-learn's `cv` may be. None is 5 folds or,
        if there are `parts`, one: learnt on "train", tested on "validation" if there is such a
        part, which leaves "test" for the end, else on "test".
    n_repeats : int, default=1
        How often a number of folds is drawn anew. More of them tell smaller differences apart.
    groups : array-like of shape (n_images,), default=None
        Images of one group never stand on both sides of a split.
    parts : array-like of str of shape (n_images,), default=None
        "train", "validation" or "test" for each image, where a data set comes with a split. Folds
        that `cv` asks for lie within "train".
    n_train : int, default=None
        How many images of each fold to learn from, drawn class by class; None is all.
    tune : bool or dict of str to grid, default=False
        Whether to search each pipeline's parameters by three folds within each training fold: those
        of its module's ``PARAM_GRID``, or of a grid by the pipeline's name. A pipeline without a
        grid is fitted as it is.
    train_sizes : sequence of float or int, default=()
        Of learning curves: shares in 0..1 or numbers of the images to learn from, drawn class by
        class, besides all of them. Curves are measured on the first two folds.
    n_explained : int, default=0
        Images of the first fold to explain in pictures, wrongly classified ones first.
    duplicates : bool, default=True
        Whether to look for pictures that stand on both sides of a split, and warn of them. Every
        file is read for it.
    n_jobs : int, default=None
        Number of folds fitted at the same time, in processes. The first fold of each pipeline is
        fitted alone, so that its times are true; for the others, features are kept in the user's
        store where that is faster, as by ``store="auto"``.
    random_state : int, default=0
        Seed of the shuffling before the folds are made, and of what `n_train` draws; modules are
        built with it. Pipelines bring seeds of their own for the first fold; for every other one,
        each ``random_state`` that is an int is drawn anew, lest a lucky seed pass for a better
        recipe.

    Returns
    -------
    Comparison
        A pipeline that fails has a row that says why.

    Raises
    ------
    ValueError
        If `X` are not images, lengths differ, a class has fewer images than there are folds, folds
        overlap, or there are fewer images to learn from than `n_train`.

    Warns
    -----
    UserWarning
        If pictures stand on both sides of a split, or a fold has no images of a class.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> from visionpipe import HOG, Pixels, compare, load_faces
    >>> faces = load_faces()
    >>> comparison = compare(
    ...     {"pixels": make_pipeline(Pixels(), SVC()), "hog": make_pipeline(HOG(), SVC())},
    ...     faces.images,
    ...     faces.target,
    ... )
    >>> [(row.pipeline, row.accuracy > 0.9) for row in comparison.rows]
    [('pixels', True), ('hog', True)]
    """
    folds = make_folds(
        X, y, cv=cv, n_repeats=n_repeats, groups=groups, parts=parts, n_train=n_train,
        random_state=random_state,
    )  # fmt: skip
    comparison = Comparison(X, y, folds, groups=groups, random_state=random_state)
    if duplicates and comparison.images is not None:
        comparison.note_duplicates(find_duplicates(comparison.images))
    for text in comparison.warnings:
        warnings.warn(text, stacklevel=2)
    return comparison.add(
        pipelines, tune=tune, train_sizes=train_sizes, n_explained=n_explained, n_jobs=n_jobs
    )
