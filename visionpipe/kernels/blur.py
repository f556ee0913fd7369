"""Gaussian smoothing, as VLFeat's ``vl_imsmooth``."""

import math

import torch.nn.functional as F

VERSION = 1

RADIUS_IN_SIGMAS = 4  # where VLFeat cuts the Gaussian off


def gaussian_blur(batch, sigma):
    """Smooth a batch of images with a Gaussian.

    Parameters
    ----------
    batch : torch.Tensor of shape (b, c, h, w), float32
    sigma : float
        Standard deviation in pixels; 0 leaves the batch as it is (the same tensor).

    Returns
    -------
    torch.Tensor of shape (b, c, h, w), float32
        Pixels on the rim are repeated outwards.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.blur import gaussian_blur
    >>> dot = torch.zeros(1, 1, 1, 5)
    >>> dot[..., 2] = 1
    >>> gaussian_blur(dot, 0.5).flatten()
    tensor([2.6387e-04, 1.0645e-01, 7.8657e-01, 1.0645e-01, 2.6387e-04])
    """
    if sigma == 0:
        return batch
    radius = math.ceil(RADIUS_IN_SIGMAS * sigma)
    weights = [math.exp(-0.5 * (i / sigma) ** 2) for i in range(radius + 1)]
    total = 2 * sum(weights) - weights[0]
    weights = [weight / total for weight in weights]
    rows = F.pad(batch, (0, 0, radius, radius), mode="replicate")
    batch = _weighted_sum(rows, 2, batch.shape[2], weights)
    columns = F.pad(batch, (radius, radius, 0, 0), mode="replicate")
    return _weighted_sum(columns, 3, batch.shape[3], weights)


def _weighted_sum(padded, axis, length, weights):
    """Sum of shifted copies: whole-image additions, which beat torch's convolutions of one channel.

    ``weights[i]`` is that of the two copies that are i pixels away.
    """
    radius = len(weights) - 1
    total = padded.narrow(axis, radius, length) * weights[0]
    for i in range(1, radius + 1):
        total.add_(padded.narrow(axis, radius - i, length), alpha=weights[i])
        total.add_(padded.narrow(axis, radius + i, length), alpha=weights[i])
    return total
