"""Graham's networks of small convolutions and fractional max pooling."""

from collections import OrderedDict

from torch import nn

from visionpipe.networks.chain import Chain
from visionpipe.networks.fractional_max_pool import FractionalMaxPool2d
from visionpipe.networks.image_size import check_image_size, margins

_SLOPE = 1 / 3  # of the leaky ReLU, below 0


class FMPNet(Chain):
    """(32nC2-FMP√2)_6-C2-C1: fractional max pooling in place of halving (Graham 2014).

    ============= ================= =========== ================
    layer         output            activations parameters
    ============= ================= =========== ================
    pad           c x 36 x 36
    conv1, 2x2    32 x 35 x 35      39,200      128 c + 32
    pool1         32 x 25 x 25      20,000
    conv2, 2x2    64 x 24 x 24      36,864      8,256
    pool2         64 x 17 x 17      18,496
    conv3, 2x2    96 x 16 x 16      24,576      24,672
    pool3         96 x 11 x 11      11,616
    conv4, 2x2    128 x 10 x 10     12,800      49,280
    pool4         128 x 7 x 7       6,272
    conv5, 2x2    160 x 6 x 6       5,760       82,080
    pool5         160 x 4 x 4       2,560
    conv6, 2x2    192 x 3 x 3       1,728       123,072
    pool6         192 x 2 x 2       768
    conv7, 2x2    224 x 1 x 1       224         172,256
    conv8, 1x1    256 x 1 x 1       256         57,600
    dense         n_classes         n_classes   257 n_classes
    ============= ================= =========== ================

    519,946 parameters for grey images of 26x26 to 36x36 pixels, such as MNIST's, and 10 classes.
    That is the paper's network for MNIST; ``width=64, pooling_ratio=2 ** (1 / 3), n_blocks=12`` is
    that for CIFAR-100, with a field of 94x94 pixels and 12,770,212 parameters for RGB images and
    100 classes.

    The field is computed from the last layers back: what a pooling gives has come from
    pooling_ratio times as many pixels, rounded, and a 2x2 convolution takes away one more. Images
    are padded with zeros on all sides to the field, which is square. Leaky ReLU, of slope 1/3,
    follows each convolution; the pooling before it gives the same with less to do. Dropout after
    the n-th of the convolutions, and its pooling, rises with n: none after the first, all of
    `dropout` after the last.

    Weights start as Gaussians of variance 2 / (1 + slope²) / n where an output has n inputs (He et
    al. 2015, equation 15), those of the dense layer of deviation 0.01, biases as zero.

    The network is random in evaluation mode too, see
    `visionpipe.networks.fractional_max_pool.FractionalMaxPool2d`; the paper takes the mean
    probabilities of twelve passes, as ``CNNClassifier("fmp", n_tests=12)`` does.

    Least image size: 1x1.

    Parameters
    ----------
    n_channels : int
    image_size : (int, int)
        Height and width.
    n_classes : int
    width : int
        Maps of conv1; the n-th convolution has n times as many.
    pooling_ratio : float
        How many times as long an axis is before a pooling as after, at least 1.25, for 3 pixels to
        become 2, and below 2.
    n_blocks : int or None
        Convolutions with a pooling. None takes the fewest whose field holds the images, 1 or more.
    pseudorandom : bool
    overlapping : {True, False, "squares"}
        How the pooling draws its regions, see `FractionalMaxPool2d`.
    dropout : float in [0, 1)
        Share of the values after the last convolution set to zero at each training step. Graham's
        larger networks go to 0.5. On 5,000 images of MNIST none was better after 5 epochs: 0.8 %
        errors in place of 2.4 % on 3,000 other training images (six passes, one seed).

    Raises
    ------
    ValueError
        If images are larger than the field of so many blocks, or smaller than a pixel, or an
        option is not among those above.

    References
    ----------
    B. Graham, "Fractional max-pooling", arXiv:1412.6071, 2014.

    K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers: surpassing human-level
    performance on ImageNet classification", ICCV, 2015.

    Examples
    --------
    >>> from visionpipe.networks.fractional_max_pooling import FMPNet
    >>> from visionpipe.networks.layer_table import layer_table
    >>> layer_table(FMPNet, (28, 28, 1)).n_parameters
    519946
    >>> cifar = {"width": 64, "pooling_ratio": 2 ** (1 / 3), "n_blocks": 12}
    >>> layer_table(FMPNet, (32, 32, 3), n_classes=100, **cifar).n_parameters
    12770212
    """

    def __init__(
        self,
        *,
        n_channels,
        image_size,
        n_classes,
        width=32,
        pooling_ratio=2**0.5,
        n_blocks=None,
        pseudorandom=True,
        overlapping=True,
        dropout=0.0,
    ):
        size = check_image_size(self, image_size, (1, 1))
        _check(pooling_ratio, n_blocks)
        field, sizes = _sizes(max(size), pooling_ratio, n_blocks)
        top_bottom, left_right = (margins(length, field) for length in size)
        layers = OrderedDict(pad=nn.ZeroPad2d(left_right + top_bottom))  # (b, c, 36, 36)
        n_maps, n_hidden = n_channels, len(sizes) + 2
        for n in range(1, n_hidden + 1):
            side = 1 if n == n_hidden else 2
            layers[f"conv{n}"] = _convolution(n_maps, n * width, side)  # (b, 32 n, s - 1, s - 1)
            if n <= len(sizes):
                layers[f"pool{n}"] = FractionalMaxPool2d(  # (b, 32 n, sizes[n], sizes[n])
                    output_size=sizes[n - 1], pseudorandom=pseudorandom, overlapping=overlapping
                )
            layers[f"relu{n}"] = nn.LeakyReLU(_SLOPE)
            if dropout and n > 1:
                layers[f"dropout{n}"] = nn.Dropout(dropout * (n - 1) / (n_hidden - 1))
            n_maps = n * width
        layers["flatten"] = nn.Flatten()  # (b, 256)
        layers["dense"] = nn.Linear(n_maps, n_classes)  # (b, n_classes)
        super().__init__(layers)
        nn.init.normal_(self.dense.weight, std=0.01)
        nn.init.zeros_(self.dense.bias)


def _convolution(n_in, n_out, side):
    layer = nn.Conv2d(n_in, n_out, side)
    nn.init.kaiming_normal_(layer.weight, a=_SLOPE, nonlinearity="leaky_relu")
    nn.init.zeros_(layer.bias)
    return layer


def _sizes(length, pooling_ratio, n_blocks):
    """Pixels a side of the field that holds images of so many, and after each pooling."""
    field, pooled = _size_before(2, pooling_ratio), [2]  # the last 2x2 convolution makes 2 pixels 1
    while len(pooled) < n_blocks if n_blocks else field < length:
        pooled.insert(0, field)
        field = _size_before(field, pooling_ratio)
    if length > field:
        raise ValueError(
            f"FMPNet(n_blocks={n_blocks}, pooling_ratio={pooling_ratio:.4g}) has a field of "
            f"{field}x{field} pixels and got images of {length} pixels along the longer side; put "
            f"Resize({field}) before it, or set n_blocks=None"
        )
    return field, pooled


def _size_before(size, pooling_ratio):
    """Pixels a side that a 2x2 convolution and a pooling bring to `size`."""
    return int(size * pooling_ratio + 0.5) + 1


def _check(pooling_ratio, n_blocks):
    if not 1.25 <= pooling_ratio < 2:
        raise ValueError(
            f"FMPNet(pooling_ratio={pooling_ratio!r}): pooling_ratio must be a number from 1.25 "
            "to below 2; Graham takes 2 ** 0.5 for MNIST and 2 ** (1 / 3) for CIFAR-100"
        )
    if n_blocks is not None and n_blocks < 1:
        raise ValueError(f"FMPNet(n_blocks={n_blocks!r}): n_blocks must be None or 1 or more")
