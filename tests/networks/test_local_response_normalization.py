"""LocalResponseNormalization against torch's LocalResponseNorm."""

import pytest
import torch
from torch import nn

from visionpipe.networks.local_response_normalization import LocalResponseNormalization


def both(**options):
    return LocalResponseNormalization(**options), nn.LocalResponseNorm(**options)


@pytest.mark.parametrize("n_maps", [1, 3, 16])
@pytest.mark.parametrize("size", [1, 2, 4, 5, 9])
@pytest.mark.parametrize(("beta", "k"), [(0.75, 1.0), (0.75, 2.0), (0.4, 0.1)])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_maps_and_gradients_are_torchs(n_maps, size, beta, k, memory_format):
    torch.manual_seed(0)
    maps = 3 * torch.randn(2, n_maps, 4, 5, dtype=torch.float64)
    maps = maps.to(memory_format=memory_format)
    slope = torch.randn_like(maps)
    results = []
    for layer in both(size=size, alpha=0.7, beta=beta, k=k):
        x = maps.clone(memory_format=torch.preserve_format).requires_grad_()
        y = layer(x)
        y.backward(slope)
        assert y.dtype == maps.dtype and y.is_contiguous(memory_format=memory_format)
        results.append((y, x.grad))
    torch.testing.assert_close(*results)


def test_sums_are_exact_under_autocast():
    """bfloat16 would round the sums to three digits."""
    layer, _ = both(size=5, alpha=1.0, beta=0.75, k=1.0)
    maps = 10 * torch.rand(2, 8, 3, 3)
    expected = layer(maps)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(layer(maps), expected, rtol=0, atol=0)
        half = layer(maps.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), layer(maps.bfloat16().float()), rtol=1e-2, atol=0)


def test_meta_tensors_go_through():
    layer, _ = both(size=5, alpha=1.0, beta=0.75, k=1.0)
    assert layer(torch.empty(2, 8, 3, 3, device="meta")).shape == (2, 8, 3, 3)


def test_it_shows_what_torchs_shows():
    ours, torchs = both(size=5, alpha=1.0, beta=0.75, k=2.0)
    assert repr(ours) == repr(torchs).replace("LocalResponseNorm(", "LocalResponseNormalization(")
