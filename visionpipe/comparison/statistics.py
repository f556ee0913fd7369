"""What a comparison may conclude: tests, corrections and intervals, on plain numbers."""

import contextlib
import math
import operator
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.optimize import brentq

__all__ = [
    "TTest",
    "bootstrap_interval",
    "corrected_t_test",
    "holm",
    "images_for_mcnemar",
    "images_for_t_test",
    "mcnemar",
    "wilson_interval",
]

# Differences of scores that are equal come out unequal in their last bits.
SAME = 1e-12
# How many row numbers of resamples are held at a time: 8 MB.
ROWS_AT_ONCE = 2**20


@dataclass(frozen=True)
class TTest:
    """A corrected resampled t-test.

    Attributes
    ----------
    difference : float
        Mean over folds.
    low, high : float
        Confidence interval of the difference.
    standard_error : float
        Of the difference; the correction is in it.
    df : int
        Degrees of freedom, one fewer than folds.
    p_value : float
        Two-sided, of no difference.
    """

    difference: float
    low: float
    high: float
    standard_error: float
    df: int
    p_value: float


def corrected_t_test(differences, n_train, n_test, *, confidence=0.95):
    """Test whether a score differs, given its differences over folds.

    Training sets of different folds share images, so the differences depend on each other and their
    variance over folds is too small. It is therefore scaled by 1/J + n_test/n_train for J folds, in
    place of 1/J.

    If all differences are equal, their variance of zero is one of rounding: a score on n_test
    images moves by steps of about 1/n_test. The variance is then that of rounding to such a step,
    1/(12 n_test²): three folds that differ by one image each are not told apart.

    What depends on a seed is in the variance if each fold has a seed of its own. If all folds share
    one, what is tested is the two pipelines with their very seeds, which may differ in earnest.

    Parameters
    ----------
    differences : array-like of shape (n_folds,)
        The first pipeline's score less the second's, fold by fold; of repeated folds, all of them.
    n_train, n_test : float
        Images to learn from and to test on in a fold, above 0; means where folds differ.
    confidence : float, default=0.95
        Of the interval, between 0 and 1.

    Returns
    -------
    TTest

    Raises
    ------
    ValueError
        If there are fewer than two folds, or a number is not finite or out of its range.

    References
    ----------
    C. Nadeau and Y. Bengio, "Inference for the generalization error", Machine Learning 52, 2003,
    section 5. R. R. Bouckaert and E. Frank, "Evaluating the replicability of significance tests for
    comparing learning algorithms", PAKDD 2004, for repeated folds.

    Examples
    --------
    >>> from visionpipe.comparison.statistics import corrected_t_test
    >>> test = corrected_t_test([0.02, 0.03, 0.01, 0.04, 0.02], n_train=800, n_test=200)
    >>> f"{test.difference:.3f}, {test.low:.3f} to {test.high:.3f}, p = {test.p_value:.3f}"
    '0.024, 0.003 to 0.045, p = 0.035'
    """
    differences = _folds(differences)
    _positive("n_train", n_train)
    _positive("n_test", n_test)
    _share("confidence", confidence)
    varied = np.ptp(differences) > SAME
    variance = differences.var(ddof=1) if varied else 1 / (12 * n_test**2)
    mean, df = float(differences.mean()), len(differences) - 1
    error = math.sqrt((1 / len(differences) + n_test / n_train) * variance)
    margin = float(stats.t.isf((1 - confidence) / 2, df)) * error
    p_value = float(2 * stats.t.sf(abs(mean) / error, df))
    return TTest(mean, mean - margin, mean + margin, error, df, p_value)


def mcnemar(n_only_first, n_only_second):
    """Test whether two classifiers differ on the same images, exactly.

    Images that both get right or both get wrong say nothing; of the others, half are the first's if
    the two are equally good. It tests the two classifiers as they are. That other training images,
    or another seed, give other classifiers is left out, which makes for false alarms: 7 % on a
    held-out fifth of 2,000 images, and 28 % if very much depends on the seed, in place of 5
    (`python -m benchmarks.verdicts`). Hence the exact test, not its mid-p, which is less cautious.

    Parameters
    ----------
    n_only_first, n_only_second : int
        How many images only the first, and only the second, gets right.

    Returns
    -------
    float
        Two-sided p-value. 1 if no image tells them apart.

    Raises
    ------
    ValueError
        If a count is negative or no whole number.

    References
    ----------
    T. G. Dietterich, "Approximate statistical tests for comparing supervised classification
    learning algorithms", Neural Computation 10, 1998, section 3.1. M. W. Fagerland, S. Lydersen and
    P. Laake, "The McNemar test for binary matched-pairs data", BMC Medical Research Methodology 13,
    2013, for mid-p.

    Examples
    --------
    >>> from visionpipe.comparison.statistics import mcnemar
    >>> round(mcnemar(5, 15), 4)
    0.0414
    """
    first = _count("n_only_first", n_only_first)
    second = _count("n_only_second", n_only_second)
    if first == second == 0:
        return 1.0
    return float(stats.binomtest(first, first + second).pvalue)


def holm(p_values):
    """Correct p-values for their number, so that any false alarm at all stays as rare as wanted.

    Parameters
    ----------
    p_values : array-like of shape (n_tests,)
        In 0..1; NaN where there was no test, which does not count as one.

    Returns
    -------
    ndarray of shape (n_tests,), float64
        Adjusted, at most 1, in the same order; NaN where NaN came.

    Raises
    ------
    ValueError
        If a p-value is outside 0..1.

    References
    ----------
    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6, 1979.

    Examples
    --------
    >>> from visionpipe.comparison.statistics import holm
    >>> holm([0.04, 0.01, 0.03])
    array([0.06, 0.03, 0.06])
    """
    p_values = np.atleast_1d(np.asarray(p_values, dtype=float))
    outside = (p_values < 0) | (p_values > 1)
    if outside.any():
        raise ValueError(f"p-values have to be in 0..1, not {p_values[outside]}.")
    adjusted = np.full(p_values.shape, np.nan)
    order = np.argsort(p_values)[: np.count_nonzero(~np.isnan(p_values))]  # NaN come last
    steps = p_values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def wilson_interval(share, n, *, confidence=0.95):
    """Return Wilson's score interval of a share, such as an accuracy.

    Parameters
    ----------
    share : float
        In 0..1. May be a mean over repeats, so that `share * n` is no whole number.
    n : int
        How many images it is a share of, at least 1; each counts once, however often it was tried.
    confidence : float, default=0.95
        Between 0 and 1.

    Returns
    -------
    low, high : float
        In 0..1.

    Raises
    ------
    ValueError
        If a number is out of its range.

    References
    ----------
    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of
    the American Statistical Association 22, 1927.

    Examples
    --------
    >>> from visionpipe.comparison.statistics import wilson_interval
    >>> low, high = wilson_interval(0.9, 200)
    >>> round(low, 3), round(high, 3)
    (0.851, 0.934)
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share has to be in 0..1, not {share}: 0.9 for 90 %.")
    _positive("n", n)
    _share("confidence", confidence)
    z2 = stats.norm.isf((1 - confidence) / 2) ** 2
    center = (share + z2 / (2 * n)) / (1 + z2 / n)
    margin = math.sqrt(z2 * share * (1 - share) / n + (z2 / (2 * n)) ** 2) / (1 + z2 / n)
    high = 1.0 if share == 1 else center + margin  # exactly, where rounding would miss it
    return float(center - margin), float(high)


def bootstrap_interval(statistic, n, *, confidence=0.95, n_resamples=1000, random_state=0):
    """Return the percentile bootstrap interval of anything computed from n images.

    Parameters
    ----------
    statistic : callable
        Maps row numbers, an array (b, n) of int64, to b values, one for each resample. NaN where a
        resample has none, for want of a class say; such resamples do not count.
    n : int
        How many images there are, at least 2.
    confidence : float, default=0.95
        Between 0 and 1.
    n_resamples : int, default=1000
        At least 1. They come in batches, so that memory stays bounded.
    random_state : int, default=0

    Returns
    -------
    low, high : float
        NaN if no resample has a value.

    Raises
    ------
    ValueError
        If a number is out of its range, or `statistic` gives anything but b values.

    References
    ----------
    B. Efron, "Nonparametric standard errors and confidence intervals", Canadian Journal of
    Statistics 9, 1981.

    Examples
    --------
    >>> import numpy as np
    >>> from visionpipe.comparison.statistics import bootstrap_interval
    >>> losses = np.random.default_rng(0).exponential(size=200)
    >>> low, high = bootstrap_interval(lambda rows: losses[rows].mean(axis=1), 200)
    >>> bool(low < losses.mean() < high)
    True
    """
    if _count("n", n) < 2:
        raise ValueError(f"A bootstrap needs at least 2 images, not {n}.")
    _positive("n_resamples", _count("n_resamples", n_resamples))
    _share("confidence", confidence)
    rng = np.random.default_rng(random_state)
    batch = max(ROWS_AT_ONCE // n, 1)
    parts = []
    for start in range(0, n_resamples, batch):
        rows = rng.integers(n, size=(min(batch, n_resamples - start), n))  # (b, n)
        values = np.asarray(statistic(rows), dtype=float)
        if values.shape != (len(rows),):
            raise ValueError(
                f"statistic gave an array of shape {values.shape} for {len(rows)} resamples; "
                "let it give one value for each row of row numbers."
            )
        parts.append(values)
    values = np.concatenate(parts)
    values = values[~np.isnan(values)]
    if not len(values):
        return math.nan, math.nan
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def images_for_t_test(test, n_images, *, alpha=0.05, power=0.8):
    """Return how many images would tell two pipelines apart, by the t-test over the same folds.

    Takes the difference for the true one, and its standard error to shrink with the square root of
    the number of images.

    Parameters
    ----------
    test : TTest
        What was found.
    n_images : int
        On how many images.
    alpha : float, default=0.05
        Level of the two-sided test, between 0 and 1.
    power : float, default=0.8
        How likely the difference is to be found, between `alpha` and 1.

    Returns
    -------
    int or None
        May be fewer than there were. None if no number would do, as the difference is 0.

    Raises
    ------
    ValueError
        If a number is out of its range.

    Examples
    --------
    >>> from visionpipe.comparison.statistics import corrected_t_test, images_for_t_test
    >>> test = corrected_t_test([0.02, 0.05, -0.01, 0.04, 0.02], n_train=800, n_test=200)
    >>> round(test.p_value, 2), images_for_t_test(test, 1000)
    (0.2, 5858)
    """
    _positive("n_images", n_images)
    _levels(alpha, power)
    if abs(test.difference) <= SAME:
        return None
    wanted = _noncentrality(test.df, alpha, power)
    return math.ceil(n_images * (wanted * test.standard_error / test.difference) ** 2)


def _noncentrality(df, alpha, power):
    """How many standard errors a difference has to be for a two-sided t-test to find it."""
    critical = stats.t.isf(alpha / 2, df)
    # Enough by far: neither the deviation nor the mean may go wrong more than half of what is left.
    enough = critical * math.sqrt(stats.chi2.isf((1 - power) / 2, df) / df)
    enough += stats.norm.isf((1 - power) / 2)
    return brentq(lambda shift: stats.nct.sf(critical, df, shift) - power, 0, enough)


def images_for_mcnemar(n_only_first, n_only_second, n_images, *, alpha=0.05, power=0.8):
    """Return how many images would tell two classifiers apart, by McNemar's test.

    Takes the shares of images that only one gets right for the true ones. Connor's formula.

    Parameters
    ----------
    n_only_first, n_only_second : int
        How many images only the first, and only the second, gets right.
    n_images : int
        Of how many.
    alpha : float, default=0.05
        Level of the two-sided test, between 0 and 1.
    power : float, default=0.8
        How likely the difference is to be found, between `alpha` and 1.

    Returns
    -------
    int or None
        May be fewer than there were. None if no number would do, as the counts are equal.

    Raises
    ------
    ValueError
        If a number is out of its range, or the counts are more than the images.

    References
    ----------
    R. J. Connor, "Sample size for testing differences in proportions for the paired-sample design",
    Biometrics 43, 1987.

    Examples
    --------
    >>> from visionpipe.comparison.statistics import images_for_mcnemar
    >>> images_for_mcnemar(30, 20, 1000)
    3923
    """
    first = _count("n_only_first", n_only_first)
    second = _count("n_only_second", n_only_second)
    _positive("n_images", n_images)
    _levels(alpha, power)
    if first + second > n_images:
        raise ValueError(f"Only one gets {first} and {second} images right, of {n_images} in all.")
    if first == second:
        return None
    differing, difference = (first + second) / n_images, (first - second) / n_images
    deviations = stats.norm.isf(alpha / 2) * math.sqrt(differing)
    deviations += stats.norm.isf(1 - power) * math.sqrt(differing - difference**2)
    return math.ceil((deviations / difference) ** 2)


def _folds(differences):
    differences = np.asarray(differences, dtype=float)
    if differences.ndim != 1 or len(differences) < 2:
        raise ValueError(
            f"The t-test needs the differences of at least 2 folds, a row of numbers, not an array "
            f"of shape {differences.shape}; of a single fold, use mcnemar."
        )
    if not np.isfinite(differences).all():
        raise ValueError(f"Differences have to be finite, not {differences}; leave out such folds.")
    return differences


def _count(name, number):
    with contextlib.suppress(TypeError):
        if operator.index(number) >= 0:
            return operator.index(number)
    raise ValueError(f"{name} has to be a whole number, 0 or more, not {number!r}.")


def _positive(name, number):
    if not 0 < number < math.inf:
        raise ValueError(f"{name} has to be above 0 and finite, not {number}.")


def _share(name, number):
    if not 0 < number < 1:
        raise ValueError(f"{name} has to be between 0 and 1, not {number}.")


def _levels(alpha, power):
    _share("alpha", alpha)
    if not alpha < power < 1:
        raise ValueError(f"power has to be between alpha, {alpha}, and 1, not {power}.")
