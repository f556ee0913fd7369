"""Augmentation: training images, changed a little each time a network sees them."""

from numbers import Integral, Real

import torch
from sklearn.base import BaseEstimator

from visionpipe.base import check_choice, refuse
from visionpipe.kernels.augmentation import (
    affine,
    brightness,
    contrast,
    crop,
    cutout,
    mirror,
    noise,
    pad,
    saturation,
    turn_scale_shear,
)
from visionpipe.kernels.color import to_unit

# What a parameter has to be, what the error calls it, and whether a value of that kind will do.
_PIXELS = Integral, "a whole number of pixels from 0", lambda n: n >= 0
_SHARE = Real, "a number from 0 to 1", lambda share: 0 <= share <= 1
_AMOUNTS = {
    "shift": _PIXELS,
    "rotate": (Real, "a number of degrees from 0 to 180", lambda angle: 0 <= angle <= 180),
    "scale": (Real, "a number from 0 and below 1", lambda share: 0 <= share < 1),
    "shear": (Real, "a number of degrees from 0 and below 90", lambda angle: 0 <= angle < 90),
    "cutout": _PIXELS,
    "brightness": _SHARE,
    "contrast": _SHARE,
    "saturation": _SHARE,
    "noise": _SHARE,
}


class Augmentation(BaseEstimator):
    """Random changes to training images that leave their class alone, all off by default.

    Every image gets amounts of its own, uniform within what the parameters allow, each time it is
    seen. The changes are made in the order of the parameters, but for `cutout`, which comes last.

    Parameters
    ----------
    mirror : bool or "alternating", default=False
        Swap left and right. True does so to each image with probability 1/2 each time.
        "alternating" draws once for each image, and then turns it over in every other epoch, so
        that two epochs in a row show all images both ways (Jordan 2024). Not for digits or letters.
    shift : int, default=0
        Move by up to so many pixels in each direction: a random crop of the padded image. 4, with
        zeros, is customary for 32x32 (He et al. 2016); Jordan 2024 has 2, with reflection.
    padding : {"reflect", "zero"}, default="reflect"
        What a shift brings in: the image's reflection, for which images must be larger than the
        shift, or black.
    rotate : float, default=0
        Turn by up to so many degrees either way. This, `scale` and `shear` interpolate bilinearly,
        once for all three, about the centre; the image's reflection fills what comes in.
    scale : float in [0, 1), default=0
        Enlarge by a factor from ``1 - scale`` to ``1 + scale``.
    shear : float, default=0
        Lean by up to so many degrees either way.
    cutout : int, default=0
        Cover a square of so many pixels a side, centred anywhere in the image, with the mean colour
        of the batch (DeVries & Taylor 2017, who use 16 for CIFAR-10).
    brightness : float in [0, 1], default=0
        Multiply pixels by a factor from ``1 - brightness`` to ``1 + brightness``. As after the
        changes below, values are clipped to 0..1.
    contrast : float in [0, 1], default=0
        Multiply the distance of pixels from the image's mean grey by such a factor.
    saturation : float in [0, 1], default=0
        Multiply the distance of pixels from their own grey by such a factor; grey images stay.
    noise : float in [0, 1], default=0
        Add Gaussian noise of a standard deviation of up to this, where white is 1.

    Notes
    -----
    Mirrored and shifted images stay uint8; the other parameters make them float32.

    References
    ----------
    T. DeVries and G. W. Taylor, "Improved regularization of convolutional neural networks with
    cutout", arXiv:1708.04552, 2017.

    K. He, X. Zhang, S. Ren and J. Sun, "Deep residual learning for image recognition", CVPR, 2016.

    K. Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", arXiv:2404.00498, 2024.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.deep.data.augmentation import Augmentation
    >>> batch = torch.tensor([[1, 2, 3], [4, 5, 6]], dtype=torch.uint8).view(2, 1, 1, 3)
    >>> augmentation = Augmentation(mirror="alternating")
    >>> for epoch in range(2):
    ...     augmentation.apply(batch, torch.tensor([0, 1]), epoch, seed=0).view(2, 3).tolist()
    [[1, 2, 3], [6, 5, 4]]
    [[3, 2, 1], [4, 5, 6]]
    """

    def __init__(
        self,
        *,
        mirror=False,
        shift=0,
        padding="reflect",
        rotate=0,
        scale=0,
        shear=0,
        cutout=0,
        brightness=0,
        contrast=0,
        saturation=0,
        noise=0,
    ):
        self.mirror = mirror
        self.shift = shift
        self.padding = padding
        self.rotate = rotate
        self.scale = scale
        self.shear = shear
        self.cutout = cutout
        self.brightness = brightness
        self.contrast = contrast
        self.saturation = saturation
        self.noise = noise

    def check(self):
        """Raise a ValueError if a parameter makes no sense."""
        check_choice(self, mirror=(False, True, "alternating"), padding=("reflect", "zero"))
        for name, (kind, wanted, holds) in _AMOUNTS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, kind) or not holds(value):
                refuse(self, name, wanted)

    def apply(self, batch, rows, epoch, seed):
        """Change a batch.

        Random numbers come from torch's global generator for the batch's device. Nothing waits for
        a GPU.

        Parameters
        ----------
        batch : Tensor of shape (b, c, h, w)
            uint8, or float32 in 0..1. It is left as it is.
        rows : Tensor of int64 of shape (b,)
            The images' numbers in the data set, on the batch's device.
        epoch : int
            From 0. With `rows` and `seed` it decides, alone, which images
            ``mirror="alternating"`` turns over.
        seed : int

        Returns
        -------
        Tensor of shape (b, c, h, w)
            uint8, or float32 in 0..1, see Notes of the class. The same tensor if all is off.

        Raises
        ------
        ValueError
            If images are too small to be reflected as far as they are shifted.
        """
        if self.mirror:
            batch = mirror(batch, self._mirrored(rows, epoch, seed))
        if self.shift:
            batch = self._shifted(batch)
        if self.rotate or self.scale or self.shear:
            batch = self._turned(to_unit(batch))
        for change in (brightness, contrast, saturation):
            if amount := getattr(self, change.__name__):
                batch = change(to_unit(batch), 1 + _up_to(amount, batch))
        if self.noise:
            std = self.noise * torch.rand(len(batch), device=batch.device)  # (b,)
            batch = noise(to_unit(batch), std)
        if self.cutout:
            batch = self._covered(to_unit(batch))
        return batch

    def _mirrored(self, rows, epoch, seed):
        if self.mirror == "alternating":
            return _coins(rows, seed) ^ bool(epoch % 2)
        return torch.rand(len(rows), device=rows.device) < 0.5

    def _shifted(self, batch):
        padded = pad(batch, self.shift, self.padding)
        top, left = torch.randint(2 * self.shift + 1, (2, len(batch)), device=batch.device)
        return crop(padded, top, left, batch.shape[2:])

    def _turned(self, batch):
        angle, shear = _up_to(self.rotate, batch), _up_to(self.shear, batch)
        return affine(batch, turn_scale_shear(angle, 1 + _up_to(self.scale, batch), shear))

    def _covered(self, batch):
        top, left = (
            torch.randint(length, (len(batch),), device=batch.device) - self.cutout // 2
            for length in batch.shape[2:]
        )
        return cutout(batch, top, left, self.cutout, fill=batch.mean((0, 2, 3)))


def _up_to(amount, batch):
    """A number for each image, uniform in -amount..amount, of shape (b,)."""
    return torch.empty(len(batch), device=batch.device).uniform_(-amount, amount)


def _coins(rows, seed):
    """A fair coin for each row, always the same for a row and a seed; bool, of shape (b,).

    T. Mueller's hash of 32 bits, whose products fit into int64. Rows of two seeds start at places
    far apart (the golden ratio of 2 ** 32).
    """
    x = rows + (int(seed) * 0x9E3779B9 & 0xFFFFFFFF)
    for _ in range(2):
        x = ((x >> 16) ^ x) * 0x45D9F3B & 0xFFFFFFFF
    return ((x >> 16) ^ x) & 1 == 1
