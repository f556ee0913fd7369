"""AlexNet and ZFNet against their papers: sizes, parameters, layers."""

import numpy as np
import pytest
import torch
from small_networks import n_parameters, shapes, with_random_biases
from torch import nn

from visionpipe.networks.alexnet import AlexNet
from visionpipe.networks.zfnet import ZFNet

BOTH = pytest.mark.parametrize("network", [AlexNet, ZFNet])
LEAST = {AlexNet: 36, ZFNet: 47}  # pixels a side


def small(network, image_size=None, n_channels=3, n_classes=4, hidden=16, **options):
    """A network for the CPU."""
    torch.manual_seed(0)
    size = image_size or (LEAST[network], LEAST[network])
    return network(
        n_channels=n_channels, image_size=size, n_classes=n_classes, hidden=hidden, **options
    )


def imaginary(network, image_size=(224, 224), n_channels=3, **options):
    """The network of ImageNet, without memory."""
    with torch.device("meta"):
        return network(n_channels=n_channels, image_size=image_size, n_classes=1000, **options)


# ------------------------------------------------------------------------------ sizes and counts


@pytest.mark.parametrize(
    ("network", "n_rgb", "per_channel"),
    [(AlexNet, 60_965_224, 96 * 121), (ZFNet, 62_357_608, 96 * 49)],
)
def test_parameter_count_of_rgb_and_of_grey_images(network, n_rgb, per_channel):
    assert n_parameters(imaginary(network)) == n_rgb
    assert n_parameters(imaginary(network, n_channels=1)) == n_rgb - 2 * per_channel


@pytest.mark.parametrize("side", [224, 227])
def test_maps_of_alexnet(side):
    found = shapes(imaginary(AlexNet), torch.empty(2, 3, side, side, device="meta"))
    expected = {
        "conv1": (96, 55, 55),
        "pool1": (96, 27, 27),
        "conv2": (256, 27, 27),
        "pool2": (256, 13, 13),
        "conv3": (384, 13, 13),
        "conv4": (384, 13, 13),
        "conv5": (256, 13, 13),
        "pool5": (256, 6, 6),
        "flatten": (9216,),
        "dense1": (4096,),
        "dense2": (4096,),
        "dense3": (1000,),
    }
    assert {name: found[name] for name in expected} == expected


def test_maps_of_zfnet():
    """Figure 3 of the paper."""
    found = shapes(imaginary(ZFNet), torch.empty(2, 3, 224, 224, device="meta"))
    expected = {
        "conv1": (96, 110, 110),
        "pool1": (96, 55, 55),
        "conv2": (256, 26, 26),
        "pool2": (256, 13, 13),
        "conv3": (384, 13, 13),
        "conv4": (384, 13, 13),
        "conv5": (256, 13, 13),
        "pool5": (256, 6, 6),
        "dense1": (4096,),
        "dense2": (4096,),
        "dense3": (1000,),
    }
    assert {name: found[name] for name in expected} == expected


@BOTH
def test_every_size_from_the_least_up(network):
    least = LEAST[network]
    for length in range(least, least + 64, 5):
        meta = imaginary(network, (length, 300 - length), hidden=8)
        assert meta(torch.empty(2, 3, length, 300 - length, device="meta")).shape == (2, 1000)


# ---------------------------------------------------------------------------- layers of the paper


def slow_normalisation(x):
    """Krizhevsky et al. 2012, section 3.3: k = 2, n = 5, alpha = 1e-4, beta = 0.75."""
    found = np.empty_like(x)
    for i in range(x.shape[1]):
        squares = sum(x[:, j] ** 2 for j in range(max(0, i - 2), min(x.shape[1], i + 3)))
        found[:, i] = x[:, i] / (2 + 1e-4 * squares) ** 0.75
    return found


def normalised(x):
    return torch.from_numpy(slow_normalisation(x.double().numpy())).float()


def pooled(x):
    """Maxima of 3x3 in steps of 2, the last of what is there; -inf lies beyond the edge."""
    x = nn.functional.pad(x, (0, 2, 0, 2), value=-torch.inf)
    height, width = ((length - 2) // 2 for length in x.shape[2:])
    windows = x.unfold(2, 3, 2).unfold(3, 3, 2)[:, :, :height, :width]
    return windows.amax((4, 5))


def convolved(x, layer, stride=1, padding=0, groups=1):
    """Group by group."""
    size = x.shape[1] // groups
    assert layer.weight.shape[1] == size
    parts = [
        nn.functional.conv2d(x[:, i * size : (i + 1) * size], weight, None, stride, padding)
        for i, weight in enumerate(layer.weight.chunk(groups))
    ]
    return torch.cat(parts, 1) + layer.bias[:, None, None]


def classified(x, network):
    for dense in (network.dense1, network.dense2):
        x = (x.flatten(1) @ dense.weight.T + dense.bias).relu()
    return x @ network.dense3.weight.T + network.dense3.bias


@pytest.mark.parametrize("groups", [1, 2])
@torch.no_grad()
def test_alexnet_is_that_of_the_paper(groups):
    n = with_random_biases(small(AlexNet, (54, 70), groups=groups))
    images = torch.randn(2, 3, 54, 70) * 20
    x = nn.functional.pad(images, (0, 1, 0, 1))  # to 55 and 71: 11 and a multiple of 4
    x = pooled(normalised(convolved(x, n.conv1, stride=4).relu()))
    x = pooled(normalised(convolved(x, n.conv2, padding=2, groups=groups).relu()))
    x = convolved(x, n.conv3, padding=1).relu()
    x = convolved(x, n.conv4, padding=1, groups=groups).relu()
    x = pooled(convolved(x, n.conv5, padding=1, groups=groups).relu())
    torch.testing.assert_close(n(images), classified(x, n), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_zfnet_is_that_of_the_paper():
    n = with_random_biases(small(ZFNet, (54, 70)))
    images = torch.randn(2, 3, 54, 70) * 20
    x = normalised(pooled(convolved(images, n.conv1, stride=2, padding=1).relu()))
    x = normalised(pooled(convolved(x, n.conv2, stride=2).relu()))
    x = convolved(x, n.conv3, padding=1).relu()
    x = convolved(x, n.conv4, padding=1).relu()
    x = pooled(convolved(x, n.conv5, padding=1).relu())
    torch.testing.assert_close(n(images), classified(x, n), rtol=1e-4, atol=1e-4)


@BOTH
def test_dropout_follows_the_first_two_dense_layers(network):
    layers = list(small(network, dropout=0.25).named_children())
    names = [name for name, _ in layers]
    assert names[names.index("dense1") :] == [
        *("dense1", "relu6", "dropout1"),
        *("dense2", "relu7", "dropout2"),
        "dense3",
    ]
    assert [layer.p for _, layer in layers if isinstance(layer, nn.Dropout)] == [0.25, 0.25]


@BOTH
def test_initial_weights(network):
    for name, layer in small(network, hidden=256).named_children():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            expected = 0.01 if name == "dense3" else (2 / layer.weight[0].numel()) ** 0.5
            assert layer.weight.std().item() == pytest.approx(expected, rel=0.1)
            assert not layer.bias.any()


@pytest.mark.parametrize("groups", [0, 3, "2"])
def test_groups_that_do_not_exist(groups):
    with pytest.raises(ValueError, match=rf"AlexNet\(groups={groups!r}\): groups must be 2"):
        small(AlexNet, groups=groups)
