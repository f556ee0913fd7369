"""LeNet-5 as its paper has it: partial connections, trained subsampling, fixed output codes."""

from collections import OrderedDict

import torch
from torch import nn

from visionpipe.networks.chain import Chain
from visionpipe.networks.image_size import check_image_size, margins

_FIELD = 32  # pixels a side: the input of the paper
_CODE_LENGTH = 84  # units of F6, as many as the 7x12 pixels of the paper's bitmaps

# Table 1 of the paper: the maps of S2 that each of the 16 maps of C3 sees.
_TABLE_1 = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)


class LeNet5Of1998(Chain):
    """LeNet-5 (LeCun, Bottou, Bengio & Haffner 1998) with the layers of the paper.

    ======== ============== =========== ===============
    layer    output         activations parameters
    ======== ============== =========== ===============
    pad      c x 32 x 32
    c1, 5x5  6 x 28 x 28    4,704       150 c + 6
    s2, 2x2  6 x 14 x 14    1,176       12
    c3, 5x5  16 x 10 x 10   1,600       1,516
    s4, 2x2  16 x 5 x 5     400         32
    c5, 5x5  120 x 1 x 1    120         48,120
    f6       84             84          10,164
    output   n_classes      n_classes   none is trained
    ======== ============== =========== ===============

    60,000 parameters for grey images up to 32x32 pixels and any number of classes. Smaller images
    are padded with zeros on all sides, as the paper pads MNIST's 28x28; larger ones make the
    kernels of c5 larger. The maps of c3 see three, four or six maps of s2 (Table 1). s2 and s4 give
    the sum of 2x2 places times a trained coefficient, plus a trained bias. A scaled tanh follows
    each layer but the output. Weights start uniform in -2.4 / n to 2.4 / n where an output has n
    inputs (appendix A), biases as zero. `visionpipe.networks.lenet.LeNet5` has today's layers.

    The output are radial basis functions: logits are minus half the squared distance of f6 to a
    fixed code of -1 and +1 for each class. Cross-entropy of them is the paper's criterion of the
    maximum a posteriori (equation 9) without its rubbish class, and softmax gives the posterior for
    Gaussians of deviation 1 about the codes.

    Differs from the paper: codes are drawn at random, the same at each time, which the paper names
    as an alternative to its 7x12 pictures of characters. It has no half before the distance;
    without the half, SGD at a constant rate of 0.03 stays at chance on scikit-learn's digits (160
    steps of 32 images, momentum 0.9, one seed), with it 40 % are right. Least image size: 1x1.

    Parameters
    ----------
    n_channels : int
    image_size : (int, int)
        Height and width.
    n_classes : int

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, "Gradient-based learning applied to document
    recognition", Proceedings of the IEEE, 1998.

    Examples
    --------
    >>> from visionpipe.networks.layer_table import layer_table
    >>> print(layer_table("lenet5_1998", (32, 32, 1)).main_layers())
    layer   kind              output    activations  parameters
    c1      Conv2d            28x28x6         4,704         156
    s2      Subsampling       14x14x6         1,176          12
    c3      PartialConv2d     10x10x16        1,600       1,516
    s4      Subsampling       5x5x16            400          32
    c5      Conv2d            1x1x120           120      48,120
    f6      Linear            84                 84      10,164
    output  DistancesToCodes  10                 10
    total                                     8,094      60,000
    """

    def __init__(self, *, n_channels, image_size, n_classes):
        height, width = check_image_size(self, image_size, (1, 1))
        left, right = margins(width, _FIELD)
        top, bottom = margins(height, _FIELD)
        n_pooled = _pooled(height + top + bottom), _pooled(width + left + right)
        super().__init__(
            OrderedDict(
                pad=nn.ZeroPad2d((left, right, top, bottom)),  # (b, c, 32, 32)
                c1=nn.Conv2d(n_channels, 6, 5),  # (b, 6, 28, 28)
                tanh1=ScaledTanh(),
                s2=Subsampling(6),  # (b, 6, 14, 14)
                tanh2=ScaledTanh(),
                c3=PartialConv2d(6, _TABLE_1, 5),  # (b, 16, 10, 10)
                tanh3=ScaledTanh(),
                s4=Subsampling(16),  # (b, 16, 5, 5)
                tanh4=ScaledTanh(),
                c5=nn.Conv2d(16, 120, n_pooled),  # (b, 120, 1, 1)
                tanh5=ScaledTanh(),
                flatten=nn.Flatten(),  # (b, 120)
                f6=nn.Linear(120, _CODE_LENGTH),  # (b, 84)
                tanh6=ScaledTanh(),
                output=DistancesToCodes(n_classes, _CODE_LENGTH),  # (b, n_classes)
            )
        )
        for layer in (self.c1, self.c5, self.f6):
            n_inputs = layer.weight[0].numel()
            nn.init.uniform_(layer.weight, -2.4 / n_inputs, 2.4 / n_inputs)
            nn.init.zeros_(layer.bias)


class ScaledTanh(nn.Module):
    """1.7159 tanh(2 x / 3), which takes -1 to -1 and 1 to 1 (appendix A)."""

    def forward(self, x):
        return 1.7159 * torch.tanh(2 / 3 * x)


class Subsampling(nn.Module):
    """The sum of 2x2 places times a trained coefficient of the map, plus a trained bias."""

    def __init__(self, n_maps):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_maps).uniform_(-2.4 / 4, 2.4 / 4))
        self.bias = nn.Parameter(torch.zeros(n_maps))

    def forward(self, maps):
        sums = nn.functional.avg_pool2d(maps, 2, divisor_override=1)  # (b, n_maps, h / 2, w / 2)
        return sums * self.weight[:, None, None] + self.bias[:, None, None]


class PartialConv2d(nn.Module):
    """A convolution each of whose maps sees some of the maps that come.

    Its kernels are put into the weights of one ordinary convolution, zeros between them, at each
    call. A convolution by groups would multiply less and take many times longer.

    Parameters
    ----------
    n_in : int
        Maps that come.
    table : tuple of tuples of int
        For each map that it gives, those it sees.
    kernel_size : int
        Pixels a side.
    """

    def __init__(self, n_in, table, kernel_size):
        super().__init__()
        self.shape = (len(table), n_in, kernel_size, kernel_size)
        places = [i * n_in + j for i, seen in enumerate(table) for j in seen]
        n_inputs = [len(seen) * kernel_size**2 for seen in table for _ in seen]
        bounds = 2.4 / torch.tensor(n_inputs)[:, None, None]  # (n_kernels, 1, 1)
        kernels = torch.empty(len(places), kernel_size, kernel_size).uniform_(-1, 1)
        self.weight = nn.Parameter(bounds * kernels)  # (n_kernels, k, k)
        self.bias = nn.Parameter(torch.zeros(len(table)))
        self.register_buffer("places", torch.tensor(places))  # (n_kernels,)

    def forward(self, maps):
        n_out, n_in, *kernel_size = self.shape
        zeros = self.weight.new_zeros(n_out * n_in, *kernel_size)
        weight = zeros.index_copy(0, self.places, self.weight).view(self.shape)
        return nn.functional.conv2d(maps, weight, self.bias)  # (b, n_out, h - k + 1, w - k + 1)


class DistancesToCodes(nn.Module):
    """Minus half the squared distance to the code of each class: (b, length) -> (b, n_classes)."""

    def __init__(self, n_classes, length):
        super().__init__()
        always_the_same = torch.Generator().manual_seed(1998)
        bits = torch.randint(2, (n_classes, length), generator=always_the_same, device="cpu")
        self.register_buffer("codes", (2.0 * bits - 1).to(torch.get_default_device()))

    def forward(self, units):
        squares = (
            units.square().sum(1, keepdim=True) + self.codes.shape[1]
        )  # (b, 1): |u|² + |code|²
        return nn.functional.linear(units, self.codes) - squares / 2


def _pooled(length):
    """Length of an axis after C1 to S4."""
    return ((length - 4) // 2 - 4) // 2
