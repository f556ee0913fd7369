"""The multilayer perceptron: dense layers on the pixels, blind to where a pixel lies."""

from collections import OrderedDict

from torch import nn

from visionpipe.networks.image_size import check_image_size

_ACTIVATIONS = {"gelu": nn.GELU, "relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}


class MLP(nn.Sequential):
    """Multilayer perceptron (Rumelhart, Hinton & Williams 1986).

    ======== ========= =================== =======================
    layer    output    parameters          28x28 grey, 10 classes
    ======== ========= =================== =======================
    dense1   256       (c · h · w + 1) 256 200,960
    dense2   128       257 · 128           32,896
    dense3   n_classes 129 n_classes       1,290
    ======== ========= =================== =======================

    235,146 parameters in the last column. Every dense layer but the last is followed by the
    activation and, if asked for, dropout. Differs from the paper, which has one hidden layer of
    sigmoids. Least image size: 1x1.

    Parameters
    ----------
    n_channels : int
    image_size : (int, int)
        Height and width.
    n_classes : int
    hidden : tuple of int
        Units of the hidden layers; an empty one gives softmax regression.
    activation : {"relu", "gelu", "sigmoid", "tanh"}
    dropout : float in [0, 1)
        Share of hidden units set to zero at each training step (Srivastava et al. 2014 use 0.5).

    Raises
    ------
    ValueError
        If the activation is unknown.

    References
    ----------
    D. E. Rumelhart, G. E. Hinton and R. J. Williams, "Learning representations by back-propagating
    errors", Nature, 1986.

    N. Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", JMLR,
    2014.
    """

    def __init__(
        self,
        *,
        n_channels,
        image_size,
        n_classes,
        hidden=(256, 128),
        activation="relu",
        dropout=0.0,
    ):
        height, width = check_image_size(self, image_size, (1, 1))
        if activation not in _ACTIVATIONS:
            known = ", ".join(map(repr, _ACTIVATIONS))
            raise ValueError(f"MLP(activation={activation!r}): activation must be one of {known}")
        layers = OrderedDict(flatten=nn.Flatten())  # (b, c h w)
        units = n_channels * height * width
        for i, n_units in enumerate(hidden, start=1):
            layers[f"dense{i}"] = nn.Linear(units, n_units)  # (b, n_units)
            layers[f"{activation}{i}"] = _ACTIVATIONS[activation]()
            if dropout:
                layers[f"dropout{i}"] = nn.Dropout(dropout)
            units = n_units
        layers[f"dense{len(hidden) + 1}"] = nn.Linear(units, n_classes)  # (b, n_classes)
        super().__init__(layers)
