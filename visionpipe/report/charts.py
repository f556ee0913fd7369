"""The charts of a page."""

from functools import partial

from visionpipe.displays.comparison import COSTS, ComparisonDisplay
from visionpipe.report.svg import draw_svg

__all__ = ["accuracy_chart", "cost_charts"]

CHARTED_COSTS = ("fit_seconds", "predict_ms_batch_256")  # what accuracy is drawn against


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
            f"Accuracy against {COSTS[cost]}; the figures are those of the tables",
        )
        for cost in CHARTED_COSTS
        if any(getattr(row, cost) for row in complete)
    ]
    return [chart for chart in charts if chart is not None]
