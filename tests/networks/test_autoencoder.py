"""Autoencoders: their layers and sizes, against slow versions, and that they learn."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from small_networks import n_parameters
from torch import nn

from visionpipe.networks.autoencoder import ConvolutionalAutoencoder, DenseAutoencoder
from visionpipe.networks.dry_run import dry_run

BOTH = [DenseAutoencoder, ConvolutionalAutoencoder]
LEAST = {DenseAutoencoder: (1, 1), ConvolutionalAutoencoder: (4, 4)}
both = pytest.mark.parametrize("network", BOTH, ids=lambda network: network.__name__)


def make(network=DenseAutoencoder, n_channels=1, image_size=(28, 28), n_components=100, **options):
    torch.manual_seed(0)
    return network(
        n_channels=n_channels, image_size=image_size, n_components=n_components, **options
    )


def layers_of(network, image_shape):
    """Output shape of each layer with its name, in the order they run."""
    with torch.device("meta"):
        _, calls, error = dry_run(
            lambda: make(network, image_shape[2], image_shape[:2]), image_shape
        )
    assert error is None
    parts = [call for call in calls if "." in call.name]
    return {call.name: tuple(call.shape_out[1:]) for call in parts}


@pytest.mark.parametrize(
    ("network", "n_channels", "image_size", "n_components", "expected"),
    [
        (DenseAutoencoder, 1, (28, 28), 100, 157_684),
        (DenseAutoencoder, 3, (5, 7), 10, (105 + 1) * 10 + (10 + 1) * 105),
        (ConvolutionalAutoencoder, 1, (28, 28), 100, 332_229),
        (ConvolutionalAutoencoder, 3, (28, 28), 100, 332_229 + 2 * (16 * 16 + 16 * 16 + 1)),
        (ConvolutionalAutoencoder, 1, (30, 31), 100, 332_229),
        (ConvolutionalAutoencoder, 1, (32, 28), 7, 332_229 + 7 * (2 * 1792 + 1) + 1792
         - 100 * (2 * 1568 + 1) - 1568),
    ],
    ids=["dense", "dense rgb", "convolutional", "conv rgb", "conv odd", "conv oblong"],
)  # fmt: skip
def test_parameter_count(network, n_channels, image_size, n_components, expected):
    with torch.device("meta"):
        assert n_parameters(make(network, n_channels, image_size, n_components)) == expected


def test_layer_table_of_the_dense_one():
    assert layers_of(DenseAutoencoder, (28, 28, 1)) == {
        "encoder.corrupt": (1, 28, 28),
        "encoder.flatten": (784,),
        "encoder.dense1": (100,),
        "encoder.sigmoid1": (100,),
        "decoder.dense1": (784,),
        "decoder.sigmoid1": (784,),
        "decoder.unflatten": (1, 28, 28),
    }


def test_hidden_layers_are_mirrored():
    network = make(n_components=30, hidden=(1000, 500, 250), activation="tanh", output="linear")
    kinds = [type(layer) for layer in network.encoder]
    assert kinds == [nn.Dropout, nn.Flatten, *[nn.Linear, nn.Tanh] * 4]
    kinds = [type(layer) for layer in network.decoder]
    assert kinds == [*[nn.Linear, nn.Tanh] * 3, nn.Linear, nn.Identity, nn.Unflatten]
    dense = [layer for layer in network.modules() if isinstance(layer, nn.Linear)]
    units = [784, 1000, 500, 250, 30, 250, 500, 1000, 784]
    assert [layer.in_features for layer in dense] == units[:-1]
    assert [layer.out_features for layer in dense] == units[1:]


def test_layer_table_of_the_convolutional_one():
    found = layers_of(ConvolutionalAutoencoder, (28, 28, 1))
    expected = {
        "encoder.conv1": (16, 14, 14),
        "encoder.conv2": (32, 7, 7),
        "encoder.flatten": (1568,),
        "encoder.dense": (100,),
        "decoder.dense": (1568,),
        "decoder.unflatten": (32, 7, 7),
        "decoder.conv1": (16, 14, 14),
        "decoder.conv2": (1, 28, 28),
    }
    assert {name: found[name] for name in expected} == expected
    odd = layers_of(ConvolutionalAutoencoder, (23, 30, 3))
    assert odd["encoder.conv2"] == (32, 5, 7) and odd["decoder.conv1"] == (16, 11, 15)


def test_dense_is_two_matrix_products():
    network = make(n_channels=3, image_size=(4, 5), n_components=6).eval()
    images = torch.rand(2, 3, 4, 5)
    weights = [parameter.detach().numpy() for parameter in network.parameters()]
    weight1, bias1, weight2, bias2 = weights
    codes = 1 / (1 + np.exp(-(images.numpy().reshape(2, 60) @ weight1.T + bias1)))
    drawn = 1 / (1 + np.exp(-(codes @ weight2.T + bias2)))
    np.testing.assert_allclose(network.encode(images).detach(), codes, rtol=1e-5)
    np.testing.assert_allclose(network(images).detach(), drawn.reshape(2, 3, 4, 5), rtol=1e-5)


def test_corruption_is_of_training_alone():
    network = make(image_size=(50, 40), corruption=0.3)
    images = torch.full((4, 1, 50, 40), 0.7)
    seen = network.train().encoder.corrupt(images)
    assert set(seen.unique().tolist()) == {0, images[0, 0, 0, 0].div(0.7).item()}
    assert abs((seen == 0).float().mean().item() - 0.3) < 0.03
    assert network.eval().encoder.corrupt(images) is images
    assert "corrupt" not in dict(make(corruption=0).encoder.named_children())


@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 10), (6, 7), (5, 5)])
def test_transposed_convolutions_are_convolutions_the_other_way(height, width):
    """Each value of a map adds its filter, scaled, at its place in the larger map."""
    network = make(ConvolutionalAutoencoder, 3, (height, width), 4)
    layer = network.decoder.conv2
    maps = torch.rand(1, 16, height // 2, width // 2)
    padded = np.zeros((3, height + 4, width + 4), dtype=np.float32)
    weight = layer.weight.detach().numpy()  # (16, 3, 4, 4)
    for k, i, j in np.ndindex(16, height // 2, width // 2):
        padded[:, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += maps[0, k, i, j].item() * weight[k]
    expected = padded[:, 1 : height + 1, 1 : width + 1] + layer.bias.detach().numpy()[:, None, None]
    np.testing.assert_allclose(layer(maps)[0].detach(), expected, rtol=1e-4, atol=1e-5)


@both
@pytest.mark.parametrize("n_channels", [1, 3])
@pytest.mark.parametrize("beyond_least", [(0, 0), (1, 8), (18, 27)])
def test_images_and_gradients_from_the_least_size_up(network, n_channels, beyond_least):
    least = LEAST[network]
    image_size = least[0] + beyond_least[0], least[1] + beyond_least[1]
    network = make(network, n_channels, image_size, n_components=7)
    images = torch.rand(3, n_channels, *image_size)
    codes = network.encode(images)
    assert codes.shape == (3, 7) and codes.dtype == torch.float32
    drawn = network(images)
    assert drawn.shape == images.shape and drawn.dtype == torch.float32
    assert ((drawn > 0) & (drawn < 1)).all()
    (drawn - images).square().sum().backward()
    for parameter in network.parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all()


@pytest.mark.parametrize(
    ("network", "image_size", "layer"),
    [
        (DenseAutoencoder, (0, 5), ""),
        (ConvolutionalAutoencoder, (1, 9), ", too small for its layer conv1"),
        (ConvolutionalAutoencoder, (9, 3), ", too small for its layer conv2"),
        (ConvolutionalAutoencoder, (3, 9), ", too small for its layer conv2"),
    ],
)
def test_images_that_are_too_small(network, image_size, layer):
    size, least = "{}x{}".format(*image_size), "{}x{}".format(*LEAST[network])
    message = rf"{network.__name__} got images of {size} .*\){layer}; it takes {least} or larger"
    with pytest.raises(ValueError, match=message):
        make(network, image_size=image_size)


def test_unknown_activations():
    with pytest.raises(ValueError, match=r"DenseAutoencoder\(activation='elu'\).*'linear', 'relu'"):
        make(activation="elu")
    with pytest.raises(ValueError, match=r"output='relu'\): output must be one of 'linear', 'sigm"):
        make(output="relu")


@both
def test_what_is_drawn_of_an_image_does_not_depend_on_the_batch(network):
    network = make(network, image_size=(12, 10)).eval()
    images = torch.rand(5, 1, 12, 10)
    torch.testing.assert_close(network(images)[2:3], network(images[2:3]))
    torch.testing.assert_close(network(images), network.decode(network.encode(images)))


@both
def test_copies_and_memory_formats(network):
    images = torch.rand(3, 3, 9, 12)
    usual = make(network, 3, (9, 12)).eval()
    expected = usual(images)
    for other in (
        copy.deepcopy(usual),
        pickle.loads(pickle.dumps(usual)),
        make(network, 3, (9, 12)),
    ):
        torch.testing.assert_close(other.eval()(images), expected, rtol=0, atol=0)
    last = usual.to(memory_format=torch.channels_last)
    found = last(images.to(memory_format=torch.channels_last))
    torch.testing.assert_close(found, expected)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(last(images).float(), expected, rtol=0, atol=0.02)


@both
def test_learns_digits(network):
    images = torch.tensor(load_digits().images[:128], dtype=torch.float32)[:, None] / 16
    network = make(network, image_size=(8, 8), n_components=30)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    losses = []
    for _ in range(80):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(network(images), images)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    of_mean = images.var(dim=0, correction=0).mean().item()
    assert losses[-1] < 0.7 * of_mean < losses[0]
