"""Identical folds for every pipeline, and failures that stay in their row."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score, log_loss
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

import pipelines
from visionpipe import (
    HOG,
    BagOfVisualWords,
    Comparison,
    FeatureStore,
    Pixels,
    RootSIFT,
    Unflatten,
    compare,
    load_digits_images,
    load_faces,
)
from visionpipe.comparison import fold_run, make_folds, running
from visionpipe.comparison.rows import table_header, table_row

FACES = load_faces()
X, Y = FACES.images, FACES.target_names[FACES.target]
LOGISTIC = make_pipeline(Pixels(), LogisticRegression())
PARTS = np.repeat(["train", "validation", "test", "train"], 50)  # of 100 faces, then 100 others


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


class FailingOnce(Recorder):
    """Fails on the second of the folds, which it knows by their size."""

    def __init__(self, n_train):
        self.n_train = n_train

    def fit(self, X, y):
        if len(X) == self.n_train:
            raise RuntimeError("out of luck")
        return super().fit(X, y)


class Guessing(Recorder):
    """Gives probabilities, some of which are NaN."""

    def predict_proba(self, X):
        probabilities = np.full((len(X), len(self.classes_)), 1 / len(self.classes_))
        probabilities[0] = np.nan
        return probabilities


def unequal_folds():
    order = np.random.default_rng(0).permutation(200)
    return [(order[n:], order[:n]) for n in (40, 50, 60)]


# ------------------------------------------------------------------------------------- the folds


def test_scores_are_those_of_scikit_learn():
    model = make_pipeline(HOG(), SVC())
    comparison = compare({"hog": model}, X, Y, cv=4, random_state=3)
    expected = cross_val_score(model, X, Y, cv=make_folds(X, Y, cv=4, random_state=3))
    (row,) = comparison.rows
    assert comparison.fold_scores("hog") == pytest.approx(expected, abs=1e-12)
    assert row.accuracy == pytest.approx(expected.mean(), abs=1e-12)
    assert row.accuracy_sd == pytest.approx(expected.std(ddof=1), abs=1e-12)
    assert row.fit_seconds > 0 and row.predict_ms_batch_1 > row.predict_ms_batch_256 > 0
    assert row.model_bytes > 10_000 and row.error is None
    assert row.peak_bytes is None or 0 <= row.peak_bytes < 2**30
    assert not hasattr(model[-1], "support_")  # pipelines are cloned


def test_all_pipelines_see_the_same_folds_and_so_does_one_that_comes_later():
    Recorder.seen.clear()
    comparison = compare({"a": Recorder(), "b": Recorder()}, X, Y, cv=3)
    assert len(Recorder.seen) == 6
    assert comparison.add({"c": Recorder()}) is comparison
    assert Recorder.seen[:3] == Recorder.seen[3:6] == Recorder.seen[6:]
    assert [*comparison.results] == ["a", "b", "c"]
    with pytest.raises(ValueError, match="there is a pipeline 'b' already; give it another name"):
        comparison.add({"d": Recorder(), "b": Recorder()})
    assert [*comparison.results] == ["a", "b", "c"]


def test_predictions_are_of_the_first_time_an_image_was_held_out():
    folds = make_folds(X, Y, cv=4, n_repeats=2)
    comparison = compare({"logistic": LOGISTIC}, X, Y, cv=folds)
    expected = cross_val_predict(
        LOGISTIC, X, Y, cv=StratifiedKFold(4, shuffle=True, random_state=0)
    )
    rows, answers = comparison.answers("logistic")
    assert rows.tolist() == list(range(200)) and len(comparison.fold_scores("logistic")) == 8
    assert comparison.classes[answers.predicted].tolist() == expected.tolist()
    wrong = np.flatnonzero(expected != Y)
    assert len(wrong) and comparison.mistakes("logistic").tolist() == wrong.tolist()
    assert (comparison.confusion("logistic") == confusion_matrix(Y, expected)).all()
    comparison.add({"first": DummyClassifier()})  # says face, always
    alone = np.flatnonzero((expected == Y) & (Y == "other"))
    assert comparison.right_alone("logistic").tolist() == alone.tolist()


def test_measures_are_means_over_folds_of_those_of_scikit_learn():
    digits = load_digits_images()
    images, y = digits.images[:300], digits.target[:300]
    folds = make_folds(images, y, cv=3)
    row = compare({"logistic": LOGISTIC}, images, y, cv=folds).rows[0]
    wanted = {"balanced_accuracy": [], "f1_macro": [], "log_loss": []}
    for train, test in folds:
        model = LOGISTIC.fit(images[train], y[train])
        predicted = model.predict(images[test])
        wanted["balanced_accuracy"].append(balanced_accuracy_score(y[test], predicted))
        wanted["f1_macro"].append(f1_score(y[test], predicted, average="macro"))
        wanted["log_loss"].append(log_loss(y[test], model.predict_proba(images[test])))
    for name, values in wanted.items():
        assert getattr(row, name) == pytest.approx(np.mean(values), rel=1e-5)
    assert 0.95 < row.top_5_accuracy <= 1 and 0 < row.calibration_error < 0.3
    assert row.notes == ""


def test_parts_are_a_lone_fold():
    comparison = compare({"a": DummyClassifier()}, X, Y, parts=PARTS)
    (row,) = comparison.rows
    assert row.accuracy == 1.0 and row.accuracy_sd is None  # 50 faces, and faces come first
    assert "100.00 " in str(comparison) and "±" not in str(comparison)
    assert comparison.mistakes("a").tolist() == []


def test_times_are_of_the_first_fold(monkeypatch):
    told = []

    def run_fold(job, fold, train, test):
        outcome = fold_run.run_fold(job, fold, train, test)
        return replace(outcome, fit_seconds=3.0 + fold, predict_seconds=1.0)

    monkeypatch.setattr(running, "run_fold", run_fold)
    comparison = Comparison(X, Y, make_folds(X, Y, cv=3))
    list(comparison.run({"a": DummyClassifier()}, on_fold=lambda *fold: told.append(fold)))
    assert comparison.rows[0].fit_seconds == 3
    assert [(name, fold, seconds) for name, fold, _, seconds in told] == [
        ("a", 0, 4), ("a", 1, 5), ("a", 2, 6),
    ]  # fmt: skip


def test_features_are_kept_for_all_folds_but_the_first(tmp_path, monkeypatch):
    monkeypatch.setenv("VISIONPIPE_STORE", str(tmp_path / "store.sqlite"))
    model = make_pipeline(RootSIFT(), BagOfVisualWords(5, random_state=0), SVC())
    lone = compare({"sift": model}, X, Y, cv=make_folds(X, Y, cv=2)[:1])
    assert lone.rows[0].error is None and not (tmp_path / "store.sqlite").exists()
    compare({"sift": model}, X, Y, cv=2)
    assert len(FeatureStore(tmp_path / "store.sqlite")) >= 200 and model[0].store is None
    named = make_pipeline(HOG(store=str(tmp_path / "own.sqlite")), Pixels(), SVC())
    kept = fold_run.keeping_features(named)
    assert kept[0].store == str(tmp_path / "own.sqlite") and kept[1].store == "auto"


def test_processes_give_the_same_rows():
    model = {"hog": make_pipeline(HOG(), SVC())}
    one, two = (compare(model, X, Y, cv=3, n_jobs=n_jobs).rows[0] for n_jobs in (1, 2))
    assert (one.accuracy, one.accuracy_sd) == (two.accuracy, two.accuracy_sd)
    # pickle writes a string once if it is one object, which differs between processes
    assert one.model_bytes == pytest.approx(two.model_bytes, rel=0.01)


def test_rows_come_one_by_one_and_folds_are_told():
    told = []

    def on_fold(name, fold, accuracy, seconds):
        told.append((name, fold, accuracy))
        assert seconds >= 0

    models = {"a": DummyClassifier(), "bad": Failing()}
    rows = Comparison(X, Y, make_folds(X, Y, cv=2)).run(models, on_fold=on_fold)
    assert next(rows).pipeline == "a" and told == [("a", 0, 0.5), ("a", 1, 0.5)]
    assert next(rows).error and told[2:] == [("bad", 0, None), ("bad", 1, None)]


def test_flat_rows_and_modules_of_pipelines_serve_too():
    flat = np.stack([X[i].ravel() for i in range(200)])
    model = make_pipeline(Unflatten((25, 25)), HOG(), SVC())
    comparison = compare({"flat": model, "ready": make_pipeline(SVC())}, flat, Y, cv=2)
    assert comparison.images is None and [row.error for row in comparison.rows] == [None, None]
    images = compare({"hog": pipelines.get("pixels_svm")}, X, Y, cv=2)
    assert images.rows[0].accuracy > 0.8 and "Resize" in images.results["hog"].description


def test_seeds_are_drawn_anew_for_every_fold_but_the_first():
    class Seeded(Recorder):
        used = []  # noqa: RUF012

        def __init__(self, random_state=None):
            self.random_state = random_state

        def fit(self, X, y):
            self.used.append(self.random_state)
            return super().fit(X, y)

        def __reduce__(self):
            return Seeded, (self.random_state,)

    models = {
        "seven": make_pipeline(Seeded(7)),
        "again": Seeded(7),
        "eight": Seeded(8),
        "none": Seeded(),
    }
    Comparison(X, Y, make_folds(X, Y, cv=3)).add(models)
    seven, again, eight, none = (Seeded.used[i : i + 3] for i in range(0, 12, 3))
    assert seven[0] == 7 and len({*seven, *eight}) == 6 and seven == again
    assert none == [None] * 3 and all(0 <= seed < 2**31 for seed in seven)
    assert models["again"].random_state == 7


# --------------------------------------------------------------------------------------- failures


def test_a_pipeline_that_fails_is_a_row_that_says_why():
    models = {"bad": Failing(), "good": DummyClassifier(), "missing": make_pipeline(Pixels())}
    comparison = compare(models, X, Y, cv=2)
    bad, good, missing = comparison.rows
    assert bad.error == "RuntimeError: out of luck" and bad.accuracy is None
    assert good.error is None and good.accuracy == 0.5
    assert "predict" in missing.error and comparison.best_ == "good"
    table = str(comparison).splitlines()
    assert "failed: RuntimeError: out of luck" in table[2] and "50.00 ± 0.00" in table[3]
    assert comparison.verdicts() == []
    with pytest.raises(ValueError, match="bad failed on all folds: RuntimeError: out of luck"):
        comparison.answers("bad")


def test_a_pipeline_that_fails_on_one_fold_keeps_the_others():
    models = {"once": FailingOnce(n_train=150), "dummy": DummyClassifier()}
    comparison = compare(models, X, Y, cv=unequal_folds())
    once, dummy = comparison.rows
    assert once.error == "in fold 1 of 3: RuntimeError: out of luck"
    scores = comparison.fold_scores("once")
    assert np.isnan(scores).tolist() == [False, True, False]
    assert once.accuracy == pytest.approx(np.nanmean(scores)) and once.balanced_accuracy is None
    assert dummy.error is None and comparison.best_ == "dummy" and comparison.verdicts() == []
    lines = table_row(once).splitlines()
    assert len(lines) == 2 and "failed: in fold 1 of 3" in lines[1]
    with pytest.raises(ValueError, match="'once' has no accuracy on every fold; there are"):
        comparison.verdicts("once")


def test_all_may_fail():
    comparison = compare({"bad": Failing()}, X, Y, cv=2)
    assert len(str(comparison).splitlines()) == 3
    with pytest.raises(ValueError, match="no pipeline has been through all folds"):
        comparison.best_  # noqa: B018
    assert comparison.to_dicts()[0]["error"] == "RuntimeError: out of luck"


OF_PAIRS = make_pipeline(Pixels(), SVC(decision_function_shape="ovo"))


@pytest.mark.parametrize(
    ("model", "note"),
    [
        (make_pipeline(Pixels(), SVC()), "no log loss and calibration error: SVC gives no"),
        (Recorder(), "no top-5 accuracy, log loss and calibration error: Recorder gives no scores"),
        (Guessing(), "error: scores of Guessing are NaN or infinite"),
        (OF_PAIRS, "SVC gives no scores of classes"),
    ],
)
def test_what_a_classifier_does_not_say_is_noted_and_the_rest_stands(model, note):
    digits = load_digits_images()
    row = compare({"a": model}, digits.images[:200], digits.target[:200], cv=2).rows[0]
    assert note in row.notes and row.error is None
    assert row.log_loss is None and row.calibration_error is None
    assert row.accuracy is not None and row.f1_macro is not None
    assert (row.top_5_accuracy is not None) == ("top-5" not in row.notes)


def test_a_class_that_a_fold_lacks_is_told_and_counts_as_not_known():
    digits = load_digits_images()
    order = np.argsort(digits.target[:300], kind="stable")
    images, y = digits.images[:300][order], digits.target[:300][order]
    with pytest.warns(UserWarning, match="fold 0 has no images of 0, 1, 2 to learn from"):
        comparison = compare({"logistic": LOGISTIC}, images, y, cv=KFold(3))
    (row,) = comparison.rows
    assert row.error is None and row.accuracy < 0.2
    assert row.log_loss > 10 and row.top_5_accuracy < 0.5
    assert any("to test on" in text for text in comparison.warnings)


def test_labels_that_are_no_classes_are_wrong():
    class Inventing(Recorder):
        def predict(self, X):
            return np.repeat("unheard of", len(X))

        def __reduce__(self):
            return Inventing, ()

    comparison = Comparison(X, Y, make_folds(X, Y, cv=2))
    outcome = fold_run.run_fold(
        fold_run.Job(Inventing(), X, Y, comparison.classes), 1, *comparison.folds[0]
    )
    assert outcome.predicted.tolist() == [-1] * 100


# ------------------------------------------------------------------------------ images twice


def test_duplicates_on_both_sides_are_told_and_may_be_kept_together():
    images = [X[i] for i in range(200)] + [X[3], X[150], X[160]]
    y = [*Y, "face", "face", "other"]  # the second under another label
    folds = [(np.arange(200), np.array([200, 201, 202]))]
    with pytest.warns(UserWarning, match=r"3 pairs .* \(3 equal, 0 nearly\), 1 of them under two"):
        comparison = compare({"a": DummyClassifier()}, images, y, cv=folds)
    assert comparison.duplicate_pairs == [[3, 200], [150, 201], [160, 202]]
    quiet = compare({"a": DummyClassifier()}, images, y, cv=folds, duplicates=False)
    assert quiet.duplicate_pairs == quiet.warnings == []


# -------------------------------------------------------------------------------- tuning, curves


def test_parameters_are_searched_within_each_training_fold():
    Recorder.seen.clear()
    model = make_pipeline(Pixels(), SVC())
    comparison = compare(
        {"svm": model, "plain": SVC(), "recorder": Recorder()},
        X,
        Y,
        cv=3,
        tune={"svm": {"svc__C": [1e-6, 1.0]}},
    )
    svm, plain, _ = comparison.rows
    assert svm.n_search_fits == 6 and svm.search_seconds > 0 and plain.n_search_fits is None
    chosen = [outcome.chosen for outcome in comparison.results["svm"].outcomes]
    assert chosen == [{"svc__C": 1.0}] * 3 and svm.accuracy > 0.8
    assert comparison.results["plain"].outcomes[0].chosen is None
    # what is searched on is the training part of a fold alone, and its images thirds of that
    Recorder.seen.clear()
    folds = make_folds(X, Y, cv=3)
    compare({"a": Recorder()}, X, Y, cv=folds, tune={"a": [{}]})
    means = [float(X[i].mean()) for i in range(200)]
    for fold, (train, _) in enumerate(folds):
        within = Recorder.seen[4 * fold : 4 * fold + 4]
        assert sorted(within[3]) == sorted(means[i] for i in train)
        assert all(set(seen) < {means[i] for i in train} for seen in within[:3])


def test_tuning_takes_the_grids_of_ready_made_pipelines(tmp_path, monkeypatch):
    monkeypatch.setenv("VISIONPIPE_STORE", str(tmp_path / "store.sqlite"))
    comparison = compare({"pixels": pipelines.get("pixels_svm")}, X, Y, cv=2, tune=True)
    (row,) = comparison.rows
    assert row.error is None and row.n_search_fits == 12 * 3
    assert {*comparison.results["pixels"].outcomes[0].chosen} == {
        *pipelines.get("pixels_svm").PARAM_GRID
    }
    with pytest.raises(ValueError, match="tune names 'hog'; there are a"):
        compare({"a": SVC()}, X, Y, tune={"hog": {}})


def test_groups_stay_together_within_a_search_too():
    groups = np.arange(200) // 10
    Recorder.seen.clear()
    folds = make_folds(X, Y, cv=4, groups=groups)
    compare({"a": Recorder()}, X, Y, cv=folds, groups=groups, tune={"a": [{}]})
    group_of = {float(X[i].mean()): group for i, group in enumerate(groups)}
    whole, inner = Recorder.seen[3], Recorder.seen[:3]
    for seen in inner:
        left_out = {group_of[mean] for mean in whole if mean not in seen}
        assert not left_out & {group_of[mean] for mean in seen}


def test_learning_curves_are_nested_and_end_with_all_images():
    comparison = compare({"a": make_pipeline(HOG(), SVC())}, X, Y, cv=4, train_sizes=(0.1, 60))
    curve = comparison.results["a"].curve
    sizes = [(point.n_train, point.fold) for point in curve]
    assert sizes == [(15, 0), (60, 0), (15, 1), (60, 1), *((150, fold) for fold in range(4))]
    assert [p.accuracy for p in curve[4:]] == comparison.fold_scores("a").tolist()
    assert compare({"a": DummyClassifier()}, X, Y, cv=2).results["a"].curve == []
    for size in (0, -1, 1.5):
        with pytest.raises(ValueError, match=f"train_sizes has {size}"):
            compare({"a": DummyClassifier()}, X, Y, train_sizes=[size])


# --------------------------------------------------------------------------------------- pictures


def test_pictures_are_drawn_of_the_first_fold(monkeypatch):
    pytest.importorskip("matplotlib")
    model = pipelines.get("hog_svm").build()
    comparison = compare({"hog": model, "dummy": Failing()}, X[::5], Y[::5], cv=2, n_explained=2)
    first, second = comparison.results["hog"].outcomes
    assert [picture.kind for picture in first.pictures] == ["glyphs", "reasons", "reasons"]
    assert all(picture.png.startswith(b"\x89PNG") for picture in first.pictures)
    assert second.pictures == () and first.cost is not None and second.cost is None
    assert "What speaks for " in first.pictures[1].caption
    monkeypatch.setattr("visionpipe.comparison.pictures._glyphs", None)
    notes = compare({"hog": model}, X[::5], Y[::5], cv=2, n_explained=1).rows[0].notes
    assert "pictures are missing: 'NoneType' object is not callable" in notes


# ----------------------------------------------------------------------------------------- tables


def test_intervals_hold_the_scores():
    comparison = compare({"logistic": LOGISTIC}, X, Y, cv=4)
    row = comparison.rows[0]
    assert row.accuracy_low < row.accuracy < row.accuracy_high
    for metric in ("balanced_accuracy", "f1_macro", "log_loss"):
        low, high = comparison.interval("logistic", metric)
        assert low < getattr(row, metric) < high
        assert comparison.interval("logistic", metric) == (low, high)
    assert np.isnan(comparison.interval("logistic", "top_5_accuracy")).all()  # of two classes
    with pytest.raises(ValueError, match="there is no metric 'f1'; there are accuracy, balanced"):
        comparison.interval("logistic", "f1")


def test_data_frame_and_columns():
    pd = pytest.importorskip("pandas")
    comparison = compare({"hog": make_pipeline(HOG(), SVC()), "dummy": DummyClassifier()}, X, Y)
    frame = comparison.to_frame()
    assert isinstance(frame, pd.DataFrame) and frame.index.tolist() == ["hog", "dummy"]
    assert frame["verdict"].tolist() == ["best", "worse"] and frame.loc["dummy", "p_value"] < 0.01
    assert frame.loc["hog", "accuracy"] == comparison.row("hog").accuracy
    assert len(table_header().splitlines()) == 2
    assert "best: hog" in str(comparison) and "worse" in str(comparison)
