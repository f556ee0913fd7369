"""k-means against Lloyd's iterations written out in float64."""

import numpy as np
import pytest
import torch

from visionpipe.kernels import k_means as module
from visionpipe.kernels.k_means import k_means


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def sample_of(m=300, d=5, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(m, d)).astype(np.float32))


def textbook(sample, words, n_iterations):
    """Float64, one word at a time; no word may lose all its rows."""
    sample, words = sample.astype(float), words.astype(float)
    for _ in range(n_iterations):
        distances = ((sample[:, None] - words[None]) ** 2).sum(axis=2)
        nearest = distances.argmin(axis=1)
        words = np.stack([sample[nearest == k].mean(axis=0) for k in range(len(words))])
    return words


@pytest.mark.parametrize("n_iterations", [1, 6])
@pytest.mark.parametrize("scores_per_chunk", [1, 170, 1 << 24])
def test_the_words_are_those_of_the_textbook(n_iterations, scores_per_chunk, monkeypatch):
    monkeypatch.setattr(module, "MEMBERS_PER_CHUNK", scores_per_chunk)
    sample = sample_of()
    start = sample[torch.randperm(len(sample), generator=seeded())[:12]]
    got = k_means(sample, 12, n_iterations=n_iterations, generator=seeded())
    assert got.shape == (12, 5) and got.dtype == torch.float32
    np.testing.assert_allclose(
        got, textbook(sample.numpy(), start.numpy(), n_iterations), atol=1e-5
    )


def test_it_ends_where_nothing_moves():
    sample = sample_of()
    words = k_means(sample, 8, n_iterations=1000, generator=seeded())
    np.testing.assert_allclose(words, textbook(sample.numpy(), words.numpy(), 1), atol=1e-5)


def test_the_seed_decides():
    sample = sample_of()
    assert torch.equal(
        k_means(sample, 9, generator=seeded(1)), k_means(sample, 9, generator=seeded(1))
    )
    assert not torch.equal(
        k_means(sample, 9, generator=seeded(1)), k_means(sample, 9, generator=seeded(2))
    )


@pytest.mark.parametrize("seed", range(5))
def test_words_without_rows_move_to_the_rows_farthest_from_theirs(seed):
    """Nearly every start holds the same row four times."""
    sample = torch.tensor([0.0] * 500 + [10.0, 20.0, 30.0])[:, None]
    words = k_means(sample, 4, generator=seeded(seed))
    assert words.sort(0).values.flatten().tolist() == [0, 10, 20, 30]


def test_fewer_distinct_rows_than_words():
    words = k_means(torch.ones(20, 3), 6, generator=seeded())
    assert torch.equal(words, torch.ones(6, 3))


def test_fewer_rows_than_words_are_refused():
    with pytest.raises(ValueError, match="9 words need at least as many rows; got 8"):
        k_means(torch.ones(8, 3), 9, generator=seeded())
