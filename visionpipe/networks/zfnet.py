"""ZFNet, AlexNet with a finer first look, found by looking at what its layers see."""

from collections import OrderedDict

from torch import nn

from visionpipe.networks.alexnet import dense_layers, initialize, normalisation, pooling
from visionpipe.networks.chain import Chain
from visionpipe.networks.image_size import check_image_size

# The smallest images for which a layer still gives something.
_NEEDED = {
    "conv1": (5, 5),
    "pool1": (7, 7),
    "conv2": (23, 23),
    "pool2": (31, 31),
    "pool5": (47, 47),
}


class ZFNet(Chain):
    """ZFNet (Zeiler & Fergus 2014), the network of their figure 3.

    ============= ================ =========== ===============
    layer         output (224x224) activations parameters
    ============= ================ =========== ===============
    conv1, 7x7/2  96 x 110 x 110   1,161,600   4,704 c + 96
    pool1, 3x3/2  96 x 55 x 55     290,400
    conv2, 5x5/2  256 x 26 x 26    173,056     614,656
    pool2, 3x3/2  256 x 13 x 13    43,264
    conv3, 3x3    384 x 13 x 13    64,896      885,120
    conv4, 3x3    384 x 13 x 13    64,896      1,327,488
    conv5, 3x3    256 x 13 x 13    43,264      884,992
    pool5, 3x3/2  256 x 6 x 6      9,216
    dense1        4096             4,096       37,752,832
    dense2        4096             4,096       16,781,312
    dense3        n_classes        n_classes   4,097 n_classes
    ============= ================ =========== ===============

    62,357,608 parameters for RGB images of 224x224 pixels and 1,000 classes; other sizes change
    dense1 alone. AlexNet without groups, with smaller windows and steps in conv1 and steps of 2 in
    conv2. ReLU follows each layer with weights but the last, normalisation across maps the first
    two poolings, dropout the first two dense layers.

    The paper does not say how maps are padded: conv1 takes a row and a column of zeros on each
    side, conv2 none, conv3 to conv5 keep the size, and the last window of a pooling may be cut
    off at the edge, which gives the sizes of the figure. Neither does it give the constants of its
    contrast normalisation across maps, here AlexNet's response normalisation.

    Differs from the paper: weights start as those of `visionpipe.networks.alexnet.AlexNet`, where
    the paper has 0.01 and biases of zero, and filters of too large a deviation are not scaled back
    in training. It is trained as AlexNet is. Least image size: 47x47.

    Parameters
    ----------
    n_channels : int
    image_size : (int, int)
        Height and width.
    n_classes : int
    dropout : float in [0, 1]
        Share of the units of dense1 and dense2 set to zero at each training step.
    hidden : int
        Units of dense1 and of dense2. At 4096 they hold most of the parameters; small images and
        few classes do with less.

    Raises
    ------
    ValueError
        If the images are too small.

    References
    ----------
    M. D. Zeiler and R. Fergus, "Visualizing and understanding convolutional networks", ECCV, 2014.

    Examples
    --------
    >>> from visionpipe.networks.layer_table import layer_table
    >>> from visionpipe.networks.zfnet import ZFNet
    >>> layer_table(ZFNet, (224, 224, 3), n_classes=1000).n_parameters
    62357608
    """

    def __init__(self, *, n_channels, image_size, n_classes, dropout=0.5, hidden=4096):
        height, width = check_image_size(self, image_size, _NEEDED["pool5"], _NEEDED)
        n_pooled = _pooled(height) * _pooled(width)
        super().__init__(
            OrderedDict(
                conv1=nn.Conv2d(n_channels, 96, 7, stride=2, padding=1),  # (b, 96, 110, 110)
                relu1=nn.ReLU(),
                pool1=pooling(),  # (b, 96, 55, 55)
                norm1=normalisation(),
                conv2=nn.Conv2d(96, 256, 5, stride=2),  # (b, 256, 26, 26)
                relu2=nn.ReLU(),
                pool2=pooling(),  # (b, 256, 13, 13)
                norm2=normalisation(),
                conv3=nn.Conv2d(256, 384, 3, padding=1),  # (b, 384, 13, 13)
                relu3=nn.ReLU(),
                conv4=nn.Conv2d(384, 384, 3, padding=1),  # (b, 384, 13, 13)
                relu4=nn.ReLU(),
                conv5=nn.Conv2d(384, 256, 3, padding=1),  # (b, 256, 13, 13)
                relu5=nn.ReLU(),
                pool5=pooling(),  # (b, 256, 6, 6)
                **dense_layers(256 * n_pooled, hidden, n_classes, dropout),  # (b, n_classes)
            )
        )
        initialize(self)


def _pooled(length):
    """Length of an axis after both convolutions in steps of 2 and three poolings."""
    return ((length - 3) // 4 - 3) // 8
