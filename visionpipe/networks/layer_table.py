"""What each layer of a network gives, and how many parameters it has."""

import math
from collections import namedtuple
from functools import partial

from torch import nn

from visionpipe.networks import create
from visionpipe.networks.dry_run import dry_run

Layer = namedtuple("Layer", ["name", "kind", "shape", "n_activations", "n_parameters"])
Layer.__doc__ = """A row of the table.

``shape`` is (h, w, c) or (n,) for one image, None for parameters of a module that was not called.
"""

_HEAD = ("layer", "kind", "output", "activations", "parameters")
_ALIGNMENT = ("<", "<", "<", ">", ">")


class LayerTable(list):
    """Rows of type `Layer`, in the order they run; printed, an aligned table with totals.

    Parameters
    ----------
    image_shape : (int, int, int)
        Height, width and channels of what the first layer takes.
    layers : iterable of Layer, default=()
    """

    def __init__(self, image_shape, layers=()):
        super().__init__(layers)
        self.image_shape = image_shape

    @property
    def n_activations(self):
        """Numbers that the layers give for one image, all together."""
        return sum(layer.n_activations for layer in self)

    @property
    def n_parameters(self):
        """Weights and biases of all layers."""
        return sum(layer.n_parameters for layer in self)

    def main_layers(self):
        """Return the table without layers that have no parameters and give as many numbers as came.

        Those are activations, dropout, reshaping and normalisation without weights.

        Returns
        -------
        LayerTable
        """
        kept, n_before = LayerTable(self.image_shape), math.prod(self.image_shape)
        for layer in self:
            if layer.n_parameters or layer.n_activations != n_before:
                kept.append(layer)
            n_before = layer.n_activations
        return kept

    def __str__(self):
        rows = [_HEAD, *map(_cells, self)]
        rows.append(("total", "", "", f"{self.n_activations:,}", f"{self.n_parameters:,}"))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = (
            "  ".join(
                f"{cell:{side}{width}}"
                for cell, side, width in zip(row, _ALIGNMENT, widths, strict=True)
            )
            for row in rows
        )
        return "\n".join(line.rstrip() for line in lines)


def _cells(layer):
    shape = "x".join(map(str, layer.shape or ()))
    counts = [f"{n:,}" if n else "" for n in (layer.n_activations, layer.n_parameters)]
    return (layer.name, layer.kind, shape, *counts)


def layer_table(network, image_shape, n_classes=10, **options):
    """List the layers of a network: what they give for an image, and their parameters.

    Parameters
    ----------
    network : str, class or torch.nn.Module
        A name of `visionpipe.networks.names()`, a class that takes ``n_channels``, ``image_size``
        and ``n_classes`` by keyword, or a module that is built already.
    image_shape : (int, int, int)
        Height, width and channels.
    n_classes : int, default=10
        For a network to be built.
    **options
        Of a network to be built, its own.

    Returns
    -------
    LayerTable
        One row for each call of a module that contains no others. A module that runs twice has two
        rows, its parameters stand in the first. Parameters of modules that contain others, or do
        not run, follow at the end, so that ``n_parameters`` is the number of all.

    Raises
    ------
    ValueError
        If the name is unknown, the shape is none, or the images are too small.

    Notes
    -----
    The network runs on torch's "meta" device, without memory and arithmetic, or on the CPU if it
    cannot: no network is too large for a table.

    Examples
    --------
    >>> from visionpipe.networks.layer_table import layer_table
    >>> table = layer_table("mlp", (28, 28, 1), hidden=(100,))
    >>> print(table)
    layer    kind     output  activations  parameters
    flatten  Flatten  784             784
    dense1   Linear   100             100      78,500
    relu1    ReLU     100             100
    dense2   Linear   10               10       1,010
    total                             994      79,510
    >>> table.n_parameters
    79510
    """
    shape = tuple(image_shape)
    if len(shape) != 3 or not all(isinstance(n, int) and n >= 1 for n in shape):
        raise ValueError(
            f"image_shape={image_shape!r}: wanted height, width and channels, such as (28, 28, 1)"
        )
    make = _maker(network, shape, n_classes, options)
    module, calls, error = dry_run(make, shape)
    if error:  # of the meta device, or the network's own
        module, calls, error = dry_run(make, shape, "cpu")
    if error:
        raise error
    return LayerTable(shape, _rows(module, calls))


def _maker(network, image_shape, n_classes, options):
    if isinstance(network, nn.Module):
        return lambda: network
    height, width, n_channels = image_shape
    build = partial(create, network) if isinstance(network, str) else network
    size = (height, width)
    return partial(build, n_channels=n_channels, image_size=size, n_classes=n_classes, **options)


def _rows(network, calls):
    counted = set()
    for call in calls:
        if not any(call.module.children()):
            yield _row(call.name, call.module, _channels_last(call.shape_out), counted)
    for name, module in network.named_modules():
        row = _row(name, module, None, counted)
        if row.n_parameters:
            yield row


def _row(name, module, shape, counted):
    """The row of a module, with the parameters that no row counted before."""
    own = [p for p in module.parameters(recurse=False) if p not in counted]
    counted.update(own)
    n_activations = 0 if shape is None else math.prod(shape)
    n_parameters = sum(parameter.numel() for parameter in own)
    return Layer(name or "network", type(module).__name__, shape, n_activations, n_parameters)


def _channels_last(shape):
    """(h, w, c) of (b, c, h, w), else what follows the batch."""
    if shape is None:
        return None
    return (*shape[2:], shape[1]) if len(shape) == 4 else shape[1:]
