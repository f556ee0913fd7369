"""What comes out of a layer of a network for one image."""

from visionpipe.displays.colorbar import draw_colorbar
from visionpipe.displays.display import get_axes, import_pyplot
from visionpipe.displays.mosaic import figsize_of_mosaic, mosaic_of
from visionpipe.inspection.features import feature_maps
from visionpipe.inspection.layers import first_layer
from visionpipe.inspection.parts import split_at_network

__all__ = ["FeatureMapsDisplay"]


class FeatureMapsDisplay:
    """The maps that a layer of a network makes of one image, on one scale.

    Use `from_estimator` to make one.

    Parameters
    ----------
    maps : ndarray of float of shape (n_maps, h, w)
    layer : str
        Name of the layer.
    n_maps : int, default=None
        How many the layer makes, where `maps` are not all of them.

    Attributes
    ----------
    im_ : matplotlib AxesImage
        All maps.
    colorbar_ : matplotlib Colorbar
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from visionpipe import CNNClassifier, load_faces
    >>> from visionpipe.displays.feature_maps import FeatureMapsDisplay
    >>> faces = load_faces()
    >>> lenet = CNNClassifier("lenet", max_epochs=2, random_state=0)
    >>> lenet = lenet.fit(faces.images, faces.target)
    >>> display = FeatureMapsDisplay.from_estimator(lenet, faces.images[0], "relu1")
    >>> display.maps.shape
    (6, 14, 14)
    >>> plt.show()  # doctest: +SKIP
    >>> plt.close(display.figure_)
    """

    def __init__(self, maps, *, layer, n_maps=None):
        self.maps = maps
        self.layer = layer
        self.n_maps = n_maps

    @classmethod
    def from_estimator(
        cls, estimator, image, layer=None, *, n_maps=64, ax=None, cmap="viridis", im_kw=None
    ):
        """Compute the maps of an image and draw them.

        Parameters
        ----------
        estimator : CNNClassifier, Pipeline or search
            Fitted; its last step a CNNClassifier. The steps before it are applied to the image.
        image : ndarray of shape (h, w) or (h, w, c), or path
        layer : str, default=None
            Name of a layer of ``module_``. None is the first convolution, see `feature_maps`.
        n_maps : int, default=64
            Draw at most so many, the first ones.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        cmap : str or matplotlib Colormap, default="viridis"
            Colours of the values.
        im_kw : dict, default=None
            Further parameters of matplotlib's `imshow`.

        Returns
        -------
        FeatureMapsDisplay

        Raises
        ------
        ValueError
            If the estimator does not end in a CNNClassifier, the layer is unknown or has no maps,
            or `n_maps` is less than 1.
        NotFittedError
            If it is not fitted.
        ImportError
            If matplotlib is missing.
        """
        import_pyplot(cls.__name__)
        if n_maps < 1:
            raise ValueError(f"{cls.__name__} got n_maps={n_maps}; wanted 1 or more")
        maps = feature_maps(estimator, image, layer)
        if layer is None:
            _, network = split_at_network(estimator, owner=cls.__name__)
            layer, _ = first_layer(network)
        display = cls(maps[:n_maps], layer=layer, n_maps=len(maps))
        return display.plot(ax=ax, cmap=cmap, im_kw=im_kw)

    def plot(self, *, ax=None, cmap="viridis", im_kw=None):
        """Draw the maps; the title says how many.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        cmap : str or matplotlib Colormap, default="viridis"
            Colours of the values.
        im_kw : dict, default=None
            Further parameters of matplotlib's `imshow`.

        Returns
        -------
        FeatureMapsDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        mosaic = mosaic_of(self.maps)  # (h, w)
        self.ax_ = get_axes(self, ax, figsize=figsize_of_mosaic(mosaic))
        self.figure_ = self.ax_.figure
        self.im_ = self.ax_.imshow(mosaic, **{"cmap": cmap, **(im_kw or {})})
        self.colorbar_ = draw_colorbar(self.ax_, self.im_, "activation")
        self.ax_.set_axis_off()
        self.ax_.set_title(self._title())
        return self

    def _title(self):
        n_shown, height, width = self.maps.shape
        n = self.n_maps or n_shown
        what = "map" if n == 1 else "maps"
        shown = f"{n_shown} of {n}" if n_shown < n else f"{n}"
        return f"{self.layer}: {shown} {what} of {height}x{width}"
