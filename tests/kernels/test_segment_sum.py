"""Sums of rows that belong together, against NumPy's."""

import numpy as np
import torch

from visionpipe.kernels.segment_sum import segment_sum

RNG = np.random.default_rng(0)


def test_equals_numpy():
    rows = RNG.random((100, 7), dtype=np.float32)
    segments = RNG.integers(0, 12, 100)
    segments[segments == 5] = 6  # nothing in segment 5
    expected = np.zeros((14, 7))
    np.add.at(expected, segments, rows)
    found = segment_sum(torch.from_numpy(rows), torch.from_numpy(segments), 14)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert not found[5].any() and not found[13].any()


def test_no_rows():
    found = segment_sum(torch.zeros(0, 3), torch.zeros(0, dtype=torch.int64), 2)
    assert found.shape == (2, 3) and not found.any()
