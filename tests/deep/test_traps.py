"""Traps that users of skorch know, all in one place: CNNClassifier has closed them."""

import copy
import os
import pickle
import subprocess
import sys
import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
import tqdm
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, cross_val_score
from skorch.callbacks import Callback, EarlyStopping, ProgressBar
from torch import nn

from visionpipe.deep.classifier import CNNClassifier
from visionpipe.networks.mlp import MLP

DIGITS = load_digits()
BYTES = (DIGITS.images * 15).astype(np.uint8)[:300]  # (n, 8, 8)
LABELS = DIGITS.target[:300]


def quick(module="softmax", **params):
    return CNNClassifier(module, **{"max_epochs": 4, "lr": 0.02, "random_state": 0} | params)


def probabilities(X=BYTES, y=LABELS, **params):
    return quick(**params).fit(X, y).predict_proba(BYTES)


class Batches(Callback):
    """Writes the labels of each batch to lists, of training and of validation."""

    def __init__(self):
        self.trained, self.validated = [], []

    def __deepcopy__(self, memo):
        return self  # the copy that is used writes to the test's lists

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        (self.trained if training else self.validated).append(batch[1].tolist())


# --------------------------------------------------- weights that pass from one fit to the next


def test_a_module_instance_is_refused():
    instance = MLP(n_channels=1, image_size=(8, 8), n_classes=10)
    with pytest.raises(ValueError, match="instance of MLP; pass the class, module=MLP.* clone"):
        quick(instance).fit(BYTES, LABELS)


@pytest.mark.parametrize("module", ["mlp", MLP])
def test_folds_learn_afresh(module):
    """Random labels stay at chance, although the network is large enough to learn them."""
    y = np.random.default_rng(0).permutation(LABELS)
    memory = quick(module, max_epochs=20)
    assert cross_val_score(memory, BYTES, y, cv=3).mean() < 0.25
    assert memory.fit(BYTES, y).score(BYTES, y) > 0.6


def test_a_clone_and_a_second_fit_start_afresh():
    fitted = quick("mlp").fit(BYTES, LABELS)
    expected = fitted.predict_proba(BYTES)
    for again in (clone(fitted), fitted):
        np.testing.assert_array_equal(again.fit(BYTES, LABELS).predict_proba(BYTES), expected)


# ------------------------------------------------------------------- types of labels and images


@pytest.mark.parametrize(
    "y",
    [
        np.array(["zero", "one", "two"])[LABELS % 3],
        np.array(["zero", "one", "two"], dtype=object)[LABELS % 3],
        np.array([-7, 40, 1_000_000], dtype=np.int32)[LABELS % 3],
        np.array([0, 2, 255], dtype=np.uint8)[LABELS % 3],
        LABELS % 3 == 1,
        (LABELS % 3).astype(float),
        (LABELS % 3).tolist(),
        pd.Series(np.array(["a", "b", "c"])[LABELS % 3]),
        pd.Series(LABELS % 3, dtype="category"),
    ],
    ids=["str", "object", "gaps", "uint8", "bool", "float", "list", "series", "category"],
)
def test_labels_of_any_type_come_back(y):
    classifier = quick(max_epochs=8).fit(BYTES, y)
    np.testing.assert_array_equal(classifier.classes_, np.unique(np.asarray(y)))
    predicted = classifier.predict(BYTES)
    assert predicted.dtype == classifier.classes_.dtype
    assert np.mean(predicted == np.asarray(y)) > 0.85
    assert classifier.score(BYTES, y) == np.mean(predicted == np.asarray(y))
    proba = classifier.predict_proba(BYTES)
    assert proba.shape == (300, len(classifier.classes_)) and proba.dtype == np.float32
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(classifier.classes_[proba.argmax(axis=1)], predicted)


@pytest.mark.parametrize(
    "images",
    [
        BYTES / 255,
        (BYTES / 255).astype(np.float32),
        BYTES.astype(np.int64),
        list(BYTES),
        BYTES.tolist(),
        torch.from_numpy(BYTES),
    ],
    ids=["float64", "float32", "int64", "list", "nested lists", "tensor"],
)
def test_images_of_any_type_train_the_same_network(images):
    np.testing.assert_array_equal(probabilities(images), probabilities())


# -------------------------------------------------------------------------- loss and prediction


@pytest.mark.parametrize("criterion", [nn.CrossEntropyLoss, nn.NLLLoss, nn.MultiMarginLoss])
def test_probabilities_are_the_softmax_whatever_the_loss(criterion):
    fitted = quick(criterion=criterion, max_epochs=8).fit(BYTES, LABELS)
    pixels = torch.from_numpy(BYTES / 255).float()[:, None]
    logits = fitted.module_((pixels - fitted.pixel_mean_[0]) / fitted.pixel_std_[0]).detach()
    np.testing.assert_allclose(fitted.predict_proba(BYTES), logits.softmax(1), rtol=1e-4)
    assert fitted.score(BYTES, LABELS) > 0.85


def test_nll_loss_takes_the_logits_of_any_network():
    """In skorch the network has to end in a softmax, of which skorch takes the logarithm."""
    plain = quick(criterion=nn.CrossEntropyLoss).fit(BYTES, LABELS)
    negative = quick(criterion=nn.NLLLoss).fit(BYTES, LABELS)
    np.testing.assert_allclose(
        negative.history_[:, "train_loss"], plain.history_[:, "train_loss"], rtol=1e-4
    )


@pytest.mark.parametrize("fraction", [None, 0.2])
def test_dropout_rests_in_prediction_and_in_validation(fraction):
    class Watched(MLP):
        def forward(self, x):
            self.modes = {*getattr(self, "modes", ()), (len(x), self.training)}
            return super().forward(x)

    params = {"module__dropout": 0.9, "validation_fraction": fraction, "batch_size": 1000}
    fitted = quick(Watched, **params).fit(BYTES, LABELS)
    assert fitted.module_.modes == ({(240, True), (60, False)} if fraction else {(300, True)})
    expected = fitted.predict_proba(BYTES)
    np.testing.assert_array_equal(fitted.predict_proba(BYTES), expected)
    np.testing.assert_allclose(fitted.set_params(batch_size=7).predict_proba(BYTES), expected, 1e-4)


def test_class_weights_are_known_by_label():
    y = np.where(LABELS < 2, "few", "many")
    balanced = {name: 300 / 2 / np.sum(y == name) for name in ("few", "many")}
    sample_weight = np.where(y == "few", balanced["few"], balanced["many"])
    expected = quick().fit(BYTES, y, sample_weight=sample_weight).predict_proba(BYTES)
    for class_weight in ("balanced", balanced, dict(reversed(balanced.items()))):
        found = quick(class_weight=class_weight).fit(BYTES, y).predict_proba(BYTES)
        np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert np.abs(quick().fit(BYTES, y).predict_proba(BYTES) - expected).max() > 0.01


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_class_weights_that_are_none(weight):
    with pytest.raises(ValueError, match="class_weight=.* negative or not finite; make"):
        quick(class_weight={3: weight}).fit(BYTES, LABELS)


# --------------------------------------------------------------------------- chance and its seed


def test_one_seed_decides_all():
    """Weights, the order of images, dropout and the images held out."""
    params = {"module": "mlp", "module__dropout": 0.3, "validation_fraction": 0.2}
    torch.manual_seed(1)
    first = probabilities(**params)
    torch.manual_seed(2)
    np.testing.assert_array_equal(probabilities(**params), first)
    assert not np.array_equal(probabilities(**params, random_state=1), first)


def test_images_are_shuffled_in_each_epoch():
    batches = Batches()
    quick(batch_size=300, max_epochs=2, callbacks=[batches]).fit(BYTES, np.sort(LABELS))
    first, second = batches.trained
    assert first != second and sorted(first) == sorted(second) == sorted(LABELS)
    assert first != sorted(first) and second != sorted(second)


# ------------------------------------------------------------- validation images, early stopping


def test_nothing_is_held_out_by_default():
    batches = Batches()
    history = quick(batch_size=300, max_epochs=1, callbacks=[batches]).fit(BYTES, LABELS).history_
    assert [len(batch) for batch in batches.trained] == [300] and not batches.validated
    assert set(history[-1]) >= {"epoch", "train_loss", "lr", "dur"}
    assert not [name for name in history[-1] if name.startswith("valid")]


def test_early_stopping_holds_out_by_itself():
    batches = Batches()
    stopped = quick(early_stopping=True, n_iter_no_change=1, lr=0.5, lr_schedule=None)
    stopped.set_params(max_epochs=50, batch_size=300, callbacks=[batches]).fit(BYTES, LABELS)
    assert stopped.n_iter_ < 50
    assert {len(batch) for batch in batches.trained} == {270}
    assert {len(batch) for batch in batches.validated} == {30}
    assert {"valid_loss", "valid_acc"} <= set(stopped.history_[-1])


def test_skorchs_early_stopping_asks_for_validation_images():
    message = r"EarlyStopping\(monitor='valid_loss'\) needs validation images; set validation_frac"
    with pytest.raises(ValueError, match=message):
        quick(callbacks=[EarlyStopping()]).fit(BYTES, LABELS)


@pytest.mark.parametrize(
    ("y", "fraction", "message"),
    [
        (LABELS, 0.01, "0.01 of 300 images leaves 3 to validate on and 297 .* 10 classes; choose"),
        (LABELS, 0.99, "0.99 of 300 images leaves 297 to validate on and 3 to train on"),
        (np.arange(300) // 2 * 2, 0.1, "leaves 30 to validate on .* there are 150 classes"),
        (np.arange(300).clip(0, 2), 0.1, "2 of the 3 classes have one image only.*early_stopping"),
    ],
)
def test_too_few_images_to_hold_out(y, fraction, message):
    with pytest.raises(ValueError, match=message):
        quick(validation_fraction=fraction).fit(BYTES, y)


# ------------------------------------------------------------------------- callbacks and history


def test_the_progress_bar_prints_and_history_keeps_its_names(capsys, monkeypatch):
    monkeypatch.setattr(tqdm, "tqdm", partial(tqdm.tqdm, mininterval=0))  # shows every batch
    fitted = quick(callbacks=[ProgressBar()], validation_fraction=0.2, verbose=1)
    history = fitted.fit(BYTES, LABELS).history_
    printed = capsys.readouterr()
    assert "100%" in printed.err and "train_loss=" in printed.err
    for name in ("train_loss", "valid_loss", "valid_acc", "lr", "dur"):
        assert name in printed.out  # the table of skorch's PrintLog
        assert np.isfinite(history[:, name]).all() and len(history[:, name]) == 4


@pytest.mark.parametrize(
    "callbacks",
    [EarlyStopping(monitor="train_loss"), "disable", [3], [("a", "b")]],
    ids=["bare", "word", "number", "pair"],
)
def test_what_is_not_a_list_of_callbacks(callbacks):
    with pytest.raises(ValueError, match="callbacks must be a list of skorch callbacks"):
        quick(callbacks=callbacks).fit(BYTES, LABELS)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"criterion": nn.CrossEntropyLoss()}, "instance of CrossEntropyLoss; pass the class"),
        ({"optimizer": torch.optim.SGD([torch.ones(1)])}, "instance of SGD; pass the class, opt"),
        ({"optimizer": ["adam"]}, r"optimizer=\['adam'\] is unknown"),
    ],
    ids=["criterion", "optimizer", "list"],
)
def test_losses_and_optimizers_are_classes_too(params, message):
    with pytest.raises(ValueError, match=message):
        quick(**params).fit(BYTES, LABELS)


@pytest.mark.parametrize(
    ("schedule", "options", "message"),
    [
        ("step", {"milestones": (30, 60)}, r"milestones=\(30, 60\): .* must be places from 0 to 1"),
        ("step", {"milestones": 0.5}, "lr_schedule='step' does not take this: .*not iterable"),
        ("exponential", {"every": 10}, "every=10: every must be a share of the training, above 0"),
        ("exponential", {"every": 0}, "every=0: every must be a share of the training, above 0"),
        ("exponential", {"gamma": -1}, "gamma=-1: gamma must be a positive number"),
        ("one_cycle", {"warm_up": 5}, "warm_up=5: warm_up must be a share of the training"),
        ("one_cycle", {"warm_up": "5"}, "lr_schedule='one_cycle' does not take this: .*'str'"),
    ],
)
def test_schedules_count_in_shares_of_the_training_and_not_in_epochs(schedule, options, message):
    options = {f"lr_schedule__{name}": value for name, value in options.items()}
    with pytest.raises(ValueError, match=message):
        quick(lr_schedule=schedule, **options).fit(BYTES, LABELS)


@pytest.mark.parametrize("n_falls", [3, 5, 7, 10])
def test_rounding_does_not_delay_a_fall_of_the_rate(n_falls):
    """0.6 / 0.2 is less than 3 in floating point."""
    options = {"lr_schedule__every": 1 / n_falls, "lr_schedule__per": "epoch"}
    fitted = quick(lr_schedule="exponential", lr=1.0, max_epochs=n_falls, **options)
    history = fitted.set_params(batch_size=300, optimizer="sgd").fit(BYTES, LABELS).history_
    np.testing.assert_allclose(history[:, "lr"], 0.1 ** np.arange(n_falls), rtol=1e-6)


# ------------------------------------------------------------------------------ copies and files


def test_checkpoints_of_folds_do_not_overwrite_each_other(tmp_path):
    """In test_resuming.py the folds also run at the same time."""
    grid = {"lr": [0.01, 0.02]}
    search = GridSearchCV(quick(checkpoint=tmp_path, max_epochs=2), grid, cv=2)
    expected = GridSearchCV(quick(max_epochs=2), grid, cv=2).fit(BYTES, LABELS).cv_results_
    for _ in range(2):  # the second time everything comes from the files
        found = search.fit(BYTES, LABELS).cv_results_
        np.testing.assert_array_equal(found["mean_test_score"], expected["mean_test_score"])
        assert len(list(tmp_path.iterdir())) == 5  # four fits, and the refit


@pytest.mark.parametrize("travel", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_a_fitted_search_can_be_copied_and_cloned(travel):
    search = GridSearchCV(quick(), {"lr": [0.01, 0.02]}, cv=2).fit(BYTES, LABELS)
    expected = search.predict_proba(BYTES)
    arrived = travel(search)
    np.testing.assert_array_equal(arrived.predict_proba(BYTES), expected)
    again = clone(arrived)
    assert not hasattr(again, "best_estimator_")
    np.testing.assert_array_equal(again.fit(BYTES, LABELS).predict_proba(BYTES), expected)


def test_a_pickle_holds_neither_optimizer_nor_batches_nor_a_device():
    fitted = quick("mlp", batch_size=5, max_epochs=10).fit(BYTES, LABELS)
    n_bytes, data = sum(p.nbytes for p in fitted.module_.parameters()), pickle.dumps(fitted)
    assert len(data) < n_bytes + 8_000  # Adam's two moments would make it three times that
    assert b"torch" not in data and b"cuda" not in data
    assert len(fitted.history_[:, "batches"][0]) == 60


def test_what_was_trained_on_a_gpu_loads_where_there_is_none(tmp_path):
    fitted = quick("lenet", max_epochs=1).fit(BYTES, LABELS)
    assert next(fitted.module_.parameters()).is_cuda == torch.cuda.is_available()
    (tmp_path / "classifier.pickle").write_bytes(pickle.dumps(fitted))
    np.save(tmp_path / "images.npy", BYTES)
    code = (
        "import pickle, sys, numpy as np; from pathlib import Path; folder = Path(sys.argv[1])\n"
        "classifier = pickle.loads((folder / 'classifier.pickle').read_bytes())\n"
        "import torch; assert not torch.cuda.is_available()\n"
        "probabilities = classifier.predict_proba(np.load(folder / 'images.npy'))\n"
        "np.save(folder / 'probabilities.npy', probabilities)"
    )
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, env=environment)
    found = np.load(tmp_path / "probabilities.npy")
    np.testing.assert_allclose(found, fitted.predict_proba(BYTES), atol=1e-3)


# ---------------------------------------------------------------------------- jobs that share a GPU


def test_jobs_that_share_a_gpu_are_warned_of_before_they_start(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is computed on a GPU that is not there
        with pytest.raises(UserWarning, match=r"share the GPU cuda.* use n_jobs=1"):
            Parallel(2, backend="threading")(delayed(quick().fit)(BYTES, LABELS) for _ in range(2))
