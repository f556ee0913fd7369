"""Whether CNNClassifier's parameters make sense, seen before anything is read."""

import os
from numbers import Integral, Real

import numpy as np

from visionpipe.base import check_choice, refuse
from visionpipe.deep.data.augmentation import Augmentation
from visionpipe.deep.data.views import check_tta

COUNT = (Integral, "a whole number from 1", lambda n: n >= 1)
_SHARE = (Real, "a number between 0 and 1", lambda part: 0 < part < 1)
POSITIVE = (Real, "a positive number", lambda value: 0 < value < np.inf)
FROM_ZERO = (Real, "a number from 0", lambda value: 0 <= value < np.inf)
_NUMBERS = {
    "max_epochs": COUNT,
    "batch_size": COUNT,
    "n_iter_no_change": COUNT,
    "n_tests": COUNT,
    "lr": POSITIVE,
}
_NUMBERS_OR_NONE = {
    "clip_grad_norm": POSITIVE,
    "ema_decay": _SHARE,
    "freeze_epochs": COUNT,
    "validation_fraction": _SHARE,
    "weight_decay": FROM_ZERO,
}


def check(classifier):
    """Raise a ValueError that names the first parameter that makes no sense.

    Those that are words are looked up in `visionpipe.deep.options.choices`.
    """
    for name, wanted in _NUMBERS.items():
        require(classifier, name, *wanted)
    for name, wanted in _NUMBERS_OR_NONE.items():
        require_or_none(classifier, name, *wanted)
    check_choice(
        classifier,
        early_stopping=(False, True),
        warm_start=(False, True),
        channels_last=("auto", True, False),
        precision=("auto", "float32", "bfloat16"),
    )
    _check_transfer(classifier)
    for name in ("checkpoint", "tensorboard"):
        folder = getattr(classifier, name)
        if folder is not None and (not isinstance(folder, (str, os.PathLike)) or not str(folder)):
            refuse(classifier, name, "None or the path of a folder")
    _check_prefixed(classifier)
    if classifier.augmentation is not None:
        if not isinstance(classifier.augmentation, Augmentation):
            refuse(classifier, "augmentation", "None or an Augmentation")
        classifier.augmentation.check()
    check_tta(classifier.tta, crop_size_of(classifier))


def _check_prefixed(classifier):
    """Refuse options that two parameters, or the classifier itself, would decide."""
    options = classifier.get_params(deep=False)
    if "criterion__reduction" in options:
        raise ValueError(
            "criterion__reduction is for CNNClassifier to choose, which weights images and takes "
            "the mean; leave it out"
        )
    check_one_weight_decay(classifier)


def _check_transfer(classifier):
    if classifier.freeze is not None and classifier.freeze != "features":
        kind, wanted, holds = COUNT
        require(classifier, "freeze", kind, f"None, 'features' or {wanted}", holds)
    if classifier.freeze_epochs is not None and classifier.freeze is None:
        raise ValueError(
            f"freeze_epochs={classifier.freeze_epochs} has nothing to freeze; set freeze, for "
            "instance to 'features', or leave freeze_epochs out"
        )
    factors = classifier.lr_mult
    kind, _, is_positive = POSITIVE
    for factor in factors.values() if isinstance(factors, dict) else [factors]:
        if isinstance(factor, bool) or not isinstance(factor, kind) or not is_positive(factor):
            refuse(classifier, "lr_mult", "a positive number, or a dict of layer to such numbers")


def check_one_weight_decay(estimator):
    """Raise a ValueError if two parameters decide it."""
    if estimator.weight_decay is not None and "optimizer__weight_decay" in estimator.get_params():
        raise ValueError(
            "weight_decay, of filters and matrices, and optimizer__weight_decay, of all weights, "
            "are both set; set one of them, or weight_decay=None"
        )


def require(estimator, name, kind, wanted, holds):
    """Raise a ValueError unless a parameter is a number that will do, such as `COUNT`."""
    value = getattr(estimator, name)
    if isinstance(value, bool) or not isinstance(value, kind) or not holds(value):
        refuse(estimator, name, wanted)


def require_or_none(estimator, name, kind, wanted, holds):
    """Raise a ValueError unless a parameter is None or such a number."""
    if getattr(estimator, name) is not None:
        require(estimator, name, kind, f"None or {wanted}", holds)


def crop_size_of(classifier):
    """Height and width of what the network sees of an image, or None, which is all of it."""
    size = classifier.crop_size
    if size is None:
        return None
    pair = (size, size) if np.ndim(size) == 0 else tuple(size)
    if len(pair) != 2 or not all(map(_is_length, pair)):
        refuse(classifier, "crop_size", "None, a positive int, or a pair of them")
    return tuple(map(int, pair))


def _is_length(value):
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= 1
