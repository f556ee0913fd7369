"""Capsules: routing and losses against the paper written out in loops."""

import numpy as np
import pytest
import torch
from small_networks import assert_gradients, n_parameters
from torch import nn

from visionpipe.networks.capsnet import CapsNet, ClassCapsules, LogLength, PrimaryCapsules, squash
from visionpipe.networks.layer_table import layer_table


def make(n_channels=1, image_size=(17, 17), n_classes=3, **options):
    torch.manual_seed(0)
    return CapsNet(n_channels=n_channels, image_size=image_size, n_classes=n_classes, **options)


def cross_entropies(logits, labels):
    """A criterion that gives a loss for each image."""
    return nn.functional.cross_entropy(logits, labels, reduction="none")


@pytest.mark.parametrize(
    ("n_channels", "image_size", "n_classes", "expected", "decoder"),
    [
        (1, (28, 28), 10, 6_804_224, 1_411_344),
        (3, (28, 28), 10, 6_804_224 + 2 * 20_736, 1_411_344 + 2 * 784 * 1_025),
        (1, (28, 28), 7, 6_804_224 - 3 * 147_456, 1_411_344 - 3 * 8_192),
        (1, (17, 36), 10, 6_804_224 - (36 - 10) * 40_960, 1_411_344 + (17 * 36 - 784) * 1_025),
    ],
    ids=["mnist", "colour", "seven-classes", "not-square"],
)
def test_parameter_count(n_channels, image_size, n_classes, expected, decoder):
    with torch.device("meta"):
        network = make(n_channels, image_size, n_classes)
        assert n_parameters(network) == expected + decoder
        assert n_parameters(network.decoder) == decoder
        bare = make(n_channels, image_size, n_classes, reconstruction=False)
    assert n_parameters(bare) == expected


def test_layer_table():
    table = layer_table(CapsNet, (28, 28, 1))
    assert {layer.name: (layer.shape, layer.n_parameters) for layer in table} == {
        "conv1": ((20, 20, 256), 20_992),
        "relu1": ((20, 20, 256), 0),
        "conv2": ((6, 6, 256), 5_308_672),
        "primary_capsules": ((1152, 8), 0),
        "class_capsules": ((10, 16), 1_474_560),
        "log_length": ((10,), 0),
        "decoder.dense1": (None, 82_432),
        "decoder.dense2": (None, 525_312),
        "decoder.dense3": (None, 803_600),
    }


def slow_squash(s):
    """Equation 1, one vector at a time."""
    found = np.zeros_like(s)
    for place in np.ndindex(s.shape[:-1]):
        n = np.sqrt((s[place] ** 2).sum())
        found[place] = n**2 / (1 + n**2) * s[place] / n
    return found


def test_squash():
    s = np.random.default_rng(0).normal(size=(3, 4, 5)) * np.array([0.01, 1, 100])[:, None, None]
    np.testing.assert_allclose(squash(torch.from_numpy(s)), slow_squash(s), rtol=1e-12)


def test_squash_and_logarithm_of_nothing():
    s = torch.zeros(2, 3, 4, requires_grad=True)
    logits = LogLength()(squash(s))
    assert logits.isfinite().all()
    (logits.sum() + logits.exp().sum() + squash(s).sum()).backward()
    assert s.grad.isfinite().all()


def test_primary_capsules_are_eight_neighbouring_maps_at_a_place():
    maps = torch.randn(2, 24, 2, 3)
    expected = np.empty((2, 18, 8), dtype=np.float32)
    n = 0
    for kind in range(3):
        for y in range(2):
            for x in range(3):
                expected[:, n] = maps[:, 8 * kind : 8 * kind + 8, y, x]
                n += 1
    np.testing.assert_allclose(PrimaryCapsules()(maps), slow_squash(expected), rtol=1e-5)


def procedure_1(u, weight, n_routings):
    """Routing as the paper has it: all predictions, in loops over images, capsules and classes."""
    n_classes, n_capsules, *_ = weight.shape
    outputs = []
    for image in u:
        predictions = [
            [u_i @ weight[j, i] for j in range(n_classes)] for i, u_i in enumerate(image)
        ]
        b = torch.zeros(n_capsules, n_classes, dtype=u.dtype)
        for _ in range(n_routings):
            c = [b_i.softmax(0) for b_i in b]
            v = []
            for j in range(n_classes):
                s = sum(c[i][j] * predictions[i][j] for i in range(n_capsules))
                n = s.norm()
                v.append(n**2 / (1 + n**2) * s / n)
            b = b + torch.stack(
                [
                    torch.stack([p @ v_j for p, v_j in zip(p_i, v, strict=True)])
                    for p_i in predictions
                ]
            )
        outputs.append(torch.stack(v))
    return torch.stack(outputs)


@pytest.mark.parametrize("n_routings", [1, 2, 3, 5])
def test_routing_and_its_gradients(n_routings):
    """Gradients too, which flow through the couplings of every round."""
    torch.manual_seed(0)
    layer = ClassCapsules(6, 4, n_routings).double()
    layer.weight.data.mul_(10)  # couplings far from equal
    u = torch.randn(3, 6, 8, dtype=torch.float64, requires_grad=True)
    direction = torch.randn(3, 4, 16, dtype=torch.float64)
    found = layer(u)
    expected = procedure_1(u, layer.weight, n_routings)
    torch.testing.assert_close(found, expected)
    gradients = [
        torch.autograd.grad((v * direction).sum(), [u, layer.weight]) for v in (found, expected)
    ]
    torch.testing.assert_close(*gradients)


def test_no_round_of_routing():
    with pytest.raises(ValueError, match=r"CapsNet\(n_routings=0\): n_routings must be 1 or more"):
        make(n_routings=0)


def test_softmax_of_logits_are_lengths_over_their_sum():
    network = make()
    images = torch.randn(4, 1, 17, 17)
    lengths = network.capsules(images).norm(dim=2)
    assert (lengths > 0).all() and (lengths < 1).all()
    torch.testing.assert_close(
        network(images).softmax(1), lengths / lengths.sum(1, keepdim=True), rtol=1e-5, atol=1e-6
    )


def slow_margin_loss(lengths, label):
    """Equation 4."""
    loss = 0
    for k, length in enumerate(lengths):
        there = float(k == label)
        loss += there * max(0, 0.9 - length) ** 2 + 0.5 * (1 - there) * max(0, length - 0.1) ** 2
    return loss


@pytest.mark.parametrize("reconstruction", [False, True])
def test_training_loss_is_the_paper_s(reconstruction):
    network = make(2, (17, 18), reconstruction=reconstruction)
    scales = torch.tensor([0.3, 5, 50])  # lengths on both sides of the margins
    network.class_capsules.weight.data.mul_(scales.view(3, 1, 1, 1))
    images, labels = torch.randn(6, 2, 17, 18), torch.tensor([0, 1, 2, 1, 0, 2])
    losses, logits = network.training_loss(images, labels, cross_entropies)
    capsules = network.capsules(images)
    lengths = capsules.norm(dim=2).tolist()
    expected = [slow_margin_loss(n, label) for n, label in zip(lengths, labels, strict=True)]
    assert min(map(min, lengths)) < 0.1 and max(map(max, lengths)) > 0.9
    if reconstruction:
        drawn = network.reconstruct(capsules, labels).detach().double()
        for i, image in enumerate(images.double()):
            target = (image - image.min()) / (image.max() - image.min())
            expected[i] += 0.0005 * ((drawn[i] - target) ** 2).sum().item()
    np.testing.assert_allclose(losses.detach(), expected, rtol=1e-4)
    torch.testing.assert_close(logits, network(images))
    loss, _ = network.training_loss(images, labels, nn.functional.cross_entropy)
    torch.testing.assert_close(loss, losses.mean())


def test_reconstruction_sees_the_label_s_capsule_alone():
    network = make(3, (17, 20), n_classes=4)
    capsules, labels = torch.randn(2, 4, 16), torch.tensor([3, 1])
    drawn = network.reconstruct(capsules, labels)
    assert drawn.shape == (2, 3, 17, 20) and (drawn > 0).all() and (drawn < 1).all()
    others = capsules.clone()
    others[0, :3], others[1, 2:] = 5, -5
    assert torch.equal(network.reconstruct(others, labels), drawn)
    others[0, 3] += 1
    changed = network.reconstruct(others, labels) != drawn
    assert changed[0].any() and not changed[1].any()


def test_brightness_and_contrast_do_not_change_what_is_to_be_reconstructed():
    """Of a capsule network that sees nothing, for which the images are only the target."""
    network = make()
    nn.init.zeros_(network.conv1.weight)
    images, labels = torch.rand(3, 1, 17, 17), torch.arange(3)
    expected, _ = network.training_loss(images, labels, cross_entropies)
    factors = torch.tensor([0.1, 2, 30]).view(3, 1, 1, 1)
    found, _ = network.training_loss(images * factors - 7, labels, cross_entropies)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=0)


def test_blank_images():
    network = make()
    for name, parameter in network.named_parameters():
        if name.startswith("conv") and name.endswith("bias"):
            nn.init.zeros_(parameter)
    images, labels = torch.zeros(2, 1, 17, 17), torch.tensor([0, 2])  # capsules of length zero
    loss, logits = network.training_loss(images, labels, nn.functional.cross_entropy)
    loss.backward()
    assert logits.isfinite().all() and loss.isfinite()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


def test_cross_entropy_of_the_logits_trains_too():
    network = make(reconstruction=False)
    nn.functional.cross_entropy(network(torch.randn(2, 1, 17, 17)), torch.tensor([1, 0])).backward()
    assert_gradients(network)


def test_initial_weights():
    weight = make(image_size=(28, 28), n_classes=10).class_capsules.weight
    assert weight.std().item() == pytest.approx(0.1, rel=0.01)
    assert abs(weight.mean().item()) < 1e-3


def test_the_decoder_does_not_change_the_logits():
    images = torch.randn(2, 1, 17, 17)
    assert torch.equal(make()(images), make(reconstruction=False)(images))


def test_bfloat16_leaves_the_losses_in_float32():
    network = make(3)
    images, labels = torch.randn(2, 3, 17, 17), torch.tensor([2, 0])
    expected, _ = network.training_loss(images, labels, cross_entropies)
    with torch.autocast("cpu", torch.bfloat16):
        losses, logits = network.training_loss(images, labels, cross_entropies)
    assert losses.dtype == logits.dtype == torch.float32
    torch.testing.assert_close(losses, expected, rtol=0.02, atol=0.01)
