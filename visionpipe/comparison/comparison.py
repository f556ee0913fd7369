"""The comparison: folds, what every pipeline did on them, and what may be concluded."""

from copy import copy

import numpy as np
from sklearn.metrics import confusion_matrix

from visionpipe.comparison.file import read_comparison, write_comparison
from visionpipe.comparison.fingerprint import fingerprint_of, images_or_none
from visionpipe.comparison.fold_run import numbers_of
from visionpipe.comparison.rows import records_of, row_of, table_header, table_row
from visionpipe.comparison.running import run_pipelines
from visionpipe.comparison.statistics import bootstrap_interval, wilson_interval
from visionpipe.comparison.verdicts import conclusion_of, verdicts_of
from visionpipe.metrics import METRICS, Answers, metric_of

__all__ = ["Comparison"]

N_RESAMPLED = 20_000_000  # images in all resamples of a bootstrap: a second or two


class Comparison:
    """Pipelines on identical folds: made by `visionpipe.compare`, read by `Comparison.load`.

    Prints as a table, with a verdict on each pipeline.

    Parameters
    ----------
    X : array-like of images
        Anything `as_images` takes, or flat rows.
    y : array-like of shape (n_images,)
        Classes.
    folds : list of (train, test)
        From `make_folds`.
    groups : array-like of shape (n_images,), default=None
        For searches within the folds; the folds respect them already.
    name : str, default=""
        Of the data.
    random_state : int, default=0
        Seed that the folds were made with.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,)
    y : ndarray of int of shape (n_images,)
        Numbers of classes.
    folds : list of (train, test)
    results : dict of str to Result
        By pipeline, in the order in which they were run.
    warnings : list of str
        What is wrong with the folds or the images: duplicates on both sides, missing classes.
    duplicate_pairs : list of (int, int)
        Images that are the same picture, on both sides of a split.
    fingerprint : str
        Digest of the images and labels.
    images : Images or None
        None if `X` are flat rows, or the comparison was read from a file: see `attach`.
    circumstances : dict of str to object
        Whatever its maker wants to be read with it, such as the command; plain values only.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> from visionpipe import HOG, Pixels, compare, load_faces
    >>> faces = load_faces()
    >>> svms = {"pixels": make_pipeline(Pixels(), SVC()), "hog": make_pipeline(HOG(), SVC())}
    >>> comparison = compare(svms, faces.images, faces.target)
    >>> comparison.best_
    'hog'
    >>> [(verdict.pipeline, verdict.verdict) for verdict in comparison.verdicts()]
    [('pixels', 'not told apart')]
    >>> comparison.confusion("hog").shape
    (2, 2)
    """

    def __init__(self, X, y, folds, *, groups=None, name="", random_state=0):
        self.name, self.random_state = name, random_state
        self.classes = np.unique(np.asarray(y))
        self.y = numbers_of(y, self.classes)
        self.folds = [tuple(map(np.asarray, fold)) for fold in folds]
        self.results, self.circumstances, self.duplicate_pairs = {}, {}, []
        self.warnings = _missing_classes(self.y, self.classes, self.folds)
        self.groups = None if groups is None else np.asarray(groups)
        self.fingerprint = fingerprint_of(X, y)
        self._X, self.images = X, images_or_none(X)

    def __repr__(self):
        what = f" of {self.name}" if self.name else ""
        return (
            f"<Comparison{what}: {len(self.results)} pipelines, {len(self.folds)} folds, "
            f"{len(self.y)} images>"
        )

    def __str__(self):
        table = [table_header(), *map(table_row, self.rows)]
        return "\n".join([*table, "", self.conclusion()] if self.complete() else table)

    def note_duplicates(self, duplicates):
        """Take note of the pictures that stand on both sides of a split.

        Parameters
        ----------
        duplicates : visionpipe.duplicates.Duplicates
            Of the images; `duplicate_pairs` and `warnings` then speak of them.
        """
        torn = [duplicates.across(train, test) for train, test in self.folds]
        pairs, place = np.unique(
            np.concatenate([found.pairs for found in torn]), axis=0, return_index=True
        )
        if not len(pairs):
            return
        is_exact = np.concatenate([found.is_exact for found in torn])[place]
        n_other = int((self.y[pairs[:, 0]] != self.y[pairs[:, 1]]).sum())
        self.duplicate_pairs = pairs.tolist()
        self.warnings.append(
            f"{len(pairs):,} pairs of images on both sides of a split are the same picture "
            f"({int(is_exact.sum()):,} equal, {int((~is_exact).sum()):,} nearly), {n_other:,} of "
            "them under two labels; accuracy may be flattered: keep them together by "
            "groups=find_duplicates(X).groups() or --group-duplicates"
        )

    # --------------------------------------------------------------------------------- running

    def add(self, pipelines, **options):
        """Run more pipelines on the same folds.

        Parameters
        ----------
        pipelines : dict of str to estimator
        **options
            As `run` takes them.

        Returns
        -------
        Comparison
            Itself.

        Raises
        ------
        ValueError
            As `run`.
        """
        for _ in self.run(pipelines, **options):
            pass
        return self

    def run(
        self, pipelines, *, tune=False, train_sizes=(), n_explained=0, n_jobs=None, on_fold=None
    ):
        """Run more pipelines on the same folds, and yield a row as soon as each is done.

        Parameters
        ----------
        pipelines, tune, train_sizes, n_explained, n_jobs
            As in `visionpipe.compare`.
        on_fold : callable, default=None
            Called whenever a fold is done, with the pipeline's name, the fold's number from 0, the
            accuracy (None if it failed) and the seconds that fitting and predicting took.

        Yields
        ------
        Row

        Raises
        ------
        ValueError
            If there is a pipeline of that name already, the images are not at hand, or the sizes
            are no sizes.
        """
        if self._X is None:
            raise ValueError("there are no images to run on; call attach(X) with them first")
        return run_pipelines(
            self, self._X, pipelines, tune=tune, train_sizes=train_sizes, n_explained=n_explained,
            n_jobs=n_jobs, on_fold=on_fold,
        )  # fmt: skip

    # --------------------------------------------------------------------------------- figures

    @property
    def rows(self):
        """One `Row` a pipeline, in the order in which they were run."""
        return [self.row(name) for name in self.results]

    def row(self, name):
        """Return the figures of a pipeline.

        Parameters
        ----------
        name : str

        Returns
        -------
        Row
        """
        return row_of(self, name)

    def fold_scores(self, name, metric="accuracy"):
        """Return a score for each fold.

        Parameters
        ----------
        name : str
            Of a pipeline.
        metric : str, default="accuracy"
            Of `visionpipe.metrics.METRICS`.

        Returns
        -------
        ndarray of shape (n_folds,)
            NaN where the fold failed or the classifier does not say what the metric needs.
        """
        _check_metric(metric)
        return np.array(
            [
                np.nan
                if outcome.error is not None
                else metric_of(metric, self._answers_on(test, outcome))
                for outcome, (_, test) in zip(self.results[name].outcomes, self.folds, strict=True)
            ]
        )

    def _answers_on(self, test, outcome):
        return Answers(
            self.y[test],
            outcome.predicted,
            len(self.classes),
            outcome.in_top_5,
            outcome.probabilities,
        )

    def answers(self, name):
        """Return what a pipeline said of all held-out images, of each the first time.

        Of repeated folds, that is the first repeat.

        Parameters
        ----------
        name : str

        Returns
        -------
        rows : ndarray of int of shape (n_held_out,)
            Positions of the images, ascending.
        answers : Answers
        """
        done = [
            (test, outcome)
            for (_, test), outcome in zip(self.folds, self.results[name].outcomes, strict=True)
            if outcome.error is None
        ]
        if not done:
            raise ValueError(f"{name} failed on all folds: {self.row(name).error}")
        tests = np.concatenate([test for test, _ in done])
        rows, first = np.unique(tests, return_index=True)

        def joined(attribute):
            parts = [getattr(outcome, attribute) for _, outcome in done]
            return None if any(part is None for part in parts) else np.concatenate(parts)[first]

        answers = Answers(
            self.y[rows],
            joined("predicted"),
            len(self.classes),
            joined("in_top_5"),
            joined("probabilities"),
        )
        return rows, answers

    def interval(self, name, metric="accuracy", *, random_state=0):
        """Return the 95 % interval of a score.

        Wilson's for accuracy, of as many images as were held out; for others the percentile
        interval of a bootstrap of the held-out images.

        Parameters
        ----------
        name : str
        metric : str, default="accuracy"
        random_state : int, default=0
            Seed of the bootstrap.

        Returns
        -------
        low, high : float
            NaN where there is no score.
        """
        _check_metric(metric)
        rows, answers = self.answers(name)
        if metric == "accuracy":
            return wilson_interval(float(np.nanmean(self.fold_scores(name))), len(rows))
        if np.isnan(metric_of(metric, answers)) or len(rows) < 2:
            return float("nan"), float("nan")
        n_resamples = int(np.clip(N_RESAMPLED // len(rows), 200, 1000))
        return bootstrap_interval(
            lambda drawn: METRICS[metric].of(answers, drawn),
            len(rows),
            n_resamples=n_resamples,
            random_state=random_state,
        )

    @property
    def best_(self):
        """Name of the pipeline of the highest mean accuracy, among those that never failed."""
        accuracies = {name: float(self.fold_scores(name).mean()) for name in self.complete()}
        if not accuracies:
            raise ValueError("no pipeline has been through all folds without an error")
        return max(accuracies, key=accuracies.get)

    def complete(self):
        """Return the pipelines that have not failed on any fold.

        Returns
        -------
        list of str
        """
        return [
            name
            for name, result in self.results.items()
            if all(outcome.error is None for outcome in result.outcomes)
        ]

    def verdicts(self, reference=None, *, metric="accuracy", alpha=0.05):
        """Compare every pipeline with the best, or with another one.

        Parameters
        ----------
        reference : str, default=None
            Name of a pipeline; None is `best_`.
        metric : str, default="accuracy"
        alpha : float, default=0.05
            How often, over all pipelines, a difference may be called where there is none.

        Returns
        -------
        list of Verdict
            Without pipelines that failed on a fold, or have no such score.

        Raises
        ------
        ValueError
            If the reference has failed, or there is no such pipeline or metric.
        """
        _check_metric(metric)
        reference = self.best_ if reference is None else reference
        scores = {name: self.fold_scores(name, metric) for name in self.complete()}
        scores = {name: found for name, found in scores.items() if not np.isnan(found).any()}
        if reference not in scores:
            raise ValueError(f"{reference!r} has no {metric} on every fold; there are {[*scores]}")
        answers = {name: self.answers(name)[1] for name in scores}
        right = {name: found.true == found.predicted for name, found in answers.items()}
        sizes = tuple(np.mean([[len(part) for part in fold] for fold in self.folds], axis=0))
        return verdicts_of(scores, right, reference, sizes, metric=metric, alpha=alpha)

    def conclusion(self):
        """Return what may be concluded about accuracy, in a few lines.

        Returns
        -------
        str
        """
        return conclusion_of(self)

    def confusion(self, name):
        """Count how often images of each class were taken for each.

        Parameters
        ----------
        name : str

        Returns
        -------
        ndarray of int of shape (n_classes, n_classes)
            Right classes by row, predicted ones by column, in the order of `classes`.
        """
        _, answers = self.answers(name)
        numbers = np.arange(len(self.classes))  # -1, of no class, is not among them
        return confusion_matrix(answers.true, answers.predicted, labels=numbers)

    def mistakes(self, name):
        """Return the held-out images that a pipeline gets wrong.

        Parameters
        ----------
        name : str

        Returns
        -------
        ndarray of int
            Positions, ascending.
        """
        rows, answers = self.answers(name)
        return rows[answers.true != answers.predicted]

    def right_alone(self, name):
        """Return the held-out images that only this pipeline gets right.

        Parameters
        ----------
        name : str

        Returns
        -------
        ndarray of int
            Positions, ascending. Pipelines that failed on a fold do not count.
        """
        rows, answers = self.answers(name)
        alone = answers.true == answers.predicted
        for other in self.complete():
            if other != name:
                alone &= np.isin(rows, self.mistakes(other))
        return rows[alone]

    # ------------------------------------------------------------------------ what comes of it

    def to_dicts(self):
        """Return the rows as a list of dictionaries, for json or a data frame.

        Returns
        -------
        list of dict
            With the fields of `Row`, and of those that have been through all folds the verdict
            against the best and its p-value.
        """
        return records_of(self)

    def to_frame(self):
        """Return the rows as a data frame.

        Returns
        -------
        pandas.DataFrame
            Indexed by pipeline; columns are those of `to_dicts`.

        Raises
        ------
        ImportError
            If pandas is missing.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(f"to_frame needs pandas: pip install pandas ({error})") from error
        return pd.DataFrame(self.to_dicts()).set_index("pipeline")

    def plot(self, *, ax=None):
        """Draw the accuracy of every pipeline, with its interval.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        ComparisonDisplay
        """
        from visionpipe.displays.comparison import ComparisonDisplay

        return ComparisonDisplay.from_comparison(self, ax=ax)

    def to_html(self, path):
        """Write the comparison as a page, one file that needs no network.

        Parameters
        ----------
        path : path-like

        Returns
        -------
        pathlib.Path
        """
        from visionpipe.report import write_report

        return write_report(self, path)

    def save(self, path):
        """Write the comparison into a file, without the images.

        Parameters
        ----------
        path : path-like
            The file appears whole or not at all.

        Returns
        -------
        pathlib.Path
        """
        return write_comparison(self, path)

    @classmethod
    def load(cls, path):
        """Read what `save` wrote; nothing in it is run.

        Parameters
        ----------
        path : path-like

        Returns
        -------
        Comparison
            Without images: see `attach`.

        Raises
        ------
        ValueError
            If it is no such file, or damaged.
        """
        comparison = cls.__new__(cls)
        vars(comparison).update(read_comparison(path), _X=None, images=None)
        return comparison

    def attach(self, X):
        """Give a comparison that was read from a file its images back.

        Parameters
        ----------
        X : array-like of images
            The same as in the comparison, in the same order.

        Returns
        -------
        Comparison
            Itself.

        Raises
        ------
        ValueError
            If they are others.
        """
        if len(X) != len(self.y) or fingerprint_of(X, self.classes[self.y]) != self.fingerprint:
            raise ValueError(
                f"these {len(X)} images are not the {len(self.y)} that were compared on, or not in "
                "the same order"
            )
        self._X, self.images = X, images_or_none(X)
        return self

    def merge(self, *others):
        """Put together what was run on the same folds, on other machines say.

        Parameters
        ----------
        *others : Comparison

        Returns
        -------
        Comparison
            A new one. Times are of the machine that each pipeline was run on.

        Raises
        ------
        ValueError
            If one is of other images, labels or folds, or has a pipeline of the same name.
        """
        merged = copy(self)
        merged.results, merged.warnings = dict(self.results), [*self.warnings]
        for other in others:
            _check_same(merged, other)
            merged.results |= other.results
            merged.warnings += [text for text in other.warnings if text not in merged.warnings]
        return merged


# ------------------------------------------------------------------- what it is made of, and with


def _missing_classes(y, classes, folds):
    """Complaints about folds that lack a class."""
    complaints = []
    for number, (train, test) in enumerate(folds):
        for rows, purpose in ((train, "learn from"), (test, "test on")):
            missing = np.setdiff1d(np.arange(len(classes)), y[rows])
            if len(missing):
                names = ", ".join(map(str, classes[missing][:5])) + (
                    f" and {len(missing) - 5} more" if len(missing) > 5 else ""
                )
                complaints.append(f"fold {number} has no images of {names} to {purpose}")
    return complaints


def _check_metric(metric):
    if metric not in METRICS:
        raise ValueError(f"there is no metric {metric!r}; there are {', '.join(METRICS)}")


def _check_same(one, other):
    """Refuse comparisons whose pipelines cannot be held against each other."""
    if one.fingerprint != other.fingerprint:
        raise ValueError(
            f"{other!r} is of other images or labels than {one!r}; both have to see the same ones, "
            "in the same order"
        )
    pairs = zip(one.folds, other.folds, strict=False)
    if len(one.folds) != len(other.folds) or not all(
        np.array_equal(a, b) for ours, theirs in pairs for a, b in zip(ours, theirs, strict=True)
    ):
        raise ValueError(
            f"{other!r} has other folds than {one!r}; run both with the same cv and random_state"
        )
    both = [name for name in other.results if name in one.results]
    if both:
        raise ValueError(f"{', '.join(both)} is in both {one!r} and {other!r}; wanted it in one")
