"""Network architectures: torch modules only, one family a file.

Every constructor takes ``n_channels``, ``image_size=(h, w)`` and ``n_classes`` by keyword, then its
own options, and builds a module that maps float32 images (b, n_channels, h, w) to logits
(b, n_classes). Nothing here knows scikit-learn, files or training.
`visionpipe.networks.layer_table` lists what their layers give for an image.
"""

from importlib import import_module

__all__ = ["create", "names"]

# What `create` and `CNNClassifier(module=...)` call a network -> its file, its class, and options
# of the class. A file is imported when its network is first asked for.
_NETWORKS = {
    "airbench": ("airbench", "Airbench", {}),
    "alexnet": ("alexnet", "AlexNet", {}),
    "alexnet_ungrouped": ("alexnet", "AlexNet", {"groups": 1}),
    "capsnet": ("capsnet", "CapsNet", {}),
    "cifarnet": ("cifarnet", "CifarNet", {}),
    "fmp": ("fractional_max_pooling", "FMPNet", {}),
    "fmp_cifar": (
        "fractional_max_pooling",
        "FMPNet",
        {"width": 64, "pooling_ratio": 2 ** (1 / 3), "n_blocks": 12},
    ),
    "googlenet": ("googlenet", "GoogLeNet", {}),
    "inception_v3": ("inception_v3", "InceptionV3", {}),
    "lenet": ("lenet", "LeNet5", {}),
    "lenet5_1998": ("lenet5_1998", "LeNet5Of1998", {}),
    "maxout": ("maxout", "MaxoutNet", {}),
    "maxout_mnist": ("maxout", "MaxoutNet", {"configuration": "mnist"}),
    "mlp": ("mlp", "MLP", {}),
    "nin": ("nin", "NetworkInNetwork", {}),
    **{f"resnet{d}": ("resnet", "CifarResNet", {"depth": d}) for d in (20, 32, 44, 56, 110)},
    **{f"resnet{d}": ("resnet", "ResNet", {"depth": d}) for d in (18, 34, 50, 101, 152)},
    "se_resnet50": ("resnet", "ResNet", {"depth": 50, "squeeze": 16}),
    "small_cnn": ("small_cnn", "SmallCNN", {}),
    "softmax": ("softmax", "SoftmaxRegression", {}),
    "vgg11": ("vgg", "VGG", {"configuration": "A"}),
    "vgg11_lrn": ("vgg", "VGG", {"configuration": "A-LRN"}),
    "vgg13": ("vgg", "VGG", {"configuration": "B"}),
    "vgg16": ("vgg", "VGG", {"configuration": "D"}),
    "vgg16c": ("vgg", "VGG", {"configuration": "C"}),
    "vgg19": ("vgg", "VGG", {"configuration": "E"}),
    "zfnet": ("zfnet", "ZFNet", {}),
}


def names():
    """Names that `create` knows.

    Returns
    -------
    list of str, sorted

    Examples
    --------
    >>> from visionpipe import networks
    >>> [name for name in networks.names() if name.startswith("vgg")]
    ['vgg11', 'vgg11_lrn', 'vgg13', 'vgg16', 'vgg16c', 'vgg19']
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
    file, class_name, own = _NETWORKS[name]
    network = getattr(import_module(f"{__name__}.{file}"), class_name)
    return network(
        n_channels=n_channels, image_size=image_size, n_classes=n_classes, **{**own, **options}
    )
