"""Pixel values and colour spaces, equal to scikit-image's on the same picture."""

import math

import torch

VERSION = 1

# skimage.color.rgb2gray: luminance for contemporary CRT phosphors (Poynton's Colour FAQ)
GREY_WEIGHTS = (0.2125, 0.7154, 0.0721)

# Linear sRGB -> XYZ (IEC 61966-2-1); the XYZ of white, D65 as the 2 degree observer sees it
XYZ_FROM_RGB = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
WHITE_D65 = (0.95047, 1.0, 1.08883)
OPPONENT_INTENSITY = 0.01  # VLFeat's vl_phow
LAB_KNEE = 0.008856  # (6 / 29)^3, as scikit-image rounds it


def to_unit(batch):
    """Bring pixel values to float32 in 0..1.

    Parameters
    ----------
    batch : torch.Tensor of any shape
        uint8 in 0..255, or float32 in 0..1, which comes back as it is (the same tensor).

    Returns
    -------
    torch.Tensor of the same shape, float32
        For uint8, the correctly rounded quotient by 255, as in numpy's ``np.float32(v) / 255``.

    Raises
    ------
    ValueError
        If the batch has another dtype.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.color import to_unit
    >>> to_unit(torch.tensor([0, 51, 255], dtype=torch.uint8))
    tensor([0.0000, 0.2000, 1.0000])
    """
    if batch.dtype == torch.float32:
        return batch
    if batch.dtype != torch.uint8:
        raise ValueError(
            f"Got pixels of dtype {batch.dtype}; give uint8 in 0..255 or float32 in 0..1."
        )
    # A divisor on the device: CUDA multiplies by the rounded reciprocal of a Python number, which
    # is one bit away from the quotient for some levels.
    return batch.to(torch.float32).div_(torch.full((), 255.0, device=batch.device))


def rgb_to_grey(batch):
    """Luminance of RGB images, as `skimage.color.rgb2gray`.

    Parameters
    ----------
    batch : torch.Tensor of shape (b, 3, h, w)
        RGB, uint8 in 0..255 or float32 in 0..1.

    Returns
    -------
    torch.Tensor of shape (b, 1, h, w), float32 in 0..1

    Raises
    ------
    ValueError
        If the batch has not three channels.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.color import rgb_to_grey
    >>> rgb_to_grey(torch.tensor([1.0, 0.5, 0.0]).view(1, 3, 1, 1)).flatten()
    tensor([0.5702])
    """
    red, green, blue = _planes(batch)  # (b, h, w) each
    return _weighted_sum(GREY_WEIGHTS, red, green, blue).unsqueeze(1)  # (b, 1, h, w)


def rgb_to_hsv(batch):
    """Hue, saturation and value of RGB images, as `skimage.color.rgb2hsv`.

    Parameters
    ----------
    batch : torch.Tensor of shape (b, 3, h, w)
        RGB, uint8 in 0..255 or float32 in 0..1.

    Returns
    -------
    torch.Tensor of shape (b, 3, h, w), float32 in 0..1
        Greys have hue and saturation zero.

    Raises
    ------
    ValueError
        If the batch has not three channels.

    References
    ----------
    A. R. Smith, "Color gamut transform pairs", SIGGRAPH 1978.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.color import rgb_to_hsv
    >>> rgb_to_hsv(torch.tensor([0.0, 0.5, 0.25]).view(1, 3, 1, 1)).flatten()
    tensor([0.4167, 1.0000, 0.5000])
    """
    red, green, blue = _planes(batch)  # (b, h, w) each
    value = torch.maximum(torch.maximum(red, green), blue)
    chroma = value - torch.minimum(torch.minimum(red, green), blue)

    # In units of chroma, by the largest channel: blue, unless green, unless red. Where two share
    # the maximum, both formulas name the same hue, up to a full turn.
    hue = (red - green).add_(chroma, alpha=4)
    hue.lerp_((blue - red).add_(chroma, alpha=2), _mask(torch.eq, green, value))
    hue.lerp_(green - blue, _mask(torch.eq, red, value))
    hue.div_(_nonzero(chroma).mul_(6))
    hue.sub_(hue.floor())
    return torch.stack((hue, chroma.div_(_nonzero(value)), value), 1)


def rgb_to_lab(batch):
    """CIE L*a*b* of sRGB images, white point D65, 2 degree observer, as `skimage.color.rgb2lab`.

    Parameters
    ----------
    batch : torch.Tensor of shape (b, 3, h, w)
        RGB, uint8 in 0..255 or float32 in 0..1.

    Returns
    -------
    torch.Tensor of shape (b, 3, h, w), float32
        L in 0..100; a and b within about -87..99 and -108..95.

    Raises
    ------
    ValueError
        If the batch has not three channels.

    References
    ----------
    CIE 15:2004, Colorimetry; IEC 61966-2-1, sRGB.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.color import rgb_to_lab
    >>> rgb_to_lab(torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)).flatten()
    tensor([53.2406, 80.0923, 67.2027])
    """
    red, green, blue = _linear_light(batch)  # (b, h, w) each
    x, y, z = (
        _lightness(_weighted_sum([weight / white for weight in row], red, green, blue))
        for row, white in zip(XYZ_FROM_RGB, WHITE_D65, strict=True)
    )
    return torch.stack((y.mul(116).sub_(16), x.sub_(y).mul_(500), y.sub(z).mul_(200)), 1)


def rgb_to_opponent(batch):
    """Intensity and the two opponent colours, red-green and yellow-blue, of RGB images.

    Parameters
    ----------
    batch : torch.Tensor of shape (b, 3, h, w)
        RGB, uint8 in 0..255 or float32 in 0..1.

    Returns
    -------
    torch.Tensor of shape (b, 3, h, w), float32
        The mean of R, G and B in 0..1, (R - G) / sqrt(2) and (R + G - 2 B) / sqrt(6). A hundredth
        of the intensity is added to the opponent colours, as in VLFeat's PHOW: where a picture has
        no colour, their gradients are those of the intensity and not noise.

    Raises
    ------
    ValueError
        If the batch has not three channels.

    References
    ----------
    K. van de Sande, T. Gevers and C. Snoek, "Evaluating color descriptors for object and scene
    recognition", PAMI 2010.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.color import rgb_to_opponent
    >>> rgb_to_opponent(torch.tensor([1.0, 0.0, 0.5]).view(1, 3, 1, 1)).flatten()
    tensor([0.5000, 0.7121, 0.0050])
    """
    red, green, blue = _planes(batch)  # (b, h, w) each
    intensity = _weighted_sum((1 / 3, 1 / 3, 1 / 3), red, green, blue)
    opponents = (
        _weighted_sum([weight / norm for weight in weights], red, green, blue)
        for weights, norm in (((1, -1, 0), math.sqrt(2)), ((1, 1, -2), math.sqrt(6)))
    )
    tinted = (opponent.add_(intensity, alpha=OPPONENT_INTENSITY) for opponent in opponents)
    return torch.stack((intensity, *tinted), 1)


def _planes(batch):
    """The three channels of a batch as contiguous float32 planes in 0..1."""
    return to_unit(_channels_first(batch))


def _channels_first(batch):
    if batch.ndim != 4 or batch.shape[1] != 3:
        raise ValueError(
            f"RGB colour needs a batch of shape (b, 3, h, w); got {tuple(batch.shape)}."
        )
    return batch.transpose(0, 1).contiguous()  # (3, b, h, w)


def _weighted_sum(weights, red, green, blue):
    total = red * weights[0]
    return total.add_(green, alpha=weights[1]).add_(blue, alpha=weights[2])


def _linear_light(batch):
    """The channels of a batch with the transfer curve of sRGB undone, (3, b, h, w)."""
    planes = _channels_first(batch)
    if planes.dtype != torch.uint8:
        return _undo_transfer_curve(to_unit(planes))
    levels = torch.arange(256, dtype=torch.uint8, device=batch.device)
    table = _undo_transfer_curve(to_unit(levels))
    return table.index_select(0, planes.to(torch.int32).flatten()).view_as(planes)


def _undo_transfer_curve(x):
    curve = _power((x + 0.055).div_(1.055), 2.4)
    return (x / 12.92).lerp_(curve, _mask(torch.gt, x, 0.04045))


def _lightness(x):
    """The compressive curve of CIE Lab: a cube root, with a straight line near black."""
    curve = _power(x.clamp(min=LAB_KNEE), 1 / 3)
    return (7.787 * x).add_(16 / 116).lerp_(curve, _mask(torch.gt, x, LAB_KNEE))


def _power(x, exponent):
    """x ** exponent, overwriting x.

    torch.pow computes the last few elements of a tensor by another routine, which rounds
    differently: a pixel's colour would depend on its place in the batch.
    """
    return x.log_().mul_(exponent).exp_()


def _mask(compare, x, y):
    """A comparison as 0.0 and 1.0, by which lerp selects exactly; much faster than booleans."""
    return compare(x, y, out=torch.empty_like(x))


def _nonzero(x):
    """A divisor that is 1 where x is 0."""
    return x + _mask(torch.eq, x, 0)
