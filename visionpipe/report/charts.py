"""The charts of a page."""

from functools import partial

from visionpipe.displays.comparison import ComparisonDisplay
from visionpipe.report.svg import draw_svg

__all__ = ["accuracy_chart", "cost_charts"]

# What accuracy is drawn against: a field of `Row`, and how a sentence calls it
CHARTED_COSTS = {
    "fit_seconds": "seconds to fit",
    "predict_ms_batch_256": "milliseconds to predict an image, 256 at a time",
}


def accuracy_chart(findings):
    """Accuracies with their intervals; None without matplotlib or a pipeline to draw.

    Parameters
    ----------
    findings : Findings

    Returns
    -------
    Markup or None
    """
    if findings.best is None:
        return None
    draw = partial(ComparisonDisplay.from_comparison, findings.comparison)
    label = "Accuracy of each pipeline with its interval; the figures are those of the table"
    return draw_svg(lambda ax: draw(ax=ax), "accuracy", label)


def cost_charts(findings):
    """Accuracy against what fitting and predicting take.

    Parameters
    ----------
    findings : Findings

    Returns
    -------
    list of Markup
        Empty without matplotlib, or where nothing was measured.
    """
    complete = [row for row in findings.rows if not row.error]
    charts = [
        draw_svg(
            lambda ax, cost=cost: ComparisonDisplay.from_comparison(
                findings.comparison, cost=cost, ax=ax
            ),
            f"cost-{cost.replace('_', '-')}",
            f"Accuracy against {title}; the figures are those of the tables",
        )
        for cost, title in CHARTED_COSTS.items()
        if any(getattr(row, cost) for row in complete)
    ]
    return [chart for chart in charts if chart is not None]
