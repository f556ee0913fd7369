"""How a comparison was made: whatever somebody needs to repeat it."""

import numpy as np

from visionpipe.report.formats import NOTHING, listed, percent
from visionpipe.report.table import Cell, Table

__all__ = ["chosen_table", "facts", "fold_table", "machines"]


def facts(comparison):
    """Data, folds, seed, and the circumstances that the comparison was given.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    list of (str, str)
        What, and its value.
    """
    given = {k: v for k, v in comparison.circumstances.items() if k != "command"}
    n_groups = None if comparison.groups is None else len(np.unique(comparison.groups))
    found = {
        "data": comparison.name,
        "images": f"{len(comparison.y):,} of {len(comparison.classes):,} classes",
        "groups that stay together": "" if n_groups is None else f"{n_groups:,}",
        "folds": str(len(comparison.folds)),
        "images to learn from": _sizes(train for train, _ in comparison.folds),
        "images to test on": _sizes(test for _, test in comparison.folds),
        "seed of the folds": str(comparison.random_state),
        "fingerprint of images and labels": comparison.fingerprint,
        **{name.replace("_", " "): _plain(value) for name, value in given.items()},
    }
    return [(name, value) for name, value in found.items() if value]


def _sizes(parts):
    sizes = [f"{size:,}" for size in sorted({len(part) for part in parts})]
    return " or ".join(sizes) if len(sizes) < 3 else f"{sizes[0]} to {sizes[-1]}"


def _plain(value):
    if isinstance(value, dict):
        return ", ".join(f"{name} {one}" for name, one in value.items())
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def machines(comparison):
    """Hardware and versions, and which pipelines were run there.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    list of (str, str, str)
        Hardware, versions, and pipelines, which are "" if all were run on one machine.
    """
    found = {}
    for name, result in comparison.results.items():
        versions = ", ".join(f"{package} {version}" for package, version in result.versions.items())
        found.setdefault((result.hardware, versions), []).append(name)
    alone = len(found) == 1
    return [(*machine, "" if alone else listed(names)) for machine, names in found.items()]


def fold_table(findings):
    """Accuracy on every fold.

    Parameters
    ----------
    findings : Findings

    Returns
    -------
    Table
    """
    numbers = [f"fold {number}" for number in range(len(findings.comparison.folds))]
    rows = [
        (name, [Cell(percent(score)) for score in findings.comparison.fold_scores(name)])
        for name in findings.answering
    ]
    return Table("Accuracy in percent on each fold", ["pipeline", *numbers], rows)


def chosen_table(comparison, name):
    """Parameters that a search has chosen, by fold; None if there was no search.

    Parameters
    ----------
    comparison : Comparison
    name : str

    Returns
    -------
    Table or None
    """
    outcomes = comparison.results[name].outcomes
    chosen = {i: outcome.chosen for i, outcome in enumerate(outcomes) if outcome.chosen is not None}
    if not chosen:
        return None
    parameters = list(dict.fromkeys(key for one in chosen.values() for key in one))
    rows = [
        (key, [Cell(str(one[key]) if key in one else NOTHING) for one in chosen.values()])
        for key in parameters
    ]
    header = ["parameter", *(f"fold {number}" for number in chosen)]
    return Table(f"What the searches of {name} have chosen", header, rows)
