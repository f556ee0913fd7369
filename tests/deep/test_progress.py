"""scikit-learn's callbacks, which see CNNClassifier's epochs."""

import json
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from skorch.callbacks import Callback, EarlyStopping

from visionpipe import Resize
from visionpipe.deep import fitted as module
from visionpipe.deep.classifier import CNNClassifier
from visionpipe.networks.softmax import SoftmaxRegression

DIGITS = load_digits()
IMAGES, LABELS = DIGITS.images[:150] / 16, DIGITS.target[:150]


def quick(*callbacks, net="softmax", **params):
    params = {"max_epochs": 4, "lr": 0.02, "random_state": 0} | params
    return CNNClassifier(net, **params).set_callbacks(*callbacks)


class Recorder:
    """Write each call to a file, into which other processes write, too."""

    def __init__(self, path):
        self.path = path

    def setup(self, estimator, context):
        self.note("setup", context)

    def on_fit_task_begin(self, estimator, context):
        self.note("begin", context)

    def on_fit_task_end(self, estimator, context):
        self.note("end", context)

    def teardown(self, estimator, context):
        self.note("teardown", context)

    def note(self, hook, context):
        path, at = [], context
        while at is not None:
            path, at = [at.task_id, *path], at.parent
        task = [context.estimator_name, context.task_name, context.max_subtasks, path]
        with self.path.open("a") as file:
            file.write(json.dumps([hook, *task]) + "\n")

    def calls(self):
        return [tuple(json.loads(line)) for line in self.path.read_text().splitlines()]


class Propagated(Recorder):
    """Also told of what estimators inside do."""

    max_propagation_depth = None


class Stopper(Recorder):
    """Want no more than so many epochs."""

    def __init__(self, path, n_epochs):
        super().__init__(path)
        self.n_epochs = n_epochs

    def on_fit_task_end(self, estimator, context):
        super().on_fit_task_end(estimator, context)
        return context.task_name == "epoch" and context.task_id + 1 == self.n_epochs


class Witness(Recorder):
    """Keep the copies that are ready to predict, and what came with them."""

    def __init__(self, path):
        super().__init__(path)
        self.seen = []

    def on_fit_task_begin(self, estimator, context, *, fitted_estimator=None):
        self.seen.append(("begin", fitted_estimator))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.seen.append(("end", fitted_estimator))
        self.data = X, y


@pytest.fixture
def path(tmp_path):
    return tmp_path / "calls"


def root(hook, max_epochs=4):
    return (hook, "CNNClassifier", "fit", max_epochs, [0])


def epochs(n):
    return [
        (hook, "CNNClassifier", "epoch", 0, [0, i]) for i in range(n) for hook in ("begin", "end")
    ]


def whole(n_epochs, max_epochs=4):
    before = [root("setup", max_epochs), root("begin", max_epochs)]
    return [*before, *epochs(n_epochs), root("end", max_epochs), root("teardown", max_epochs)]


def weights(classifier):
    return list(classifier.module_.state_dict().values())


def assert_same_weights(one, other):
    for a, b in zip(weights(one), weights(other), strict=True):
        assert torch.equal(a, b)


# ----------------------------------------------------------------------------- what is called when


def test_each_epoch_begins_and_ends_once(path):
    classifier = quick(recorder := Recorder(path)).fit(IMAGES, LABELS)
    assert recorder.calls() == whole(4)
    classifier.fit(IMAGES, LABELS)
    assert recorder.calls() == whole(4) * 2


def test_training_that_fails_is_torn_down(path):
    class Broken(SoftmaxRegression):
        def forward(self, x):
            if self.training:
                raise RuntimeError("broken")
            return super().forward(x)

    recorder = Recorder(path)
    with pytest.raises(RuntimeError, match="broken"):
        quick(recorder, net=Broken).fit(IMAGES, LABELS)
    assert recorder.calls() == [*whole(0)[:2], epochs(1)[0], root("teardown")]


def test_images_that_cannot_be_read_are_torn_down(path):
    recorder = Recorder(path)
    with pytest.raises(ValueError, match="unequal sizes"):
        quick(recorder).fit([IMAGES[0], IMAGES[1, 2:]] * 5, LABELS[:10])
    assert recorder.calls() == [*whole(0)[:2], root("teardown")]


def test_wrong_parameters_set_nothing_up(path):
    with pytest.raises(ValueError, match="max_epochs"):
        quick(Recorder(path), max_epochs=0).fit(IMAGES, LABELS)
    assert not path.exists()


@pytest.mark.parametrize("hook", ["setup", "on_fit_task_begin", "on_fit_task_end"])
def test_a_callback_that_fails_is_torn_down(path, hook):
    def fail(*_, **__):
        raise RuntimeError("the callback broke")

    recorder = Recorder(path)
    classifier = quick(recorder)
    setattr(recorder, hook, fail)
    with pytest.raises(RuntimeError, match="the callback broke"):
        classifier.fit(IMAGES, LABELS)
    assert [call for call in recorder.calls() if call[0] == "teardown"] == [root("teardown")]


def test_a_later_fit_that_fails_leaves_no_network():
    classifier = quick().fit(IMAGES, LABELS)
    with pytest.raises(ValueError, match="unequal sizes"):
        classifier.fit([IMAGES[0], IMAGES[1, 2:]] * 5, LABELS[:10] % 2)
    with pytest.raises(NotFittedError):
        classifier.predict(IMAGES)


# --------------------------------------------------------------------------------------- stopping


def test_a_callback_stops_the_training(path):
    params = {"lr_schedule": None, "validation_fraction": 0.2}
    stopped = quick(stopper := Stopper(path, 2), **params).fit(IMAGES, LABELS)
    assert stopped.n_iter_ == len(stopped.history_) == 2
    assert stopper.calls() == whole(2)
    assert_same_weights(stopped, quick(max_epochs=2, **params).fit(IMAGES, LABELS))


def test_skorch_stops_the_training(path, capsys):
    stopping = EarlyStopping("train_loss", patience=2, threshold=0.9)
    recorder, bar = Recorder(path), ProgressBar()
    stopped = quick(recorder, bar, callbacks=[stopping], max_epochs=50).fit(IMAGES, LABELS)
    assert stopped.n_iter_ == 3
    assert recorder.calls() == whole(3, max_epochs=50)
    assert "CNNClassifier - fit" in (shown := capsys.readouterr().out) and "100%" in shown


@pytest.mark.parametrize("at", ["on_epoch_begin", "on_batch_begin", "on_batch_end"])
def test_skorch_stops_within_an_epoch(path, at):
    def stop(net, **kwargs):
        if len(net.history) == 2:
            raise KeyboardInterrupt

    stopping = Callback()
    setattr(stopping, at, stop)
    recorder = Recorder(path)
    assert quick(recorder, callbacks=[stopping]).fit(IMAGES, LABELS).n_iter_ == 2
    assert recorder.calls() == whole(2)


# -------------------------------------------------------------------------- copies ready to predict


def test_copies_predict_as_the_network_did_then(path):
    params = {"net": "mlp", "module__dropout": 0.3, "lr_schedule": None, "validation_fraction": 0.2}
    fitted = quick(witness := Witness(path), **params).fit(IMAGES, LABELS)
    told, copies = zip(*witness.seen, strict=True)
    assert told == ("begin", *["begin", "end"] * 4, "end")
    assert copies[0] is None  # there is no network before the first epoch
    for n, copy in enumerate(copies[2:-1:2], start=1):
        expected = quick(max_epochs=n, **params).fit(IMAGES, LABELS)
        assert copy.n_iter_ == n
        assert_same_weights(copy, expected)
        np.testing.assert_array_equal(copy.predict_proba(IMAGES), expected.predict_proba(IMAGES))
    for before, after in zip(copies[2:-2:2], copies[3:-1:2], strict=True):
        assert_same_weights(before, after)
    assert_same_weights(copies[-1], fitted)
    assert copies[-1].module_ is not fitted.module_


def test_callbacks_get_what_can_be_predicted(path):
    fitted = quick(witness := Witness(path)).fit((IMAGES * 255).astype(np.uint8), list(LABELS))
    X, y = witness.data
    assert X.shape == (150, 8, 8, 1) and X.dtype == np.uint8
    assert fitted.score(X, y) == fitted.score((IMAGES * 255).astype(np.uint8), LABELS)


def test_copies_in_a_later_fit_on_other_classes(path):
    classifier = quick(Witness(path)).fit(IMAGES, LABELS)
    classifier.fit(np.repeat(IMAGES[..., None], 3, axis=-1), LABELS % 3)
    assert classifier.predict_proba(IMAGES).shape == (150, 3)


def test_no_copies_unless_they_are_wanted(path, monkeypatch):
    monkeypatch.setattr(module, "strip", None)
    quick(Recorder(path), ProgressBar()).fit(IMAGES, LABELS)


def test_scores_of_epochs():
    monitor = ScoringMonitor(scoring=["accuracy", "neg_log_loss"])
    fitted = quick(monitor).fit(IMAGES, LABELS)
    fit, *by_epoch = monitor.get_logs().data
    assert [row["task_name"] for row in by_epoch] == ["epoch"] * 4
    assert fit["accuracy"] == by_epoch[-1]["accuracy"] == fitted.score(IMAGES, LABELS)
    losses = [-row["neg_log_loss"] for row in by_epoch]
    assert losses == sorted(losses, reverse=True) and losses[0] > losses[-1]


def test_callbacks_change_no_weight(path):
    params = {"net": "mlp", "module__dropout": 0.3, "validation_fraction": 0.2}
    plain = quick(**params).fit(IMAGES, LABELS)
    watched = quick(Recorder(path), ScoringMonitor(scoring="accuracy"), ProgressBar(), **params)
    assert_same_weights(plain, watched.fit(IMAGES, LABELS))


# ------------------------------------------------------------------------------ inside of others


def test_epochs_inside_a_pipeline(path):
    pipeline = make_pipeline(Resize((8, 8)), quick()).set_callbacks(recorder := Propagated(path))
    pipeline.fit(IMAGES, LABELS)
    calls = recorder.calls()
    assert [call[:2] for call in calls if call[0] in ("setup", "teardown")] == [
        ("setup", "Pipeline"),
        ("teardown", "Pipeline"),
    ]
    ours = [(hook, name, path) for hook, owner, name, _, path in calls if owner == "CNNClassifier"]
    assert ours == [
        ("begin", "fit", [0, 1]),
        *((hook, name, [0, 1, i]) for hook, _, name, _, (_, i) in epochs(4)),
        ("end", "fit", [0, 1]),
    ]
    assert not hasattr(pipeline[-1], "_skl_callbacks")


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_epochs_inside_a_search(path, n_jobs, capsys):
    pipeline = make_pipeline(Resize((8, 8)), quick(max_epochs=3))
    search = GridSearchCV(pipeline, {"cnnclassifier__lr": [0.01, 0.02]}, cv=2, n_jobs=n_jobs)
    recorder, bar = Propagated(path), ProgressBar(max_propagation_depth=2)
    search.set_callbacks(recorder, bar).fit(IMAGES, LABELS)
    calls = recorder.calls()
    assert [call[0] for call in calls].count("setup") == 1
    assert [call[0] for call in calls].count("teardown") == 1
    fits = [[0, 0, i] for i in range(4)] + [[0, 1]]  # the search's, and that with the best
    for fit in fits:
        inside = [c for c in calls if c[1] == "CNNClassifier" and c[4][: len(fit)] == fit]
        assert [(hook, name, at[len(fit) :]) for hook, _, name, _, at in inside] == [
            ("begin", "fit", [1]),
            *((hook, "epoch", [1, i]) for i in range(3) for hook in ("begin", "end")),
            ("end", "fit", [1]),
        ]
    shown = capsys.readouterr().out
    assert "GridSearchCV - search" in shown and shown.count("CNNClassifier - fit") >= len(fits)


# ---------------------------------------------------------------------------- copies of classifiers


def test_clones_keep_callbacks(path):
    classifier = clone(clone(quick(recorder := Recorder(path))))
    classifier.fit(IMAGES, LABELS)
    assert recorder.calls() == whole(4)
    classifier.set_callbacks().fit(IMAGES, LABELS)
    assert recorder.calls() == whole(4)


def test_pickles_keep_callbacks(path, capsys):
    recorder = Recorder(path)
    classifier = pickle.loads(pickle.dumps(quick(recorder, ProgressBar()))).fit(IMAGES, LABELS)
    assert recorder.calls() == whole(4)
    again = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(again.predict_proba(IMAGES), classifier.predict_proba(IMAGES))
    again.fit(IMAGES, LABELS)
    assert recorder.calls() == whole(4) * 2


def test_the_net_can_be_trained_on_alone(path):
    classifier = quick(recorder := Recorder(path)).fit(IMAGES, LABELS)
    net = classifier.net_
    assert not [name for name in vars(net) if "tasks" in name]  # nothing that holds the images
    images = torch.from_numpy(IMAGES[:, None]).float()
    net.partial_fit(images, torch.from_numpy(LABELS))
    assert len(net.history) == 8
    assert recorder.calls() == whole(4)
