"""Upright writing: shears that undo the slant of what is bright."""

import torch

from visionpipe.kernels.color import to_unit

VERSION = 1


def deskew(batch):
    """Shear images along their rows, until what is bright leans neither to the left nor the right.

    The slant is the covariance of a bright point's row and column over the variance of its row,
    each point weighted by its brightness. Every row is moved by the slant times its distance from
    the centre of mass; between pixels is interpolated linearly, and beyond the border all is black.

    Parameters
    ----------
    batch : torch.Tensor of shape (b, c, h, w)
        uint8 in 0..255 or float32 in 0..1, bright on a dark ground. Channels have one slant, of
        their sum.

    Returns
    -------
    torch.Tensor of shape (b, c, h, w), of the dtype of the batch
        Black images, and those bright in one row only, come back as they are.

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document
    recognition", Proceedings of the IEEE 1998, section III.A.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.deskew import deskew
    >>> deskew(torch.eye(3)[None, None])  # a diagonal becomes a column
    tensor([[[[0., 1., 0.],
              [0., 1., 0.],
              [0., 1., 0.]]]])
    """
    pixels = to_unit(batch)
    height, width = pixels.shape[2:]
    rows = torch.arange(height, dtype=pixels.dtype, device=pixels.device)[:, None]  # (h, 1)
    columns = torch.arange(width, dtype=pixels.dtype, device=pixels.device)  # (w,)
    mass = pixels.sum(1)  # (b, h, w)
    total = mass.sum((1, 2), keepdim=True).clamp(min=torch.finfo(pixels.dtype).tiny)  # (b, 1, 1)
    below = rows - (mass * rows).sum((1, 2), keepdim=True) / total  # (b, h, 1), from the centre
    aside = columns - (mass * columns).sum((1, 2), keepdim=True) / total  # (b, 1, w)
    variance = (mass * below.square()).sum((1, 2), keepdim=True)
    slant = (mass * below * aside).sum((1, 2), keepdim=True) / variance
    slant = torch.where(variance > 1e-6 * total, slant, 0)

    source = columns + slant * below  # (b, h, w), the columns that pixels come from
    left = source.floor()
    share = (source - left)[:, None]  # (b, 1, h, w), of the pixel on the right
    found = _at(pixels, left) * (1 - share) + _at(pixels, left + 1) * share
    return found if batch.dtype == torch.float32 else found.mul_(255).round_().to(batch.dtype)


def _at(pixels, columns):
    """Pixels (b, c, h, w) of other columns (b, h, w) of the same rows; black beyond the border."""
    width = pixels.shape[3]
    inside = (columns >= 0) & (columns < width)
    columns = columns.clamp(0, width - 1).long()[:, None].expand_as(pixels)
    return pixels.gather(3, columns) * inside[:, None]
