"""Sums of rows that belong together."""

import torch
import torch.nn.functional as F

VERSION = 1


def segment_sum(rows, segments, n_segments):
    """Add up the rows of each segment.

    Parameters
    ----------
    rows : torch.Tensor of shape (m, d), float32
    segments : torch.Tensor of shape (m,), int64
        Which sum each row belongs to, in 0..n_segments - 1, in any order.
    n_segments : int

    Returns
    -------
    torch.Tensor of shape (n_segments, d), float32
        Each sum in the order of its rows. Zero for a segment without rows.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.segment_sum import segment_sum
    >>> segment_sum(torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([1, 0, 1]), 3)
    tensor([[2.],
            [5.],
            [0.]])
    """
    order = segments.argsort(stable=True)
    counts = torch.bincount(segments, minlength=n_segments)
    first = counts.cumsum(0) - counts
    # Made for sums of word embeddings: gathers and adds without a copy of the rows, and many times
    # faster on a CPU than index_add_.
    return F.embedding_bag(order, rows, first, mode="sum")
