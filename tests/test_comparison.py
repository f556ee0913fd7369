"""Identical folds for every pipeline, and failures that stay in their row."""

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from visionpipe import HOG, Pixels, compare, comparison, load_faces
from visionpipe.comparison import Comparison, compare_rows, make_folds

FACES = load_faces()
X, Y = FACES.images, FACES.target_names[FACES.target]


class Recorder(ClassifierMixin, BaseEstimator):
    """Remembers which images it saw, by their mean."""

    seen = []  # noqa: RUF012

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.seen.append([float(X[i].mean()) for i in range(len(X))])
        return self

    def predict(self, X):
        return np.repeat(self.classes_[:1], len(X))


class Failing(Recorder):
    def predict(self, X):
        raise RuntimeError("out of\nluck")


def test_scores_are_those_of_scikit_learn():
    model = make_pipeline(HOG(), SVC())
    rows = compare({"hog": model}, X, Y, cv=4, random_state=3)
    expected = cross_val_score(model, X, Y, cv=make_folds(X, Y, cv=4, random_state=3))
    assert isinstance(rows, Comparison)
    assert rows[0].accuracy == pytest.approx(expected.mean(), abs=1e-12)
    assert rows[0].accuracy_sd == pytest.approx(expected.std(ddof=1), abs=1e-12)
    assert rows[0].fit_seconds > 0 and rows[0].predict_ms_per_image > 0
    assert rows[0].model_bytes > 10_000 and rows[0].error is None
    assert not hasattr(model[-1], "support_")  # pipelines are cloned


def test_all_pipelines_see_the_same_folds():
    Recorder.seen.clear()
    compare({"a": Recorder(), "b": Recorder()}, X, Y, cv=3)
    assert len(Recorder.seen) == 6
    assert Recorder.seen[:3] == Recorder.seen[3:]


def test_folds_are_stratified_and_seeded():
    folds = make_folds(X, Y, cv=5, random_state=0)
    assert sorted(np.concatenate([test for _, test in folds])) == list(range(200))
    for _, test in folds:
        assert np.unique(Y[test], return_counts=True)[1].tolist() == [20, 20]
    again = make_folds(X, Y, cv=5, random_state=0)
    other = make_folds(X, Y, cv=5, random_state=1)
    assert all((a[1] == b[1]).all() for a, b in zip(folds, again, strict=True))
    assert not all((a[1] == b[1]).all() for a, b in zip(folds, other, strict=True))


def test_groups_stay_together():
    groups = np.arange(200) // 10
    for train, test in make_folds(X, Y, cv=5, groups=groups):
        assert not set(groups[train]) & set(groups[test])


def test_splitters_are_taken_as_they_are():
    folds = make_folds(X, Y, cv=KFold(2))
    assert folds[0][1].tolist() == list(range(100))


def test_a_pipeline_that_fails_is_a_row_that_says_why():
    pipelines = {"bad": Failing(), "good": DummyClassifier(), "missing": make_pipeline(Pixels())}
    rows = compare(pipelines, X, Y, cv=2)
    assert [row.pipeline for row in rows] == ["bad", "good", "missing"]
    assert rows[0].error == "RuntimeError: out of luck" and rows[0].accuracy is None
    assert rows[1].error is None and rows[1].accuracy == 0.5
    assert "predict" in rows[2].error
    table = str(rows).splitlines()
    assert len(table) == 5 and "failed: RuntimeError: out of luck" in table[2]
    assert "50.00 ± 0.00" in table[3]


def test_rows_come_one_by_one_and_folds_are_told():
    told = []

    def on_fold(name, fold, accuracy, seconds):
        told.append((name, fold, accuracy))
        assert seconds >= 0

    models = {"a": DummyClassifier(), "bad": Failing()}
    rows = compare_rows(models, X, Y, make_folds(X, Y, cv=2), on_fold=on_fold)
    assert next(rows).pipeline == "a" and told == [("a", 0, 0.5), ("a", 1, 0.5)]
    assert next(rows).error and told[2:] == [("bad", 0, None), ("bad", 1, None)]


def test_processes_give_the_same_rows():
    model = {"hog": make_pipeline(HOG(), SVC())}
    one, two = (compare(model, X, Y, cv=3, n_jobs=n_jobs)[0] for n_jobs in (1, 2))
    assert (one.accuracy, one.accuracy_sd) == (two.accuracy, two.accuracy_sd)
    # pickle writes a string once if it is one object, which differs between processes
    assert one.model_bytes == pytest.approx(two.model_bytes, rel=0.01)


@pytest.mark.parametrize(
    ("y", "cv", "groups", "message"),
    [
        (Y[:-1], 5, None, "200 images and 199 labels"),
        (Y, 1, None, "cv=1: wanted at least 2 folds"),
        (["one"] * 200, 5, None, "all images are of one class, one"),
        (
            ["rare"] * 3 + ["often"] * 197,
            5,
            None,
            "class rare has 3 images, fewer than the 5.*cv=3",
        ),
        (["rare"] + ["often"] * 199, 5, None, "class rare has 1 images, .*leave the class out"),
        (Y, 5, np.arange(200) // 50, "class face has 2 groups of images, fewer than the 5 folds"),
    ],
)
def test_impossible_folds_are_refused(y, cv, groups, message):
    with pytest.raises(ValueError, match=message):
        compare({"a": DummyClassifier()}, X, y, cv=cv, groups=groups)


# ------------------------------------------------------------------------- parts, fewer images

PARTS = np.repeat(["train", "validation", "test", "train"], 50)  # of 100 faces, then 100 others


def test_parts_are_the_one_fold_and_test_is_left_for_the_end():
    ((train, held_out),) = make_folds(X, Y, parts=PARTS)
    assert train.tolist() == [*range(50), *range(150, 200)]
    assert held_out.tolist() == list(range(50, 100))
    no_validation = np.where(PARTS == "validation", "test", PARTS)
    ((train, held_out),) = make_folds(X, Y, parts=no_validation.tolist())
    assert len(train) == 100 and held_out.tolist() == list(range(50, 150))
    row = compare({"a": DummyClassifier()}, X, Y, parts=PARTS)[0]
    assert row.accuracy == 1.0 and row.accuracy_sd is None  # 50 faces, and faces come first
    assert "100.00 " in str(Comparison([row])) and "±" not in str(Comparison([row]))


def test_folds_of_data_with_parts_lie_within_the_training_part():
    groups = np.arange(200) // 5
    for more in ({}, {"groups": groups}):
        folds = make_folds(X, Y, cv=2, parts=PARTS, **more)
        assert len(folds) == 2
        for train, test in folds:
            assert sorted([*train, *test]) == [*range(50), *range(150, 200)]
            assert set(Y[test]) == {"face", "other"}
            if more:
                assert not set(groups[train]) & set(groups[test])


@pytest.mark.parametrize(
    ("parts", "cv", "message"),
    [
        (["train"] * 200, None, "all images are of the part train; wanted validation or test too"),
        (["test"] * 200, None, "all images are of the part test; wanted train too"),
        (["test"] * 200, 2, "all images are of the part test; wanted train too"),
        (["validation"] * 100 + ["test"] * 100, None, "the part test and validation; wanted train"),
        (PARTS[:-1], None, r"there are 200 images and parts of shape \(199,\)"),
        (["train"] * 100 + ["tset"] * 100, None, "there is a part tset; wanted train, valid"),
        (["train"] * 100 + ["test"] * 100, None, "the part train has no images of other, which"),
    ],
)
def test_parts_to_learn_from_and_to_test_on_are_wanted(parts, cv, message):
    with pytest.raises(ValueError, match=message):
        make_folds(X, Y, parts=parts, cv=cv)


def test_fewer_images_to_learn_from_are_drawn_by_class_and_seeded():
    y = np.array(["often"] * 150 + ["seldom"] * 45 + ["rare"] * 5)
    folds = make_folds(X, y, cv=5, n_train=40)
    for (train, test), (everything, same_test) in zip(folds, make_folds(X, y, cv=5), strict=True):
        assert test.tolist() == same_test.tolist() and set(train) <= set(everything)
        assert [int((y[train] == c).sum()) for c in ("often", "seldom", "rare")] == [30, 9, 1]
    again, other = (make_folds(X, y, cv=5, n_train=40, random_state=s)[0][0] for s in (0, 1))
    assert folds[0][0].tolist() == again.tolist() != other.tolist()
    smallest = make_folds(X, y, cv=5, n_train=3)[0][0]
    assert sorted(y[smallest]) == ["often", "rare", "seldom"]
    assert len(make_folds(X, y, cv=5, n_train=160)[0][0]) == 160


@pytest.mark.parametrize("n_train", [0, 1, 161])
def test_numbers_of_images_that_cannot_be_drawn_are_refused(n_train):
    with pytest.raises(ValueError, match=f"n_train={n_train}: there are 160 images of 2 classes"):
        make_folds(X, Y, cv=5, n_train=n_train)


def test_lists_serve_as_arrays_do_and_what_is_drawn_ascends():
    groups = np.arange(200) // 5
    options = {"cv": 2, "n_train": 20}
    arrays = make_folds(X, Y, parts=PARTS, groups=groups, **options)
    lists = make_folds(X, list(Y), parts=PARTS.tolist(), groups=groups.tolist(), **options)
    for one, two in zip(arrays, lists, strict=True):
        assert one[0].tolist() == two[0].tolist() and one[1].tolist() == two[1].tolist()
        assert (np.diff(one[0]) > 0).all() and len(one[0]) == 20


def test_times_are_of_one_fit_and_of_one_image(monkeypatch):
    now = 0.0

    class Slow(Recorder):
        def fit(self, X, y):
            nonlocal now
            now += 2
            return super().fit(X, y)

        def predict(self, X):
            nonlocal now
            now += 0.5 * len(X)
            return super().predict(X)

    monkeypatch.setattr(comparison, "time", SimpleNamespace(perf_counter=lambda: now))
    monkeypatch.setattr(comparison, "_dumped_bytes", lambda model: 1)  # a local class has no name
    told, folds = [], make_folds(X, Y, cv=4)

    def on_fold(name, fold, accuracy, seconds):
        told.append(seconds)

    (row,) = compare_rows({"slow": Slow()}, X, Y, folds, n_jobs=1, on_fold=on_fold)
    assert row.fit_seconds == 2 and row.predict_ms_per_image == 500
    assert told == [2 + 0.5 * 50] * 4
