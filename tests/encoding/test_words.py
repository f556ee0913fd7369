"""The words of a vocabulary."""

import warnings

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from visionpipe.encoding.words import draw_words, learn_words

CPU = torch.device("cpu")
SAMPLE = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32)


def learned(sample=SAMPLE, n_words=20, random_state=0, device=CPU):
    return learn_words(sample, n_words, random_state=random_state, device=device, owner="Owner")


def mean_square(sample, words):
    """Of the distances to the nearest word."""
    return ((sample[:, None] - words[None]) ** 2).sum(axis=2).min(axis=1).mean()


def test_learned_words_are_nearer_than_drawn_ones():
    words = learned()
    assert words.shape == (20, 4) and words.dtype == np.float32 and words.flags.writeable
    drawn = draw_words(SAMPLE, 20, random_state=0, owner="Owner")
    assert mean_square(SAMPLE, words) < 0.8 * mean_square(SAMPLE, drawn)


def test_seeds_decide():
    np.testing.assert_array_equal(learned(), learned())
    np.testing.assert_array_equal(learned(), learned(random_state=np.random.RandomState(0)))
    assert not np.array_equal(learned(), learned(random_state=1))
    assert np.isfinite(learned(random_state=None)).all()
    drawn = [draw_words(SAMPLE, 20, random_state=seed, owner="Owner") for seed in (0, 0, 1)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


def test_drawn_words_are_rows_and_none_twice():
    drawn = draw_words(SAMPLE, 500, random_state=0, owner="Owner")
    np.testing.assert_array_equal(np.sort(drawn, axis=0), np.sort(SAMPLE, axis=0))
    assert drawn.dtype == np.float32 and not np.array_equal(drawn, SAMPLE)


def test_the_number_of_threads_decides_nothing():
    def threads():
        return [x["num_threads"] for x in threadpool_info() if x["user_api"] == "openmp"]

    sample = np.random.default_rng(0).random((5000, 16), dtype=np.float32)  # several chunks
    results = []
    for limit in (1, 2, 3):
        with threadpool_limits(limit):
            before = threads()
            results.append(learned(sample.copy()))
            assert threads() == before
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_fewer_distinct_descriptors_than_words():
    sample = np.repeat(SAMPLE[:3], 10, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for words in (learned(sample), learned(np.zeros((40, 4), dtype=np.float32))):
            assert words.shape == (20, 4) and np.isfinite(words).all()


def test_fewer_descriptors_than_words_are_refused():
    message = "Owner got 19 descriptors to learn 20 words from; take fewer words, or more"
    with pytest.raises(ValueError, match=message):
        learned(SAMPLE[:19])
    with pytest.raises(ValueError, match=message):
        draw_words(SAMPLE[:19], 20, random_state=0, owner="Owner")
    assert learned(SAMPLE[:20]).shape == (20, 4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_learns_words_as_good():
    gpu = torch.device("cuda")
    words = learned(device=gpu)
    np.testing.assert_array_equal(words, learned(device=gpu))
    assert words.dtype == np.float32
    assert mean_square(SAMPLE, words) < 1.1 * mean_square(SAMPLE, learned())
