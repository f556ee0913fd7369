"""What is in a fitted object, piece by piece, and whether two fits have come to the same."""

import types
from functools import partial

import numpy as np
import torch
from skorch import NeuralNet

from visionpipe.identity import describe, digest

__all__ = ["changed", "fitted_state", "name_of", "part_of", "walk"]

_PLAIN = {bool, bytes, complex, float, int, str, type(None)}
_STEP = "step "


def walk(value, path=(), above=()):
    """Yield everything in an object, from the top down.

    Parameters
    ----------
    value : object
    path : tuple of str, default=()
        Where it is.
    above : tuple of int, default=()
        Identities of what it is in, so that what refers back to it comes to an end.

    Yields
    ------
    path : tuple of str
        Steps as "step svm", attributes by their names, items as "[3]" or "[weights]".
    value : object
    is_leaf : bool
        Whether there is nothing more in it.
    """
    if id(value) in above:
        return
    children = _children(value)
    yield path, value, children is None
    for part, child in children or ():
        yield from walk(child, (*path, part), (*above, id(value)))


def fitted_state(value):
    """Digests of everything in an object.

    Looked into are estimators and whatever else has attributes or a state to pickle, dicts, lists
    and tuples, networks and their histories, and arrays of fields, whose padding is anything. What
    cannot be pickled, such as a lock or an open file, counts by its type.

    Parameters
    ----------
    value : object

    Returns
    -------
    dict of tuple of str to (str, int)
        Digest and number of bytes of each leaf, by its path as in `walk`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import StandardScaler
    >>> from visionpipe.leaks.fitted_state import changed, fitted_state
    >>> one, other = (fitted_state(StandardScaler().fit([[0.0], [x]])) for x in (2, 4))
    >>> sorted(changed(one, other))
    [('mean_',), ('scale_',), ('var_',)]
    """
    return {path: (_digest(leaf), _n_bytes(leaf)) for path, leaf, is_leaf in walk(value) if is_leaf}


def changed(one, other):
    """Paths of what differs between two states, or is in one of them only.

    Parameters
    ----------
    one, other : dict
        From `fitted_state`.

    Returns
    -------
    list of tuple of str
        In the order of the first.
    """
    return [path for path in {**one, **other} if one.get(path) != other.get(path)]


def part_of(path):
    """Path of the estimator that a leaf belongs to, as far as steps and items tell.

    Parameters
    ----------
    path : tuple of str

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> from visionpipe.leaks.fitted_state import part_of
    >>> part_of(("best_estimator_", "step svm", "coef_"))
    ('best_estimator_', 'step svm')
    >>> part_of(("[0]", "mean_")), part_of(("mean_",))
    (('[0]',), ())
    """
    steps = [i for i, part in enumerate(path) if part.startswith(_STEP)]
    if steps:
        return path[: steps[-1] + 1]
    return path[: next((i for i, part in enumerate(path) if part[0] != "["), len(path))]


def name_of(path):
    """What a person calls a leaf: its attribute, rather than one of many items in it.

    Parameters
    ----------
    path : tuple of str

    Returns
    -------
    str

    Examples
    --------
    >>> from visionpipe.leaks.fitted_state import name_of
    >>> name_of(("step net", "net_", "[weights]", "[conv1.weight]"))
    'step net, net_[weights]'
    >>> name_of(("[0]", "estimators_", "[7]", "coef_"))
    '[0].estimators_'
    """
    name, in_attribute = "", False
    for part in path:
        if part[0] == "[":
            if in_attribute:
                return name if part[1:-1].isdecimal() else name + part
            name += part
        elif part.startswith(_STEP):
            name, in_attribute = f"{name}, {part}" if name else part, False
        else:
            joint = ", " if name and _ends_in_step(name) else "." if name else ""
            name, in_attribute = name + joint + part, True
    return name or "what was returned"


def _ends_in_step(name):
    return name.rpartition(", ")[2].startswith(_STEP)


# ---------------------------------------------------------------------------- what is in a value


def _children(value):
    """Parts and what they are, or None of a leaf."""
    if type(value) in _PLAIN or isinstance(value, (type, types.FunctionType, torch.Tensor)):
        return None
    if isinstance(value, (np.ndarray, np.generic)):
        return _in_array(value)
    if isinstance(value, dict):
        return [(f"[{_key(key, i)}]", child) for i, (key, child) in enumerate(value.items())]
    if isinstance(value, (list, tuple)):
        return _in_list(value)
    if isinstance(value, partial):
        return [("func", value.func), ("args", value.args), ("keywords", value.keywords)]
    if isinstance(value, NeuralNet):  # whose pickle has all weights in one string
        return _in_attributes(vars(value))
    if callable(getattr(value, "state_dict", None)):
        return list(value.state_dict().items())
    return _in_state(value)


def _key(key, position):
    """A key that is the same after another fit: of other objects, the place."""
    return key if type(key) in _PLAIN else position


def _in_array(array):
    if isinstance(array, np.ma.MaskedArray):  # what is masked may be anything
        return [("mask", np.ma.getmaskarray(array)), ("data", array.compressed())]
    if array.dtype.names is not None:
        return [(f"[{name}]", np.asarray(array[name])) for name in array.dtype.names]
    return [("items", array.ravel().tolist())] if array.dtype.hasobject else None


def _in_list(items):
    if _are_steps(items):
        return _steps(items)
    if all(type(item) in _PLAIN for item in items):
        return None
    return [(f"[{i}]", item) for i, item in enumerate(items)]


def _are_steps(items):
    """Whether these are the steps of a pipeline, or the like: tuples of a name and an estimator."""
    return (
        isinstance(items, list)
        and all(isinstance(i, tuple) and len(i) > 1 and isinstance(i[0], str) for i in items)
        and any(hasattr(i[1], "fit") for i in items)
    )


def _steps(items):
    return [(_STEP + name, what[0] if len(what) == 1 else what) for name, *what in items]


def _in_state(value):
    """What an object pickles, or its attributes where it cannot be pickled."""
    try:
        state = value.__getstate__()
    except Exception:  # each class has its own reasons
        state = getattr(value, "__dict__", None)
    if isinstance(state, dict):
        return _in_attributes(state) if state else None
    return None if state is None else [("state", state)]


def _in_attributes(attributes):
    found = []
    for name, child in attributes.items():
        found += _steps(child) if _are_steps(child) else [(str(name), child)]
    return found


# ------------------------------------------------------------------------------------ of a leaf


def _digest(leaf):
    if type(leaf) in _PLAIN:
        return digest(repr(leaf).encode())
    try:
        return describe(leaf)[0]
    except ValueError:
        return type(leaf).__qualname__


def _n_bytes(leaf):
    if isinstance(leaf, torch.Tensor):
        return leaf.numel() * leaf.element_size()
    if isinstance(leaf, (list, tuple)):
        return 8 * len(leaf)
    return getattr(leaf, "nbytes", 8)
