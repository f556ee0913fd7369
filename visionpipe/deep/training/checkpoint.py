"""Checkpoints: what a training needs to go on where it was stopped, in a folder of its own."""

import hashlib
import io
import json
import os
import re
import tempfile
import warnings
from itertools import count
from pathlib import Path

import numpy as np
import torch

from visionpipe.files import DRAFT_SUFFIX, FileLock, appearing_whole
from visionpipe.identity import code_in_use, describe, digest

__all__ = ["CheckpointFolder", "identity_of"]

FORMAT_VERSION = 1
N_KEPT = 2  # epochs: should the last file be damaged, there is the one before

_MAGIC = "visionpipe-checkpoint"
_MAX_HEAD = 256  # bytes of a file's first line
_NAME = re.compile(r"epoch-(\d+)\.checkpoint")


class CheckpointFolder:
    """The checkpoints of one training, in a folder that nobody else uses meanwhile.

    Entered as a context, it takes ``directory/<identity>``, the identity cut to 16 digits; where
    another training of that identity is running, in any process or thread, ``<identity>-2``, ``-3``
    and so on. The claim is a `FileLock`, which ends with the process, however that ends: whoever
    trains the same next finds the checkpoints.

    A checkpoint is one file: a line with the format's version, the identity and the SHA-256 of what
    follows, which `torch.save` has written. It appears whole or not at all.

    Parameters
    ----------
    directory : path-like
        For the folders of all trainings; folders on the way are made.
    identity : str
        Hexadecimal digest of all that decides the training, see `identity_of`.

    Attributes
    ----------
    path : pathlib.Path
        The folder, while the context lasts and after it.

    Raises
    ------
    ValueError
        On entering, if the directory cannot be written to, or its files cannot be locked.

    Examples
    --------
    >>> import tempfile
    >>> import torch
    >>> from visionpipe.deep.training.checkpoint import CheckpointFolder
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     with CheckpointFolder(directory, "c0ffee") as folder:
    ...         folder.write(1, {"weights": torch.ones(2)})
    ...     with CheckpointFolder(directory, "c0ffee") as folder:
    ...         folder.latest()
    {'weights': tensor([1., 1.])}
    """

    def __init__(self, directory, identity):
        self.directory, self.identity = Path(directory).expanduser(), identity
        self._lock, self._has_warned = None, False

    def __enter__(self):
        try:
            self._claim()
            tempfile.TemporaryFile(dir=self.path).close()
            for draft in self.path.glob("*" + DRAFT_SUFFIX):
                draft.unlink()  # of a training that was killed
        except OSError as error:
            if self._lock:
                self._lock.release()
            raise ValueError(
                f"checkpoint={str(self.directory)!r} cannot be used ({error}); pass a folder that "
                "can be written to and whose files can be locked"
            ) from error
        return self

    def __exit__(self, *error):
        self._lock.release()

    def _claim(self):
        """Take the first folder that nobody holds."""
        for number in count(1):
            name = self.identity[:16] + (f"-{number}" if number > 1 else "")
            self.path = self.directory / name
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.path / "lock")
            if self._lock.acquire():
                return

    def latest(self):
        """Read the last good checkpoint.

        Returns
        -------
        dict or None
            What `write` was given, its tensors on the CPU; None if there is no good checkpoint.

        Warns
        -----
        UserWarning
            If a file cannot be read, is damaged, or is of another format or training. It is set
            aside, as ``NAME.unreadable``, and the one before is tried.
        """
        for _, path in sorted(self._files().items(), reverse=True):
            try:
                return self._read(path)
            except (OSError, ValueError) as error:
                aside = path.with_name(path.name + ".unreadable")
                os.replace(path, aside)
                warnings.warn(
                    f"checkpoint {path} cannot be used: {error}; it was set aside as {aside.name}, "
                    "and training goes on from the one before, or from the start if there is none",
                    stacklevel=2,
                )
        return None

    def write(self, epoch, state):
        """Write the checkpoint of an epoch, and remove those but the last two up to it.

        A training of hours must not die because a disk is full: what cannot be written is said once
        and tried again at the next epoch.

        Parameters
        ----------
        epoch : int
            From 0.
        state : dict
            Of tensors, numbers, strings, None, and lists, tuples and dicts of them.

        Raises
        ------
        TypeError
            If the state holds anything else, which `latest` could not read.

        Warns
        -----
        UserWarning
            The first time that a checkpoint cannot be written.
        """
        payload = _payload(state)
        path = self.path / f"epoch-{epoch:06}.checkpoint"
        try:
            with appearing_whole(path) as draft, draft.open("wb") as file:
                file.write(_head(self.identity, payload))
                file.write(payload)
            self._remove_all_but_last(epoch)
        except OSError as error:
            if not self._has_warned:
                self._has_warned = True
                warnings.warn(
                    f"checkpoint {path} cannot be written ({error}); training goes on, and is "
                    "written again after the next epoch if that can be",
                    stacklevel=2,
                )

    def _files(self):
        """Paths of checkpoints by epoch."""
        found = ((_NAME.fullmatch(path.name), path) for path in self.path.iterdir())
        return {int(match[1]): path for match, path in found if match}

    def _remove_all_but_last(self, epoch):
        files = self._files()
        kept = sorted(e for e in files if e <= epoch)[-N_KEPT:]  # later ones: of a run started over
        for stale in files.keys() - set(kept):
            files[stale].unlink()

    def _read(self, path):
        """State in a file, or a ValueError that says what is wrong with the file."""
        with path.open("rb") as file:
            head, payload = file.readline(_MAX_HEAD), file.read()
        magic, version, identity = (*head.decode(errors="replace").split(" "), "", "", "")[:3]
        if magic != _MAGIC or not head.endswith(b"\n"):
            raise ValueError("it is empty, cut or no checkpoint")
        if version != str(FORMAT_VERSION):
            raise ValueError(f"it has format {version}, this visionpipe reads {FORMAT_VERSION}")
        if identity != self.identity:
            raise ValueError("it is of another training")
        if head != _head(self.identity, payload):
            raise ValueError("its bytes do not match its SHA-256")
        try:
            return torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        except Exception as error:  # undamaged, but of a torch that writes otherwise
            raise ValueError(f"torch cannot read it ({type(error).__name__})") from error


def _payload(state):
    """Bytes of a state."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    if strangers := torch.serialization.get_unsafe_globals_in_checkpoint(file):
        raise TypeError(
            f"a checkpoint holds tensors and plain values, got {', '.join(sorted(strangers))}; "
            "turn numpy's values into Python's with .item() or .tolist()"
        )
    return file.getbuffer()


def _head(identity, payload):
    """First line of a file."""
    checksum = hashlib.sha256(payload).hexdigest()
    return f"{_MAGIC} {FORMAT_VERSION} {identity} {checksum}\n".encode()


# ------------------------------------------------------------------- what is the same training


def identity_of(parameters, images, y, *, sample_weight=None, seed):
    """Digest of all that decides a training.

    The versions of Python, of the main packages and of the kernels count too, and the source files
    of those modules of the user's own that define classes and functions among the parameters:
    another torch, or a network that was edited, would end with other weights.

    Parameters
    ----------
    parameters : dict of str to object
        Those that decide what is learned; values are compared as `visionpipe.identity.describe`
        says.
    images : Images
    y : array-like of shape (n,)
    sample_weight : array-like of shape (n,) or None
    seed : int

    Returns
    -------
    str
        SHA-256, hexadecimal; the same in any process and for equal copies.

    Raises
    ------
    ValueError
        If a parameter cannot be pickled.

    Examples
    --------
    >>> import numpy as np
    >>> from visionpipe import as_images
    >>> from visionpipe.deep.training.checkpoint import identity_of
    >>> images = as_images(np.zeros((2, 8, 8), dtype=np.uint8))
    >>> identity = identity_of({"lr": 0.1}, images, [0, 1], seed=0)
    >>> identity == identity_of({"lr": 0.1}, images, [0, 1], seed=0)
    True
    >>> identity == identity_of({"lr": 0.2}, images, [0, 1], seed=0)
    False
    """
    described, origins = {}, set()
    for name, value in parameters.items():
        try:
            described[name], found = describe(value)
        except ValueError as error:
            raise ValueError(
                f"the training cannot be recognised later, because the {name} {error}; replace "
                "what cannot, or pass checkpoint=None"
            ) from error
        origins |= found
    weights = None if sample_weight is None else np.asarray(sample_weight)
    data, _ = describe((images.digests(), np.asarray(y), weights, int(seed)))
    text = json.dumps([FORMAT_VERSION, described, code_in_use(origins), data], sort_keys=True)
    return digest(text.encode())
