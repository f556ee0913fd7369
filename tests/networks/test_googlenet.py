"""GoogLeNet against its paper: table 1, its heads and their loss."""

import numpy as np
import pytest
import torch
from small_networks import assert_gradients, n_parameters, with_random_biases
from torch import nn

from visionpipe.networks.dry_run import dry_run
from visionpipe.networks.googlenet import GoogLeNet

# The paper's table 1 from the first Inception module down: maps of its columns 1x1, 3x3 reduce,
# 3x3, 5x5 reduce, 5x5 and pool proj; nothing for max pooling.
TABLE_1 = [
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    (),
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    (),
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
]
HEADS = {"inception4a": 512, "inception4d": 528}


def make(n_channels=3, image_size=(32, 32), n_classes=4, **options):
    torch.manual_seed(0)
    return GoogLeNet(n_channels=n_channels, image_size=image_size, n_classes=n_classes, **options)


def imaginary(n_channels=3, image_size=(224, 224), n_classes=1000, **options):
    """The network without memory."""
    with torch.device("meta"):
        return make(n_channels, image_size, n_classes, **options)


def test_parameter_count_without_heads():
    assert n_parameters(imaginary(auxiliary=False)) == 6_998_552


def test_parameter_count_of_each_layer():
    """Those of the docstring."""
    network = imaginary(n_channels=1)
    found = [n_parameters(layer) for layer in network.children()]
    assert [n for n in found if n] == [
        *(3_136 + 64, 4_160, 110_784, 163_696, 388_736),
        *(376_176, 449_160, 510_104, 605_376, 868_352, 1_043_456, 1_444_080),
        *(1_025_000, 3_188_840 + 3_190_888),
    ]


@pytest.mark.parametrize(
    ("image_size", "n_places"), [((31, 31), 1), ((32, 180), 3), ((96, 112), 1), ((256, 300), 20)]
)
def test_other_sizes_change_dense1_of_the_heads_alone(image_size, n_places):
    network = imaginary(image_size=image_size)
    assert n_parameters(network) == 13_378_280 + 2 * (n_places - 16) * 128 * 1024


def test_layer_table():
    _, calls, error = dry_run(imaginary, (224, 224, 3))
    assert error is None
    found = {call.name: call.shape_out[1:] for call in calls}
    expected = {
        "conv1": (64, 112, 112),
        "pool1": (64, 56, 56),
        "norm1": (64, 56, 56),
        "reduce2": (64, 56, 56),
        "conv2": (192, 56, 56),
        "norm2": (192, 56, 56),
        "pool2": (192, 28, 28),
        "inception3a": (256, 28, 28),
        "inception3b": (480, 28, 28),
        "pool3": (480, 14, 14),
        "inception4a": (512, 14, 14),
        "inception4b": (512, 14, 14),
        "inception4c": (512, 14, 14),
        "inception4d": (528, 14, 14),
        "inception4e": (832, 14, 14),
        "pool4": (832, 7, 7),
        "inception5a": (832, 7, 7),
        "inception5b": (1024, 7, 7),
        "pool": (1024, 1, 1),
        "dense": (1000,),
    }
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("name", HEADS)
def test_layer_table_of_a_head(name):
    maps = torch.empty(2, HEADS[name], 14, 14, device="meta")
    found = {}
    for layer_name, layer in imaginary().heads[name].named_children():
        maps = layer(maps)
        found[layer_name] = tuple(maps.shape[1:])
    assert found["pool"] == (HEADS[name], 4, 4)
    assert found["conv"] == (128, 4, 4)
    assert found["dense1"] == (1024,)
    assert found["dense2"] == (1000,)


def slow_normalisation(x):
    """Caffe's LRN with local_size 5, alpha 1e-4, beta 0.75 and k 1: alpha over the size."""
    maps, found = x.numpy(), np.empty(x.shape)
    for i in range(maps.shape[1]):
        squares = (maps[:, max(0, i - 2) : i + 3] ** 2).sum(1)
        found[:, i] = maps[:, i] / (1 + 1e-4 / 5 * squares) ** 0.75
    return torch.from_numpy(found)


def pooled(x):
    """3x3 in steps of 2, as many windows as two rows or columns of begin in the maps."""
    return nn.functional.max_pool2d(
        nn.functional.pad(x, (0, 1, 0, 1), value=-torch.inf), 3, 2
    )  # (b, c, h // 2, w // 2)


def by_table_1(network, x):
    """Logits of the network and of its heads, with torch's functions and the network's weights."""
    f = nn.functional
    parameters = iter(network.parameters())

    def conv(x, n_out, side, stride=1):
        weight, bias = next(parameters), next(parameters)
        assert weight.shape == (n_out, x.shape[1], side, side)
        return f.conv2d(x, weight, bias, stride, side // 2).relu()

    def dense(x):
        return x @ next(parameters).T + next(parameters)

    x = slow_normalisation(pooled(conv(x, 64, 7, 2)))
    x = pooled(slow_normalisation(conv(conv(x, 64, 1), 192, 3)))
    kept = []
    for row in TABLE_1:
        if row:
            n1, r3, n3, r5, n5, proj = row
            branches = [conv(x, n1, 1), conv(conv(x, r3, 1), n3, 3), conv(conv(x, r5, 1), n5, 5)]
            x = torch.cat([*branches, conv(f.max_pool2d(x, 3, 1, 1), proj, 1)], 1)
            kept.append(x)
        else:
            x = pooled(x)
    logits = [dense(x.mean((2, 3)))]
    for x in (kept[2], kept[5]):  # 4a and 4d
        x = f.avg_pool2d(x, [min(5, n) for n in x.shape[2:]], 3)
        logits.append(dense(dense(conv(x, 128, 1).flatten(1)).relu()))
    assert next(parameters, None) is None
    return logits


@pytest.mark.parametrize("image_size", [(31, 40), (70, 118)])
@torch.no_grad()
def test_network_is_that_of_table_1(image_size):
    network = with_random_biases(make(image_size=image_size), 0.3).double()
    network.dense.weight *= 10
    images = 10 * torch.randn(2, 3, *image_size, dtype=torch.float64)  # for the normalisation
    labels = torch.tensor([3, 1])
    logits, *others = by_table_1(network, images)
    torch.testing.assert_close(network(images), logits)
    loss, found = network.training_loss(images, labels, nn.functional.cross_entropy)
    torch.testing.assert_close(found, logits)
    losses = [nn.functional.cross_entropy(x, labels) for x in (logits, *others)]
    torch.testing.assert_close(loss, losses[0] + 0.3 * (losses[1] + losses[2]))
    criterion = nn.CrossEntropyLoss(reduction="none")
    each, _ = network.training_loss(images, labels, criterion)
    assert each.shape == (2,)
    torch.testing.assert_close(each.mean(), loss)


def test_without_heads_the_loss_is_that_of_the_logits():
    network = make(auxiliary=False, dropout=0.0)
    images, labels = torch.randn(3, 3, 32, 32), torch.tensor([0, 1, 2])
    loss, logits = network.training_loss(images, labels, nn.functional.cross_entropy)
    torch.testing.assert_close(logits, network(images), rtol=0, atol=0)
    torch.testing.assert_close(loss, nn.functional.cross_entropy(logits, labels))
    loss.backward()
    assert_gradients(network)


@torch.no_grad()
def test_heads_run_in_training_loss_alone():
    network, calls = make(), []
    for name in HEADS:
        network.heads[name].register_forward_hook(lambda *_, name=name: calls.append(name))
    images = torch.randn(2, 3, 32, 32)
    for training in (True, False):
        assert network.train(training)(images).shape == (2, 4)
    assert calls == []
    network.train().training_loss(images, torch.tensor([0, 1]), nn.functional.cross_entropy)
    assert calls == [*HEADS]


def test_dropout():
    shares = [
        layer.p for layer in imaginary(dropout=0.1).modules() if isinstance(layer, nn.Dropout)
    ]
    assert shares == [0.1, 0.7, 0.7]


def test_initial_weights():
    network = make(n_classes=300)
    for name, layer in network.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            gives_logits = name == "dense" or name.endswith("dense2")
            expected = 0.01 if gives_logits else (2 / layer.weight[0].numel()) ** 0.5
            n = layer.weight.numel()
            assert abs(layer.weight.std() / expected - 1) < 4 / (2 * n) ** 0.5, name
            assert not layer.bias.any()


@torch.no_grad()
def test_maps_keep_their_size_through_all_modules():
    maps = torch.randn(4, 3, 64, 64)
    for name, layer in make(image_size=(64, 64), auxiliary=False).eval().named_children():
        if name == "dense":
            break
        maps = layer(maps) if name != "heads" else maps
        assert 0.5 < maps.std() < 8, name
        assert (maps != 0).float().mean() > 0.3, name
