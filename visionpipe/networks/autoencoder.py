"""Autoencoders: networks that squeeze an image into a short code and draw it again from that.

In place of ``n_classes`` they have ``n_components``, the length of a code (b, n_components). They
map images (b, c, h, w) to images of the same shape, by way of ``encode`` and ``decode``.
"""

import math
from collections import OrderedDict

from torch import nn

from visionpipe.networks.image_size import check_image_size

_ACTIVATIONS = {"linear": nn.Identity, "relu": nn.ReLU, "sigmoid": nn.Sigmoid, "tanh": nn.Tanh}
_OUTPUTS = {"linear": nn.Identity, "sigmoid": nn.Sigmoid}

# The smallest images for which a layer of the convolutional one still gives something.
_NEEDED = {"conv1": (2, 2), "conv2": (4, 4)}


class EncoderDecoder(nn.Sequential):
    """An encoder of images and a decoder of what it gives, one after the other.

    Parameters
    ----------
    encoder, decoder : OrderedDict of str to torch.nn.Module
        Their layers.
    """

    def __init__(self, encoder, decoder):
        super().__init__(
            OrderedDict(encoder=nn.Sequential(encoder), decoder=nn.Sequential(decoder))
        )

    def encode(self, images):
        """Codes (b, n_components) of images (b, c, h, w)."""
        return self.encoder(images)

    def decode(self, codes):
        """Images (b, c, h, w) drawn from codes (b, n_components)."""
        return self.decoder(codes)


class DenseAutoencoder(EncoderDecoder):
    """Autoencoder of dense layers (Rumelhart, Hinton & Williams 1986).

    ============== ============ ================= ===========================
    layer          output       parameters        28x28 grey, 100 components
    ============== ============ ================= ===========================
    encoder.dense1 n_components (c · h · w + 1) n 78,500
    decoder.dense1 c · h · w    (n + 1) c · h · w 79,184
    ============== ============ ================= ===========================

    157,684 parameters in the last column; n are the components. The activation follows each layer,
    the last one's is `output`. `hidden` layers stand between the image and its code, and in reverse
    between the code and the image: with ``hidden=(1000, 500, 250)`` it has the layers of Hinton &
    Salakhutdinov (2006) for MNIST, who train them one by one first and leave the 30 units of the
    code linear. Initial weights are PyTorch's. Least image size: 1x1.

    Parameters
    ----------
    n_channels : int
    image_size : (int, int)
        Height and width.
    n_components : int
        Length of a code.
    hidden : tuple of int
        Units of the hidden layers from the image to the code.
    activation : {"sigmoid", "linear", "relu", "tanh"}
        Of the code and of hidden layers.
    output : {"sigmoid", "linear"}
        Of the pixels. If both are linear, no code gives a smaller squared error than principal
        components do.
    corruption : float in [0, 1)
        Share of an image's values set to zero at each training step, while the whole image is to be
        reconstructed (Vincent et al. 2008). The other values grow by 1 / (1 - corruption), which
        theirs do not.

    Raises
    ------
    ValueError
        If an activation is unknown.

    References
    ----------
    D. E. Rumelhart, G. E. Hinton and R. J. Williams, "Learning representations by back-propagating
    errors", Nature, 1986.

    G. E. Hinton and R. R. Salakhutdinov, "Reducing the dimensionality of data with neural
    networks", Science, 2006.

    P. Vincent, H. Larochelle, Y. Bengio and P.-A. Manzagol, "Extracting and composing robust
    features with denoising autoencoders", ICML, 2008.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.networks.autoencoder import DenseAutoencoder
    >>> network = DenseAutoencoder(n_channels=1, image_size=(28, 28), n_components=100)
    >>> images = torch.rand(2, 1, 28, 28)
    >>> network.encode(images).shape, network(images).shape
    (torch.Size([2, 100]), torch.Size([2, 1, 28, 28]))
    """

    def __init__(
        self,
        *,
        n_channels,
        image_size,
        n_components,
        hidden=(),
        activation="sigmoid",
        output="sigmoid",
        corruption=0.5,
    ):
        shape = (n_channels, *check_image_size(self, image_size, (1, 1)))
        act = _activation(self, "activation", activation, _ACTIVATIONS)
        last = _activation(self, "output", output, _OUTPUTS)
        units = (math.prod(shape), *hidden, n_components)
        encoder = OrderedDict(corrupt=nn.Dropout(corruption)) if corruption else OrderedDict()
        encoder["flatten"] = nn.Flatten()  # (b, c h w)
        encoder |= _dense_layers(units, [act] * (len(units) - 1))  # (b, n_components)
        decoder = _dense_layers(units[::-1], [act] * len(hidden) + [last])  # (b, c h w)
        decoder["unflatten"] = nn.Unflatten(1, shape)  # (b, c, h, w)
        super().__init__(encoder, decoder)


class ConvolutionalAutoencoder(EncoderDecoder):
    """Autoencoder whose convolutions halve the image, with a dense layer to its code and from it.

    ======================= ============== ============================
    layer                   output         28x28 grey, 100 components
    ======================= ============== ============================
    encoder.conv1, 4x4/2    16 x 14 x 14   272
    encoder.conv2, 4x4/2    32 x 7 x 7     8,224
    encoder.dense           n_components   156,900
    decoder.dense           1568           158,368
    decoder.conv1, 4x4/2    16 x 14 x 14   8,208
    decoder.conv2, 4x4/2    c x 28 x 28    257
    ======================= ============== ============================

    332,229 parameters in the last column. Convolutions pad with a pixel of zeros and halve each
    side, those of the decoder are transposed and double it, with a row or column more where a side
    was odd. ReLU follows each layer but the code, which is linear, and the pixels, which a sigmoid
    brings to 0..1. As the stride divides the size of the filters, each pixel within the image is
    drawn by equally many of their weights, which spares it the checkerboard that others leave
    (Odena et al. 2016). Initial weights are PyTorch's. Least image size: 4x4.

    Parameters
    ----------
    n_channels : int
    image_size : (int, int)
        Height and width.
    n_components : int
        Length of a code.
    widths : (int, int)
        Maps of both convolutions.

    Raises
    ------
    ValueError
        If the images are too small.

    References
    ----------
    A. Odena, V. Dumoulin and C. Olah, "Deconvolution and checkerboard artifacts", Distill, 2016.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.networks.autoencoder import ConvolutionalAutoencoder
    >>> network = ConvolutionalAutoencoder(n_channels=3, image_size=(30, 21), n_components=50)
    >>> images = torch.rand(2, 3, 30, 21)
    >>> network.encode(images).shape, network(images).shape
    (torch.Size([2, 50]), torch.Size([2, 3, 30, 21]))
    """

    def __init__(self, *, n_channels, image_size, n_components, widths=(16, 32)):
        size = check_image_size(self, image_size, (4, 4), _NEEDED)
        half = _halved(size)
        quarter = _halved(half)
        few, many = widths
        n_values = many * math.prod(quarter)
        encoder = OrderedDict(
            conv1=nn.Conv2d(n_channels, few, 4, stride=2, padding=1),  # (b, 16, 14, 14)
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(few, many, 4, stride=2, padding=1),  # (b, 32, 7, 7)
            relu2=nn.ReLU(),
            flatten=nn.Flatten(),  # (b, 1568)
            dense=nn.Linear(n_values, n_components),  # (b, n_components)
        )
        decoder = OrderedDict(
            dense=nn.Linear(n_components, n_values),  # (b, 1568)
            relu1=nn.ReLU(),
            unflatten=nn.Unflatten(1, (many, *quarter)),  # (b, 32, 7, 7)
            conv1=_doubling(many, few, half),  # (b, 16, 14, 14)
            relu2=nn.ReLU(),
            conv2=_doubling(few, n_channels, size),  # (b, c, 28, 28)
            sigmoid=nn.Sigmoid(),
        )
        super().__init__(encoder, decoder)


def _activation(network, parameter, name, known):
    if name not in known:
        names = ", ".join(map(repr, known))
        raise ValueError(
            f"{type(network).__name__}({parameter}={name!r}): {parameter} must be one of {names}"
        )
    return name, known[name]


def _dense_layers(units, activations):
    """Dense layers from each number of units to the next, followed by activations (name, class)."""
    layers = OrderedDict()
    steps = zip(units[:-1], units[1:], activations, strict=True)
    for i, (n_in, n_out, (name, activation)) in enumerate(steps, start=1):
        layers[f"dense{i}"] = nn.Linear(n_in, n_out)  # (b, n_out)
        layers[f"{name}{i}"] = activation()
    return layers


def _halved(size):
    return size[0] // 2, size[1] // 2


def _doubling(n_in, n_out, size):
    """A transposed convolution to maps of a size (h, w), from maps of half of it."""
    odd = size[0] % 2, size[1] % 2
    return nn.ConvTranspose2d(n_in, n_out, 4, stride=2, padding=1, output_padding=odd)
