"""Network in network against the authors' model for CIFAR-10; and that it learns."""

import pickle

import pytest
import torch
from small_networks import shapes
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
        (3, (32, 32), 10, 966_986),
        (3, (5, 40), 10, 966_986),
        (1, (28, 28), 10, 966_986 - 2 * 25 * 192),
        (3, (32, 32), 100, 966_986 + 90 * 193),
    ],
)
def test_parameter_count(n_channels, image_size, n_classes, expected):
    with torch.device("meta"):
        network = make(n_channels, image_size, n_classes)
    assert sum(parameter.numel() for parameter in network.parameters()) == expected


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
    network, images = make(1, (9, 12)).eval(), torch.randn(2, 1, 9, 12)
    for name, bias in network.named_parameters():
        if name.endswith("bias"):
            bias.uniform_(-0.1, 0.1)
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


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("image_size", [(4, 4), (4, 11), (13, 6)])
def test_logits_and_gradients_from_the_least_size_up(n_channels, image_size):
    network = make(n_channels, image_size, n_classes=7, dropout=0.2)
    logits = network(torch.randn(3, n_channels, *image_size))
    assert logits.shape == (3, 7) and logits.dtype == torch.float32
    nn.functional.cross_entropy(logits, torch.arange(3)).backward()
    for parameter in network.parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all()
        assert parameter.grad.any()


@pytest.mark.parametrize(
    ("image_size", "layer"), [((1, 9), "pool1"), ((3, 4), "pool2"), ((9, 3), "pool2")]
)
def test_images_that_are_too_small(image_size, layer):
    message = f"NetworkInNetwork got .* for its layer {layer}; it takes 4x4 or larger"
    with pytest.raises(ValueError, match=message):
        make(image_size=image_size)
    with pytest.raises(RuntimeError, match="Output size is too small"):
        make().eval()(torch.rand(1, 3, *image_size))


@torch.no_grad()
def test_logits_of_an_image_alone_bfloat16_and_channels_last():
    network, images = make().eval(), torch.randn(4, 3, 12, 12)
    expected = network(images)
    torch.testing.assert_close(network(images[1:2]), expected[1:2], rtol=1e-4, atol=1e-6)
    last = network.to(memory_format=torch.channels_last)
    found = last(images.to(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(network(images).float(), expected, rtol=0.05, atol=0.001)


def test_pickle_and_equal_weights_under_an_equal_seed():
    network, again = make(), make()
    loaded = pickle.loads(pickle.dumps(network))
    for weight, *others in zip(*(n.parameters() for n in (network, again, loaded)), strict=True):
        assert all(torch.equal(weight, other) for other in others)


def test_loss_falls_on_a_small_batch():
    network = make(n_classes=4)
    images, labels = torch.randn(8, 3, 12, 12), torch.arange(8) % 4
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    losses = []
    for _ in range(25):
        loss = nn.functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
