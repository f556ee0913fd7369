"""Layer tables against those of lectures and docstrings, and against what torch counts."""

import pytest
import torch
from small_networks import SMALL_NETWORKS, n_parameters
from torch import nn

from visionpipe import networks
from visionpipe.networks.layer_table import layer_table


def columns(table):
    """Output, activations and parameters of each layer, by name."""
    return {row.name: (row.shape, row.n_activations, row.n_parameters) for row in table}


def test_the_lecture_s_table():
    table = layer_table("small_cnn", (28, 28, 1))
    found = columns(table.main_layers())
    assert found == {
        "conv1": ((28, 28, 8), 6_272, 80),
        "pool1": ((14, 14, 8), 1_568, 0),
        "conv2": ((10, 10, 16), 1_600, 3_216),
        "pool2": ((5, 5, 16), 400, 0),
        "dense1": ((120,), 120, 48_120),
        "dense2": ((64,), 64, 7_744),
        "dense3": ((10,), 10, 650),
    }
    assert table.n_parameters == table.main_layers().n_parameters == 59_810
    assert table.main_layers().n_activations == 10_034


def test_lenet_s_docstring():
    found = columns(layer_table("lenet", (28, 28, 3)))
    assert found["conv1"] == ((28, 28, 6), 4_704, 150 * 3 + 6)
    assert found["pool1"] == ((14, 14, 6), 1_176, 0)
    assert found["conv2"] == ((10, 10, 16), 1_600, 2_416)
    assert found["pool2"] == ((5, 5, 16), 400, 0)
    assert found["dense1"] == ((120,), 120, 48_120)
    assert found["dense2"] == ((84,), 84, 10_164)
    assert found["dense3"] == ((10,), 10, 850)


def test_cifarnet_s_docstring():
    table = layer_table("cifarnet", (24, 24, 3), n_classes=100)
    found = columns(table)
    assert found["conv1"] == ((24, 24, 64), 36_864, 4_864)
    for name in ("pool1", "norm1", "norm2"):
        assert found[name] == ((12, 12, 64), 9_216, 0)
    assert found["conv2"] == ((12, 12, 64), 9_216, 102_464)
    assert found["pool2"] == ((6, 6, 64), 2_304, 0)
    assert found["dense1"] == ((384,), 384, 885_120)
    assert found["dense2"] == ((192,), 192, 73_920)
    assert found["dense3"] == ((100,), 100, 19_300)
    assert "norm1" not in columns(table.main_layers())


@pytest.mark.parametrize("name", SMALL_NETWORKS)
@pytest.mark.parametrize("image_shape", [(32, 32, 3), (45, 30, 1)])
def test_all_parameters_are_counted(name, image_shape):
    *image_size, n_channels = image_shape
    network = networks.create(name, n_channels=n_channels, image_size=image_size, n_classes=7)
    by_name = layer_table(name, image_shape, n_classes=7)
    assert by_name.n_parameters == n_parameters(network)
    assert layer_table(network, image_shape) == by_name
    assert layer_table(type(network), image_shape, n_classes=7) == by_name
    assert by_name[-1].shape == (7,)


class Odd(nn.Module):
    """A layer that runs twice, one that never runs, tied weights, and weights of its own."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(5))
        self.block = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU())
        self.again = nn.Conv2d(4, 4, 3, padding=1)
        self.dropout = nn.Dropout(0.5)
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.second.weight = self.first.weight
        self.never = nn.Linear(3, 2)

    def forward(self, images):
        maps = self.again(self.again(self.block(images)))
        return self.second(self.first(self.dropout(maps.mean((2, 3))))) * self.scale[:4]


@pytest.mark.parametrize("network", [Odd(), lambda **_: Odd()], ids=["built", "class"])
def test_repeated_tied_unused_and_loose_parameters(network):
    table = layer_table(network, (6, 5, 1))
    assert [(row.name, row.shape, row.n_parameters) for row in table] == [
        ("block.0", (6, 5, 4), 40),
        ("block.1", (6, 5, 4), 0),
        ("again", (6, 5, 4), 148),
        ("again", (6, 5, 4), 0),
        ("dropout", (4,), 0),
        ("first", (4,), 20),
        ("second", (4,), 4),
        ("network", None, 5),
        ("never", None, 8),
    ]
    assert table.n_parameters == n_parameters(Odd())
    assert [row.kind for row in table if row.name == "network"] == ["Odd"]


def test_a_built_network_stays_as_it_was():
    network = Odd()
    network.block.eval()
    modes = [module.training for module in network.modules()]
    weights = {name: w.clone() for name, w in network.state_dict().items()}
    state = torch.get_rng_state()
    layer_table(network, (6, 5, 1))
    assert [module.training for module in network.modules()] == modes
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())
    assert all(w.device.type == "cpu" for w in network.parameters())
    for name, weight in network.state_dict().items():
        torch.testing.assert_close(weight, weights[name], rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), state)


def test_no_random_number_is_drawn():
    state = torch.get_rng_state()
    layer_table("lenet", (28, 28, 1))
    layer_table(Looking, (8, 8, 1))  # on the CPU, where weights are drawn
    assert torch.equal(torch.get_rng_state(), state)


class Looking(nn.Sequential):
    """Looks at a value, of which the meta device has none."""

    def __init__(self, *, n_channels, image_size, n_classes):
        super().__init__(nn.Conv2d(n_channels, 4, 3), nn.Flatten(), nn.LazyLinear(n_classes))

    def forward(self, images):
        return super().forward(images if images.sum().item() < 1 else -images)


def test_networks_that_cannot_run_without_values():
    found = columns(layer_table(Looking, (8, 8, 1)))
    assert found == {
        "0": ((6, 6, 4), 144, 40),
        "1": ((144,), 144, 0),
        "2": ((10,), 10, 1_450),
    }


def test_no_memory_is_taken():
    def huge(*, n_channels, image_size, n_classes):
        conv = nn.Conv2d(n_channels, 1 << 20, 3)
        return nn.Sequential(conv, nn.Flatten(), nn.LazyLinear(1 << 20))

    table = layer_table(huge, (226, 226, 3))
    assert table[0].n_activations == 224 * 224 << 20
    assert table.n_parameters == (28 << 20) + (224 * 224 * (1 << 40)) + (1 << 20)


def test_errors():
    with pytest.raises(ValueError, match="'lenett'; known are"):
        layer_table("lenett", (28, 28, 1))
    for shape in [(28, 28), (28, 0, 1), (28, 28, 1.5)]:
        with pytest.raises(ValueError, match="wanted height, width and channels"):
            layer_table("lenet", shape)
    with pytest.raises(ValueError, match="conv2; it takes 12x12 or larger"):
        layer_table("small_cnn", (28, 9, 1))
    with pytest.raises(RuntimeError, match="Kernel size can't be greater"):
        layer_table(nn.Conv2d(1, 2, 5), (4, 4, 1))
