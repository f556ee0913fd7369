"""Where the images of a training are kept: in one tensor if it fits, else where they come from."""

import os
import warnings

import numpy as np
import torch

from visionpipe.base import to_batch
from visionpipe.kernels.color import to_unit

_FLAT = 1e-6  # a deviation below this is rounding: one level of 8 bits is 4e-3
_SHARE_OF_HOST = 1 / 2  # of the memory that is free, for the images
_SHARE_OF_GPU = 1 / 4  # the rest is for weights, activations and gradients


def open_pixels(images, owner):
    """Make the images of a training ready to be cut into batches.

    Parameters
    ----------
    images : Images
    owner : str
        Named in errors and warnings.

    Returns
    -------
    Tensor or LazyPixels of shape (n, c, h, w)
        uint8 if every image is, else float32 in 0..1. c is 3 if any image is RGB, else 1.

    Raises
    ------
    ValueError
        If sizes differ.

    Warns
    -----
    UserWarning
        If the images would take more than half of the free memory: they are then read again in
        each epoch.
    """
    n_bytes, free = len(images) * int(np.prod(images.first_shape())), free_memory()
    if n_bytes <= free * _SHARE_OF_HOST:
        return read_all(images, owner)
    warnings.warn(
        f"{owner} reads {len(images):,} images anew in each epoch, by threads, a few batches ahead "
        f"of the training: they take {n_bytes / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free",
        stacklevel=3,
    )
    return LazyPixels(images, owner)


def free_memory():
    """Bytes of memory that this machine can still give; where it does not say, all one may want."""
    try:
        with open("/proc/meminfo") as file:
            lines = dict(line.split(":") for line in file)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return 1 << 62


def read_all(images, owner):
    """Read images of one size into a tensor.

    Parameters
    ----------
    images : Images
    owner : str
        Named in errors.

    Returns
    -------
    Tensor (n, c, h, w)
        uint8 if every image is, else float32 in 0..1. c is 3 if any image is RGB, else 1.

    Raises
    ------
    ValueError
        If sizes differ.
    """
    tensor = None
    for rows, pixels in images.batches():
        batch = to_batch(pixels)  # (b, c, h, w)
        if tensor is None:
            tensor = torch.empty((len(images), *batch.shape[1:]), dtype=batch.dtype)
        _check_size(batch, tensor.shape, owner)
        if batch.dtype != tensor.dtype:
            batch, tensor = to_unit(batch), to_unit(tensor)
        if batch.shape[1] > tensor.shape[1]:
            tensor = tensor.repeat(1, 3, 1, 1)
        tensor[rows] = batch  # a grey batch spreads over three channels
    return tensor


def _check_size(batch, shape, owner):
    if batch.shape[2:] != shape[2:]:
        raise ValueError(
            f"{owner} got images of unequal sizes (height, width): {tuple(shape[2:])} "
            f"and {tuple(batch.shape[2:])}; put Resize((h, w)) before it"
        )


class LazyPixels:
    """Images of one size (n, c, h, w) that are read when a batch of them is asked for.

    Parameters
    ----------
    images : Images
        All are read once, to see that they can be and what they are.
    owner : str
        Named in errors.
    """

    def __init__(self, images, owner):
        self.images, self.owner = images, owner
        self.shape, self.dtype = (len(images), 1, *images.first_shape()[:2]), torch.uint8
        for _, pixels in images.batches():
            batch = to_batch(pixels)
            _check_size(batch, self.shape, owner)
            self.shape = (len(images), max(self.shape[1], batch.shape[1]), *self.shape[2:])
            if batch.dtype != torch.uint8:
                self.dtype = torch.float32

    def __len__(self):
        return len(self.images)

    def __getitem__(self, rows):
        """Tensor (b, c, h, w) of the images of these rows: a slice, or a tensor of int."""
        rows = rows if isinstance(rows, slice) else np.asarray(rows)
        batch = read_all(self.images[rows], self.owner).expand(-1, self.shape[1], -1, -1)
        return batch if self.dtype == batch.dtype else to_unit(batch)


class PinnedPixels:
    """Images of one size (n, c, h, w) in the host's memory, for batches that go to a GPU.

    Parameters
    ----------
    tensor : Tensor (n, c, h, w)
    """

    def __init__(self, tensor):
        self.tensor, self.shape, self.dtype = tensor, tensor.shape, tensor.dtype

    def __len__(self):
        return len(self.tensor)

    def __getitem__(self, rows):
        """Tensor (b, c, h, w) in pinned memory, which is copied while the GPU computes."""
        return self.tensor[rows].pin_memory()


def bring_close(pixels, device, owner):
    """Move pixels to where batches are cut from them fastest.

    Parameters
    ----------
    pixels : Tensor or LazyPixels
    device : torch.device
        That of the training.
    owner : str
        Named in warnings.

    Returns
    -------
    Tensor on the device if it fits there, else PinnedPixels or LazyPixels

    Warns
    -----
    UserWarning
        If it does not fit.
    """
    if device.type == "cpu" or isinstance(pixels, LazyPixels):
        return pixels
    free = torch.cuda.mem_get_info(device)[0]
    if pixels.nbytes <= free * _SHARE_OF_GPU:
        return pixels.to(device)
    warnings.warn(
        f"{owner} keeps the images in the host's memory and copies each batch to {device}: they "
        f"take {pixels.nbytes / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free there",
        stacklevel=3,
    )
    return PinnedPixels(pixels)


def pixel_statistics(pixels, rows=None, weights=None, chunk=1024):
    """Mean and deviation of each channel over some images.

    Parameters
    ----------
    pixels : Tensor or LazyPixels (n, c, h, w) of uint8 or float32
    rows : array of int or None
        Which images; None stands for all.
    weights : Tensor (n,) or None
        Weight of each image; None stands for equal ones.
    chunk : int
        Images converted at a time.

    Returns
    -------
    mean, std : ndarray of float32 of shape (c,)
        Of pixels in 0..1. The deviation of a constant channel is given as 1, so that dividing by
        it does no harm.
    """
    rows = torch.arange(len(pixels)) if rows is None else torch.as_tensor(rows)
    device = getattr(pixels, "device", rows.device)
    n_pixels, total, squares = 0.0, 0.0, 0.0
    for part in rows.split(chunk):
        values = pixels[part.to(device)]  # (b, c, h, w)
        counted = None if weights is None else weights[part].to(values.device).double()
        sums = _sums_of_bytes if values.dtype == torch.uint8 else _sums_of_floats
        of_part = sums(values, counted)
        n_pixels, total, squares = n_pixels + of_part[0], total + of_part[1], squares + of_part[2]
    mean = total / n_pixels
    std = (squares / n_pixels - mean.square()).clamp_min_(0).sqrt_()
    std[std < _FLAT] = 1
    return mean.float().cpu().numpy(), std.float().cpu().numpy()


def _sums_of_bytes(values, weights):
    """As `_sums_of_floats`, by way of histograms: a byte is looked at once, and not converted."""
    n_pixels = values[0, 0].numel()
    if weights is not None:
        weights = weights.repeat_interleave(n_pixels)
    histograms = torch.stack(
        [torch.bincount(v.flatten(), weights, 256) for v in values.transpose(0, 1)]
    ).double()  # (c, 256)
    levels = to_unit(torch.arange(256, dtype=torch.uint8, device=values.device)).double()
    return histograms[0].sum(), histograms @ levels, histograms @ levels.square()


def _sums_of_floats(values, weights):
    """Weighted number of pixels, and their sums (c,) and sums of squares (c,), in float64."""
    values = values.double()
    weights = torch.ones_like(values[:, 0, 0, 0]) if weights is None else weights
    of_images = values.sum((2, 3)), values.square().sum((2, 3))  # (b, c)
    total, squares = (weights @ moments for moments in of_images)
    return weights.sum() * values[0, 0].numel(), total, squares


def as_images_again(pixels):
    """Pixels (n, c, h, w) as a user's array (n, h, w, c), or as what they are read from."""
    if isinstance(pixels, LazyPixels):
        return pixels.images
    return pixels.permute(0, 2, 3, 1).numpy()
