"""Vectors of locally aggregated descriptors."""

from visionpipe.kernels.nearest_words import nearest_words
from visionpipe.kernels.segment_sum import segment_sum

VERSION = 1


def vlad(descriptors, segments, n_segments, words):
    """Add up, in each segment, the differences of descriptors from their nearest words.

    Parameters
    ----------
    descriptors : torch.Tensor of shape (m, d), float32
    segments : torch.Tensor of shape (m,), int64
        In 0..n_segments - 1.
    n_segments : int
    words : torch.Tensor of shape (k, d), float32

    Returns
    -------
    torch.Tensor of shape (n_segments, k, d), float32
        Not normalised; zero for a word without descriptors.

    References
    ----------
    H. Jegou, M. Douze, C. Schmid and P. Perez, "Aggregating local descriptors into a compact image
    representation", CVPR 2010.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.vlad import vlad
    >>> descriptors, words = torch.tensor([[1.0], [2], [9]]), torch.tensor([[0.0], [10]])
    >>> vlad(descriptors, torch.tensor([0, 0, 0]), 1, words).flatten()
    tensor([ 3., -1.])
    """
    nearest, _ = nearest_words(descriptors, words)
    residuals = descriptors - words[nearest]
    place = segments * len(words) + nearest
    return segment_sum(residuals, place, n_segments * len(words)).view(n_segments, *words.shape)
