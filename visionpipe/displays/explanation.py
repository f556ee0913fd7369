"""Where in an image a classifier finds its reasons."""

from visionpipe.base import to_batch
from visionpipe.displays.colorbar import draw_colorbar
from visionpipe.displays.display import draw_image, figsize_of, get_axes, import_pyplot
from visionpipe.images import as_images
from visionpipe.inspection.gradients import grad_cam
from visionpipe.inspection.layers import is_convolution
from visionpipe.inspection.occlusion import occlusion_map
from visionpipe.inspection.parts import best_of, ends_in_network, split_at_network
from visionpipe.inspection.scores import class_scores, number_of, score_name
from visionpipe.kernels.color import rgb_to_grey, to_unit

__all__ = ["ExplanationDisplay"]


class ExplanationDisplay:
    """An image in grey, and over it a map of what speaks for a class.

    The same call explains a network and a classifier on features by hand. Use `from_estimator` to
    make one.

    Parameters
    ----------
    image : ndarray of shape (h, w) or (h, w, c)
        uint8, or float in 0..1.
    heat_map : ndarray of float of shape (h, w)
    method : {"grad_cam", "occlusion"}
        How the map was made. That of Grad-CAM begins at 0; that of occlusion has either sign.
    label : label of a class
        The class that the map speaks of.
    score : float
        What the classifier thinks of it.
    score_name : str, default="probability"
        What the score is called.

    Attributes
    ----------
    im_ : matplotlib AxesImage
        The map.
    colorbar_ : matplotlib Colorbar or None
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import LinearSVC
    >>> from visionpipe import HOG, CNNClassifier, load_faces
    >>> from visionpipe.displays.explanation import ExplanationDisplay
    >>> faces = load_faces()
    >>> svm = make_pipeline(HOG(), LinearSVC()).fit(faces.images, faces.target)
    >>> lenet = CNNClassifier("lenet", max_epochs=2, random_state=0)
    >>> lenet = lenet.fit(faces.images, faces.target)
    >>> for model in (svm, lenet):
    ...     display = ExplanationDisplay.from_estimator(model, faces.images[0])
    ...     print(display.method, display.heat_map.shape)
    ...     plt.close(display.figure_)
    occlusion (25, 25)
    grad_cam (25, 25)
    """

    def __init__(self, image, heat_map, *, method, label, score, score_name="probability"):
        self.image = image
        self.heat_map = heat_map
        self.method = method
        self.label = label
        self.score = score
        self.score_name = score_name

    @classmethod
    def from_estimator(
        cls,
        estimator,
        image,
        label=None,
        *,
        method="auto",
        method_kw=None,
        ax=None,
        heat_alpha=0.7,
        cmap=None,
        colorbar=True,
    ):
        """Explain a class of an image and draw the explanation.

        Parameters
        ----------
        estimator : classifier of images
            Fitted: a CNNClassifier, a pipeline, a search.
        image : ndarray of shape (h, w) or (h, w, c), or path
        label : label of a class, default=None
            None is the class that is predicted.
        method : {"auto", "grad_cam", "occlusion"}, default="auto"
            See `visionpipe.inspection`. "grad_cam" is for networks with convolutions and takes one
            step through them; "occlusion" is for all and takes many predictions. "auto" is
            "grad_cam" where it can be.
        method_kw : dict, default=None
            Further parameters of `grad_cam` (``layer``) or `occlusion_map` (``size``, ``step``,
            ``fill``).
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        heat_alpha : float, default=0.7
            Opacity of the map where it is strongest; it falls to 0 where the map is 0.
        cmap : str or matplotlib Colormap, default=None
            Colours of the map. None is "jet" for Grad-CAM, as in its paper, and "bwr" for
            occlusion: red where the class needs the pixels.
        colorbar : bool, default=True
            Draw the scale of the map.

        Returns
        -------
        ExplanationDisplay

        Raises
        ------
        ValueError
            If the method is unknown or does not suit the estimator, or the label is not a class.
        NotFittedError
            If the estimator is not fitted.
        ImportError
            If matplotlib is missing.
        """
        import_pyplot(cls.__name__)
        estimator = best_of(estimator)
        method = _choose(method, estimator)
        pixels = as_images([image], owner=cls.__name__)[0]  # (h, w) or (h, w, c)
        scores = class_scores(estimator, pixels[None], owner=cls.__name__)[0]  # (n_classes,)
        if label is None:
            label = estimator.predict(pixels[None])[0]
        number = number_of(label, estimator.classes_, owner=cls.__name__)
        display = cls(
            pixels,
            _METHODS[method](estimator, pixels, label, **(method_kw or {})),
            method=method,
            label=label,
            score=float(scores[number]),
            score_name=score_name(estimator),
        )
        return display.plot(ax=ax, heat_alpha=heat_alpha, cmap=cmap, colorbar=colorbar)

    def plot(self, *, ax=None, heat_alpha=0.7, cmap=None, colorbar=True):
        """Draw the image and the map; the title names the class and its score.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        heat_alpha : float, default=0.7
            Opacity of the map where it is strongest; it falls to 0 where the map is 0.
        cmap : str or matplotlib Colormap, default=None
            Colours of the map. None is "jet" for Grad-CAM, as in its paper, and "bwr" for
            occlusion: red where the class needs the pixels.
        colorbar : bool, default=True
            Draw the scale of the map.

        Returns
        -------
        ExplanationDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        width, height = figsize_of(self.image)
        self.ax_ = get_axes(self, ax, figsize=(width + 1.5 * colorbar, height))
        self.figure_ = self.ax_.figure
        draw_image(self.ax_, _grey(self.image))
        has_signs = self.method == "occlusion"
        farthest = float(abs(self.heat_map).max()) or 1.0
        self.im_ = self.ax_.imshow(
            self.heat_map,
            cmap=cmap or ("bwr" if has_signs else "jet"),
            vmin=-farthest if has_signs else 0,
            vmax=farthest,
            alpha=heat_alpha * abs(self.heat_map) / farthest,
        )
        what = f"fall of the {self.score_name} if covered" if has_signs else "Grad-CAM"
        self.colorbar_ = draw_colorbar(self.ax_, self.im_, what) if colorbar else None
        self.ax_.set_title(f"{self.label}: {self.score_name} {self.score:.2f}")
        return self


def _grey(image):
    """The image (h, w) without its colours, which would mix with those of the map."""
    if image.ndim == 2:
        return image
    batch = to_unit(to_batch(image[None]))  # (1, c, h, w)
    return rgb_to_grey(batch)[0, 0].numpy()


_METHODS = {"grad_cam": grad_cam, "occlusion": occlusion_map}


def _choose(method, estimator):
    """The name of a method, "auto" resolved."""
    if method == "auto":
        return "grad_cam" if _has_convolutions(estimator) else "occlusion"
    if method not in _METHODS:
        known = ", ".join(map(repr, ("auto", *_METHODS)))
        raise ValueError(f"ExplanationDisplay got method={method!r}; wanted one of {known}")
    return method


def _has_convolutions(estimator):
    if not ends_in_network(estimator):
        return False
    _, network = split_at_network(estimator, owner="ExplanationDisplay")
    return any(map(is_convolution, network.module_.modules()))
