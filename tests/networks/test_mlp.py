"""The multilayer perceptron: its options, layer by layer, and what DropConnect drops."""

import math

import numpy as np
import pytest
import torch
from small_networks import losses_of_training, n_parameters
from torch import nn

from visionpipe.networks.drop_connect import DropConnectLinear
from visionpipe.networks.mlp import MLP

ACTIVATIONS = {  # as textbooks have them; "maxout" is not one number to another
    "gelu": lambda x: x * (1 + np.vectorize(math.erf)(x / 2**0.5)) / 2,
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.log(1 + np.exp(x)),
    "tanh": np.tanh,
}


def make(n_channels=1, image_size=(4, 4), n_classes=3, **options):
    torch.manual_seed(0)
    return MLP(n_channels=n_channels, image_size=image_size, n_classes=n_classes, **options)


def test_mlp_options():
    network = make(hidden=(7, 5, 4), activation="tanh", dropout=0.25)
    kinds = [type(layer) for layer in network]
    hidden = [nn.Linear, nn.Tanh, nn.Dropout]
    assert kinds == [nn.Flatten, *hidden, *hidden, *hidden, nn.Linear]
    assert [layer.out_features for layer in network if isinstance(layer, nn.Linear)] == [7, 5, 4, 3]
    assert network.dropout1.p == 0.25


def test_mlp_without_hidden_layers_is_softmax_regression():
    network = make(hidden=())
    assert [type(layer) for layer in network] == [nn.Flatten, nn.Linear]


def test_mlp_refuses_an_unknown_activation():
    known = "'gelu', 'leaky_relu', 'maxout', 'relu', 'sigmoid', 'softplus', 'tanh'"
    with pytest.raises(ValueError, match=rf"activation='swish'.*{known}"):
        make(activation="swish")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 235_146),
        ({"activation": "maxout", "n_pieces": 1}, 235_146),
        ({"activation": "maxout"}, 5 * (785 * 256 + 257 * 128) + 1_290),
        ({"drop_connect": 0.5}, 235_146),
        # 240 units of 5 pieces in two layers, as pylearn2's papers/maxout/mnist_pi.yaml
        ({"activation": "maxout", "hidden": (240, 240)}, 1_200 * (785 + 241) + 2_410),
    ],
    ids=["default", "maxout-1", "maxout-5", "drop-connect", "maxout-paper"],
)
def test_parameter_count(options, expected):
    with torch.device("meta"):
        assert n_parameters(make(1, (28, 28), 10, **options)) == expected


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activation_is_the_textbook_s(activation):
    network = make(2, (3, 4), hidden=(7, 5), activation=activation)
    images = torch.randn(6, 2, 3, 4) * 3
    weights = [p.detach().double().numpy() for p in network.parameters()]
    x = images.double().numpy().reshape(6, -1)
    for weight, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        x = ACTIVATIONS[activation](x @ weight.T + bias)
    expected = x @ weights[-2].T + weights[-1]
    np.testing.assert_allclose(network(images).detach(), expected, rtol=1e-4, atol=1e-5)
    assert f"{activation}1" in dict(network.named_children())


def test_maxout_units_take_the_largest_of_their_pieces():
    network = make(hidden=(7,), activation="maxout", n_pieces=3)
    images = torch.randn(6, 1, 4, 4)
    weight = network.dense1.weight.detach().numpy().reshape(7, 3, 16)
    bias = network.dense1.bias.detach().numpy().reshape(7, 3)
    hidden = np.empty((6, 7), dtype=np.float32)
    for n, x in enumerate(images.numpy().reshape(6, 16)):
        for unit in range(7):
            hidden[n, unit] = max(weight[unit, k] @ x + bias[unit, k] for k in range(3))
    expected = network.dense2(torch.from_numpy(hidden))
    torch.testing.assert_close(network(images), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n_pieces", [0, -2])
def test_a_unit_without_pieces(n_pieces):
    with pytest.raises(ValueError, match=rf"n_pieces={n_pieces}\): n_pieces must be 1 or more"):
        make(activation="maxout", n_pieces=n_pieces)


def test_drop_connect_is_in_the_hidden_layers():
    network = make(hidden=(7, 5), drop_connect=0.3)
    dense = [layer for layer in network if isinstance(layer, nn.Linear)]
    assert [type(layer) for layer in dense] == [DropConnectLinear, DropConnectLinear, nn.Linear]
    assert [layer.drop for layer in dense[:2]] == [0.3, 0.3]


def test_drop_connect_draws_the_same_initial_weights():
    plain, dropping = make(), make(drop_connect=0.3)
    for one, other in zip(plain.parameters(), dropping.parameters(), strict=True):
        assert torch.equal(one, other)
    images = torch.randn(5, 1, 4, 4)
    assert torch.equal(plain(images), dropping.eval()(images))


@pytest.mark.parametrize("kind", ["weight", "bias"])
def test_drop_connect_drops_a_share_and_scales_the_others(kind):
    torch.manual_seed(0)
    layer = DropConnectLinear(200, 300, drop=0.25)
    with torch.no_grad():
        if kind == "weight":
            layer.bias.zero_()
            ratios = layer(torch.eye(200)) / layer.weight.T
        else:
            ratios = layer(torch.zeros(1, 200)) / layer.bias
    dropped = ratios == 0
    assert dropped.float().mean().item() == pytest.approx(0.25, abs=0.05)
    torch.testing.assert_close(ratios[~dropped], torch.full_like(ratios[~dropped], 4 / 3))


def test_drop_connect_means_what_evaluation_computes():
    torch.manual_seed(0)
    layer = DropConnectLinear(10, 4, drop=0.5)
    x = torch.randn(3, 10)
    with torch.no_grad():
        mean = torch.stack([layer(x) for _ in range(4000)]).mean(0)
        torch.testing.assert_close(mean, layer.eval()(x), rtol=0, atol=0.06)


def test_one_mask_serves_a_batch_and_gradients_reach_what_it_kept():
    torch.manual_seed(0)
    layer = DropConnectLinear(10, 4, drop=0.5)
    outputs = layer(torch.ones(6, 10))
    torch.testing.assert_close(outputs, outputs[:1].expand(6, 4))
    outputs.sum().backward()
    assert set(layer.weight.grad.unique().tolist()) == {0.0, 12.0}  # 6 images, over 0.5


@pytest.mark.parametrize("drop", [-0.1, 1.0, 1.5])
def test_shares_that_drop_connect_cannot_drop(drop):
    with pytest.raises(ValueError, match=rf"drop={drop}\): drop must be a share"):
        make(drop_connect=drop)


@pytest.mark.parametrize(
    "options",
    [*({"activation": name} for name in [*ACTIVATIONS, "maxout"]), {"drop_connect": 0.2}],
    ids=[*ACTIVATIONS, "maxout", "drop-connect"],
)
def test_loss_falls_on_a_small_batch(options):
    network = make(3, (5, 6), 5, hidden=(32, 16), **options)
    images, labels = torch.randn(15, 3, 5, 6), torch.arange(15) % 5
    losses = losses_of_training(network, images, labels, lr=0.01, n_steps=80)
    assert losses[-1] < 0.3 * losses[0]
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())
