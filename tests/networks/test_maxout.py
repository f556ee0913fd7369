"""Maxout against its definition, the networks of its paper layer by layer."""

import numpy as np
import pytest
import torch
from small_networks import n_parameters, shapes
from torch import nn

from visionpipe.networks.maxout import Maxout, MaxoutNet

CONFIGURATIONS = ("cifar10", "mnist")
LEAST = {"cifar10": 8, "mnist": 16}  # pixels a side

# Padding of a convolution, side of the pooling, pieces: pylearn2, papers/maxout/*.yaml.
LAYERS = {
    "cifar10": [(4, 4, 2), (3, 4, 2), (3, 2, 2)],
    "mnist": [(0, 4, 2), (3, 4, 2), (3, 2, 4)],
}


def make(configuration, n_channels=3, image_size=None, n_classes=5, **options):
    torch.manual_seed(0)
    return MaxoutNet(
        n_channels=n_channels,
        image_size=image_size or (LEAST[configuration],) * 2,
        n_classes=n_classes,
        configuration=configuration,
        **options,
    )


def imaginary(*args, **options):
    """The same without memory."""
    with torch.device("meta"):
        return make(*args, **options)


@pytest.mark.parametrize("n_pieces", [1, 2, 3])
@pytest.mark.parametrize("places", [(), (4, 5)], ids=["units", "maps"])
def test_maxout_is_the_largest_of_neighbours(n_pieces, places):
    x = np.random.default_rng(0).normal(size=(2, 6, *places))
    expected = np.empty((2, 6 // n_pieces, *places))
    for unit in range(6 // n_pieces):
        expected[:, unit] = x[:, unit * n_pieces : (unit + 1) * n_pieces].max(axis=1)
    np.testing.assert_array_equal(Maxout(n_pieces)(torch.from_numpy(x)), expected)


def test_gradient_goes_to_the_largest_piece():
    x = torch.tensor([[1.0, 3.0, -2.0, -4.0]], requires_grad=True)
    (Maxout(2)(x) * torch.tensor([5.0, 7.0])).sum().backward()
    assert x.grad.tolist() == [[0, 5, 7, 0]]


def test_maxout_without_pieces():
    with pytest.raises(ValueError, match=r"Maxout\(n_pieces=0\): n_pieces must be 1 or more"):
        Maxout(0)


@pytest.mark.parametrize(
    ("configuration", "n_channels", "image_size", "n_classes", "expected"),
    [
        ("cifar10", 1, (32, 32), 7, 16_247_830 - 2 * 12_288 - 3 * 501),
        ("cifar10", 3, (32, 64), 10, 16_247_830 + (5 * 9 - 5 * 5) * 192 * 2_500),
        ("mnist", 3, (28, 28), 7, 418_714 + 2 * 6_144 - 3 * 217),
        ("mnist", 1, (16, 28), 10, 418_714 - (3 * 3 - 2 * 3) * 24 * 10),
    ],
)
def test_parameter_count(configuration, n_channels, image_size, n_classes, expected):
    assert n_parameters(imaginary(configuration, n_channels, image_size, n_classes)) == expected


def test_layer_table_of_cifar10():
    network = imaginary("cifar10", 3, (32, 32), 10).eval()
    found = shapes(network, torch.empty(2, 3, 32, 32, device="meta"))
    expected = {
        "conv1": (192, 33, 33),
        "maxout1": (96, 33, 33),
        "pool1": (96, 16, 16),
        "conv2": (384, 15, 15),
        "maxout2": (192, 15, 15),
        "pool2": (192, 7, 7),
        "conv3": (384, 9, 9),
        "maxout3": (192, 9, 9),
        "pool3": (192, 5, 5),
        "flatten": (4800,),
        "dense1": (2500,),
        "maxout4": (500,),
        "dense2": (10,),
    }
    assert {name: found[name] for name in found if "dropout" not in name} == expected


def test_layer_table_of_mnist():
    network = imaginary("mnist", 1, (28, 28), 10).eval()
    found = shapes(network, torch.empty(2, 1, 28, 28, device="meta"))
    expected = {
        "conv1": (96, 21, 21),
        "maxout1": (48, 21, 21),
        "pool1": (48, 10, 10),
        "conv2": (96, 9, 9),
        "maxout2": (48, 9, 9),
        "pool2": (48, 4, 4),
        "conv3": (96, 6, 6),
        "maxout3": (24, 6, 6),
        "pool3": (24, 3, 3),
        "flatten": (216,),
        "dense1": (10,),
    }
    assert {name: found[name] for name in found if "dropout" not in name} == expected


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_dropout_precedes_every_layer_with_weights(configuration):
    layers = list(make(configuration, dropout=0.4, input_dropout=0.1))
    shares = []
    for i, layer in enumerate(layers):
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            before = [a for a in layers[:i] if not isinstance(a, nn.Flatten)][-1]
            shares.append(before.p)
    assert shares == [0.1] + [0.4] * (len(shares) - 1)
    assert len(shares) == sum(isinstance(layer, nn.Dropout) for layer in layers)


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_network_is_that_of_the_paper_s_code(configuration):
    """With windows of the poolings cut out one by one, and pieces after the pooling."""
    least = LEAST[configuration]
    network = make(configuration, 2, (least, least + 5)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(8 if parameter.ndim == 4 else 2).add_(0.01)
    x = torch.randn(3, 2, least, least + 5)
    with torch.no_grad():
        found, expected = network(x), by_the_paper_s_code(configuration, network, x)
    assert found.std() > 0.01
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def by_the_paper_s_code(configuration, network, x):
    f = nn.functional
    for i, (padding, side, n_pieces) in enumerate(LAYERS[configuration], start=1):
        conv = network.get_submodule(f"conv{i}")
        x = f.conv2d(f.pad(x, (padding,) * 4), conv.weight, conv.bias)
        x = largest_piece(slow_pooling(x, side), n_pieces)
    x = network.dense1(x.flatten(1))
    return network.dense2(largest_piece(x, 5)) if configuration == "cifar10" else x


def slow_pooling(maps, side):
    """Windows begin at every second pixel until one has reached the last pixel."""
    windows = []
    for length in maps.shape[2:]:
        starts = [0]
        while starts[-1] + side < length:
            starts.append(starts[-1] + 2)
        windows.append([slice(start, start + side) for start in starts])
    rows = [
        torch.stack([maps[:, :, i, j].amax((2, 3)) for j in windows[1]], -1) for i in windows[0]
    ]
    return torch.stack(rows, -2)


def largest_piece(x, n_pieces):
    return torch.stack([x[:, k::n_pieces] for k in range(n_pieces)]).amax(0)


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_initial_weights(configuration):
    for name, parameter in make(configuration).named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
        else:
            assert parameter.abs().max() <= 0.005
            assert parameter.std().item() == pytest.approx(0.005 / 3**0.5, rel=0.05)


def test_unknown_configuration():
    with pytest.raises(ValueError, match=r"configuration='svhn'.*'cifar10', 'mnist'"):
        MaxoutNet(n_channels=3, image_size=(32, 32), n_classes=10, configuration="svhn")
