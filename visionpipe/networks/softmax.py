"""Softmax regression: one dense layer on the pixels, the floor every other network must beat."""

from collections import OrderedDict

from torch import nn

from visionpipe.networks.chain import Chain
from visionpipe.networks.image_size import check_image_size


class SoftmaxRegression(Chain):
    """Multinomial logistic regression on pixels (Bridle 1990).

    ======== ========= =========================
    layer    output    parameters
    ======== ========= =========================
    dense    n_classes (c · h · w + 1) n_classes
    ======== ========= =========================

    7,850 parameters for 28x28 grey images of 10 classes. The softmax itself belongs to the loss.
    Least image size: 1x1.

    Parameters
    ----------
    n_channels : int
    image_size : (int, int)
        Height and width.
    n_classes : int

    References
    ----------
    J. S. Bridle, "Probabilistic interpretation of feedforward classification network outputs, with
    relationships to statistical pattern recognition", Neurocomputing, 1990.
    """

    def __init__(self, *, n_channels, image_size, n_classes):
        height, width = check_image_size(self, image_size, (1, 1))
        super().__init__(
            OrderedDict(
                flatten=nn.Flatten(),  # (b, c h w)
                dense=nn.Linear(n_channels * height * width, n_classes),  # (b, n_classes)
            )
        )
