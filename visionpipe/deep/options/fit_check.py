"""Whether images are large enough for a network, found out before it is trained."""

import warnings
from functools import partial

from visionpipe.networks.dry_run import dry_run
from visionpipe.networks.image_size import ImagesTooSmall

LARGEST = 512  # pixels a side, the largest images tried: no network in use wants more

# How torch and users' own checks speak of sizes that do not work; other errors are faults of code.
_OF_SIZE = (RuntimeError, ValueError, AssertionError, ZeroDivisionError, IndexError)


def check_network_takes(build, image_size, n_channels):
    """Raise a ValueError if the images are too small for a network.

    The network is built once and runs once on torch's "meta" device, where that is nearly free. If
    it fails there, the CPU has the last word.

    Parameters
    ----------
    build : callable
        Of an image size (h, w); returns a network for images of that size, with weights of its
        own. Torch's random generators are left as they were.
    image_size : (int, int)
        Height and width of the images.
    n_channels : int

    Raises
    ------
    ValueError
        If there is an image size from which on the network works, and the images are smaller. It
        names the layer that failed, the maps that reached it and the least image size.
    Exception
        Whatever else the network raises, as it is.

    Examples
    --------
    >>> from torch import nn
    >>> from visionpipe.deep.options.fit_check import check_network_takes
    >>> def build(image_size):
    ...     layers = nn.Conv2d(1, 8, 5), nn.MaxPool2d(2), nn.Flatten(), nn.LazyLinear(2)
    ...     return nn.Sequential(*layers)
    >>> check_network_takes(build, (28, 28), n_channels=1)
    >>> check_network_takes(build, (28, 5), n_channels=1)
    Traceback (most recent call last):
        ...
    ValueError: Sequential got images of 28x5 pixels (height x width), too small for its layer
    1 (MaxPool2d), which was reached by maps of 24x1 pixels; it takes 6x6 or larger: put Resize((6,
    6)) or more before it
    """
    height, width = image_size = tuple(map(int, image_size))
    run = partial(_run, build, n_channels)
    if run(image_size, "meta")[-1] is None:
        return
    network, calls, error = run(image_size, "cpu")
    if error is None:
        return
    if isinstance(error, _OF_SIZE) and not isinstance(error, ImagesTooSmall):
        least = _least_size(partial(_works, run))
        if least is not None and (height < least[0] or width < least[1]):
            raise ValueError(_message(network, calls, error, image_size, least)) from error
    raise error


def _run(build, n_channels, image_size, device):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of layers without weights in sizes tried
        return dry_run(lambda: build(image_size), (*image_size, n_channels), device)


def _works(run, image_size):
    *_, error = run(image_size, "meta")
    # A module that looks at values, of which there are none, says nothing of sizes.
    if isinstance(error, NotImplementedError) or "meta" in str(error):
        *_, error = run(image_size, "cpu")
    return error is None


def _least_size(works):
    """Height and width from which on a network works, or None.

    Found among squares first, then for each side alone. A network that takes a size but not the
    next is no matter of too few pixels: it wants a certain size, or multiples of one.
    """
    side = 1
    while not works((side, side)):
        side *= 2
        if side > LARGEST:
            return None
    side = _bisect(lambda n: works((n, n)), side)
    if not works((side + 1, side + 1)):
        return None
    return _bisect(lambda n: works((n, side)), side), _bisect(lambda n: works((side, n)), side)


def _bisect(works, enough):
    """Least whole number from 1 that works, if all from it on do; `enough` does."""
    too_small = 0
    while enough - too_small > 1:
        middle = (too_small + enough) // 2
        if works(middle):
            enough = middle
        else:
            too_small = middle
    return enough


def _message(network, calls, error, image_size, least):
    size = "{}x{}".format(*image_size)
    name = "the network" if network is None else type(network).__name__
    return (
        f"{name} got images of {size} pixels (height x width), {_where(network, calls, error)}; it "
        f"takes {least[0]}x{least[1]} or larger: put Resize({least}) or more before it"
    )


def _where(network, calls, error):
    """What was too small for which layer."""
    if network is None:
        return f"for which it cannot be built ({error})"
    *_, before, failed = [None, None, *calls]
    if failed and failed.name:
        reached = _maps(failed.shape_in)
        return f"too small for its layer {_named(failed)}, which was reached by {reached}"
    if before:
        given = _maps(before.shape_out)
        return f"too small for what follows its layer {_named(before)}, which gives {given}"
    return f"which are too small ({error})"


def _named(call):
    return f"{call.name} ({type(call.module).__name__})"


def _maps(shape):
    if shape is not None and len(shape) == 4:
        return f"maps of {shape[2]}x{shape[3]} pixels"
    return f"tensors of shape {shape}"
