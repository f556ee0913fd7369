"""What a network looks for, and what it finds in an image: filters and feature maps."""

import torch
from torch import nn

from visionpipe.inspection.layers import (
    batch_of,
    check_layer,
    first_convolution,
    first_layer,
    map_shapes,
    module_input,
    watched,
)
from visionpipe.inspection.parts import WITH_FILTERS, split_at_network
from visionpipe.inspection.placement import through_steps

__all__ = ["feature_maps", "filters"]


def filters(estimator):
    """Weights of the first layer, as images.

    Parameters
    ----------
    estimator : CNNClassifier, Autoencoder, Pipeline or search
        Fitted; its last step a CNNClassifier or an Autoencoder. Of a Pipeline that goes on after
        its Autoencoder, pass that alone, ``pipeline["autoencoder"]``.

    Returns
    -------
    ndarray of float32 of shape (n, h, w, c)
        Of the first convolution: n filters of h by w pixels on c channels. Of a network without
        convolutions, the weights of each unit of its first dense layer, which are as large as the
        images. Weights have either sign; those of a CNNClassifier are of standardised pixels.

    Raises
    ------
    ValueError
        If the estimator does not end in a CNNClassifier or an Autoencoder, or the network has no
        convolution and its first dense layer is not one on pixels.
    NotFittedError
        If it is not fitted.

    Examples
    --------
    >>> from visionpipe import CNNClassifier, load_faces
    >>> from visionpipe.inspection import filters
    >>> faces = load_faces()
    >>> lenet = CNNClassifier("lenet", max_epochs=1, random_state=0)
    >>> filters(lenet.fit(faces.images, faces.target)).shape
    (6, 5, 5, 1)
    """
    _, network = split_at_network(estimator, owner="filters", kinds=WITH_FILTERS)
    _, layer = first_layer(network)
    weight = layer.weight.detach().to("cpu", torch.float32, copy=True)
    if isinstance(layer, nn.Linear):
        channels, height, width = module_input(network)
        weight = weight.view(-1, channels, height, width)  # (n, c, h, w)
    return weight.permute(0, 2, 3, 1).contiguous().numpy()  # (n, h, w, c)


def feature_maps(estimator, image, layer=None):
    """What comes out of a layer for one image.

    Parameters
    ----------
    estimator : CNNClassifier, Pipeline or search
        Fitted; its last step a CNNClassifier. The steps before it are applied to the image.
    image : ndarray of shape (h, w) or (h, w, c), or path
    layer : str, default=None
        Name of a layer of ``module_``. None is the first convolution itself, before whatever
        activation or pooling follows.

    Returns
    -------
    ndarray of float32 of shape (n_maps, h, w)

    Raises
    ------
    ValueError
        If the estimator does not end in a CNNClassifier, the layer is unknown or has no maps, or
        the image is not of the size of those in `fit`.
    NotFittedError
        If it is not fitted.

    Examples
    --------
    >>> from visionpipe import CNNClassifier, load_faces
    >>> from visionpipe.inspection import feature_maps
    >>> faces = load_faces()
    >>> lenet = CNNClassifier("lenet", max_epochs=1, random_state=0)
    >>> lenet = lenet.fit(faces.images, faces.target)
    >>> feature_maps(lenet, faces.images[0]).shape
    (6, 28, 28)
    >>> feature_maps(lenet, faces.images[0], "pool2").shape
    (16, 5, 5)
    """
    owner = "feature_maps"
    steps, network = split_at_network(estimator, owner=owner)
    images, _, _ = through_steps(steps, image, owner=owner)
    batch = batch_of(network, images)
    if layer is None:
        layer = first_convolution(network, owner=owner)
    check_layer(network, layer, map_shapes(network, batch), owner=owner)
    kept = []

    def keep(part, args, output):
        kept.append(output.to("cpu", torch.float32, copy=True))  # what follows may work in place

    with watched(network.module_, {layer: keep}), torch.inference_mode():
        network.net_.infer(batch)
    return kept[-1][0].numpy()  # (n_maps, h, w)
