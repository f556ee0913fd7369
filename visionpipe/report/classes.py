"""What each pipeline does to each class: scores and confusions."""

import numpy as np
from sklearn.metrics import precision_recall_fscore_support

from visionpipe.report.formats import NOTHING, percent
from visionpipe.report.table import Cell, Table

__all__ = ["MOST_IN_MATRIX", "confusion_table", "f1_table", "score_table"]

MOST_IN_MATRIX = 20  # classes; of more, the most frequent confusions are listed
N_CONFUSIONS = 20


def score_table(findings, name):
    """Precision, recall and F1 of a pipeline, by class.

    Parameters
    ----------
    findings : Findings
    name : str

    Returns
    -------
    Table
    """
    header = ["class", "precision,\u00a0%", "recall,\u00a0%", "F1,\u00a0%", "images"]
    rows = [
        (str(title), [*map(_share_cell, scores[:3]), Cell(f"{int(scores[3]):,}")])
        for title, scores in zip(
            findings.comparison.classes, np.transpose(_scores(findings, name)), strict=True
        )
    ]
    return Table(f"{name}, by class", header, rows)


def f1_table(findings):
    """F1 of every class and pipeline, the lowest ones shaded.

    Parameters
    ----------
    findings : Findings

    Returns
    -------
    Table
    """
    scores = [_scores(findings, name) for name in findings.answering]
    titles = map(str, findings.comparison.classes)
    rows = [
        (title, [_f1_cell(of_pipeline[2][i]) for of_pipeline in scores])
        for i, title in enumerate(titles)
    ]
    return Table("F1 in percent, by class and pipeline", ["class", *findings.answering], rows)


def _scores(findings, name):
    """Precision, recall, F1, number of images, each by class; NaN where nothing was predicted."""
    _, answers = findings.answers[name]
    return precision_recall_fscore_support(
        answers.true,
        answers.predicted,
        labels=np.arange(answers.n_classes),
        zero_division=np.nan,
    )


def _share_cell(share):
    return Cell(percent(share))


def _f1_cell(f1):
    """Shaded by how far it is from perfect, so that a few percent are seen."""
    return Cell(percent(f1), kind="wrong", shade=0 if np.isnan(f1) else round((1 - f1) ** 0.5, 2))


def confusion_table(findings, name):
    """What a pipeline takes each class for, as a matrix or, of many classes, as a list.

    Parameters
    ----------
    findings : Findings
    name : str

    Returns
    -------
    Table
    """
    counts = findings.comparison.confusion(name)
    classes = [str(title) for title in findings.comparison.classes]
    if len(classes) > MOST_IN_MATRIX:
        return _frequent(name, counts, classes)
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    rows = [
        (title, [_confusion_cell(i, j, counts[i, j], shares[i, j]) for j in range(len(classes))])
        for i, title in enumerate(classes)
    ]
    caption = f"{name}: images of the class that a row names, by the class predicted"
    return Table(caption, ["class", *classes], rows, kind="matrix")


def _confusion_cell(i, j, count, share):
    kind = "right" if i == j else "wrong" if count else "none"
    return Cell(f"{count:,}", kind=kind, shade=round(float(share) ** 0.5, 2))


def _frequent(name, counts, classes):
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:N_CONFUSIONS]
    rows = []
    for true, predicted in zip(*np.unravel_index(order, wrong.shape), strict=True):
        count = int(wrong[true, predicted])
        if count:
            share = percent(count / counts[true].sum())
            rows.append((classes[true], [*map(Cell, (classes[predicted], f"{count:,}", share))]))
    header = ["class", "taken for", "images", "of the class,\u00a0%"]
    return Table(f"{name}: the most frequent confusions", header, rows or _none(header))


def _none(header):
    return [(NOTHING, [Cell("no image is classified wrongly", n_columns=len(header) - 1)])]
