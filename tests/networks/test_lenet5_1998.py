"""LeNet-5 of 1998 against the paper, layer by layer and map by map."""

import numpy as np
import pytest
import torch
from small_networks import n_parameters, shapes
from torch import nn

from visionpipe.networks.lenet5_1998 import LeNet5Of1998

# Table 1 of the paper as it is printed: an X where a map of C3 (column) sees one of S2 (row).
TABLE_1 = """
    X...XXX..XXXX.XX
    XX...XXX..XXXX.X
    XXX...XXX..X.XXX
    .XXX..XXXX..X.XX
    ..XXX..XXXX.XX.X
    ...XXX..XXXX.XXX
"""
SEEN = np.array([[mark == "X" for mark in row] for row in TABLE_1.split()])  # (6, 16)


def make(n_channels=1, image_size=(32, 32), n_classes=10):
    torch.manual_seed(0)
    return LeNet5Of1998(n_channels=n_channels, image_size=image_size, n_classes=n_classes)


@pytest.mark.parametrize(
    ("n_channels", "image_size", "expected"),
    [
        (1, (32, 32), 60_000),
        (1, (28, 28), 60_000),
        (1, (8, 20), 60_000),
        (3, (32, 32), 60_000 + 2 * 150),
        (1, (40, 36), 60_000 + (7 * 6 - 5 * 5) * 16 * 120),
    ],
)
@pytest.mark.parametrize("n_classes", [2, 10, 1000])
def test_parameter_count(n_channels, image_size, expected, n_classes):
    with torch.device("meta"):
        assert n_parameters(make(n_channels, image_size, n_classes)) == expected


def test_parameters_and_output_of_each_layer():
    network = make()
    found = {
        name: (n_parameters(network.get_submodule(name)), shape)
        for name, shape in shapes(network, torch.rand(2, 1, 32, 32)).items()
        if not name.startswith("tanh")
    }
    assert found == {
        "pad": (0, (1, 32, 32)),
        "c1": (156, (6, 28, 28)),
        "s2": (12, (6, 14, 14)),
        "c3": (1_516, (16, 10, 10)),
        "s4": (32, (16, 5, 5)),
        "c5": (48_120, (120, 1, 1)),
        "flatten": (0, (120,)),
        "f6": (10_164, (84,)),
        "output": (0, (10,)),
    }


def test_c3_sees_the_maps_of_table_1():
    c3 = make().c3
    maps = np.random.default_rng(0).normal(size=(2, 6, 9, 8)).astype(np.float32)
    kernels = iter(c3.weight.detach().numpy())
    bias = c3.bias.detach().numpy() + 1
    c3.bias.data += 1
    expected = np.empty((2, 16, 5, 4))
    for column in range(16):
        expected[:, column] = bias[column]
        for row in np.flatnonzero(SEEN[:, column]):
            kernel = next(kernels)
            for i in range(5):
                for j in range(4):
                    window = maps[:, row, i : i + 5, j : j + 5]
                    expected[:, column, i, j] += (window * kernel).sum((1, 2))
    assert next(kernels, None) is None
    found = c3(torch.from_numpy(maps))
    np.testing.assert_allclose(found.detach(), expected, rtol=1e-4, atol=1e-5)
    found.sum().backward()
    assert c3.weight.grad.flatten(1).any(1).all()


def test_subsampling():
    s2 = make().s2
    s2.bias.data.uniform_(-1, 1)
    maps = np.random.default_rng(0).normal(size=(3, 6, 4, 7)).astype(np.float32)
    sums = maps[..., 0::2, 0:6:2] + maps[..., 0::2, 1:6:2]
    sums = sums + maps[..., 1::2, 0:6:2] + maps[..., 1::2, 1:6:2]  # (3, 6, 2, 3)
    weight, bias = (p.detach().numpy()[:, None, None] for p in (s2.weight, s2.bias))
    found = s2(torch.from_numpy(maps)).detach()
    np.testing.assert_allclose(found, sums * weight + bias, rtol=1e-5, atol=1e-5)


def test_scaled_tanh():
    x = torch.linspace(-4, 4, 33)
    found = make().tanh1(x)
    np.testing.assert_allclose(found, 1.7159 * np.tanh(2 / 3 * x.numpy()), rtol=1e-6)
    assert found[x == 1].item() == pytest.approx(1, abs=1e-4)


def test_a_scaled_tanh_follows_each_layer_but_the_output():
    names = [name.rstrip("123456") for name, _ in make().named_children()]
    layers = [name for name in names if name not in ("pad", "flatten")]
    assert layers == [*(["c", "tanh", "s", "tanh"] * 2), "c", "tanh", "f", "tanh", "output"]


def test_logits_are_log_densities_about_the_codes():
    output = make(n_classes=7).output
    units = torch.randn(5, 84)
    normal = torch.distributions.Normal(output.codes, 1)
    expected = normal.log_prob(units[:, None]) + np.log(2 * np.pi) / 2  # (5, 7, 84)
    torch.testing.assert_close(output(units), expected.sum(2), rtol=1e-5, atol=1e-4)


def test_codes_are_far_apart_and_those_of_every_seed():
    torch.manual_seed(1)
    codes = LeNet5Of1998(n_channels=1, image_size=(32, 32), n_classes=1000).output.codes
    assert codes.shape == (1000, 84) and codes.abs().eq(1).all()
    torch.testing.assert_close(codes, make(n_classes=1000).output.codes, rtol=0, atol=0)
    torch.testing.assert_close(codes[:10], make(n_classes=10).output.codes, rtol=0, atol=0)
    n_different = (84 - codes @ codes.T).fill_diagonal_(torch.inf) / 2
    assert n_different.min() >= 15


def test_codes_leave_the_global_generator_alone():
    few, many = make(n_classes=2), make(n_classes=500)
    torch.testing.assert_close(few.f6.weight, many.f6.weight, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("layer", "n_inputs"),
    [("c1", 25), ("s2", 4), ("s4", 4), ("c5", 400), ("f6", 120)],
)
def test_initial_weights_are_uniform(layer, n_inputs):
    layer = make().get_submodule(layer)
    bound = 2.4 / n_inputs
    assert 0.5 * bound < layer.weight.abs().max() <= bound
    assert not layer.bias.any()


def test_initial_weights_of_c3_are_uniform_by_the_inputs_of_a_map():
    c3 = make().c3
    n_inputs = [25 * n for n in SEEN.sum(0) for _ in range(n)]
    largest = c3.weight.abs().amax((1, 2)) * torch.tensor(n_inputs) / 2.4  # (60,)
    assert largest.max() <= 1.000001 and largest.min() > 0.7
    assert not c3.bias.any()


@pytest.mark.parametrize("size", [(28, 28), (7, 30)])
def test_small_images_are_padded_evenly_with_zeros(size):
    small, whole = make(image_size=size), make()
    images = torch.rand(2, 1, *size)
    padded = torch.zeros(2, 1, 32, 32)
    top, left = (32 - size[0]) // 2, (32 - size[1]) // 2
    padded[:, :, top : top + size[0], left : left + size[1]] = images
    torch.testing.assert_close(small(images), whole(padded), rtol=0, atol=0)


def test_training_begins_with_classes_about_equal():
    logits = make(image_size=(24, 24))(torch.randn(40, 1, 24, 24))
    assert nn.functional.cross_entropy(logits, torch.arange(40) % 10) < 2.6  # log(10) is 2.3
