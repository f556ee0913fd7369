"""Small images side by side in one: filters, or images of a data set."""

import math

import torch
from torch import nn

_LEAST, _MOST = 32, 128  # pixels of a tile's longer side
_GREY = 0.5  # between tiles
_FILTERS = 256


def grid(tiles):
    """Put images side by side, in a grid about as wide as high.

    Small ones are enlarged to 32 pixels and more by repeating pixels, large ones reduced to 128.

    Parameters
    ----------
    tiles : Tensor (n, c, h, w) of float in 0..1
        At least one.

    Returns
    -------
    Tensor (c, rows * h', columns * w')

    Examples
    --------
    >>> import torch
    >>> from visionpipe.deep.tensorboard.tiles import grid
    >>> grid(torch.rand(10, 3, 16, 8)).shape  # 3 rows of 4, each 34x18 with its edge
    torch.Size([3, 102, 72])
    """
    tiles = nn.functional.pad(_resized(tiles), (1, 1, 1, 1), value=_GREY)
    n, c, h, w = tiles.shape
    columns = math.ceil(math.sqrt(n))
    rows = -(-n // columns)
    blank = tiles.new_full((rows * columns - n, c, h, w), _GREY)
    tiles = torch.cat([tiles, blank]).view(rows, columns, c, h, w)
    return tiles.permute(2, 0, 3, 1, 4).reshape(c, rows * h, columns * w)


def _resized(tiles):
    longer = max(tiles.shape[2:])
    if longer > _MOST:
        size = [max(1, length * _MOST // longer) for length in tiles.shape[2:]]
        return nn.functional.adaptive_avg_pool2d(tiles, size)
    times = -(-_LEAST // longer)
    return tiles.repeat_interleave(times, dim=2).repeat_interleave(times, dim=3)


def filter_tiles(network):
    """Filters of the first convolution as images: RGB if they see three channels, else grey.

    Parameters
    ----------
    network : torch.nn.Module

    Returns
    -------
    Tensor (n, 3 or 1, h, w) or None
        Each filter from 0, its lowest weight, to 1, its highest; the first 256. Of other numbers of
        channels the mean is shown. None if there is no convolution.
    """
    convolutions = (m for m in network.modules() if isinstance(m, nn.Conv2d))
    first = next(convolutions, None)
    if first is None:
        return None
    weights = first.weight.detach()[:_FILTERS].float()  # (n, c, h, w)
    if weights.shape[1] != 3:
        weights = weights.mean(dim=1, keepdim=True)  # (n, 1, h, w)
    lowest, highest = (f(dim=(1, 2, 3), keepdim=True) for f in (weights.amin, weights.amax))
    return (weights - lowest) / (highest - lowest).clamp_min(torch.finfo().tiny)
