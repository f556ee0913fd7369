"""Layers that need full precision, within a network that does not."""

from contextlib import nullcontext

import torch


def without_autocast(device_type):
    """Leave autocast for the length of a block.

    Parameters
    ----------
    device_type : str
        Of the tensors in it; the meta device knows no autocast.

    Returns
    -------
    context manager

    Examples
    --------
    >>> import torch
    >>> from visionpipe.networks.autocast import without_autocast
    >>> with torch.autocast("cpu", torch.bfloat16), without_autocast("cpu"):
    ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
    torch.float32
    """
    if torch.amp.is_autocast_available(device_type):
        return torch.autocast(device_type, enabled=False)
    return nullcontext()
