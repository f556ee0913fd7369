"""Local response normalisation: each map against the maps beside it."""

import torch
from torch import nn

from visionpipe.networks.autocast import without_autocast


class LocalResponseNormalization(nn.LocalResponseNorm):
    """torch's LocalResponseNorm (Krizhevsky et al. 2012), several times as fast on a CPU.

    Of the maps x_1 ... x_n of an image, at each place, the one of index i becomes::

        x_i / (k + alpha / size * sum(x_j ** 2)) ** beta

    with j from i - size // 2 to i + (size - 1) // 2, as far as there are such maps. The sums are
    products with a banded matrix, where torch pools over a fifth dimension. They are taken in
    float32 or more, also under autocast; the result has the precision of the maps.

    Parameters
    ----------
    size : int
        Maps that are summed.
    alpha, beta, k : float

    References
    ----------
    A. Krizhevsky, I. Sutskever and G. E. Hinton, "ImageNet classification with deep convolutional
    neural networks", NIPS, 2012, section 3.3.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.networks.local_response_normalization import LocalResponseNormalization
    >>> normalise = LocalResponseNormalization(size=3, alpha=3.0, beta=0.5, k=1.0)
    >>> normalise(torch.tensor([1.0, 2.0, 2.0]).view(1, 3, 1, 1)).flatten()
    tensor([0.4082, 0.6325, 0.6667])
    """

    def forward(self, maps):
        """Normalise maps (b, n, h, w) of floats; the result has their shape and precision."""
        x = maps.to(torch.promote_types(maps.dtype, torch.float32))
        with without_autocast(x.device.type):
            # in the memory format of the networks, channels last, nothing is moved
            sums = (x.square().movedim(1, -1) @ self._band(x)).movedim(-1, 1)
            return (x * _power(sums + self.k, -self.beta)).to(maps.dtype)

    def _band(self, like):
        """Weights of each map (row) in the sum of each other (column), 0 outside of the window."""
        n_maps = like.shape[1]
        weights = like.new_full((n_maps, n_maps), self.alpha / self.size)
        return weights.triu(-((self.size - 1) // 2)).tril(self.size // 2)


def _power(base, exponent):
    """Of positive numbers; the exponent of all the networks here by roots, in half the time."""
    if exponent != -0.75:
        return base.pow(exponent)
    root = base.rsqrt()
    return root * root.sqrt()
