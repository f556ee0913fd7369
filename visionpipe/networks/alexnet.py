"""AlexNet, the network that won ImageNet's challenge of 2012."""

from collections import OrderedDict

from torch import nn

from visionpipe.networks.chain import Chain
from visionpipe.networks.image_size import check_image_size
from visionpipe.networks.initial_weights import he_normal
from visionpipe.networks.local_response_normalization import LocalResponseNormalization

# The smallest images for which a layer still gives something.
_NEEDED = {"conv1": (8, 8), "pool1": (12, 12), "pool2": (20, 20), "pool5": (36, 36)}


class AlexNet(Chain):
    """AlexNet (Krizhevsky, Sutskever & Hinton 2012).

    ============== ================ =========== =============== =================
    layer          output (227x227) activations parameters      with ``groups=1``
    ============== ================ =========== =============== =================
    conv1, 11x11/4 96 x 55 x 55     290,400     11,616 c + 96
    pool1, 3x3/2   96 x 27 x 27     69,984
    conv2, 5x5     256 x 27 x 27    186,624     307,456         614,656
    pool2, 3x3/2   256 x 13 x 13    43,264
    conv3, 3x3     384 x 13 x 13    64,896      885,120
    conv4, 3x3     384 x 13 x 13    64,896      663,936         1,327,488
    conv5, 3x3     256 x 13 x 13    43,264      442,624         884,992
    pool5, 3x3/2   256 x 6 x 6      9,216
    dense1         4096             4,096       37,752,832
    dense2         4096             4,096       16,781,312
    dense3         n_classes        n_classes   4,097 n_classes
    ============== ================ =========== =============== =================

    60,965,224 parameters for RGB images of 227x227 or 224x224 pixels and 1,000 classes, ungrouped
    62,378,344; other sizes change dense1 alone. ReLU follows each layer with weights but the last,
    response normalisation (section 3.3) the ReLU of conv1 and conv2, dropout the first two dense
    layers. In conv2, conv4 and conv5 each half of the maps sees one half of those before: the paper
    has two GPUs.

    As in Krizhevsky's cuda-convnet, windows of conv1 and of poolings cover every pixel: the last
    may reach over the right and lower edge, where conv1 finds zeros. So 224 pixels, of which the
    paper speaks, give the 55 places of its figures just as 227 do, which need no zeros.

    Differs from the paper: weights start as Gaussians of variance 2 / n where an output has n
    inputs (He et al. 2015, eq. 10), those of dense3 of deviation 0.01, biases as zero. The paper
    has deviation 0.01 everywhere, biases of 1 in conv2, conv4, conv5, dense1 and dense2, and 90
    epochs on 1.2 million images. What dense1 and dense2 give at first then differs from image to
    image by less than a thousandth, and after 30 steps on eight images of four classes (SGD, rate
    0.001, momentum 0.9) the loss is above that of guessing, where with the weights used here it is
    a third of that. Training images do not change colour along their principal components. Least
    image size: 36x36.

    Parameters
    ----------
    n_channels : int
    image_size : (int, int)
        Height and width.
    n_classes : int
    groups : {1, 2}
        Parts in which conv2, conv4 and conv5 work apart. 1 lets them see all maps.
    dropout : float in [0, 1]
        Share of the units of dense1 and dense2 set to zero at each training step.
    hidden : int
        Units of dense1 and of dense2. At 4096 they hold most of the parameters; small images and
        few classes do with less.

    Raises
    ------
    ValueError
        If there are other than 1 or 2 groups, or the images are too small.

    References
    ----------
    A. Krizhevsky, I. Sutskever and G. E. Hinton, "ImageNet classification with deep convolutional
    neural networks", NIPS, 2012.

    A. Krizhevsky, cuda-convnet, 2011, convnet's layer.py for the sizes.

    K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers: surpassing human-level
    performance on ImageNet classification", ICCV, 2015.

    Examples
    --------
    >>> from visionpipe.networks.alexnet import AlexNet
    >>> from visionpipe.networks.layer_table import layer_table
    >>> layer_table(AlexNet, (224, 224, 3), n_classes=1000).n_parameters
    60965224

    The paper's training: random crops of 224x224 and mirror images of pictures of 256x256, in
    batches of 128, and in prediction the mean over ten crops. The learning rate falls to a tenth
    three times, there whenever the validation error stopped falling.

    >>> from sklearn.pipeline import make_pipeline
    >>> from visionpipe import Augmentation, CNNClassifier, Resize
    >>> pipeline = make_pipeline(
    ...     Resize(256, keep_aspect="crop"),
    ...     CNNClassifier(
    ...         "alexnet",
    ...         crop_size=224,
    ...         augmentation=Augmentation(mirror=True),
    ...         tta="ten_crops",
    ...         optimizer="sgd",  # momentum 0.9
    ...         lr=0.01,
    ...         lr_schedule="step",
    ...         lr_schedule__milestones=(0.25, 0.5, 0.75),
    ...         weight_decay=5e-4,
    ...         batch_size=128,
    ...         max_epochs=90,
    ...         criterion__label_smoothing=0,
    ...     ),
    ... )
    """

    def __init__(self, *, n_channels, image_size, n_classes, groups=2, dropout=0.5, hidden=4096):
        height, width = check_image_size(self, image_size, _NEEDED["pool5"], _NEEDED)
        if groups not in (1, 2):
            raise ValueError(
                f"AlexNet(groups={groups!r}): groups must be 2, as on the two GPUs of the paper, "
                "or 1"
            )
        n_pooled = _pooled(height) * _pooled(width)
        super().__init__(
            OrderedDict(
                pad=_whole_windows(height, width),  # (b, c, 227, 227)
                conv1=nn.Conv2d(n_channels, 96, 11, stride=4),  # (b, 96, 55, 55)
                relu1=nn.ReLU(),
                norm1=normalisation(),
                pool1=pooling(),  # (b, 96, 27, 27)
                conv2=nn.Conv2d(96, 256, 5, padding=2, groups=groups),  # (b, 256, 27, 27)
                relu2=nn.ReLU(),
                norm2=normalisation(),
                pool2=pooling(),  # (b, 256, 13, 13)
                conv3=nn.Conv2d(256, 384, 3, padding=1),  # (b, 384, 13, 13)
                relu3=nn.ReLU(),
                conv4=nn.Conv2d(384, 384, 3, padding=1, groups=groups),  # (b, 384, 13, 13)
                relu4=nn.ReLU(),
                conv5=nn.Conv2d(384, 256, 3, padding=1, groups=groups),  # (b, 256, 13, 13)
                relu5=nn.ReLU(),
                pool5=pooling(),  # (b, 256, 6, 6)
                **dense_layers(256 * n_pooled, hidden, n_classes, dropout),  # (b, n_classes)
            )
        )
        initialize(self)


def normalisation():
    """Response normalisation over n = 5 maps with alpha = 1e-4: torch divides alpha by n."""
    return LocalResponseNormalization(5, alpha=5e-4, beta=0.75, k=2)


def pooling():
    """Maximum of 3x3 in steps of 2, the last window cut off at the edge: n -> n // 2."""
    return nn.MaxPool2d(3, 2, ceil_mode=True)


def dense_layers(n_inputs, hidden, n_classes, dropout):
    """Layers (b, maps, h, w) -> (b, n_classes) by name, where maps h w are `n_inputs`."""
    return OrderedDict(
        flatten=nn.Flatten(),  # (b, n_inputs)
        dense1=nn.Linear(n_inputs, hidden),  # (b, hidden)
        relu6=nn.ReLU(),
        dropout1=nn.Dropout(dropout),
        dense2=nn.Linear(hidden, hidden),  # (b, hidden)
        relu7=nn.ReLU(),
        dropout2=nn.Dropout(dropout),
        dense3=nn.Linear(hidden, n_classes),  # (b, n_classes)
    )


def initialize(network):
    """Draw weights that keep the deviation of what passes, but for a small last layer."""
    network.apply(he_normal)
    nn.init.normal_(network.dense3.weight, std=0.01)


def _whole_windows(height, width):
    """Zeros to the right and below, so that windows of 11 in steps of 4 cover every pixel."""
    return nn.ZeroPad2d((0, -(width - 11) % 4, 0, -(height - 11) % 4))


def _pooled(length):
    """Length of an axis after conv1, in steps of 4 and rounded up, and three poolings."""
    return -(-(length - 7) // 4) // 8
