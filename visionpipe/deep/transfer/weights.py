"""Weights of one network as the beginning of another: where they come from and where they go."""

import os
import warnings
from collections import namedtuple
from functools import partial

import torch
from sklearn.frozen import FrozenEstimator

from visionpipe.deep.fitted import HoldsNetwork
from visionpipe.deep.transfer.published import published
from visionpipe.deep.transfer.weights_file import read_weights

__all__ = [
    "Fitted",
    "Weights",
    "class_tensors",
    "fit_weights",
    "imagined",
    "is_counter",
    "weights_from",
]

N_SHOWN = 3  # mismatches in an error

Weights = namedtuple("Weights", ["tensors", "mean", "std", "source"])
Weights.__doc__ = """Weights of a trained network, and the pixels it was trained on.

``tensors`` by name; ``mean`` and ``std``, arrays of float32 (c,), by which pixels on the scale 0..1
were standardised, or None where that is unknown; ``source``, in words for messages.
"""

Fitted = namedtuple("Fitted", ["tensors", "of_classes", "n_channels", "n_classes", "mean", "std"])
Fitted.__doc__ = """Weights under the names of the network that is to have them.

``tensors`` by name, but those whose shape depends on the number of classes, which are in
``of_classes``; ``n_channels`` of the images that the network takes; ``n_classes`` it told apart;
``mean`` and ``std`` as in `Weights`.
"""


def weights_from(source, *, name, owner):
    """Weights of a fitted classifier, of a file, or published ones.

    Parameters
    ----------
    source : CNNClassifier, FrozenEstimator of one, path-like or "pretrained"
    name : str or class
        Of the network that is to have them; names the published ones.
    owner : str
        Parameter that the source is the value of, for messages.

    Returns
    -------
    Weights

    Raises
    ------
    ValueError
        If the source is nothing of these, the classifier is not fitted, or there is no file, or no
        sound one.
    ImportError
        If published weights are asked for, and no package that has them can be imported.
    """
    if isinstance(source, FrozenEstimator):
        source = source.estimator
    if isinstance(source, str) and source == "pretrained":
        module, mean, std = published(name, owner=owner)
        return Weights(module.state_dict(), mean, std, f"published as {name!r}")
    if isinstance(source, HoldsNetwork) and hasattr(source, "predict_proba"):
        return _of_classifier(source, owner)
    if not isinstance(source, (str, os.PathLike)):
        kind = source.__name__ if isinstance(source, type) else type(source).__name__
        raise ValueError(
            f"{owner} is of type {kind}; wanted a fitted CNNClassifier, which of a Pipeline is its "
            "last step, a FrozenEstimator of one, the path of a file, or 'pretrained'"
        )
    return Weights(read_weights(source), None, None, str(source))


def _of_classifier(classifier, owner):
    if not hasattr(classifier, "net_"):
        kind = type(classifier).__name__
        raise ValueError(
            f"{owner} is a {kind} that is not fitted; fit it before and, because searches clone "
            f"parameters and clones are not fitted, pass FrozenEstimator({kind.lower()})"
        )
    return Weights(
        classifier.module_.state_dict(),
        classifier.pixel_mean_,
        classifier.pixel_std_,
        f"a fitted {type(classifier).__name__}",
    )


def class_tensors(build):
    """Names of the tensors whose shape depends on the number of classes, with the axis that does.

    Parameters
    ----------
    build : callable
        Of ``n_classes``; returns a network. Torch's random generators are left as they were.

    Returns
    -------
    dict of str to int
    """
    one, other = (shapes_of(imagined(partial(build, n_classes=n))) for n in (2, 3))
    return {
        name: next(axis for axis, n in enumerate(shape) if n != one[name][axis])
        for name, shape in other.items()
        if shape != one[name]
    }


def imagined(build):
    """A network whose tensors have shapes and no values, if it can be built so."""
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                return build()
        except (NotImplementedError, RuntimeError):  # a constructor of the user's looks at values
            return build()


def shapes_of(module):
    """Shape of each tensor of a module's state, by name."""
    return {
        name: tuple(value.shape)
        for name, value in module.state_dict().items()
        if isinstance(value, torch.Tensor)
    }


def fit_weights(weights, build, n_channels, *, owner):
    """Weights under the names of the network that is to have them.

    Tensors go by their names; where no name agrees, by their order, if all shapes do.

    Parameters
    ----------
    weights : Weights
    build : callable
        Of ``n_channels`` and ``n_classes``; returns a network.
    n_channels : int
        Of the images. Grey ones can be seen by a network of RGB images, too.
    owner : str
        Parameter that the weights are the value of, for messages.

    Returns
    -------
    Fitted

    Raises
    ------
    ValueError
        If they do not fit; it lists the first tensors that do not.

    Warns
    -----
    UserWarning
        If tensors were matched by their order, or some were left over.
    """
    for channels in (n_channels, 3) if n_channels == 1 else (n_channels,):
        own = partial(build, n_channels=channels)
        axes = class_tensors(own)
        found = _match(weights, own, axes, owner)
        if found is not None:
            _warn_of_others(weights, found, owner)
            tensors, of_classes, n_classes = _told_apart(found, own, axes)
            has_statistics = weights.mean is not None and len(weights.mean) == channels
            mean, std = (weights.mean, weights.std) if has_statistics else (None, None)
            return Fitted(tensors, of_classes, channels, n_classes, mean, std)
    own, of_grey = (partial(build, n_channels=n) for n in (n_channels, 1))
    if n_channels == 3 and _match(weights, of_grey, class_tensors(of_grey), owner) is not None:
        raise ValueError(f"{owner}: {weights.source} is for grey images; put Grayscale() before it")
    ours, _ = _wanted(own, class_tensors(own))
    raise ValueError(_mismatch(weights, ours, owner))


def _wanted(build, axes):
    """Shapes of the tensors to be taken over, and the names of all, without counters."""
    shapes = shapes_of(imagined(partial(build, n_classes=2)))
    names = [n for n in shapes if not is_counter(n)]
    return {n: shapes[n] for n in names if n not in axes}, names


def _match(weights, build, axes, owner):
    """Tensors by the network's names, if those that do not depend on classes are of its shapes."""
    ours, names = _wanted(build, axes)
    found = {n: tensor for n, tensor in weights.tensors.items() if not is_counter(n)}
    is_renamed = not {*ours} & {*found} and len(names) == len(found)
    if is_renamed:
        found = dict(zip(names, found.values(), strict=True))
    if any(n not in found or tuple(found[n].shape) != shape for n, shape in ours.items()):
        return None
    if is_renamed:
        warnings.warn(
            f"{owner}: the tensors of {weights.source} have other names than this network's; they "
            "were matched by their order, in which all shapes agree",
            stacklevel=2,
        )
    return {n: found[n] for n in names if n in found}


def _warn_of_others(weights, found, owner):
    given = [name for name in weights.tensors if not is_counter(name)]
    if len(given) > len(found):
        others = [name for name in given if name not in found]
        warnings.warn(
            f"{owner}: the network has no place for {len(others)} tensors of {weights.source}, "
            f"{', '.join(others[:N_SHOWN])} first; they are left out",
            stacklevel=2,
        )


def _told_apart(found, build, axes):
    """Tensors that do not depend on the classes, those that do, and the number of classes.

    The latter are none, and the number is 2, if they are not of one and the same number.
    """
    shared = {n: tensor for n, tensor in found.items() if n not in axes}
    name, axis = next(iter(axes.items()), (None, 0))
    if name in found and axis < found[name].ndim:
        n_classes = found[name].shape[axis]
        wanted = shapes_of(imagined(partial(build, n_classes=n_classes)))
        of_classes = {n: found[n] for n in axes if n in found}
        if {n: tuple(t.shape) for n, t in of_classes.items()} == {n: wanted[n] for n in axes}:
            return shared, of_classes, n_classes
    return shared, {}, 2


def is_counter(name):
    """Whether it counts batches, which says nothing of what was learned, and older files lack."""
    return name.endswith("num_batches_tracked")


def _mismatch(weights, ours, owner):
    found = {name: tuple(tensor.shape) for name, tensor in weights.tensors.items()}
    wrong = []
    for name, shape in ours.items():
        if name not in found:
            wrong.append(f"{name} of shape {shape} is missing")
        elif found[name] != shape:
            wrong.append(f"{name} is of shape {found[name]}, wanted {shape}")
    more = f", and {len(wrong) - N_SHOWN} more" if len(wrong) > N_SHOWN else ""
    return (
        f"{owner}: {weights.source} does not fit the network: {'; '.join(wrong[:N_SHOWN])}{more}. "
        f"It begins with {', '.join(list(found)[:N_SHOWN])}; wanted weights of the same network, "
        "for images of the same size and channels (the number of classes may differ)"
    )
