"""Work on threads that run ahead of whoever takes the results, by a bounded number of items."""

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import chain, islice

import joblib
from threadpoolctl import ThreadpoolController

__all__ = ["map_ahead", "n_threads"]


def n_threads():
    """Cores this process may use; joblib's workers are told their share by OMP_NUM_THREADS."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(joblib.cpu_count(), int(limit) if limit.isdigit() else 16))


def map_ahead(function, items):
    """Apply a function to items on threads, in order.

    Inside, OpenMP has one thread: a kernel on a chunk that fits in cache is too short to share, and
    threads of OpenMP that wait for each other on cores that are busy slow it down tenfold. The
    cores are shared out by items instead, so that results do not depend on their number.

    Parameters
    ----------
    function : callable
        Of one argument. To gain anything it has to release the interpreter lock, as decoders and
        torch do.
    items : iterable
        Drawn from by the calling thread, no more than a few items ahead of the results.

    Yields
    ------
    object
        ``function(item)``. An error is raised when its turn comes.
    """
    items, n_workers = iter(items), n_threads()
    first = list(islice(items, 2))
    items = chain(first, items)
    if len(first) < 2 or n_workers == 1:
        for item in items:
            yield _alone(function, item)
        return
    pool = ThreadPoolExecutor(n_workers, "visionpipe", initializer=_limit_openmp)
    pending = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > n_workers + 2:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _alone(function, item):
    import torch

    if torch.get_num_threads() == 1:
        return function(item)
    with _openmp().limit(limits=1):
        return function(item)


def _limit_openmp():
    """OpenMP counts for each thread that calls it: this is one of the pool, and stays limited."""
    _openmp().limit(limits=1)


def _openmp():
    import torch

    torch.get_num_threads()  # else torch sets the number when it is first used in this thread
    return _openmp_libraries()


@cache
def _openmp_libraries():
    return ThreadpoolController().select(user_api="openmp")
