"""Learning curves, as a chart and as numbers for those who do not see it."""

from visionpipe.displays.learning_curve import LearningCurveDisplay, points_of
from visionpipe.report.formats import NOTHING
from visionpipe.report.svg import draw_svg
from visionpipe.report.table import Cell, Table

__all__ = ["curve_chart_and_table", "has_curves"]


def has_curves(comparison):
    """Whether any pipeline was fitted on several numbers of images of the same fold."""
    return any(len(points_of(result.curve)[0]) for result in comparison.results.values())


def curve_chart_and_table(comparison):
    """Accuracy by number of images to learn from, mean over the folds that curves are of.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    chart : Markup or None
        None if no curves were measured, or matplotlib is missing.
    table : Table or None
    """
    if not has_curves(comparison):
        return None, None
    drawn = []
    chart = draw_svg(
        lambda ax: drawn.append(LearningCurveDisplay.from_comparison(comparison, ax=ax)),
        "curves",
        "Accuracy by number of images to learn from; the figures are those of the table",
    )
    return chart, _table(drawn[0].lines_) if drawn else None


def _table(lines):
    """The points of lines, as figures."""
    points = {
        name: {round(x): y for x, y in line.get_xydata().tolist()} for name, line in lines.items()
    }
    sizes = sorted({size for of_line in points.values() for size in of_line})
    rows = [
        (name, [Cell(f"{of_line[size]:.2f}" if size in of_line else NOTHING) for size in sizes])
        for name, of_line in points.items()
    ]
    caption = "Accuracy in percent, by number of images to learn from"
    return Table(caption, ["pipeline", *(f"{size:,}" for size in sizes)], rows)
