"""Tests, corrections and intervals, against SciPy, statsmodels and published figures."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import make_moons
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
from sklearn.svm import SVC

from benchmarks.verdicts import FICKLE, STEADY, WORSE, share_found
from visionpipe.comparison import statistics
from visionpipe.comparison.statistics import (
    TTest,
    bootstrap_interval,
    corrected_t_test,
    holm,
    images_for_mcnemar,
    images_for_t_test,
    mcnemar,
    wilson_interval,
)

DIFFERENCES = np.array([0.02, 0.05, -0.01, 0.04, 0.02, 0.03])


def test_t_test_equals_the_published_example():
    """scikit-learn's "Statistical comparison of models using grid search": its data, its figures.

    t = 0.750 and p = 0.227 (one-sided; 0.454 here) for the kernels rbf and linear.
    """
    X, y = make_moons(noise=0.352, random_state=1, n_samples=100)
    folds = RepeatedStratifiedKFold(n_splits=10, n_repeats=10, random_state=0)
    rbf, linear = (
        cross_val_score(SVC(kernel=kernel, random_state=0), X, y, cv=folds, scoring="roc_auc")
        for kernel in ("rbf", "linear")
    )
    test = corrected_t_test(rbf - linear, n_train=90, n_test=10)
    assert test.difference / test.standard_error == pytest.approx(0.750, abs=5e-4)
    assert test.p_value / 2 == pytest.approx(0.227, abs=5e-4)
    assert test.df == 99


def test_t_test_without_overlap_is_the_paired_t_test():
    test = corrected_t_test(DIFFERENCES, n_train=1e15, n_test=1, confidence=0.9)
    expected = stats.ttest_1samp(DIFFERENCES, 0)
    interval = expected.confidence_interval(0.9)
    assert test.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert (test.low, test.high) == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_t_test_corrects_for_overlap():
    """By hand: mean 1/40, squared deviations add up to 0.00215, error² = (1/6 + 1/4) 0.00043."""
    test = corrected_t_test(DIFFERENCES, n_train=400, n_test=100)
    assert test.difference == pytest.approx(0.025)
    assert test.standard_error == pytest.approx(math.sqrt(5 / 12 * 0.00043))
    assert test.df == 5
    assert test.high == pytest.approx(0.025 + 2.570582 * test.standard_error)
    assert test.low == pytest.approx(0.025 - 2.570582 * test.standard_error)
    opposite = corrected_t_test(-DIFFERENCES, n_train=400, n_test=100)
    assert opposite.p_value == test.p_value and opposite.high == -test.low


def test_equal_differences():
    """No variance is not certainty: they are equal up to an image a fold."""
    same = corrected_t_test([0, 0, 0], n_train=200, n_test=100)
    assert same.p_value == 1 and -0.02 < same.low < 0 < same.high < 0.02
    one_image = [0.95 - 0.94, 0.12 - 0.11, 0.33 - 0.32]  # differ in their last bits
    assert len(set(one_image)) > 1
    test = corrected_t_test(one_image, n_train=200, n_test=100)
    assert test.p_value == pytest.approx(corrected_t_test([0.01] * 3, 200, 100).p_value)
    assert 0.05 < test.p_value < 0.1
    assert test.standard_error == pytest.approx(math.sqrt(5 / 6 / 12) / 100)
    assert corrected_t_test([0.9] * 3, n_train=200, n_test=100).p_value < 1e-4


@pytest.mark.parametrize("counts", [(0, 0), (0, 1), (0, 7), (5, 15), (15, 5), (40, 41), (300, 250)])
def test_mcnemar_equals_statsmodels(counts):
    from statsmodels.stats.contingency_tables import mcnemar as expected

    table = [[1000, counts[0]], [counts[1], 17]]
    assert mcnemar(*counts) == pytest.approx(expected(table, exact=True).pvalue, rel=1e-12)


def test_holm_equals_statsmodels():
    from statsmodels.stats.multitest import multipletests

    p_values = np.random.default_rng(0).random(12) ** 4
    p_values[3] = p_values[7]
    expected = multipletests(p_values, method="holm")[1]
    np.testing.assert_allclose(holm(p_values), expected)
    missing = np.insert(p_values, [0, 5, 12], np.nan)
    found = holm(missing)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(missing))
    np.testing.assert_allclose(found[~np.isnan(found)], expected)


def test_holm_at_its_ends():
    assert holm([]).shape == (0,)
    assert holm([0.5, 0.9]).tolist() == [1, 1]
    assert np.isnan(holm([math.nan])).all()
    assert holm([0.03]).tolist() == [0.03]
    assert holm([0.0, 1.0]).tolist() == [0, 1]


@pytest.mark.parametrize("n_right, n", [(0, 5), (5, 5), (1, 1), (180, 200), (9999, 10_000)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_wilson_equals_scipy_and_statsmodels(n_right, n, confidence):
    from statsmodels.stats.proportion import proportion_confint

    found = wilson_interval(n_right / n, n, confidence=confidence)
    interval = stats.binomtest(n_right, n).proportion_ci(confidence, method="wilson")
    assert found == pytest.approx((interval.low, interval.high), abs=1e-12)
    expected = proportion_confint(n_right, n, 1 - confidence, method="wilson")
    assert found == pytest.approx(expected, abs=1e-12)
    assert 0 <= found[0] <= n_right / n <= found[1] <= 1


def test_wilson_ends_exactly_at_none_and_all():
    assert {wilson_interval(0, n)[0] for n in range(1, 60)} == {0}
    assert {wilson_interval(1, n)[1] for n in range(1, 60)} == {1}


def test_wilson_of_a_mean_over_repeats():
    """Its ends are the shares whose score test just fails, with no whole number of images."""
    for end in wilson_interval(0.8765, 150):
        z = (0.8765 - end) / math.sqrt(end * (1 - end) / 150)
        assert abs(z) == pytest.approx(stats.norm.ppf(0.975))


def test_bootstrap_equals_scipy():
    losses = np.random.default_rng(0).exponential(size=80)
    found = bootstrap_interval(
        lambda rows: np.median(losses[rows], axis=1), 80, confidence=0.9, n_resamples=20_000
    )
    expected = stats.bootstrap(
        (losses,),
        np.median,
        n_resamples=20_000,
        confidence_level=0.9,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert found == pytest.approx((expected.low, expected.high), abs=0.02)


def test_bootstrap_comes_in_batches(monkeypatch):
    values, sizes = np.random.default_rng(0).random(50), []

    def mean(rows):
        sizes.append(rows.size)
        return values[rows].mean(axis=1)

    at_once = bootstrap_interval(mean, 50, random_state=3)
    assert sizes == [50_000]
    sizes.clear()
    monkeypatch.setattr(statistics, "ROWS_AT_ONCE", 330)
    assert bootstrap_interval(mean, 50, random_state=3) == at_once
    assert max(sizes) == 300 and sum(sizes) == 50_000
    sizes.clear()
    monkeypatch.setattr(statistics, "ROWS_AT_ONCE", 10)  # less than one resample
    assert bootstrap_interval(mean, 50, random_state=3) == at_once
    assert max(sizes) == 50
    assert bootstrap_interval(mean, 50, random_state=4) != at_once


def test_bootstrap_leaves_out_what_has_no_value():
    values = np.arange(20.0)

    def mean_if_first(rows):
        means = values[rows].mean(axis=1)
        return np.where((rows == 0).any(axis=1), means, np.nan)

    low, high = bootstrap_interval(mean_if_first, 20)
    assert 0 < low < 9.5 < high < 19
    assert np.isnan(bootstrap_interval(lambda rows: np.full(len(rows), np.nan), 20)).all()


@pytest.mark.parametrize("n_folds, power, alpha", [(3, 0.8, 0.05), (15, 0.8, 0.05), (5, 0.9, 0.01)])
def test_images_for_t_test_give_the_power(n_folds, power, alpha):
    """Folds without overlap, so that SciPy's t-test may judge."""
    deviation, difference, n_before = 0.05, 0.01, 1000
    before = TTest(difference, 0, 0, deviation / math.sqrt(n_folds), n_folds - 1, 1)
    n = images_for_t_test(before, n_before, alpha=alpha, power=power)
    folds = np.random.default_rng(0).normal(
        difference, deviation * math.sqrt(n_before / n), size=(40_000, n_folds)
    )
    found = stats.ttest_1samp(folds, 0, axis=1).pvalue < alpha
    assert found.mean() == pytest.approx(power, abs=0.008)
    critical = stats.t.isf(alpha / 2, n_folds - 1)
    shifts = difference / before.standard_error * np.sqrt(np.array([n - 1, n]) / n_before)
    just_too_few, enough = stats.nct.sf(critical, n_folds - 1, shifts)
    assert just_too_few < power <= enough
    opposite = TTest(-difference, 0, 0, before.standard_error, before.df, 1)
    assert images_for_t_test(opposite, n_before, alpha=alpha, power=power) == n


@pytest.mark.parametrize("counts, power", [((30, 20), 0.8), ((20, 30), 0.8), ((60, 15), 0.9)])
def test_images_for_mcnemar_give_the_power(counts, power):
    """Connor's is for the test without the exact one's caution, which costs 2 points here."""
    n = images_for_mcnemar(*counts, 1000, power=power)
    shares = [counts[0] / 1000, counts[1] / 1000, 1 - sum(counts) / 1000]
    first, second, _ = np.random.default_rng(0).multinomial(n, shares, size=20_000).T
    p_values = 2 * stats.binom.cdf(np.minimum(first, second), first + second, 0.5)
    assert power - 0.03 < (p_values < 0.05).mean() < power + 0.01


def test_images_for_mcnemar_equal_the_published_example():
    """powerandsamplesize.com on Connor's formula: 0.45 against 0.05, a power of 80 %."""
    assert images_for_mcnemar(45, 5, 100) == 23


def test_no_number_of_images_tells_equals_apart():
    assert images_for_t_test(corrected_t_test([0, 0, 0], 80, 20), 100) is None
    assert images_for_t_test(corrected_t_test([0.3, 0, -0.1 * 3], 80, 20), 100) is None
    assert images_for_mcnemar(4, 4, 100) is None
    assert images_for_mcnemar(0, 0, 100) is None


def test_same_recipe_is_rarely_called_different():
    """500 comparisons of pipelines that differ in their seeds, and much depend on them."""
    found = share_found(FICKLE, FICKLE, 5, (1, 3))
    assert found["t-test, 1 x 5 folds"] <= 0.05 and found["t-test, 3 x 5 folds"] <= 0.05
    assert found["McNemar, 5 folds pooled"] > 0.1  # why it is not the one to go by


def test_three_points_are_found():
    """500 comparisons of pipelines that differ by three points, at 2,000 images."""
    assert share_found(WORSE, STEADY, 5, (3,))["t-test, 3 x 5 folds"] > 0.8


@pytest.mark.parametrize(
    "wrong, reason",
    [
        (lambda: corrected_t_test([0.1], 80, 20), "at least 2 folds.* shape \\(1,\\).* mcnemar"),
        (lambda: corrected_t_test([], 80, 20), "at least 2 folds"),
        (lambda: corrected_t_test([[0.1, 0.2]], 80, 20), "shape \\(1, 2\\)"),
        (lambda: corrected_t_test([[0.1], [0.2]], 80, 20), "shape \\(2, 1\\)"),
        (
            lambda: corrected_t_test([0.1, 0.2], math.inf, 20),
            "n_train has to be above 0 and finite, not inf",
        ),
        (lambda: corrected_t_test([0.1, math.nan], 80, 20), "finite, not \\[0.1 nan\\]"),
        (
            lambda: corrected_t_test([0.1, 0.2], 0, 20),
            "n_train has to be above 0 and finite, not 0",
        ),
        (
            lambda: corrected_t_test([0.1, 0.2], 80, math.nan),
            "n_test has to be above 0 and finite, not nan",
        ),
        (lambda: corrected_t_test([0.1, 0.2], 80, 20, confidence=95), "between 0 and 1, not 95"),
        (lambda: mcnemar(-1, 3), "n_only_first has to be a whole number, 0 or more, not -1"),
        (lambda: mcnemar(1, 2.5), "n_only_second has to be a whole number, 0 or more, not 2.5"),
        (lambda: holm([0.5, 1.5, -1, math.nan]), "0..1, not \\[ 1.5 -1. \\]"),
        (lambda: wilson_interval(90, 100), "share has to be in 0..1, not 90"),
        (lambda: wilson_interval(math.nan, 100), "share has to be in 0..1, not nan"),
        (lambda: wilson_interval(0.5, 0), "n has to be above 0 and finite, not 0"),
        (lambda: wilson_interval(0.5, 10, confidence=1), "confidence has to be between 0 and 1"),
        (lambda: bootstrap_interval(np.sum, 1), "at least 2 images, not 1"),
        (lambda: bootstrap_interval(np.sum, 2.0), "n has to be a whole number"),
        (lambda: bootstrap_interval(np.sum, 20), "shape \\(\\) for 1000 resamples"),
        (lambda: bootstrap_interval(np.sum, 20, n_resamples=0), "n_resamples has to be above 0"),
        (lambda: bootstrap_interval(np.sum, 20, n_resamples=9.5), "n_resamples has to be a whole"),
        (lambda: bootstrap_interval(np.sum, 20, confidence=0), "confidence"),
        (lambda: images_for_t_test(TTest(1, 0, 0, 1, 4, 1), 0), "n_images has to be above 0"),
        (lambda: images_for_t_test(TTest(1, 0, 0, 1, 4, 1), 9, alpha=0), "alpha"),
        (lambda: images_for_t_test(TTest(1, 0, 0, 1, 4, 1), 9, power=0.01), "power.* alpha, 0.05"),
        (lambda: images_for_mcnemar(0, 0, 0), "n_images has to be above 0"),
        (lambda: images_for_mcnemar(5, 6, 10), "5 and 6 images right, of 10 in all"),
        (lambda: images_for_mcnemar(5, 6, 100, power=1), "power has to be between"),
        (lambda: images_for_mcnemar(5, -6, 100), "n_only_second"),
    ],
)
def test_wrong_numbers_are_refused(wrong, reason):
    with pytest.raises(ValueError, match=reason):
        wrong()
