"""What every network promises without taking memory: its name, parameters, shapes, least sizes."""

import subprocess
import sys
from functools import cache
from typing import NamedTuple

import pytest
import torch
from small_networks import n_parameters

from visionpipe import networks
from visionpipe.networks.dry_run import dry_run
from visionpipe.networks.image_size import ImagesTooSmall

MNIST, CIFAR, IMAGENET = (28, 28, 1), (32, 32, 3), (224, 224, 3)
VGG = {f"pool{stage}": 2**stage for stage in range(1, 6)}
ALEXNET = {"conv1": 8, "pool1": 12, "pool2": 20, "pool5": 36}


class Network(NamedTuple):
    n_parameters: int  # for images of this shape and so many classes, its paper's
    image_shape: tuple = IMAGENET
    n_classes: int = 1000
    needs: dict = {}  # noqa: RUF012 - layers that lose pixels: the fewest a side they take
    least: int = 1  # pixels a side, if no layer says more


NETWORKS = {
    "airbench": Network(1_972_792 - 24 * 12 - 2 * (64 + 256 + 256), CIFAR, 10, least=9),
    "alexnet": Network(60_965_224, (227, 227, 3), needs=ALEXNET),
    "alexnet_ungrouped": Network(62_378_344, (227, 227, 3), needs=ALEXNET),
    "capsnet": Network(6_804_224 + 1_411_344, MNIST, 10, {"conv1": 9, "conv2": 17}),
    "cifarnet": Network(1_068_298, (24, 24, 3), 10),
    "fmp": Network(519_946, MNIST, 10),
    "fmp_cifar": Network(12_770_212, CIFAR, 100),
    "googlenet": Network(13_378_280, needs={"pool1": 3, "pool2": 7, "pool3": 15, "pool4": 31}),
    "inception_v3": Network(
        27_161_264,
        (299, 299, 3),
        needs={
            "conv1": 3,
            "conv2": 7,
            "pool1": 11,
            "conv5": 19,
            "pool2": 27,
            "mixed6a": 43,
            "mixed7a": 75,
        },
    ),
    "lenet": Network(61_706, MNIST, 10),
    "lenet5_1998": Network(60_000, MNIST, 10),
    "maxout": Network(16_247_830, CIFAR, 10, {"pool1": 2, "pool2": 8}),
    "maxout_mnist": Network(418_714, MNIST, 10, {"conv1": 8, "pool1": 10, "pool2": 16}),
    "mlp": Network(235_146, MNIST, 10),
    "nin": Network(966_986, CIFAR, 10, {"pool1": 2, "pool2": 4}),
    "resnet18": Network(11_689_512),
    "resnet34": Network(21_797_672),
    "resnet50": Network(25_557_032),
    "resnet101": Network(44_549_160),
    "resnet152": Network(60_192_808),
    "resnet20": Network(269_722, CIFAR, 10),
    "resnet32": Network(464_154, CIFAR, 10),
    "resnet44": Network(658_586, CIFAR, 10),
    "resnet56": Network(853_018, CIFAR, 10),
    "resnet110": Network(1_727_962, CIFAR, 10),
    "se_resnet50": Network(28_088_024),
    "small_cnn": Network(59_810, MNIST, 10, {"pool1": 2, "conv2": 10, "pool2": 12}),
    "softmax": Network(7_850, MNIST, 10),
    "vgg11": Network(132_863_336, needs=VGG),
    "vgg11_lrn": Network(132_863_336, needs=VGG),
    "vgg13": Network(133_047_848, needs=VGG),
    "vgg16": Network(138_357_544, needs=VGG),
    "vgg16c": Network(133_638_952, needs=VGG),
    "vgg19": Network(143_667_240, needs=VGG),
    "zfnet": Network(
        62_357_608, needs={"conv1": 5, "pool1": 7, "conv2": 23, "pool2": 31, "pool5": 47}
    ),
}
every_network = pytest.mark.parametrize("name", NETWORKS)


def make(name, n_channels=3, image_size=(80, 80), n_classes=10, **options):
    """A network without memory."""
    with torch.device("meta"):
        return networks.create(
            name, n_channels=n_channels, image_size=image_size, n_classes=n_classes, **options
        )


def least_of(name):
    return max(NETWORKS[name].needs.values(), default=NETWORKS[name].least)


def test_this_file_knows_every_network():
    assert sorted(NETWORKS) == networks.names()


@every_network
def test_parameter_count(name):
    n_expected, (*image_size, n_channels), n_classes, *_ = NETWORKS[name]
    assert n_parameters(make(name, n_channels, image_size, n_classes)) == n_expected


@every_network
def test_logits_of_other_images_and_classes(name):
    _, calls, error = dry_run(lambda: make(name, 3, (76, 92), 7), (76, 92, 3))
    assert error is None
    assert calls[-1].name == "" and calls[-1].shape_out == (2, 7)


LAYERS = [(name, layer) for name, network in NETWORKS.items() for layer in network.needs]


@every_network
def test_one_pixel_less_than_the_least_is_refused(name):
    least = least_of(name)
    kind = type(make(name, image_size=(least, least))).__name__  # the least is not refused
    for size in ((least - 1, least + 40), (least + 40, least - 1)):
        message = rf"{kind} got images of {size[0]}x{size[1]} .* takes {least}x{least} or larger"
        with pytest.raises(ImagesTooSmall, match=message):
            make(name, image_size=size)


@pytest.mark.parametrize(("name", "layer"), LAYERS, ids=map(" ".join, LAYERS))
def test_the_layer_that_images_are_too_small_for(name, layer):
    """The one named in the error would fail with one pixel less, and with no more than that."""
    least, layers = least_of(name), [*NETWORKS[name].needs]
    needed = NETWORKS[name].needs[layer]
    named = {needed - 1: layer, needed: (*layers, None)[layers.index(layer) + 1]}
    for side, expected in named.items():
        for size in ((side, least), (least, side)) if expected else ():
            message = f"too small for its layer {expected}; it takes {least}x{least} or larger"
            with pytest.raises(ImagesTooSmall, match=message):
                make(name, image_size=size)
    assert failing_layer(name, needed - 1) == layer
    assert failing_layer(name, needed) != layer


def failing_layer(name, side):
    """Layer where images fail that are smaller than those the network was made for."""
    network = made_for_larger(name, side % 4)
    _, calls, error = dry_run(lambda: network, (side, side, 3))
    return error and calls[-1].name.split(".")[0]


@cache
def made_for_larger(name, beyond):
    """Of 80 pixels a side and so many beyond a multiple of 4, by which AlexNet pads."""
    return make(name, image_size=(80 + beyond, 80 + beyond))


@pytest.mark.parametrize("name", ["airbench", "cifarnet", "lenet", "mlp", "small_cnn", "softmax"])
def test_other_image_sizes_than_announced_fail(name):
    with pytest.raises(RuntimeError):
        make(name, 1, (40, 40))(torch.empty(2, 1, 60, 60, device="meta"))


def test_unknown_name():
    with pytest.raises(ValueError, match=r"'lenett'; known are airbench, .*cifarnet, .*lenet, "):
        make("lenett")


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
