"""Codes over words: what the encoders' textbook versions do not reach."""

import numpy as np
import pytest
import torch

from visionpipe.kernels import bag_of_visual_words as module
from visionpipe.kernels.bag_of_visual_words import (
    hard_assignment,
    llc_codes,
    triangle_assignment,
    triangle_codes,
)

RNG = np.random.default_rng(0)
DESCRIPTORS = torch.from_numpy(RNG.random((200, 16), dtype=np.float32))
WORDS = torch.from_numpy(RNG.random((30, 16), dtype=np.float32))


@pytest.mark.parametrize("n_nearest", [1, 5, 30])
def test_llc_weights_sum_to_one_and_rebuild_the_descriptor(n_nearest):
    nearest, codes = llc_codes(DESCRIPTORS, WORDS, n_nearest=n_nearest, beta=1e-4)
    np.testing.assert_allclose(codes.sum(1), 1, atol=1e-5)
    rebuilt = (WORDS[nearest] * codes[..., None]).sum(1)
    alone = WORDS[nearest[:, 0]]
    error = (rebuilt - DESCRIPTORS).norm(dim=1)
    assert (error <= (alone - DESCRIPTORS).norm(dim=1) + 1e-4).all()


def test_llc_of_a_word_and_of_words_that_are_alike():
    nearest, codes = llc_codes(WORDS[:4], WORDS, n_nearest=5, beta=1e-4)
    assert nearest[:, 0].tolist() == [0, 1, 2, 3]
    assert (codes[:, 0] > 0.99).all()
    same = torch.ones(6, 16)
    for descriptors in (same[:2], 2 * same[:2]):
        _, codes = llc_codes(descriptors, same, n_nearest=5, beta=1e-4)
        np.testing.assert_allclose(codes, np.full((2, 5), 0.2), atol=1e-3)


def test_triangle_in_chunks(monkeypatch):
    segments = torch.from_numpy(RNG.integers(0, 7, 200))
    expected = triangle_assignment(DESCRIPTORS, segments, 7, WORDS)
    monkeypatch.setattr(module, "CODES_PER_CHUNK", 100)
    found = triangle_assignment(DESCRIPTORS, segments, 7, WORDS)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    codes = triangle_codes(DESCRIPTORS, WORDS)
    np.testing.assert_allclose(found.sum(0), codes.sum(0), atol=1e-3)


def test_counts_add_up():
    segments = torch.from_numpy(np.sort(RNG.integers(0, 9, 200)))
    counts = hard_assignment(DESCRIPTORS, segments, 9, WORDS)
    np.testing.assert_array_equal(counts.sum(1), torch.bincount(segments, minlength=9))
