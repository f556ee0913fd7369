"""Crops of images, and the views of an image whose predictions are averaged."""

import torch

from visionpipe.kernels.augmentation import check_window, crop, pad

TTA = (None, "mirror", "shifts", "ten_crops")


def check_tta(tta, crop_size):
    """Raise a ValueError unless there are such views of crops of such a size.

    Parameters
    ----------
    tta : object
        Wanted: one of `TTA`.
    crop_size : int, (int, int) or None
        As for `views`.
    """
    if tta not in TTA:
        raise ValueError(f"tta={tta!r} is unknown; it must be one of {', '.join(map(repr, TTA))}")
    if tta == "ten_crops" and crop_size is None:
        raise ValueError(
            "tta='ten_crops' needs crop_size, because crops as large as the images are all the "
            "same; set it, for instance to 28 for images of 32x32 pixels"
        )


def views(batch, tta=None, crop_size=None):
    """Views of each image to predict from, and the weight of each prediction.

    Parameters
    ----------
    batch : Tensor of shape (b, c, h, w), uint8 or float32
    tta : {None, "mirror", "shifts", "ten_crops"}, default=None
        Test-time augmentation. None is the centre crop alone; "mirror" the crop and its mirror
        image; "shifts" these two, for half of the weight, and the same of the image moved by one
        pixel up and left, and down and right (Jordan 2024); "ten_crops" the four corners, the
        centre and their mirror images (Krizhevsky et al. 2012).
    crop_size : int, (int, int) or None, default=None
        Height and width of the crops, in pixels; an int stands for both. None takes the whole
        image.

    Yields
    ------
    images : Tensor of shape (b, c, h', w'), of the dtype of the batch
    weight : float
        The weights add up to 1.

    Raises
    ------
    ValueError
        If `check_tta` does, crops do not fit into the images, or images one pixel wide are to be
        shifted.

    References
    ----------
    K. Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", arXiv:2404.00498, 2024.

    A. Krizhevsky, I. Sutskever and G. E. Hinton, "ImageNet classification with deep convolutional
    neural networks", NIPS, 2012.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.deep.data.views import views
    >>> for images, weight in views(torch.arange(4).view(1, 1, 1, 4), "mirror", (1, 2)):
    ...     print(images.flatten().tolist(), weight)
    [1, 2] 0.5
    [2, 1] 0.5
    """
    check_tta(tta, crop_size)
    size = tuple(batch.shape[2:]) if crop_size is None else _pair(crop_size)
    check_window(batch, size)
    for images, weight in _unmirrored(batch, tta, size):
        if tta is None:
            yield images, weight
        else:
            yield images, weight / 2
            yield images.flip(-1), weight / 2


def _unmirrored(batch, tta, size):
    """The views of which mirror images are then taken, and the weight of each pair."""
    top, left = _margins(batch, size)
    if tta == "ten_crops":
        places = [(0, 0), (0, left), (top, 0), (top, left), (top // 2, left // 2)]
        yield from ((_window(batch, place, size), 1 / 5) for place in places)
        return
    centre = top // 2, left // 2
    yield _window(batch, centre, size), 1 / 2 if tta == "shifts" else 1
    if tta == "shifts":
        padded = pad(batch, 1)  # where the centre is one pixel further down and right
        for by in (2, 0):
            yield _window(padded, (centre[0] + by, centre[1] + by), size), 1 / 4


def centre_crop(batch, size):
    """Cut the middle out of each image.

    Parameters
    ----------
    batch : Tensor of shape (b, c, h, w), of any dtype
    size : int or (int, int)
        Height h' and width w', in pixels; an int stands for both. Where as many pixels cannot be
        left on both sides, there is one more below and on the right.

    Returns
    -------
    Tensor of shape (b, c, h', w'), of the dtype of the batch, whose memory it shares

    Raises
    ------
    ValueError
        If the crop does not fit into the images.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.deep.data.views import centre_crop
    >>> centre_crop(torch.arange(16).view(1, 1, 4, 4), 2)
    tensor([[[[ 5,  6],
              [ 9, 10]]]])
    """
    size = _pair(size)
    check_window(batch, size)
    top, left = _margins(batch, size)
    return _window(batch, (top // 2, left // 2), size)


def random_crop(batch, size):
    """Cut a window out of each image, each at a place of its own, all places alike.

    Places are drawn from torch's global generator for the batch's device.

    Parameters
    ----------
    batch : Tensor of shape (b, c, h, w), of any dtype
    size : int or (int, int)
        Height h' and width w', in pixels; an int stands for both.

    Returns
    -------
    Tensor of shape (b, c, h', w'), of the dtype of the batch

    Raises
    ------
    ValueError
        If the crop does not fit into the images.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.deep.data.views import random_crop
    >>> random_crop(torch.zeros(5, 3, 32, 32), 28).shape
    torch.Size([5, 3, 28, 28])
    """
    size = _pair(size)
    check_window(batch, size)
    top, left = (
        torch.randint(margin + 1, (len(batch),), device=batch.device)
        for margin in _margins(batch, size)
    )
    return crop(batch, top, left, size)


def _pair(size):
    return tuple(size) if isinstance(size, (tuple, list)) else (size, size)


def _margins(batch, size):
    """Last row and last column that a window may start at."""
    return batch.shape[2] - size[0], batch.shape[3] - size[1]


def _window(batch, place, size):
    (top, left), (height, width) = place, size
    return batch[:, :, top : top + height, left : left + width]
