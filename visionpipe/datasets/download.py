"""One file off the net: resumed where it broke off, verified, and there only when it is whole."""

import logging
import os
import time
from contextlib import contextmanager
from functools import partial

import pooch
import requests
import urllib3
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

from visionpipe.datasets.damage import damaged
from visionpipe.files import DRAFT_SUFFIX, FileLock

__all__ = ["DownloadError", "download", "locked"]

TIMEOUT = (10, 30)  # seconds to connect, and between two pieces of an answer
CHUNK = 2**14  # bytes; as many are lost when an answer stops short
SECONDS_BETWEEN_TRIES = 0.1  # to get the lock


class DownloadError(OSError):
    """No address gave the file."""


def download(file, folder):
    """Fetch a file into a folder, unless it is there.

    What has come of a download that broke off stays in ``NAME.part``, and the next call goes on
    from there. Another process that fetches into this folder is waited for.

    Parameters
    ----------
    file : RemoteFile
        Its addresses are tried in order.
    folder : pathlib.Path
        Made if it does not exist.

    Returns
    -------
    pathlib.Path
        Of the file, whose checksum holds.

    Raises
    ------
    DownloadError
        If all addresses fail: each with its reason.
    OSError
        If the folder cannot be written to.
    ValueError
        If another file of this name is there.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from visionpipe.datasets.download import download
    >>> from visionpipe.datasets.registry import RemoteFile
    >>> nowhere = RemoteFile("cats.zip", ("http://localhost:1/cats.zip",), "md5:0")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     download(nowhere, Path(folder))
    Traceback (most recent call last):
        ...
    visionpipe.datasets.download.DownloadError: cannot fetch cats.zip: ...
    """
    path = folder / file.name
    with locked(folder):
        if not path.exists():
            _try_addresses(file, path)
        elif not _is_right(path, file.checksum):
            raise damaged(path, "its checksum is not that of the official file")
    return path


def _is_right(path, checksum):
    algorithm, value = checksum.split(":")
    return pooch.file_hash(path, alg=algorithm) == value


@contextmanager
def locked(folder):
    """Make a folder, and let one process or thread at a time write to it.

    Parameters
    ----------
    folder : pathlib.Path

    Raises
    ------
    OSError
        If it cannot be written to.
    """
    lock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while not lock.acquire():
            time.sleep(SECONDS_BETWEEN_TRIES)
    except OSError as error:
        raise OSError(
            f"cannot write to {folder} ({error.strerror or error}); name another folder by "
            "data_home or by the environment variable VISIONPIPE_DATA"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _try_addresses(file, path):
    part = path.with_name(f"{path.name}{DRAFT_SUFFIX}")
    reasons = []
    for address in file.addresses:
        try:
            return _retrieve(file, address, path, part)
        except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:
            reasons.append(f"{address} ({_reason(error)})")
    kept = f"; what has come stays in {part}, the next call goes on from there"
    raise DownloadError(
        f"cannot fetch {file.name}: {', '.join(reasons)}{kept if part.exists() else ''}; it may "
        f"also be put into {path.parent} by hand"
    )


def _retrieve(file, address, path, part):
    """Let pooch verify and name what comes from one address."""
    was_begun = part.exists()
    get = partial(
        pooch.retrieve, address, file.checksum, path.name, path.parent,
        downloader=partial(_resume, part=part, size=file.size),
    )  # fmt: skip
    with _quiet(pooch.get_logger()):
        try:
            get()
        except ValueError:  # the checksum does not hold
            if not was_begun:
                raise
            get()  # the beginning may have been of another file: now all of it


@contextmanager
def _quiet(logger):
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def _resume(address, output_file, _, *, part, size):
    """A downloader as pooch wants it, which writes to `part` until that is whole."""
    os.remove(output_file)  # pooch's empty file: a process that is killed shall not leave it
    n_there = part.stat().st_size if part.exists() else 0
    if size is not None and n_there >= size:
        n_there = 0
    with _open(address, n_there) as answer:
        n_there = n_there if answer.status_code == 206 else 0
        n_offered = n_there + int(answer.headers.get("Content-Length", 0))
        if size is not None and n_offered not in (n_there, size):
            raise ValueError(f"it offers {n_offered:,} bytes; wanted {size:,}")
        with open(part, "ab" if n_there else "wb") as target:
            n_there = _copy(answer, target, n_there, size)
    if size is not None and n_there < size:
        raise requests.ConnectionError(f"it ended after {n_there:,} of {size:,} bytes")
    if size is not None and n_there > size:
        part.unlink()
        raise ValueError(f"it sends more than the {size:,} bytes of the file")
    os.replace(part, output_file)


def _open(address, n_there):
    """The answer of a server, from byte `n_there` on if it can."""
    headers = {"Accept-Encoding": "identity"}
    if n_there:
        headers["Range"] = f"bytes={n_there}-"
    answer = requests.get(address, headers=headers, stream=True, timeout=TIMEOUT)
    starts = answer.headers.get("Content-Range", "").startswith(f"bytes {n_there}-")
    if n_there and (answer.status_code == 416 or (answer.status_code == 206 and not starts)):
        answer.close()
        return _open(address, 0)
    answer.raise_for_status()
    return answer


def _copy(answer, target, n_there, size):
    """Write what comes; return how many bytes are there then."""
    with _progress() as progress:
        task = progress.add_task(os.path.basename(answer.url), total=size, completed=n_there)
        # raw: a server that calls a .gz file an encoding would have it unpacked on the way
        for chunk in answer.raw.stream(CHUNK, decode_content=False):
            target.write(chunk)
            n_there += len(chunk)
            progress.update(task, completed=n_there)
            if size is not None and n_there > size:
                break
    return n_there


def _progress():
    """A bar on standard error, with bytes and the time left; silent when that is no terminal."""
    console = Console(stderr=True)
    return Progress(
        "{task.description}", BarColumn(), DownloadColumn(), TimeRemainingColumn(),
        console=console, transient=True, disable=not console.is_terminal,
    )  # fmt: skip


def _reason(error):
    if isinstance(error, requests.HTTPError):
        return f"{error.response.status_code} {error.response.reason}"
    if isinstance(error, (requests.Timeout, urllib3.exceptions.TimeoutError)):
        return "no answer in time"
    if isinstance(error, urllib3.exceptions.HTTPError):
        return "the connection broke off"
    if (
        isinstance(error, requests.ConnectionError)
        and error.args
        and not isinstance(error.args[0], str)
    ):
        return "no connection"
    if isinstance(error, ValueError) and "hash of downloaded file" in str(error):
        return "its checksum is wrong"
    return " ".join(str(error).split())
