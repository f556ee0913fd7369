"""What CNNClassifier's words stand for: networks, optimizers, losses, callbacks.

Each function of a parameter's name returns keyword arguments for skorch's net.
"""

import copy
from functools import partial

import torch
from skorch.callbacks import LRScheduler
from torch import nn

from visionpipe import networks
from visionpipe.deep.schedule import OneCycle

# fused: one kernel updates all weights, where torch's default runs ten small ones for each of them.
_OPTIMIZERS = {
    "adam": (torch.optim.Adam, {"fused": True}),
    "adamw": (torch.optim.AdamW, {"fused": True}),
    "sgd": (torch.optim.SGD, {"fused": True, "momentum": 0.9}),
}
_CRITERIA = {"cross_entropy": (nn.CrossEntropyLoss, {"label_smoothing": 0.02})}
_VALIDATION_SCORES = ("valid_loss", "valid_loss_best", "valid_acc", "valid_acc_best")


def module(value):
    """A network of `visionpipe.networks` by its name, or a class of the user's."""
    if isinstance(value, nn.Module):
        name = type(value).__name__
        raise ValueError(
            f"module is an instance of {name}; pass the class, module={name}, and its options as "
            "module__*: clone would carry an instance's trained weights into the next fold"
        )
    if callable(value):
        return {"module": value}
    if value in networks.names():
        return {"module": partial(networks.create, value)}
    known = ", ".join(map(repr, networks.names()))
    raise ValueError(f"module={value!r} is unknown; pass a torch module class or one of {known}")


def optimizer(value):
    """An optimizer by its name, or a class of torch's or the user's."""
    return _look_up("optimizer", value, _OPTIMIZERS)


def criterion(value):
    """A loss by its name, or a class of torch's or the user's."""
    return _look_up("criterion", value, _CRITERIA)


def _look_up(parameter, value, known):
    if isinstance(value, type):
        return {parameter: value}
    if value not in known:
        names = ", ".join(map(repr, known))
        raise ValueError(f"{parameter}={value!r} is unknown; pass a torch class or one of {names}")
    chosen, options = known[value]
    return {parameter: chosen, **{f"{parameter}__{name}": o for name, o in options.items()}}


def callbacks(value, lr_schedule):
    """The schedule, then copies of the user's: skorch changes them, the next fold must not see."""
    try:
        copies = copy.deepcopy(value or [])
    except TypeError:  # one of them holds a file, a lock or a connection: let the copy share it
        pairs = (item if isinstance(item, (tuple, list)) else (None, item) for item in value)
        copies = [copy.copy(c) if name is None else (name, copy.copy(c)) for name, c in pairs]
    if lr_schedule not in ("one_cycle", None):
        raise ValueError(f"lr_schedule={lr_schedule!r} is unknown; it must be 'one_cycle' or None")
    return {"callbacks": [("lr_schedule", OneCycle()), *copies] if lr_schedule else copies}


def check_callbacks(initialised, lr_schedule, validates):
    """Raise a ValueError if callbacks want what this training will not give them.

    Parameters
    ----------
    initialised : list of (name, callback)
        Of skorch's net.
    lr_schedule : str or None
    validates : bool
        Whether there are validation images.
    """
    for _, callback in initialised:
        if lr_schedule and isinstance(callback, LRScheduler):
            raise ValueError(
                f"an LRScheduler and lr_schedule={lr_schedule!r} would both set the learning "
                "rate; pass lr_schedule=None"
            )
        monitor = getattr(callback, "monitor", None)
        if not validates and isinstance(monitor, str) and monitor in _VALIDATION_SCORES:
            raise ValueError(
                f"{type(callback).__name__}(monitor={monitor!r}) needs validation images; set "
                "validation_fraction, for instance to 0.1, or monitor='train_loss'"
            )
