"""The network of airbench94: its layers, its whitening, and that it learns."""

import pytest
import torch
from sklearn.datasets import load_digits
from small_networks import n_parameters, shapes
from torch import nn

from visionpipe.networks.airbench import Airbench, patch_moments


def make(n_channels=3, image_size=(32, 32), seed=0, **options):
    torch.manual_seed(seed)
    return Airbench(n_channels=n_channels, image_size=image_size, n_classes=10, **options)


def photographs(n, n_channels, size):
    """Smooth noise of mean 0 and deviation 1 whose channels resemble each other."""
    torch.manual_seed(1)
    grey = torch.randn(n, 1, *size)
    images = nn.functional.avg_pool2d(grey + torch.randn(n, n_channels, *size), 3, 1, 1)
    return (images - images.mean()) / images.std()


def patches_of(images):
    """Patches (n, 4 c), one after the other."""
    height, width = images.shape[2:]
    corners = [(i, j) for i in range(height - 1) for j in range(width - 1)]
    return torch.cat([images[:, :, i : i + 2, j : j + 2].flatten(1) for i, j in corners])


def test_layer_table():
    assert shapes(make(), torch.rand(2, 3, 32, 32)) == {
        "whiten": (24, 31, 31),
        "gelu": (24, 31, 31),
        "group1": (64, 15, 15),
        "group2": (256, 7, 7),
        "group3": (256, 3, 3),
        "pool": (256, 1, 1),
        "flatten": (256,),
        "head": (10,),
    }


@pytest.mark.parametrize(
    ("n_channels", "image_size", "widths", "expected"),
    [
        (1, (28, 28), (64, 256, 256), 1_972_792 - 24 * 12 - 1152 - 16 * (64 * 9 + 1)),
        (1, (28, 28), (4, 5, 6), 8 + 9 * (8 * 4 + 16 + 20 + 25 + 30 + 36) + 2 * 15 + 60),
        (3, (64, 64), (64, 256, 256), 1_971_352 + 8 * 256 * 10),
    ],
)
def test_parameter_count(n_channels, image_size, widths, expected):
    assert n_parameters(make(n_channels, image_size, widths=widths)) == expected


def test_network_is_that_of_the_original():
    """Layer by layer, after airbench94's listing, with torch's functions."""
    f = nn.functional
    network = make(widths=(6, 10, 7)).double()
    with torch.no_grad():
        for bias in (p for n, p in network.named_parameters() if "norm" in n):
            bias.uniform_(-1, 1)
    images = torch.randn(5, 3, 32, 32, dtype=torch.float64)
    x = f.gelu(f.conv2d(images, network.whiten.weight, network.whiten.bias))
    for group in (network.group1, network.group2, network.group3):
        x = f.max_pool2d(f.conv2d(x, group.conv1.weight, padding="same"), 2)
        x = f.gelu(f.batch_norm(x, None, None, None, group.norm1.bias, True, eps=1e-12))
        x = f.conv2d(x, group.conv2.weight, padding="same")
        x = f.gelu(f.batch_norm(x, None, None, None, group.norm2.bias, True, eps=1e-12))
    expected = f.max_pool2d(x, 3).flatten(1) @ network.head.weight.T / 9
    torch.testing.assert_close(network(images), expected)


def test_first_filters_pass_their_input_on():
    network = make(widths=(30, 20, 24))
    maps = torch.randn(2, 24, 9, 9)
    torch.testing.assert_close(network.group1.conv1(maps)[:, :24], maps)
    maps = torch.randn(2, 30, 9, 9)
    torch.testing.assert_close(network.group2.conv1(maps), maps[:, :20])
    assert network.group1.conv1(torch.ones(1, 24, 9, 9))[:, 24:].std() > 0


@pytest.mark.parametrize("n_channels", [1, 3])
def test_moments_are_those_of_all_patches(n_channels):
    images = photographs(300, n_channels, (6, 9))
    patches = patches_of(images).double()
    expected = (patches.T @ patches / len(patches)).float()
    torch.testing.assert_close(patch_moments(images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n_channels", [1, 3])
def test_whitened_patches_are_white(n_channels):
    images = photographs(200, n_channels, (16, 16))
    network = make(n_channels, (16, 16))
    network.initialize_from(images)
    with torch.no_grad():
        network.whiten.bias.zero_()
        maps = network.whiten(images)
    first, second = maps.transpose(0, 1).flatten(1).chunk(2)  # (4 c, n) each
    covariance = first @ first.T / first.shape[1]
    torch.testing.assert_close(covariance, torch.eye(4 * n_channels), rtol=0, atol=0.05)
    torch.testing.assert_close(second, -first)


def test_whitening_does_not_hang_on_the_sign_of_eigenvectors(monkeypatch):
    images = photographs(50, 1, (16, 16))
    network, other = make(1, (16, 16)), make(1, (16, 16), seed=1)
    network.initialize_from(images)
    eigh = torch.linalg.eigh

    def turned(matrix):
        values, vectors = eigh(matrix)
        return values, vectors * torch.tensor([-1, 1, -1, -1])

    monkeypatch.setattr(torch.linalg, "eigh", turned)
    other.initialize_from(images)
    torch.testing.assert_close(other.whiten.weight, network.whiten.weight, rtol=0, atol=0)


def test_whitening_of_a_plain_image_is_finite():
    network = make()
    network.initialize_from(torch.zeros(3, 3, 32, 32))
    assert network(torch.zeros(3, 3, 32, 32)).isfinite().all()


def test_whitening_weights_are_stored_and_not_trained():
    network = make(1, (16, 16), widths=(8, 8, 8))
    network.initialize_from(photographs(50, 1, (16, 16)))
    assert "whiten.weight" not in dict(network.named_parameters())
    other = make(1, (16, 16), seed=1, widths=(8, 8, 8))
    other.load_state_dict(network.state_dict())
    images = photographs(5, 1, (16, 16))
    torch.testing.assert_close(other.eval()(images), network.eval()(images), rtol=0, atol=0)


def test_random_directions_are_orthogonal_before_initialisation():
    directions = make().whiten.weight.flatten(1)[:12]
    torch.testing.assert_close(directions @ directions.T, torch.eye(12))


def test_channels_last():
    images = photographs(4, 3, (32, 32))
    usual, last = make(widths=(8, 12, 16)), make(widths=(8, 12, 16))
    last = last.to(memory_format=torch.channels_last)
    for network in (usual, last):
        network.initialize_from(images)
    assert last.whiten.weight.is_contiguous(memory_format=torch.channels_last)
    found = last(images.to(memory_format=torch.channels_last))
    torch.testing.assert_close(found, usual(images), rtol=1e-4, atol=1e-5)


def test_learns_digits():
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16
    images = nn.functional.interpolate(images, (32, 32), mode="bilinear")
    images = (images - images.mean()) / images.std()  # (1797, 1, 32, 32)
    labels = torch.tensor(digits.target)
    network = make(1, widths=(16, 32, 32))
    network.initialize_from(images[:1000])
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(2):
        for rows in torch.randperm(1000).split(25):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images[rows]), labels[rows]).backward()
            optimizer.step()
    with torch.inference_mode():
        found = network.eval()(images[1000:]).argmax(1)
    assert (found == labels[1000:]).float().mean() > 0.9
