"""What each pipeline costs, and whether all had the same budget."""

from visionpipe.report.formats import NOTHING, significant, size
from visionpipe.report.table import Cell, Table

__all__ = ["budget", "budget_table", "cost_table"]

# Field of a row, heading, how it is written
COSTS = (
    ("fit_seconds", "fit,\u00a0s", significant),
    ("search_seconds", "search,\u00a0s", significant),
    ("predict_ms_batch_1", "predict one image,\u00a0ms", significant),
    ("predict_ms_batch_256", "predict 256 at a time, ms an image", significant),
    ("model_bytes", "model", size),
    ("peak_bytes", "peak memory", size),
)


def cost_table(findings):
    """Times and sizes, by pipeline; of figures that nobody has there is no column.

    Parameters
    ----------
    findings : Findings

    Returns
    -------
    Table
    """
    rows = [row for row in findings.rows if row.accuracy is not None]
    there = [cost for cost in COSTS if any(getattr(row, cost[0]) is not None for row in rows)]
    cells = [
        (row.pipeline, [Cell(write(getattr(row, field))) for field, _, write in there])
        for row in rows
    ]
    return Table("Time and memory", ["pipeline", *(title for _, title, _ in there)], cells)


def budget_table(findings):
    """Fits and seconds that went into each pipeline, over all folds.

    Parameters
    ----------
    findings : Findings

    Returns
    -------
    Table
    """
    header = ["pipeline", "folds", "fits of searches", "fits in all", "seconds in all"]
    rows = []
    for row in findings.rows:
        done = _done(findings, row.pipeline)
        searches = sum(outcome.n_fits or 0 for outcome in done)
        seconds = sum(o.fit_seconds + o.predict_seconds + (o.search_seconds or 0) for o in done)
        cells = [str(len(done)), f"{searches:,}" if searches else NOTHING]
        cells += [f"{searches + len(done):,}", significant(seconds)]
        rows.append((row.pipeline, [Cell(text) for text in cells]))
    return Table("What went into each pipeline", header, rows)


def budget(findings):
    """Say whether every pipeline had as many tries as the others.

    Parameters
    ----------
    findings : Findings

    Returns
    -------
    str
    """
    tries = {_tries(findings, name) for name in findings.answering}
    same = "All pipelines were fitted on the same images and tested on the same others."
    if tries <= {0}:
        return f"{same} No parameters were searched: each has those that it came with."
    fewest, most = min(tries), max(tries)
    if fewest == most:
        return f"{same} Each had the same budget of {most:,} fits a fold to search parameters."
    return (
        f"{same} Their budgets to search parameters differ, from {fewest:,} to {most:,} fits a "
        "fold: whoever had more tries had more chances."
    )


def _tries(findings, name):
    """Fits of a search within a fold, 0 without one."""
    return max(outcome.n_fits or 0 for outcome in _done(findings, name))


def _done(findings, name):
    outcomes = findings.comparison.results[name].outcomes
    return [outcome for outcome in outcomes if outcome.error is None]
