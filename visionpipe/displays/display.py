"""What the displays share: the step to show, the images that reach it, and the axes."""

import numpy as np
from sklearn.pipeline import Pipeline

from visionpipe.images import as_images
from visionpipe.inspection.parts import flat_steps

__all__ = [
    "draw_image",
    "figsize_of",
    "get_axes",
    "import_pyplot",
    "steps_up_to",
    "transform_images",
]


def steps_up_to(estimator, kinds, *, owner, wanted):
    """Steps of an estimator up to the first of some kinds, which is the last returned.

    Parameters
    ----------
    estimator : estimator
        A `Pipeline`, of pipelines if need be, or the step itself.
    kinds : type or tuple of types
    owner, wanted : str
        Who asks, and for what: for the error message.

    Returns
    -------
    list of estimators

    Raises
    ------
    ValueError
        If there is none of these kinds.
    """
    steps = flat_steps(estimator)
    for position, step in enumerate(steps):
        if isinstance(step, kinds):
            return steps[: position + 1]
    got = type(estimator).__name__
    if isinstance(estimator, Pipeline):
        got += " of " + ", ".join(type(step).__name__ for step in steps)
    raise ValueError(f"{owner} got a {got}; wanted {wanted}, or a Pipeline that contains one")


def transform_images(steps, X, *, owner):
    """Send what holds images through image steps.

    Returns
    -------
    Images
    """
    for step in steps:
        X = step.transform(X)
    return as_images(X, owner=owner)


def import_pyplot(owner):
    """Import matplotlib.pyplot, which is optional, or say how to get it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{owner} needs matplotlib: pip install 'visionpipe[plots]' ({error})"
        ) from error
    return plt


def get_axes(display, ax, *, figsize):
    """Return the axes given, or those of a new figure of so many inches across and down."""
    plt = import_pyplot(type(display).__name__)
    return plt.subplots(figsize=figsize, layout="constrained")[1] if ax is None else ax


def figsize_of(image):
    """Inches of a figure that shows an image: 8 for its longer side, and at least 2."""
    height, width = image.shape[:2]
    return tuple(max(2, 8 * length / max(height, width)) for length in (width, height))


def draw_image(ax, image, **options):
    """Draw an image, (h, w) or (h, w, c), over its own range of values and without ticks."""
    white = 255 if image.dtype == np.uint8 else 1
    ax.imshow(image, cmap="gray", vmin=0, vmax=white, **options)
    ax.set_axis_off()
