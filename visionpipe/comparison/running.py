"""Pipelines on the folds of a comparison, one after the other; their folds side by side."""

import numpy as np
from sklearn.utils.parallel import Parallel, delayed

from visionpipe.comparison.fold_run import Job, run_curve_point, run_fold
from visionpipe.comparison.folds import draw_rows
from visionpipe.comparison.outcome import CurvePoint, Result
from visionpipe.environment import hardware, versions

__all__ = ["run_pipelines"]

N_CURVE_FOLDS = 2  # of the first ones, that learning curves are measured on


def run_pipelines(comparison, X, pipelines, *, tune, train_sizes, n_explained, n_jobs, on_fold):
    """Yield a row as soon as a pipeline has been through all folds.

    Parameters
    ----------
    comparison : Comparison
        Gets the results.
    X : array-like of images
    pipelines, tune, train_sizes, n_explained, n_jobs, on_fold
        As of `Comparison.run`.

    Yields
    ------
    Row

    Raises
    ------
    ValueError
        If there is a pipeline of that name already, or the sizes are no sizes.
    """
    for name in pipelines:
        if name in comparison.results:
            raise ValueError(f"there is a pipeline {name!r} already; give it another name")
    grids, sizes = _grids(pipelines, tune), _curve_sizes(comparison.folds, train_sizes)
    for name, pipeline in pipelines.items():
        pipeline = _built(pipeline, comparison.random_state)
        job = Job(
            pipeline=pipeline,
            X=X,
            y=comparison.classes[comparison.y],
            classes=comparison.classes,
            groups=comparison.groups,
            grid=grids[name],
            n_explained=n_explained,
            random_state=comparison.random_state,
        )
        result = Result(_described(pipeline), hardware=hardware(), versions=versions())
        for fold, outcome in enumerate(_outcomes(job, comparison.folds, n_jobs)):
            result.outcomes.append(outcome)
            if on_fold is not None:
                accuracy = None if outcome.error else _accuracy(comparison, fold, outcome)
                on_fold(name, fold, accuracy, outcome.fit_seconds + outcome.predict_seconds)
        result.curve = _curve(comparison, job, sizes, result.outcomes, n_jobs)
        comparison.results[name] = result
        yield comparison.row(name)


def _outcomes(job, folds, n_jobs):
    """Outcomes fold by fold: the first one alone, so that its times are true, then the rest."""
    yield run_fold(job, 0, *folds[0])
    yield from Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(run_fold)(job, fold, *folds[fold]) for fold in range(1, len(folds))
    )


def _accuracy(comparison, fold, outcome):
    return float(np.mean(outcome.predicted == comparison.y[comparison.folds[fold][1]]))


# ---------------------------------------------------------------------------------- learning curves


def _curve_sizes(folds, train_sizes):
    """Numbers of images to learn from, ascending, of each of the first folds."""
    for size in train_sizes:
        if size <= 0 or (size > 1 and size != int(size)):
            raise ValueError(f"train_sizes has {size}; wanted shares in 0..1, or whole numbers")
    return [
        sorted({int(size if size > 1 else size * len(train)) for size in train_sizes})
        for train, _ in folds[:N_CURVE_FOLDS]
    ]


def _curve(comparison, job, sizes, outcomes, n_jobs):
    """Points of the sizes that can be drawn, and those of all training images of every fold."""
    done = [fold for fold, outcome in enumerate(outcomes) if outcome.error is None]
    tasks = []
    for fold in done[:N_CURVE_FOLDS]:
        if fold >= len(sizes):
            break
        train, test = comparison.folds[fold]
        of_fold = job.with_parameters(outcomes[fold].chosen)
        for n_train in sizes[fold]:
            if len(np.unique(comparison.y[train])) <= n_train < len(train):
                rows = draw_rows(train, comparison.y, n_train, comparison.random_state)
                tasks.append(delayed(run_curve_point)(of_fold, fold, rows, test))
    if not tasks:
        return []
    whole = [
        CurvePoint(
            len(comparison.folds[fold][0]), fold, _accuracy(comparison, fold, outcomes[fold])
        )
        for fold in done
    ]
    return [*Parallel(n_jobs=n_jobs)(tasks), *whole]


# ------------------------------------------------------------------------------- what it is given


def _built(pipeline, random_state):
    """An estimator, of what may be the module of a ready-made pipeline."""
    return pipeline.build(random_state=random_state) if hasattr(pipeline, "build") else pipeline


def _grids(pipelines, tune):
    """Grids by pipeline, None for those that are not to be searched."""
    if isinstance(tune, dict):
        unknown = [name for name in tune if name not in pipelines]
        if unknown:
            raise ValueError(f"tune names {unknown[0]!r}; there are {', '.join(pipelines)}")
        return {name: tune.get(name) for name in pipelines}
    if not tune:
        return dict.fromkeys(pipelines)
    return {name: getattr(pipeline, "PARAM_GRID", None) for name, pipeline in pipelines.items()}


def _described(pipeline):
    """Steps and parameters, as code."""
    try:
        return pipeline.__repr__(N_CHAR_MAX=10**6)
    except TypeError:  # not scikit-learn's
        return repr(pipeline)
