"""Inception v3 against its authors' code, branch by branch; its head and loss."""

import pytest
import torch
from small_networks import assert_gradients, n_parameters, with_random_normalisation
from torch import nn

from visionpipe.networks.dry_run import dry_run
from visionpipe.networks.inception_v3 import InceptionV3

# Pixels that each layer without padding needs.
LEAST = {
    "conv1": 3,
    "conv2": 7,
    "pool1": 11,
    "conv5": 19,
    "pool2": 27,
    "mixed6a": 43,
    "mixed7a": 75,
}


def make(n_channels=3, image_size=(75, 75), n_classes=4, **options):
    torch.manual_seed(0)
    return InceptionV3(n_channels=n_channels, image_size=image_size, n_classes=n_classes, **options)


def imaginary(n_channels=3, image_size=(299, 299), n_classes=1000, **options):
    """The network without memory."""
    with torch.device("meta"):
        return make(n_channels, image_size, n_classes, **options)


def test_parameter_count_without_the_head():
    assert n_parameters(imaginary(auxiliary=False)) == 23_834_568


def test_parameter_count_of_each_layer():
    """Those of the docstring."""
    network = imaginary(n_channels=1)
    found = [n_parameters(layer) for layer in network.children()]
    assert [n for n in found if n] == [
        *(288 + 64, 9_280, 18_560, 5_280, 138_624),
        *(255_904, 277_472, 285_152),
        *(1_153_280, 1_297_408, 1_691_008, 1_691_008, 2_141_952),
        *(1_698_304, 5_044_608, 6_076_800),
        *(2_049_000, 98_560 + 2_459_136 + 769_000),
    ]


@pytest.mark.parametrize(
    ("image_size", "n_weights"),
    [((75, 75), 1), ((171, 250), 6), ((298, 299), 20), ((299, 640), 25), ((640, 640), 25)],
)
def test_other_sizes_change_conv2_of_the_head_alone(image_size, n_weights):
    network = imaginary(image_size=image_size)
    assert n_parameters(network) == 27_161_264 + (n_weights - 25) * 128 * 768


def test_layer_table():
    _, calls, error = dry_run(imaginary, (299, 299, 3))
    assert error is None
    found = {call.name: call.shape_out[1:] for call in calls}
    expected = {
        "conv1": (32, 149, 149),
        "conv2": (32, 147, 147),
        "conv3": (64, 147, 147),
        "pool1": (64, 73, 73),
        "conv4": (80, 73, 73),
        "conv5": (192, 71, 71),
        "pool2": (192, 35, 35),
        "mixed5b": (256, 35, 35),
        "mixed5c": (288, 35, 35),
        "mixed5d": (288, 35, 35),
        "mixed6a": (768, 17, 17),
        "mixed6b": (768, 17, 17),
        "mixed6c": (768, 17, 17),
        "mixed6d": (768, 17, 17),
        "mixed6e": (768, 17, 17),
        "mixed7a": (1280, 8, 8),
        "mixed7b": (2048, 8, 8),
        "mixed7c": (2048, 8, 8),
        "pool": (2048, 1, 1),
        "dense": (1000,),
    }
    assert {name: found[name] for name in expected} == expected


def test_layer_table_of_the_head():
    maps = torch.empty(2, 768, 17, 17, device="meta")
    found = {}
    for name, layer in imaginary().heads["mixed6e"].named_children():
        maps = layer(maps)
        found[name] = tuple(maps.shape[1:])
    assert found["pool"] == (768, 5, 5)
    assert found["conv1"] == (128, 5, 5)
    assert found["conv2"] == (768, 1, 1)
    assert found["dense"] == (1000,)


class ByAuthors:
    """The authors' graph with torch's functions and a network's weights, in the order they come."""

    def __init__(self, network):
        kinds = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)
        self.layers = iter([layer for layer in network.modules() if isinstance(layer, kinds)])

    def conv(self, x, n_out, *kernel, stride=1, valid=False):
        kernel = kernel if len(kernel) == 2 else kernel * 2
        layer, norm = next(self.layers), next(self.layers)
        assert layer.weight.shape == (n_out, x.shape[1], *kernel) and layer.bias is None
        padding = (0, 0) if valid else [side // 2 for side in kernel]
        x = nn.functional.conv2d(x, layer.weight, None, stride, padding)
        names = ("running_mean", "running_var", "weight", "bias")
        mean, variance, scale, bias = (getattr(norm, name).view(-1, 1, 1) for name in names)
        return ((x - mean) / (variance + 0.001).sqrt() * scale + bias).relu()

    def convs(self, x, *steps):
        for step in steps:
            x = self.conv(x, *step)
        return x

    def halved(self, x, n_out):
        return self.conv(x, n_out, 3, stride=2, valid=True)

    def mean_pooled(self, x, n_out):
        """The sum over a window of zeros outside, over the number of pixels inside."""
        window = x.new_ones(x.shape[1], 1, 3, 3)
        total = nn.functional.conv2d(x, window, padding=1, groups=x.shape[1])
        inside = nn.functional.conv2d(torch.ones_like(x), window, padding=1, groups=x.shape[1])
        return self.conv(total / inside, n_out, 1)

    def fanned(self, x):
        return torch.cat([self.conv(x, 384, 1, 3), self.conv(x, 384, 3, 1)], 1)

    def dense(self, x):
        layer = next(self.layers)
        return x.mean((2, 3)) @ layer.weight.T + layer.bias

    def stem(self, x):
        x = self.conv(self.halved(x, 32), 32, 3, valid=True)
        x = nn.functional.max_pool2d(self.conv(x, 64, 3), 3, 2)
        return nn.functional.max_pool2d(self.conv(self.conv(x, 80, 1), 192, 3, valid=True), 3, 2)

    def mixed5(self, x, n_pool):
        branches = [self.conv(x, 64, 1), self.convs(x, (48, 1), (64, 5))]
        branches.append(self.convs(x, (64, 1), (96, 3), (96, 3)))
        return torch.cat([*branches, self.mean_pooled(x, n_pool)], 1)

    def mixed6a(self, x):
        branches = [self.halved(x, 384), self.halved(self.convs(x, (64, 1), (96, 3)), 96)]
        return torch.cat([*branches, nn.functional.max_pool2d(x, 3, 2)], 1)

    def mixed6(self, x, n):
        branches = [self.conv(x, 192, 1), self.convs(x, (n, 1), (n, 1, 7), (192, 7, 1))]
        branches.append(self.convs(x, (n, 1), (n, 7, 1), (n, 1, 7), (n, 7, 1), (192, 1, 7)))
        return torch.cat([*branches, self.mean_pooled(x, 192)], 1)

    def mixed7a(self, x):
        branches = [self.halved(self.conv(x, 192, 1), 320)]
        branches.append(self.halved(self.convs(x, (192, 1), (192, 1, 7), (192, 7, 1)), 192))
        return torch.cat([*branches, nn.functional.max_pool2d(x, 3, 2)], 1)

    def mixed7(self, x):
        branches = [self.conv(x, 320, 1), self.fanned(self.conv(x, 384, 1))]
        branches.append(self.fanned(self.convs(x, (448, 1), (384, 3))))
        return torch.cat([*branches, self.mean_pooled(x, 192)], 1)

    def head(self, x):
        x = nn.functional.avg_pool2d(x, [min(5, n) for n in x.shape[2:]], 3)
        x = self.conv(x, 128, 1)
        return self.dense(self.conv(x, 768, *[min(5, n) for n in x.shape[2:]], valid=True))

    def logits(self, x):
        """Of the network and of its head."""
        x = self.stem(x)
        for n_pool in (32, 64, 64):
            x = self.mixed5(x, n_pool)
        x = self.mixed6a(x)
        for n in (128, 160, 160, 192):
            x = self.mixed6(x, n)
        main = self.dense(self.mixed7(self.mixed7(self.mixed7a(x))))
        return main, self.head(x)


@torch.no_grad()
def test_network_is_that_of_its_authors():
    image_size = (75, 187)  # maps of 3x10 for the head, less and more than its windows
    network = with_random_normalisation(make(image_size=image_size)).double()
    network.heads["mixed6e"].dense.weight *= 100
    images, labels = torch.randn(2, 3, *image_size, dtype=torch.float64), torch.tensor([3, 1])
    reference = ByAuthors(network)
    logits, auxiliary = reference.logits(images)
    assert next(reference.layers, None) is None
    torch.testing.assert_close(network(images), logits)
    loss, found = network.training_loss(images, labels, nn.functional.cross_entropy)
    torch.testing.assert_close(found, logits)
    losses = [nn.functional.cross_entropy(x, labels) for x in (logits, auxiliary)]
    torch.testing.assert_close(loss, losses[0] + 0.4 * losses[1])
    criterion = nn.CrossEntropyLoss(reduction="none")
    each, _ = network.training_loss(images, labels, criterion)
    assert each.shape == (2,)
    torch.testing.assert_close(each.mean(), loss)


def test_the_head_runs_in_training_loss_alone():
    network, calls = imaginary(image_size=(75, 75), n_classes=4), []
    network.heads["mixed6e"].register_forward_hook(lambda *_: calls.append("head"))
    images, labels = torch.empty(2, 3, 75, 75, device="meta"), torch.zeros(2, device="meta").long()
    for training in (True, False):
        assert network.train(training)(images).shape == (2, 4)
    assert calls == []
    network.train().training_loss(images, labels, nn.functional.cross_entropy)
    assert calls == ["head"]


def test_without_the_head_the_loss_is_that_of_the_logits():
    network, images = make(1, auxiliary=False, dropout=0.0), torch.randn(2, 1, 75, 75)
    labels = torch.tensor([3, 0])
    loss, logits = network.training_loss(images, labels, nn.functional.cross_entropy)
    torch.testing.assert_close(loss, nn.functional.cross_entropy(logits, labels))
    loss.backward()
    assert_gradients(network)


def test_dropout():
    layers = imaginary(dropout=0.1).modules()
    assert [layer.p for layer in layers if isinstance(layer, nn.Dropout)] == [0.1]


def test_initial_weights():
    network = make(n_classes=300)
    special = {"heads.mixed6e.conv2.conv": 0.01, "heads.mixed6e.dense": 0.001}
    for name, layer in network.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            expected = special.get(name, (2 / layer.weight[0].numel()) ** 0.5)
            n = layer.weight.numel()
            assert abs(layer.weight.std() / expected - 1) < 4 / (2 * n) ** 0.5, name
        if isinstance(layer, nn.Linear):
            assert not layer.bias.any()
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.eps == 1e-3 and (layer.weight == 1).all() and (layer.bias == 0).all()
