"""What an encoder learns from a training set, learned once."""

from hashlib import sha256
from io import BytesIO
from numbers import Integral

import numpy as np
import sklearn

from visionpipe.base import identity, resolve_device
from visionpipe.once import digest_of_arrays
from visionpipe.store import as_store

__all__ = ["learn_once", "learned_state"]


def learn_once(encoder, source, learn):
    """Let an encoder learn, or remember what it has learned from the same in the same way.

    That takes a store and a seed: what is learned with ``random_state=None`` is never the same.

    Parameters
    ----------
    encoder : estimator
        With parameters ``store``, ``random_state`` and ``device``. Gets attributes that end in
        ``_``, arrays and numbers.
    source : Images or Descriptors
        The training set; its order counts.
    learn : callable
        Called without arguments, sets those attributes.
    """
    store = as_store(encoder.store)
    if store is None or not isinstance(encoder.random_state, Integral):
        learn()
        return
    how = (
        f"learned by {identity(encoder)}, random_state={int(encoder.random_state)}, on "
        f"{resolve_device(encoder.device).type}, scikit-learn {sklearn.__version__}\n"
    )
    key = sha256(how.encode() + source.digests().tobytes()).digest()[:16]
    rows = store.get([key])
    if rows:
        vars(encoder).update(_loaded(rows[key][1]))
        return
    before = dict(vars(encoder))
    learn()
    learned = {
        name: value
        for name, value in vars(encoder).items()
        if name.endswith("_") and before.get(name) is not value
    }
    store.put({key: (b"", _dumped(learned))})


def _dumped(arrays):
    file = BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def _loaded(value):
    with np.load(BytesIO(value), allow_pickle=False) as arrays:
        return {name: array.item() if array.ndim == 0 else array for name, array in arrays.items()}


def learned_state(encoder, *names):
    """Digest of what an encoder has learned.

    Parameters
    ----------
    encoder : estimator
        Fitted.
    *names : str
        Attributes that count; none stands for all that end in ``_``.

    Returns
    -------
    str
        SHA-256, hexadecimal.
    """
    names = names or [name for name in vars(encoder) if name.endswith("_")]
    return digest_of_arrays({name: getattr(encoder, name) for name in names})
