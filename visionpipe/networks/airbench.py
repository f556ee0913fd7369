"""The network of airbench94, which learns CIFAR-10 in seconds on a GPU."""

import math
from collections import OrderedDict

import torch
from torch import nn

from visionpipe.networks.chain import Chain
from visionpipe.networks.image_size import check_image_size

_KERNEL = 2  # pixels a side of a whitened patch
_SMALLEST = 5e-4  # added to the variances of patches, before their roots divide
_IMAGES_PER_CHUNK = 256  # of patches that stand in memory at once


class Airbench(Chain):
    """The network of airbench94 (Jordan 2024): whitened patches, then six narrow convolutions.

    ============= =================== =========== ==============
    layer         output (32x32)      activations parameters
    ============= =================== =========== ==============
    whiten, 2x2   8 c x 31 x 31       7,688 c     8 c
    group1        64 x 15 x 15        14,400      4,608 c + 36,992
    group2        256 x 7 x 7         12,544      737,792
    group3        256 x 3 x 3         2,304       1,180,160
    pool, 3x3     256                 256
    head          n_classes           n_classes   256 n_classes
    ============= =================== =========== ==============

    1,971,352 parameters for RGB images of 32x32 pixels and 10 classes; the original's 1,972,792
    count 288 whitening weights and 1,152 scales that are not trained. A group is a 3x3 convolution,
    2x2 max pooling, batch normalisation and GELU, then a 3x3 convolution, batch normalisation and
    GELU. Normalisation has a bias and no scale, convolutions have no bias, and the first filters of
    each pass their input on unchanged, as far as there are channels. Images up to 32 pixels leave
    one place for the head; larger ones make it larger.

    Differs from airbench94_muon: the bias of the whitening layer is trained to the end instead of
    for 3 epochs, the last pooling takes what is left at the edges, and whitening directions have a
    definite sign. The head is that of airbench94 (PyTorch's initial weights, logits over 9);
    airbench94_muon has weights of deviation 1 and logits over 256, which is as large at first but
    asks for other learning rates. Least image size: 9x9.

    Parameters
    ----------
    n_channels : int
    image_size : (int, int)
        Height and width.
    n_classes : int
    widths : (int, int, int)
        Channels of the three groups.

    References
    ----------
    K. Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", arXiv:2404.00498, 2024, and
    airbench94_muon.py of https://github.com/KellerJordan/cifar10-airbench.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.networks.airbench import Airbench
    >>> images = torch.randn(20, 3, 32, 32)
    >>> network = Airbench(n_channels=3, image_size=(32, 32), n_classes=10, widths=(8, 16, 16))
    >>> network.initialize_from(images)
    >>> network(images).shape
    torch.Size([20, 10])
    """

    def __init__(self, *, n_channels, image_size, n_classes, widths=(64, 256, 256)):
        layers = {"whiten": (2, 2), "group1": (3, 3), "group2": (5, 5), "group3": (9, 9)}
        size = check_image_size(self, image_size, layers["group3"], layers)
        n_places = math.prod(math.ceil((length - 1) // 8 / 3) for length in size)
        whiten = Whitening(n_channels)
        super().__init__(
            OrderedDict(
                whiten=whiten,  # (b, 24, 31, 31)
                gelu=nn.GELU(),
                group1=_group(whiten.n_filters, widths[0]),  # (b, 64, 15, 15)
                group2=_group(widths[0], widths[1]),  # (b, 256, 7, 7)
                group3=_group(widths[1], widths[2]),  # (b, 256, 3, 3)
                pool=nn.MaxPool2d(3, ceil_mode=True),  # (b, 256, 1, 1)
                flatten=nn.Flatten(),  # (b, 256)
                head=_Head(n_places * widths[2], n_classes, bias=False),  # (b, n_classes)
            )
        )

    def initialize_from(self, images):
        """Set the whitening weights from training images; without it they stay random.

        Parameters
        ----------
        images : Tensor (b, c, h, w), float32
            Standardised as those the network is to be trained on. 5,000 are plenty.
        """
        self.whiten.initialize_from(images)


class Whitening(nn.Module):
    """Convolution (b, c, h, w) -> (b, 8 c, h - 1, w - 1) whose outputs are uncorrelated.

    The first half of the filters are the principal directions of 2x2 patches over their deviations,
    the second half their negatives, so that a rectifier loses nothing. Weights are a buffer, only
    the bias is trained. They are random orthogonal directions until `initialize_from`.
    """

    def __init__(self, n_channels):
        super().__init__()
        n_values = n_channels * _KERNEL**2
        self.n_filters = 2 * n_values
        directions = nn.init.orthogonal_(torch.empty(n_values, n_values))
        self.register_buffer("weight", self._filters(directions))  # (8 c, c, 2, 2)
        bound = n_values**-0.5  # that of nn.Conv2d
        self.bias = nn.Parameter(torch.empty(self.n_filters).uniform_(-bound, bound))

    def initialize_from(self, images):
        """Learn the directions from images (b, c, h, w)."""
        variances, directions = torch.linalg.eigh(patch_moments(images).double().cpu())
        directions = _with_definite_sign(directions.T)  # (4 c, 4 c), one a row
        directions /= (variances.clamp(min=0) + _SMALLEST).sqrt()[:, None]
        self.weight.copy_(self._filters(directions))

    def forward(self, images):
        return nn.functional.conv2d(images, self.weight, self.bias)

    @staticmethod
    def _filters(directions):
        return torch.cat([directions, -directions]).unflatten(1, (-1, _KERNEL, _KERNEL))


def patch_moments(images):
    """Mean products (4 c, 4 c) of the values of 2x2 patches, in the order of a filter's weights.

    The covariance, for images of mean 0.
    """
    height, width = (length - _KERNEL + 1 for length in images.shape[2:])
    total = 0
    for chunk in images.split(_IMAGES_PER_CHUNK):
        patches = nn.functional.unfold(chunk, _KERNEL)  # (b, 4 c, height * width)
        total = total + torch.einsum("bip,bjp->ij", patches, patches)
    return total / (len(images) * height * width)


def _with_definite_sign(directions):
    """Rows, each turned so that the first of its large values is positive.

    Not the largest: values of patches come in pairs of one size, told apart by rounding alone.
    """
    large = directions.abs() > directions.abs().amax(dim=1, keepdim=True) / 2
    first = large.int().argmax(dim=1, keepdim=True)  # (d, 1)
    return directions * directions.gather(1, first).sign()


def _group(n_in, n_out):
    """Two convolutions, the first pooled; halves height and width."""
    return nn.Sequential(
        OrderedDict(
            conv1=_Convolution(n_in, n_out),
            pool=nn.MaxPool2d(2),
            norm1=_Normalisation(n_out),
            gelu1=nn.GELU(),
            conv2=_Convolution(n_out, n_out),
            norm2=_Normalisation(n_out),
            gelu2=nn.GELU(),
        )
    )


class _Convolution(nn.Conv2d):
    """3x3, without bias; the first filters pass the input on."""

    def __init__(self, n_in, n_out):
        super().__init__(n_in, n_out, 3, padding=1, bias=False)

    def reset_parameters(self):
        super().reset_parameters()
        nn.init.dirac_(self.weight.detach()[: self.in_channels])


class _Normalisation(nn.BatchNorm2d):
    """With a bias and no scale; a new batch makes 0.4 of the running statistics."""

    def __init__(self, n_channels):
        super().__init__(n_channels, eps=1e-12, momentum=0.4)
        del self.weight
        # Of ones, not None: cuDNN wants a scale with its bias.
        self.register_buffer("weight", torch.ones(n_channels), persistent=False)


class _Head(nn.Linear):
    def forward(self, maps):
        return super().forward(maps) / 9
