"""How accurate the pipelines of a comparison are, and at what cost."""

from itertools import pairwise

import numpy as np

from visionpipe.displays.display import get_axes, import_pyplot
from visionpipe.displays.labels import (
    COLOURS,
    label_log_axis,
    label_points,
    left_out_line,
    on_one_line,
    stretch_accuracies,
)

__all__ = ["ComparisonDisplay"]

COSTS = {
    "fit_seconds": "seconds to fit",
    "search_seconds": "seconds to search parameters",
    "predict_ms_batch_1": "milliseconds to predict an image, alone",
    "predict_ms_batch_256": "milliseconds to predict an image, 256 at a time",
    "model_bytes": "size of the fitted pipeline",
    "peak_bytes": "memory to fit and predict",
}

LEGEND_INCHES = 5  # width of a legend on one line

# By verdict: what it is called, and a mark that is told from the others without its colour
_MARKS = {
    "best": ("best", {"marker": "*", "markersize": 13, "color": COLOURS[1]}),
    "not told apart": (
        "not told apart from it",
        {"marker": "o", "markersize": 7, "color": COLOURS[0]},
    ),
    "worse": (
        "worse",
        {"marker": "o", "markersize": 6, "color": COLOURS[4], "markerfacecolor": "none"},
    ),
}


class ComparisonDisplay:
    """Accuracies of pipelines with their intervals, or against what they cost.

    The best pipeline is a star. Those that are not told apart from it are full circles, those that
    are worse empty ones. Use `from_comparison` to make one.

    Parameters
    ----------
    names : list of str of length n_pipelines
    accuracies : ndarray of shape (n_pipelines,)
        In 0..1.
    lows, highs : ndarray of shape (n_pipelines,)
        Ends of their intervals.
    verdicts : list of {"best", "not told apart", "worse"} of length n_pipelines
        On each against the best.
    cost : str, default=None
        What `costs` are; None draws the accuracies alone.
    costs : ndarray of shape (n_pipelines,), default=None
        More than 0.
    left_out : dict of str to str, default=None
        Pipelines that are not drawn, and why; the picture names them.

    Attributes
    ----------
    points_ : dict of str to matplotlib Line2D
        By verdict.
    intervals_ : matplotlib LineCollection or None
        None against a cost.
    text_ : list of matplotlib Annotation
        In the order of `names`: accuracies in the margin or, against a cost, names beside points.
    front_ : list of str or None
        Against a cost, the pipelines that none is at least as good as in both, and better than in
        one; the cheapest first.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> from visionpipe import HOG, Pixels, compare, load_faces
    >>> from visionpipe.displays.comparison import ComparisonDisplay
    >>> faces = load_faces()
    >>> svms = {"pixels": make_pipeline(Pixels(), SVC()), "hog": make_pipeline(HOG(), SVC())}
    >>> comparison = compare(svms, faces.images, faces.target)
    >>> display = ComparisonDisplay.from_comparison(comparison)
    >>> display.names, display.verdicts
    (['pixels', 'hog'], ['not told apart', 'best'])
    >>> plt.close(display.figure_)
    >>> display = ComparisonDisplay.from_comparison(comparison, cost="model_bytes")
    >>> display.front_
    ['hog']
    >>> plt.show()  # doctest: +SKIP
    >>> plt.close(display.figure_)
    """

    def __init__(
        self, names, accuracies, lows, highs, verdicts, *, cost=None, costs=None, left_out=None
    ):
        self.names = names
        self.accuracies = accuracies
        self.lows = lows
        self.highs = highs
        self.verdicts = verdicts
        self.cost = cost
        self.costs = costs
        self.left_out = left_out

    @classmethod
    def from_comparison(cls, comparison, *, cost=None, ax=None):
        """Draw the pipelines of a comparison.

        Parameters
        ----------
        comparison : Comparison
            From `visionpipe.compare`. Pipelines that failed on a fold are left out.
        cost : str, default=None
            Draw accuracy against a cost, and leave out the pipelines of which it is unknown or 0:
            "fit_seconds", "search_seconds", "predict_ms_batch_1", "predict_ms_batch_256",
            "model_bytes" or "peak_bytes". None draws accuracies alone, with their 95 % intervals.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        ComparisonDisplay

        Raises
        ------
        ValueError
            If the cost is no such name, or no pipeline is left.
        ImportError
            If matplotlib is missing.
        """
        import_pyplot(cls.__name__)
        if cost is not None and cost not in COSTS:
            known = ", ".join(map(repr, COSTS))
            raise ValueError(f"{cls.__name__} got cost={cost!r}; wanted None or one of {known}")
        rows = comparison.to_dicts()
        left_out = {row["pipeline"]: _why_not(row, cost) for row in rows if _why_not(row, cost)}
        rows = [row for row in rows if row["pipeline"] not in left_out]
        if not rows:
            raise ValueError(_nothing_to_draw(cls.__name__, cost, left_out))
        return cls(
            [row["pipeline"] for row in rows],
            np.array([row["accuracy"] for row in rows]),
            np.array([row["accuracy_low"] for row in rows]),
            np.array([row["accuracy_high"] for row in rows]),
            [row["verdict"] for row in rows],
            cost=cost,
            costs=None if cost is None else np.array([row[cost] for row in rows], dtype=float),
            left_out=left_out,
        ).plot(ax=ax)

    def plot(self, *, ax=None):
        """Draw the pipelines: the most accurate at the top or, against a cost, each in its place.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        ComparisonDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        height = 1.3 + 0.3 * len(self.names) if self.cost is None else 4.5
        self.ax_ = get_axes(self, ax, figsize=(7, height))
        self.figure_ = self.ax_.figure
        draw = self._draw_accuracies if self.cost is None else self._draw_against_cost
        draw(100 * np.asarray(self.accuracies))
        return self

    def _draw_accuracies(self, percent):
        places = np.argsort(np.argsort(-percent, kind="stable"))  # 0 is the top
        ends = 100 * np.asarray(self.lows), 100 * np.asarray(self.highs)
        self.intervals_ = self.ax_.hlines(places, *ends, color=COLOURS[4], linewidth=1.5)
        stretch_accuracies(self.ax_.xaxis, np.concatenate(ends))
        self._draw_points(percent, places)
        self._explain_marks()
        self.ax_.set_yticks(places, [on_one_line(name) for name in self.names], parse_math=False)
        self.ax_.set_ylim(len(percent) - 0.5, -0.5)
        self._name_x("accuracy in %, with 95 % intervals")
        self.ax_.grid(axis="x", alpha=0.3)
        margin = {"xycoords": ("axes fraction", "data"), "va": "center", "fontsize": "small"}
        self.text_ = [
            self.ax_.annotate(f"{value:.2f}", (1.02, place), **margin)
            for value, place in zip(percent, places, strict=True)
        ]
        self.front_ = None

    def _draw_against_cost(self, percent):
        costs = np.asarray(self.costs)
        front = _front(costs, percent)
        steps = _steps(costs[front], percent[front])
        label_log_axis(self.ax_, costs, **_form(self.cost))
        self._draw_points(costs, percent)
        if len(front) > 1:
            label = "none is better and cheaper"
            self.ax_.plot(*steps.T, "--", color=COLOURS[4], linewidth=1, label=label)
        self._explain_marks()
        stretch_accuracies(self.ax_.yaxis, percent)
        self._name_x(COSTS[self.cost])
        self.ax_.set_ylabel("accuracy in %")
        self.ax_.grid(alpha=0.3)
        names = [on_one_line(name) for name in self.names]
        lines = list(pairwise(steps))
        self.text_ = label_points(self.ax_, costs, percent, names, lines=lines)
        self.front_, self.intervals_ = [self.names[i] for i in front], None

    def _draw_points(self, x, y):
        self.points_ = {}
        for verdict in sorted(set(self.verdicts), key=[*_MARKS].index):
            label, style = _MARKS[verdict]
            chosen = [each == verdict for each in self.verdicts]
            (self.points_[verdict],) = self.ax_.plot(
                x[chosen], y[chosen], linestyle="none", label=label, zorder=3, **style
            )

    def _explain_marks(self):
        width = self.ax_.get_position().width * self.figure_.get_figwidth()  # inches
        options = {"frameon": False, "fontsize": "small", "columnspacing": 1.2}
        place = {"loc": "lower left", "bbox_to_anchor": (0, 1)}  # above, where there are no points
        self.ax_.legend(ncols=4 if width > LEGEND_INCHES else 2, **place, **options)

    def _name_x(self, name):
        self.ax_.set_xlabel(name + left_out_line(self.left_out), parse_math=False)


def _why_not(row, cost):
    """Why a row cannot be drawn, None if it can."""
    if row["error"] is not None or cost is None or row[cost]:
        return row["error"]
    return f"its {cost} is {row[cost]}"  # 0 has no place on a logarithmic axis


def _nothing_to_draw(owner, cost, left_out):
    what = "an accuracy" if cost is None else f"an accuracy and {cost}"
    why = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
    mend = "; tune=True measures it" if cost == "search_seconds" else ""
    return f"{owner} got no pipeline with {what}{mend} ({why or 'there is none at all'})"


def _form(cost):
    if not cost.endswith("bytes"):
        return {}
    from matplotlib.ticker import EngFormatter

    return {"form": EngFormatter(unit="B")}  # 20 kB


def _front(costs, accuracies):
    """Positions on the Pareto front, the cheapest first; of equals the first."""
    front = []
    for i in np.lexsort((-accuracies, costs)):
        if not front or accuracies[i] > accuracies[front[-1]]:
            front.append(i)
    return front


def _steps(x, y):
    """Corners (2 n - 1, 2) of a line that keeps the height of a point up to the next one."""
    return np.column_stack([np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]])
