"""The networks of visionpipe that a test can train, and what the layers of one give."""

SMALL_NETWORKS = ["airbench", "cifarnet", "lenet", "mlp", "resnet20", "small_cnn", "softmax"]


def shapes(network, images):
    """Output shape of each layer, by name."""
    found = {}
    for name, layer in network.named_children():
        images = layer(images)
        found[name] = tuple(images.shape[1:])
    return found
