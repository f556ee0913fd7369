"""The tables of results: how often each pipeline is right, and by other measures."""

from visionpipe.metrics import METRICS
from visionpipe.report.formats import NOTHING, p_value, percent, points, significant, span
from visionpipe.report.table import Cell, Table

__all__ = ["accuracy_table", "failures", "measures_table", "notes"]

IN_PERCENT = ("balanced_accuracy", "f1_macro", "top_5_accuracy", "calibration_error")


def accuracy_table(findings):
    """Accuracy of every pipeline, and what the tests say of it.

    Parameters
    ----------
    findings : Findings

    Returns
    -------
    Table
    """
    header = [
        *("pipeline", "accuracy,\u00a0%", "deviation", "against the best", "verdict", "p"),
        "images to tell apart",
    ]
    caption = "Accuracy, in percent with its 95 % interval, and the difference from the best one"
    rows = [(row.pipeline, _accuracy_cells(findings, row)) for row in findings.rows]
    return Table(caption, header, rows)


def _accuracy_cells(findings, row):
    if row.accuracy is None:
        return [Cell("failed on every fold", kind="failed", n_columns=6)]
    interval = span(row.accuracy_low, row.accuracy_high)
    first = [Cell(percent(row.accuracy), interval), Cell(_deviation(row.accuracy_sd))]
    if findings.best is row:
        return [*first, Cell(NOTHING), Cell("best", kind="best"), Cell(NOTHING), Cell(NOTHING)]
    if row.error:
        return [*first, Cell("failed on some folds", kind="failed", n_columns=4)]
    verdict = findings.verdicts[row.pipeline]
    needed = NOTHING if verdict.n_images is None else f"{verdict.n_images:,}"
    return [
        *first,
        Cell(points(verdict.difference), span(verdict.low, verdict.high, points)),
        Cell(verdict.verdict, kind=verdict.verdict.replace(" ", "-")),
        Cell(p_value(verdict.p_value)),
        Cell(needed),
    ]


def _deviation(sd):
    return NOTHING if sd is None else f"± {percent(sd)}"


def measures_table(findings):
    """Every other measure that some pipeline has, with intervals by bootstrap.

    Parameters
    ----------
    findings : Findings

    Returns
    -------
    Table
    """
    n_classes = len(findings.comparison.classes)
    metrics = [
        name
        for name in METRICS
        if name != "accuracy" and (name != "top_5_accuracy" or n_classes > 5)
        if any(getattr(row, name) is not None for row in findings.rows)
    ]
    units = [",\u00a0%" if name in IN_PERCENT else "" for name in metrics]
    titles = [METRICS[name].title + unit for name, unit in zip(metrics, units, strict=True)]
    rows = [
        (row.pipeline, [_measure_cell(findings.comparison, row, name) for name in metrics])
        for row in findings.rows
        if row.accuracy is not None
    ]
    return Table("Other measures, with their 95 % intervals", ["pipeline", *titles], rows)


def _measure_cell(comparison, row, metric):
    value = getattr(row, metric)
    if value is None:
        return Cell(NOTHING)
    write = percent if metric in IN_PERCENT else significant
    return Cell(write(value), span(*comparison.interval(row.pipeline, metric), write))


def failures(findings):
    """Return the pipelines that failed, and why."""
    return [(row.pipeline, row.error) for row in findings.rows if row.error]


def notes(findings):
    """Return what is to be known of figures, and of which pipelines it is true."""
    found = {}
    for row in findings.rows:
        if row.notes:
            found.setdefault(row.notes, []).append(row.pipeline)
    return [(names, note) for note, names in found.items()]
