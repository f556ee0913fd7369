"""Where local descriptors lie in an image."""

import numpy as np

from visionpipe.displays.display import (
    draw_image,
    figsize_of,
    get_axes,
    import_pyplot,
    steps_up_to,
    transform_images,
)
from visionpipe.local.describer import Describer

__all__ = ["KeypointsDisplay"]

POINTS_PER_CIRCLE = 33


class KeypointsDisplay:
    """The key points of an image, as circles of the size of the descriptor.

    A SIFT descriptor is 4x4 cells; the circle, of a radius of 2 cells, is the largest in it. The
    line from the centre points along the descriptor's angle. Use `from_estimator` to make one.

    Parameters
    ----------
    image : ndarray of shape (h, w) or (h, w, c)
        What was described: uint8, or float in 0..1.
    frames : ndarray of shape (n, 4)
        x, y, scale (width of a cell in pixels) and angle (in radians, clockwise from the x axis) of
        each key point, as `Descriptors` has them.
    n_found : int, default=None
        How many key points the image has, where `frames` are not all of them.

    Attributes
    ----------
    circles_ : matplotlib LineCollection
        One path for each key point: from the centre to the rim, and round it.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from skimage.data import astronaut
    >>> from visionpipe import SIFT, KeypointsDisplay
    >>> sift = SIFT(detector="sift")
    >>> display = KeypointsDisplay.from_estimator(sift, astronaut(), n_keypoints=100)
    >>> display.frames.shape
    (100, 4)
    >>> plt.show()  # doctest: +SKIP
    >>> plt.close(display.figure_)
    """

    def __init__(self, image, frames, *, n_found=None):
        self.image = image
        self.frames = frames
        self.n_found = n_found

    @classmethod
    def from_estimator(cls, estimator, image, *, n_keypoints=None, ax=None, line_kw=None):
        """Find the key points of an image and draw them.

        Parameters
        ----------
        estimator : SIFT, RootSIFT, DenseSIFT or Pipeline
            Fitted or not. The steps of a pipeline before its local descriptor are applied to the
            image; those after it do not matter.
        image : ndarray of shape (h, w) or (h, w, c), or path
        n_keypoints : int, default=None
            Draw at most so many: the strongest, or of a grid, where none is stronger, some drawn by
            chance, the same in every run. None draws all.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        line_kw : dict, default=None
            Further parameters of matplotlib's `LineCollection`, such as ``colors``.

        Returns
        -------
        KeypointsDisplay

        Raises
        ------
        ValueError
            If there is no local descriptor in `estimator`, `image` is no image, or `n_keypoints` is
            negative.
        ImportError
            If matplotlib is missing.
        """
        import_pyplot(cls.__name__)
        if n_keypoints is not None and n_keypoints < 0:
            raise ValueError(f"{cls.__name__} got n_keypoints={n_keypoints}; wanted 0 or more")
        wanted = "a local descriptor (SIFT, RootSIFT or DenseSIFT)"
        *before, describer = steps_up_to(estimator, Describer, owner=cls.__name__, wanted=wanted)
        images = transform_images(before, [image], owner=cls.__name__)
        found = describer.transform(images)
        frames = found.frames
        if n_keypoints is not None:
            on_grid = getattr(describer, "detector", "dense") == "dense"
            rows = found.sample(n_keypoints, 0) if on_grid else slice(n_keypoints)
            frames = frames[rows]  # detectors list the strongest first
        display = cls(images[0], frames, n_found=len(found.frames))
        return display.plot(ax=ax, line_kw=line_kw)

    def plot(self, *, ax=None, line_kw=None):
        """Draw the image and, over it, the key points; the title says how many.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        line_kw : dict, default=None
            Further parameters of matplotlib's `LineCollection`, such as ``colors``.

        Returns
        -------
        KeypointsDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        self.ax_ = get_axes(self, ax, figsize=figsize_of(self.image))
        self.figure_ = self.ax_.figure
        from matplotlib.collections import LineCollection
        from matplotlib.patheffects import withStroke

        draw_image(self.ax_, self.image)
        outline = [withStroke(linewidth=2, foreground="black", alpha=0.4)]
        options = {
            "colors": "yellow",
            "linewidths": 0.8,
            "path_effects": outline,
            **(line_kw or {}),
        }
        self.circles_ = LineCollection(_circles(self.frames), **options)
        self.ax_.add_collection(self.circles_, autolim=False)  # the image sets the limits
        self.ax_.set_title(self._title())
        return self

    def _title(self):
        n_shown = len(self.frames)
        if self.n_found is None or self.n_found == n_shown:
            return f"{n_shown} key points"
        return f"{n_shown} of {self.n_found} key points"


def _circles(frames):
    """Paths (n, m, 2) in x and y: from the centre along the angle, and once round the rim."""
    x, y, scale, angle = (column[:, None] for column in frames.T)
    around = angle + np.linspace(0, 2 * np.pi, POINTS_PER_CIRCLE)  # (n, m - 1)
    radius = 2 * scale
    rim = np.stack([x + radius * np.cos(around), y + radius * np.sin(around)], axis=-1)
    return np.concatenate([frames[:, None, :2], rim], axis=1)
