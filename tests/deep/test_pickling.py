"""A fitted CNNClassifier travels light: weights as arrays, nothing of its training, no device."""

import copy
import pickle
import pickletools
import subprocess
import sys

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from skorch.callbacks import EarlyStopping
from torch import nn

from visionpipe.deep.classifier import CNNClassifier

DIGITS = load_digits()
IMAGES, LABELS = DIGITS.images[:150] / 16, np.array(["a", "b", "c"])[DIGITS.target[:150] % 3]


class Normed(nn.Sequential):
    """With buffers, and with weights in bfloat16, which numpy does not know."""

    def __init__(self, *, n_channels, image_size, n_classes):
        n_pixels = n_channels * image_size[0] * image_size[1]
        dense = nn.Linear(n_pixels, n_classes)
        super().__init__(nn.Flatten(), nn.BatchNorm1d(n_pixels), dense)
        self.register_buffer("scale", torch.full((), 0.7).bfloat16())

    def forward(self, x):
        return super().forward(x) * self.scale.float()


def fitted(module="lenet", **params):
    params = {"max_epochs": 2, "random_state": 0} | params
    return CNNClassifier(module, **params).fit(IMAGES, LABELS)


def through_joblib(classifier, tmp_path, **load_options):
    joblib.dump(classifier, tmp_path / "classifier.joblib")
    return joblib.load(tmp_path / "classifier.joblib", **load_options)


@pytest.mark.parametrize("module", ["lenet", "mlp", Normed])
@pytest.mark.parametrize(
    "travel",
    [
        lambda c, _: pickle.loads(pickle.dumps(c)),
        lambda c, _: pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(c)))),
        lambda c, _: copy.deepcopy(c),
        lambda c, _: copy.copy(c),
        through_joblib,
        lambda c, path: through_joblib(c, path, mmap_mode="r"),
    ],
    ids=["pickle", "pickle twice", "deepcopy", "copy", "joblib", "memory map"],
)
@pytest.mark.filterwarnings("error")
def test_predictions_stay_bit_for_bit(module, travel, tmp_path):
    classifier = fitted(module)
    state = torch.get_rng_state()
    arrived = travel(classifier, tmp_path)
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(arrived.predict(IMAGES), classifier.predict(IMAGES))
    np.testing.assert_array_equal(arrived.predict_proba(IMAGES), classifier.predict_proba(IMAGES))
    assert arrived.image_shape_in_ == (8, 8, 1) and arrived.n_iter_ == 2
    assert arrived.history_[:, "train_loss"] == classifier.history_[:, "train_loss"]
    assert arrived.get_params() == classifier.get_params()


def test_a_pickle_holds_weights_and_little_else():
    classifier = fitted(max_epochs=10, batch_size=10)
    assert classifier.net_.optimizer_.state  # there was something to leave behind
    data = pickle.dumps(classifier)
    n_bytes = sum(p.numel() * p.element_size() for p in classifier.module_.parameters())
    assert n_bytes < len(data) < n_bytes + 8_000
    words = {arg for _, arg, _ in pickletools.genops(data) if isinstance(arg, str)}
    assert not [word for word in words if "torch" in word or "skorch" in word]
    assert "visionpipe.deep.classifier" in words


def test_a_pickle_loads_in_a_fresh_process(tmp_path):
    classifier = fitted("mlp", module__hidden=(7,), validation_fraction=0.2)
    (tmp_path / "classifier.pickle").write_bytes(pickle.dumps(classifier))
    np.save(tmp_path / "images.npy", IMAGES)
    code = (
        "import pickle, sys, numpy as np; from pathlib import Path; folder = Path(sys.argv[1])\n"
        "classifier = pickle.loads((folder / 'classifier.pickle').read_bytes())\n"
        "import torch; torch.set_num_threads(int(sys.argv[2]))\n"
        "images = np.load(folder / 'images.npy')\n"
        "sys.stdout.buffer.write(classifier.predict_proba(images).tobytes())"
    )
    command = [sys.executable, "-c", code, str(tmp_path), str(torch.get_num_threads())]
    output = subprocess.run(command, check=True, capture_output=True).stdout
    assert output == classifier.predict_proba(IMAGES).tobytes()


def test_parameters_changed_after_fit_do_not_change_the_loaded_network():
    classifier = fitted("mlp", module__hidden=(7,))
    expected = classifier.predict_proba(IMAGES)
    classifier.set_params(module="lenet", module__hidden=(3,))
    arrived = pickle.loads(pickle.dumps(classifier))
    np.testing.assert_array_equal(arrived.predict_proba(IMAGES), expected)


def test_a_loaded_classifier_can_be_fitted_and_cloned():
    stopping = EarlyStopping(monitor="train_loss")
    classifier = fitted("softmax", callbacks=[stopping])
    arrived = pickle.loads(pickle.dumps(classifier))
    expected = classifier.predict_proba(IMAGES)
    np.testing.assert_array_equal(arrived.fit(IMAGES, LABELS).predict_proba(IMAGES), expected)
    again = clone(arrived)
    assert not hasattr(again, "net_") and not hasattr(again, "module_")
    np.testing.assert_array_equal(again.fit(IMAGES, LABELS).predict_proba(IMAGES), expected)


def test_an_unfitted_one_travels_too():
    arrived = pickle.loads(pickle.dumps(CNNClassifier("mlp", module__hidden=(3,))))
    assert arrived.get_params()["module__hidden"] == (3,)
    with pytest.raises(NotFittedError):
        arrived.predict(IMAGES)


def test_the_device_is_looked_up_again_in_prediction():
    classifier = fitted("softmax")
    assert classifier.device == "auto"
    arrived = pickle.loads(pickle.dumps(classifier.set_params(device="cuda:99")))
    with pytest.raises(ValueError, match="device='cuda:99' was asked for"):
        arrived.predict(IMAGES)
    assert arrived.set_params(device="cpu").predict(IMAGES).shape == (150,)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_trained_on_a_gpu_predicts_on_the_cpu():
    classifier = fitted()
    assert next(classifier.module_.parameters()).is_cuda
    arrived = pickle.loads(pickle.dumps(classifier)).set_params(device="cpu")
    assert not next(arrived.module_.parameters()).is_cuda
    expected = classifier.predict_proba(IMAGES)
    np.testing.assert_allclose(arrived.predict_proba(IMAGES), expected, atol=1e-4)
