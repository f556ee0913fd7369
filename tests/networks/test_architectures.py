"""What each network computes, against its paper's layer table or a slow version of it."""

import numpy as np
import pytest
import torch
from small_networks import n_parameters, shapes
from torch import nn

from visionpipe import networks
from visionpipe.networks.cifarnet import CifarNet
from visionpipe.networks.lenet import LeNet5
from visionpipe.networks.small_cnn import SmallCNN
from visionpipe.networks.softmax import SoftmaxRegression


@pytest.mark.parametrize(
    ("name", "n_channels", "image_size", "expected"),
    [
        ("softmax", 3, (5, 7), 1_060),
        ("lenet", 1, (32, 32), 61_706),
        ("lenet", 1, (8, 20), 61_706),
        ("lenet", 3, (32, 32), 62_006),
        ("lenet", 1, (40, 36), 61_706 + (7 * 6 - 5 * 5) * 16 * 120),
        ("small_cnn", 3, (12, 20), 59_810 + 2 * 72 - (5 * 5 - 1 * 3) * 16 * 120),
        ("cifarnet", 3, (32, 32), 1_068_298 + (8 * 8 - 6 * 6) * 64 * 384),
    ],
)
def test_parameter_count_of_other_images(name, n_channels, image_size, expected):
    network = networks.create(name, n_channels=n_channels, image_size=image_size, n_classes=10)
    assert n_parameters(network) == expected


def test_softmax_is_a_matrix_product():
    network = SoftmaxRegression(n_channels=3, image_size=(4, 5), n_classes=6)
    images = torch.rand(2, 3, 4, 5)
    weight, bias = network.dense.weight, network.dense.bias
    torch.testing.assert_close(network(images), images.flatten(1) @ weight.T + bias)


def test_lenet_layer_table():
    found = shapes(
        LeNet5(n_channels=1, image_size=(28, 28), n_classes=10), torch.rand(1, 1, 28, 28)
    )
    expected = {
        "pad": (1, 32, 32),
        "conv1": (6, 28, 28),
        "pool1": (6, 14, 14),
        "conv2": (16, 10, 10),
        "pool2": (16, 5, 5),
        "dense1": (120,),
        "dense2": (84,),
        "dense3": (10,),
    }
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("size", [(28, 28), (7, 30)])
def test_lenet_pads_small_images_evenly_with_zeros(size):
    torch.manual_seed(0)
    small = LeNet5(n_channels=1, image_size=size, n_classes=10)
    whole = LeNet5(n_channels=1, image_size=(32, 32), n_classes=10)
    whole.load_state_dict(small.state_dict())
    images = torch.rand(2, 1, *size)
    padded = torch.zeros(2, 1, 32, 32)
    top, left = (32 - size[0]) // 2, (32 - size[1]) // 2
    padded[:, :, top : top + size[0], left : left + size[1]] = images
    torch.testing.assert_close(small(images), whole(padded), rtol=0, atol=0)


def test_lenet_pools_rectified_maps():
    """Pooling before ReLU gives what the textbook order gives."""
    torch.manual_seed(0)
    lenet = LeNet5(n_channels=1, image_size=(32, 32), n_classes=10)
    images = torch.randn(2, 1, 32, 32)
    x = nn.functional.max_pool2d(lenet.conv1(images).relu(), 2)
    x = nn.functional.max_pool2d(lenet.conv2(x).relu(), 2).flatten(1)
    expected = lenet.dense3(lenet.dense2(lenet.dense1(x).relu()).relu())
    torch.testing.assert_close(lenet(images), expected, rtol=0, atol=0)


def test_small_cnn_is_the_textbook_s():
    """Pooling after ReLU, as lectures draw it, with padding written out."""
    torch.manual_seed(0)
    network = SmallCNN(n_channels=1, image_size=(28, 28), n_classes=10)
    images = torch.randn(2, 1, 28, 28)
    x = network.conv1.bias.view(-1, 1, 1) + nn.functional.conv2d(
        nn.functional.pad(images, (1, 1, 1, 1)), network.conv1.weight
    )
    x = nn.functional.max_pool2d(x.relu(), 2)
    x = nn.functional.max_pool2d(network.conv2(x).relu(), 2).flatten(1)
    expected = network.dense3(network.dense2(network.dense1(x).relu()).relu())
    torch.testing.assert_close(network(images), expected)


def test_cifarnet_layer_table():
    network = CifarNet(n_channels=3, image_size=(24, 24), n_classes=10)
    found = shapes(network, torch.rand(1, 3, 24, 24))
    expected = {
        "conv1": (64, 24, 24),
        "pool1": (64, 12, 12),
        "norm1": (64, 12, 12),
        "conv2": (64, 12, 12),
        "norm2": (64, 12, 12),
        "pool2": (64, 6, 6),
        "dense1": (384,),
        "dense2": (192,),
        "dense3": (10,),
    }
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("length", [1, 2, 3, 4, 23, 24, 25])
def test_cifarnet_pools_as_tensorflow_does(length):
    """SAME: ceil(n / 2) windows of 3; of the padding they need, the smaller half comes first."""
    network = CifarNet(n_channels=1, image_size=(length, 24), n_classes=2)
    maps = torch.randn(1, 1, length, 24)
    n_out = -(-length // 2)
    before = max((n_out - 1) * 2 + 3 - length, 0) // 2
    starts = [2 * i - before for i in range(n_out)]
    rows = [maps[0, 0, max(0, s) : s + 3].amax(0) for s in starts]
    expected = [[row[2 * j : 2 * j + 3].max() for j in range(12)] for row in rows]
    np.testing.assert_array_equal(network.pool1(maps)[0, 0], np.array(expected))


def test_cifarnet_normalises_as_tensorflow_does():
    """tf.nn.lrn(x, 4, bias=1, alpha=0.001 / 9, beta=0.75): a sum of squares over 9 channels."""
    network = CifarNet(n_channels=1, image_size=(24, 24), n_classes=2)
    x = torch.randn(1, 64, 2, 2, dtype=torch.float64) * 10
    expected = torch.empty_like(x)
    for channel in range(64):
        squares = x[:, max(0, channel - 4) : channel + 5].square().sum(1)
        expected[:, channel] = x[:, channel] / (1 + 0.001 / 9 * squares) ** 0.75
    torch.testing.assert_close(network.norm1(x), expected)
