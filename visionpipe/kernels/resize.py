"""Resizing with an antialiased bilinear filter, as Pillow's ``Image.resize(..., BILINEAR)``."""

import torch
import torch.nn.functional as F

VERSION = 1


def resize(batch, size):
    """Resize a batch of images.

    Shrinking averages over all pixels that fall into a pixel of the result (a triangle filter of
    twice its width); enlarging interpolates between neighbours.

    Parameters
    ----------
    batch : torch.Tensor of shape (b, c, h, w)
        uint8 in 0..255 or float32 in 0..1, of any number of channels.
    size : (int, int)
        Rows and columns of the result.

    Returns
    -------
    torch.Tensor of shape (b, c, *size), of the dtype of the batch
        uint8 is rounded to nearest; on a CPU after filtering the rows and again the columns, as in
        Pillow. Images that have the size already come back as they are (the same tensor).

    Raises
    ------
    ValueError
        If the size is not positive, or the batch has another dtype.

    References
    ----------
    Pillow, "Filters", https://pillow.readthedocs.io/en/stable/handbook/concepts.html#filters

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.resize import resize
    >>> resize(torch.tensor([[[[0, 100, 200, 40]]]], dtype=torch.uint8), (1, 2))
    tensor([[[[ 71, 117]]]], dtype=torch.uint8)
    """
    height, width = size
    if min(size) < 1:
        raise ValueError(f"Images cannot be resized to {tuple(size)}; give two positive ints.")
    if batch.dtype not in (torch.uint8, torch.float32):
        raise ValueError(
            f"Got pixels of dtype {batch.dtype}; give uint8 in 0..255 or float32 in 0..1."
        )
    if batch.shape[2:] == (height, width):
        return batch
    thin = 1 in (*batch.shape[2:], height, width)
    if batch.dtype == torch.uint8 and batch.is_cpu and not thin:
        return _filtered(batch, (height, width))
    resized = _resized_floats(batch.to(torch.float32), (height, width))
    return resized if batch.dtype == torch.float32 else resized.round_().to(torch.uint8)


def _resized_floats(batch, size):
    # torch (2.13) takes strides from the wrong axis where an axis has one pixel: for uint8 in
    # several cases, all kept from it above, for float32 where the result has one column.
    if size[1] == 1 and size[0] > 1:
        return _filtered(batch.transpose(2, 3), size[::-1]).transpose(2, 3)
    return _filtered(batch, size)


def _filtered(batch, size):
    return F.interpolate(batch, size=size, mode="bilinear", antialias=True, align_corners=False)
