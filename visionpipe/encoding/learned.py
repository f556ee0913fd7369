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
        With parameters ``store``, ``random_state`` and ``device``. Its class has ``_learned``, the
        names of attributes that may be learned: arrays and numbers.
    source : Images or Descriptors
        The training set; its order counts.
    learn : callable
        Called without arguments, sets some of those attributes.
    """
    for name in encoder._learned:  # by an earlier fit
        vars(encoder).pop(name, None)
    store = as_store(encoder.store)
    if store is None or not isinstance(encoder.random_state, Integral):
        learn()
        return
    how = (
        f"learned by {identity(encoder)}, random_state={int(encoder.random_state)}, on "
        f"{resolve_device(encoder.device).type}, scikit-learn {sklearn.__version__}\n"
    )
    key = _key(how, source)
    rows = store.get([key])
    if rows:
        vars(encoder).update(_loaded(rows[key][1]))
        return
    learn()
    if not source.reads_files or key == _key(how, source.afresh()):  # nothing has changed
        store.put({key: (b"", _dumped(_present(encoder, encoder._learned)))})


def _key(how, source):
    return sha256(how.encode() + source.digests().tobytes()).digest()[:16]


def _present(encoder, names):
    return {name: vars(encoder)[name] for name in names if name in vars(encoder)}


def _dumped(arrays):
    file = BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def _loaded(value):
    with np.load(BytesIO(value), allow_pickle=False) as arrays:
        return {name: array.item() if array.ndim == 0 else array for name, array in arrays.items()}


def learned_state(encoder):
    """Digest of what an encoder has learned.

    Parameters
    ----------
    encoder : estimator
        As of `learn_once`, fitted.

    Returns
    -------
    str
        SHA-256, hexadecimal.
    """
    return digest_of_arrays(_present(encoder, encoder._learned))
