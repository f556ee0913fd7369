"""How accurate the pipelines of a comparison are with ever more images to learn from."""

import numpy as np

from visionpipe.displays.display import get_axes, import_pyplot
from visionpipe.displays.labels import (
    COLOURS,
    label_log_axis,
    left_out_line,
    on_one_line,
    stretch_accuracies,
)

__all__ = ["LearningCurveDisplay", "points_of"]

# As many as have no common factor with each other and the colours, so that 105 lines differ
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)))

SAME_SIZE = 1.1  # folds differ by a few images: sizes up to so many times the least are one


class LearningCurveDisplay:
    """Accuracies of pipelines over the number of images that they learn from.

    A line joins means over folds; fainter marks are the folds. scikit-learn's display of this name
    fits one estimator for its curve. Use `from_comparison` to make one.

    Parameters
    ----------
    curves : dict of str to (ndarray, ndarray)
        By pipeline, number of training images and accuracy in 0..1 of each fit, (n_points,) each.
        Several fits of a size are folds.
    left_out : dict of str to str, default=None
        Pipelines that are not drawn, and why; the picture names them.

    Attributes
    ----------
    lines_ : dict of str to matplotlib Line2D
        By pipeline.
    folds_ : dict of str to matplotlib Line2D
        By pipeline.
    legend_ : matplotlib Legend
        Beside the axes; names come in the order in which the lines end, from top to bottom.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> from visionpipe import HOG, Pixels, compare, load_faces
    >>> from visionpipe.displays.learning_curve import LearningCurveDisplay
    >>> faces = load_faces()
    >>> svms = {"pixels": make_pipeline(Pixels(), SVC()), "hog": make_pipeline(HOG(), SVC())}
    >>> comparison = compare(svms, faces.images, faces.target, train_sizes=(20, 60))
    >>> display = LearningCurveDisplay.from_comparison(comparison)
    >>> display.lines_["hog"].get_xdata()
    array([ 20.,  60., 160.])
    >>> plt.show()  # doctest: +SKIP
    >>> plt.close(display.figure_)
    """

    def __init__(self, curves, *, left_out=None):
        self.curves = curves
        self.left_out = left_out

    @classmethod
    def from_comparison(cls, comparison, *, pipelines=None, ax=None):
        """Draw the learning curves of a comparison.

        Parameters
        ----------
        comparison : Comparison
            From `visionpipe.compare`, with ``train_sizes``. A curve is of the folds that it was
            measured on at more than one size: the mean over all folds, which the last size alone
            has, would lie off it.
        pipelines : list of str, default=None
            Their names; None is all.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        LearningCurveDisplay

        Raises
        ------
        ValueError
            If there is no pipeline of a name, or none has a curve.
        ImportError
            If matplotlib is missing.
        """
        import_pyplot(cls.__name__)
        names = [*comparison.results] if pipelines is None else [*pipelines]
        for name in names:
            if name not in comparison.results:
                known = ", ".join(comparison.results)
                raise ValueError(f"{cls.__name__} got pipeline {name!r}; there are {known}")
        found = {name: points_of(comparison.results[name].curve) for name in names}
        curves = {name: points for name, points in found.items() if len(points[0])}
        if not curves:
            raise ValueError(
                f"{cls.__name__} got a comparison without learning curves; they are measured if "
                "compare is told train_sizes=, such as (0.1, 0.3)"
            )
        left_out = {name: "has no learning curve" for name in names if name not in curves}
        return cls(curves, left_out=left_out).plot(ax=ax)

    def plot(self, *, ax=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure. The legend stands on its right, outside.

        Returns
        -------
        LearningCurveDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        self.ax_ = get_axes(self, ax, figsize=(7.5, max(4.5, 1 + 0.2 * len(self.curves))))
        self.figure_ = self.ax_.figure
        label_log_axis(self.ax_, np.concatenate([n_train for n_train, _ in self.curves.values()]))
        accuracies = np.concatenate([accuracies for _, accuracies in self.curves.values()])
        stretch_accuracies(self.ax_.yaxis, 100 * accuracies)
        self.lines_, self.folds_ = {}, {}
        for number, name in enumerate(self.curves):
            self.lines_[name], self.folds_[name] = self._draw(number, *self.curves[name])
        label = "images to learn from" + left_out_line(self.left_out)
        self.ax_.set_xlabel(label, parse_math=False)
        self.ax_.set_ylabel("accuracy in %")
        self.ax_.grid(alpha=0.3)
        self._name_lines()
        return self

    def _name_lines(self):
        names = sorted(self.lines_, key=lambda name: -self.lines_[name].get_ydata()[-1])
        lines = [self.lines_[name] for name in names]
        place = {"loc": "upper left", "bbox_to_anchor": (1, 1), "handlelength": 3.5}
        # numbers first: a legend leaves out names that begin with _, and reads $ as mathematics
        numbers = [*map(str, range(len(lines)))]
        self.legend_ = self.ax_.legend(lines, numbers, frameon=False, fontsize="small", **place)
        for text, name in zip(self.legend_.get_texts(), names, strict=True):
            text.set_parse_math(False)
            text.set_text(on_one_line(name))

    def _draw(self, number, n_train, accuracies):
        """Draw the means and the folds of a curve."""
        percent = 100 * np.asarray(accuracies)
        mark = {
            "color": COLOURS[number % len(COLOURS)],
            "marker": MARKERS[number % len(MARKERS)],
        }
        dashes = DASHES[number % len(DASHES)]
        means = _means(np.asarray(n_train), percent)
        (line,) = self.ax_.plot(*means, linestyle=dashes, markersize=5, zorder=3, **mark)
        (folds,) = self.ax_.plot(n_train, percent, linestyle="none", alpha=0.4, ms=3, **mark)
        return line, folds


def points_of(curve):
    """Return what there is to draw of a curve.

    Parameters
    ----------
    curve : list of CurvePoint

    Returns
    -------
    n_train, accuracies : ndarray of shape (n_points,)
        Of the fits that succeeded, on folds that have more than one.
    """
    done = [point for point in curve if not np.isnan(point.accuracy)]
    folds = [point.fold for point in done]
    kept = [point for point in done if folds.count(point.fold) > 1]
    return np.array([p.n_train for p in kept]), np.array([p.accuracy for p in kept])


def _means(n_train, values):
    """Mean size and value of the fits of about the same size, by size."""
    order = np.argsort(n_train, kind="stable")
    n_train, values = n_train[order], values[order]
    starts = [0]
    for i, size in enumerate(n_train):
        if size > SAME_SIZE * n_train[starts[-1]]:
            starts.append(i)
    counts = np.diff(starts, append=len(n_train))
    return [np.add.reduceat(each, starts) / counts for each in (n_train, values)]
