"""The network of TensorFlow's CIFAR-10 tutorial, after Krizhevsky's cuda-convnet."""

from collections import OrderedDict

from torch import nn

from visionpipe.networks.chain import Chain
from visionpipe.networks.image_size import check_image_size
from visionpipe.networks.local_response_normalization import LocalResponseNormalization


class CifarNet(Chain):
    """The CIFAR-10 network of the TensorFlow tutorial (2015), with local response normalisation.

    ============= =================== =========== ==============
    layer         output (24x24)      activations parameters
    ============= =================== =========== ==============
    conv1, 5x5    64 x 24 x 24        36,864      1,600 c + 64
    pool1, 3x3/2  64 x 12 x 12        9,216
    norm1         64 x 12 x 12        9,216
    conv2, 5x5    64 x 12 x 12        9,216       102,464
    norm2         64 x 12 x 12        9,216
    pool2, 3x3/2  64 x 6 x 6          2,304
    dense1        384                 384         885,120
    dense2        192                 192         73,920
    dense3        n_classes           n_classes   193 n_classes
    ============= =================== =========== ==============

    1,068,298 parameters for RGB images of 24x24 pixels and 10 classes; other sizes change dense1
    alone. ReLU follows each layer with weights but the last. Convolutions and poolings pad as
    TensorFlow's "SAME" does: an output is its input's length over the stride, rounded up.

    Differs from the tutorial: PyTorch's initial weights instead of normal ones of fixed deviation.
    Its training (weight decay 0.004 on dense1 and dense2 only, random crops, flips and light, a
    moving average of the weights) is not the network's business but that of `pipelines.cifarnet`.
    Least image size: 1x1.

    Parameters
    ----------
    n_channels : int
    image_size : (int, int)
        Height and width.
    n_classes : int

    References
    ----------
    TensorFlow, "Convolutional neural networks", tutorial and models/tutorials/image/cifar10, 2015.

    A. Krizhevsky, cuda-convnet, 2011, layers-conv-local-13pct and its kin.
    """

    def __init__(self, *, n_channels, image_size, n_classes):
        size = check_image_size(self, image_size, (1, 1))
        half = tuple(-(-length // 2) for length in size)
        quarter = tuple(-(-length // 2) for length in half)
        super().__init__(
            OrderedDict(
                conv1=nn.Conv2d(n_channels, 64, 5, padding=2),  # (b, 64, 24, 24)
                pool1=_same_pooling(size),  # (b, 64, 12, 12)
                relu1=nn.ReLU(),
                norm1=_normalisation(),
                conv2=nn.Conv2d(64, 64, 5, padding=2),  # (b, 64, 12, 12)
                relu2=nn.ReLU(),
                norm2=_normalisation(),
                pool2=_same_pooling(half),  # (b, 64, 6, 6)
                flatten=nn.Flatten(),  # (b, 2304)
                dense1=nn.Linear(64 * quarter[0] * quarter[1], 384),  # (b, 384)
                relu3=nn.ReLU(),
                dense2=nn.Linear(384, 192),  # (b, 192)
                relu4=nn.ReLU(),
                dense3=nn.Linear(192, n_classes),  # (b, n_classes)
            )
        )


def _same_pooling(size):
    """Maximum over 3x3 in steps of 2, padded as TensorFlow's "SAME".

    An even length lacks one pixel at its end (`ceil_mode`), an odd one a pixel at both.
    """
    return nn.MaxPool2d(3, 2, padding=tuple(length % 2 for length in size), ceil_mode=True)


def _normalisation():
    """TensorFlow's ``lrn(4, bias=1, alpha=0.001 / 9, beta=0.75)``: torch divides alpha by size."""
    return LocalResponseNormalization(9, alpha=0.001, beta=0.75, k=1)
