"""Training and test images of sets that have no official split."""

import numpy as np


def split_classes(target, n_train, n_test=None, *, seed):
    """Draw training and test images of each class.

    Parameters
    ----------
    target : ndarray of int of shape (n,)
    n_train : int
        How many of each class to train on.
    n_test : int, default=None
        How many others of each class to test on, at most; None takes all others.
    seed : int

    Returns
    -------
    train, test : ndarray of int
    """
    rng = np.random.default_rng(seed)
    drawn = [rng.permutation(np.flatnonzero(target == label)) for label in np.unique(target)]
    stop = None if n_test is None else n_train + n_test
    train = np.concatenate([order[:n_train] for order in drawn])
    test = np.concatenate([order[n_train:stop] for order in drawn])
    return train, test
