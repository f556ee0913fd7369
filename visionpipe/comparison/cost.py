"""What a fitted pipeline costs: time to predict, size, memory."""

import ctypes
import gc
import io
import statistics
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import joblib
import numpy as np
from sklearn.utils import _safe_indexing

from visionpipe.comparison.outcome import Cost
from visionpipe.environment import peak_memory

__all__ = ["MemoryGrowth", "cost_of", "memory_growth"]

ONE_BY_ONE, AT_ONCE = 20, 256
CLEAR = Path("/proc/self/clear_refs")  # Linux: where the count of `peak_memory` is reset


def cost_of(model, X, peak_bytes):
    """Measure the cost of a fitted pipeline.

    Parameters
    ----------
    model : estimator
    X : array-like of images
        Held-out images; the first ones are predicted.
    peak_bytes : int or None
        What `memory_growth` found.

    Returns
    -------
    Cost
    """
    singles = [_safe_indexing(X, [i]) for i in range(min(ONE_BY_ONE, len(X)))]
    batch = _safe_indexing(X, np.arange(min(AT_ONCE, len(X))))
    return Cost(
        predict_ms_batch_1=1000 * statistics.median(_seconds(model, one) for one in singles),
        predict_ms_batch_256=1000 * min(_seconds(model, batch) for _ in range(2)) / len(batch),
        model_bytes=_dumped_bytes(model),
        peak_bytes=peak_bytes,
    )


def _seconds(model, X):
    start = time.perf_counter()
    model.predict(X)
    return time.perf_counter() - start


def _dumped_bytes(model):
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    return buffer.tell()


class MemoryGrowth:
    """By how much the memory of this process has grown.

    Attributes
    ----------
    peak_bytes : int or None
        At most, within the block of `memory_growth`.
    """

    peak_bytes = None


@contextmanager
def memory_growth(wanted=True):
    """Measure by how much the resident memory of this process grows at most inside the block.

    Linux keeps the highest value and lets it be reset; elsewhere nothing is measured. What earlier
    work has freed is given back to the system first, lest it serve for nothing; that takes a part
    of a second.

    Parameters
    ----------
    wanted : bool, default=True
        Whether to measure at all.

    Yields
    ------
    MemoryGrowth
        With its figure when the block has ended.
    """
    growth = MemoryGrowth()
    before = _lowered() if wanted else None
    yield growth
    if before is not None:
        growth.peak_bytes = max(0, peak_memory() - before)


def _lowered():
    """Give back what is free, and make the present memory the highest; None where it cannot be."""
    gc.collect()
    with suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)
    with suppress(OSError):
        CLEAR.write_text("5")
        return peak_memory()
