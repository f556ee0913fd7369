"""Learning rates over a training."""

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


def share(name, n_epochs=4, n_batches=3, per="batch", **options):
    """The rates of a training, as shares of the highest."""
    options = {f"lr_schedule__{option}": value for option, value in options.items()}
    batch_size = -(-len(IMAGES) // n_batches)
    params = {"max_epochs": n_epochs, "batch_size": batch_size, "lr_schedule": name, **options}
    return rates(**params, lr_schedule__per=per)[:, 0] / 0.01


T = np.arange(12) / 12  # the places of twelve steps
FALL = (1 + np.cos(np.pi * np.arange(9) / 9)) / 2


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("cosine", {}, (1 + np.cos(np.pi * T)) / 2),
        ("linear", {}, 1 - T),
        ("step", {}, [1] * 6 + [0.1] * 3 + [0.01] * 3),
        ("step", {"gamma": 0.5, "milestones": (0.25,)}, [1] * 3 + [0.5] * 9),
        ("exponential", {}, [1] * 4 + [0.1] * 4 + [0.01] * 4),
        ("exponential", {"staircase": False, "every": 0.5, "gamma": 0.25}, 0.25 ** (2 * T)),
        ("linear", {"warm_up": 1 / 3}, [0.25, 0.5, 0.75, 1, *(1 - np.arange(1, 9) / 9)]),
        ("one_cycle", {"warm_up": 1 / 3}, [1 / 4, 1 / 2, 3 / 4, *FALL]),
    ],
)
def test_shares(name, options, expected):
    np.testing.assert_allclose(share(name, **options), expected, rtol=1e-6)


def test_a_rate_for_each_epoch():
    expected = np.repeat((1 + np.cos(np.pi * np.arange(4) / 4)) / 2, 3)
    np.testing.assert_allclose(share("cosine", per="epoch"), expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["constant", None])
def test_constant(name):
    assert (rates(lr_schedule=name) == 0.01).all()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"lr_schedule": "cosin"}, "'cosin' is unknown.*'constant', 'cosine', .*'step' or None"),
        ({"lr_schedule__per": "step"}, "lr_schedule__per='step' is unknown; use 'batch' or"),
        ({"lr_schedule__gamma": 0.1}, "lr_schedule='one_cycle' does not take this: .*gamma"),
        ({"lr_schedule": None, "lr_schedule__gamma": 1}, "lr_schedule=None takes no options"),
    ],
)
def test_bad_schedules(params, message):
    with pytest.raises(ValueError, match=message):
        rates(**params)
