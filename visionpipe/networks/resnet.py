"""Residual networks, with squeeze-and-excitation if asked for."""

from collections import OrderedDict

from torch import nn

from visionpipe.networks.chain import Chain
from visionpipe.networks.image_size import check_image_size

_WIDTHS = (64, 128, 256, 512)  # of the 3x3 convolutions of each stage
_N_BLOCKS = {  # of each stage, by depth: table 1 of the paper
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
_LEAST_OF_BOTTLENECKS = 50  # the least depth whose blocks are bottlenecks
_EXPANSION = 4  # maps that a bottleneck gives over those of its 3x3 convolution

_CIFAR_WIDTHS = (16, 32, 64)
_CIFAR_DEPTHS = (20, 32, 44, 56, 110)


class ResNet(Chain):
    """Residual network for ImageNet (He et al. 2016), or SE-ResNet (Hu, Shen & Sun 2018).

    ============== ================ ========================= ==============================
    layer          output (224x224) blocks at 18, 34          output, blocks at 50, 101, 152
    ============== ================ ========================= ==============================
    conv1, 7x7/2   64 x 112 x 112
    pool1, 3x3/2   64 x 56 x 56
    stage1         64 x 56 x 56     2, 3                      256 x 56 x 56: 3, 3, 3
    stage2         128 x 28 x 28    2, 4                      512 x 28 x 28: 4, 4, 8
    stage3         256 x 14 x 14    2, 6                      1024 x 14 x 14: 6, 23, 36
    stage4         512 x 7 x 7      2, 3                      2048 x 7 x 7: 3, 3, 3
    pool           512              mean of a map             2048
    dense          n_classes        513 n_classes parameters  2049 n_classes parameters
    ============== ================ ========================= ==============================

    ===== =============== ==================
    depth parameters      with ``squeeze=16``
    ===== =============== ==================
    18    11,689,512      11,778,592
    34    21,797,672      21,958,868
    50    25,557,032      28,088,024
    101   44,549,160      49,326,872
    152   60,192,808      66,821,848
    ===== =============== ==================

    The parameters are those for RGB images of any size and 1,000 classes; conv1 has 3,136 for each
    channel of the image. A block adds to what came two 3x3 convolutions of it (18, 34), or a 1x1, a
    3x3 and a 1x1 with four times the maps (50 and more). Convolutions have no bias and are followed
    by batch normalisation; ReLU follows that, but for the last of a block, and the sum. Where a
    block changes the shape, the sum takes a 1x1 convolution of what came (the paper's option B).
    Initial convolutions are normal of variance 2 over the values that one input reaches (He et al.
    2015, equation 14), initial scales of normalisation 1, dense layers PyTorch's.

    Differs from the paper: stages 2 to 4 halve height and width in the 3x3 convolution of a
    bottleneck, as fb.resnet.torch and torchvision do ("v1.5"), not in the 1x1 before it, which
    would never look at three quarters of the places. Least image size: 1x1, but images up to 32x32
    leave stage4 a single place, and normalisation cannot learn from that in a batch of one image.

    Parameters
    ----------
    n_channels : int
    image_size : (int, int)
        Height and width, checked alone: the same weights take images of every size.
    n_classes : int
    depth : {18, 34, 50, 101, 152}
        Layers with weights, one after the other.
    squeeze : int or None
        Reduction of the squeeze-and-excitation that ends what each block adds: its hidden layer has
        one unit for so many maps. Hu et al. take 16. None leaves it out.

    Raises
    ------
    ValueError
        If the depth is none of these, or a block has fewer maps than `squeeze`.

    References
    ----------
    K. He, X. Zhang, S. Ren and J. Sun, "Deep residual learning for image recognition", CVPR, 2016.

    K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers: surpassing human-level
    performance on ImageNet classification", ICCV, 2015.

    J. Hu, L. Shen and G. Sun, "Squeeze-and-excitation networks", CVPR, 2018.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.networks.resnet import ResNet
    >>> network = ResNet(n_channels=3, image_size=(64, 64), n_classes=5, depth=18, squeeze=16)
    >>> network(torch.rand(2, 3, 64, 64)).shape
    torch.Size([2, 5])
    """

    def __init__(self, *, n_channels, image_size, n_classes, depth=18, squeeze=None):
        check_image_size(self, image_size, (1, 1))
        _check_depth(self, depth, _N_BLOCKS)
        has_bottlenecks = depth >= _LEAST_OF_BOTTLENECKS
        block = _bottleneck if has_bottlenecks else _basic
        n_maps = [_EXPANSION * width if has_bottlenecks else width for width in _WIDTHS]
        _check_squeeze(squeeze, n_maps[0])
        layers = OrderedDict(
            conv1=_convolution(n_channels, 64, 7, stride=2),  # (b, 64, 112, 112)
            norm1=nn.BatchNorm2d(64),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(3, 2, padding=1),  # (b, 64, 56, 56)
        )
        # (b, 64, 56, 56) to (b, 512, 7, 7), or (b, 256, 56, 56) to (b, 2048, 7, 7)
        layers |= _stages(block, _Projection, 64, n_maps, _N_BLOCKS[depth], squeeze)
        super().__init__(layers | _head(n_maps[-1], n_classes))  # (b, n_classes)


class CifarResNet(Chain):
    """Residual network for CIFAR-10 (He, Zhang, Ren & Sun 2016, section 4.2).

    ============= =============== =============== ====================
    layer         output (32x32)  blocks          parameters
    ============= =============== =============== ====================
    conv1, 3x3    16 x 32 x 32                    144 c + 32
    stage1        16 x 32 x 32    (depth - 2) / 6 4,672 a block
    stage2        32 x 16 x 16    (depth - 2) / 6 18,560 a block, less 4,608
    stage3        64 x 8 x 8      (depth - 2) / 6 73,984 a block, less 18,432
    pool          64              mean of a map
    dense         n_classes                       65 n_classes
    ============= =============== =============== ====================

    269,722, 464,154, 658,586, 853,018 and 1,727,962 parameters at depths 20, 32, 44, 56 and 110,
    for RGB images of any size and 10 classes. A block is two 3x3 convolutions, each with batch
    normalisation, whose result is added to what came; ReLU follows the first and the sum. Where
    height and width halve, the sum takes every second row and column of what came, and zeros for
    the maps that it lacks (the paper's option A), which costs no parameters. Initial convolutions
    are normal of variance 2 over the values that one input reaches (He et al. 2015, equation 14),
    initial scales of normalisation 1, the dense layer PyTorch's.

    The paper trains depth 110 with a tenth of the learning rate until the training error is below
    80 %; that is not the network's business. Least image size: 1x1, but images up to 4x4 leave
    stage3 a single place, and normalisation cannot learn from that in a batch of one image.

    Parameters
    ----------
    n_channels : int
    image_size : (int, int)
        Height and width, checked alone: the same weights take images of every size.
    n_classes : int
    depth : {20, 32, 44, 56, 110}
        Layers with weights, one after the other.

    Raises
    ------
    ValueError
        If the depth is none of these.

    References
    ----------
    K. He, X. Zhang, S. Ren and J. Sun, "Deep residual learning for image recognition", CVPR, 2016.

    K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers: surpassing human-level
    performance on ImageNet classification", ICCV, 2015.

    Examples
    --------
    >>> from visionpipe.networks.resnet import CifarResNet
    >>> network = CifarResNet(n_channels=3, image_size=(32, 32), n_classes=10)
    >>> sum(parameter.numel() for parameter in network.parameters())
    269722
    """

    def __init__(self, *, n_channels, image_size, n_classes, depth=20):
        check_image_size(self, image_size, (1, 1))
        _check_depth(self, depth, _CIFAR_DEPTHS)
        layers = OrderedDict(
            conv1=_convolution(n_channels, 16, 3),  # (b, 16, 32, 32)
            norm1=nn.BatchNorm2d(16),
            relu1=nn.ReLU(),
        )
        n_blocks = [(depth - 2) // 6] * len(_CIFAR_WIDTHS)
        # (b, 16, 32, 32) to (b, 64, 8, 8)
        layers |= _stages(_basic, _ZeroPadding, 16, _CIFAR_WIDTHS, n_blocks)
        super().__init__(layers | _head(_CIFAR_WIDTHS[-1], n_classes))  # (b, n_classes)


class SqueezeExcitation(nn.Sequential):
    """Scale each of maps (b, c, h, w) by a number in 0..1 that depends on the means of all.

    Equations 2 to 4 of Hu et al. 2018.

    Parameters
    ----------
    n_maps : int
    reduction : int
        Maps for each unit of the hidden layer.
    """

    def __init__(self, n_maps, reduction):
        n_hidden = n_maps // reduction
        super().__init__(
            OrderedDict(
                pool=nn.AdaptiveAvgPool2d(1),  # (b, c, 1, 1)
                flatten=nn.Flatten(),  # (b, c)
                dense1=nn.Linear(n_maps, n_hidden),  # (b, c / 16)
                relu=nn.ReLU(),
                dense2=nn.Linear(n_hidden, n_maps),  # (b, c)
                sigmoid=nn.Sigmoid(),
            )
        )

    def forward(self, maps):
        return maps * super().forward(maps)[:, :, None, None]


class _Residual(nn.Module):
    """What came, through a shortcut, and what a few layers add to it."""

    def __init__(self, layers, shortcut):
        super().__init__()
        self.layers = nn.Sequential(layers)
        self.shortcut = shortcut
        self.relu = nn.ReLU()

    def forward(self, maps):
        return self.relu(self.layers(maps) + self.shortcut(maps))


class _Projection(nn.Sequential):
    """Option B: a 1x1 convolution, in steps of `stride`."""

    def __init__(self, n_in, n_out, stride):
        super().__init__(
            OrderedDict(conv=_convolution(n_in, n_out, 1, stride), norm=nn.BatchNorm2d(n_out))
        )


class _ZeroPadding(nn.Module):
    """Option A: every so many rows and columns, then maps of zeros."""

    def __init__(self, n_in, n_out, stride):
        super().__init__()
        self.n_missing, self.stride = n_out - n_in, stride

    def forward(self, maps):
        kept = maps[:, :, :: self.stride, :: self.stride]  # (b, n_in, h / 2, w / 2)
        return nn.functional.pad(kept, (0, 0, 0, 0, 0, self.n_missing))  # (b, n_out, h / 2, w / 2)


def _stages(block, shortcut, n_in, n_maps, n_blocks, squeeze=None):
    """Stages by name, of so many maps and blocks; all but the first halve height and width."""
    stages = OrderedDict()
    for i, (n_out, n) in enumerate(zip(n_maps, n_blocks, strict=True)):
        first = _residual(block, shortcut, n_in, n_out, 1 if i == 0 else 2, squeeze)
        others = [_residual(block, shortcut, n_out, n_out, 1, squeeze) for _ in range(n - 1)]
        blocks = enumerate([first, *others], start=1)
        stages[f"stage{i + 1}"] = nn.Sequential(OrderedDict((f"block{k}", b) for k, b in blocks))
        n_in = n_out
    return stages


def _residual(block, shortcut, n_in, n_out, stride, squeeze):
    """A block (b, n_in, h, w) -> (b, n_out, h / stride, w / stride) with the shortcut it needs."""
    layers = block(n_in, n_out, stride)
    if squeeze is not None:
        layers["squeeze"] = SqueezeExcitation(n_out, squeeze)
    same_shape = n_in == n_out and stride == 1
    return _Residual(layers, nn.Identity() if same_shape else shortcut(n_in, n_out, stride))


def _basic(n_in, n_out, stride):
    """Two 3x3 convolutions."""
    return OrderedDict(
        conv1=_convolution(n_in, n_out, 3, stride),  # (b, n_out, h / stride, w / stride)
        norm1=nn.BatchNorm2d(n_out),
        relu1=nn.ReLU(),
        conv2=_convolution(n_out, n_out, 3),
        norm2=nn.BatchNorm2d(n_out),
    )


def _bottleneck(n_in, n_out, stride):
    """A 1x1 convolution to a quarter of the maps, a 3x3 of those, and a 1x1 to all maps."""
    width = n_out // _EXPANSION
    return OrderedDict(
        conv1=_convolution(n_in, width, 1),  # (b, n_out / 4, h, w)
        norm1=nn.BatchNorm2d(width),
        relu1=nn.ReLU(),
        conv2=_convolution(width, width, 3, stride),  # (b, n_out / 4, h / stride, w / stride)
        norm2=nn.BatchNorm2d(width),
        relu2=nn.ReLU(),
        conv3=_convolution(width, n_out, 1),  # (b, n_out, h / stride, w / stride)
        norm3=nn.BatchNorm2d(n_out),
    )


def _convolution(n_in, n_out, kernel_size, stride=1):
    """Without bias, and padded so that only the stride makes maps smaller, rounded up."""
    layer = nn.Conv2d(n_in, n_out, kernel_size, stride, padding=kernel_size // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


def _head(n_maps, n_classes):
    return OrderedDict(
        pool=nn.AdaptiveAvgPool2d(1),  # (b, n_maps, 1, 1)
        flatten=nn.Flatten(),  # (b, n_maps)
        dense=nn.Linear(n_maps, n_classes),  # (b, n_classes)
    )


def _check_depth(network, depth, known):
    if depth not in known:
        depths = ", ".join(map(str, known))
        name = type(network).__name__
        raise ValueError(f"{name}(depth={depth!r}): depth must be one of {depths}")


def _check_squeeze(squeeze, n_maps):
    if squeeze is not None and not 1 <= squeeze <= n_maps:
        raise ValueError(
            f"ResNet(squeeze={squeeze!r}): squeeze must be None or a reduction from 1 to {n_maps}, "
            "the maps of the first blocks; Hu et al. take 16"
        )
