"""Grad-CAM: where a network finds its reasons for a class."""

import torch

from visionpipe.inspection.layers import batch_of, check_layer, is_convolution, map_shapes, watched
from visionpipe.inspection.parts import split_at_network
from visionpipe.inspection.placement import lay_over, seen_by_maps, through_steps
from visionpipe.inspection.scores import number_of

__all__ = ["grad_cam"]


def grad_cam(estimator, image, label=None, layer=None):
    """Gradient-weighted class activation map (Selvaraju et al. 2017).

    The maps of a late layer, weighted by how much the class grows with each of them: the spatial
    mean of the gradient of the class's logit (their eq. 1); of the weighted sum what is above 0
    (eq. 2).

    Parameters
    ----------
    estimator : CNNClassifier, Pipeline or search
        Fitted; its last step a CNNClassifier. The steps before it are applied to the image.
    image : ndarray of shape (h, w) or (h, w, c), or path
        Of any size, if a step brings it to the network's.
    label : label of a class, default=None
        None is the class that is predicted.
    layer : str, default=None
        Name of a layer of ``module_``. None is the last one whose maps have the size of those of
        the last convolution that gives more than one number a map: that convolution, or what
        follows it without shrinking its maps, such as its activation, or the end of a residual
        block.

    Returns
    -------
    ndarray of float32 of shape (h, w)
        As large as the image given, at least 0; the unit has no meaning. Resampled bilinearly. 0
        where a `Resize` or the network's ``crop_size`` cuts something off; other steps are taken to
        show the whole image.

    Raises
    ------
    ValueError
        If the estimator does not end in a CNNClassifier, the label is not a class, the layer is
        unknown or has no maps, or the network has no convolution.
    NotFittedError
        If it is not fitted.

    Notes
    -----
    A class may have reasons that no map speaks for on the whole: where dense layers tell one place
    from another, gradients of either sign can cancel in the mean, and the map may be 0 everywhere.
    `occlusion_map` does not suffer from that.

    References
    ----------
    R. R. Selvaraju et al., "Grad-CAM: visual explanations from deep networks via gradient-based
    localization", ICCV, 2017. arXiv:1610.02391.

    Examples
    --------
    >>> from visionpipe import CNNClassifier, load_faces
    >>> from visionpipe.inspection import grad_cam
    >>> faces = load_faces()
    >>> lenet = CNNClassifier("lenet", max_epochs=2, random_state=0)
    >>> lenet = lenet.fit(faces.images, faces.target)
    >>> grad_cam(lenet, faces.images[0], label=0).shape
    (25, 25)
    """
    owner = "grad_cam"
    steps, network = split_at_network(estimator, owner=owner)
    number = None if label is None else number_of(label, network.classes_, owner=owner)
    images, size, window = through_steps(steps, image, owner=owner)
    batch = batch_of(network, images)
    shapes = map_shapes(network, batch)
    if layer is None:
        layer = _last_layer(network, shapes)
    check_layer(network, layer, shapes, owner=owner)
    maps, gradients = _maps_and_gradients(network, batch, layer, number)  # (n, h', w') each
    weights = gradients.mean(dim=(1, 2), keepdim=True)  # (n, 1, 1)
    heat = (weights * maps).sum(dim=0).relu_()  # (h', w')
    window = seen_by_maps(network, batch, window)
    return lay_over(heat, window, size).cpu().numpy()


def _last_layer(network, shapes):
    """The last layer whose maps are of the size of the last convolution's."""
    convolutions = [
        name
        for name, shape in shapes.items()
        if is_convolution(network.module_.get_submodule(name)) and shape[1:] != (1, 1)
    ]
    if not convolutions:
        raise ValueError(
            "grad_cam got a network without a convolution that gives maps, "
            f"{type(network.module_).__name__}; use occlusion_map, which works for any classifier"
        )
    size = shapes[convolutions[-1]][1:]
    names = [*shapes]
    after = names[names.index(convolutions[-1]) :]
    return [name for name in after if shapes[name][1:] == size][-1]


def _maps_and_gradients(network, batch, layer, number):
    """Maps (n, h, w) of a layer, and the gradient of a class's logit with respect to them.

    The maps are cut off from what made them: the gradient then needs nothing of the layers before,
    and exists even where all of these are frozen.
    """
    kept = []

    def cut(part, args, output):
        kept.append(output.detach().requires_grad_())
        return kept[-1].clone()  # what follows may work in place

    with (
        watched(network.module_, {layer: cut}),
        torch.inference_mode(False),
        torch.enable_grad(),
    ):
        logits = network.net_.infer(batch)[0]  # (n_classes,)
        number = int(logits.argmax()) if number is None else number
        (gradients,) = torch.autograd.grad(logits[number], kept[-1])
    return kept[-1][0].detach().float(), gradients[0].float()
