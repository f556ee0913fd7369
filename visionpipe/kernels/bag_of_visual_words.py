"""Codes of descriptors over visual words, pooled over the descriptors of a segment."""

import torch

from visionpipe.kernels.nearest_words import nearest_words, several_nearest_words
from visionpipe.kernels.segment_sum import segment_sum

VERSION = 1

CODES_PER_CHUNK = 1 << 20  # descriptors times words: 4 MB of float32
LEAST_RIDGE = 1e-20  # for a descriptor that is equal to all of its words


def hard_assignment(descriptors, segments, n_segments, words):
    """Count, in each segment, the descriptors to which each word is the nearest.

    Parameters
    ----------
    descriptors : torch.Tensor of shape (m, d), float32
    segments : torch.Tensor of shape (m,), int64
        In 0..n_segments - 1.
    n_segments : int
    words : torch.Tensor of shape (k, d), float32

    Returns
    -------
    torch.Tensor of shape (n_segments, k), float32

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.bag_of_visual_words import hard_assignment
    >>> descriptors, words = torch.tensor([[1.0], [2], [9]]), torch.tensor([[0.0], [10]])
    >>> hard_assignment(descriptors, torch.tensor([0, 0, 0]), 2, words)
    tensor([[2., 1.],
            [0., 0.]])
    """
    nearest, _ = nearest_words(descriptors, words)
    place = segments * len(words) + nearest
    counts = torch.bincount(place, minlength=n_segments * len(words))
    return counts.view(n_segments, -1).to(torch.float32)


def soft_assignment(descriptors, segments, n_segments, words, *, n_nearest, sigma):
    """Share each descriptor out among its nearest words by a Gaussian of the distance; add up.

    Parameters
    ----------
    descriptors, segments, n_segments, words
        As of `hard_assignment`.
    n_nearest : int
    sigma : float
        Standard deviation of the Gaussian, a distance.

    Returns
    -------
    torch.Tensor of shape (n_segments, k), float32
        The weights of a descriptor sum to 1.

    References
    ----------
    J. van Gemert, C. Veenman, A. Smeulders and J.-M. Geusebroek, "Visual word ambiguity", PAMI
    2010; L. Liu, L. Wang and X. Liu, "In defense of soft-assignment coding", ICCV 2011.
    """
    nearest, squared_distances = several_nearest_words(descriptors, words, n_nearest)
    weights = squared_distances.div_(-2 * sigma**2).softmax(1)
    place = segments[:, None] * len(words) + nearest
    sums = descriptors.new_zeros(n_segments * len(words))
    return sums.scatter_add_(0, place.flatten(), weights.flatten()).view(n_segments, -1)


def triangle_assignment(descriptors, segments, n_segments, words):
    """Add up max(0, mean(z) - z_k), z_k the distance from a descriptor to word k.

    Parameters
    ----------
    descriptors, segments, n_segments, words
        As of `hard_assignment`.

    Returns
    -------
    torch.Tensor of shape (n_segments, k), float32

    References
    ----------
    A. Coates, H. Lee and A. Y. Ng, "An analysis of single-layer networks in unsupervised feature
    learning", AISTATS 2011.
    """
    sums = descriptors.new_zeros(n_segments, len(words))
    n_rows = max(1, CODES_PER_CHUNK // len(words))
    chunks = zip(descriptors.split(n_rows), segments.split(n_rows), strict=True)
    for rows, segments_of_rows in chunks:
        sums.add_(segment_sum(triangle_codes(rows, words), segments_of_rows, n_segments))
    return sums


def triangle_codes(descriptors, words):
    """How much nearer than on average a word is, and zero for words farther away.

    Parameters
    ----------
    descriptors : torch.Tensor of shape (m, d), float32
    words : torch.Tensor of shape (k, d), float32

    Returns
    -------
    torch.Tensor of shape (m, k), float32, at least 0
        max(0, mean(z) - z_k), z the distances (not squared) of a descriptor to all words.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.bag_of_visual_words import triangle_codes
    >>> triangle_codes(torch.tensor([[0.0], [2.0]]), torch.tensor([[0.0], [1.0], [2.0]]))
    tensor([[1., 0., 0.],
            [0., 0., 1.]])
    """
    z = torch.addmm(words.square().sum(1), descriptors, words.t(), alpha=-2)
    z.add_(descriptors.square().sum(1, keepdim=True)).clamp_(min=0).sqrt_()
    return torch.sub(z.mean(1, keepdim=True), z, out=z).clamp_(min=0)


def llc_assignment(descriptors, segments, n_segments, words, *, n_nearest, beta):
    """Largest code of each word in a segment, codes being those of `llc_codes`.

    Parameters
    ----------
    descriptors, segments, n_segments, words
        As of `hard_assignment`.
    n_nearest, beta
        As of `llc_codes`.

    Returns
    -------
    torch.Tensor of shape (n_segments, k), float32
        At least 0: a word that none of the descriptors uses has code 0 in all of them.
    """
    nearest, codes = llc_codes(descriptors, words, n_nearest=n_nearest, beta=beta)
    place = segments[:, None] * len(words) + nearest
    largest = descriptors.new_zeros(n_segments * len(words))
    return largest.scatter_reduce_(0, place.flatten(), codes.flatten(), "amax").view(n_segments, -1)


def llc_codes(descriptors, words, *, n_nearest, beta):
    """Locality-constrained linear codes: each descriptor as a sum of its nearest words.

    Parameters
    ----------
    descriptors : torch.Tensor of shape (m, d), float32
    words : torch.Tensor of shape (k, d), float32
    n_nearest : int
        Number of words a descriptor is made of.
    beta : float
        Weight of the trace that is added to the diagonal of the covariance.

    Returns
    -------
    nearest : torch.Tensor of shape (m, n_nearest), int64
    codes : torch.Tensor of shape (m, n_nearest), float32
        They sum to 1 for each descriptor and may be negative.

    References
    ----------
    J. Wang, J. Yang, K. Yu, F. Lv, T. Huang and Y. Gong, "Locality-constrained linear coding for
    image classification", CVPR 2010: the approximation of section 3.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.bag_of_visual_words import llc_codes
    >>> llc_codes(torch.tensor([[2.5]]), torch.tensor([[0.0], [10]]), n_nearest=2, beta=1e-4)
    (tensor([[0, 1]]), tensor([[0.7500, 0.2500]]))
    """
    nearest, _ = several_nearest_words(descriptors, words, n_nearest)
    shifted = words[nearest].sub_(descriptors[:, None])  # (m, n_nearest, d)
    covariance = torch.bmm(shifted, shifted.transpose(1, 2))
    diagonal = covariance.diagonal(dim1=1, dim2=2)
    ridge = diagonal.sum(1, keepdim=True).mul_(beta).add_(LEAST_RIDGE)
    diagonal.add_(ridge)
    codes = torch.linalg.solve(covariance, torch.ones_like(covariance[..., 0]))
    return nearest, codes.div_(codes.sum(1, keepdim=True))
