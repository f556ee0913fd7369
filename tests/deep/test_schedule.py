"""The one-cycle learning rate."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from skorch.callbacks import Callback

from visionpipe.deep.classifier import CNNClassifier

DIGITS = load_digits()
IMAGES, LABELS = DIGITS.images[:200] / 16, DIGITS.target[:200]


class Rates(Callback):
    """Writes each training step's learning rates to its own list."""

    def __init__(self, found):
        self.found = found

    def __deepcopy__(self, memo):
        return self  # the copy that is used writes to the test's list

    def on_grad_computed(self, net, named_parameters, **kwargs):
        self.found.append([group["lr"] for group in net.optimizer_.param_groups])


def rates(**params):
    found = []
    params = {"lr": 0.01, "max_epochs": 5, "batch_size": 20, "random_state": 0} | params
    CNNClassifier("softmax", callbacks=[Rates(found)], **params).fit(IMAGES, LABELS)
    return np.array(found)


@pytest.mark.parametrize("validation_fraction", [None, 0.2])
def test_one_rise_to_lr_and_one_fall(validation_fraction):
    found = rates(validation_fraction=validation_fraction)[:, 0]
    n_steps = 5 * (10 if validation_fraction is None else 8)
    assert len(found) == n_steps
    top = found.argmax()
    assert found[top] == 0.01 and top + 1 == round(0.15 * n_steps)
    assert (np.diff(found[: top + 1]) > 0).all() and (np.diff(found[top:]) < 0).all()
    assert 0 < found[0] < 0.01 / 4 and 0 < found[-1] < 0.01 / 100


def test_none_keeps_the_rate():
    assert (rates(lr_schedule=None) == 0.01).all()


def test_groups_keep_their_proportions():
    found = rates(optimizer__param_groups=[("*bias", {"lr": 0.03})])
    assert found.max(axis=0).tolist() == [0.03, 0.01]
    np.testing.assert_allclose(found[:, 0], 3 * found[:, 1])


def test_a_single_step_takes_lr():
    assert rates(max_epochs=1, batch_size=200).tolist() == [[0.01]]


def test_each_fit_starts_anew():
    found = []
    classifier = CNNClassifier("softmax", max_epochs=2, callbacks=[Rates(found)], random_state=0)
    classifier.fit(IMAGES, LABELS).fit(IMAGES, LABELS)
    half = len(found) // 2
    assert found[:half] == found[half:]


def test_unknown_schedule():
    with pytest.raises(ValueError, match="lr_schedule='cosine' is unknown.*'one_cycle' or None"):
        rates(lr_schedule="cosine")
