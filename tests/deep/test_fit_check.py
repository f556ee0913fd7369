"""Errors for images that are too small, against networks run on real images of every size."""

from functools import partial

import pytest
import torch
from small_networks import SMALL_NETWORKS
from torch import nn

from visionpipe import networks
from visionpipe.deep.options.fit_check import check_network_takes


class Net(nn.Module):
    """A user's network: computes the units of its dense layer, checks nothing."""

    def __init__(self, image_size):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 5)
        self.block = nn.Sequential(nn.Conv2d(4, 4, (1, 3)), nn.ReLU())
        self.pool3 = nn.MaxPool2d(4)
        height, width = ((length - 4) // 2 for length in image_size)
        self.dense = nn.Linear(4 * (height // 4) * ((width - 2) // 4), 3)

    def forward(self, images):
        maps = nn.functional.max_pool2d(self.conv1(images), 2)
        return self.dense(self.pool3(self.block(maps)).flatten(1))


class Looking(Net):
    """Cannot run on the meta device, where there are no values."""

    def forward(self, images):
        return super().forward(images if images.sum().item() < 1 else -images)


class Multiples(nn.Module):
    """Takes multiples of 16 pixels, as networks of patches do."""

    def __init__(self, image_size):
        super().__init__()
        if image_size[0] % 16 or image_size[1] % 16:
            raise ValueError("sides must be multiples of 16")
        self.dense = nn.Linear(image_size[0] * image_size[1], 2)

    def forward(self, images):
        return self.dense(images.flatten(1))


class OneSize(nn.Module):
    """Ignores the size of images and takes 32x32."""

    def __init__(self, image_size):
        super().__init__()
        self.dense = nn.Linear(32 * 32, 2)

    def forward(self, images):
        return self.dense(images.flatten(1))


class Superstitious(nn.Module):
    """Fails for one size among those it takes."""

    def __init__(self, image_size):
        super().__init__()
        self.dense = nn.Linear(image_size[0] * image_size[1], 2)

    def forward(self, images):
        if images.shape[2] == 13:
            raise RuntimeError("not 13")
        return self.dense(images.flatten(1))


class Faulty(Net):
    def forward(self, images):
        return self.missing(images)


def lazy(image_size):
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.AvgPool2d(3), nn.Flatten(), nn.LazyLinear(2))


def reference_least_size(build):
    """The least height and the least width, by real images of every size."""

    def works(height, width):
        try:
            build((height, width)).eval()(torch.rand(2, 1, height, width))
        except RuntimeError:
            return False
        return True

    lengths = range(1, 40)
    return (
        next(n for n in lengths if works(n, 40)),
        next(n for n in lengths if works(40, n)),
    )


@pytest.mark.parametrize("build", [Net, Looking, lazy])
@pytest.mark.filterwarnings("ignore:Initializing zero-element")
def test_least_size(build):
    height, width = reference_least_size(build)
    check_network_takes(build, (height, width), 1)
    check_network_takes(build, (height + 30, width), 1)
    message = rf"takes {height}x{width} or larger: put Resize\(\({height}, {width}\)\) or more"
    for size in [(height - 1, width), (height, width - 1), (height - 1, 100), (1, 1)]:
        with pytest.raises(ValueError, match=message):
            check_network_takes(build, size, 1)


@pytest.mark.parametrize("kind", [Net, Looking])
@pytest.mark.parametrize(
    ("image_size", "message"),
    [
        ((28, 28), None),
        ((28, 15), r"28x15 .* too small for its layer pool3 \(MaxPool2d\), .* of 12x3 pixels;"),
        ((28, 9), r"its layer block.0 \(Conv2d\), .* reached by maps of 12x2 pixels;"),
        ((5, 28), r"what follows its layer conv1 \(Conv2d\), which gives maps of 1x24 pixels;"),
        ((28, 1), r"28x1 pixels .* for which it cannot be built \(Trying to create .* negative"),
    ],
)
def test_the_layer_is_named(kind, image_size, message):
    if message is None:
        return check_network_takes(kind, image_size, 1)
    with pytest.raises(ValueError, match=message):
        check_network_takes(kind, image_size, 1)


@pytest.mark.parametrize("name", SMALL_NETWORKS)
def test_our_networks_are_taken(name):
    check_network_takes(partial(build_named, name), (32, 32), 3)
    check_network_takes(partial(build_named, name), (12, 40), 3)


@pytest.mark.parametrize("name", ["airbench", "small_cnn"])
def test_our_networks_speak_for_themselves(name):
    with pytest.raises(ValueError) as direct:
        build_named(name, (3, 3))
    with pytest.raises(ValueError) as checked:
        check_network_takes(partial(build_named, name), (3, 3), 3)
    assert str(checked.value) == str(direct.value)


def build_named(name, image_size):
    return networks.create(name, n_channels=3, image_size=image_size, n_classes=4)


@pytest.mark.parametrize(
    ("build", "image_size", "error", "message"),
    [
        (Faulty, (28, 28), AttributeError, "missing"),
        (Faulty, (3, 28), RuntimeError, "negative dimension"),
        (Multiples, (28, 28), ValueError, "^sides must be multiples of 16$"),
        (Superstitious, (13, 28), RuntimeError, "^not 13$"),
        (OneSize, (28, 28), RuntimeError, "shapes cannot be multiplied"),
        (OneSize, (40, 40), RuntimeError, "shapes cannot be multiplied"),
        (lambda size: nn.Conv2d(3, 4, 5), (28, 28), RuntimeError, "expected input.*3 channels"),
    ],
)
def test_other_errors_are_passed_on(build, image_size, error, message):
    with pytest.raises(error, match=message):
        check_network_takes(build, image_size, 1)


def test_networks_that_want_a_size_are_checked_for_it():
    check_network_takes(Multiples, (32, 48), 1)
    check_network_takes(OneSize, (32, 32), 1)


@pytest.mark.parametrize("build", [Net, Looking])
@pytest.mark.parametrize("image_size", [(28, 28), (9, 9)])
def test_random_generators_are_left_alone(build, image_size):
    state = torch.get_rng_state()
    try:
        check_network_takes(build, image_size, 1)
    except ValueError:
        assert image_size == (9, 9)
    assert torch.equal(torch.get_rng_state(), state)


def test_batch_statistics_are_not_touched():
    network = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.LazyLinear(2))
    check_network_takes(lambda image_size: network, (8, 8), 1)
    assert network.training and network[0].num_batches_tracked == 0
