"""Images as one tensor, and batches cut from it without touching a single image in Python."""

from itertools import pairwise

import numpy as np
import torch
from torch.utils.data import Subset

from visionpipe.base import to_batch
from visionpipe.kernels.color import to_unit

_FLAT = 1e-6  # a deviation below this is rounding: one level of 8 bits is 4e-3


def read_all(images, owner):
    """Read images of one size into a tensor.

    Parameters
    ----------
    images : Images
    owner : str
        Named in errors.

    Returns
    -------
    Tensor (n, c, h, w)
        uint8 if every image is, else float32 in 0..1. c is 3 if any image is RGB, else 1.

    Raises
    ------
    ValueError
        If sizes differ.
    """
    tensor = None
    for rows, pixels in images.batches():
        batch = to_batch(pixels)  # (b, c, h, w)
        if tensor is None:
            tensor = torch.empty((len(images), *batch.shape[1:]), dtype=batch.dtype)
        if batch.shape[2:] != tensor.shape[2:]:
            raise ValueError(
                f"{owner} got images of unequal sizes (height, width): {tuple(tensor.shape[2:])} "
                f"and {tuple(batch.shape[2:])}; put Resize((h, w)) before it"
            )
        if batch.dtype != tensor.dtype:
            batch, tensor = to_unit(batch), to_unit(tensor)
        if batch.shape[1] > tensor.shape[1]:
            tensor = tensor.repeat(1, 3, 1, 1)
        tensor[rows] = batch  # a grey batch spreads over three channels
    return tensor


def pixel_statistics(tensor, rows=None, chunk=1024):
    """Mean and deviation of each channel over some images.

    Parameters
    ----------
    tensor : Tensor (n, c, h, w) of uint8 or float32
    rows : array of int or None
        Which images; None stands for all.
    chunk : int
        Images converted at a time.

    Returns
    -------
    mean, std : ndarray of float32 of shape (c,)
        Of pixels in 0..1. The deviation of a constant channel is given as 1, so that dividing by
        it does no harm.
    """
    rows = torch.arange(len(tensor)) if rows is None else torch.as_tensor(rows)
    total = torch.zeros(2, tensor.shape[1], dtype=torch.float64)
    for part in rows.split(chunk):
        pixels = to_unit(tensor[part]).double()
        total += torch.stack([pixels.sum((0, 2, 3)), pixels.square_().sum((0, 2, 3))])
    mean, mean_square = total / (len(rows) * tensor.shape[2] * tensor.shape[3])
    std = (mean_square - mean.square()).clamp_min_(0).sqrt_()
    std[std < _FLAT] = 1
    return mean.float().numpy(), std.float().numpy()


class TensorBatches:
    """Iterate over a data set held in tensors, one index operation a batch.

    Takes the place of torch's DataLoader, which fetches sample by sample, as skorch's
    ``iterator_train`` and ``iterator_valid``.

    Parameters
    ----------
    dataset : skorch.dataset.Dataset of tensors, or a torch Subset of one
        Images (n, c, h, w) as ``X``, class numbers (n,) as ``y`` or None.
    batch_size : int
    shuffle : bool
        Draw a new order, from torch's global generator, each time iteration starts. A batch of one
        image at the end then joins the batch before it: batch normalisation cannot learn from one,
        and its gradient would be noise.

    Yields
    ------
    images : Tensor (b, c, h, w)
    labels : Tensor (b,)
        Zeros if the data set has none.
    """

    def __init__(self, dataset, batch_size=128, shuffle=False):
        self.rows = None
        if isinstance(dataset, Subset):
            self.rows = torch.as_tensor(np.asarray(dataset.indices))
            dataset = dataset.dataset
        self.X, self.y = dataset.X, dataset.y
        if self.y is None:
            self.y = torch.zeros(len(self.X), dtype=torch.int64)
        self.batch_size, self.shuffle = batch_size, shuffle

    def __len__(self):
        return len(self._bounds()) - 1

    def __iter__(self):
        order = self.rows
        if self.shuffle:
            order = torch.randperm(self._n_images())
            order = order if self.rows is None else self.rows[order]
        if order is not None:
            order = order.to(self.X.device)
        bounds = self._bounds()
        for start, stop in pairwise(bounds):
            chosen = slice(start, stop) if order is None else order[start:stop]
            yield self.X[chosen], self.y[chosen]

    def _n_images(self):
        return len(self.X) if self.rows is None else len(self.rows)

    def _bounds(self):
        n = self._n_images()
        bounds = [*range(0, n, self.batch_size), n]
        if self.shuffle and len(bounds) > 2 and bounds[-1] - bounds[-2] == 1 < self.batch_size:
            del bounds[-2]
        return bounds
