"""Network in network against the authors' model for CIFAR-10."""

import pytest
import torch
from small_networks import n_parameters, shapes, with_random_biases
from torch import nn

from visionpipe.networks.nin import NetworkInNetwork


def make(n_channels=3, image_size=(12, 12), n_classes=10, **options):
    torch.manual_seed(0)
    return NetworkInNetwork(
        n_channels=n_channels, image_size=image_size, n_classes=n_classes, **options
    )


@pytest.mark.parametrize(
    ("n_channels", "image_size", "n_classes", "expected"),
    [
        (3, (5, 40), 10, 966_986),
        (1, (28, 28), 10, 966_986 - 2 * 25 * 192),
        (3, (32, 32), 100, 966_986 + 90 * 193),
    ],
)
def test_parameter_count(n_channels, image_size, n_classes, expected):
    with torch.device("meta"):
        assert n_parameters(make(n_channels, image_size, n_classes)) == expected


def test_layer_table():
    with torch.device("meta"):
        found = shapes(make(image_size=(32, 32)), torch.empty(2, 3, 32, 32))
    assert {n: s for n, s in found.items() if not n.startswith(("relu", "dropout"))} == {
        "conv1": (192, 32, 32),
        "cccp1": (160, 32, 32),
        "cccp2": (96, 32, 32),
        "pool1": (96, 16, 16),
        "conv2": (192, 16, 16),
        "cccp3": (192, 16, 16),
        "cccp4": (192, 16, 16),
        "pool2": (192, 8, 8),
        "conv3": (192, 8, 8),
        "cccp5": (192, 8, 8),
        "cccp6": (10, 8, 8),
        "pool3": (10, 1, 1),
        "flatten": (10,),
    }


def by_windows(x, reduce):
    """Of 3x3 in steps of 2, each cut off at the edge: the authors' pooling."""
    height, width = (-(-(length - 3) // 2) + 1 for length in x.shape[2:])
    rows = [
        torch.stack(
            [
                reduce(x[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].flatten(2))
                for j in range(width)
            ],
            2,
        )
        for i in range(height)
    ]
    return torch.stack(rows, 2)


@torch.no_grad()
def test_network_is_the_authors_but_for_the_last_relu():
    network, images = with_random_biases(make(1, (9, 12))), torch.randn(2, 1, 9, 12)
    parameters = iter(network.parameters())

    def perceptron(x, side):
        weight, bias = next(parameters), next(parameters)
        assert weight.shape[2:] == (side, side)
        x = nn.functional.conv2d(x, weight, bias, padding="same")
        for _ in range(2):
            weight, bias = next(parameters), next(parameters)
            x = torch.einsum("oi,bihw->bohw", weight[:, :, 0, 0], x.relu()) + bias[:, None, None]
        return x

    x = by_windows(perceptron(images, 5).relu(), lambda window: window.amax(2))
    x = by_windows(perceptron(x, 5).relu(), lambda window: window.mean(2))
    expected = perceptron(x, 3).mean((2, 3))
    torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-6)


def test_dropout_follows_both_poolings():
    names = [name for name, _ in make().named_children()]
    assert names[names.index("pool1") + 1] == "dropout1"
    assert names[names.index("pool2") + 1] == "dropout2"
    network = make(dropout=0.25)
    assert [layer.p for layer in network if isinstance(layer, nn.Dropout)] == [0.25, 0.25]


def test_initial_weights():
    for layer in make():
        if isinstance(layer, nn.Conv2d):
            n_inputs = layer.weight[0].numel()
            assert layer.weight.std().item() == pytest.approx((2 / n_inputs) ** 0.5, rel=0.05)
            assert not layer.bias.any()
