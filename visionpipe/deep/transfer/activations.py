"""What a layer of a network gives for images, computed no further than to that layer."""

import torch

from visionpipe.networks.dry_run import dry_run

__all__ = ["activations", "check_layer", "last_layer", "pooled"]


class _Reached(Exception):
    """The layer was reached; carries what it gave, and ends the pass."""


def layers_of(module, image_shape):
    """The calls of a pass through a network, see `visionpipe.networks.dry_run.dry_run`.

    Parameters
    ----------
    module : torch.nn.Module
    image_shape : (int, int, int)
        Height, width and channels of what it sees.
    """
    *_, error = found = dry_run(lambda: module, image_shape)
    if error is not None:  # it may look at values, which there are none of on "meta"
        *_, error = found = dry_run(lambda: module, image_shape, device="cpu")
    if error is not None:
        raise error
    return found[1]


def last_layer(module, image_shape):
    """Name of the last layer with filters or a matrix of weights, whose input is to be looked at.

    Parameters
    ----------
    module : torch.nn.Module
    image_shape : (int, int, int)
        Height, width and channels of what it sees.

    Raises
    ------
    ValueError
        If there is none.
    """
    for call in reversed(layers_of(module, image_shape)):
        if any(weight.ndim > 1 for weight in call.module.parameters(recurse=False)):
            return call.name
    raise ValueError(f"{type(module).__name__} has no layer with weights; name one as layer=...")


def check_layer(module, image_shape, layer):
    """Raise a ValueError, which lists all layers, unless this is one whose output can be taken.

    Parameters
    ----------
    module : torch.nn.Module
    image_shape : (int, int, int)
        Height, width and channels of what it sees.
    layer : str
    """
    shapes = {call.name: call.shape_out for call in layers_of(module, image_shape) if call.name}
    known = {name for name, shape in shapes.items() if shape is not None and 2 <= len(shape) <= 4}
    if layer not in known:
        what = "gives no maps or vectors" if layer in shapes else "is unknown"
        raise ValueError(
            f"layer={layer!r} {what}; {type(module).__name__} has the layers "
            + ", ".join(repr(name) for name in shapes if name in known)
        )


def activations(module, images, layer, *, before=False):
    """What comes out of a layer, or goes into it.

    Parameters
    ----------
    module : torch.nn.Module
        In evaluation mode.
    images : Tensor (b, c, h, w)
        As the network sees them.
    layer : str
    before : bool
        Whether to take what goes in.

    Returns
    -------
    Tensor (b, ...)
    """

    def end(part, args, *output):
        raise _Reached(args[0] if before else output[0])

    part = module.get_submodule(layer)
    hook = (part.register_forward_pre_hook if before else part.register_forward_hook)(end)
    try:
        module(images)
    except _Reached as reached:
        return reached.args[0]
    finally:
        hook.remove()
    raise ValueError(f"{type(module).__name__} did not come to its layer {layer!r}")


def pooled(values, pool):
    """Vectors (b, f) of maps (b, c, h, w), sets of vectors (b, n, f) or vectors.

    Parameters
    ----------
    values : Tensor
    pool : {"mean", "max", None}
        Over places, or over the vectors of a set; None keeps all values.
    """
    if values.ndim == 2 or pool is None:
        return values.flatten(1)
    places = (2, 3) if values.ndim == 4 else 1
    return values.mean(places) if pool == "mean" else torch.amax(values, places)
