"""Nearest words of descriptors, by matrix products in chunks that stay in the cache."""

import torch

VERSION = 1

SCORES_PER_CHUNK = 1 << 18  # descriptors times words: 1 MB of float32
SCORES_PER_GPU_CHUNK = 1 << 26


def nearest_words(descriptors, words):
    """Exact nearest word of each descriptor.

    Parameters
    ----------
    descriptors : torch.Tensor of shape (m, d), float32
    words : torch.Tensor of shape (k, d), float32

    Returns
    -------
    nearest : torch.Tensor of shape (m,), int64
        Numbers of words; of words equally near the first.
    squared_distances : torch.Tensor of shape (m,), float32
        To that word, at least 0. Where a descriptor is close to its word they carry the rounding
        error of its squared norm.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.nearest_words import nearest_words
    >>> nearest_words(torch.tensor([[1.0], [9.0]]), torch.tensor([[0.0], [10.0]]))
    (tensor([0, 1]), tensor([1., 1.]))
    """
    nearest, distances = several_nearest_words(descriptors, words, 1)
    return nearest[:, 0], distances[:, 0]


def several_nearest_words(descriptors, words, n_nearest):
    """Exact nearest words of each descriptor, nearest first.

    Parameters
    ----------
    descriptors : torch.Tensor of shape (m, d), float32
    words : torch.Tensor of shape (k, d), float32
    n_nearest : int
        From 1 to k.

    Returns
    -------
    nearest : torch.Tensor of shape (m, n_nearest), int64
    squared_distances : torch.Tensor of shape (m, n_nearest), float32
    """
    nearest = torch.empty(len(descriptors), n_nearest, dtype=torch.int64, device=words.device)
    scores_of_nearest = descriptors.new_empty(len(descriptors), n_nearest)
    for rows, scores in _scores(descriptors, words):
        _lowest(scores, nearest[rows], scores_of_nearest[rows])
    squares = descriptors.square().sum(1, keepdim=True)
    return nearest, scores_of_nearest.add_(squares).clamp_(min=0)


def _scores(descriptors, words):
    """Squared distances without the square of the descriptor, chunk by chunk, in one memory."""
    factors = words.t().mul(-2)  # (d, k)
    squares = words.square().sum(1)
    n_scores = SCORES_PER_CHUNK if words.is_cpu else SCORES_PER_GPU_CHUNK
    n_rows = max(1, n_scores // len(words))
    memory = descriptors.new_empty(min(n_rows, len(descriptors)), len(words))
    for start in range(0, len(descriptors), n_rows):
        chunk = descriptors[start : start + n_rows]
        scores = torch.addmm(squares, chunk, factors, out=memory[: len(chunk)])
        yield slice(start, start + n_rows), scores


def _lowest(scores, which, values):
    """Write the columns of the lowest scores of each row, and the scores; overwrites the scores."""
    n_rows, n_lowest = which.shape
    if not scores.is_cpu:
        lowest = scores.topk(n_lowest, largest=False)
        which.copy_(lowest.indices)
        values.copy_(lowest.values)
        return
    # NumPy's argmin, on the same memory, takes a thirtieth of the product's time and torch's a
    # third; for a few of the lowest, repeating it is faster than torch's topk.
    every_row = torch.arange(n_rows)
    for rank in range(n_lowest):
        column = torch.from_numpy(scores.numpy().argmin(1))
        which[:, rank] = column
        values[:, rank] = scores[every_row, column]
        if rank + 1 < n_lowest:
            scores[every_row, column] = torch.inf
