"""Muon against singular values, torch.optim.Muon and torch.optim.AdamW."""

import io

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from visionpipe import CNNClassifier
from visionpipe.deep.training import muon
from visionpipe.deep.training.muon import Muon, orthogonalize


def small_network():
    """Filters of four shapes, two of them alike, scales, biases and a dense layer."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3),
        nn.Conv2d(8, 8, 3, padding=1, bias=False),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.Conv2d(8, 16, 1),
        nn.Flatten(),
        nn.Linear(16 * 4 * 4, 4),
    )


def train(network, optimizer, n_steps, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for _ in range(n_steps):
        images = torch.randn(6, 3, 10, 10, generator=generator)
        labels = torch.randint(4, (6,), generator=generator)
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(images), labels).backward()
        optimizer.step()


def weights(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def textbook(matrices):
    """The iteration on the singular values alone, in double precision."""
    u, s, vh = torch.linalg.svd(matrices.double(), full_matrices=False)
    s = s / s.square().sum(-1, keepdim=True).sqrt()
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return u @ torch.diag_embed(s) @ vh


@pytest.mark.parametrize("shape", [(12, 12), (16, 72), (40, 9), (3, 24, 36), (5, 1), (1, 7)])
def test_orthogonalize_moves_singular_values_alone(shape):
    torch.manual_seed(0)
    matrices = torch.randn(shape) * 1e-3
    found = orthogonalize(matrices)
    torch.testing.assert_close(found, textbook(matrices).float(), rtol=1e-4, atol=1e-5)
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.68 and values.max() < 1.21


@pytest.mark.parametrize("iterate", [muon._iterate, muon._iterate_on_products])
def test_both_ways_to_iterate_give_the_textbook_s(iterate):
    """Also where most singular values are tiny and errors could grow."""
    torch.manual_seed(0)
    u, v = (torch.linalg.qr(torch.randn(n, 32, dtype=torch.float64))[0] for n in (32, 90))
    matrix = u * torch.logspace(0, -6, 32, dtype=torch.float64) @ v.T
    found = iterate((matrix / matrix.norm()).float())
    torch.testing.assert_close(found, textbook(matrix).float(), rtol=0, atol=1e-3)


def test_orthogonalize_takes_zeros():
    assert (orthogonalize(torch.zeros(2, 4, 9)) == 0).all()


@pytest.mark.parametrize("shape", [(16, 4, 3, 3), (64, 3, 2, 2)])
def test_filters_change_as_matrices_do_in_torch(shape):
    """torch calculates in bfloat16, hence the tolerance."""
    torch.manual_seed(0)
    start, options = torch.randn(shape), {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.5}
    filters, matrix = nn.Parameter(start.clone()), nn.Parameter(start.flatten(1).clone())
    ours, theirs = Muon([filters], **options), torch.optim.Muon([matrix], **options)
    for _ in range(4):
        filters.grad = torch.randn(shape)
        matrix.grad = filters.grad.flatten(1)
        ours.step()
        theirs.step()
    moved = (matrix - start.flatten(1)).abs().mean()
    assert (filters.flatten(1) - matrix).abs().max() < 0.05 * moved


def test_filters_change_as_the_paper_says():
    """Nesterov momentum, orthogonalisation, decoupled decay; two steps in double precision."""
    torch.manual_seed(0)
    filters = nn.Parameter(torch.randn(20, 2, 2, 2))
    expected, momentum = filters.detach().double().flatten(1), 0
    optimizer = Muon([filters], lr=0.1, momentum=0.7, weight_decay=0.3)
    for _ in range(2):
        filters.grad = torch.randn(20, 2, 2, 2)
        gradient = filters.grad.double().flatten(1)
        momentum = 0.7 * momentum + gradient
        update = textbook(gradient + 0.7 * momentum) * (20 / 8) ** 0.5
        expected = expected * (1 - 0.1 * 0.3) - 0.1 * update
        optimizer.step()
    torch.testing.assert_close(filters.flatten(1), expected.float(), rtol=1e-4, atol=1e-5)


def test_normalize_gives_filters_a_fixed_norm_before_the_step():
    torch.manual_seed(0)
    filters, others = nn.Parameter(torch.randn(16, 4, 3, 3)), nn.Parameter(torch.ones(5))
    expected = filters.detach() * 4 / filters.detach().norm()
    for param in (filters, others):
        param.grad = torch.zeros_like(param)
    Muon([filters, others], normalize=True).step()
    torch.testing.assert_close(filters.detach(), expected)
    assert (others == 1).all()


def test_other_parameters_change_as_in_adamw():
    ours, theirs = small_network(), small_network()
    for network in (ours, theirs):
        for module in network:
            if isinstance(module, nn.Conv2d):
                module.weight.requires_grad = False
    options = {"weight_decay": 0.2}
    train(ours, Muon(ours.parameters(), adam_lr=0.01, **options), 3)
    train(theirs, torch.optim.AdamW(theirs.parameters(), lr=0.01, fused=True, **options), 3)
    for name, value in weights(theirs).items():
        torch.testing.assert_close(weights(ours)[name], value, rtol=0, atol=0)


def test_parameters_without_gradient_stay():
    network = small_network()
    before = weights(network)
    Muon(network.parameters(), weight_decay=0.5, normalize=True).step()
    assert all(torch.equal(value, before[name]) for name, value in weights(network).items())


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("shape", [(16, 4, 3, 3), (6, 1, 3, 2), (8, 5, 1, 1), (40, 2, 2, 1)])
def test_memory_format_makes_no_difference(shape, normalize):
    torch.manual_seed(0)
    usual = nn.Parameter(torch.randn(shape))
    last = nn.Parameter(usual.detach().clone(memory_format=torch.channels_last))
    optimizers = [Muon([param], lr=0.1, normalize=normalize) for param in (usual, last)]
    for _ in range(3):
        usual.grad = torch.randn(shape)
        last.grad = usual.grad.clone(memory_format=torch.channels_last)
        for optimizer in optimizers:
            optimizer.step()
    assert last.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(last, usual, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_training_goes_on_from_a_checkpoint_to_the_same_bits(memory_format):
    straight = small_network().to(memory_format=memory_format)
    optimizer = Muon(straight.parameters(), lr=0.02, normalize=True)
    train(straight, optimizer, 3)
    file = io.BytesIO()
    torch.save([straight.state_dict(), optimizer.state_dict()], file)
    train(straight, optimizer, 3, seed=1)

    file.seek(0)
    network_state, optimizer_state = torch.load(file, weights_only=True)
    resumed = small_network().to(memory_format=memory_format)
    resumed.load_state_dict(network_state)
    optimizer = Muon(resumed.parameters())
    optimizer.load_state_dict(optimizer_state)
    assert [group["lr"] for group in optimizer.param_groups] == [0.02, 5e-3]
    train(resumed, optimizer, 3, seed=1)
    for name, value in weights(straight).items():
        assert torch.equal(weights(resumed)[name], value), name


def test_groups_are_split_by_kind():
    filters, bias, head = (nn.Parameter(torch.ones(s)) for s in [(2, 2, 3, 3), (2,), (4, 2)])
    optimizer = Muon(
        [
            {"params": [filters, bias]},
            {"params": [head], "lr": 0.5, "weight_decay": 0.1},
            {"params": iter([nn.Parameter(torch.ones(1, 1, 1, 1))]), "lr": 0.25},
        ],
        lr=0.1,
        adam_lr=0.01,
    )
    optimizer.add_param_group(
        {
            "params": [nn.Parameter(torch.ones(2, 2, 1, 1)), nn.Parameter(torch.ones(3))],
            "lr": 0.75,
            "adam_lr": 0.125,
        }
    )
    found = [(g["kind"], g["lr"], g["weight_decay"]) for g in optimizer.param_groups]
    assert found == [
        ("filters", 0.1, 0),
        ("others", 0.01, 0),
        ("others", 0.5, 0.1),
        ("filters", 0.25, 0),
        ("filters", 0.75, 0),
        ("others", 0.125, 0),
    ]
    assert optimizer.param_groups[0]["params"] == [filters]


def test_named_parameters():
    optimizer = Muon(small_network().named_parameters())
    names = [group["param_names"] for group in optimizer.param_groups]
    assert names[0] == ["0.weight", "3.weight", "4.weight", "5.weight", "6.weight"]
    assert "8.weight" in names[1] and "1.weight" in names[1]


def test_closure_computes_the_loss_with_gradients():
    weight = nn.Parameter(torch.ones(2, 2, 1, 1))
    optimizer = Muon([weight], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = weight.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 4
    assert optimizer.step(closure).item() < 4


def test_a_step_never_looks_at_values():
    """Tensors of the meta device have none; on a GPU, a look would empty its queue."""
    network = small_network().to("meta")
    optimizer = Muon(network.parameters(), weight_decay=0.1, normalize=True)
    for param in network.parameters():
        param.grad = torch.empty_like(param)
    optimizer.step()


@pytest.mark.parametrize(
    "options", [{"lr": -1}, {"adam_lr": float("nan")}, {"weight_decay": -0.1}, {"momentum": 1}]
)
def test_options_that_make_no_sense(options):
    name, value = next(iter(options.items()))
    with pytest.raises(ValueError, match=f"Muon got {name}={value}; it must be"):
        Muon([nn.Parameter(torch.ones(1))], **options)


def test_learns_digits():
    digits = load_digits()
    images, labels = digits.images / 16, digits.target
    lenet = CNNClassifier("lenet", optimizer=Muon, lr=0.1, max_epochs=4, random_state=0)
    lenet.set_params(optimizer__adam_lr=0.01, optimizer__normalize=True)
    assert lenet.fit(images[:1000], labels[:1000]).score(images[1000:], labels[1000:]) > 0.9
