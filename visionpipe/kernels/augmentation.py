"""Changes to images that leave their class alone, each image of a batch by its own amount.

Nothing is drawn here but the noise: amounts come as tensors with one value an image.
"""

import math

import torch
import torch.nn.functional as F

VERSION = 1

# Luma of ITU-R BT.601, which Pillow's and torchvision's colour changes are defined by
LUMA = (0.299, 0.587, 0.114)


def mirror(batch, which):
    """Swap left and right in some of the images.

    Parameters
    ----------
    batch : torch.Tensor of shape (b, c, h, w), of any dtype
    which : torch.Tensor of shape (b,), bool

    Returns
    -------
    torch.Tensor of shape (b, c, h, w), of the dtype of the batch

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.augmentation import mirror
    >>> batch = torch.tensor([[1, 2, 3], [4, 5, 6]]).view(2, 1, 1, 3)
    >>> mirror(batch, torch.tensor([False, True])).view(2, 3)
    tensor([[1, 2, 3],
            [6, 5, 4]])
    """
    batch = batch.contiguous()
    flipped = batch.flip(-1)
    # Exchanges the bytes of the chosen images and no others; several times as fast as torch.where.
    old, new = batch.view(torch.uint8), flipped.view(torch.uint8)
    mask = which.to(torch.uint8).neg_().view(-1, 1, 1, 1)  # 255 or 0
    new.bitwise_xor_(old).bitwise_and_(mask).bitwise_xor_(old)
    return flipped


def pad(batch, by, mode="reflect"):
    """Add a border to images.

    Parameters
    ----------
    batch : torch.Tensor of shape (b, c, h, w), of any numeric dtype
    by : int
        Pixels on each side.
    mode : {"reflect", "zero"}
        "reflect" repeats the image backwards without the pixels of its edge, as numpy's "reflect".

    Returns
    -------
    torch.Tensor of shape (b, c, h + 2 by, w + 2 by), of the dtype of the batch

    Raises
    ------
    ValueError
        If the images are too small to be reflected so far.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.augmentation import pad
    >>> pad(torch.tensor([[[[1, 2, 3], [4, 5, 6]]]]), 1)[0, 0, 1]
    tensor([2, 1, 2, 3, 2])
    """
    batch = batch.contiguous()  # torch is many times slower at padding other layouts
    height, width = batch.shape[2:]
    border = 4 * (by,)
    if mode == "zero":
        return F.pad(batch, border)
    if by >= min(height, width):
        raise ValueError(
            f"Images of {height}x{width} pixels (height x width) cannot be padded with {by} pixels "
            f"of their reflection; pad by {min(height, width) - 1} or less, or with zeros."
        )
    return F.pad(batch, border, mode="reflect")


def crop(batch, top, left, size):
    """Cut a window out of each image, each at its own place.

    Parameters
    ----------
    batch : torch.Tensor of shape (b, c, h, w), of any dtype
    top, left : torch.Tensor of shape (b,), int64
        First row and column of each window, in 0..h - h' and 0..w - w'. They are not looked at:
        other numbers give pixels from elsewhere, or an error.
    size : (int, int)
        Height h' and width w' of the windows, in pixels.

    Returns
    -------
    torch.Tensor of shape (b, c, h', w'), of the dtype of the batch

    Raises
    ------
    ValueError
        If the windows are larger than the images.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.augmentation import crop
    >>> batch = torch.arange(12).view(1, 1, 3, 4)
    >>> crop(batch, torch.tensor([1]), torch.tensor([2]), (2, 2))
    tensor([[[[ 6,  7],
              [10, 11]]]])
    """
    check_window(batch, size)
    batch = batch.contiguous()
    n_images, n_channels, height, width = batch.shape
    image, plane = n_channels * height * width, height * width
    # A view of all windows there are, one for each pixel they may start at, also across the borders
    # of images: choosing among them copies whole rows of pixels.
    last = (n_images - 1) * image + (height - size[0]) * width + width - size[1]
    windows = batch.as_strided((last + 1, n_channels, *size), (1, plane, width, 1))
    first = torch.arange(0, n_images * image, image, device=batch.device)  # (b,)
    return windows.index_select(0, first + top * width + left)  # (b, c, h', w')


def check_window(batch, size):
    """Raise a ValueError if windows of a size (h', w') do not fit into images (b, c, h, w)."""
    height, width = batch.shape[2:]
    if not (1 <= size[0] <= height and 1 <= size[1] <= width):
        raise ValueError(
            f"A crop of {size[0]}x{size[1]} pixels (height x width) does not fit into images of "
            f"{height}x{width}; give a size from 1x1 to {height}x{width}."
        )


def turn_scale_shear(angle, scale, shear):
    """Matrices for `affine` that shear each image, enlarge it and turn it, in this order.

    Parameters
    ----------
    angle : torch.Tensor of shape (b,), float32
        In degrees, counter-clockwise.
    scale : torch.Tensor of shape (b,), float32
        Above 1 enlarges.
    shear : torch.Tensor of shape (b,), float32
        In degrees: upright lines lean to the right by this angle.

    Returns
    -------
    torch.Tensor of shape (b, 2, 3), float32

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.augmentation import turn_scale_shear
    >>> turn_scale_shear(*torch.tensor([[0.0], [2.0], [0.0]]))
    tensor([[[0.5000, 0.0000, 0.0000],
             [0.0000, 0.5000, 0.0000]]])
    """
    angle, lean = angle * (math.pi / 180), (shear * (math.pi / 180)).tan()
    # The inverse of turn @ scale @ shear on (x, y) with y downward, since `affine` looks up, for
    # each pixel of the result, where it comes from.
    cos, sin = angle.cos() / scale, angle.sin() / scale
    zero = torch.zeros_like(cos)
    x = torch.stack((cos + lean * sin, lean * cos - sin, zero), 1)  # (b, 3)
    y = torch.stack((sin, cos, zero), 1)
    return torch.stack((x, y), 1)  # (b, 2, 3)


def affine(batch, matrices):
    """Turn, scale, shear and move images about their centres.

    Pixels are interpolated bilinearly. What comes from outside of an image is its mirror image
    there: a constant border would show the amount of the change, and have edges that no picture
    has.

    Parameters
    ----------
    batch : torch.Tensor of shape (b, c, h, w), float32
    matrices : torch.Tensor of shape (b, 2, 3), float32
        ``matrices[i] @ (x, y, 1)`` is the point of image i that comes to lie at (x, y), both in
        pixels from the centre, x to the right and y downward.

    Returns
    -------
    torch.Tensor of shape (b, c, h, w), float32

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.augmentation import affine
    >>> to_the_left = torch.tensor([[[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]])
    >>> affine(torch.tensor([[[[1.0, 2.0, 4.0, 8.0]]]]), to_the_left)
    tensor([[[[2., 4., 8., 8.]]]])
    """
    height, width = batch.shape[2:]
    x = torch.arange(width, dtype=torch.float32, device=batch.device) - (width - 1) / 2  # (w,)
    y = torch.arange(height, dtype=torch.float32, device=batch.device) - (height - 1) / 2
    # grid_sample counts from the centre to the border as from 0 to 1.
    unit = torch.stack((matrices[:, 0] * (2 / width), matrices[:, 1] * (2 / height)), 1)
    of_x, of_y, of_1 = unit.unbind(2)  # (b, 2) each
    across = of_x[..., None] * x + of_1[..., None]  # (b, 2, w)
    down = of_y[..., None] * y  # (b, 2, h)
    grid = (across[:, :, None] + down[..., None]).permute(0, 2, 3, 1)  # (b, h, w, 2)
    return F.grid_sample(batch, grid, padding_mode="reflection", align_corners=False)


def cutout(batch, top, left, size, fill=0.0):
    """Cover a square of each image (DeVries & Taylor 2017).

    Parameters
    ----------
    batch : torch.Tensor of shape (b, c, h, w), float32
    top, left : torch.Tensor of shape (b,), int64
        First row and column of each square, which may lie outside of the image in part or whole.
    size : int
        Pixels a side.
    fill : float or torch.Tensor of shape (c,), float32
        What the squares are filled with.

    Returns
    -------
    torch.Tensor of shape (b, c, h, w), float32

    References
    ----------
    T. DeVries and G. W. Taylor, "Improved regularization of convolutional neural networks with
    cutout", arXiv:1708.04552, 2017.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.augmentation import cutout
    >>> cutout(torch.ones(1, 1, 2, 4), torch.tensor([1]), torch.tensor([-1]), 3)
    tensor([[[[1., 1., 1., 1.],
              [0., 0., 1., 1.]]]])
    """
    rows, columns = (
        _inside(torch.arange(n, device=batch.device) - first[:, None], size)
        for n, first in zip(batch.shape[2:], (top, left), strict=True)
    )  # (b, h), (b, w)
    covered = (rows[:, :, None] * columns[:, None]).unsqueeze(1)  # (b, 1, h, w), 0 or 1
    if not isinstance(fill, torch.Tensor):
        fill = torch.full((1,), fill, device=batch.device)
    return batch.lerp(fill.view(-1, 1, 1), covered)


def _inside(places, size):
    return ((places >= 0) & (places < size)).to(torch.float32)


def brightness(batch, factor):
    """Multiply pixels, as torchvision's ``adjust_brightness``.

    Parameters
    ----------
    batch : torch.Tensor of shape (b, c, h, w), float32 in 0..1
    factor : torch.Tensor of shape (b,), float32
        0 gives black, 1 the image itself.

    Returns
    -------
    torch.Tensor of shape (b, c, h, w), float32
        Clipped to 0..1.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.augmentation import brightness
    >>> brightness(torch.tensor([[[[0.2, 0.7]]]]), torch.tensor([2.0]))
    tensor([[[[0.4000, 1.0000]]]])
    """
    return (batch * factor.view(-1, 1, 1, 1)).clamp_(0, 1)


def contrast(batch, factor):
    """Move pixels away from the mean grey of their image, as torchvision's ``adjust_contrast``.

    Parameters
    ----------
    batch : torch.Tensor of shape (b, c, h, w), float32 in 0..1
        Grey or RGB.
    factor : torch.Tensor of shape (b,), float32
        0 gives the mean grey, 1 the image itself.

    Returns
    -------
    torch.Tensor of shape (b, c, h, w), float32
        Clipped to 0..1.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.augmentation import contrast
    >>> contrast(torch.tensor([[[[0.2, 0.4]]]]), torch.tensor([2.0]))
    tensor([[[[0.1000, 0.5000]]]])
    """
    factor = factor.view(-1, 1, 1, 1)
    mean = _luma(batch.mean((2, 3), keepdim=True))  # (b, 1, 1, 1)
    # In two steps: lerp is several times slower where one end has a single value an image.
    return (batch * factor).add_(mean * (1 - factor)).clamp_(0, 1)


def saturation(batch, factor):
    """Move pixels away from their own grey, as torchvision's ``adjust_saturation``.

    Parameters
    ----------
    batch : torch.Tensor of shape (b, c, h, w), float32 in 0..1
        Grey images come back as they are (the same tensor).
    factor : torch.Tensor of shape (b,), float32
        0 gives the grey image, 1 the image itself.

    Returns
    -------
    torch.Tensor of shape (b, c, h, w), float32
        Clipped to 0..1.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.augmentation import saturation
    >>> red = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)
    >>> saturation(red, torch.tensor([0.5])).flatten()
    tensor([0.6495, 0.1495, 0.1495])
    """
    if batch.shape[1] == 1:
        return batch
    return _luma(batch).lerp(batch, factor.view(-1, 1, 1, 1)).clamp_(0, 1)


def _luma(batch):
    """Grey of images (b, c, h, w), of shape (b, 1, h, w)."""
    if batch.shape[1] == 1:
        return batch
    red, green, blue = batch.split(1, dim=1)
    return (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])


def noise(batch, std):
    """Add Gaussian noise, drawn from torch's global generator for the batch's device.

    Parameters
    ----------
    batch : torch.Tensor of shape (b, c, h, w), float32 in 0..1
    std : torch.Tensor of shape (b,), float32
        Standard deviation in each image.

    Returns
    -------
    torch.Tensor of shape (b, c, h, w), float32
        Clipped to 0..1.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.augmentation import noise
    >>> noise(torch.tensor([[[[0.2, 0.7]]]]), torch.zeros(1))
    tensor([[[[0.2000, 0.7000]]]])
    """
    drawn = torch.randn(batch.shape, device=batch.device)  # the same in whatever layout it is
    return drawn.mul_(std.view(-1, 1, 1, 1)).add_(batch).clamp_(0, 1)
