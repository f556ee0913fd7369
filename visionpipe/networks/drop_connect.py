"""DropConnect: dropout of weights in place of units."""

from torch import nn


class DropConnectLinear(nn.Linear):
    """Dense layer that forgets some of its weights at each training step (Wan et al. 2013).

    In training a random share of the weights and biases is set to zero and the others are divided
    by the share that is kept, so that the mean over all masks is the layer without a mask. That is
    what evaluation computes.

    Differs from the paper: one mask serves a whole batch, where the paper draws one for each image,
    which takes as many times the memory of the weights as a batch has images. The expected
    gradient is the same; it varies more from step to step, since the images of a batch no longer
    average over masks. And evaluation takes the layer's mean, where the paper draws from a Gaussian
    of the same mean and variance and averages what the activation makes of it.

    Parameters
    ----------
    in_features, out_features : int
    drop : float in [0, 1)
        Share of the weights set to zero.

    Raises
    ------
    ValueError
        If the share is outside of [0, 1).

    References
    ----------
    L. Wan, M. Zeiler, S. Zhang, Y. LeCun and R. Fergus, "Regularization of neural networks using
    DropConnect", ICML, 2013.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.networks.drop_connect import DropConnectLinear
    >>> layer = DropConnectLinear(784, 256, drop=0.5)
    >>> layer(torch.rand(3, 784)).shape
    torch.Size([3, 256])
    """

    def __init__(self, in_features, out_features, drop):
        if not 0 <= drop < 1:
            raise ValueError(
                f"DropConnectLinear(drop={drop!r}): drop must be a share of the weights from 0 up "
                "to, but without, 1"
            )
        super().__init__(in_features, out_features)
        self.drop = drop

    def forward(self, x):
        weight = nn.functional.dropout(self.weight, self.drop, self.training)
        bias = nn.functional.dropout(self.bias, self.drop, self.training)
        return nn.functional.linear(x, weight, bias)  # (b, out_features)

    def extra_repr(self):
        return f"{super().extra_repr()}, drop={self.drop}"
