"""A small convolutional network for small images, whose layers can be counted by hand."""

from collections import OrderedDict

from torch import nn

from visionpipe.networks.chain import Chain
from visionpipe.networks.image_size import check_image_size

# The smallest images for which a layer still gives something.
_NEEDED = {"pool1": (2, 2), "conv2": (10, 10), "pool2": (12, 12)}


class SmallCNN(Chain):
    """Two convolutions, each halved by pooling, and three dense layers: LeNet-5's plan for 28x28.

    ============= ================= =========== ============
    layer         output (28x28)    activations parameters
    ============= ================= =========== ============
    conv1, 3x3    8 x 28 x 28       6,272       72 c + 8
    pool1, 2x2    8 x 14 x 14       1,568
    conv2, 5x5    16 x 10 x 10      1,600       3,216
    pool2, 2x2    16 x 5 x 5        400
    dense1        120               120         48,120
    dense2        64                64          7,744
    dense3        n_classes         n_classes   65 n_classes
    ============= ================= =========== ============

    59,810 parameters for grey images of 28x28 pixels and 10 classes; other sizes change dense1
    alone. conv1 pads with zeros and keeps the size, conv2 does not pad. ReLU follows each layer
    with weights but the last. Initial weights are PyTorch's.

    Differs from LeNet-5 (LeCun et al. 1998): conv1 has eight maps of 3x3 in place of six of 5x5,
    the image is not padded to 32x32, dense2 has 64 units in place of 84. Least image size: 12x12.

    Parameters
    ----------
    n_channels : int
    image_size : (int, int)
        Height and width.
    n_classes : int

    Raises
    ------
    ValueError
        If the images are too small.

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document
    recognition", Proceedings of the IEEE, 1998.

    Examples
    --------
    >>> from visionpipe.networks.layer_table import layer_table
    >>> print(layer_table("small_cnn", (28, 28, 1)).main_layers())
    layer   kind       output    activations  parameters
    conv1   Conv2d     28x28x8         6,272          80
    pool1   MaxPool2d  14x14x8         1,568
    conv2   Conv2d     10x10x16        1,600       3,216
    pool2   MaxPool2d  5x5x16            400
    dense1  Linear     120               120      48,120
    dense2  Linear     64                 64       7,744
    dense3  Linear     10                 10         650
    total                             10,034      59,810
    """

    def __init__(self, *, n_channels, image_size, n_classes):
        height, width = check_image_size(self, image_size, (12, 12), _NEEDED)
        n_pooled = _pooled(height) * _pooled(width)
        # ReLU and the maximum may change places: after pooling there is a quarter left to do.
        super().__init__(
            OrderedDict(
                conv1=nn.Conv2d(n_channels, 8, 3, padding=1),  # (b, 8, 28, 28)
                pool1=nn.MaxPool2d(2),  # (b, 8, 14, 14)
                relu1=nn.ReLU(),
                conv2=nn.Conv2d(8, 16, 5),  # (b, 16, 10, 10)
                pool2=nn.MaxPool2d(2),  # (b, 16, 5, 5)
                relu2=nn.ReLU(),
                flatten=nn.Flatten(),  # (b, 400)
                dense1=nn.Linear(16 * n_pooled, 120),  # (b, 120)
                relu3=nn.ReLU(),
                dense2=nn.Linear(120, 64),  # (b, 64)
                relu4=nn.ReLU(),
                dense3=nn.Linear(64, n_classes),  # (b, n_classes)
            )
        )


def _pooled(length):
    """Length of an axis after both convolutions and poolings."""
    return (length // 2 - 4) // 2
