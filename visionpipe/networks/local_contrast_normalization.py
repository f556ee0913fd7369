"""Local contrast normalisation: each place against what lies around it, in all maps."""

import torch
from torch import nn

from visionpipe.networks.autocast import without_autocast


class LocalContrastNormalization2d(nn.Module):
    """Subtractive, then divisive normalisation (Jarrett, Kavukcuoglu, Ranzato & LeCun 2009).

    With Gaussian weights w over a square window and all maps, which sum to 1, an image x becomes
    (section 2, after Pinto et al. 2008)::

        v = x - sum(w * x)                      # of the window around each place
        y = v / max(c, sigma),  sigma = sqrt(sum(w * v ** 2)),  c = mean of sigma over the image

    Both sums are one number for each place, the same for all maps. So contrasts of all maps
    compete, contours stand out of even ground, and no place is made brighter than the mean contrast
    of the image allows.

    Weights beyond the border of the image count as zero, and those within are scaled to the sum of
    1, so that nothing is made up there. An image that is blank, one value in all places and maps,
    gives zeros. Nothing is trained, and an image's result does not depend on its batch. Sums are
    taken in float32, also under autocast, which then gives float32.

    Parameters
    ----------
    kernel_size : int
        Pixels a side of the window, odd; 9 in the paper.
    sigma : float or None
        Standard deviation of the Gaussian in pixels. None takes a quarter of `kernel_size`, as
        Torch 7's ``image.gaussian1D`` does; the paper does not give it.
    eps : float
        What c and sigma are at least, against division by zero. Images whose contrast is lower are
        not brought to 1.

    Raises
    ------
    ValueError
        If `kernel_size` is even or not positive, or `sigma` or `eps` is not positive.

    Notes
    -----
    The window is separable and the same for all maps: a sum is the mean over the maps, and then a
    product with a banded matrix along each axis of that one map.

    References
    ----------
    K. Jarrett, K. Kavukcuoglu, M. Ranzato and Y. LeCun, "What is the best multi-stage architecture
    for object recognition?", ICCV, 2009.

    N. Pinto, D. D. Cox and J. J. DiCarlo, "Why is real-world visual object recognition hard?", PLoS
    Computational Biology, 2008.

    Examples
    --------
    A step of 1 and one of 100 have the same contrast afterwards.

    >>> import torch
    >>> from visionpipe.networks.local_contrast_normalization import LocalContrastNormalization2d
    >>> step = torch.zeros(1, 1, 8, 8)
    >>> step[..., 4:] = 1
    >>> normalise = LocalContrastNormalization2d(kernel_size=5)
    >>> torch.allclose(normalise(step), normalise(100 * step), atol=1e-5)
    True
    """

    def __init__(self, kernel_size=9, sigma=None, eps=1e-4):
        super().__init__()
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(
                f"LocalContrastNormalization2d(kernel_size={kernel_size!r}): kernel_size must be "
                "odd and positive, so that the window has a centre"
            )
        for name, value in (("sigma", sigma), ("eps", eps)):
            if value is not None and value <= 0:
                raise ValueError(
                    f"LocalContrastNormalization2d({name}={value!r}): {name} must be positive"
                )
        self.kernel_size = kernel_size
        self.sigma = kernel_size / 4 if sigma is None else sigma
        self.eps = eps

    def forward(self, maps):
        """Normalise maps (b, n, h, w) of floats; the result has their shape."""
        maps = maps.to(torch.promote_types(maps.dtype, torch.float32))
        with without_autocast(maps.device.type):
            # A constant does not change v; without it, a blank image is exactly zero.
            maps = maps - maps[:, :1, :1, :1]
            v = maps - self._local_mean(maps)  # (b, n, h, w)
            variance = self._local_mean(v.square())  # (b, 1, h, w)
            # The clamp comes before the root, whose slope at 0 is infinite.
            contrast = variance.clamp_min(self.eps**2).sqrt()
            least = contrast.mean((2, 3), keepdim=True)  # (b, 1, 1, 1)
            return v / torch.maximum(contrast, least)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, sigma={self.sigma:g}, eps={self.eps:g}"

    def _local_mean(self, maps):
        """Weighted mean over the window and all maps: (b, n, h, w) -> (b, 1, h, w)."""
        mean = maps.mean(1, keepdim=True)
        height, width = mean.shape[2:]
        rows = self._window(height, mean)  # (h, h)
        columns = self._window(width, mean)  # (w, w)
        return rows @ mean @ columns.T

    def _window(self, length, like):
        """Weights of each place (row) on all places of its axis, 0 outside of the window."""
        places = torch.arange(length, dtype=like.dtype, device=like.device)
        distance = places[:, None] - places  # (length, length)
        weights = torch.exp(-0.5 * (distance / self.sigma).square())
        weights = weights * (distance.abs() <= self.kernel_size // 2)
        return weights / weights.sum(1, keepdim=True)
