"""The same pipeline fitted on the same training images, beside other held-out ones."""

import operator
import random
import sys
import types
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from sklearn.base import clone
from sklearn.utils import _safe_indexing

from visionpipe.base import resolve_device
from visionpipe.comparison.fold_run import in_one_line
from visionpipe.deep.net import seeded
from visionpipe.leaks.fitted_state import changed, fitted_state, name_of, part_of

__all__ = ["Data", "compare_fits", "shortened"]


@dataclass(frozen=True)
class Data:
    """A data set as it is, and what takes its place where images are held out.

    Attributes
    ----------
    X, y : array-like of length n
        As users gave them.
    noisy_X : array-like of length n
    noisy_y : ndarray of shape (n,)
    fold : (ndarray of int, ndarray of int)
        Rows to learn from, and rows to test on.
    seed : int
        Of whatever draws without a seed of its own.
    """

    X: object
    y: object
    noisy_X: object
    noisy_y: np.ndarray
    fold: tuple
    seed: int

    @cached_property
    def places(self):
        """Global variables that hold the very `X` or `y`: what assigns to them, and which."""
        return [*_places_of(self.X, self.y)]


def compare_fits(name, pipeline, data):
    """Fit a pipeline on either data, and see what of it differs.

    Parameters
    ----------
    name : str
        Its name, for messages.
    pipeline : estimator or callable
        As in `visionpipe.leaks.check.leak_check`.
    data : Data

    Returns
    -------
    learned : list of str
        Names of what depends on the held-out images.
    varying : list of str
        Names of what differs between two fits on the same data too. Those are only made if
        something differs with noise.

    Raises
    ------
    ValueError
        If so much differs by itself that nothing can be said, or a function returns None.
    Exception
        Whatever the pipeline raises on the data as they are.
    """
    labels = np.asarray(data.y)
    as_it_is = partial(_state, pipeline, data.X, labels, data)
    before = _noted(as_it_is, f"leak_check was fitting {name} on the data as they are")
    noisy = [(data.noisy_X, data.noisy_y)]
    if not hasattr(pipeline, "fit"):
        # What was the best of several, by a score on held-out images, is the worst by such labels;
        # by noise, it may happen to be the best again
        noisy.append((data.X, data.noisy_y))
    by_itself = None
    for X, y in noisy:
        differing, reason = _differing(before, pipeline, X, y, data)
        if not (differing or reason):
            continue
        if by_itself is None:
            note = f"leak_check was fitting {name} on the same data for the second time"
            by_itself = changed(before, _noted(as_it_is, note))
        if reason:
            return [f"the fit itself, which fails with noise ({reason})"], _names(by_itself)
        if learned := _not_by_itself(name, before, differing, by_itself):
            return _names(learned), _names(by_itself)
    return [], _names(by_itself or [])


def _differing(before, pipeline, X, y, data):
    """Paths of what differs with noise, and why the fit failed, if it did."""
    try:
        with _in_variables(pipeline, X, y, data):
            return changed(before, _state(pipeline, X, y, data)), None
    except Exception as error:
        return [], in_one_line(error)


def _not_by_itself(name, before, differing, by_itself):
    hopeless, varying = _mostly_varying(before, by_itself), set(by_itself)
    learned = [p for p in differing if p not in varying and part_of(p) not in hopeless]
    if hopeless and not learned:
        raise ValueError(
            f"nothing can be said about {name}: {shortened(_names(by_itself))} differ between two "
            "fits on the same data; give it a random_state, and let a function begin afresh each "
            "time it is called"
        )
    return learned


def shortened(names):
    """The first of some names, and how many there are besides."""
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _noted(function, note):
    try:
        return function()
    except Exception as error:
        error.add_note(note)
        raise


def _mostly_varying(state, by_itself):
    """Parts more than half of whose bytes differ by themselves: little else in them is telling.

    A single number that a function returns besides may be a time.
    """
    n_bytes, n_varying, varying = defaultdict(int), defaultdict(int), set(by_itself)
    for path, (_, size) in state.items():
        n_bytes[part_of(path)] += size
        n_varying[part_of(path)] += size * (path in varying)
    return {part for part, size in n_bytes.items() if 2 * n_varying[part] > size > 8}


def _names(paths):
    """Part by part, what users know of each first."""
    parts = list(dict.fromkeys(map(part_of, paths)))
    paths = sorted(paths, key=lambda path: (parts.index(part_of(path)), _is_private(path)))
    return list(dict.fromkeys(map(name_of, paths)))


def _is_private(path):
    return any(part.startswith("_") for part in path)


def _state(pipeline, X, y, data):
    """What a pipeline is after a fit, as digests: no two fits are in memory at once."""
    train, test = (rows.copy() for rows in data.fold)
    with _same_draws(data.seed):
        if hasattr(pipeline, "fit"):
            fitted = clone(pipeline)
            fitted.fit(_safe_indexing(X, train), y[train])
        else:
            fitted = pipeline(X, y.copy(), train, test)
    if fitted is None:
        raise ValueError("the function returned None; wanted everything that it has fitted")
    return fitted_state(fitted)


@contextmanager
def _same_draws(seed):
    """Draw the same from the generators that all share, and leave them as they were."""
    of_python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    try:
        with seeded(seed, resolve_device("auto")):
            yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)  # noqa: NPY002


# ------------------------------------------------------------- variables that hold the data


@contextmanager
def _in_variables(pipeline, X, y, data):
    """Let variables from outside that hold the very data hold these meanwhile."""
    y = y.tolist() if isinstance(data.y, list) else y
    places = [*data.places, *_places_in_closure(pipeline, data.X, data.y)]
    try:
        for assign, is_X in places:
            assign(X if is_X else y)
        yield
    finally:
        for assign, is_X in places:
            assign(data.X if is_X else data.y)


def _places_of(X, y):
    """Yield what assigns to global variables and to items of dicts that are such."""
    # by exact types: proxies and modules that load when they are looked at are let alone
    spaces = [vars(m) for m in list(sys.modules.values()) if type(m) is types.ModuleType]
    spaces += [v for s in spaces for v in list(s.values()) if issubclass(type(v), dict)]
    for space in {id(space): space for space in spaces}.values():  # most have the same builtins
        for name, value in list(space.items()):
            if value is X or value is y:
                yield partial(operator.setitem, space, name), value is X


def _places_in_closure(pipeline, X, y):
    for cell in getattr(pipeline, "__closure__", None) or ():
        if cell == types.CellType():  # an empty one
            continue
        if cell.cell_contents is X or cell.cell_contents is y:
            yield partial(setattr, cell, "cell_contents"), cell.cell_contents is X
