"""What every network promises: shapes, parameter counts, least sizes, and that it learns."""

import subprocess
import sys

import pytest
import torch
from small_networks import SMALL_NETWORKS
from torch import nn

from visionpipe import networks
from visionpipe.networks.dry_run import dry_run

SIZES = {
    "airbench": (32, 32),
    "cifarnet": (24, 24),
    "lenet": (32, 32),
    "mlp": (28, 28),
    "resnet20": (32, 32),
    "small_cnn": (28, 28),
    "softmax": (28, 28),
}
LEAST = {"airbench": 9, "small_cnn": 12}  # pixels a side, where it is not 1


def make(name, n_channels=1, image_size=None, n_classes=10, **options):
    return networks.create(
        name,
        n_channels=n_channels,
        image_size=image_size or SIZES[name],
        n_classes=n_classes,
        **options,
    )


def n_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_this_file_knows_every_small_network():
    assert sorted(SIZES) == SMALL_NETWORKS


@pytest.mark.parametrize("name", sorted({*networks.names()} - {*SMALL_NETWORKS}))
@pytest.mark.parametrize("image_size", [(80, 80), (76, 92)])
def test_other_networks_without_memory_or_time(name, image_size):
    def build():
        return make(name, 3, image_size, n_classes=7)

    _, calls, error = dry_run(build, (*image_size, 3))
    assert error is None and len(calls) > 5
    with torch.device("meta"):
        assert build()(torch.empty(2, 3, *image_size)).shape == (2, 7)


@pytest.mark.parametrize(
    ("name", "side", "n_classes", "expected"),
    [
        ("resnet18", 224, 1000, 11_689_512),
        ("resnet34", 224, 1000, 21_797_672),
        ("resnet50", 224, 1000, 25_557_032),
        ("resnet101", 224, 1000, 44_549_160),
        ("resnet152", 224, 1000, 60_192_808),
        ("se_resnet50", 224, 1000, 28_088_024),
        ("resnet20", 32, 10, 269_722),
        ("resnet32", 32, 10, 464_154),
        ("resnet44", 32, 10, 658_586),
        ("resnet56", 32, 10, 853_018),
        ("resnet110", 32, 10, 1_727_962),
        ("vgg11", 224, 1000, 132_863_336),
        ("vgg11_lrn", 224, 1000, 132_863_336),
        ("vgg13", 224, 1000, 133_047_848),
        ("vgg16c", 224, 1000, 133_638_952),
        ("vgg16", 224, 1000, 138_357_544),
        ("vgg19", 224, 1000, 143_667_240),
    ],
)
def test_parameter_count_of_large_networks(name, side, n_classes, expected):
    with torch.device("meta"):
        assert n_parameters(make(name, 3, (side, side), n_classes)) == expected


@pytest.mark.parametrize(
    ("name", "n_channels", "image_size", "expected"),
    [
        ("softmax", 1, (28, 28), 7_850),
        ("softmax", 3, (5, 7), 1_060),
        ("mlp", 1, (28, 28), 235_146),
        ("lenet", 1, (32, 32), 61_706),
        ("lenet", 1, (28, 28), 61_706),
        ("lenet", 1, (8, 20), 61_706),
        ("lenet", 3, (32, 32), 62_006),
        ("lenet", 1, (40, 36), 61_706 + (7 * 6 - 5 * 5) * 16 * 120),
        ("small_cnn", 1, (28, 28), 59_810),
        ("small_cnn", 3, (12, 20), 59_810 + 2 * 72 - (5 * 5 - 1 * 3) * 16 * 120),
        ("cifarnet", 3, (24, 24), 1_068_298),
        ("cifarnet", 3, (32, 32), 1_068_298 + (8 * 8 - 6 * 6) * 64 * 384),
    ],
)
def test_parameter_count(name, n_channels, image_size, expected):
    assert n_parameters(make(name, n_channels, image_size)) == expected


@pytest.mark.parametrize("name", SMALL_NETWORKS)
@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("beyond_least", [(0, 0), (1, 8), (32, 30), (46, 63)])
def test_logits_and_gradients_from_the_least_size_up(name, n_channels, beyond_least):
    image_size = tuple(LEAST.get(name, 1) + n for n in beyond_least)
    network = make(name, n_channels, image_size, n_classes=7)
    logits = network(torch.rand(3, n_channels, *image_size))
    assert logits.shape == (3, 7) and logits.dtype == torch.float32
    logits.square().sum().backward()
    for parameter in network.parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all()


@pytest.mark.parametrize("name", SMALL_NETWORKS)
def test_images_that_are_too_small(name):
    least = LEAST.get(name, 1)
    message = rf"got images of {least - 1}x50 pixels .* takes {least}x{least} or larger"
    with pytest.raises(ValueError, match=message):
        make(name, image_size=(least - 1, 50))
    with pytest.raises(ValueError, match=type(make(name)).__name__):
        make(name, image_size=(50, least - 1))


@pytest.mark.parametrize(
    ("image_size", "layer"),
    [((28, 1), "pool1"), ((2, 28), "conv2"), ((9, 9), "conv2"), ((10, 28), "pool2")],
)
def test_the_layer_that_images_are_too_small_for(image_size, layer):
    with pytest.raises(ValueError, match=f"too small for its layer {layer}; it takes 12x12"):
        make("small_cnn", image_size=image_size)


@pytest.mark.parametrize("name", SMALL_NETWORKS)
def test_loss_falls_on_a_small_batch(name):
    torch.manual_seed(0)
    network = make(name, n_channels=3, image_size=(12, 12), n_classes=4)
    images, labels = torch.randn(16, 3, 12, 12), torch.arange(16) % 4
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        loss = nn.functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize("name", sorted({*SMALL_NETWORKS} - {"resnet20"}))  # it pools over all
def test_other_image_sizes_than_announced_fail(name):
    with pytest.raises(RuntimeError):
        make(name, image_size=(40, 40))(torch.rand(2, 1, 60, 60))


def test_unknown_name():
    with pytest.raises(ValueError, match=r"'lenett'; known are airbench, .*cifarnet, .*lenet, "):
        make("lenett", image_size=(8, 8))


def test_unknown_option():
    with pytest.raises(TypeError, match="LeNet5.*'hidden'"):
        make("lenet", hidden=(3,))


def test_listing_networks_loads_no_torch():
    code = (
        "import sys; from visionpipe import networks; networks.names(); "
        "assert 'torch' not in sys.modules; "
        "networks.create('mlp', n_channels=1, image_size=(4, 4), n_classes=2); "
        "assert 'visionpipe.networks.lenet' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
