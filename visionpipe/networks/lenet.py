"""LeNet-5, the network that read cheques."""

from collections import OrderedDict

from torch import nn

from visionpipe.networks.chain import Chain
from visionpipe.networks.image_size import check_image_size, margins

_FIELD = 32  # pixels a side: the input of the paper


class LeNet5(Chain):
    """LeNet-5 (LeCun, Bottou, Bengio & Haffner 1998) with today's layers.

    ============= ================= =========== ============
    layer         output            activations parameters
    ============= ================= =========== ============
    pad           c x 32 x 32
    conv1, 5x5    6 x 28 x 28       4,704       150 c + 6
    pool1, 2x2    6 x 14 x 14       1,176
    conv2, 5x5    16 x 10 x 10      1,600       2,416
    pool2, 2x2    16 x 5 x 5        400
    dense1        120               120         48,120
    dense2        84                84          10,164
    dense3        n_classes         n_classes   85 n_classes
    ============= ================= =========== ============

    61,706 parameters for grey images of 10 classes up to 32x32 pixels. Smaller images are padded
    with zeros on all sides, as the paper pads MNIST's 28x28; larger ones make dense1 larger.

    Differs from the paper: max pooling instead of a scaled and shifted mean, ReLU instead of a
    scaled tanh, every map of conv2 sees all six of conv1 (the paper's partial table has 60,000
    parameters in all), a dense layer instead of radial basis functions at the end, initial weights
    of PyTorch. Least image size: 1x1.

    Parameters
    ----------
    n_channels : int
    image_size : (int, int)
        Height and width.
    n_classes : int

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document
    recognition", Proceedings of the IEEE, 1998.
    """

    def __init__(self, *, n_channels, image_size, n_classes):
        height, width = check_image_size(self, image_size, (1, 1))
        left, right = margins(width, _FIELD)
        top, bottom = margins(height, _FIELD)
        n_pooled = _pooled(height + top + bottom) * _pooled(width + left + right)
        # ReLU and the maximum may change places: after pooling there is a quarter left to do.
        super().__init__(
            OrderedDict(
                pad=nn.ZeroPad2d((left, right, top, bottom)),  # (b, c, 32, 32)
                conv1=nn.Conv2d(n_channels, 6, 5),  # (b, 6, 28, 28)
                pool1=nn.MaxPool2d(2),  # (b, 6, 14, 14)
                relu1=nn.ReLU(),
                conv2=nn.Conv2d(6, 16, 5),  # (b, 16, 10, 10)
                pool2=nn.MaxPool2d(2),  # (b, 16, 5, 5)
                relu2=nn.ReLU(),
                flatten=nn.Flatten(),  # (b, 400)
                dense1=nn.Linear(16 * n_pooled, 120),  # (b, 120)
                relu3=nn.ReLU(),
                dense2=nn.Linear(120, 84),  # (b, 84)
                relu4=nn.ReLU(),
                dense3=nn.Linear(84, n_classes),  # (b, n_classes)
            )
        )


def _pooled(length):
    """Length of an axis after both convolutions and poolings."""
    return ((length - 4) // 2 - 4) // 2
