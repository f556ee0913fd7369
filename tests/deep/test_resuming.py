"""CNNClassifier(checkpoint=DIR): whoever is interrupted ends where the uninterrupted do."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, EarlyStopping
from torch import nn

from visionpipe.deep.classifier import CNNClassifier
from visionpipe.deep.data import labels
from visionpipe.deep.data.augmentation import Augmentation

ROOT = Path(__file__).resolve().parents[2]
DIGITS = load_digits()
BYTES = (DIGITS.images * 15).astype(np.uint8)[:200]  # (n, 8, 8)
LABELS = DIGITS.target[:200]


class Eventful(nn.Sequential):
    """With all that has a state: dropout, batch statistics, several layers."""

    def __init__(self, *, n_channels, image_size, n_classes):
        super().__init__(
            nn.Conv2d(n_channels, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(4 * (image_size[0] - 2) * (image_size[1] - 2), n_classes),
        )


class Interrupt(Callback):
    """Stop in the middle of an epoch, as Ctrl-C or the end of a job would."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_batch_end(self, net, training=False, **kwargs):
        if training and len(net.history) == self.epoch and len(net.history[-1]["batches"]) == 2:
            raise RuntimeError("the power failed")


def classifier(folder=None, *, interrupt=None, **params):
    callbacks = [Interrupt(interrupt)] if interrupt else None
    defaults = {"max_epochs": 6, "lr": 0.01, "random_state": 0, "checkpoint": folder}
    return CNNClassifier(Eventful, callbacks=callbacks, **defaults | params)


def assert_same(one, other):
    for name, value in one.module_.state_dict().items():
        assert torch.equal(value, other.module_.state_dict()[name]), name
    for key in ("epoch", "train_loss"):
        assert one.history_[:, key] == other.history_[:, key]


class Fixed(np.random.RandomState):
    """Draws one number, always."""

    def __init__(self, number):
        super().__init__(0)
        self.number = number

    def randint(self, *args, **kwargs):
        return self.number


EVERYTHING = {
    "augmentation": Augmentation(mirror="alternating", shift=1, noise=0.1),
    "ema_decay": 0.9,
    "validation_fraction": 0.2,
    "early_stopping": True,
    "n_iter_no_change": 4,
    "clip_grad_norm": 1.0,
    "crop_size": 7,
    "class_weight": "balanced",
}


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"optimizer": "sgd", "lr_schedule": "step"},
        {"optimizer": "muon"},
        {"lr_schedule": "cosine", "lr_schedule__per": "epoch"},
        EVERYTHING,
    ],
    ids=["defaults", "sgd", "muon", "epochs", "everything"],
)
@pytest.mark.parametrize("interrupt", [1, 2, 5])
def test_interrupted_and_begun_again(tmp_path, params, interrupt):
    expected = classifier(**params).fit(BYTES, LABELS)
    with pytest.raises(RuntimeError, match="the power failed"):
        classifier(tmp_path, interrupt=interrupt, **params).fit(BYTES, LABELS)
    resumed = classifier(tmp_path, **params).fit(BYTES, LABELS)
    assert_same(resumed, expected)
    assert resumed.n_iter_ == expected.n_iter_
    assert len(list(tmp_path.iterdir())) == 1


def count_epochs(folder, **params):
    class Count(Callback):
        def __deepcopy__(self, memo):
            return self

        n = 0

        def on_epoch_begin(self, net, **kwargs):
            self.n += 1

    count = Count()
    fitted = classifier(folder, **params).set_params(callbacks=[count]).fit(BYTES, LABELS)
    return count.n, fitted


def test_what_has_ended_is_not_trained_again(tmp_path):
    first = classifier(tmp_path).fit(BYTES, LABELS)
    n, again = count_epochs(tmp_path)
    assert n == 0
    assert_same(again, first)


def test_neither_is_what_stopped_early(tmp_path):
    params = {"early_stopping": True, "n_iter_no_change": 1, "lr": 0.3, "max_epochs": 50}
    params |= {"lr_schedule": None}
    first = classifier(tmp_path, **params).fit(BYTES, LABELS)
    assert first.n_iter_ < 50
    n, again = count_epochs(tmp_path, **params)
    assert n == 0
    assert_same(again, first)


def test_nor_what_a_callback_stopped(tmp_path):
    stopping = EarlyStopping(monitor="train_loss", patience=1, threshold=0.9)
    first = classifier(tmp_path).set_params(callbacks=[stopping]).fit(BYTES, LABELS)
    assert first.n_iter_ < 6
    n, again = count_epochs(tmp_path)
    assert n == 0 and again.n_iter_ == first.n_iter_


@pytest.mark.parametrize(
    "change",
    [
        {"lr": 0.02},
        {"max_epochs": 7},
        {"random_state": 1},
        {"augmentation": Augmentation(shift=2)},
        {"optimizer__weight_decay": 0.1},
        "images",
        "labels",
        "weights",
    ],
    ids=str,
)
def test_another_training_begins_at_the_start(tmp_path, change):
    classifier(tmp_path).fit(BYTES, LABELS)
    images, y = BYTES.copy(), LABELS.copy()
    weights = np.ones(200) if change != "weights" else np.linspace(1, 2, 200)
    images[3, 3, 3] += change == "images"
    y[5] = (y[5] + (change == "labels")) % 10
    params = change if isinstance(change, dict) else {}
    other = classifier(tmp_path, **params).fit(
        images, y, *([weights] if change == "weights" else [])
    )
    assert len(list(tmp_path.iterdir())) == 2
    expected = classifier(**params).fit(images, y, *([weights] if change == "weights" else []))
    assert_same(other, expected)


def test_what_does_not_decide_does_not_matter(tmp_path):
    classifier(tmp_path).fit(BYTES, LABELS)
    n, _ = count_epochs(tmp_path, verbose=0, device="cpu")
    assert n == 0


def test_a_seed_that_was_drawn_is_kept(tmp_path):
    with pytest.raises(RuntimeError, match="the power failed"):
        classifier(tmp_path, interrupt=3, random_state=None, validation_fraction=0.2).fit(
            BYTES, LABELS
        )
    n, resumed = count_epochs(tmp_path, random_state=None, validation_fraction=0.2)
    assert n == 4 and resumed.n_iter_ == 6
    expected = labels.held_out(0.2, LABELS, resumed.net_.training_.seed)
    np.testing.assert_array_equal(resumed.net_.train_split.keywords["valid"], expected["valid"])
    expected = classifier(random_state=Fixed(resumed.net_.training_.seed), validation_fraction=0.2)
    assert_same(resumed, expected.fit(BYTES, LABELS))


def test_parallel_fits_have_folders_of_their_own(tmp_path):
    grid = {"lr": [0.01, 0.02]}
    search = GridSearchCV(classifier(tmp_path, max_epochs=2), grid, cv=2, n_jobs=2)
    search.fit(BYTES, LABELS)
    alone = GridSearchCV(classifier(max_epochs=2), grid, cv=2).fit(BYTES, LABELS)
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"]
    )
    assert len(list(tmp_path.iterdir())) == 5  # four fits, and the refit
    assert_same(search.best_estimator_, alone.best_estimator_)


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[2])
from test_resuming import BYTES, LABELS, long_training
import torch
torch.set_num_threads(1)
long_training(sys.argv[1]).fit(BYTES, LABELS)
"""


def long_training(folder=None):
    return classifier(folder, max_epochs=120, batch_size=20)


def test_killed_and_started_again(tmp_path):
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), str(Path(__file__).parent)]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)})
    while process.poll() is None and len(set(tmp_path.glob("*/epoch-*"))) < 2:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL  # it had not ended
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert_same(*(long_training(folder).fit(BYTES, LABELS) for folder in (tmp_path, None)))
    finally:
        torch.set_num_threads(threads)


def test_a_damaged_checkpoint_is_set_aside(tmp_path):
    expected = classifier().fit(BYTES, LABELS)
    with pytest.raises(RuntimeError, match="the power failed"):
        classifier(tmp_path, interrupt=5).fit(BYTES, LABELS)
    last = max(tmp_path.glob("*/epoch-*"))
    last.write_bytes(last.read_bytes()[:-100])
    with pytest.warns(UserWarning, match="epoch-000004.* cannot be used.* set aside"):
        resumed = classifier(tmp_path).fit(BYTES, LABELS)
    assert_same(resumed, expected)


def test_a_folder_that_cannot_be_used(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="checkpoint=.*file.* cannot be used"):
        classifier(tmp_path / "file").fit(BYTES, LABELS)


def test_a_folder_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    classifier("~/states", max_epochs=1).fit(BYTES, LABELS)
    assert len(list((tmp_path / "states").iterdir())) == 1


def test_warm_starts_are_told_apart(tmp_path):
    warm = classifier(tmp_path, warm_start=True, max_epochs=2)
    first = warm.fit(BYTES, LABELS).history_[:, "train_loss"]
    second = warm.fit(BYTES, LABELS).history_[:, "train_loss"]
    assert second[0] < first[0] and len(list(tmp_path.iterdir())) == 2
