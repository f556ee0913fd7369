"""What tests ask of any network, and the networks of visionpipe that a test can train."""

import torch
from torch import nn

SMALL_NETWORKS = ["airbench", "cifarnet", "lenet", "mlp", "resnet20", "small_cnn", "softmax"]


def n_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def shapes(network, images):
    """Output shape of each layer, by name."""
    found = {}
    for name, layer in network.named_children():
        images = layer(images)
        found[name] = tuple(images.shape[1:])
    return found


def training_loss(network, images, labels, criterion=nn.functional.cross_entropy):
    """Loss and logits, the loss being the network's own if it has one."""
    if hasattr(network, "training_loss"):
        return network.training_loss(images, labels, criterion)
    logits = network(images)
    return criterion(logits, labels), logits


def losses_of_training(network, images, labels, lr, n_steps):
    """Loss before each of some steps of Adam on one batch."""
    optimizer = torch.optim.Adam(network.parameters(), lr=lr)
    losses = []
    for _ in range(n_steps):
        loss, _ = training_loss(network, images, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def assert_gradients(network):
    """Each parameter has a finite gradient that is not zero everywhere."""
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all() and parameter.grad.any(), name


def with_random_biases(network, largest=0.1):
    """In eval mode, with biases that a mistake would show in."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.uniform_(-largest, largest)
    return network.eval()


def with_random_normalisation(network):
    """In eval mode, with statistics, scales and biases that a mistake would show in."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                for values in (module.weight, module.running_var):
                    values.uniform_(0.5, 1.5)
                for values in (module.bias, module.running_mean):
                    values.uniform_(-0.5, 0.5)
    return network.eval()
