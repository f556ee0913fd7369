"""The layers of a fitted network: which there are, which give maps, and how to listen to them."""

from contextlib import contextmanager

import torch
from torch import nn

from visionpipe.base import to_batch
from visionpipe.networks.dry_run import in_eval_mode

__all__ = [
    "batch_of",
    "check_layer",
    "first_convolution",
    "first_layer",
    "is_convolution",
    "map_shapes",
    "module_input",
    "watched",
]


def first_layer(network):
    """Name and module of the layer that sees pixels: a convolution, or without any a dense layer.

    Parameters
    ----------
    network : CNNClassifier or Autoencoder
        Fitted.

    Returns
    -------
    name : str
    layer : torch.nn.Module

    Raises
    ------
    ValueError
        If there is none.
    """
    convolution = _first(network, is_convolution)
    if convolution:
        return convolution
    channels, height, width = module_input(network)
    dense = _first(network, lambda part: isinstance(part, nn.Linear))
    if dense and dense[1].in_features == channels * height * width:
        return dense
    raise ValueError(
        f"{type(network.module_).__name__} has no convolution, and no dense layer on the "
        f"{channels} x {height} x {width} values of an image; no weights of it are images"
    )


def is_convolution(part):
    """Whether a module has filters: weights (n, c, h, w), be they learned in training or before."""
    weight = getattr(part, "weight", None)
    return isinstance(weight, torch.Tensor) and weight.ndim == 4


def _first(network, holds):
    named = network.module_.named_modules()
    return next(((name, layer) for name, layer in named if holds(layer)), None)


def module_input(network):
    """Channels, height and width of the images that the module was made for."""
    options = network.net_.get_params_for("module")
    return (options["n_channels"], *options["image_size"])


def first_convolution(network, *, owner):
    """Name of the first convolution, or a ValueError if there is none."""
    convolution = _first(network, is_convolution)
    if convolution is None:
        raise ValueError(
            f"{owner} got a network without a convolution, {type(network.module_).__name__}; "
            "wanted one with maps, such as 'lenet'"
        )
    return convolution[0]


def batch_of(network, images):
    """One image as the network takes it: Tensor (1, c, h, w)."""
    pixels = images[0]
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    return network._as_in_fit(to_batch(pixels[None]))


def map_shapes(network, batch):
    """Layers that give maps, in the order in which they finish.

    Parameters
    ----------
    network : CNNClassifier
        Fitted.
    batch : Tensor (1, c, h, w)

    Returns
    -------
    dict of str to (int, int, int)
        Number, height and width of the maps by the layer's name.
    """
    shapes = {}

    def note(name):
        def hook(part, args, output):
            if isinstance(output, torch.Tensor) and output.ndim == 4:
                shapes.pop(name, None)  # a layer that runs again finishes later
                shapes[name] = tuple(output.shape[1:])

        return hook

    hooks = {name: note(name) for name, _ in network.module_.named_modules() if name}
    with watched(network.module_, hooks), torch.inference_mode():
        network.net_.infer(batch)
    return shapes


def check_layer(network, layer, shapes, *, owner):
    """Raise a ValueError that lists the layers with maps, unless this is one of them."""
    if layer in shapes:
        return
    known = layer in dict(network.module_.named_modules())
    what = "which gives no maps" if known else f"unknown to {type(network.module_).__name__}"
    raise ValueError(
        f"{owner} got layer={layer!r}, {what}; layers with maps are "
        + (", ".join(map(repr, shapes)) or "none")
    )


@contextmanager
def watched(module, hooks):
    """Inside the block a module is in evaluation mode and hooked; then it is as it was.

    Parameters
    ----------
    module : torch.nn.Module
    hooks : dict of str to callable
        Forward hooks by the names of layers.
    """
    handles = []
    try:
        for name, hook in hooks.items():
            handles.append(module.get_submodule(name).register_forward_hook(hook))
        with in_eval_mode(module):
            yield
    finally:
        for handle in handles:
            handle.remove()
