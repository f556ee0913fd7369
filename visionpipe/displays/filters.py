"""What the first layer of a network looks for."""

import numpy as np

from visionpipe.displays.colorbar import draw_colorbar
from visionpipe.displays.display import get_axes, import_pyplot
from visionpipe.displays.mosaic import caption_places, figsize_of_mosaic, mosaic_of
from visionpipe.inspection.features import filters
from visionpipe.inspection.layers import first_layer
from visionpipe.inspection.parts import WITH_FILTERS, split_at_network

__all__ = ["FiltersDisplay"]


class FiltersDisplay:
    """Weights of the first layer of a network: the filters of its first convolution.

    Of a network without convolutions, such as that of the default `Autoencoder`, the weights of
    each unit of its first dense layer; where these units are the classes already, as in softmax
    regression, each bears its class's name. Use `from_estimator` to make one.

    Parameters
    ----------
    filters : ndarray of float of shape (n, h, w, c)
        c is 1, drawn in colours from negative to positive, or 3, drawn as RGB with a mid grey for
        0. One scale for all of them.
    layer : str
        Name of the layer.
    n_filters : int, default=None
        How many the layer has, where `filters` are not all of them.
    labels : array-like of shape (n,), default=None
        What to write above each.

    Attributes
    ----------
    im_ : matplotlib AxesImage
        All filters.
    colorbar_ : matplotlib Colorbar or None
        None for RGB.
    text_ : list of matplotlib Text
        The labels.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from visionpipe import CNNClassifier, load_faces
    >>> from visionpipe.displays.filters import FiltersDisplay
    >>> faces = load_faces()
    >>> lenet = CNNClassifier("lenet", max_epochs=2, random_state=0)
    >>> display = FiltersDisplay.from_estimator(lenet.fit(faces.images, faces.target))
    >>> display.filters.shape
    (6, 5, 5, 1)
    >>> plt.show()  # doctest: +SKIP
    >>> plt.close(display.figure_)
    """

    def __init__(self, filters, *, layer, n_filters=None, labels=None):
        self.filters = filters
        self.layer = layer
        self.n_filters = n_filters
        self.labels = labels

    @classmethod
    def from_estimator(cls, estimator, *, n_filters=64, ax=None, cmap="RdBu_r", im_kw=None):
        """Draw the filters of a fitted network.

        Parameters
        ----------
        estimator : CNNClassifier, Autoencoder, Pipeline or search
            Fitted; its last step a CNNClassifier or an Autoencoder. Of a Pipeline that goes on
            after its Autoencoder, pass that alone, ``pipeline["autoencoder"]``.
        n_filters : int, default=64
            Draw at most so many, the first ones.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        cmap : str or matplotlib Colormap, default="RdBu_r"
            Colours of the weights on one channel, from negative to positive.
        im_kw : dict, default=None
            Further parameters of matplotlib's `imshow`.

        Returns
        -------
        FiltersDisplay

        Raises
        ------
        ValueError
            If the estimator does not end in a CNNClassifier or an Autoencoder, its network has no
            layer whose weights are images of 1 or 3 channels, or `n_filters` is less than 1.
        NotFittedError
            If it is not fitted.
        ImportError
            If matplotlib is missing.
        """
        import_pyplot(cls.__name__)
        if n_filters < 1:
            raise ValueError(f"{cls.__name__} got n_filters={n_filters}; wanted 1 or more")
        _, network = split_at_network(estimator, owner=cls.__name__, kinds=WITH_FILTERS)
        name, _ = first_layer(network)
        weights = filters(network)
        if weights.shape[3] not in (1, 3):
            raise ValueError(
                f"{cls.__name__} got filters on {weights.shape[3]} channels, of layer {name!r}; "
                "wanted 1 (grey) or 3 (RGB), other ones have no colour"
            )
        labels = network.classes_[:n_filters] if _tells_classes(network, name) else None
        display = cls(weights[:n_filters], layer=name, n_filters=len(weights), labels=labels)
        return display.plot(ax=ax, cmap=cmap, im_kw=im_kw)

    def plot(self, *, ax=None, cmap="RdBu_r", im_kw=None):
        """Draw the filters; the title says how many.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        cmap : str or matplotlib Colormap, default="RdBu_r"
            Colours of the weights on one channel, from negative to positive.
        im_kw : dict, default=None
            Further parameters of matplotlib's `imshow`.

        Returns
        -------
        FiltersDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        mosaic = mosaic_of(self.filters, captioned=self.labels is not None)  # (h, w, c)
        self.ax_ = get_axes(self, ax, figsize=figsize_of_mosaic(mosaic))
        self.figure_ = self.ax_.figure
        farthest = abs(self.filters).max() or 1
        is_grey = self.filters.shape[3] == 1
        picture = mosaic[..., 0] if is_grey else _as_rgba(mosaic / farthest)
        options = {"cmap": cmap, "vmin": -farthest, "vmax": farthest, **(im_kw or {})}
        self.im_ = self.ax_.imshow(picture, **options)
        self.colorbar_ = draw_colorbar(self.ax_, self.im_, "weight") if is_grey else None
        self.text_ = self._write_labels()
        self.ax_.set_axis_off()
        self.ax_.set_title(self._title(), pad=18 if self.text_ else None)
        return self

    def _write_labels(self):
        if self.labels is None:
            return []
        places = caption_places(self.filters)
        return [
            self.ax_.text(x, y, str(label), ha="center", va="bottom", fontsize=8)
            for (x, y), label in zip(places, self.labels, strict=True)
        ]

    def _title(self):
        n_shown, height, width, _ = self.filters.shape
        n = self.n_filters or n_shown
        what = "filter" if n == 1 else "filters"
        shown = f"{n_shown} of {n}" if n_shown < n else f"{n}"
        return f"{self.layer}: {shown} {what} of {height}x{width}"


def _tells_classes(network, name):
    """Whether a layer is a classifier's only one with weights: its units stand for the classes."""
    if not hasattr(network, "classes_"):
        return False
    owners = {parameter.rpartition(".")[0] for parameter, _ in network.module_.named_parameters()}
    return owners == {name}


def _as_rgba(mosaic):
    """Weights (h, w, 3) in -1..1 as colours, and transparency where there are none."""
    is_tile = ~np.isnan(mosaic).any(axis=2, keepdims=True)  # (h, w, 1)
    return np.concatenate([np.nan_to_num(0.5 + mosaic / 2), is_tile], axis=2)  # (h, w, 4)
