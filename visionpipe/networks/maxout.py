"""Maxout: units that learn their own activation, as the largest of a few linear functions."""

from collections import OrderedDict

from torch import nn

from visionpipe.networks.chain import Chain
from visionpipe.networks.image_size import check_image_size

# Of each convolution: maps, pieces of a map, side of the kernel, padding, and side of the pooling.
_CONVOLUTIONS = {
    "cifar10": ((96, 2, 8, 4, 4), (192, 2, 8, 3, 4), (192, 2, 5, 3, 2)),
    "mnist": ((48, 2, 8, 0, 4), (48, 2, 8, 3, 4), (24, 4, 5, 3, 2)),
}
_HIDDEN = {"cifar10": (500, 5), "mnist": None}  # units of a dense layer, and pieces of each

_LARGEST_WEIGHT = 0.005  # at the beginning

# The smallest images for which a layer still gives something.
_NEEDED = {
    "cifar10": {"pool1": (2, 2), "pool2": (8, 8)},
    "mnist": {"conv1": (8, 8), "pool1": (10, 10), "pool2": (16, 16)},
}


class Maxout(nn.Module):
    """Largest of every `n_pieces` neighbours along axis 1 (Goodfellow et al. 2013, section 3).

    Maps units (b, n · n_pieces) to (b, n), or maps (b, n · n_pieces, h, w) to (b, n, h, w). After a
    dense or convolutional layer this is a unit that learns a convex activation. All the pieces of
    a unit lie side by side.

    Parameters
    ----------
    n_pieces : int

    Raises
    ------
    ValueError
        If there is not one piece.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.networks.maxout import Maxout
    >>> Maxout(2)(torch.tensor([[1.0, 3.0, -2.0, -4.0]]))
    tensor([[ 3., -2.]])
    """

    def __init__(self, n_pieces):
        super().__init__()
        if n_pieces < 1:
            raise ValueError(f"Maxout(n_pieces={n_pieces!r}): n_pieces must be 1 or more")
        self.n_pieces = n_pieces

    def forward(self, x):
        return x.unflatten(1, (-1, self.n_pieces)).amax(2)  # (b, n) or (b, n, h, w)

    def extra_repr(self):
        return str(self.n_pieces)


class MaxoutNet(Chain):
    """Convolutional maxout network (Goodfellow et al. 2013, section 5).

    Configuration "cifar10", three convolutional maxout layers and a dense one:

    ============== ============== =========== =====================
    layer          output (32x32) activations parameters
    ============== ============== =========== =====================
    conv1, 8x8     192 x 33 x 33  209,088     12,288 c + 192
    maxout1, of 2  96 x 33 x 33   104,544
    pool1, 4x4/2   96 x 16 x 16   24,576
    conv2, 8x8     384 x 15 x 15  86,400      2,359,680
    maxout2, of 2  192 x 15 x 15  43,200
    pool2, 4x4/2   192 x 7 x 7    9,408
    conv3, 5x5     384 x 9 x 9    31,104      1,843,584
    maxout3, of 2  192 x 9 x 9    15,552
    pool3, 2x2     192 x 5 x 5    4,800
    dense1         2500           2,500       12,002,500
    maxout4, of 5  500            500
    dense2         n_classes      n_classes   501 n_classes
    ============== ============== =========== =====================

    16,247,830 parameters for RGB images of 32x32 pixels and 10 classes: 12,288 c + 4,203,456 of the
    convolutions, 2,500 (192 p + 1) of dense1 where pool3 leaves p places, 501 n_classes.

    Configuration "mnist", three smaller convolutional maxout layers:

    ============== ============== =========== =====================
    layer          output (28x28) activations parameters
    ============== ============== =========== =====================
    conv1, 8x8     96 x 21 x 21   42,336      6,144 c + 96
    maxout1, of 2  48 x 21 x 21   21,168
    pool1, 4x4/2   48 x 10 x 10   4,800
    conv2, 8x8     96 x 9 x 9     7,776       295,008
    maxout2, of 2  48 x 9 x 9     3,888
    pool2, 4x4/2   48 x 4 x 4     768
    conv3, 5x5     96 x 6 x 6     3,456       115,296
    maxout3, of 4  24 x 6 x 6     864
    pool3, 2x2     24 x 3 x 3     216
    dense1         n_classes      n_classes   217 n_classes
    ============== ============== =========== =====================

    418,714 parameters for grey images of 28x28 pixels and 10 classes: 6,144 c + 410,400 of the
    convolutions, n_classes (24 p + 1) of dense1 where pool3 leaves p places.

    p is 5 · 5 and 3 · 3 above. Dropout precedes every layer with weights, with another share for
    the images. The paper describes the layers; their sizes and the padding (4, 3 and 3 pixels; 0, 3
    and 3 for "mnist") are those of its code (pylearn2, papers/maxout/cifar10.yaml and mnist.yaml),
    as are initial weights, uniform in -0.005..0.005, and biases, zero. The last window of a pooling
    may stand over the edge, as in cuda-convnet.

    Differs from that code: what dropout leaves of the images is scaled up, as it is between layers;
    one bias serves a map of "mnist", where the code has one for each place of it. The code also
    whitens CIFAR-10 and, after each step, shortens the weights of a piece that are longer than 0.9
    (conv1), 1.9 (dense1 of "cifar10") or 1.9365 (the others), which is training's business, not the
    network's. Least image size: 8x8 for "cifar10", 16x16 for "mnist".

    Parameters
    ----------
    n_channels : int
    image_size : (int, int)
        Height and width.
    n_classes : int
    configuration : {"cifar10", "mnist"}
        The network of section 5.2 or that of section 5.1.
    dropout : float in [0, 1]
        Share of the inputs of every layer but the first set to zero at each training step.
    input_dropout : float in [0, 1]
        Share of the numbers of the images set to zero at each training step.

    Raises
    ------
    ValueError
        If the configuration is unknown, or the images are too small.

    References
    ----------
    I. J. Goodfellow, D. Warde-Farley, M. Mirza, A. Courville and Y. Bengio, "Maxout networks",
    ICML, 2013.

    Examples
    --------
    >>> from visionpipe.networks.layer_table import layer_table
    >>> from visionpipe.networks.maxout import MaxoutNet
    >>> layer_table(MaxoutNet, (32, 32, 3)).n_parameters
    16247830
    >>> layer_table(MaxoutNet, (28, 28, 1), configuration="mnist").n_parameters
    418714
    """

    def __init__(
        self,
        *,
        n_channels,
        image_size,
        n_classes,
        configuration="cifar10",
        dropout=0.5,
        input_dropout=0.2,
    ):
        if configuration not in _CONVOLUTIONS:
            known = ", ".join(map(repr, _CONVOLUTIONS))
            raise ValueError(
                f"MaxoutNet(configuration={configuration!r}): configuration must be one of {known}"
            )
        needed = _NEEDED[configuration]
        size = check_image_size(self, image_size, needed["pool2"], needed)
        layers = OrderedDict(dropout1=nn.Dropout(input_dropout))
        layers |= _convolutions(n_channels, configuration, dropout)  # (b, 192, 5, 5)
        n_maps = _CONVOLUTIONS[configuration][-1][0]
        height, width = (_length_left(length, configuration) for length in size)
        layers["flatten"] = nn.Flatten()  # (b, 4800)
        layers |= _dense(n_maps * height * width, n_classes, configuration, dropout)
        super().__init__(layers)  # (b, n_classes)
        self.apply(_initialize)


def _convolutions(n_in, configuration, dropout):
    """Layers (b, c, h, w) -> (b, 192, h', w') by name, each followed by the next one's dropout."""
    layers = OrderedDict()
    for i, row in enumerate(_CONVOLUTIONS[configuration], start=1):
        n_maps, n_pieces, kernel, padding, pooling = row
        layers[f"conv{i}"] = nn.Conv2d(n_in, n_maps * n_pieces, kernel, padding=padding)
        layers[f"maxout{i}"] = Maxout(n_pieces)  # (b, n_maps, h, w)
        layers[f"pool{i}"] = nn.MaxPool2d(pooling, 2, ceil_mode=True)  # halves height and width
        layers[f"dropout{i + 1}"] = nn.Dropout(dropout)
        n_in = n_maps
    return layers


def _dense(n_in, n_classes, configuration, dropout):
    """Layers (b, n_in) -> (b, n_classes) by name."""
    if _HIDDEN[configuration] is None:
        return OrderedDict(dense1=nn.Linear(n_in, n_classes))
    n_units, n_pieces = _HIDDEN[configuration]
    return OrderedDict(
        dense1=nn.Linear(n_in, n_units * n_pieces),  # (b, 2500)
        maxout4=Maxout(n_pieces),  # (b, 500)
        dropout5=nn.Dropout(dropout),
        dense2=nn.Linear(n_units, n_classes),  # (b, n_classes)
    )


def _length_left(length, configuration):
    """Of an axis, after all convolutions and poolings."""
    for _, _, kernel, padding, pooling in _CONVOLUTIONS[configuration]:
        length += 2 * padding - kernel + 1
        length = -(-(length - pooling) // 2) + 1  # rounded up: the last window may be cut off
    return length


def _initialize(layer):
    if isinstance(layer, (nn.Conv2d, nn.Linear)):
        nn.init.uniform_(layer.weight, -_LARGEST_WEIGHT, _LARGEST_WEIGHT)
        nn.init.zeros_(layer.bias)
