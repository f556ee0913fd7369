"""How a network's training went, epoch by epoch."""

import numpy as np

from visionpipe.displays.display import import_pyplot
from visionpipe.inspection.parts import split_at_network

__all__ = ["TrainingCurvesDisplay"]

# Axes from top to bottom: their name, and what of the history is drawn in them and how it is called
_PANELS = {
    "loss": {"train_loss": "training", "valid_loss": "validation"},
    "accuracy": {"train_acc": "training", "valid_acc": "validation"},
    "learning rate": {"lr": "", "event_lr": ""},  # skorch's LRScheduler calls it event_lr
}


class TrainingCurvesDisplay:
    """Losses, accuracies and learning rate of a network's training, by epoch.

    What was not recorded is not drawn: a validation curve takes ``validation_fraction``. Not to be
    taken for scikit-learn's `LearningCurveDisplay`, which is over the number of training images.
    Use `from_estimator` to make one.

    Parameters
    ----------
    curves : dict of str to ndarray of shape (n_epochs,)
        What skorch's history has for each epoch, by its name there: of "train_loss", "valid_loss",
        "train_acc", "valid_acc", "lr" and "event_lr" those that there are. NaN in an epoch without
        one.

    Attributes
    ----------
    lines_ : dict of str to matplotlib Line2D
        By the names of `curves`.
    axes_ : ndarray of matplotlib Axes of shape (n_panels,)
        Loss, accuracy and learning rate, from top to bottom, as far as there are curves.
    bounding_ax_ : matplotlib Axes or None
        Axes that were given, which `axes_` have been drawn within.
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from visionpipe import CNNClassifier, load_faces
    >>> from visionpipe.displays.training import TrainingCurvesDisplay
    >>> faces = load_faces()
    >>> lenet = CNNClassifier("lenet", max_epochs=3, validation_fraction=0.2, random_state=0)
    >>> display = TrainingCurvesDisplay.from_estimator(lenet.fit(faces.images, faces.target))
    >>> display.curves["valid_loss"].shape
    (3,)
    >>> plt.show()  # doctest: +SKIP
    >>> plt.close(display.figure_)
    """

    def __init__(self, curves):
        self.curves = curves

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, line_kw=None):
        """Draw the history of a fitted network.

        Parameters
        ----------
        estimator : CNNClassifier, Pipeline or search
            Fitted; its last step a CNNClassifier. Of a search, its best estimator counts.
        ax : matplotlib Axes, default=None
            Where to draw, one below the other; None makes a figure.
        line_kw : dict, default=None
            Further parameters of matplotlib's `plot`, such as ``linewidth``.

        Returns
        -------
        TrainingCurvesDisplay

        Raises
        ------
        ValueError
            If the estimator does not end in a CNNClassifier.
        NotFittedError
            If it is not fitted.
        ImportError
            If matplotlib is missing.
        """
        import_pyplot(cls.__name__)
        _, network = split_at_network(estimator, owner=cls.__name__)
        return cls(_curves_of(network.history_)).plot(ax=ax, line_kw=line_kw)

    def plot(self, *, ax=None, line_kw=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw, one below the other; None makes a figure.
        line_kw : dict, default=None
            Further parameters of matplotlib's `plot`, such as ``linewidth``.

        Returns
        -------
        TrainingCurvesDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        panels = {
            title: {name: label for name, label in known.items() if name in self.curves}
            for title, known in _PANELS.items()
        }
        panels = {title: names for title, names in panels.items() if names}
        self.bounding_ax_ = ax
        self.axes_ = _make_axes(type(self).__name__, ax, len(panels))
        self.figure_ = self.axes_[0].figure
        self.lines_ = {}
        for panel, (title, names) in zip(self.axes_, panels.items(), strict=True):
            for name, label in names.items():
                self.lines_[name] = self._draw(panel, name, label, line_kw or {})
            panel.set_ylabel(title)
            panel.grid(alpha=0.3)
            if any(names.values()):
                panel.legend()
        self.axes_[-1].set_xlabel("epoch")
        return self

    def _draw(self, panel, name, label, line_kw):
        values = self.curves[name]
        epochs = np.arange(1, len(values) + 1)
        marker = "." if len(values) <= 30 else None  # of one epoch there is no line to see
        color = "C1" if name.startswith("valid") else "C0"
        options = {"label": label or None, "color": color, "marker": marker, **line_kw}
        (line,) = panel.plot(epochs, values, **options)
        panel.xaxis.get_major_locator().set_params(integer=True)
        return line


def _curves_of(history):
    known = [name for names in _PANELS.values() for name in names]
    recorded = [name for name in known if any(name in epoch for epoch in history)]
    return {
        name: np.array([epoch.get(name, np.nan) for epoch in history], dtype=float)
        for name in recorded
    }


def _make_axes(owner, ax, n_panels):
    """Axes one below the other, of a new figure or within the axes given."""
    plt = import_pyplot(owner)
    if ax is None:
        figure = plt.figure(figsize=(6, 0.6 + 2.2 * n_panels), layout="constrained")
        return figure.subplots(n_panels, sharex=True, squeeze=False)[:, 0]
    ax.set_axis_off()
    grid = ax.get_subplotspec().subgridspec(n_panels, 1)
    return grid.subplots(sharex=True, squeeze=False)[:, 0]
