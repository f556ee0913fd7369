"""The answer to "which one?", in a few sentences."""

from visionpipe.report.formats import listed, p_value, percent, significant, span

__all__ = ["answer"]

MOST_NAMES = 6  # that a sentence lists


def answer(findings):
    """Say which pipeline is best, how sure that is, and what is as good and costs less.

    Parameters
    ----------
    findings : Findings

    Returns
    -------
    list of str
        Sentences.
    """
    best = findings.best
    if best is None:
        return ["No pipeline has been through all folds without an error, so there is no answer."]
    return [
        _how_good(findings, best),
        *_told_apart(findings),
        *_cheaper(findings, best),
        *_failed(findings),
    ]


def _how_good(findings, best):
    rows, _ = findings.answers[best.pipeline]
    interval = span(best.accuracy_low, best.accuracy_high)
    return (
        f"{best.pipeline} is right on {percent(best.accuracy)}\u00a0% of {len(rows):,} held-out "
        f"images{_how_often(findings, best)}; with 95\u00a0% confidence its accuracy is "
        f"{interval}\u00a0%."
    )


def _how_often(findings, best):
    """What sets the best apart, which several may be."""
    others = [row for row in findings.rows if row is not best and not row.error]
    equal = [row.pipeline for row in others if percent(row.accuracy) == percent(best.accuracy)]
    if equal:
        return f", as often as {listed(equal, MOST_NAMES)}"
    none_failed = len(findings.rows) == len(others) + 1
    whom = "any other" if none_failed else "any other that never failed"
    return f", more often than {whom}" if others else ""


def _told_apart(findings):
    verdicts = findings.verdicts.values()
    apart = [v for v in verdicts if v.verdict != "not told apart"]
    alike = [v.pipeline for v in verdicts if v.verdict == "not told apart" and not v.more_folds]
    unsure = [v.pipeline for v in verdicts if v.more_folds]
    if not verdicts:
        yield "There is no other pipeline to hold against it."
    if apart:
        is_all = len(apart) == len(findings.rows) - 1
        names = "all others" if is_all else listed([v.pipeline for v in apart], MOST_NAMES)
        highest = p_value(max(v.p_value for v in apart))
        yield f"It is better than {names}: chance hardly explains that (p {_at_most(highest)})."
    if unsure:
        n_folds = len(findings.comparison.folds)
        yield (
            f"On these images it is better than {listed(unsure, MOST_NAMES)} as well, by McNemar's "
            f"test of the fitted classifiers; but {n_folds} folds are too few to say so of the way "
            "to fit them. More folds may tell: --repeats, or n_repeats."
        )
    if alike:
        yield (
            f"This comparison does not tell it apart from {listed(alike, MOST_NAMES)}: differences "
            "such as these come about by chance as well. That does not make them equal."
        )


def _at_most(p):
    return p if p.startswith("<") else f"≤ {p}"


def _cheaper(findings, best):
    """The fastest of those that are as good as the best for all one knows."""
    results = findings.comparison.results
    alike = [
        row
        for row in findings.rows
        if row.pipeline in findings.verdicts
        and findings.verdicts[row.pipeline].verdict == "not told apart"
        and not findings.verdicts[row.pipeline].more_folds
        and results[row.pipeline].hardware == results[best.pipeline].hardware
        and _is_faster(row, best)
    ]
    if alike:
        row = min(alike, key=lambda row: row.predict_ms_batch_256)
        yield (
            f"Of what may be as good, {row.pipeline} is the fastest: it predicts an image in "
            f"{significant(row.predict_ms_batch_256)} ms where {best.pipeline} takes "
            f"{significant(best.predict_ms_batch_256)} ms, and is fitted in "
            f"{significant(row.fit_seconds)} s where {best.pipeline} takes "
            f"{significant(best.fit_seconds)} s."
        )


def _is_faster(row, best):
    times = (row.predict_ms_batch_256, best.predict_ms_batch_256, row.fit_seconds, best.fit_seconds)
    return None not in times and times[0] < times[1]


def _failed(findings):
    failed = [row.pipeline for row in findings.rows if row.error]
    if failed:
        names = listed(failed, MOST_NAMES)
        yield f"{names} failed, on some folds at least; the reasons stand below the table."
