"""k-means by Lloyd's iterations, on any device."""

import torch

from visionpipe.kernels.nearest_words import nearest_words

VERSION = 1

MEMBERS_PER_CHUNK = 1 << 24  # rows times words: 64 MB of float32


def k_means(sample, n_words, *, n_iterations=20, generator):
    """Cluster rows around words, by Lloyd's iterations.

    The words start at rows drawn at random: for the hundreds of words of a vocabulary, k-means++
    costs more than it gains. A word that is nearest to no row moves to one of the rows that are
    farthest from their words. Every sum is a matrix product, in a fixed order, so that the same
    generator gives the same words on a GPU, too.

    Parameters
    ----------
    sample : torch.Tensor of shape (m, d), float32
        On any device; m is at least `n_words`.
    n_words : int
    n_iterations : int
        At most; fewer if no row changes its word any more.
    generator : torch.Generator
        Of the CPU; it draws the start.

    Returns
    -------
    torch.Tensor of shape (n_words, d), float32
        On the device of `sample`. Rows that are all alike give words that are alike.

    Raises
    ------
    ValueError
        If there are fewer rows than words.

    References
    ----------
    S. P. Lloyd, "Least squares quantization in PCM", IEEE Transactions on Information Theory 28,
    1982.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.k_means import k_means
    >>> sample = torch.tensor([[0.0], [1.0], [10.0], [12.0]])
    >>> k_means(sample, 2, generator=torch.Generator().manual_seed(0)).sort(0).values
    tensor([[ 0.5000],
            [11.0000]])
    """
    if len(sample) < n_words:
        raise ValueError(f"{n_words} words need at least as many rows; got {len(sample)}")
    start = torch.randperm(len(sample), generator=generator)[:n_words]
    words = sample[start.to(sample.device)]
    nearest = None
    for _ in range(n_iterations):
        previous = nearest
        nearest, distances = nearest_words(sample, words)
        if previous is not None and torch.equal(nearest, previous):
            break
        words = _means(sample, nearest, distances, n_words)
    return words


def _chunks(rows, n_words):
    return rows.split(max(1, MEMBERS_PER_CHUNK // n_words))


def _means(sample, nearest, distances, n_words):
    """Mean of the rows of each word; words without rows become rows far from theirs."""
    sums = sample.new_zeros(n_words, sample.shape[1])
    counts = sample.new_zeros(n_words, 1)
    chunks = zip(_chunks(sample, n_words), _chunks(nearest, n_words), strict=True)
    for rows, words_of_rows in chunks:
        members = rows.new_zeros(len(rows), n_words).scatter_(1, words_of_rows[:, None], 1)
        # A product where index_add_ would do with less work: on a GPU that adds in any order.
        sums.addmm_(members.T, rows)
        counts.add_(members.sum(0)[:, None])
    words = sums.div_(counts.clamp(min=1))
    empty = (counts[:, 0] == 0).nonzero()[:, 0]
    words[empty] = sample[distances.topk(len(empty)).indices]
    return words
