"""Inception v3, the Inception network with batch normalisation and factorised convolutions."""

from collections import OrderedDict

from torch import nn

from visionpipe.networks.image_size import check_image_size
from visionpipe.networks.inception import Branches, ChainWithHeads, fitting_window
from visionpipe.networks.initial_weights import he_normal

_HEAD_WEIGHT = 0.4  # slim's train_image_classifier.py

# The smallest images for which a layer without padding still gives something.
_NEEDED = {
    "conv1": (3, 3),
    "conv2": (7, 7),
    "pool1": (11, 11),
    "conv5": (19, 19),
    "pool2": (27, 27),
    "mixed6a": (43, 43),
    "mixed7a": (75, 75),
}


class InceptionV3(ChainWithHeads):
    """Inception v3 (Szegedy, Vanhoucke, Ioffe, Shlens & Wojna 2016), as its authors published it.

    ============= ================== =========== =======================================
    layer         output (299x299)   parameters  branches
    ============= ================== =========== =======================================
    conv1, 3x3/2  32 x 149 x 149     288 c + 64
    conv2, 3x3    32 x 147 x 147     9,280
    conv3, 3x3    64 x 147 x 147     18,560
    pool1, 3x3/2  64 x 73 x 73
    conv4, 1x1    80 x 73 x 73       5,280
    conv5, 3x3    192 x 71 x 71      138,624
    pool2, 3x3/2  192 x 35 x 35
    mixed5b       256 x 35 x 35      255,904     1x1; 5x5; 3x3 twice; mean, 1x1
    mixed5c       288 x 35 x 35      277,472     likewise
    mixed5d       288 x 35 x 35      285,152     likewise
    mixed6a       768 x 17 x 17      1,153,280   3x3/2; 3x3, 3x3/2; maximum
    mixed6b       768 x 17 x 17      1,297,408   1x1; 1x7, 7x1; these twice; mean, 1x1
    mixed6c       768 x 17 x 17      1,691,008   likewise
    mixed6d       768 x 17 x 17      1,691,008   likewise
    mixed6e       768 x 17 x 17      2,141,952   likewise
    mixed7a       1280 x 8 x 8       1,698,304   3x3/2; 1x7, 7x1, 3x3/2; maximum
    mixed7b       2048 x 8 x 8       5,044,608   1x1; 1x3 | 3x1; 3x3, 1x3 | 3x1; mean, 1x1
    mixed7c       2048 x 8 x 8       6,076,800   likewise
    pool          2048                           mean of a map
    dense         n_classes          2049 n_classes
    ============= ================== =========== =======================================

    A module joins the maps of its branches; most branches begin with a 1x1 convolution that the
    table leaves out, and "1x3 | 3x1" is both side by side. No convolution has a bias, each is
    followed by batch normalisation and ReLU. In training, a head on mixed6e classifies too:

    ============= ================== ==============
    layer         output (299x299)   parameters
    ============= ================== ==============
    pool, 5x5/3   768 x 5 x 5
    conv1, 1x1    128 x 5 x 5        98,560
    conv2, 5x5    768 x 1 x 1        2,459,136
    mean          768
    dense         n_classes          769 n_classes
    ============= ================== ==============

    For RGB images of 1,000 classes 23,834,568 parameters, of images of any size; with the head
    27,161,264 at 299x299. Smaller maps than its windows make the head take as much as there is,
    which changes its conv2 alone, as in TensorFlow.

    The modules are those of the authors' TensorFlow code, known also from torchvision; the paper's
    table 1 and figures draw some of them otherwise. From that code are the loss weight of the head,
    0.4, the constant 0.001 that normalisation adds to variances, means over 3x3 that leave the
    padding out (torchvision's count it as zeros), and the initial weights: Gaussians of variance
    2 / n where an output has n inputs (He et al. 2015, eq. 10), in the head of deviation 0.01 for
    conv2 and 0.001 for dense. There they are truncated, here not. As in torchvision, normalisation
    also scales, and takes a tenth of each batch into its running statistics, where TensorFlow's
    takes 0.0003 for trainings of many epochs.

    Least image size: 75x75, with and without the head. Images under 107x107 leave mixed7c a single
    place, those up to 346x346 the head's conv2: normalisation cannot learn from that in a batch of
    one image.

    Parameters
    ----------
    n_channels : int
    image_size : (int, int)
        Height and width.
    n_classes : int
    auxiliary : bool
        Whether there is a head.
    dropout : float in [0, 1]
        Share of the 2048 means set to zero at each training step. TensorFlow's code takes 0.2,
        torchvision's 0.5.

    Raises
    ------
    ImagesTooSmall
        A ValueError.

    References
    ----------
    C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens and Z. Wojna, "Rethinking the Inception
    architecture for computer vision", CVPR, 2016.

    TensorFlow, models/research/slim, nets/inception_v3.py and train_image_classifier.py, 2016.

    K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers: surpassing human-level
    performance on ImageNet classification", ICCV, 2015.

    Examples
    --------
    >>> from visionpipe.networks.inception_v3 import InceptionV3
    >>> from visionpipe.networks.layer_table import layer_table
    >>> layer_table(InceptionV3, (299, 299, 3), n_classes=1000).n_parameters
    27161264
    >>> layer_table(InceptionV3, (299, 299, 3), n_classes=1000, auxiliary=False).n_parameters
    23834568
    """

    def __init__(self, *, n_channels, image_size, n_classes, auxiliary=True, dropout=0.5):
        size = check_image_size(self, image_size, _NEEDED["mixed7a"], _NEEDED)
        layers = OrderedDict(
            **_stem(n_channels),  # (b, 192, 35, 35)
            mixed5b=_mixed5(192, 32),  # (b, 256, 35, 35)
            mixed5c=_mixed5(256, 64),  # (b, 288, 35, 35)
            mixed5d=_mixed5(288, 64),
            mixed6a=_mixed6a(288),  # (b, 768, 17, 17)
            mixed6b=_mixed6(768, 128),
            mixed6c=_mixed6(768, 160),
            mixed6d=_mixed6(768, 160),
            mixed6e=_mixed6(768, 192),
            mixed7a=_mixed7a(768),  # (b, 1280, 8, 8)
            mixed7b=_mixed7(1280),  # (b, 2048, 8, 8)
            mixed7c=_mixed7(2048),
            pool=nn.AdaptiveAvgPool2d(1),  # (b, 2048, 1, 1)
            flatten=nn.Flatten(),  # (b, 2048)
            dropout=nn.Dropout(dropout),
            dense=nn.Linear(2048, n_classes),  # (b, n_classes)
        )
        headed = [_length_in_mixed6(length) for length in size]
        heads = {"mixed6e": _head(headed, n_classes)} if auxiliary else {}
        super().__init__(layers, heads, _HEAD_WEIGHT)
        self.apply(he_normal)
        for head in self.heads.values():
            nn.init.normal_(head.conv2.conv.weight, std=0.01)
            nn.init.normal_(head.dense.weight, std=0.001)


def _stem(n_channels):
    """Layers (b, c, h, w) -> (b, 192, h / 8 - 2, w / 8 - 2), by name; few of them pad."""
    return OrderedDict(
        conv1=_convolution(n_channels, 32, 3, stride=2),  # (b, 32, 149, 149)
        conv2=_convolution(32, 32, 3, padding=0),  # (b, 32, 147, 147)
        conv3=_convolution(32, 64, 3),  # (b, 64, 147, 147)
        pool1=nn.MaxPool2d(3, 2),  # (b, 64, 73, 73)
        conv4=_convolution(64, 80, 1),  # (b, 80, 73, 73)
        conv5=_convolution(80, 192, 3, padding=0),  # (b, 192, 71, 71)
        pool2=nn.MaxPool2d(3, 2),  # (b, 192, 35, 35)
    )


def _length_in_mixed6(length):
    """Height or width of the maps of mixed6a to mixed6e, of images of `length` pixels."""
    # What conv2 and conv5 cut off before pool1 and pool2 halve; conv1 and mixed6a halve as it is.
    for cut in (0, 2, 2, 0):
        length = (length - cut - 1) // 2
    return length


def _mixed5(n_in, n_pool):
    """Maps (b, n_in, h, w) -> (b, 224 + n_pool, h, w)."""
    return Branches(
        {
            "1x1": _convolutions(n_in, (64, 1)),
            "5x5": _convolutions(n_in, (48, 1), (64, 5)),
            "double3x3": _convolutions(n_in, (64, 1), (96, 3), (96, 3)),
            "pool": _pooling(n_in, n_pool),
        }
    )


def _mixed6a(n_in):
    """Maps (b, n_in, h, w) -> (b, 480 + n_in, h / 2, w / 2)."""
    return Branches(
        {
            "3x3": _convolutions(n_in, (384, 3, 2)),
            "double3x3": _convolutions(n_in, (64, 1), (96, 3), (96, 3, 2)),
            "pool": nn.MaxPool2d(3, 2),
        }
    )


def _mixed6(n_in, n):
    """Maps (b, n_in, h, w) -> (b, 768, h, w), by way of `n` in the narrow convolutions."""
    row, column = (1, 7), (7, 1)
    twice = ((n, 1), (n, column), (n, row), (n, column), (192, row))
    return Branches(
        {
            "1x1": _convolutions(n_in, (192, 1)),
            "7x7": _convolutions(n_in, (n, 1), (n, row), (192, column)),
            "double7x7": _convolutions(n_in, *twice),
            "pool": _pooling(n_in, 192),
        }
    )


def _mixed7a(n_in):
    """Maps (b, n_in, h, w) -> (b, 512 + n_in, h / 2, w / 2)."""
    return Branches(
        {
            "3x3": _convolutions(n_in, (192, 1), (320, 3, 2)),
            "7x7": _convolutions(n_in, (192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3, 2)),
            "pool": nn.MaxPool2d(3, 2),
        }
    )


def _mixed7(n_in):
    """Maps (b, n_in, h, w) -> (b, 2048, h, w)."""
    return Branches(
        {
            "1x1": _convolutions(n_in, (320, 1)),
            "3x3": _fanned(n_in, (384, 1)),
            "double3x3": _fanned(n_in, (448, 1), (384, 3)),
            "pool": _pooling(n_in, 192),
        }
    )


def _fanned(n_in, *steps):
    """As `_convolutions`, then a 1x3 and a 3x1 side by side that make two of each map."""
    layers, n_maps = _convolutions(n_in, *steps), steps[-1][0]
    row, column = _convolution(n_maps, n_maps, (1, 3)), _convolution(n_maps, n_maps, (3, 1))
    layers.add_module("fan", Branches({"1x3": row, "3x1": column}))  # (b, 2 n_maps, h, w)
    return layers


def _pooling(n_in, n_out):
    """Mean over 3x3, as far as there are pixels, and a 1x1 convolution."""
    pool = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    return nn.Sequential(OrderedDict(pool=pool, conv=_convolution(n_in, n_out, 1)))


def _convolutions(n_in, *steps):
    """One after the other, each given as what `_convolution` takes after `n_in`."""
    layers = OrderedDict()
    for i, (n_out, *others) in enumerate(steps, start=1):
        layers[f"conv{i}"] = _convolution(n_in, n_out, *others)
        n_in = n_out
    return nn.Sequential(layers)


def _convolution(n_in, n_out, kernel_size, stride=1, padding=None):
    """With normalisation and ReLU; keeps height and width unless strided or told otherwise."""
    if padding is None:
        padding = "same" if stride == 1 else 0
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(n_in, n_out, kernel_size, stride, padding, bias=False),
            norm=nn.BatchNorm2d(n_out, eps=1e-3),
            relu=nn.ReLU(),
        )
    )


def _head(size, n_classes):
    """The auxiliary classifier of maps (b, 768, *size)."""
    pool = fitting_window(5, size)
    pooled = [(length - side) // 3 + 1 for length, side in zip(size, pool, strict=True)]
    return nn.Sequential(
        OrderedDict(
            pool=nn.AvgPool2d(pool, 3),  # (b, 768, 5, 5)
            conv1=_convolution(768, 128, 1),  # (b, 128, 5, 5)
            conv2=_convolution(128, 768, fitting_window(5, pooled), padding=0),  # (b, 768, 1, 1)
            mean=nn.AdaptiveAvgPool2d(1),  # (b, 768, 1, 1)
            flatten=nn.Flatten(),  # (b, 768)
            dense=nn.Linear(768, n_classes),  # (b, n_classes)
        )
    )
