"""Pure functions on torch tensors, a batch of images in and a float32 tensor out, on any device.

Each file has a ``VERSION``, which is raised whenever the numbers that it gives change by more than
rounding: what has been stored under another version is computed again.
"""

from importlib import import_module
from pkgutil import iter_modules

__all__ = ["versions"]


def versions(*names):
    """Versions of kernels.

    Parameters
    ----------
    *names : str
        Files of this package; none stands for all.

    Returns
    -------
    dict of str to int

    Examples
    --------
    >>> from visionpipe.kernels import versions
    >>> sorted(versions("hog", "color"))
    ['color', 'hog']
    """
    names = names or [module.name for module in iter_modules(__path__)]
    return {name: import_module(f"{__name__}.{name}").VERSION for name in names}
