"""Which pipelines are told apart, by which test, and how many images it would take."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from visionpipe.comparison.statistics import images_for_mcnemar
from visionpipe.comparison.verdicts import conclusion_of, verdicts_of

RNG = np.random.default_rng(0)
BEST = 0.95 + RNG.normal(0, 0.004, 10)
SCORES = {
    "best": BEST,
    "worse": BEST - 0.05 + RNG.normal(0, 0.004, 10),
    "close": BEST - 0.002 + RNG.normal(0, 0.006, 10),
    "same": BEST,
}
RIGHT = {
    "best": np.arange(1000) >= 50,
    "worse": np.arange(1000) >= 100,
    "close": np.roll(np.arange(1000) >= 52, 20),
    "same": np.arange(1000) >= 50,
}


def test_folds_decide_by_the_t_test():
    worse, close, same = verdicts_of(SCORES, RIGHT, "best", (900, 100))
    assert [v.verdict for v in (worse, close, same)] == ["worse", *["not told apart"] * 2]
    assert {v.test for v in (worse, close, same)} == {"t-test"}
    differences = SCORES["worse"] - BEST
    error = np.sqrt((1 / 10 + 100 / 900) * differences.var(ddof=1))
    p_value = 2 * stats.t.sf(abs(differences.mean() / error), 9)
    assert worse.p_value == pytest.approx(3 * p_value)  # the least of three, by Holm
    assert worse.difference == pytest.approx(differences.mean())
    assert worse.low < worse.difference < worse.high < 0
    assert worse.p_mcnemar == pytest.approx(3 * stats.binomtest(0, 50).pvalue)
    assert worse.n_images is None and same.n_images is None
    assert close.n_images > 1000 and same.p_value == 1


def test_another_reference_may_be_worse():
    best, close, same = verdicts_of(SCORES, RIGHT, "worse", (900, 100))
    assert [v.verdict for v in (best, close, same)] == ["better"] * 3
    assert best.difference > 0 and best.reference == "worse"


def test_of_losses_the_lower_is_the_better():
    worse, *_ = verdicts_of(SCORES, RIGHT, "best", (900, 100), metric="log_loss")
    assert worse.verdict == "better" and worse.p_mcnemar is None


def test_a_lone_fold_decides_by_mcnemar():
    scores = {name: values[:1] for name, values in SCORES.items()}
    worse, close, same = verdicts_of(scores, RIGHT, "best", (900, 100))
    assert (worse.test, worse.verdict, worse.low, worse.p_t_test) == (
        "mcnemar",
        "worse",
        None,
        None,
    )
    assert close.verdict == "not told apart"
    only = (
        int((RIGHT["close"] & ~RIGHT["best"]).sum()),
        int((RIGHT["best"] & ~RIGHT["close"]).sum()),
    )
    assert close.n_images == images_for_mcnemar(*only, 1000, alpha=0.05 / 3) > 1000
    assert same.n_images is None and same.p_value == 1
    of_loss = verdicts_of(scores, RIGHT, "best", (900, 100), metric="log_loss")
    assert {(v.test, v.p_value, v.verdict) for v in of_loss} == {(None, None, "not told apart")}


def test_the_level_may_be_stricter():
    worse = verdicts_of(SCORES, RIGHT, "best", (900, 100), alpha=1e-12)[0]
    assert worse.verdict == "not told apart" and worse.n_images > 0


def test_verdicts_print_as_lines():
    worse, close, same = map(str, verdicts_of(SCORES, RIGHT, "best", (900, 100)))
    assert worse.startswith("worse                worse           -5.") and "p = " in worse
    assert close.endswith("images would tell") and same.endswith("p = 1")


def test_where_folds_are_too_few_mcnemar_says_that_more_may_tell():
    best, worse = np.array([0.96, 0.95, 0.94]), np.array([0.90, 0.84, 0.93])
    scores = {"best": best, "worse": worse, "same": best}
    worse, same = verdicts_of(scores, RIGHT, "best", (667, 333))
    assert worse.p_t_test > 0.05 > worse.p_mcnemar
    assert worse.verdict == "not told apart" and worse.more_folds and not same.more_folds
    told = verdicts_of(SCORES, RIGHT, "best", (900, 100))[0]
    assert told.verdict == "worse" and not told.more_folds


def test_the_conclusion_names_those_that_more_folds_may_tell_apart():
    class Made:
        best_, folds = "best", [None] * 3

        def row(self, name):
            return SimpleNamespace(pipeline=name, accuracy=0.95)

        def verdicts(self):
            scores = {"best": np.array([0.96, 0.95, 0.94]), "worse": np.array([0.90, 0.84, 0.93])}
            return verdicts_of(scores, RIGHT, "best", (667, 333))

    lines = conclusion_of(Made()).splitlines()
    assert lines[0].startswith("best: best, 95.00 %") and "t-test" in lines[1]
    assert lines[3].startswith("The fitted classifiers of worse do differ on these images")
