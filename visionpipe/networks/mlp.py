"""The multilayer perceptron: dense layers on the pixels, blind to where a pixel lies."""

from collections import OrderedDict

from torch import nn

from visionpipe.networks.chain import Chain
from visionpipe.networks.drop_connect import DropConnectLinear
from visionpipe.networks.image_size import check_image_size
from visionpipe.networks.maxout import Maxout

_ACTIVATIONS = {
    "gelu": nn.GELU,
    "leaky_relu": nn.LeakyReLU,
    "maxout": Maxout,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}


class MLP(Chain):
    """Multilayer perceptron (Rumelhart, Hinton & Williams 1986).

    ======== ========= =================== =======================
    layer    output    parameters          28x28 grey, 10 classes
    ======== ========= =================== =======================
    dense1   256       (c · h · w + 1) 256 200,960
    dense2   128       257 · 128           32,896
    dense3   n_classes 129 n_classes       1,290
    ======== ========= =================== =======================

    235,146 parameters in the last column. Every dense layer but the last is followed by the
    activation and, if asked for, dropout. Maxout has `n_pieces` times the parameters in these
    layers. Differs from the paper, which has one hidden layer of sigmoids; initial weights are
    those of PyTorch. Least image size: 1x1.

    Parameters
    ----------
    n_channels : int
    image_size : (int, int)
        Height and width.
    n_classes : int
    hidden : tuple of int
        Units of the hidden layers; an empty one gives softmax regression.
    activation : {"relu", "gelu", "leaky_relu", "maxout", "sigmoid", "softplus", "tanh"}
        "leaky_relu" has a slope of 0.01 below zero (Maas et al. 2013), "softplus" is
        log(1 + exp(x)) (Dugas et al. 2001), a unit of "maxout" the largest of `n_pieces` linear
        functions (Goodfellow et al. 2013).
    n_pieces : int
        Of a maxout unit; the other activations have none. The default is that of the networks for
        MNIST without the arrangement of pixels (pylearn2, papers/maxout/mnist_pi.yaml).
    dropout : float in [0, 1)
        Share of hidden units set to zero at each training step (Srivastava et al. 2014 use 0.5).
    drop_connect : float in [0, 1)
        Share of the hidden layers' weights set to zero at each training step, see
        `DropConnectLinear` (Wan et al. 2013 use 0.5).

    Raises
    ------
    ValueError
        If the activation is unknown, or a share or the number of pieces is out of range.

    References
    ----------
    D. E. Rumelhart, G. E. Hinton and R. J. Williams, "Learning representations by back-propagating
    errors", Nature, 1986.

    C. Dugas, Y. Bengio, F. Bélisle, C. Nadeau and R. Garcia, "Incorporating second-order functional
    knowledge for better option pricing", NIPS, 2000 (published 2001).

    A. L. Maas, A. Y. Hannun and A. Y. Ng, "Rectifier nonlinearities improve neural network acoustic
    models", ICML Workshop on Deep Learning for Audio, Speech and Language Processing, 2013.

    I. J. Goodfellow, D. Warde-Farley, M. Mirza, A. Courville and Y. Bengio, "Maxout networks",
    ICML, 2013.

    L. Wan, M. Zeiler, S. Zhang, Y. LeCun and R. Fergus, "Regularization of neural networks using
    DropConnect", ICML, 2013.

    N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR,
    2014.

    Examples
    --------
    >>> from visionpipe.networks.layer_table import layer_table
    >>> from visionpipe.networks.mlp import MLP
    >>> print(layer_table(MLP, (28, 28, 1), hidden=(240,), activation="maxout", n_pieces=5))
    layer    kind     output  activations  parameters
    flatten  Flatten  784             784
    dense1   Linear   1200          1,200     942,000
    maxout1  Maxout   240             240
    dense2   Linear   10               10       2,410
    total                           2,234     944,410
    """

    def __init__(
        self,
        *,
        n_channels,
        image_size,
        n_classes,
        hidden=(256, 128),
        activation="relu",
        n_pieces=5,
        dropout=0.0,
        drop_connect=0.0,
    ):
        height, width = check_image_size(self, image_size, (1, 1))
        if activation not in _ACTIVATIONS:
            known = ", ".join(map(repr, _ACTIVATIONS))
            raise ValueError(f"MLP(activation={activation!r}): activation must be one of {known}")
        is_maxout = activation == "maxout"
        layers = OrderedDict(flatten=nn.Flatten())  # (b, c h w)
        units = n_channels * height * width
        for i, n_units in enumerate(hidden, start=1):
            nonlinearity = Maxout(n_pieces) if is_maxout else _ACTIVATIONS[activation]()
            n_functions = n_units * n_pieces if is_maxout else n_units
            layers[f"dense{i}"] = _dense(units, n_functions, drop_connect)  # (b, n_functions)
            layers[f"{activation}{i}"] = nonlinearity  # (b, n_units)
            if dropout:
                layers[f"dropout{i}"] = nn.Dropout(dropout)
            units = n_units
        layers[f"dense{len(hidden) + 1}"] = nn.Linear(units, n_classes)  # (b, n_classes)
        super().__init__(layers)


def _dense(n_in, n_out, drop_connect):
    return DropConnectLinear(n_in, n_out, drop_connect) if drop_connect else nn.Linear(n_in, n_out)
