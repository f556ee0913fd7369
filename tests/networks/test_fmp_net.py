"""Graham's networks: their sizes and parameters, their layers, and that they learn."""

import copy
import pickle
from math import ceil

import pytest
import torch
from small_networks import shapes
from torch import nn

from visionpipe.networks import create
from visionpipe.networks.fractional_max_pool import FractionalMaxPool2d
from visionpipe.networks.fractional_max_pooling import FMPNet
from visionpipe.networks.image_size import ImagesTooSmall

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


def n_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def sides(network, image_size, n_channels):
    """Pixels a side after the padding and after each convolution and pooling."""
    found = shapes(network, torch.empty(1, n_channels, *image_size, device="meta"))
    maps = [shape for name, shape in found.items() if name[:4] in ("pad", "conv", "pool")]
    assert all(height == width for _, height, width in maps)
    return [height for _, height, _ in maps]


# --------------------------------------------------------------------------- sizes, parameters


@pytest.mark.parametrize(
    ("name", "n_channels", "image_size", "n_classes", "expected"),
    [("fmp", 1, (28, 28), 10, 519_946), ("fmp_cifar", 3, (32, 32), 100, 12_770_212)],
)
def test_parameter_count(name, n_channels, image_size, n_classes, expected):
    with torch.device("meta"):
        network = create(name, n_channels=n_channels, image_size=image_size, n_classes=n_classes)
    assert n_parameters(network) == expected


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


@pytest.mark.parametrize("image_size", [(0, 5), (5, 0)])
def test_images_without_pixels(image_size):
    with pytest.raises(ImagesTooSmall, match="FMPNet got images of .* it takes 1x1 or larger"):
        make(image_size=image_size)


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
    network = make(n_channels=3, image_size=(9, 7)).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.uniform_(-0.1, 0.1)
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


def test_equal_weights_under_an_equal_seed():
    first, second = make().state_dict(), make().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("image_size", [(1, 1), (1, 6), (13, 9)])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
def test_logits_and_gradients_from_the_least_size_up(n_channels, image_size, memory_format):
    network = make(n_channels, image_size, n_classes=7).to(memory_format=memory_format)
    images = torch.rand(3, n_channels, *image_size).to(memory_format=memory_format)
    logits = network(images)
    assert logits.shape == (3, 7) and logits.dtype == torch.float32
    logits.square().sum().backward()
    for parameter in network.parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all()


def test_memory_formats_agree():
    network, images = make(n_channels=3).eval(), torch.randn(3, 3, 8, 8)
    logits = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(0)
        with torch.inference_mode():
            found = network.to(memory_format=memory_format)(images.to(memory_format=memory_format))
        logits.append(found)
    torch.testing.assert_close(*logits)


def test_evaluation_does_not_depend_on_the_batch():
    network = make(n_channels=3, dropout=0.5).eval()
    images = torch.randn(6, 3, 8, 8)
    torch.manual_seed(1)
    together = network(images)
    torch.manual_seed(1)
    torch.testing.assert_close(network(images[2:3]), together[2:3])
    assert not torch.allclose(network(images), together)  # other regions


def test_copies_and_bfloat16():
    network, images = make(n_channels=3, dropout=0.5), torch.randn(4, 3, 8, 8)
    logits = []
    for each in (network, copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        torch.manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16):
            logits.append(each(images))
    assert logits[0].dtype == torch.bfloat16 and logits[0].isfinite().all()
    assert torch.equal(logits[0], logits[1]) and torch.equal(logits[0], logits[2])


@pytest.mark.parametrize(
    "options",
    [{"n_channels": 1}, {"n_channels": 3, "dropout": 0.3}, {"pooling_ratio": 2 ** (1 / 3)}],
    ids=["grey", "dropout", "small ratio"],
)
def test_loss_falls_on_a_small_batch(options):
    network = make(width=16, **options)
    images, labels = torch.randn(8, network.conv1.in_channels, 8, 8), torch.arange(8) % 4
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        loss = nn.functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) / 5 < 0.5 * losses[0]
