"""Gaussian smoothing against SciPy's."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from visionpipe.kernels.blur import gaussian_blur


@pytest.mark.parametrize("sigma", [0.4, 1.0, 1.7])
@pytest.mark.parametrize("size", [(1, 1), (3, 20), (30, 25)])
def test_equals_scipy(sigma, size):
    images = np.random.default_rng(0).random((2, 3, *size), dtype=np.float32)
    radius = int(np.ceil(4 * sigma))
    expected = gaussian_filter(images, (0, 0, sigma, sigma), mode="nearest", radius=radius)
    found = gaussian_blur(torch.from_numpy(images), sigma)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_no_smoothing_copies_nothing():
    batch = torch.rand(1, 1, 4, 4)
    assert gaussian_blur(batch, 0) is batch
