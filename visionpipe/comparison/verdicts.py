"""Which pipelines a comparison tells apart, and how sure one may be."""

from dataclasses import dataclass, replace

import numpy as np

from visionpipe.comparison.statistics import (
    corrected_t_test,
    holm,
    images_for_mcnemar,
    images_for_t_test,
    mcnemar,
)
from visionpipe.metrics import METRICS

__all__ = ["Verdict", "conclusion_of", "verdicts_of"]


@dataclass(frozen=True)
class Verdict:
    """A pipeline against another on the same folds.

    Attributes
    ----------
    pipeline, reference : str
    difference : float
        Mean over folds of the pipeline's score less the reference's.
    low, high : float or None
        95 % interval of the difference by the t-test, not corrected for the number of tests.
    p_t_test, p_mcnemar : float or None
        Of the corrected resampled t-test over folds, and of McNemar's test on the held-out images,
        each by Holm's correction for the number of pipelines; None where the test does not apply:
        the first needs two folds, the second is about accuracy.
    test : {"t-test", "mcnemar", None}
        The test that decides: the t-test where there is one.
    verdict : {"better", "worse", "not told apart"}
    n_images : int or None
        How many images would tell the two apart in four of five comparisons like this one, if the
        difference is as large as it seems to be; None if no number would, or they are told apart.
    more_folds : bool
        Whether McNemar's test calls the fitted classifiers different where the t-test does not
        tell the ways to fit them apart: more folds may.
    """

    pipeline: str
    reference: str
    difference: float
    low: float | None
    high: float | None
    p_t_test: float | None
    p_mcnemar: float | None
    test: str | None
    verdict: str = "not told apart"
    n_images: int | None = None
    more_folds: bool = False

    @property
    def p_value(self):
        """That of the test that decides, None without one."""
        return {"t-test": self.p_t_test, "mcnemar": self.p_mcnemar, None: None}[self.test]

    def __str__(self):
        places = f"{100 * self.difference:+.2f}"
        if self.low is not None:
            places += f" ({100 * self.low:+.2f} to {100 * self.high:+.2f})"
        p_value = "" if self.p_value is None else f", p = {self.p_value:.2g}"
        needed = "" if self.n_images is None else f"; about {self.n_images:,} images would tell"
        return f"{self.pipeline:<20} {self.verdict:<15} {places}{p_value}{needed}"


def verdicts_of(scores, right, reference, sizes, *, metric="accuracy", alpha=0.05):
    """Compare pipelines with one of them.

    The corrected resampled t-test decides where there are several folds. McNemar's test is of the
    very classifiers that were fitted and not of the way to fit them: of 500 simulated comparisons
    of a recipe with itself under another seed it called 47 different, and 166 if seeds mattered
    much, where the t-test called 5. So it decides only where there is a lone fold. Of a difference
    of 3 points on 2,000 images, the t-test finds 59 in 100 with 5 folds, 88 with two times 5 and 95
    with three times 5 (`python -m benchmarks.verdicts`, which has all the figures).

    Parameters
    ----------
    scores : dict of str to ndarray of shape (n_folds,)
        By pipeline; the reference's among them.
    right : dict of str to ndarray of bool of shape (n_images,)
        Which held-out images each pipeline classifies rightly, each image once.
    reference : str
    sizes : (float, float)
        Images of a fold to learn from and to test on.
    metric : str, default="accuracy"
        What the scores are, of `visionpipe.metrics.METRICS`.
    alpha : float, default=0.05
        How often a difference may be called where there is none, over all pipelines.

    Returns
    -------
    list of Verdict
        In the order of `scores`, without the reference.
    """
    others = [name for name in scores if name != reference]
    tests = {name: _t_test(scores[name] - scores[reference], sizes) for name in others}
    counts = {name: _discordant(right[name], right[reference]) for name in others}
    of_accuracy = metric == "accuracy"
    p_t = holm([np.nan if tests[name] is None else tests[name].p_value for name in others])
    p_mcnemar = holm([mcnemar(*counts[name]) if of_accuracy else np.nan for name in others])
    verdicts = []
    for i, name in enumerate(others):
        test = tests[name]
        verdict = Verdict(
            pipeline=name,
            reference=reference,
            difference=float(np.mean(scores[name] - scores[reference])),
            low=None if test is None else test.low,
            high=None if test is None else test.high,
            p_t_test=None if test is None else float(p_t[i]),
            p_mcnemar=float(p_mcnemar[i]) if of_accuracy else None,
            test="t-test" if test is not None else "mcnemar" if of_accuracy else None,
        )
        n_images = len(right[name])
        verdicts.append(_decided(verdict, test, counts[name], n_images, metric, alpha, len(others)))
    return verdicts


def _t_test(differences, sizes):
    return None if len(differences) < 2 else corrected_t_test(differences, *sizes)


def _discordant(right, of_reference):
    return int((right & ~of_reference).sum()), int((of_reference & ~right).sum())


def _decided(verdict, test, counts, n_images, metric, alpha, n_tests):
    """The verdict, and where there is none, how many images it would take."""
    if verdict.p_value is None:
        return verdict
    if verdict.p_value <= alpha:
        is_better = (verdict.difference > 0) == METRICS[metric].higher_is_better
        return replace(verdict, verdict="better" if is_better else "worse")
    # as if it were the first that Holm looks at, which is the strictest
    level = alpha / n_tests
    if verdict.test == "t-test":
        needed = images_for_t_test(test, n_images, alpha=level)
    else:
        needed = images_for_mcnemar(*counts, n_images, alpha=level)
    differs = verdict.p_mcnemar is not None and verdict.p_mcnemar <= alpha
    return replace(verdict, n_images=needed, more_folds=differs)


def conclusion_of(comparison):
    """Return what may be concluded about accuracy.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    str
        A few lines.
    """
    best, verdicts = comparison.row(comparison.best_), comparison.verdicts()
    test = "the corrected resampled t-test"
    if len(comparison.folds) == 1:
        test = "McNemar's test of these very classifiers, which other seeds may change,"
    lines = [
        f"best: {best.pipeline}, {100 * best.accuracy:.2f} %; against it, in percent,",
        f"by {test} at 5 % with Holm's correction:",
        *map(str, verdicts),
    ]
    unsure = [verdict.pipeline for verdict in verdicts if verdict.more_folds]
    if unsure:
        lines += [
            f"The fitted classifiers of {', '.join(unsure)} do differ on these images, by",
            "McNemar's test; more folds (--repeats, n_repeats) may tell the recipes apart, too.",
        ]
    return "\n".join(lines)
