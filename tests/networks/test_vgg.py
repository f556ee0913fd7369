"""VGG against its paper: Table 1, its parameters, its normalisation."""

import numpy as np
import pytest
import torch
from small_networks import n_parameters, shapes, with_random_biases
from torch import nn

from visionpipe.networks.vgg import VGG

# Columns of the paper's Table 1 from the input down: channels of a 3x3 convolution, of a 1x1 one
# after "1x1:", "M" for max pooling.
TABLE_1 = {
    "A": "64 M 128 M 256 256 M 512 512 M 512 512 M",
    "A-LRN": "64 LRN M 128 M 256 256 M 512 512 M 512 512 M",
    "B": "64 64 M 128 128 M 256 256 M 512 512 M 512 512 M",
    "C": "64 64 M 128 128 M 256 256 1x1:256 M 512 512 1x1:512 M 512 512 1x1:512 M",
    "D": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",
    "E": "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",
}
N_PARAMETERS = {
    "A": 132_863_336,
    "A-LRN": 132_863_336,
    "B": 133_047_848,
    "C": 133_638_952,
    "D": 138_357_544,
    "E": 143_667_240,
}


def small(configuration="A", image_size=(32, 32), n_channels=3, hidden=16, **options):
    """A network for the CPU."""
    torch.manual_seed(0)
    return VGG(
        n_channels=n_channels,
        image_size=image_size,
        n_classes=4,
        configuration=configuration,
        hidden=hidden,
        **options,
    )


def imaginary(configuration, image_size=(224, 224), **options):
    """The network of ImageNet, without memory."""
    with torch.device("meta"):
        return VGG(
            n_channels=3,
            image_size=image_size,
            n_classes=1000,
            configuration=configuration,
            **options,
        )


@pytest.mark.parametrize(
    ("image_size", "n_places"), [((32, 32), 1), ((63, 64), 2), ((96, 200), 18), ((256, 224), 56)]
)
def test_other_sizes_change_the_first_dense_layer(image_size, n_places):
    network = imaginary("D", image_size)
    assert n_parameters(network) == N_PARAMETERS["D"] + (n_places - 49) * 512 * 4096
    assert network(torch.empty(2, 3, *image_size, device="meta")).shape == (2, 1000)


def test_units_of_the_dense_layers():
    dense = [layer for layer in imaginary("D", hidden=20) if isinstance(layer, nn.Linear)]
    assert [tuple(layer.weight.shape) for layer in dense] == [(20, 25088), (20, 20), (1000, 20)]


@pytest.mark.parametrize("configuration", TABLE_1)
def test_batch_norm_adds_two_parameters_a_channel(configuration):
    network = imaginary(configuration, batch_norm=True)
    entries = TABLE_1[configuration].split()
    channels = [int(entry.split(":")[-1]) for entry in entries if entry not in ("M", "LRN")]
    assert n_parameters(network) == N_PARAMETERS[configuration] + 2 * sum(channels)
    kinds = [type(layer) for layer in network]
    after_convolutions = [kinds[i + 1 : i + 3] for i, k in enumerate(kinds) if k is nn.Conv2d]
    assert after_convolutions == [[nn.BatchNorm2d, nn.ReLU]] * len(channels)


@pytest.mark.parametrize("configuration", TABLE_1)
def test_output_of_each_stage(configuration):
    found = shapes(imaginary(configuration), torch.empty(2, 3, 224, 224, device="meta"))
    expected = {
        "conv1_1": (64, 224, 224),
        "pool1": (64, 112, 112),
        "pool2": (128, 56, 56),
        "pool3": (256, 28, 28),
        "pool4": (512, 14, 14),
        "pool5": (512, 7, 7),
        "flatten": (25088,),
        "dense1": (4096,),
        "dense2": (4096,),
        "dense3": (1000,),
    }
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("configuration", TABLE_1)
def test_network_is_that_of_table_1(configuration):
    network, images = with_random_biases(small(configuration, (32, 64))), torch.randn(2, 3, 32, 64)
    with torch.no_grad():
        torch.testing.assert_close(network(images), by_table_1(configuration, network, images))


def by_table_1(configuration, network, x):
    """Logits, entry by entry of the table, with torch's functions and the network's weights."""
    f = nn.functional
    parameters = iter(network.parameters())
    for entry in TABLE_1[configuration].split():
        if entry == "M":
            x = f.max_pool2d(x, 2, 2)
        elif entry == "LRN":
            x = torch.from_numpy(slow_normalisation(x.double().numpy())).float()
        else:
            weight, bias = next(parameters), next(parameters)
            side = 1 if entry.startswith("1x1:") else 3
            assert weight.shape[2:] == (side, side)
            x = f.conv2d(x, weight, bias, padding="same").relu()
    x = (x.flatten(1) @ next(parameters).T + next(parameters)).relu()
    x = (x @ next(parameters).T + next(parameters)).relu()
    return x @ next(parameters).T + next(parameters)


def slow_normalisation(x):
    """Krizhevsky et al. 2012, section 3.3: k = 2, n = 5, alpha = 1e-4, beta = 0.75."""
    found = np.empty_like(x)
    for i in range(x.shape[1]):
        squares = sum(x[:, j] ** 2 for j in range(max(0, i - 2), min(x.shape[1], i + 3)))
        found[:, i] = x[:, i] / (2 + 1e-4 * squares) ** 0.75
    return found


def test_local_response_normalisation():
    x = np.random.default_rng(0).normal(scale=100, size=(2, 7, 3, 4))
    found = small("A-LRN").lrn(torch.from_numpy(x))
    np.testing.assert_allclose(found.numpy(), slow_normalisation(x), rtol=1e-10)


def test_dropout_follows_the_first_two_dense_layers():
    layers = list(small(dropout=0.25).named_children())
    names = [name for name, _ in layers]
    assert names[names.index("dense1") :] == [
        *("dense1", "relu1", "dropout1"),
        *("dense2", "relu2", "dropout2"),
        "dense3",
    ]
    assert [layer.p for _, layer in layers if isinstance(layer, nn.Dropout)] == [0.25, 0.25]


def test_initial_weights():
    network = small("E", hidden=256)
    for name, layer in network.named_children():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            n_inputs = layer.weight[0].numel()
            expected = 0.01 if name == "dense3" else (2 / n_inputs) ** 0.5
            assert layer.weight.std().item() == pytest.approx(expected, rel=0.1)
            assert not layer.bias.any()


def test_maps_keep_their_size_through_the_deepest_stages():
    maps = torch.randn(8, 3, 32, 32)
    for name, layer in small("E", hidden=256).eval().named_children():
        maps = layer(maps)
        if name.startswith(("conv", "dense")) and name != "dense3":
            assert 0.1 < maps.std() < 10, name


def test_unknown_configuration():
    with pytest.raises(ValueError, match=r"configuration='16'.*'A', 'A-LRN', 'B', 'C', 'D', 'E'"):
        small("16")
