"""The networks of Oxford's Visual Geometry Group: depth out of 3x3 convolutions alone."""

from collections import OrderedDict

from torch import nn

from visionpipe.networks.alexnet import normalisation
from visionpipe.networks.chain import Chain
from visionpipe.networks.image_size import check_image_size
from visionpipe.networks.initial_weights import he_normal

_WIDTHS = (64, 128, 256, 512, 512)  # channels of the five stages

# Table 1 of the paper: kernel sides of the convolutions of each stage.
_CONFIGURATIONS = {
    "A": ((3,), (3,), (3, 3), (3, 3), (3, 3)),
    "A-LRN": ((3,), (3,), (3, 3), (3, 3), (3, 3)),
    "B": ((3, 3), (3, 3), (3, 3), (3, 3), (3, 3)),
    "C": ((3, 3), (3, 3), (3, 3, 1), (3, 3, 1), (3, 3, 1)),
    "D": ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
    "E": ((3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3)),
}

# The smallest images for which a pooling still gives something.
_NEEDED = {f"pool{stage}": (2**stage, 2**stage) for stage in range(1, 6)}


class VGG(Chain):
    """VGG (Simonyan & Zisserman 2015): five stages of 3x3 convolutions, three dense layers.

    Configuration "D", known as VGG-16:

    ============= ================== =========== ================
    layer         output (224x224)   activations parameters
    ============= ================== =========== ================
    conv1_1, 3x3  64 x 224 x 224     3,211,264   576 c + 64
    conv1_2, 3x3  64 x 224 x 224     3,211,264   36,928
    pool1, 2x2    64 x 112 x 112     802,816
    conv2_1, 3x3  128 x 112 x 112    1,605,632   73,856
    conv2_2, 3x3  128 x 112 x 112    1,605,632   147,584
    pool2, 2x2    128 x 56 x 56      401,408
    conv3_1, 3x3  256 x 56 x 56      802,816     295,168
    conv3_2, 3x3  256 x 56 x 56      802,816     590,080
    conv3_3, 3x3  256 x 56 x 56      802,816     590,080
    pool3, 2x2    256 x 28 x 28      200,704
    conv4_1, 3x3  512 x 28 x 28      401,408     1,180,160
    conv4_2, 3x3  512 x 28 x 28      401,408     2,359,808
    conv4_3, 3x3  512 x 28 x 28      401,408     2,359,808
    pool4, 2x2    512 x 14 x 14      100,352
    conv5_1, 3x3  512 x 14 x 14      100,352     2,359,808
    conv5_2, 3x3  512 x 14 x 14      100,352     2,359,808
    conv5_3, 3x3  512 x 14 x 14      100,352     2,359,808
    pool5, 2x2    512 x 7 x 7        25,088
    dense1        4096               4,096       102,764,544
    dense2        4096               4,096       16,781,312
    dense3        n_classes          n_classes   4,097 n_classes
    ============= ================== =========== ================

    The configurations differ in their convolutions alone. Parameters are those for RGB images of
    224x224 pixels and 1,000 classes:

    ============= ========================= ===================================== ===========
    configuration convolutions of stage 1-5 of which                              parameters
    ============= ========================= ===================================== ===========
    A (VGG-11)    1, 1, 2, 2, 2             all 3x3                               132,863,336
    A-LRN         1, 1, 2, 2, 2             all 3x3, the first one normalised     132,863,336
    B (VGG-13)    2, 2, 2, 2, 2             all 3x3                               133,047,848
    C             2, 2, 3, 3, 3             the last of stages 3 to 5 is 1x1      133,638,952
    D (VGG-16)    2, 2, 3, 3, 3             all 3x3                               138,357,544
    E (VGG-19)    2, 2, 4, 4, 4             all 3x3                               143,667,240
    ============= ========================= ===================================== ===========

    Convolutions pad with zeros and keep the size. ReLU follows each layer with weights but the
    last, dropout the first two dense layers. Other image sizes change dense1 alone, whose inputs
    are the 512 · (h // 32) · (w // 32) that five poolings leave.

    Differs from the paper: weights start as Gaussians of variance 2 / n where an output has n
    inputs (He et al. 2015, eq. 10), those of dense3 of deviation 0.01 (Krizhevsky et al. 2012),
    biases as zero. The paper starts with variance 0.01 whatever the n, and so has to train A first
    and begin the deeper ones with its weights; it adds that those of Glorot & Bengio (2010) do
    without. He et al. correct these for ReLU. A small dense3 keeps the first logits and steps
    small. Least image size: 32x32.

    Parameters
    ----------
    n_channels : int
    image_size : (int, int)
        Height and width.
    n_classes : int
    configuration : {"A", "A-LRN", "B", "C", "D", "E"}
        Column of the paper's Table 1.
    batch_norm : bool
        Whether batch normalisation (Ioffe & Szegedy 2015) stands between each convolution and its
        ReLU. Younger than the paper; adds two parameters for each channel of each convolution.
    dropout : float in [0, 1]
        Share of the units of dense1 and dense2 set to zero at each training step.
    hidden : int
        Units of dense1 and of dense2. At 4096 they hold most of the parameters; small images and
        few classes do with less.

    Raises
    ------
    ValueError
        If the configuration is unknown, or the images are too small.

    References
    ----------
    K. Simonyan and A. Zisserman, "Very deep convolutional networks for large-scale image
    recognition", ICLR, 2015, arXiv:1409.1556.

    K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers: surpassing human-level
    performance on ImageNet classification", ICCV, 2015.

    X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS, 2010.

    A. Krizhevsky, I. Sutskever and G. E. Hinton, "ImageNet classification with deep convolutional
    neural networks", NIPS, 2012, the normalisation of A-LRN (section 3.3).

    S. Ioffe and C. Szegedy, "Batch normalization: accelerating deep network training by reducing
    internal covariate shift", ICML, 2015.

    Examples
    --------
    >>> from visionpipe.networks.layer_table import layer_table
    >>> from visionpipe.networks.vgg import VGG
    >>> layer_table(VGG, (224, 224, 3), n_classes=1000).n_parameters
    138357544
    >>> layer_table(VGG, (32, 32, 3), configuration="A", hidden=512).n_parameters
    9750922
    """

    def __init__(
        self,
        *,
        n_channels,
        image_size,
        n_classes,
        configuration="D",
        batch_norm=False,
        dropout=0.5,
        hidden=4096,
    ):
        height, width = check_image_size(self, image_size, _NEEDED["pool5"], _NEEDED)
        if configuration not in _CONFIGURATIONS:
            known = ", ".join(map(repr, _CONFIGURATIONS))
            raise ValueError(
                f"VGG(configuration={configuration!r}): configuration must be one of {known}"
            )
        super().__init__(
            OrderedDict(
                **_stages(n_channels, configuration, batch_norm),  # (b, 512, 7, 7)
                flatten=nn.Flatten(),  # (b, 25088)
                dense1=nn.Linear(_WIDTHS[-1] * (height // 32) * (width // 32), hidden),  # (b, 4096)
                relu1=nn.ReLU(),
                dropout1=nn.Dropout(dropout),
                dense2=nn.Linear(hidden, hidden),  # (b, 4096)
                relu2=nn.ReLU(),
                dropout2=nn.Dropout(dropout),
                dense3=nn.Linear(hidden, n_classes),  # (b, n_classes)
            )
        )
        self.apply(he_normal)
        nn.init.normal_(self.dense3.weight, std=0.01)


def _stages(n_channels, configuration, batch_norm):
    """Layers (b, c, h, w) -> (b, 512, h // 32, w // 32), by name."""
    layers = OrderedDict()
    for stage, kernels in enumerate(_CONFIGURATIONS[configuration], start=1):
        n_out = _WIDTHS[stage - 1]
        for i, kernel in enumerate(kernels, start=1):
            place = f"{stage}_{i}"
            layers[f"conv{place}"] = nn.Conv2d(n_channels, n_out, kernel, padding=kernel // 2)
            if batch_norm:
                layers[f"norm{place}"] = nn.BatchNorm2d(n_out)
            layers[f"relu{place}"] = nn.ReLU()
            n_channels = n_out
        if configuration == "A-LRN" and stage == 1:
            layers["lrn"] = normalisation()
        layers[f"pool{stage}"] = nn.MaxPool2d(2)  # halves height and width
    return layers
