"""Batches cut from the pixels of a training without touching a single image in Python."""

from itertools import pairwise

import numpy as np
import torch
from torch.utils.data import Subset

from visionpipe.threads import map_ahead


class Batches:
    """Iterate over a data set, one index operation a batch.

    Takes the place of torch's DataLoader, which fetches sample by sample, as skorch's
    ``iterator_train`` and ``iterator_valid``.

    Parameters
    ----------
    dataset : skorch.dataset.Dataset, or a torch Subset of one
        Images (n, c, h, w) as ``X``, a tensor or what `visionpipe.deep.data.pixels` has instead;
        class numbers (n,), a tensor, as ``y``, or None.
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
        return (batch for _, batch in self.with_rows())

    def with_rows(self):
        """Iterate with the places of the images in the data set.

        Yields
        ------
        rows : Tensor of int64 of shape (b,), or slice
        batch : (images, labels)
        """
        order = self._order()
        bounds = pairwise(self._bounds())
        if order is None:
            parts = (slice(start, stop) for start, stop in bounds)
        else:
            parts = (order[start:stop] for start, stop in bounds)
        if isinstance(self.X, torch.Tensor):
            return ((rows, (self.X[rows], self.y[rows])) for rows in parts)
        return map_ahead(lambda rows: (rows, (self.X[rows], self.y[rows])), parts)

    def _order(self):
        """Rows one after the other; None for all of them as they come."""
        order = self.rows
        if self.shuffle:
            order = torch.randperm(self._n_images())
            order = order if self.rows is None else self.rows[order]
        return None if order is None else order.to(self.y.device)

    def _n_images(self):
        return len(self.X) if self.rows is None else len(self.rows)

    def _bounds(self):
        n = self._n_images()
        bounds = [*range(0, n, self.batch_size), n]
        if self.shuffle and len(bounds) > 2 and bounds[-1] - bounds[-2] == 1 < self.batch_size:
            del bounds[-2]
        return bounds
