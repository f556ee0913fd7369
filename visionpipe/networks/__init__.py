"""Network architectures: torch modules only, one family a file.

Every constructor takes ``n_channels``, ``image_size=(h, w)`` and ``n_classes`` by keyword, then its
own options, and builds a module that maps float32 images (b, n_channels, h, w) to logits
(b, n_classes). Nothing here knows scikit-learn, files or training.
`visionpipe.networks.layer_table` lists what their layers give for an image.
"""

from importlib import import_module

__all__ = ["create", "names"]

# What `create` and `CNNClassifier(module=...)` call a network -> its file and its class. A file is
# imported when its network is first asked for.
_NETWORKS = {
    "airbench": ("airbench", "Airbench"),
    "cifarnet": ("cifarnet", "CifarNet"),
    "lenet": ("lenet", "LeNet5"),
    "mlp": ("mlp", "MLP"),
    "small_cnn": ("small_cnn", "SmallCNN"),
    "softmax": ("softmax", "SoftmaxRegression"),
}


def names():
    """Names that `create` knows.

    Returns
    -------
    list of str, sorted

    Examples
    --------
    >>> from visionpipe import networks
    >>> networks.names()
    ['airbench', 'cifarnet', 'lenet', 'mlp', 'small_cnn', 'softmax']
    """
    return sorted(_NETWORKS)


def create(name, *, n_channels, image_size, n_classes, **options):
    """Build a network by name, with fresh weights from torch's global random generator.

    Parameters
    ----------
    name : str
        One of `names()`.
    n_channels : int
        1 (grey) or 3 (RGB).
    image_size : (int, int)
        Height and width of the images, in pixels.
    n_classes : int
        Number of logits.
    **options
        The network's own, see its class.

    Returns
    -------
    torch.nn.Module
        Maps float32 images (b, n_channels, h, w) to logits (b, n_classes).

    Raises
    ------
    ValueError
        If the name is unknown, or the images are too small for the network.

    Examples
    --------
    >>> from visionpipe import networks
    >>> lenet = networks.create("lenet", n_channels=1, image_size=(28, 28), n_classes=10)
    >>> sum(parameter.numel() for parameter in lenet.parameters())
    61706
    """
    if name not in _NETWORKS:
        raise ValueError(f"no network is named {name!r}; known are {', '.join(names())}")
    file, class_name = _NETWORKS[name]
    network = getattr(import_module(f"{__name__}.{file}"), class_name)
    return network(n_channels=n_channels, image_size=image_size, n_classes=n_classes, **options)
