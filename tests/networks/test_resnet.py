"""Residual networks: their sizes, and their layers against the papers."""

import numpy as np
import pytest
import torch
from small_networks import n_parameters, shapes, with_random_normalisation
from torch import nn

from visionpipe.networks.resnet import CifarResNet, ResNet, SqueezeExcitation


def make(network=CifarResNet, n_channels=3, image_size=(32, 32), n_classes=10, **options):
    torch.manual_seed(0)
    return network(n_channels=n_channels, image_size=image_size, n_classes=n_classes, **options)


@pytest.mark.parametrize(
    ("depth", "expected"),
    [(18, 11_778_592), (34, 21_958_868), (101, 49_326_872), (152, 66_821_848)],
)
def test_parameter_count_with_squeeze_and_excitation(depth, expected):
    with torch.device("meta"):
        network = make(ResNet, 3, (224, 224), 1000, depth=depth, squeeze=16)
    assert n_parameters(network) == expected


def test_parameter_count_of_grey_images():
    with torch.device("meta"):
        assert n_parameters(make(ResNet, 1, (64, 64), 1000)) == 11_689_512 - 2 * 64 * 7 * 7


@pytest.mark.parametrize(("depth", "expansion"), [(34, 1), (50, 4)])
def test_layer_table(depth, expansion):
    with torch.device("meta"):
        network = make(ResNet, 3, (224, 224), 1000, depth=depth)
        found = shapes(network, torch.empty(2, 3, 224, 224))
    assert found == {
        "conv1": (64, 112, 112),
        "norm1": (64, 112, 112),
        "relu1": (64, 112, 112),
        "pool1": (64, 56, 56),
        "stage1": (64 * expansion, 56, 56),
        "stage2": (128 * expansion, 28, 28),
        "stage3": (256 * expansion, 14, 14),
        "stage4": (512 * expansion, 7, 7),
        "pool": (512 * expansion, 1, 1),
        "flatten": (512 * expansion,),
        "dense": (1000,),
    }
    assert [len(network.get_submodule(f"stage{i}")) for i in range(1, 5)] == [3, 4, 6, 3]


def test_layer_table_of_the_cifar_family():
    with torch.device("meta"):
        network = make(depth=56)
        found = shapes(network, torch.empty(2, 3, 32, 32))
    assert found["stage1"] == (16, 32, 32)
    assert found["stage2"] == (32, 16, 16)
    assert found["stage3"] == (64, 8, 8)
    assert found["dense"] == (10,)
    assert [len(network.get_submodule(f"stage{i}")) for i in range(1, 4)] == [9, 9, 9]


@pytest.mark.parametrize("size", [(6, 8), (5, 7), (1, 1)])
def test_shortcut_of_option_a(size):
    maps = torch.rand(2, 16, *size)
    found = make().stage2.block1.shortcut(maps)
    expected = np.zeros((2, 32, -(-size[0] // 2), -(-size[1] // 2)), dtype=np.float32)
    for channel in range(16):
        for i in range(expected.shape[2]):
            for j in range(expected.shape[3]):
                expected[:, channel, i, j] = maps[:, channel, 2 * i, 2 * j]
    np.testing.assert_array_equal(found, expected)


def test_squeeze_and_excitation():
    torch.manual_seed(0)
    module = SqueezeExcitation(12, 4)
    maps = torch.randn(3, 12, 4, 5)
    weights = {name: p.detach().numpy() for name, p in module.named_parameters()}
    z = maps.numpy().mean(axis=(2, 3))  # (3, 12)
    hidden = np.maximum(z @ weights["dense1.weight"].T + weights["dense1.bias"], 0)  # (3, 3)
    logits = hidden @ weights["dense2.weight"].T + weights["dense2.bias"]  # (3, 12)
    expected = maps.numpy() / (1 + np.exp(-logits))[:, :, None, None]
    assert hidden.shape == (3, 3)
    np.testing.assert_allclose(module(maps).detach(), expected, rtol=1e-5, atol=1e-6)


def normalised(maps, norm):
    return nn.functional.batch_norm(
        maps, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=1e-5
    )


@pytest.mark.parametrize("squeeze", [None, 16])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("depth", [18, 50])
def test_block_is_that_of_the_paper(depth, stride, squeeze):
    """Layer by layer, with torch's functions; a stage's first block halves, its second does not."""
    f = nn.functional
    with torch.device("meta"):
        network = make(ResNet, depth=depth, squeeze=squeeze)
    block = network.stage2.block1 if stride == 2 else network.stage2.block2
    block = with_random_normalisation(block.to_empty(device="cpu"))
    for parameter in block.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter)
        else:
            nn.init.uniform_(parameter, 0.5, 1)
    layers = block.layers
    came = torch.randn(2, layers.conv1.in_channels, 6, 5)
    if depth == 18:
        steps = [(layers.conv1, layers.norm1, stride, 1), (layers.conv2, layers.norm2, 1, 1)]
    else:
        steps = [
            (layers.conv1, layers.norm1, 1, 0),
            (layers.conv2, layers.norm2, stride, 1),
            (layers.conv3, layers.norm3, 1, 0),
        ]
    x = came
    for i, (conv, norm, step, padding) in enumerate(steps):
        x = normalised(f.conv2d(x if i == 0 else x.relu(), conv.weight, None, step, padding), norm)
    if squeeze:
        se = layers.squeeze
        z = f.linear(x.mean((2, 3)), se.dense1.weight, se.dense1.bias).relu()
        x = x * f.linear(z, se.dense2.weight, se.dense2.bias).sigmoid()[:, :, None, None]
    shortcut = came
    if stride == 2:
        shortcut = f.conv2d(came, block.shortcut.conv.weight, None, 2)
        shortcut = normalised(shortcut, block.shortcut.norm)
    torch.testing.assert_close(block(came), (x + shortcut).relu())


def test_initial_weights():
    network = make(depth=32)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            deviation = (2 / (9 * module.out_channels)) ** 0.5
            n = module.weight.numel()
            assert abs(module.weight.std() / deviation - 1) < 4 / (2 * n) ** 0.5
        if isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all() and (module.bias == 0).all()


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (ResNet, {"depth": 20}, r"ResNet\(depth=20\).*one of 18, 34, 50, 101, 152"),
        (CifarResNet, {"depth": 18}, r"CifarResNet\(depth=18\).*one of 20, 32, 44, 56, 110"),
        (ResNet, {"depth": 18, "squeeze": 65}, r"squeeze=65.*reduction from 1 to 64"),
        (ResNet, {"depth": 50, "squeeze": 0}, r"squeeze=0.*reduction from 1 to 256"),
    ],
)
def test_options_that_do_not_exist(network, options, message):
    with pytest.raises(ValueError, match=message):
        make(network, **options)
