"""What a layer of a network gives for images, computed no further than to that layer."""

import torch

from visionpipe.networks.dry_run import N_IMAGES, dry_run

__all__ = ["activations", "check_layer", "last_layer", "pooled"]

N_SHOWN = 40  # layers in an error; of networks of more, their parts are named


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
    known = [name for name, shape in shapes.items() if _is_of_images(shape, N_IMAGES)]
    if layer not in known:
        what = "gives no maps or vectors" if layer in shapes else "is unknown"
        parts = [name for name in known if "." not in name]
        shown, more = (known, "") if len(known) <= N_SHOWN else (parts, ", and parts of these")
        raise ValueError(
            f"layer={layer!r} {what}; {type(module).__name__} has the layers "
            f"{', '.join(map(repr, shown))}{more}"
        )


def activations(module, images, layer, *, before=False):
    """What comes out of a layer, or goes into it, the first time that it is called.

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

    Raises
    ------
    ValueError
        If that is no tensor of a map, a vector or a set of vectors for each image, or the network
        does not come to the layer.
    """

    def end(part, args, kwargs, *output):
        raise _Reached(*(output or (*args, *kwargs.values())))

    part = module.get_submodule(layer)
    hook = (part.register_forward_pre_hook if before else part.register_forward_hook)(
        end, with_kwargs=True
    )
    try:
        module(images)
    except _Reached as reached:
        return _checked(reached.args[0], len(images), f"{'into' if before else 'out of'} {layer!r}")
    finally:
        hook.remove()
    raise ValueError(f"{type(module).__name__} did not come to its layer {layer!r}")


def _checked(values, n_images, where):
    shape = tuple(values.shape) if isinstance(values, torch.Tensor) else None
    if not _is_of_images(shape, n_images):
        got = type(values).__name__ if shape is None else f"tensor of shape {shape}"
        raise ValueError(
            f"a {got} comes {where} for {n_images} images; wanted maps (b, c, h, w), vectors "
            "(b, f) or sets of vectors (b, n, f): name another layer as layer=..."
        )
    return values


def _is_of_images(shape, n_images):
    """Whether it is of maps, vectors or sets of vectors, one for each image."""
    return shape is not None and 2 <= len(shape) <= 4 and shape[0] == n_images


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
