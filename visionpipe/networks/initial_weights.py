"""Initial weights that several networks share."""

from torch import nn


def he_normal(layer):
    """Draw the weights of a convolution or a dense layer for ReLU; to be given to `apply`.

    Gaussians of variance 2 / n where an output has n inputs (He et al. 2015, equation 10), biases
    zero. Other layers stay as they are.
    """
    if isinstance(layer, (nn.Conv2d, nn.Linear)):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
