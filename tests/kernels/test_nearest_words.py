"""Nearest words against all distances, computed one by one in float64."""

import numpy as np
import pytest
import torch

from visionpipe.kernels import nearest_words as module
from visionpipe.kernels.nearest_words import nearest_words, several_nearest_words

RNG = np.random.default_rng(0)
DESCRIPTORS = RNG.random((300, 16), dtype=np.float32)
WORDS = RNG.random((23, 16), dtype=np.float32)
DISTANCES = np.linalg.norm(DESCRIPTORS[:, None].astype(np.float64) - WORDS, axis=2)  # (m, k)


def tensors(*arrays):
    return [torch.from_numpy(array) for array in arrays]


@pytest.fixture(params=[1, 100, 1 << 18], ids="chunk of {} scores".format)
def chunks(request, monkeypatch):
    monkeypatch.setattr(module, "SCORES_PER_CHUNK", request.param)


def test_nearest(chunks):
    nearest, squared = nearest_words(*tensors(DESCRIPTORS, WORDS))
    np.testing.assert_array_equal(nearest, DISTANCES.argmin(axis=1))
    np.testing.assert_allclose(squared, DISTANCES.min(axis=1) ** 2, atol=1e-5)


@pytest.mark.parametrize("n", [1, 5, 23])
def test_several(chunks, n):
    nearest, squared = several_nearest_words(*tensors(DESCRIPTORS, WORDS), n)
    np.testing.assert_array_equal(nearest, DISTANCES.argsort(axis=1)[:, :n])
    np.testing.assert_allclose(squared, np.sort(DISTANCES, axis=1)[:, :n] ** 2, atol=1e-5)


def test_sift_bytes_are_exact():
    descriptors = RNG.integers(0, 256, (500, 128)).astype(np.float32)
    words = descriptors[:40]
    nearest, squared = nearest_words(*tensors(descriptors, words))
    exact = ((descriptors[:, None].astype(np.int64) - words.astype(np.int64)) ** 2).sum(axis=2)
    np.testing.assert_array_equal(nearest, exact.argmin(axis=1))
    np.testing.assert_array_equal(squared, exact.min(axis=1))


def test_the_first_of_equal_words_and_no_descriptors():
    words = torch.ones(3, 2)
    nearest, squared = nearest_words(torch.ones(4, 2), words)
    assert nearest.tolist() == [0] * 4 and squared.tolist() == [0] * 4
    nearest, squared = nearest_words(torch.ones(0, 2), words)
    assert nearest.shape == squared.shape == (0,)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu():
    descriptors, words = (tensor.cuda() for tensor in tensors(DESCRIPTORS, WORDS))
    nearest, _ = several_nearest_words(descriptors, words, 5)
    np.testing.assert_array_equal(nearest.cpu(), DISTANCES.argsort(axis=1)[:, :5])
