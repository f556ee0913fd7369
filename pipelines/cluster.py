"""The fits of a search on the workers of a Dask cluster."""

import asyncio
import logging
import os
import warnings
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager

import joblib

from visionpipe.environment import versions

__all__ = ["check_workers", "connected", "work_sent_to"]

SECONDS_TO_ANSWER = 8


@contextmanager
def connected(address):
    """Connect to a Dask scheduler.

    Parameters
    ----------
    address : str or None
        Such as ``"tcp://host:8786"``. None connects to nothing.

    Yields
    ------
    distributed.Client or None
        What it scatters outlives the workers that hold it.

    Raises
    ------
    ValueError
        If Dask is not installed, no scheduler answers within some seconds, or it has no workers;
        and in place of whatever Dask raises inside when it gives work up.
    """
    if address is None:
        yield None
        return
    try:
        import distributed
    except ImportError:
        raise ValueError(
            "--cluster needs Dask, which is not installed: pip install 'visionpipe[dask]'"
        ) from None
    # it logs a lost connection with pages of traceback; what matters comes as an error
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    _knock(distributed, address)
    with _client_class(distributed)(address, timeout=SECONDS_TO_ANSWER) as client:
        try:
            client.wait_for_workers(1, timeout=SECONDS_TO_ANSWER)
        except TimeoutError:
            raise ValueError(
                f"the scheduler at {address} has no workers; start some: dask worker {address}"
            ) from None
        try:
            yield client
        except (CancelledError, distributed.KilledWorker) as error:
            raise ValueError(
                f"the cluster at {address} gave the search up: {str(error).rstrip('.')}; start it "
                "again, with the same --journal if there was one"
            ) from error


def _knock(distributed, address):
    """Find out whether a scheduler answers: a Client would wait for ever for one that is silent."""

    async def shake_hands():
        security = distributed.Security().get_connection_args("client")
        connecting = distributed.comm.connect(address, timeout=SECONDS_TO_ANSWER / 2, **security)
        (await asyncio.wait_for(connecting, SECONDS_TO_ANSWER)).abort()

    try:
        with ThreadPoolExecutor(1) as pool:  # a notebook has a loop that runs in this thread
            pool.submit(asyncio.run, shake_hands()).result()
    except Exception as error:  # whatever listens there may answer anything
        reason = str(error) or f"silent for {SECONDS_TO_ANSWER} s"
        raise ValueError(
            f"no Dask scheduler answers at {address!r} ({reason}); start one with 'dask scheduler' "
            "and give its address, such as tcp://host:8786"
        ) from None


def _client_class(distributed):
    class Client(distributed.Client):
        """Scatter what can be made again.

        Joblib scatters labels and folds, each to one worker, and the search fails when that worker
        dies. What a task returns is computed again elsewhere, so this scatters by tasks.
        """

        def scatter(self, data, asynchronous=False, **options):
            if isinstance(data, list):
                return [self.scatter(item) for item in data]
            future = self.submit(_unchanged, data, pure=False)
            return _ready(future) if asynchronous else future

    return Client


def _unchanged(data):
    return data


async def _ready(future):
    return future


@contextmanager
def work_sent_to(client, images):
    """Let joblib send its work to the workers of a cluster.

    Parameters
    ----------
    client : distributed.Client or None
        From `connected`. With None, the work stays here.
    images : Images
        What the work is about; sent once. Of images that are files, the names are sent.
    """
    if client is None:
        yield
        return
    with joblib.parallel_config(_backend_class()(client=client, scatter=[images])):
        yield


def _backend_class():
    from joblib._dask import DaskDistributedBackend

    class Backend(DaskDistributedBackend):
        """Pass on that Dask gave a task up: joblib would wait for its result for ever."""

        def submit(self, func, callback=None):
            future = super().submit(func, callback)
            future.add_done_callback(lambda done: done.exception() and callback(done.exception()))
            return future

    return Backend


def check_workers(client, paths):
    """Ask every worker whether it has the packages and sees the files.

    Parameters
    ----------
    client : distributed.Client
    paths : list of str

    Raises
    ------
    ValueError
        If a worker cannot import visionpipe, or does not see a file.

    Warns
    -----
    UserWarning
        If a worker has other versions of packages.
    """
    here = versions()
    for worker, there in client.run(versions, on_error="return").items():
        if isinstance(there, Exception):
            raise ValueError(
                f"worker {worker} cannot import visionpipe ({there}); install there what is "
                "installed here"
            )
        differ = [f"{k} {there[k]} in place of {here[k]}" for k in here if here[k] != there[k]]
        if differ:
            warnings.warn(f"worker {worker} has {', '.join(differ)}", stacklevel=2)
    for path in paths:
        for worker, is_there in client.run(os.path.exists, path).items():
            if not is_there:
                raise ValueError(
                    f"worker {worker} does not see {path}; mount its disk there under the same path"
                )
