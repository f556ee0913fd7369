"""skorch's callbacks through CNNClassifier."""

import threading

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    Freezer,
    GradientNormClipping,
    Initializer,
    LRScheduler,
    ProgressBar,
    TrainEndCheckpoint,
)

from visionpipe.deep.classifier import CNNClassifier
from visionpipe.networks.softmax import SoftmaxRegression

DIGITS = load_digits()
IMAGES, LABELS = DIGITS.images[:200] / 16, DIGITS.target[:200]


def quick(callbacks, **params):
    params = {"max_epochs": 4, "lr": 0.02, "random_state": 0} | params
    return CNNClassifier("softmax", callbacks=callbacks, **params)


class Counter(Callback):
    """Counts what it hears of, from its construction on."""

    def __init__(self):
        self.epochs_ = []

    def on_epoch_end(self, net, **kwargs):
        self.epochs_.append(net.history[-1, "train_loss"])


class Connected(Callback):
    """Holds what cannot be copied, as TensorBoard holds a file."""

    def __init__(self, lock, losses):
        self.lock, self.losses = lock, losses

    def on_epoch_end(self, net, **kwargs):
        self.n_epochs = len(net.history)
        self.losses.append(net.history[-1, "train_loss"])


def test_early_stopping():
    stopping = EarlyStopping(patience=2, threshold=0.9)  # no loss improves by 90 % an epoch
    stopped = quick([stopping], max_epochs=50, lr_schedule=None, validation_fraction=0.2)
    assert stopped.fit(IMAGES, LABELS).n_iter_ < 6
    assert stopped.predict(IMAGES).shape == (200,)


def test_early_stopping_brings_the_best_weights_back():
    best = quick(
        [EarlyStopping(patience=3, load_best=True)],
        max_epochs=60,
        lr=0.5,
        lr_schedule=None,
        validation_fraction=0.3,
    ).fit(IMAGES, LABELS)
    _, valid = best.net_.train_split(best.net_.get_dataset(IMAGES), None)
    score = best.score(IMAGES[valid.indices], LABELS[valid.indices])
    losses = best.history_[:, "valid_loss"]
    assert np.argmin(losses) < len(losses) - 1
    assert score == pytest.approx(best.history_[int(np.argmin(losses)), "valid_acc"])


@pytest.mark.parametrize(
    "callback",
    [EarlyStopping(), EarlyStopping, ("stop", EarlyStopping(monitor="valid_acc")), Checkpoint()],
)
def test_a_monitor_that_nobody_feeds(callback):
    message = r"\(monitor='valid_\w+'\) needs validation images; set validation_fraction"
    with pytest.raises(ValueError, match=message):
        quick([callback]).fit(IMAGES, LABELS)


def test_monitors_of_the_training_loss_need_no_validation():
    quick([EarlyStopping(monitor="train_loss", patience=3)]).fit(IMAGES, LABELS)


def test_two_masters_of_the_learning_rate():
    with pytest.raises(ValueError, match="an LRScheduler and lr_schedule='one_cycle' would both"):
        quick([LRScheduler("StepLR", step_size=1)]).fit(IMAGES, LABELS)
    fitted = quick([LRScheduler("StepLR", step_size=1)], lr_schedule=None).fit(IMAGES, LABELS)
    assert fitted.history_[:, "event_lr"] == pytest.approx([0.02, 0.002, 0.0002, 0.00002])


def test_scores_of_epochs_and_batches():
    callbacks = [
        EpochScoring("f1_macro", name="valid_f1", lower_is_better=False),
        ("train_acc", EpochScoring("accuracy", on_train=True, lower_is_better=False)),
        ("uncached", EpochScoring("accuracy", name="again", use_caching=False)),
        BatchScoring("accuracy", name="batch_acc", on_train=True),
    ]
    history = quick(callbacks, validation_fraction=0.2).fit(IMAGES, LABELS).history_
    assert {"valid_f1", "accuracy", "batch_acc", "again"} <= set(history[-1])
    assert history[:, "again"] == history[:, "valid_acc"]
    assert history[-1, "accuracy"] > 0.8


def test_checkpoints(tmp_path):
    callbacks = [
        Checkpoint(monitor="valid_loss_best", dirname=tmp_path / "best", load_best=True),
        TrainEndCheckpoint(dirname=tmp_path / "end"),
    ]
    quick(callbacks, validation_fraction=0.2).fit(IMAGES, LABELS)
    assert (tmp_path / "best" / "params.pt").exists()
    assert (tmp_path / "end" / "train_end_optimizer.pt").exists()


def test_callbacks_that_touch_the_network(capsys):
    callbacks = [
        Initializer("*weight", fn=torch.nn.init.zeros_),
        Freezer("*weight"),
        GradientNormClipping(1.0),
        ProgressBar(),
    ]
    fitted = quick(callbacks).fit(IMAGES, LABELS)
    assert not fitted.module_.dense.weight.any() and fitted.module_.dense.bias.any()


def test_parameters_of_callbacks():
    fitted = quick(
        [("stop", EarlyStopping(monitor="train_loss"))],
        max_epochs=30,
        callbacks__stop__patience=1,
        callbacks__stop__threshold=0.9,
    )
    assert fitted.fit(IMAGES, LABELS).n_iter_ == 2
    assert fitted.set_params(callbacks__stop__patience=3).fit(IMAGES, LABELS).n_iter_ == 4


@pytest.mark.parametrize("wrap", [lambda c: c, lambda c: ("named", c)], ids=["bare", "named"])
def test_callbacks_stay_as_they_were_given(wrap):
    counter, initializer = Counter(), Initializer("*weight", fn=torch.nn.init.zeros_)
    classifier = quick([wrap(counter), initializer])
    classifier.fit(IMAGES, LABELS).fit(IMAGES, LABELS)
    cross_val_score(clone(classifier), IMAGES, LABELS, cv=2, error_score="raise")
    assert counter.epochs_ == [] and initializer.at == 1 and initializer.patterns == "*weight"
    used = dict(classifier.net_.callbacks_)[
        "named" if isinstance(wrap(counter), tuple) else "Counter"
    ]
    assert len(used.epochs_) == 4


@pytest.mark.parametrize("wrap", [lambda c: c, lambda c: ("named", c)], ids=["bare", "named"])
def test_callbacks_that_cannot_be_copied_in_depth(wrap):
    connected = Connected(threading.Lock(), [])
    quick([wrap(connected)]).fit(IMAGES, LABELS)
    assert len(connected.losses) == 4 and not hasattr(connected, "n_epochs")


def test_losses_seen_during_an_epoch_behave_as_numbers():
    class Reader(Callback):
        def __init__(self, found):
            self.found = found

        def __deepcopy__(self, memo):
            return self

        def on_batch_end(self, net, training=False, **kwargs):
            loss = net.history[-1, "batches", -1, "train_loss"]
            self.found.append((f"{loss:.4f}", loss < 100, float(loss)))

    found = []
    fitted = quick([Reader(found)], max_epochs=1).fit(IMAGES, LABELS)
    losses = fitted.history_[0, "batches", :, "train_loss"]
    assert found == [(f"{loss:.4f}", True, loss) for loss in losses]


def test_an_epoch_that_is_cut_off_leaves_numbers():
    class Stopper(Callback):
        def on_batch_end(self, net, **kwargs):
            if len(net.history[-1, "batches"]) == 3:
                raise KeyboardInterrupt

    history = quick([Stopper()]).fit(IMAGES, LABELS).history_
    assert [type(loss) for loss in history[0, "batches", :, "train_loss"]] == [float] * 3


def test_ctrl_c_leaves_no_network_trained_by_half():
    class Interrupted(SoftmaxRegression):
        def forward(self, x):
            raise KeyboardInterrupt

    classifier = CNNClassifier(Interrupted, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(IMAGES, LABELS)
    assert not hasattr(classifier, "net_")
