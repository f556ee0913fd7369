"""GoogLeNet, the first Inception network."""

import math
from collections import OrderedDict

from torch import nn

from visionpipe.networks.image_size import check_image_size
from visionpipe.networks.inception import Branches, ChainWithHeads, fitting_window
from visionpipe.networks.initial_weights import he_normal
from visionpipe.networks.local_response_normalization import LocalResponseNormalization

# Table 1 of the paper: maps of the 1x1 convolution, of the 3x3 ("reduce" before it first), of the
# 5x5 (likewise), and of the 1x1 that follows the pooling.
_STAGES = {
    "3": {"a": (64, 96, 128, 16, 32, 32), "b": (128, 128, 192, 32, 96, 64)},
    "4": {
        "a": (192, 96, 208, 16, 48, 64),
        "b": (160, 112, 224, 24, 64, 64),
        "c": (128, 128, 256, 24, 64, 64),
        "d": (112, 144, 288, 32, 64, 64),
        "e": (256, 160, 320, 32, 128, 128),
    },
    "5": {"a": (256, 160, 320, 32, 128, 128), "b": (384, 192, 384, 48, 128, 128)},
}
_HEADS = {"inception4a": 512, "inception4d": 528}  # where a head is -> maps that it takes
_HEAD_WEIGHT = 0.3  # section 5 of the paper
_HEAD_DROPOUT = 0.7

# The smallest images for which a pooling still gives something.
_NEEDED = {f"pool{i}": (2 ** (i + 1) - 1,) * 2 for i in range(1, 5)}


class GoogLeNet(ChainWithHeads):
    """GoogLeNet (Szegedy et al. 2015): nine Inception modules, two auxiliary classifiers.

    ============= ================== =========== ==============
    layer         output (224x224)   activations parameters
    ============= ================== =========== ==============
    conv1, 7x7/2  64 x 112 x 112     802,816     3,136 c + 64
    pool1, 3x3/2  64 x 56 x 56       200,704
    norm1         64 x 56 x 56       200,704
    reduce2, 1x1  64 x 56 x 56       200,704     4,160
    conv2, 3x3    192 x 56 x 56      602,112     110,784
    norm2         192 x 56 x 56      602,112
    pool2, 3x3/2  192 x 28 x 28      150,528
    inception3a   256 x 28 x 28      200,704     163,696
    inception3b   480 x 28 x 28      376,320     388,736
    pool3, 3x3/2  480 x 14 x 14      94,080
    inception4a   512 x 14 x 14      100,352     376,176
    inception4b   512 x 14 x 14      100,352     449,160
    inception4c   512 x 14 x 14      100,352     510,104
    inception4d   528 x 14 x 14      103,488     605,376
    inception4e   832 x 14 x 14      163,072     868,352
    pool4, 3x3/2  832 x 7 x 7        40,768
    inception5a   832 x 7 x 7        40,768      1,043,456
    inception5b   1024 x 7 x 7       50,176      1,444,080
    pool          1024               1,024
    dense         n_classes          n_classes   1025 n_classes
    ============= ================== =========== ==============

    A module joins the maps of four branches: a 1x1 convolution, a 3x3 and a 5x5 that each follow a
    narrow 1x1, and 3x3 max pooling followed by a 1x1. ReLU follows each layer with weights but the
    last. In training, a head on inception4a and one on inception4d classify too, and their losses
    count with weight 0.3:

    ============= ================== =========================
    layer         output (224x224)   parameters on 4a, on 4d
    ============= ================== =========================
    pool, 5x5/3   512, 528 x 4 x 4
    conv, 1x1     128 x 4 x 4        65,664, 67,712
    dense1        1024               2,098,176
    dense2        n_classes          1025 n_classes
    ============= ================== =========================

    For RGB images of 1,000 classes 6,998,552 parameters, of images of any size; with the heads
    13,378,280 at 224x224. Other sizes change dense1 of the heads alone, whose 5x5 pooling takes as
    much as there is where maps are smaller.

    Poolings that halve take a last window that lacks a row or a column, as in Caffe; with this the
    sizes are those of the paper. What the paper leaves open: normalisation is Krizhevsky's over
    n = 5 maps with the constants of Caffe's GoogLeNet, alpha / n = 2e-5, beta = 0.75 and k = 1;
    weights start as Gaussians of variance 2 / n where an output has n inputs (He et al. 2015,
    eq. 10), those of the layers that give logits of deviation 0.01, biases as zero. Least image
    size: 31x31; images under 63x63 leave inception5b a single place.

    Parameters
    ----------
    n_channels : int
    image_size : (int, int)
        Height and width.
    n_classes : int
    auxiliary : bool
        Whether there are heads.
    dropout : float in [0, 1]
        Share of the 1024 means set to zero at each training step; 0.7 in the heads.

    Raises
    ------
    ImagesTooSmall
        A ValueError.

    References
    ----------
    C. Szegedy et al., "Going deeper with convolutions", CVPR, 2015.

    BVLC, "GoogleNet model" of Caffe, models/bvlc_googlenet, 2014.

    K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers: surpassing human-level
    performance on ImageNet classification", ICCV, 2015.

    Examples
    --------
    >>> from visionpipe.networks.googlenet import GoogLeNet
    >>> from visionpipe.networks.layer_table import layer_table
    >>> layer_table(GoogLeNet, (224, 224, 3), n_classes=1000).n_parameters
    13378280
    >>> layer_table(GoogLeNet, (224, 224, 3), n_classes=1000, auxiliary=False).n_parameters
    6998552
    """

    def __init__(self, *, n_channels, image_size, n_classes, auxiliary=True, dropout=0.4):
        size = check_image_size(self, image_size, _NEEDED["pool4"], _NEEDED)
        layers = OrderedDict(
            **_stem(n_channels),  # (b, 192, 28, 28)
            **_modules(192, "3"),  # (b, 480, 28, 28)
            pool3=_halving(),  # (b, 480, 14, 14)
            **_modules(480, "4"),  # (b, 832, 14, 14)
            pool4=_halving(),  # (b, 832, 7, 7)
            **_modules(832, "5"),  # (b, 1024, 7, 7)
            pool=nn.AdaptiveAvgPool2d(1),  # (b, 1024, 1, 1)
            flatten=nn.Flatten(),  # (b, 1024)
            dropout=nn.Dropout(dropout),
            dense=nn.Linear(1024, n_classes),  # (b, n_classes)
        )
        pooled = [(length + 1) // 2 // 8 for length in size]  # h and w of the maps of stage 4
        taken = _HEADS if auxiliary else {}
        heads = {name: _head(n_maps, pooled, n_classes) for name, n_maps in taken.items()}
        super().__init__(layers, heads, _HEAD_WEIGHT)
        self.apply(he_normal)
        for last in [self.dense, *(head.dense2 for head in self.heads.values())]:
            nn.init.normal_(last.weight, std=0.01)


def _stem(n_channels):
    """Layers (b, c, h, w) -> (b, 192, h / 8, w / 8), by name."""
    return OrderedDict(
        **_convolution("conv1", n_channels, 64, 7, stride=2),  # (b, 64, 112, 112)
        pool1=_halving(),  # (b, 64, 56, 56)
        norm1=_normalisation(),
        **_convolution("reduce2", 64, 64, 1),
        **_convolution("conv2", 64, 192, 3),  # (b, 192, 56, 56)
        norm2=_normalisation(),
        pool2=_halving(),  # (b, 192, 28, 28)
    )


def _modules(n_in, stage):
    """The Inception modules of a stage, by name; they keep height and width."""
    modules = OrderedDict()
    for letter, widths in _STAGES[stage].items():
        modules[f"inception{stage}{letter}"] = _module(n_in, *widths)
        n_in = sum(widths[i] for i in (0, 2, 4, 5))
    return modules


def _module(n_in, n_1x1, n_reduce_3x3, n_3x3, n_reduce_5x5, n_5x5, n_pool):
    """Maps (b, n_in, h, w) -> (b, n_1x1 + n_3x3 + n_5x5 + n_pool, h, w)."""
    pool = OrderedDict(pool=nn.MaxPool2d(3, stride=1, padding=1))
    return Branches(
        {
            "1x1": nn.Sequential(_convolution("conv", n_in, n_1x1, 1)),
            "3x3": nn.Sequential(
                _convolution("reduce", n_in, n_reduce_3x3, 1)
                | _convolution("conv", n_reduce_3x3, n_3x3, 3)
            ),
            "5x5": nn.Sequential(
                _convolution("reduce", n_in, n_reduce_5x5, 1)
                | _convolution("conv", n_reduce_5x5, n_5x5, 5)
            ),
            "pool": nn.Sequential(pool | _convolution("conv", n_in, n_pool, 1)),
        }
    )


def _convolution(name, n_in, n_out, side, stride=1):
    """By name, with its ReLU; padded so that only the stride makes maps smaller, rounded up."""
    layer = nn.Conv2d(n_in, n_out, side, stride, padding=side // 2)
    return OrderedDict({name: layer, f"{name}_relu": nn.ReLU()})


def _head(n_maps, size, n_classes):
    """An auxiliary classifier of maps (b, n_maps, *size)."""
    window = fitting_window(5, size)
    n_places = math.prod((n - side) // 3 + 1 for n, side in zip(size, window, strict=True))
    return nn.Sequential(
        OrderedDict(
            pool=nn.AvgPool2d(window, 3),  # (b, 512, 4, 4)
            **_convolution("conv", n_maps, 128, 1),  # (b, 128, 4, 4)
            flatten=nn.Flatten(),  # (b, 2048)
            dense1=nn.Linear(128 * n_places, 1024),  # (b, 1024)
            relu=nn.ReLU(),
            dropout=nn.Dropout(_HEAD_DROPOUT),
            dense2=nn.Linear(1024, n_classes),  # (b, n_classes)
        )
    )


def _halving():
    """Maximum over 3x3 in steps of 2; a last window may lack a row or a column."""
    return nn.MaxPool2d(3, 2, ceil_mode=True)


def _normalisation():
    """Over 5 channels: torch divides alpha by their number, as Caffe does."""
    return LocalResponseNormalization(5, alpha=1e-4, beta=0.75, k=1)
