"""Leaks that people plant are named, honest procedures pass, and nothing else is claimed."""

import copy
import pickle
import random
import tempfile
import time
import warnings

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler, TargetEncoder
from sklearn.svm import SVC, LinearSVC
from skorch import NeuralNetClassifier
from skorch.callbacks import EarlyStopping
from skorch.dataset import Dataset
from skorch.helper import predefined_split

import pipelines
from visionpipe import (
    HOG,
    BagOfVisualWords,
    CNNClassifier,
    CNNFeatures,
    DenseSIFT,
    Images,
    Pixels,
    Resize,
    as_images,
    load_faces,
    load_images,
    use_store,
)
from visionpipe.comparison.folds import make_folds
from visionpipe.leaks.check import LeakError, leak_check

FACES = load_faces()
ROWS = np.r_[0:15, 100:115]
IMAGES, Y = FACES.images[ROWS], FACES.target_names[FACES.target][ROWS]
PIXELS = np.stack([IMAGES[i] for i in range(len(IMAGES))])  # (30, 25, 25)
VECTORS = PIXELS[:, ::4, ::4].reshape(len(Y), -1)  # (30, 49)
TRAIN, TEST = make_folds(VECTORS, Y, cv=3)[0]


def leaks(pipeline, X=VECTORS, y=Y, **options):
    """What a check names, of one pipeline."""
    try:
        assert leak_check({"it": pipeline}, X, y, **{"cv": 3, **options}).keys() == {"it"}
    except LeakError as error:
        assert error.leaks.keys() == {"it"}
        return error.leaks["it"]
    return []


# ---------------------------------------------------------------------------- scaling


def scaled_on_everything(X, y, train, test):
    X = StandardScaler().fit_transform(X)
    return SVC().fit(X[train], y[train])


def scaled_on_training(X, y, train, test):
    scaler = StandardScaler().fit(X[train])
    return scaler, SVC().fit(scaler.transform(X[train]), y[train])


def test_scaling_on_everything_is_caught():
    assert "support_vectors_" in leaks(scaled_on_everything)
    assert leaks(scaled_on_training) == []
    assert leaks(make_pipeline(StandardScaler(), SVC())) == []


def test_what_leaks_first_is_named_first():
    def both(X, y, train, test):
        scaler = StandardScaler().fit(X)
        return scaler, SVC().fit(scaler.transform(X[train]), y[train])

    named = leaks(both)
    assert named[:3] == ["[0].mean_", "[0].var_", "[0].scale_"]
    assert "[1].support_vectors_" in named and named[-1].startswith("[1]._")


def test_a_scaler_that_only_sees_extremes_is_caught():
    def limited(X, y, train, test):
        return MinMaxScaler().fit(X)

    assert "data_min_" in leaks(limited)


# ---------------------------------------------------------------------------- visual words


def words_of(rows_of):
    def fit(X, y, train, test):
        describer = DenseSIFT(step=8, bin_sizes=(4,))
        words = BagOfVisualWords(8, random_state=0).fit(describer.fit_transform(rows_of(X, train)))
        vectors = words.transform(describer.transform(X[train]))
        return Pipeline(
            [("words", words), ("svm", LinearSVC(random_state=0).fit(vectors, y[train]))]
        )

    return fit


@pytest.mark.parametrize("X", [IMAGES, PIXELS], ids=["images", "array"])
def test_a_vocabulary_of_everything_is_caught(X):
    assert leaks(words_of(lambda X, train: X), X)[:2] == ["step words, words_", "step svm, coef_"]
    assert leaks(words_of(lambda X, train: X[train]), X) == []


# ---------------------------------------------------------------------------- early stopping


def best_epoch(rows_of):
    """The network of the epoch that was best on some of the images."""

    def fit(X, y, train, test):
        train, judged = rows_of(train, test)
        net, best, best_score = CNNClassifier("mlp", lr=0.01, random_state=0), None, -1
        for _ in range(4):
            net.partial_fit(X[train], y[train], classes=np.unique(y[train]))
            if (score := net.score(X[judged], y[judged])) > best_score:
                best, best_score = copy.deepcopy(net), score
        return best

    return fit


def test_early_stopping_on_the_test_fold_is_caught():
    assert "n_iter_" in leaks(best_epoch(lambda train, test: (train, test)), IMAGES)
    assert leaks(best_epoch(lambda train, test: (train[::2], train[1::2])), IMAGES) == []
    honest = CNNClassifier("mlp", max_epochs=3, early_stopping=True, random_state=0)
    assert leaks(honest, IMAGES) == []


def small_net(validation, **options):
    return NeuralNetClassifier(
        torch.nn.Linear,
        module__in_features=49,
        module__out_features=2,
        criterion=torch.nn.CrossEntropyLoss,
        max_epochs=3,
        lr=0.5,
        train_split=predefined_split(validation),
        callbacks=[EarlyStopping(patience=2, load_best=True)],
        verbose=0,
        **options,
    )


def test_early_stopping_as_skorch_has_it_is_caught():
    def validated_on(X, y, train, rows):
        numbers = np.unique(Y, return_inverse=True)[1]
        return small_net(Dataset(X[rows], (y == "other").astype(int)[rows])).fit(
            X[train], numbers[train]
        )

    def on_test(X, y, train, test):
        return validated_on(X, y, train, test)

    def on_training(X, y, train, test):
        return validated_on(X, y, train[::2], train[1::2])

    assert "history_" in leaks(on_test)
    assert leaks(on_training) == []


def test_held_out_images_in_a_parameter_are_named():
    def pipeline(rows, X=VECTORS):
        validation = Dataset(X[rows], np.zeros(len(rows), dtype=int))
        return Pipeline([("scale", StandardScaler()), ("net", small_net(validation))])

    y = (Y == "other").astype(int)
    ours = "step net, train_split.keywords[valid_ds], which holds 10 held-out images"
    assert leaks(pipeline(TEST), y=y) == [ours]
    assert leaks(pipeline(TRAIN), y=y) == []


@pytest.mark.parametrize("X", [IMAGES, PIXELS, list(PIXELS)], ids=["images", "array", "list"])
def test_images_in_a_parameter_are_named_unless_training_has_them_too(X):
    held = [f"where, which holds {n} held-out images" for n in (10, 1)]
    assert leaks(Centred(IMAGES[TEST]), X) == [held[0]]
    assert leaks(Centred(PIXELS[TEST[3:4]]), X) == [held[1]]
    assert leaks(Centred(IMAGES[TRAIN]), X) == leaks(Centred(PIXELS[:, :20]), X) == []
    twice = PIXELS.copy()
    twice[TEST] = PIXELS[TRAIN[0]]
    assert leaks(Centred(twice[TEST]), twice) == []


def test_a_parameter_chosen_on_the_test_fold_is_caught():
    def best_of(rows_of):
        def fit(X, y, train, test):
            train, judged = rows_of(train, test)
            models = [SVC(C=C).fit(X[train], y[train]) for C in (0.001, 10)]
            return max(models, key=lambda model: model.score(X[judged], y[judged]))

        return fit

    assert leaks(best_of(lambda train, test: (train, test)))[0] == "C"
    assert leaks(best_of(lambda train, test: (train[::2], train[1::2]))) == []


# ---------------------------------------------------------------------------- labels


def chosen_on(rows_of):
    def fit(X, y, train, test):
        rows = rows_of(train, np.arange(len(y)))
        chosen = SelectKBest(k=5).fit(X[rows], y[rows])
        return chosen, SVC().fit(chosen.transform(X[train]), y[train])

    return fit


def encoded_on(rows_of):
    def fit(X, y, train, test):
        rows = rows_of(train, np.arange(len(y)))
        levels = np.digitize(X[:, :3], [0.3, 0.6])
        return TargetEncoder(random_state=0).fit(levels[rows], y[rows])

    return fit


@pytest.mark.parametrize("procedure", [chosen_on, encoded_on])
def test_labels_that_leak_are_caught(procedure):
    assert leaks(procedure(lambda train, everything: everything))
    assert leaks(procedure(lambda train, everything: train)) == []


def test_labels_alone_are_enough():
    def share_of_faces(X, y, train, test):
        return float((y == "face").mean()), sorted(set(y[train]))

    y = np.array(["face"] * 20 + ["other"] * 10)
    assert leaks(share_of_faces, y=y) == ["[0]"]


# ---------------------------------------------------------------------------- global variables

SEEN = {}
BUNCH = {"vectors": VECTORS}


class Centred(ClassifierMixin, BaseEstimator):
    """Learns from what lies about."""

    def __init__(self, where="given"):
        self.where = where

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        if not isinstance(self.where, str):
            return self
        if self.where == "seen":
            X = X - SEEN["mean"]
        elif self.where == "global":
            X = VECTORS
        elif self.where == "bunch":
            X = BUNCH["vectors"]
        elif self.where == "labels":
            X = X + np.arange(len(Y)) @ (Y == "face")
        self.sum_ = X.sum(axis=0)
        return self


def test_a_leak_through_a_global_variable_is_caught():
    def told(rows_of):
        def fit(X, y, train, test):
            SEEN["mean"] = rows_of(X, train).mean(axis=0)
            return Centred("seen").fit(X[train], y[train])

        return fit

    assert leaks(told(lambda X, train: X)) == ["sum_"]
    assert leaks(told(lambda X, train: X[train])) == []


@pytest.mark.parametrize("where", ["global", "bunch"])
def test_variables_that_hold_the_data_hold_noise_meanwhile(where):
    before = VECTORS.copy()
    assert leaks(Centred(where)) == ["sum_"]
    assert BUNCH["vectors"] is VECTORS and (before == VECTORS).all()
    assert leaks(Centred()) == []


def test_global_labels_and_closures_are_replaced_too():
    vectors, labels = VECTORS.copy(), ["face"] * 10 + ["other"] * 20

    def of_closure(X, y, train, test):
        return vectors[train], vectors.mean()

    def of_labels(X, y, train, test):
        assert type(labels) is list and len(labels) == 30
        return labels.count("face")

    assert leaks(of_closure, vectors) == ["[1]"]
    assert leaks(of_labels, y=labels) == ["what was returned"]
    assert leaks(Centred("labels")) == ["sum_"]
    assert labels.count("face") == 10


def test_functions_that_are_not_complete_yet_are_called():
    def fit(X, y, train, test):
        return 0 if len(X) else later

    assert leaks(fit) == []
    later = 1


def test_what_a_function_does_to_rows_and_labels_stays_its_own():
    def shuffled(X, y, train, test):
        result = X[train].sum(), y[train].tolist()
        train[:], y[:] = test[0], "face"
        return result

    assert leaks(shuffled) == []
    assert (make_folds(VECTORS, Y, cv=3)[0][0] == TRAIN).all() and set(Y) == {"face", "other"}


def test_estimators_are_cloned():
    model = SVC()
    assert leaks(model) == [] and not hasattr(model, "support_")


def test_images_that_an_estimator_reaches_through_its_own_are_replaced():
    class Nosy(Centred):
        def fit(self, X, y):
            self.mean_ = float(X._source.mean())
            return self

    assert leaks(Nosy(), IMAGES) == ["mean_"]


# ---------------------------------------------------------------------------- honest pipelines


@pytest.mark.parametrize("name", pipelines.all_pipelines())
def test_ready_made_pipelines_do_not_leak(name):
    pipeline = pipelines.get(name).build(random_state=0)
    if "net" in pipeline.named_steps:
        pipeline.set_params(net__max_epochs=1)
    assert leaks(pipeline, IMAGES) == []


def test_searches_and_ensembles_do_not_leak():
    both = FeatureUnion([("hog", HOG(pixels_per_cell=(8, 8))), ("pixels", Pixels())])
    search = GridSearchCV(Pipeline([("both", both), ("svm", SVC())]), {"svm__C": [1, 10]}, cv=2)
    assert leaks(search, IMAGES) == []
    assert leaks(RandomForestClassifier(5)) == []  # draws without a seed


@pytest.mark.parametrize("where", [None, "features.sqlite"])
def test_stores_do_not_confuse(where, tmp_path):
    where = None if where is None else str(tmp_path / where)

    def pipeline():
        describer, words = DenseSIFT(step=8, bin_sizes=(4,)), BagOfVisualWords(8, random_state=0)
        return use_store(make_pipeline(describer, words, LinearSVC(random_state=0)), where)

    def learned_on_everything(X, y, train, test):
        return pipeline()[:2].fit(X)

    for _ in range(2):  # the second time, everything is in the store
        assert leaks(pipeline(), IMAGES) == []
        assert leaks(learned_on_everything, IMAGES) == ["step bagofvisualwords, words_"]


# ---------------------------------------------------------------------------- what X may be


@pytest.fixture
def folder(tmp_path):
    for i, (image, label) in enumerate(zip(PIXELS, Y, strict=True)):
        (tmp_path / label).mkdir(exist_ok=True)
        Image.fromarray((255 * image).astype(np.uint8)).save(tmp_path / label / f"{i:02}.png")
    return tmp_path


KINDS = {
    "paths": lambda files: files,
    "strings": lambda files: [str(file) for file in files],
    "tuple": lambda files: tuple(map(str, files)),
    "array of strings": lambda files: np.array([str(file) for file in files]),
    "array of paths": lambda files: np.array(files, dtype=object),
    "arrays": lambda files: list(PIXELS),
    "rows": lambda files: VECTORS.tolist(),
    "array": lambda files: PIXELS,
    "vectors": lambda files: VECTORS,
    "images": lambda files: Resize(9).transform(IMAGES),
    "some images": lambda files: as_images(np.concatenate([PIXELS, PIXELS]))[:30],
    "images of files": lambda files: Resize(9).transform(as_images(files)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_data_arrive_as_they_were_given(kind, folder):
    given = KINDS[kind](sorted(folder.glob("*/*.png")))
    calls = []

    def fit(X, y, train, test):
        calls.append((X, y))
        assert type(X) is type(given) and len(X) == 30
        assert getattr(X, "shape", None) == getattr(given, "shape", None)
        assert not set(train) & set(test) and len(train) + len(test) == 30
        images = X if kind in ("vectors", "rows") else as_images(X)
        pixels = [np.asarray(images[i]) for i in range(30)]
        return [pixels[i] for i in train], [pixels[i].shape for i in test], len(np.unique(y))

    assert leaks(fit, given) == []
    assert calls[0][0] is given and len(calls) == 3
    (_, y), (noisy, other), (same, other_again) = calls
    assert same is given and (other == other_again).all()
    changed_rows = np.flatnonzero(y != other)
    assert sorted(changed_rows) == sorted(TEST) == sorted(make_folds(given, Y, cv=3)[0][1])
    if isinstance(given, Images):
        assert repr(noisy).endswith(repr(given)[-12:])  # the steps


def test_noise_in_files_is_seen_and_swept_up(folder, monkeypatch, tmp_path_factory):
    temporary = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    files = sorted(folder.glob("*/*.png"))
    before = [file.read_bytes() for file in files]

    def brightness(X, y, train, test):
        return np.array([as_images(X)[int(i)].mean() for i in test])

    assert leaks(brightness, files) == ["what was returned"]
    assert leaks(words_of(lambda X, train: X), load_images(folder).images)
    assert leaks(words_of(lambda X, train: X[train]), load_images(folder).images) == []
    assert list(temporary.iterdir()) == []
    assert [file.read_bytes() for file in files] == before


def test_parts_that_a_fold_leaves_out_are_replaced_too():
    parts = np.array(["train", "validation", "test"] * 10)

    def looks_at(rows):
        return lambda X, y, train, test: X[rows]

    for part in ("validation", "test"):
        assert leaks(looks_at(parts == part), cv=None, parts=parts)
    assert leaks(looks_at(parts == "train"), cv=None, parts=parts) == []


def test_the_fold_is_the_first_of_a_comparison():
    groups = np.arange(30) // 2
    options = {"cv": StratifiedGroupKFold(3), "groups": groups, "random_state": 3}
    train, test = make_folds(VECTORS, Y, **options)[0]

    def rows(X, y, given_train, given_test):
        assert (given_train == train).all() and (given_test == test).all()
        return 0

    assert leaks(rows, **options) == []
    plain = make_folds(VECTORS, Y, random_state=3)[0]
    leak_check(
        {"it": lambda X, y, *fold: all(map(np.testing.assert_array_equal, fold, plain)) or 0},
        VECTORS,
        Y,
        random_state=3,
    )


# ---------------------------------------------------------------------------- chance


def test_what_has_no_seed_draws_the_same_and_leaves_generators_alone():
    def drawn(X, y, train, test):
        numbers = random.random(), float(np.random.rand()), float(torch.rand(1))  # noqa: NPY002
        return numbers, CNNClassifier("softmax", max_epochs=1).fit(X[train], y[train])

    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)
    expected = random.random(), np.random.rand(), torch.rand(1)  # noqa: NPY002
    random.seed(5)
    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)
    assert leaks(drawn, IMAGES) == []
    assert (random.random(), np.random.rand(), torch.rand(1)) == expected  # noqa: NPY002


def test_what_has_no_seed_is_seeded_anew_in_each_check():
    drawn = []

    def draws(X, y, train, test):
        numbers = random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002
        drawn.append(numbers)
        return 0

    for seed in (0, 0, 1):
        random.random(), np.random.rand(), torch.rand(1)  # noqa: NPY002
        leaks(draws, random_state=seed)
    first, second, other = drawn[:3], drawn[3:6], drawn[6:]
    assert len(set(first)) == 1 and first == second
    assert all(a != b for a, b in zip(first[0], other[0], strict=True))


def test_times_do_not_count_but_are_told():
    class Timed(Centred):
        def fit(self, X, y):
            self.fitted_at_ = time.perf_counter()
            return super().fit(X, y)

    assert leak_check({"it": Timed(), "dummy": DummyClassifier()}, VECTORS, Y) == {
        "it": ["fitted_at_"],
        "dummy": [],
    }
    calls = []

    def timed(X, y, train, test):
        calls.append(time.perf_counter())
        return SVC().fit(X[train], y[train]), calls[-1]

    assert leak_check({"it": timed}, VECTORS, Y) == {"it": ["[1]"]}
    assert len(calls) == 4  # as it is, with noise, as it is once more, with other labels
    net = CNNClassifier("softmax", max_epochs=2, random_state=0)
    assert leak_check({"net": net}, IMAGES, Y) == {"net": ["net_[history]"]}


def drawing(X):
    """Words that are others each time."""
    return X[np.random.default_rng().choice(len(X), 4)] + np.random.default_rng().random()


def test_nothing_is_said_of_what_is_never_the_same():
    def fit(X, y, train, test):
        return {"words": drawing(X[train])}

    message = r"nothing can be said about it: \[words\] differ.*give it a random_state"
    with pytest.raises(ValueError, match=message) as caught:
        leaks(fit)
    assert not isinstance(caught.value, LeakError)


def test_what_differs_by_luck_beside_it_is_no_leak():
    calls = []

    class Lucky(Centred):
        def fit(self, X, y):
            calls.append(None)
            self.words_, self.best_ = drawing(X), 1 if len(calls) == 2 else 3
            return self

    with pytest.raises(ValueError, match="nothing can be said about it: words_ differ") as caught:
        leaks(Lucky())
    assert not isinstance(caught.value, LeakError) and len(calls) == 3


def test_leaks_beside_what_is_never_the_same_are_caught():
    def fit(X, y, train, test):
        return StandardScaler().fit(X), {"words": drawing(X[train]), "n": len(y)}

    assert leaks(fit)[:3] == ["[0].mean_", "[0].var_", "[0].scale_"]
    assert not any("words" in name for name in leaks(fit))


# ---------------------------------------------------------------------------- learned beforehand


@pytest.mark.filterwarnings("ignore:.*the tensors of")
def test_what_was_learned_beforehand_is_warned_of(tmp_path):
    net = CNNClassifier("softmax", max_epochs=1, random_state=0).fit(IMAGES, Y)
    frozen = FrozenEstimator(net)
    torch.save(net.module_.state_dict(), tmp_path / "weights.pt")
    options = {"max_epochs": 1, "random_state": 0}
    cases = {
        "step features, module": CNNFeatures(frozen),
        "step features, weights": CNNFeatures("softmax", weights=tmp_path / "weights.pt"),
        "step features, module.init_from": CNNFeatures(
            CNNClassifier("softmax", init_from=frozen, **options)
        ),
    }
    for what, features in cases.items():
        pipeline = Pipeline([("features", features), ("svm", SVC())])
        with pytest.warns(UserWarning, match=f"^it: {what} was learned beforehand") as caught:
            assert leaks(pipeline, IMAGES) == []
        ours = [warning for warning in caught if "beforehand" in str(warning.message)]
        assert len(ours) == 1 and ours[0].filename == __file__
    with pytest.warns(UserWarning, match="it: init_from was learned beforehand"):
        leaks(CNNClassifier("softmax", init_from=tmp_path / "weights.pt", **options), IMAGES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        leaks(CNNClassifier("softmax", **options), IMAGES)


# ---------------------------------------------------------------------------- messages, bad input


def test_the_error_names_all_that_leak():
    planted = {
        "scaled": scaled_on_everything,
        "fine": scaled_on_training,
        "centred": Centred("global"),
    }
    with pytest.raises(LeakError) as caught:
        leak_check(planted, VECTORS, Y)
    assert list(caught.value.leaks) == ["scaled", "centred"]
    named = caught.value.leaks["scaled"]
    first, scaled, centred, advice = str(caught.value).splitlines()
    assert first == "held-out images leak into" and centred == "centred: sum_"
    assert scaled == f"scaled: {named[0]} and {len(named) - 1} more"
    assert "X[train]" in advice
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value) and again.leaks == caught.value.leaks


def test_procedures_that_raise():
    def always(X, y, train, test):
        raise RuntimeError("out of luck")

    def on_noise(X, y, train, test):
        if (X[test] != VECTORS[test]).any():
            raise RuntimeError("what\nis this?")
        return 0

    state = []

    def second_time(X, y, train, test):
        state.append(len(state))
        if len(state) > 1:
            raise RuntimeError("the folder exists")
        return 0

    with pytest.raises(RuntimeError, match="out of luck") as caught:
        leaks(always)
    assert caught.value.__notes__ == ["leak_check was fitting it on the data as they are"]
    vectors = VECTORS.copy()  # VECTORS stand for noise meanwhile
    assert leaks(on_noise, vectors) == [
        "the fit itself, which fails with noise (RuntimeError: what is this?)"
    ]
    with pytest.raises(RuntimeError, match="the folder exists") as caught:
        leaks(second_time)
    assert caught.value.__notes__ == [
        "leak_check was fitting it on the same data for the second time"
    ]


@pytest.mark.parametrize(
    ("given", "X", "y", "message"),
    [
        ([SVC()], VECTORS, Y, "got list; wanted a dict of name to a classifier or a function fit"),
        ({"a": SVC}, VECTORS, Y, r"a is the class SVC; wanted .*: SVC\(\)"),
        ({"a": 3}, VECTORS, Y, "a is of type int; wanted a classifier or a function"),
        ({"a": lambda *_: None}, VECTORS, Y, "the function returned None; wanted everything"),
        ({"a": SVC()}, VECTORS, Y[1:], "30 images and 29 labels"),
        ({"a": SVC()}, VECTORS, ["one"] * 30, "all images are of one class, one"),
        ({"a": SVC()}, np.array([["a", "b"]] * 30), Y, "got an array of <U1; wanted images, paths"),
        ({"a": SVC()}, "a" * 30, Y, "got str; wanted images, paths or a numpy array"),
        ({"a": SVC()}, [None] * 30, Y, "got an item of object; wanted an image, a path or numbers"),
        ({"a": SVC()}, ["nowhere.png"] * 30, Y, "cannot read nowhere.png: no such file"),
    ],
)
def test_what_cannot_be_checked_is_refused(given, X, y, message):
    with pytest.raises(ValueError, match=message):
        leak_check(given, X, y)


def test_one_class_beside_a_split_of_ones_own_is_refused():
    with pytest.raises(ValueError, match="all images are of one class, one; wanted at least 2"):
        leak_check({"a": SVC()}, VECTORS, ["one"] * 30, cv=[(TRAIN, TEST)])


def test_data_are_put_back_after_an_error(folder):
    def fit(X, y, train, test):
        if X is not BUNCH["vectors"] or not (X == VECTORS).all():
            raise AssertionError("variables are not what is given")
        if (X[test] != before[test]).any():
            raise RuntimeError
        return 0

    before = VECTORS.copy()
    assert leaks(fit)[0].startswith("the fit itself, which fails with noise (RuntimeError")
    assert BUNCH["vectors"] is VECTORS and (before == VECTORS).all()
