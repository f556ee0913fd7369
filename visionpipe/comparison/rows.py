"""A comparison as rows: what a table, a CSV file or a data frame holds of each pipeline."""

import statistics
from dataclasses import asdict, dataclass

import numpy as np

from visionpipe.metrics import METRICS

__all__ = ["Row", "records_of", "row_of", "table_header", "table_row"]


@dataclass(frozen=True)
class Row:
    """What one pipeline did; None where it failed or has nothing to say.

    Attributes
    ----------
    pipeline : str
        Its name.
    accuracy, accuracy_sd : float or None
        Mean and sample standard deviation over folds of the share of images classified rightly;
        of a single fold there is no deviation.
    accuracy_low, accuracy_high : float or None
        Wilson's 95 % interval, of as many images as were held out.
    balanced_accuracy, f1_macro, top_5_accuracy, log_loss, calibration_error : float or None
        Means over folds, see `visionpipe.metrics`.
    fit_seconds : float or None
        Wall-clock time of one fit, that of the first fold, while nothing else was fitted.
    search_seconds : float or None
        That of the search before it, mean over folds, where parameters were searched.
    n_search_fits : int or None
        And how many fits a search was.
    predict_ms_batch_1, predict_ms_batch_256, model_bytes, peak_bytes
        As of `Cost`.
    error : str or None
        Why it failed, in one line; figures beside it are of the folds that did not fail.
    notes : str
        What the reader of the figures should know.
    """

    pipeline: str
    accuracy: float | None = None
    accuracy_sd: float | None = None
    accuracy_low: float | None = None
    accuracy_high: float | None = None
    balanced_accuracy: float | None = None
    f1_macro: float | None = None
    top_5_accuracy: float | None = None
    log_loss: float | None = None
    calibration_error: float | None = None
    fit_seconds: float | None = None
    search_seconds: float | None = None
    n_search_fits: int | None = None
    predict_ms_batch_1: float | None = None
    predict_ms_batch_256: float | None = None
    model_bytes: int | None = None
    peak_bytes: int | None = None
    error: str | None = None
    notes: str = ""


def row_of(comparison, name):
    """Return the figures of a pipeline.

    Parameters
    ----------
    comparison : Comparison
    name : str

    Returns
    -------
    Row
    """
    outcomes = comparison.results[name].outcomes
    done = [outcome for outcome in outcomes if outcome.error is None]
    if not done:
        return Row(name, error=_error(outcomes))
    scores = {metric: comparison.fold_scores(name, metric) for metric in METRICS}
    accuracies = scores["accuracy"][~np.isnan(scores["accuracy"])]
    means = {metric: _mean_or_none(values) for metric, values in scores.items()}
    low, high = comparison.interval(name, "accuracy")
    cost = outcomes[0].cost
    return Row(
        pipeline=name,
        **{**means, "accuracy": float(accuracies.mean())},
        accuracy_sd=statistics.stdev(accuracies) if len(accuracies) > 1 else None,
        accuracy_low=low,
        accuracy_high=high,
        fit_seconds=None if cost is None else outcomes[0].fit_seconds,
        search_seconds=_mean_or_none([o.search_seconds for o in done if o.chosen is not None]),
        n_search_fits=next((o.n_fits for o in done if o.n_fits), None),
        **({} if cost is None else asdict(cost)),
        error=_error(outcomes),
        notes="; ".join(dict.fromkeys(note for outcome in done for note in outcome.notes)),
    )


def _error(outcomes):
    """Which folds failed, and why the first of them did."""
    failed = [fold for fold, outcome in enumerate(outcomes) if outcome.error is not None]
    if not failed:
        return None
    why = outcomes[failed[0]].error
    if len(failed) == len(outcomes):
        return why
    folds = ("fold " if len(failed) == 1 else "folds ") + ", ".join(map(str, failed))
    return f"in {folds} of {len(outcomes)}: {why}"


def _mean_or_none(values):
    """Mean, and None where there are no values, or one of them is NaN."""
    mean = float(np.mean(values)) if len(values) else float("nan")
    return None if np.isnan(mean) else mean


def records_of(comparison):
    """Return the rows as dictionaries, with the verdict on each.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    list of dict
        With the fields of `Row`, ``verdict`` and ``p_value``.
    """
    best = comparison.best_ if comparison.complete() else None
    verdicts = {} if best is None else {v.pipeline: v for v in comparison.verdicts()}
    records = []
    for row in comparison.rows:
        verdict = verdicts.get(row.pipeline)
        word = "best" if row.pipeline == best else None if verdict is None else verdict.verdict
        p_value = None if verdict is None else verdict.p_value
        records.append({**asdict(row), "verdict": word, "p_value": p_value})
    return records


# -------------------------------------------------------------------------------------- as a table


_COLUMNS = "{:<20} {:>15} {:>16} {:>9} {:>15} {:>12}"


def table_header():
    """Two lines: the columns of the table that `table_row` fills."""
    header = _COLUMNS.format(
        "pipeline", "accuracy %", "95 % interval", "fit s", "predict ms/img", "model bytes"
    )
    return f"{header}\n{'-' * len(header)}"


def table_row(row):
    """One line of the table, and another one if some folds failed."""
    failure = f"{row.pipeline:<20} failed: {row.error}"
    if row.accuracy is None:
        return failure
    spread = "" if row.accuracy_sd is None else f" ± {100 * row.accuracy_sd:.2f}"
    line = _COLUMNS.format(
        row.pipeline,
        f"{100 * row.accuracy:.2f}{spread}",
        f"{100 * row.accuracy_low:.2f} to {100 * row.accuracy_high:.2f}",
        _shown(row.fit_seconds, ".2f"),
        _shown(row.predict_ms_batch_256, ".3f"),
        _shown(row.model_bytes, ","),
    )
    return line if row.error is None else f"{line}\n{failure}"


def _shown(number, how):
    return "" if number is None else format(number, how)
