"""random_state decides everything, and nobody else's generator notices."""
# ruff: noqa: NPY002 (numpy's old global generator is what some of these tests look at)

import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from visionpipe.deep.classifier import CNNClassifier

DIGITS = load_digits()
IMAGES, LABELS = DIGITS.images[:150] / 16, DIGITS.target[:150]
PARAMS = {"max_epochs": 3, "module__dropout": 0.3, "validation_fraction": 0.2}


def probabilities(random_state=0):
    mlp = CNNClassifier("mlp", random_state=random_state, **PARAMS)
    return mlp.fit(IMAGES, LABELS).predict_proba(IMAGES)


def test_the_same_seed_gives_the_same_bits():
    first = probabilities()
    torch.rand(17)
    np.random.rand(17)
    np.testing.assert_array_equal(probabilities(), first)


def test_the_same_seed_gives_the_same_bits_in_another_process():
    code = (
        "import sys; from sklearn.datasets import load_digits\n"
        "from visionpipe.deep.classifier import CNNClassifier\n"
        "import torch; torch.set_num_threads(int(sys.argv[1]))\n"
        "d = load_digits(); X, y = d.images[:150] / 16, d.target[:150]\n"
        f"mlp = CNNClassifier('mlp', random_state=0, **{PARAMS!r}).fit(X, y)\n"
        "sys.stdout.buffer.write(mlp.predict_proba(X).tobytes())"
    )
    command = [sys.executable, "-c", code, str(torch.get_num_threads())]
    output = subprocess.run(command, check=True, capture_output=True).stdout
    assert output == probabilities().tobytes()


def test_another_seed_gives_another_network():
    assert not np.array_equal(probabilities(0), probabilities(1))


def test_weights_order_and_dropout_all_follow_the_seed():
    """Each of the three alone would tell two seeds apart."""
    for params in ({"max_epochs": 1, "batch_size": 150}, {"module": "softmax", "batch_size": 10}):
        results = []
        for seed in (0, 0, 1):
            classifier = CNNClassifier(**{"module": "mlp", "random_state": seed} | params)
            results.append(classifier.fit(IMAGES, LABELS).predict_proba(IMAGES))
        assert np.array_equal(results[0], results[1])
        assert not np.array_equal(results[0], results[2])


def test_random_state_instances_move_on():
    rng = np.random.RandomState(0)
    first, second = probabilities(rng), probabilities(rng)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(probabilities(np.random.RandomState(0)), first)


def test_none_follows_numpys_global_generator():
    np.random.seed(3)
    first = probabilities(None)
    assert not np.array_equal(probabilities(None), first)
    np.random.seed(3)
    np.testing.assert_array_equal(probabilities(None), first)


@pytest.mark.parametrize("random_state", [0, np.random.RandomState(0)])
def test_the_callers_generators_are_left_alone(random_state):
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), np.random.get_state()[2]
    probabilities(random_state)
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])
    assert np.random.get_state()[2] == before[2]


def test_also_when_training_fails():
    before = torch.get_rng_state()
    with pytest.raises(ValueError, match="diverged"):
        CNNClassifier("mlp", optimizer="sgd", lr=1e30, lr_schedule=None).fit(IMAGES, LABELS)
    assert torch.equal(torch.get_rng_state(), before)
