"""A search that is stopped and goes on gives what scikit-learn's gives, and repeats no fit."""

import errno
import json
import logging
import os
import pickle
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import loguniform, norm, randint, rv_histogram
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone, is_classifier
from sklearn.datasets import load_digits
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    KFold,
    RandomizedSearchCV,
    StratifiedKFold,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from visionpipe import HOG, as_images, load_faces
from visionpipe.search import FitRecord, ResumableSearch
from visionpipe.search.journaled import JournaledModel

DIGITS = load_digits()
X, Y = DIGITS.data[:240] / 16, DIGITS.target[:240] % 3
FACES = load_faces()


class Counted(ClassifierMixin, BaseEstimator):
    """Nearest mean, shrunken by `C`; notes each fit in a file, and fails for C=13."""

    def __init__(self, C=1.0, log=None, device="cpu", verbose=0, random_state=None):
        self.C, self.log, self.device, self.verbose = C, log, device, verbose
        self.random_state = random_state

    def fit(self, X, y, sample_weight=None):
        if self.log is not None:
            with open(self.log, "a") as file:
                file.write(f"{self.C} {len(X)}\n")
        if self.C == 13:
            raise RuntimeError("unlucky")
        X = np.asarray(X).reshape(len(X), -1)
        weights = np.ones(len(X)) if sample_weight is None else np.asarray(sample_weight)
        self.classes_, self.n_features_in_ = np.unique(y), X.shape[1]
        self.means_ = np.array(
            [np.average(X[y == c], axis=0, weights=weights[y == c]) for c in self.classes_]
        )
        self.means_ *= 1 - np.exp(-self.C * np.arange(1, 1 + len(self.classes_)))[:, None]
        return self

    def decision_function(self, X):
        X = np.asarray(X).reshape(len(X), -1)
        return -((X[:, None] - self.means_) ** 2).sum(axis=2)

    def predict(self, X):
        return self.classes_[self.decision_function(X).argmax(axis=1)]


class Unread(BaseEstimator, TransformerMixin):
    """Paths become rows of pixels."""

    def fit(self, X, y=None):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def transform(self, X):
        images = as_images(X)
        return np.array([images[i].ravel() for i in range(len(images))])


class MyDraws:
    def __init__(self, n):
        self.n = n

    def rvs(self, random_state):
        return random_state.uniform(1, self.n)


def two_scores(model, X, y):
    predicted = model.predict(X)
    return {"right": accuracy_score(y, predicted), "wrong": float((predicted != y).sum())}


def never(model, X, y):
    return np.nan if model[-1].C == 1 else -np.inf


@pytest.fixture
def log(tmp_path):
    return tmp_path / "fits.txt"


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "new" / "journal.jsonl"


def n_fits(log):
    """How many fits there were since the last call."""
    lines = log.read_text().splitlines() if log.exists() else []
    log.write_text("")
    return len(lines)


def model(log=None, **params):
    return make_pipeline(StandardScaler(), Counted(log=log, **params))


def grid(log=None, values=(0.01, 0.1, 1), *, base=None, **params):
    params = {"cv": 3, **params}
    return GridSearchCV(model(log, **(base or {})), {"counted__C": list(values)}, **params)


def n_lines(journal):
    return len(journal.read_text().splitlines())


def assert_same_results(left, right, times=False):
    assert list(left) == list(right)
    for name, values in left.items():
        if name == "params":
            assert repr(values) == repr(right[name])
            continue
        assert values.dtype == right[name].dtype and type(values) is type(right[name]), name
        if values.dtype == object:  # estimators are equal to themselves only
            assert repr(values) == repr(right[name])
        elif times or "_time" not in name:
            np.testing.assert_array_equal(values, right[name], err_msg=name)


def assert_same_search(resumable, plain, X=X):
    assert_same_results(resumable.cv_results_, plain.cv_results_)
    names = {name for name in vars(plain) if name.endswith("_")}
    assert {name for name in vars(resumable.search_) if name.endswith("_")} == names
    for name in names & {"best_score_", "best_index_", "n_splits_", "multimetric_"}:
        assert getattr(resumable, name) == getattr(plain, name)
    assert repr(getattr(resumable, "best_params_", 0)) == repr(getattr(plain, "best_params_", 0))
    assert repr(resumable.scorer_) == repr(plain.scorer_)
    assert type(resumable.scorer_) is type(plain.scorer_)
    if plain.refit:
        assert (resumable.predict(X) == plain.predict(X)).all()
        assert (resumable.decision_function(X) == plain.decision_function(X)).all()
        assert (resumable.classes_ == plain.classes_).all()
        assert resumable.n_features_in_ == plain.n_features_in_
        assert resumable.score(X, Y) == plain.score(X, Y)
        assert repr(resumable.best_estimator_) == repr(plain.best_estimator_)


LIST = {"counted__C": [0.01, 0.1, 1, 10]}
DRAWN = {"counted__C": loguniform(0.01, 10)}
SEARCHES = {
    "grid": (GridSearchCV, LIST, {}),
    "grid of grids": (GridSearchCV, [LIST, {"standardscaler__with_std": [True, False]}], {}),
    "estimators": (GridSearchCV, {"standardscaler": [StandardScaler(), "passthrough"]}, {}),
    "train scores": (GridSearchCV, LIST, {"return_train_score": True}),
    "metrics": (
        GridSearchCV,
        LIST,
        {
            "scoring": ["f1_macro", "accuracy"],
            "refit": "accuracy",
            "return_train_score": True,
        },
    ),
    "one metric by name": (GridSearchCV, LIST, {"scoring": ["accuracy"], "refit": "accuracy"}),
    "named metrics": (
        GridSearchCV,
        LIST,
        {"scoring": {"a": make_scorer(accuracy_score), "b": "f1_macro"}, "refit": False},
    ),
    "function": (GridSearchCV, LIST, {"scoring": two_scores, "refit": "right"}),
    "name": (GridSearchCV, LIST, {"scoring": "f1_macro", "refit": lambda results: 1}),
    "strange numbers": (GridSearchCV, LIST, {"scoring": never}),
    "random list": (RandomizedSearchCV, LIST, {"n_iter": 2, "random_state": 0}),
    "random": (RandomizedSearchCV, DRAWN, {"n_iter": 3, "random_state": 0}),
    "halving grid": (HalvingGridSearchCV, LIST, {"random_state": 0, "factor": 2}),
    "halving random": (HalvingRandomSearchCV, DRAWN, {"random_state": 0}),
    "halving a parameter": (
        HalvingGridSearchCV,
        {"counted__verbose": [0, 1, 2]},
        {"resource": "counted__C", "max_resources": 9, "factor": 2},
    ),
}


@pytest.mark.filterwarnings("ignore:One or more of the", "ignore:invalid value")
@pytest.mark.parametrize("name", SEARCHES)
def test_results_are_those_of_scikit_learn_and_no_fit_is_done_twice(name, log, journal):
    cls, candidates, params = SEARCHES[name]
    search = cls(model(log), candidates, **{"cv": 3, **params})
    plain = clone(search).fit(X, Y)
    wanted = n_fits(log)
    first = ResumableSearch(search, journal=journal).fit(X, Y)
    assert n_fits(log) == wanted
    assert_same_search(first, plain)
    second = ResumableSearch(clone(search), journal=journal).fit(X.copy(), Y.copy())
    assert n_fits(log) == bool(search.refit)
    assert_same_search(second, plain)
    assert_same_results(second.cv_results_, first.cv_results_, times=True)
    assert not hasattr(search, "cv_results_")


@pytest.mark.parametrize("name", ["metrics", "random", "halving grid"])
def test_processes_share_the_journal(name, log, journal):
    cls, candidates, params = SEARCHES[name]
    search = cls(model(log), candidates, **{"cv": 3, **params})
    plain = clone(search).fit(X, Y)
    n_fits(log)
    two = clone(search).set_params(n_jobs=2)
    assert_same_search(ResumableSearch(two, journal=journal).fit(X, Y), plain)
    assert n_fits(log) == n_lines(journal) + 1
    for again in (two, search):
        assert_same_search(ResumableSearch(again, journal=journal).fit(X, Y), plain)
        assert n_fits(log) == 1


def test_images_in_a_pipeline(journal):
    images, labels = FACES.images[::5], FACES.target[::5]
    search = GridSearchCV(make_pipeline(HOG(), SVC()), {"svc__C": [0.01, 1]}, cv=2)
    plain = clone(search).fit(images, labels)
    first = ResumableSearch(search, journal=journal).fit(images, labels)
    assert_same_results(first.cv_results_, plain.cv_results_)
    assert n_lines(journal) == 4
    other_device = clone(search).set_params(estimator__hog__device="cpu")
    second = ResumableSearch(other_device, journal=journal).fit(as_images(images), labels)
    assert_same_results(second.cv_results_, first.cv_results_, times=True)
    assert n_lines(journal) == 4


def test_times_are_those_of_the_journal(log, journal):
    ResumableSearch(grid(log), journal=journal).fit(X, Y)
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    for name in ("fit_time", "score_time"):
        times = np.reshape([entry[name] for entry in entries], (3, 3))
        again = ResumableSearch(grid(log), journal=journal).fit(X, Y).cv_results_
        np.testing.assert_array_equal(again[f"mean_{name}"], times.mean(axis=1))
        np.testing.assert_array_equal(again[f"std_{name}"], times.std(axis=1))
    assert entries[0]["parameters"] == {"counted__C": "0.01"}


SCRIPT = """
import json, sys, time
from pathlib import Path
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from visionpipe.search import ResumableSearch

class Slow(LogisticRegression):
    def fit(self, X, y):
        time.sleep(0.1)
        super().fit(X, y)
        with open("fits.txt", "a") as file:
            file.write(f"{self.C} {X.sum()!r}\\n")
        return self

def score(model, X, y):
    return model.score(X, y)

if __name__ == "__main__":
    X, y = load_digits(return_X_y=True)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), Slow()), {"slow__C": np.logspace(-3, 2, 8)}, cv=5,
        scoring=score, n_jobs=2,
    )
    found = ResumableSearch(search, journal=sys.argv[1]).fit(X[:300], y[:300])
    scores = {k: v.tolist() for k, v in found.cv_results_.items() if "test" in k}
    Path(sys.argv[2]).write_text(json.dumps(scores))
"""


def test_killed_and_started_again(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)

    def start(journal, result):
        command = [sys.executable, script, journal, result]
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
        return subprocess.Popen(command, cwd=tmp_path, env=environment, start_new_session=True)

    journal, fits = tmp_path / "journal.jsonl", tmp_path / "fits.txt"
    process = start(journal, tmp_path / "none.json")
    until = time.monotonic() + 60
    while not journal.exists() or n_lines(journal) < 5:
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    n_done, n_begun = n_lines(journal), n_fits(fits)
    assert 5 <= n_done <= n_begun < 40
    assert start(journal, tmp_path / "resumed.json").wait(60) == 0
    assert n_fits(fits) == 40 - n_done + 1
    digits = load_digits()
    whole = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression()),
        {"logisticregression__C": np.logspace(-3, 2, 8)},
        cv=5,
    ).fit(digits.data[:300], digits.target[:300])
    for name, values in json.loads((tmp_path / "resumed.json").read_text()).items():
        assert values == whole.cv_results_[name].tolist()


# ------------------------------------------------------------------------------- damaged journals


def test_a_cut_line_is_passed_over_and_the_next_begins_a_new_one(log, journal):
    first = ResumableSearch(grid(log), journal=journal).fit(X, Y)
    journal.write_bytes(journal.read_bytes()[:-20])
    n_fits(log)
    with pytest.warns(UserWarning, match="1 lines that are cut or damaged") as caught:
        again = ResumableSearch(grid(log), journal=journal).fit(X, Y)
    assert len(caught) == 1
    assert n_fits(log) == 1 + 1
    assert_same_results(again.cv_results_, first.cv_results_)
    lines = journal.read_text().splitlines()
    assert len(lines) == 10 and json.loads(lines[-1]) and journal.read_text().endswith("}\n")
    with pytest.warns(UserWarning, match="1 lines that are cut or damaged"):
        ResumableSearch(grid(log), journal=journal).fit(X, Y)
    assert n_fits(log) == 1


def test_a_last_line_without_an_end_is_good(log, journal):
    ResumableSearch(grid(log), journal=journal).fit(X, Y)
    journal.write_bytes(journal.read_bytes()[:-1])
    n_fits(log)
    ResumableSearch(grid(log), journal=journal).fit(X, Y)
    assert n_fits(log) == 1


@pytest.mark.parametrize("field", ["test", "unit", "fit_time", "search"])
def test_a_changed_line_is_not_believed(field, log, journal):
    first = ResumableSearch(grid(log), journal=journal).fit(X, Y)
    lines = journal.read_text().splitlines()
    value = json.loads(lines[4])[field]
    other = value + 0.001 if isinstance(value, float) else "0" * 8 + value[8:]
    lines[4] = lines[4].replace(json.dumps(value), json.dumps(other))
    journal.write_text("\n".join(["{}", "[1, 2]", "no json", "\xff", *lines]) + "\n")
    n_fits(log)
    with pytest.warns(UserWarning, match="5 lines"):
        again = ResumableSearch(grid(log), journal=journal).fit(X, Y)
    assert n_fits(log) == 1 + 1
    assert_same_results(again.cv_results_, first.cv_results_)


def test_a_full_disk_is_warned_of_once_and_the_result_is_right(log, journal, monkeypatch):
    def full(file, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    told = []
    monkeypatch.setattr(os, "write", full)
    with pytest.warns(UserWarning, match="No space left on device") as caught:
        search = ResumableSearch(grid(log), journal=journal, on_fit=lambda *args: told.append(args))
        search.fit(X, Y)
    assert len(caught) == 1 and told == []
    monkeypatch.undo()
    assert_same_search(search, grid(log).fit(X, Y))


def test_a_disk_that_fills_up_keeps_what_is_there(log, journal, monkeypatch):
    write, calls = os.write, []

    def half(file, content):
        calls.append(content)
        return write(file, content if len(calls) != 3 else content[:40])

    monkeypatch.setattr(os, "write", half)
    with pytest.warns(UserWarning, match="40 of .* bytes were written"):
        ResumableSearch(grid(log), journal=journal).fit(X, Y)
    n_fits(log)
    with pytest.warns(UserWarning, match="1 lines that are cut"):
        ResumableSearch(grid(log), journal=journal).fit(X, Y)
    assert n_fits(log) == 1 + 1


def test_a_journal_that_cannot_be_opened(log, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="cannot be written") as caught:
        search = ResumableSearch(grid(log), journal=tmp_path / "file" / "j.jsonl").fit(X, Y)
    assert len(caught) == 1
    assert_same_results(search.cv_results_, grid(log).fit(X, Y).cv_results_)


def test_a_directory_is_refused_before_any_fit(log, tmp_path):
    with pytest.raises(ValueError, match="is a directory; wanted a file: .*search.jsonl"):
        ResumableSearch(grid(log), journal=tmp_path).fit(X, Y)
    assert n_fits(log) == 0


# ---------------------------------------------------------------------- what makes another search


def changed(array, value):
    array = array.copy()
    array.ravel()[7] = value
    return array


def lambda_metric(factor):
    return lambda model, X, y: factor * model.score(X, y)


OTHERS = {
    "data": ({}, {"X": changed(X, 0.123)}),
    "label": ({}, {"y": changed(Y, (Y[7] + 1) % 3)}),
    "grid": ({"values": (0.01, 0.1, 1, 2)}, {}),
    "folds": ({"cv": StratifiedKFold(3, shuffle=True, random_state=0)}, {}),
    "error_score": ({"error_score": 0.0}, {}),
    "train scores": ({"return_train_score": True}, {}),
    "scoring": ({"scoring": "accuracy"}, {}),
    "base parameter": ({"base": {"random_state": 1}}, {}),
    "weights": ({}, {"counted__sample_weight": np.ones(len(X))}),
}


@pytest.mark.parametrize("what", OTHERS)
def test_another_search_uses_nothing(what, log, journal):
    params, data = OTHERS[what]
    ResumableSearch(grid(log), journal=journal).fit(X, Y)
    old = journal.read_text()
    n_fits(log)
    other = grid(log, **params)
    ResumableSearch(other, journal=journal).fit(**{"X": X, "y": Y, **data})
    assert n_fits(log) == len(other.param_grid["counted__C"]) * 3 + 1
    assert journal.read_text().startswith(old)
    ResumableSearch(grid(log), journal=journal).fit(X, Y)
    assert n_fits(log) == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda n: loguniform(1, n),
        lambda n: randint(1, n),
        lambda n: norm(n),
        lambda n: rv_histogram(np.histogram([1, n], bins=2)),
        MyDraws,
    ],
)
def test_distributions_are_told_apart_by_what_they_draw(make, log, journal):
    for n in (9, 10, 10):  # none draws 13
        np.random.random()  # noqa: NPY002  scipy's distributions refer to this generator
        search = RandomizedSearchCV(
            model(log), {"counted__C": make(n)}, n_iter=2, cv=3, random_state=0
        )
        ResumableSearch(clone(search), journal=journal).fit(X, Y)
    assert n_fits(log) == 7 + 7 + 1


def test_equal_parameters_count_as_equal_whether_they_are_one_object_or_two(log, journal):
    first, second = [1.5, 2], [1.5, 2]
    for pair in ([first, first], [first, second]):
        search = grid(log, base={"random_state": pair})
        ResumableSearch(search, journal=journal).fit(X, Y)
    assert n_fits(log) == 10 + 1


def test_frozen_models_are_told_apart_by_what_they_learned(log, journal):
    for n in (100, 200, 200):
        frozen = FrozenEstimator(StandardScaler().fit(X[:n]))
        search = GridSearchCV(make_pipeline(frozen, Counted(log=log)), {"counted__C": [1]}, cv=3)
        ResumableSearch(search, journal=journal).fit(X, Y)
    assert n_fits(log) == 4 + 4 + 1


def test_scorers_are_told_apart_by_what_they_do(log, journal):
    for factor in (1, 2):
        search = grid(log, scoring=lambda_metric(factor))
        found = ResumableSearch(search, journal=journal).fit(X, Y)
        assert n_fits(log) == 10 and (found.best_score_ > 1) == (factor == 2)
    ResumableSearch(grid(log, scoring=lambda_metric(2)), journal=journal).fit(X, Y)
    assert n_fits(log) == 1


@pytest.mark.parametrize("module", ["environment", "kernels"])
def test_other_code_uses_nothing(module, log, journal, monkeypatch):
    ResumableSearch(grid(log), journal=journal).fit(X, Y)
    n_fits(log)
    monkeypatch.setattr(f"visionpipe.{module}.versions", lambda: {"hog": 99})
    ResumableSearch(grid(log), journal=journal).fit(X, Y)
    assert n_fits(log) == 10 and n_lines(journal) == 18


def test_an_edited_module_uses_nothing(tmp_path, journal, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    source = tmp_path / "my_metric_of_a_search.py"
    source.write_text("def metric(model, X, y):\n    return 1.0\n")
    from my_metric_of_a_search import metric

    search = grid(scoring={"mine": metric}, refit="mine")
    for n_expected in (9, 9):
        ResumableSearch(search, journal=journal).fit(X, Y)
        assert n_lines(journal) == n_expected
    source.write_text("def metric(model, X, y):\n    return 2.0\n")
    ResumableSearch(search, journal=journal).fit(X, Y)
    assert n_lines(journal) == 18


def test_how_a_search_runs_does_not_count(log, journal):
    ResumableSearch(grid(log), journal=journal).fit(X, Y)
    n_fits(log)
    other = grid(log, n_jobs=2, pre_dispatch=1, refit=False, base={"device": "cuda", "verbose": 1})
    other.estimator.set_params(verbose=True, memory=str(log.parent / "cache"))
    ResumableSearch(other, journal=journal).fit(X, Y)
    assert n_fits(log) == 0


def test_candidates_that_differ_in_how_they_run_are_two(log, journal):
    search = GridSearchCV(model(log), {"counted__device": ["cpu", "cuda"]}, cv=3)
    ResumableSearch(search, journal=journal).fit(X, Y)
    assert n_fits(log) == 2 * 3 + 1


@pytest.mark.parametrize("order", [1, -1])
def test_folds_that_share_one_side_are_two(order, log, journal):
    one, others = np.arange(100), (np.arange(100, 150), np.arange(150, 240))
    search = grid(log, cv=[(one, other)[::order] for other in others])
    plain = clone(search).fit(X, Y)
    n_fits(log)
    assert_same_search(ResumableSearch(search, journal=journal).fit(X, Y), plain)
    assert n_lines(journal) == 6
    n_fits(log)
    assert_same_search(ResumableSearch(search, journal=journal).fit(X, Y), plain)
    assert n_fits(log) == 1


def test_a_fold_of_all_images_is_not_the_refit(log, journal):
    everything = np.arange(len(X))
    search = grid(log, cv=[(everything, everything)])
    for _ in range(2):
        found = ResumableSearch(search, journal=journal).fit(X, Y)
        check_is_fitted(found.best_estimator_)


def test_folds_from_a_generator(log, journal):
    def search():
        return grid(log, cv=KFold(3).split(X))

    first = ResumableSearch(search(), journal=journal).fit(X, Y)
    n_fits(log)
    second = ResumableSearch(search(), journal=journal).fit(X, Y)
    assert n_fits(log) == 1
    assert_same_results(first.cv_results_, second.cv_results_, times=True)


def test_files_count_by_their_content(tmp_path, log, journal):
    paths = [tmp_path / f"{i}.png" for i in range(30)]
    for path, pixels in zip(paths, X, strict=False):
        Image.fromarray((pixels.reshape(8, 8) * 255).astype(np.uint8)).save(path)
    search = GridSearchCV(make_pipeline(Unread(), Counted(log=log)), {"counted__C": [1, 2]}, cv=3)
    ResumableSearch(search, journal=journal).fit(paths, Y[:30])
    n_fits(log)
    moved = [path.rename(path.with_suffix(".moved.png")) for path in paths]
    ResumableSearch(search, journal=journal).fit(as_images(moved), Y[:30])
    assert n_fits(log) == 1
    Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save(moved[4])
    ResumableSearch(search, journal=journal).fit(moved, Y[:30])
    assert n_fits(log) == 7


def test_tables_are_taken(log, journal):
    table = pd.DataFrame(X, columns=[f"p{i}" for i in range(64)])
    search = GridSearchCV(make_pipeline(StandardScaler(), LogisticRegression()), {}, cv=3)
    plain = clone(search).fit(table, pd.Series(Y))
    for _ in range(2):
        found = ResumableSearch(search, journal=journal).fit(table, pd.Series(Y))
        assert n_lines(journal) == 3
        assert found.feature_names_in_.tolist() == plain.feature_names_in_.tolist()
        assert_same_results(found.cv_results_, plain.cv_results_)


def test_what_is_there_is_logged(log, journal, caplog):
    caplog.set_level(logging.INFO, logger="visionpipe.search")
    ResumableSearch(grid(log), journal=journal).fit(X, Y)
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join(lines[:5]) + "\n")
    caplog.clear()
    ResumableSearch(grid(log), journal=journal).fit(X, Y)
    assert f"journal {journal}: 5 of 9 fits are there" in caplog.messages
    caplog.clear()
    ResumableSearch(grid(log, values=[3]), journal=journal).fit(X, Y)
    assert f"journal {journal}: 9 lines of other searches" in caplog.messages
    assert f"journal {journal}: 0 of 3 fits are there" in caplog.messages


@pytest.mark.parametrize(
    "search",
    [
        RandomizedSearchCV(model(), LIST, n_iter=2, cv=3),
        grid(cv=KFold(3, shuffle=True)),
        HalvingGridSearchCV(model(), LIST, cv=3),
    ],
)
def test_chance_is_warned_of(search, journal):
    with pytest.warns(UserWarning, match="random_state=0 to resume") as caught:
        ResumableSearch(search, journal=journal).fit(X, Y)
    assert len(caught) == 1


def test_seeded_searches_are_not_warned_of(journal):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ResumableSearch(grid(cv=KFold(3)), journal=journal).fit(X, Y)


def test_what_cannot_be_recognised_is_refused(log, journal):
    search = grid(log, scoring=make_scorer(accuracy_score, normalize=(i for i in "ab")))
    with pytest.raises(ValueError, match="cannot be recognised later.*generator"):
        ResumableSearch(search, journal=journal).fit(X, Y)
    with pytest.raises(ValueError, match="wanted a search of scikit-learn such as GridSearchCV"):
        ResumableSearch(SVC(), journal=journal).fit(X, Y)
    assert n_fits(log) == 0


# ------------------------------------------------------------------------------ fits that fail


@pytest.mark.filterwarnings("ignore:One or more of the")
def test_fits_that_fail_are_tried_again(log, journal):
    search = grid(log, values=[1, 13])
    with pytest.warns(FitFailedWarning, match="3 fits failed out of a total of 6"):
        plain = clone(search).fit(X, Y)
    n_fits(log)
    for n_expected in (7, 4):
        with pytest.warns(FitFailedWarning, match="3 fits failed out of a total of 6"):
            found = ResumableSearch(search, journal=journal).fit(X, Y)
        assert_same_search(found, plain)
        assert n_fits(log) == n_expected and n_lines(journal) == 3


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("scoring", [["accuracy", "f1_macro"], two_scores])
def test_fits_that_fail_with_several_metrics(scoring, journal):
    search = grid(values=[13, 1], scoring=scoring, refit=False, return_train_score=True)
    plain = clone(search).fit(X, Y)
    for _ in range(2):
        found = ResumableSearch(search, journal=journal).fit(X, Y)
        assert_same_search(found, plain)


def failing_metric(model, X, y):
    raise RuntimeError("no score")


@pytest.mark.filterwarnings("ignore:One or more of the")
@pytest.mark.parametrize("scoring", [{"a": failing_metric, "b": "accuracy"}, failing_metric])
def test_scores_that_fail_are_tried_again(scoring, log, journal):
    search = grid(log, values=[1], scoring=scoring, refit=False, return_train_score=True)
    for _ in range(2):
        with pytest.warns(UserWarning, match="Scoring failed"):
            found = ResumableSearch(search, journal=journal).fit(X, Y)
        assert n_fits(log) == 3 and n_lines(journal) == 0
        name = "a" if isinstance(scoring, dict) else "score"
        assert np.isnan(found.cv_results_[f"mean_test_{name}"]).all()


@pytest.mark.parametrize("score", ["0.5", {"a": "0.5"}])
def test_scores_that_are_no_numbers_are_refused_each_time(score, journal):
    search = grid(scoring=lambda model, X, y: score, refit=False)
    for _ in range(2):
        with pytest.raises(ValueError, match="scoring must return a number, got 0.5"):
            ResumableSearch(search, journal=journal).fit(X, Y)
        assert n_lines(journal) == 0


def test_error_score_raise_raises_and_keeps_what_is_done(log, journal):
    search = grid(log, values=[1, 13], error_score="raise")
    for n_expected in (4, 1):
        with pytest.raises(RuntimeError, match="unlucky"):
            ResumableSearch(search, journal=journal).fit(X, Y)
        assert n_fits(log) == n_expected and n_lines(journal) == 3


def test_a_wrong_refit_is_refused_before_any_fit(log, journal):
    search = grid(log, scoring=["accuracy", "f1_macro"], refit=True)
    with pytest.raises(ValueError, match="refit must be set to a scorer key"):
        ResumableSearch(search, journal=journal).fit(X, Y)
    assert n_fits(log) == 0


# ---------------------------------------------------------------------------------- on_fit


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_on_fit_is_called_for_each_unit(n_jobs, log, journal):
    calls = []

    def on_fit(*args):
        calls.append((os.getpid(), *args))

    search = grid(log, n_jobs=n_jobs, return_train_score=True)
    found = ResumableSearch(search, journal=journal, on_fit=on_fit).fit(X, Y)
    assert [call[:3] for call in calls] == [(os.getpid(), i, 9) for i in range(1, 10)]
    for _, _, _, record in calls:
        assert isinstance(record, FitRecord) and not record.resumed
        row = found.cv_results_["params"].index(record.parameters)
        for name in ("test_score", "train_score"):
            assert record.scores[name] == found.cv_results_[f"split{record.fold}_{name}"][row]
        assert record.fit_time > 0 and record.score_time > 0
    assert len({(str(call[3].parameters), call[3].fold) for call in calls}) == 9
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join(lines[:4]) + "\n")
    calls.clear()
    ResumableSearch(search, journal=journal, on_fit=on_fit).fit(X, Y)
    assert [call[3].resumed for call in calls] == [True] * 4 + [False] * 5


def test_on_fit_of_halving_does_not_know_the_total(journal):
    calls = []
    search = HalvingGridSearchCV(model(), LIST, cv=3, random_state=0, scoring="accuracy")
    for _ in range(2):
        calls.clear()
        found = ResumableSearch(search, journal=journal, on_fit=lambda *args: calls.append(args))
        found.fit(X, Y)
        assert len(calls) == len(found.cv_results_["params"]) * 3
        assert {total for _, total, _ in calls} == {None}


def test_on_fit_hears_of_several_metrics(journal):
    calls = []
    search = grid(scoring=two_scores, refit="right")
    ResumableSearch(search, journal=journal, on_fit=lambda *args: calls.append(args)).fit(X, Y)
    assert calls[0][2].scores.keys() == {"test_right", "test_wrong"}


def test_on_fit_is_told_while_the_search_runs(log, journal, monkeypatch):
    monkeypatch.setattr("visionpipe.search.journal.SECONDS_BETWEEN_LOOKS", 0.01)
    during = []

    def on_fit(n_done, n_total, record):
        during.append(len(log.read_text().splitlines()))

    class Slow(Counted):
        def fit(self, X, y):
            time.sleep(0.1)
            return super().fit(X, y)

    search = GridSearchCV(Slow(log=log), {"C": [1, 2]}, cv=2)
    ResumableSearch(search, journal=journal, on_fit=on_fit).fit(X, Y)
    assert during[0] < 5 and len(during) == 4


def test_on_fit_that_raises_does_not_end_the_search(log, journal):
    with pytest.warns(UserWarning, match="on_fit raised ZeroDivisionError"):
        ResumableSearch(grid(log), journal=journal, on_fit=lambda *args: 1 / 0).fit(X, Y)
    assert n_fits(log) == 10


def test_no_thread_is_left(log, journal):
    import threading

    n_before = threading.active_count()
    with pytest.raises(RuntimeError):
        ResumableSearch(
            grid(log, values=[13], error_score="raise"), journal=journal, on_fit=print
        ).fit(X, Y)
    assert threading.active_count() <= n_before  # those of earlier pools may end meanwhile


# ------------------------------------------------------------------------------ as an estimator


def test_it_is_an_estimator_of_scikit_learn(journal):
    search = ResumableSearch(grid(), journal=journal)
    assert search.get_params()["search__estimator__counted__C"] == 1.0
    copy = clone(search).set_params(search__estimator__counted__C=5)
    assert copy.search.estimator[-1].C == 5 and search.search.estimator[-1].C == 1
    assert repr(search).startswith("ResumableSearch(")
    assert is_classifier(search) and get_tags(search) == get_tags(search.search)
    with pytest.raises(NotFittedError):
        check_is_fitted(search)
    with pytest.raises(NotFittedError):
        search.predict(X)
    assert hasattr(search, "predict") and not hasattr(search, "transform")
    assert not hasattr(search, "classes_") and not hasattr(search, "cv_results_")
    assert not hasattr(search, "predict_proba") and not hasattr(search, "nonsense")
    assert search.fit(X, Y) is search
    check_is_fitted(search)
    assert hasattr(search, "classes_") and not hasattr(search, "transform")
    assert hasattr(ResumableSearch(GridSearchCV(SVC(probability=True), {}), journal=""), "predict")
    refitless = clone(search).set_params(search__refit=False).fit(X, Y)
    assert not hasattr(refitless, "predict") and hasattr(refitless, "best_params_")


def test_what_is_fitted_has_no_tie_to_the_journal(journal):
    scoring = {"a": "accuracy", "f": make_scorer(accuracy_score)}
    for params in ({}, {"scoring": scoring, "refit": "a"}, {"scoring": "accuracy"}):
        search = ResumableSearch(grid(**params), journal=journal).fit(X, Y)
        assert type(search.search_) is GridSearchCV
        assert search.search_.estimator is search.search.estimator
        content = pickle.dumps(search.search_)
        assert b"Journal" not in content and b"visionpipe.search" not in content
        assert str(journal).encode() not in content
        again = pickle.loads(pickle.dumps(search))
        journal.unlink()
        assert (again.predict(X) == search.predict(X)).all()
        assert again.cv_results_.keys() == search.cv_results_.keys()
        assert search.search_.cv == 3 and search.search_.scoring == params.get("scoring")


def test_the_stand_in_looks_like_its_estimator(journal):
    stand_in = JournaledModel(model(), None, {"test"})
    assert is_classifier(stand_in) and stand_in.get_params().keys() == model().get_params().keys()
    assert not hasattr(stand_in, "nonsense") and hasattr(stand_in, "decision_function")
    assert clone(stand_in).estimator is not stand_in.estimator
    assert isinstance(pickle.loads(pickle.dumps(stand_in)), JournaledModel)


def test_a_search_that_was_fitted_before_is_taken(journal):
    search = grid().fit(X, Y).set_params(refit=False)
    again = ResumableSearch(search, journal=journal).fit(X, Y)
    assert_same_results(again.cv_results_, search.cv_results_)


def test_groups_and_weights_reach_their_places(log, journal):
    groups, weights = np.arange(len(X)) // 24, np.linspace(0.1, 3, len(X))
    search = GridSearchCV(Counted(log=log), {"C": [0.1, 1]}, cv=GroupKFold(3), scoring="accuracy")
    plain = clone(search).fit(X, Y, groups=groups, sample_weight=weights)
    n_fits(log)
    for n_expected in (7, 1):
        found = ResumableSearch(search, journal=journal)
        found.fit(X, Y, groups=groups, sample_weight=weights)
        assert_same_search(found, plain)
        assert n_fits(log) == n_expected
    ResumableSearch(search, journal=journal).fit(X, Y, groups=groups[::-1], sample_weight=weights)
    assert n_fits(log) == 7


def test_routed_metadata(log, journal):
    weights, groups = np.linspace(0.1, 3, len(X)), np.arange(len(X)) // 24
    with config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            Counted(log=log).set_fit_request(sample_weight=True),
            {"C": [0.1, 1]},
            cv=GroupKFold(3),
            scoring=make_scorer(accuracy_score).set_score_request(sample_weight=True),
        )
        plain = clone(search).fit(X, Y, groups=groups, sample_weight=weights)
        n_fits(log)
        for n_expected in (7, 1):
            found = ResumableSearch(search, journal=journal)
            found.fit(X, Y, groups=groups, sample_weight=weights)
            assert_same_results(found.cv_results_, plain.cv_results_)
            assert n_fits(log) == n_expected
