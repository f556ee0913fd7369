"""Graham's networks: their sizes and parameters, their layers, and what they draw."""

from math import ceil

import pytest
import torch
from small_networks import shapes, with_random_biases
from torch import nn

from visionpipe.networks.fractional_max_pool import FractionalMaxPool2d
from visionpipe.networks.fractional_max_pooling import FMPNet

CIFAR = {"width": 64, "pooling_ratio": 2 ** (1 / 3), "n_blocks": 12}
POOLING = [(p, o) for p in (True, False) for o in (False, True, "squares")]


def make(n_channels=1, image_size=(8, 8), n_classes=4, width=8, **options):
    """A network for the CPU."""
    torch.manual_seed(0)
    return FMPNet(
        n_channels=n_channels,
        image_size=image_size,
        n_classes=n_classes,
        width=width,
        **options,
    )


def imaginary(image_size=(28, 28), n_channels=1, n_classes=10, **options):
    """A network without memory."""
    with torch.device("meta"):
        return FMPNet(n_channels=n_channels, image_size=image_size, n_classes=n_classes, **options)


def sides(network, image_size, n_channels):
    """Pixels a side after the padding and after each convolution and pooling."""
    found = shapes(network, torch.empty(1, n_channels, *image_size, device="meta"))
    maps = [shape for name, shape in found.items() if name[:4] in ("pad", "conv", "pool")]
    assert all(height == width for _, height, width in maps)
    return [height for _, height, _ in maps]


# --------------------------------------------------------------------------- sizes, parameters


def test_sizes_for_mnist():
    expected = [36, 35, 25, 24, 17, 16, 11, 10, 7, 6, 4, 3, 2, 1, 1]
    assert sides(imaginary(), (28, 28), 1) == expected


def test_sizes_for_cifar():
    expected = [
        *(94, 93, 74, 73, 58, 57, 45, 44, 35, 34, 27, 26, 21),
        *(20, 16, 15, 12, 11, 9, 8, 6, 5, 4, 3, 2, 1, 1),
    ]
    assert sides(imaginary((32, 32), 3, 100, **CIFAR), (32, 32), 3) == expected


@pytest.mark.parametrize("n_blocks", [1, 6, 9])
def test_maps_of_the_nth_convolution(n_blocks):
    network = imaginary(n_blocks=n_blocks, image_size=(4, 4), width=5)
    convolutions = [layer for layer in network if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [5 * n for n in range(1, n_blocks + 3)]
    kernels = [(2, 2)] * (n_blocks + 1) + [(1, 1)]
    assert [layer.kernel_size for layer in convolutions] == kernels
    assert sum(isinstance(layer, FractionalMaxPool2d) for layer in network) == n_blocks


@pytest.mark.parametrize(
    ("longest", "field"),
    [*((1, 4), (4, 4), (5, 7), (7, 7), (8, 11), (25, 25), (26, 36), (36, 36)), (37, 52)],
)
@pytest.mark.parametrize("is_wide", [False, True])
def test_fewest_blocks_whose_field_holds_the_image(longest, field, is_wide):
    size = (ceil(longest / 2), longest) if is_wide else (longest, ceil(longest / 2))
    assert sides(imaginary(size), size, 1)[0] == field


@pytest.mark.parametrize("pooling_ratio", [1.25, 2 ** (1 / 3), 1.7, 1.999])
@pytest.mark.parametrize(("pseudorandom", "overlapping"), POOLING)
def test_every_ratio_and_kind_of_pooling_fits(pooling_ratio, pseudorandom, overlapping):
    options = {"pseudorandom": pseudorandom, "overlapping": overlapping}
    network = imaginary((40, 30), pooling_ratio=pooling_ratio, **options)
    assert network(torch.empty(2, 1, 40, 30, device="meta")).shape == (2, 10)
    pools = [layer for layer in network if isinstance(layer, FractionalMaxPool2d)]
    assert {(p.pseudorandom, p.overlapping) for p in pools} == {(pseudorandom, overlapping)}


def test_images_larger_than_the_field():
    message = r"FMPNet\(n_blocks=6, .*field of 36x36 pixels and got images of 37 .*Resize\(36\)"
    with pytest.raises(ValueError, match=message):
        make(image_size=(20, 37), n_blocks=6)
    make(image_size=(20, 36), n_blocks=6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling_ratio": 1.2}, r"pooling_ratio=1.2\).*from 1.25 to below 2"),
        ({"pooling_ratio": 2}, r"pooling_ratio=2\).*from 1.25 to below 2"),
        ({"n_blocks": 0}, r"n_blocks=0\): n_blocks must be None or 1 or more"),
        ({"overlapping": "square"}, "one of False, True, 'squares'"),
    ],
    ids=["least", "greatest", "blocks", "overlapping"],
)
def test_options_that_do_not_exist(options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)


# -------------------------------------------------------------------------- what it computes


@pytest.mark.parametrize("size", [(28, 28), (9, 33)])
def test_pads_evenly_with_zeros(size):
    images = torch.rand(2, 1, *size)
    padded = torch.zeros(2, 1, 36, 36)
    top, left = (36 - size[0]) // 2, (36 - size[1]) // 2
    padded[:, :, top : top + size[0], left : left + size[1]] = images
    assert torch.equal(make(image_size=size).pad(images), padded)


def test_network_is_the_paper_s():
    """Leaky ReLU before the pooling, as the paper writes it, with the weights of the network."""
    network = with_random_biases(make(n_channels=3, image_size=(9, 7)))
    images = torch.randn(5, 3, 9, 7)
    f = nn.functional
    weights = dict(network.named_parameters())
    torch.manual_seed(1)
    x = f.pad(images, (2, 2, 1, 1))  # 11 x 11
    for n, size in enumerate((7, 4, 2), start=1):
        x = f.leaky_relu(f.conv2d(x, weights[f"conv{n}.weight"], weights[f"conv{n}.bias"]), 1 / 3)
        x = FractionalMaxPool2d(output_size=size).eval()(x)
    for n in (4, 5):
        x = f.leaky_relu(f.conv2d(x, weights[f"conv{n}.weight"], weights[f"conv{n}.bias"]), 1 / 3)
    expected = x[:, :, 0, 0] @ weights["dense.weight"].T + weights["dense.bias"]
    torch.manual_seed(1)
    torch.testing.assert_close(network(images), expected)


def test_dropout_rises_with_depth():
    network = make(dropout=0.5)  # 8x8 pixels take 3 blocks, and 2 more convolutions
    rates = {name: layer.p for name, layer in network.named_children() if "dropout" in name}
    assert rates == {f"dropout{n}": pytest.approx(0.125 * (n - 1)) for n in (2, 3, 4, 5)}
    assert not any(isinstance(layer, nn.Dropout) for layer in make(dropout=0))


def test_initial_weights():
    network = make(width=32)
    for name, layer in network.named_children():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            n_inputs = layer.weight[0].numel()
            expected = 0.01 if name == "dense" else (2 / (1 + 1 / 9) / n_inputs) ** 0.5
            n = layer.weight.numel()
            assert abs(layer.weight.std().item() / expected - 1) < 4 / (2 * n) ** 0.5
            assert not layer.bias.any()


def test_evaluation_draws_other_regions_each_time():
    network, images = make(n_channels=3).eval(), torch.randn(6, 3, 8, 8)
    assert not torch.allclose(network(images), network(images))
