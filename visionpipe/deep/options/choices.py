"""What CNNClassifier's words stand for: networks, optimizers, losses, schedules, precisions.

Each function of a parameter's name returns keyword arguments for skorch's net.
"""

import copy
from functools import partial
from inspect import signature
from types import NoneType

import torch
from skorch.callbacks import LRScheduler
from torch import nn

from visionpipe import networks
from visionpipe.deep.training.muon import Muon
from visionpipe.deep.training.schedule import SHARES, Schedule

# fused: one kernel updates all weights, where torch's default runs ten small ones for each of them.
_OPTIMIZERS = {
    "adam": (torch.optim.Adam, {"fused": True}),
    "adamw": (torch.optim.AdamW, {"fused": True}),
    "muon": (Muon, {}),
    "nesterov": (torch.optim.SGD, {"fused": True, "momentum": 0.9, "nesterov": True}),
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
    return look_up("optimizer", value, _OPTIMIZERS)


def criterion(value, weighted):
    """A loss by its name, or a class; one that returns a loss for each image if they have weights.

    Parameters
    ----------
    value : str or class
    weighted : bool
        Whether the losses of a batch will be weighted.
    """
    options = look_up("criterion", value, _CRITERIA)
    if weighted:
        if not can_be_weighted(value):
            raise ValueError(
                f"class_weight and sample_weight need a loss for each image, and criterion="
                f"{options['criterion'].__name__} takes no reduction='none'"
            )
        options["criterion__reduction"] = "none"
    return options


def can_be_weighted(criterion):
    """Whether a loss, by its name or a class, can return one number for each image."""
    chosen = look_up("criterion", criterion, _CRITERIA)["criterion"]
    return "reduction" in signature(chosen).parameters


def look_up(parameter, value, known):
    """A class by its name, with its options, or a class of torch's or the user's.

    Parameters
    ----------
    parameter : str
        Of the estimator; the key that the class is returned under.
    value : str or class
    known : dict of str to (class, dict)
    """
    if isinstance(value, type):
        return {parameter: value}
    if isinstance(value, (nn.Module, torch.optim.Optimizer)):
        name = type(value).__name__
        raise ValueError(
            f"{parameter} is an instance of {name}; pass the class, {parameter}={name}, and its "
            f"options as {parameter}__*"
        )
    if not isinstance(value, str) or value not in known:
        names = ", ".join(map(repr, known))
        raise ValueError(f"{parameter}={value!r} is unknown; pass a torch class or one of {names}")
    chosen, options = known[value]
    return {parameter: chosen, **{f"{parameter}__{name}": o for name, o in options.items()}}


def schedule(name, options):
    """Callbacks, none or one, for a learning-rate schedule by name and its options."""
    if name in (None, "constant"):
        if options:
            raise ValueError(f"lr_schedule={name!r} takes no options, but got {options}")
        return []
    if name not in SHARES:
        known = ", ".join(map(repr, sorted([*SHARES, "constant"])))
        raise ValueError(f"lr_schedule={name!r} is unknown; it must be one of {known} or None")
    return [("lr_schedule", Schedule(name, **options))]


def copies_of(callbacks):
    """Copies of the user's callbacks: skorch changes them, and the next fold must not see that."""
    _check_are_callbacks(callbacks)
    try:
        return copy.deepcopy(callbacks or [])
    except TypeError:  # one of them holds a file, a lock or a connection: let the copy share it
        pairs = (item if isinstance(item, (tuple, list)) else (None, item) for item in callbacks)
        return [copy.copy(c) if name is None else (name, copy.copy(c)) for name, c in pairs]


def _check_are_callbacks(callbacks):
    wanted = "callbacks must be a list of skorch callbacks, or of pairs (name, callback)"
    if not isinstance(callbacks, (list, tuple, NoneType)):
        raise ValueError(f"{wanted}, but got {callbacks!r}; put it into a list")
    for item in callbacks or []:
        callback = item[-1] if isinstance(item, (list, tuple)) and len(item) == 2 else item
        if callback is not None and not hasattr(callback, "on_epoch_end"):
            raise ValueError(f"{wanted}, but holds {item!r}; scikit-learn's go to set_callbacks")


def tensorboard(directory, classes):
    """Callbacks, none or one, that write TensorBoard's logs.

    Parameters
    ----------
    directory : path-like or None
    classes : ndarray of shape (n_classes,) or None
        Labels, by which the logs call the classes.
    """
    if directory is None:
        return []
    from visionpipe.deep.tensorboard.log import TensorBoardLog, import_summary_writer

    import_summary_writer("CNNClassifier(tensorboard=...)")
    return [("tensorboard", TensorBoardLog(directory, classes))]


def check_callbacks(initialised, prefixed, lr_schedule, validates):
    """Raise a ValueError if callbacks want what this training will not give them.

    Parameters
    ----------
    initialised : list of (name, callback)
        Of skorch's net.
    prefixed : iterable of str
        Names of parameters, of which those of callbacks have to be of one that there is.
    lr_schedule : str or None
    validates : bool
        Whether there are validation images.
    """
    names = [name for name, _ in initialised]
    for parameter in prefixed:
        prefix, _, rest = parameter.partition("__")
        if prefix == "callbacks" and rest.partition("__")[0] not in names:
            raise ValueError(
                f"{parameter} is a parameter of no callback; their names are {', '.join(names)}"
            )
    for _, callback in initialised:
        if lr_schedule not in (None, "constant") and isinstance(callback, LRScheduler):
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


def computes_in_bfloat16(precision, device):
    """Whether a precision, on a device, means bfloat16 where torch deems that safe."""
    if precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return precision == "bfloat16"
