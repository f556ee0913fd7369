"""The folds that all pipelines of a comparison share."""

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, check_cv

__all__ = ["draw_rows", "make_folds"]


def make_folds(
    X, y, *, cv=None, n_repeats=1, groups=None, parts=None, n_train=None, random_state=0
):
    """Make the folds that all pipelines share.

    Parameters
    ----------
    X, y, cv, n_repeats, groups, parts, n_train, random_state
        As in `visionpipe.compare`.

    Returns
    -------
    list of (train, test)
        Index arrays; the folds of the first repeat come first.

    Raises
    ------
    ValueError
        As `visionpipe.compare`.
    """
    if len(X) != len(y):
        raise ValueError(f"there are {len(X)} images and {len(y)} labels; wanted as many of both")
    y, parts = np.asarray(y), _checked_parts(parts, len(y))
    if parts is not None and cv is None:
        _check_repeats(n_repeats, "the split that the data comes with")
        folds = [_split(parts, y)]
    else:
        rows = np.arange(len(y)) if parts is None else _rows_of_train(parts)
        folds = _folds_of(rows, y, 5 if cv is None else cv, n_repeats, groups, random_state)
    _check_apart(folds, len(y))
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


def _folds_of(rows, y, cv, n_repeats, groups, random_state):
    """Folds of some of the images."""
    y, groups = y[rows], None if groups is None else np.asarray(groups)[rows]
    if isinstance(cv, (int, np.integer)):
        _check_class_sizes(y, groups, cv)
        splitter = StratifiedKFold if groups is None else StratifiedGroupKFold
        seeds = range(random_state, random_state + n_repeats)
        splitters = [splitter(int(cv), shuffle=True, random_state=seed) for seed in seeds]
    else:
        _check_repeats(n_repeats, f"cv={cv!r}")
        splitters = [check_cv(cv, y, classifier=True)]
    return [
        (rows[train], rows[test])
        for splitter in splitters
        for train, test in splitter.split(np.zeros(len(y)), y, groups)
    ]


def _check_repeats(n_repeats, what):
    if n_repeats != 1:
        raise ValueError(
            f"n_repeats={n_repeats}: {what} cannot be drawn anew; give a number of folds as cv"
        )


def _check_apart(folds, n_images):
    """Refuse folds, which may be the user's, in which an image is learned and tested on."""
    for number, (train, test) in enumerate(folds):
        rows = np.concatenate([train, test])
        if not len(train) or not len(test):
            raise ValueError(f"fold {number} has no images to learn from, or none to test on")
        if rows.min() < 0 or rows.max() >= n_images:
            raise ValueError(
                f"fold {number} asks for images {rows.min()} to {rows.max()}; there are {n_images}"
            )
        n_shared = len(np.intersect1d(train, test))
        if n_shared:
            raise ValueError(
                f"fold {number} tests on {n_shared} images that it learns from too; what was "
                "learned by heart would be counted as known: give folds that do not overlap"
            )


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
    >>> from visionpipe.comparison.folds import draw_rows
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
