"""What every network promises with weights: gradients, that it learns, copies, and evaluation."""

import copy
import pickle
from typing import NamedTuple

import pytest
import torch
from small_networks import SMALL_NETWORKS, assert_gradients, losses_of_training, training_loss
from torch import nn

from visionpipe import networks

# Channels, and pixels beyond the least size, for which there are logits and gradients.
EVERY_SIZE = [(c, beyond) for c in (1, 3) for beyond in ((0, 0), (1, 8), (32, 30), (46, 63))]
FEW_SIZES = [(1, (0, 0)), (3, (0, 9)), (3, (3, 2))]
SIZES_OF_GOOGLENET = [(3, (0, 0)), (1, (0, 35)), (3, (59, 16))]
SIZES_OF_INCEPTION = [(3, (0, 0)), (1, (0, 33))]
SIZES_OF_RESNET18 = [*FEW_SIZES, (3, (31, 31)), (1, (32, 46))]


class Small(NamedTuple):
    """A network that a test can train: with so many random images of 4 classes."""

    name: str
    least: int = 1  # pixels a side
    image_size: tuple = (12, 12)
    n_images: int = 16
    lr: float = 3e-3
    n_steps: int = 40
    share: float = 0.2  # of the first loss, which the last one is below
    sizes: list = EVERY_SIZE
    options: dict = {}  # noqa: RUF012


# One of each class at least; a few more for options that change what is computed.
SMALL = {
    "airbench": Small("airbench", 9, lr=0.04, n_steps=25, options={"widths": (16, 32, 32)}),
    "alexnet": Small("alexnet", 36, (36, 41), 2, 5e-4, 12, 0.5, FEW_SIZES, {"hidden": 64}),
    "capsnet": Small("capsnet", 17, (17, 18), 4, 1e-3, 3, 0.2, FEW_SIZES),
    "cifarnet": Small("cifarnet", lr=1e-3, n_steps=25),
    "fmp": Small("fmp", 1, (8, 7), 8, 3e-3, 30, 0.5, options={"width": 16}),
    "fmp dropout": Small(
        *("fmp", 1, (8, 7), 8, 3e-3, 30, 0.5, FEW_SIZES),
        {"width": 16, "dropout": 0.3, "pooling_ratio": 2 ** (1 / 3)},
    ),
    "googlenet": Small("googlenet", 31, (31, 34), 4, 3e-4, 9, 0.37, SIZES_OF_GOOGLENET),
    "inception_v3": Small("inception_v3", 75, (75, 76), 4, 2e-3, 6, 0.5, SIZES_OF_INCEPTION),
    "lenet": Small("lenet", n_steps=20),
    "lenet5_1998": Small("lenet5_1998", n_steps=15),
    "maxout": Small("maxout", 8, (8, 9), 4, 2e-3, 12, 0.9, FEW_SIZES),
    "maxout_mnist": Small("maxout_mnist", 16, (16, 17), 4, 8e-3, 16, 0.2, FEW_SIZES),
    "mlp": Small("mlp", n_steps=15),
    "mlp maxout": Small(
        "mlp",
        n_steps=15,
        sizes=FEW_SIZES,
        options={"activation": "maxout", "dropout": 0.5, "drop_connect": 0.5},
    ),
    "nin": Small("nin", 4, (12, 11), 4, 5e-4, 16, 0.5, FEW_SIZES),
    "resnet18": Small("resnet18", 1, (16, 15), 4, 1e-3, 4, 0.5, SIZES_OF_RESNET18, {"squeeze": 16}),
    "resnet20": Small("resnet20", n_steps=8),
    "small_cnn": Small("small_cnn", 12, n_steps=30),
    "softmax": Small("softmax"),
    "vgg11": Small("vgg11", 32, (32, 35), 2, 2e-4, 6, 0.6, FEW_SIZES, {"hidden": 64}),
    "vgg11 batch_norm": Small(
        *("vgg11", 32, (32, 35), 4, 2e-3, 7, 0.6, FEW_SIZES[:1]),
        {"hidden": 32, "batch_norm": True},
    ),
    "zfnet": Small("zfnet", 47, (47, 49), 2, 5e-4, 12, 0.5, FEW_SIZES, {"hidden": 64}),
}
small_networks = pytest.mark.parametrize("key", SMALL)

FLOAT32_LOGITS = {"capsnet"}  # logarithms of lengths, for a margin
FLOAT32_MAPS = {"lenet5_1998"}  # of learned factors
MAXOUT = {"maxout", "maxout_mnist"}  # the largest of neighbours, in the other memory format


def make(key, n_channels=3, image_size=None, n_classes=4):
    name, options = SMALL[key].name, SMALL[key].options
    size = image_size or SMALL[key].image_size
    torch.manual_seed(0)
    return networks.create(
        name, n_channels=n_channels, image_size=size, n_classes=n_classes, **options
    )


def batch_for(key):
    """Random images and labels, the same each time."""
    torch.manual_seed(1)
    n_images = SMALL[key].n_images
    return torch.randn(n_images, 3, *SMALL[key].image_size), torch.arange(n_images) % 4


def logits_of(network, images):
    """Of equal draws, for the networks that are random in evaluation too."""
    torch.manual_seed(1)
    with torch.no_grad():
        return network(images)


def assert_logits_close(found, expected, share):
    """Apart, at the most, by a share of what tells the images from each other."""
    spread = (expected - expected.mean(0)).abs().max().item()
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=share * spread)


def inputs_of_convolutions(network, images):
    """But for the images themselves."""
    kept = []
    hooks = [
        module.register_forward_pre_hook(lambda module, came: kept.append(came[0]))
        for module in network.modules()
        if isinstance(module, nn.Conv2d)
    ]
    logits_of(network, images)
    for hook in hooks:
        hook.remove()
    return [maps for maps in kept if maps.shape != images.shape]


@pytest.fixture(scope="module", params=SMALL)
def trained(request):
    """Key, a network after its training, and the losses of that. For reading alone."""
    network, (images, labels) = make(request.param), batch_for(request.param)
    if hasattr(network, "initialize_from"):
        network.initialize_from(images)
    for layer in network.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0  # whose noise would hide that the loss falls
    small = SMALL[request.param]
    losses = losses_of_training(network, images, labels, small.lr, small.n_steps)
    return request.param, network.eval(), losses


def test_there_is_one_of_each_class():
    classes = {name: entry[:2] for name, entry in networks._NETWORKS.items()}
    assert {classes[small.name] for small in SMALL.values()} == {*classes.values()}
    assert {*SMALL_NETWORKS} <= {*SMALL}


@pytest.mark.parametrize(
    ("key", "n_channels", "beyond_least"),
    [(key, *size) for key, small in SMALL.items() for size in small.sizes],
    ids=[f"{key}-{c}-{h}-{w}" for key, small in SMALL.items() for c, (h, w) in small.sizes],
)
def test_logits_and_gradients_from_the_least_size_up(key, n_channels, beyond_least):
    image_size = tuple(SMALL[key].least + n for n in beyond_least)
    network = make(key, n_channels, image_size, n_classes=7)
    images, labels = torch.randn(3, n_channels, *image_size), torch.tensor([6, 0, 3])
    if hasattr(network, "initialize_from"):
        network.initialize_from(images)
    loss, logits = training_loss(network, images, labels)
    assert logits.shape == (3, 7) and logits.dtype == torch.float32
    loss.backward()
    assert_gradients(network)


@small_networks
def test_equal_seeds_and_copies(key):
    """The same weights, and the same logits in training under equal draws of dropout."""
    network, images = make(key), batch_for(key)[0][:3]
    others = [make(key), copy.deepcopy(network), pickle.loads(pickle.dumps(network))]
    weights = network.state_dict()
    for other in others:
        found = other.state_dict()
        assert found.keys() == weights.keys()
        assert all(torch.equal(found[name], weight) for name, weight in weights.items())
    expected = logits_of(network, images)
    assert all(torch.equal(logits_of(other, images), expected) for other in others)


def test_loss_falls_on_a_small_batch(trained):
    key, network, losses = trained
    assert losses[-1] < SMALL[key].share * losses[0]
    if SMALL[key].share <= 0.5:
        images, labels = batch_for(key)
        logits = logits_of(copy.deepcopy(network).train(), images)
        assert (logits.argmax(1) == labels).all()


def test_evaluation_looks_at_each_image_alone(trained):
    key, network, _ = trained
    images, _ = batch_for(key)
    alone = torch.cat([logits_of(network, image) for image in images.split(1)])
    assert_logits_close(alone, logits_of(network, images), 1e-4)


def test_losses_of_a_batch_and_of_each_image(trained):
    key, network, _ = trained
    (images, labels), found = batch_for(key), {}
    for reduction in ("mean", "none"):
        torch.manual_seed(1)
        criterion = nn.CrossEntropyLoss(reduction=reduction)
        loss, logits = training_loss(network, images, labels, criterion)
        torch.testing.assert_close(logits, logits_of(network, images))
        found[reduction] = loss
    assert found["mean"].shape == () and found["none"].shape == labels.shape
    torch.testing.assert_close(found["none"].mean(), found["mean"])


def test_channels_last(trained):
    key, network, _ = trained
    images, labels = batch_for(key)
    expected, network = logits_of(network, images), copy.deepcopy(network)
    network.to(memory_format=torch.channels_last)
    images = images.to(memory_format=torch.channels_last)
    assert_logits_close(logits_of(network, images), expected, 1e-4)
    maps = inputs_of_convolutions(network, images)
    in_format = [m.is_contiguous(memory_format=torch.channels_last) for m in maps]
    assert all(in_format) or key in MAXOUT
    training_loss(network.train(), images, labels)[0].backward()
    assert_gradients(network)


def test_bfloat16(trained):
    key, network, _ = trained
    images, labels = batch_for(key)
    torch.manual_seed(1)
    expected_loss, expected = training_loss(network, images, labels)
    network = copy.deepcopy(network)
    with torch.autocast("cpu", torch.bfloat16):
        torch.manual_seed(1)
        loss, logits = training_loss(network, images, labels)
        maps = inputs_of_convolutions(network, images)
        training_loss(network.train(), images, labels)[0].backward()
    torch.testing.assert_close(loss.float(), expected_loss, rtol=0.05, atol=0.05)
    assert_logits_close(logits, expected, 0.1)
    assert (logits.dtype == torch.bfloat16) != (key in FLOAT32_LOGITS)
    assert key in FLOAT32_MAPS or all(m.dtype == torch.bfloat16 for m in maps[-1:])
    assert_gradients(network)


def test_slices_are_layers_that_share_their_weights():
    network = make("vgg11").eval()
    images, _ = batch_for("vgg11")
    features, rest = network[:-1], network[-1:]
    assert type(features) is nn.Sequential and [*rest._modules] == ["dense3"]
    assert features.conv1_1 is network.conv1_1 and network[0] is network.conv1_1
    with torch.no_grad():
        torch.testing.assert_close(rest(features(images)), network(images), rtol=0, atol=0)
