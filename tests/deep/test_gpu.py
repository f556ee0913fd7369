"""CNNClassifier on a CUDA GPU; the rest of the suite runs there as well, with device="auto"."""

import copy

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from skorch.callbacks import Callback

from visionpipe.deep.classifier import CNNClassifier
from visionpipe.deep.data import pixels as pixels_module
from visionpipe.deep.data.augmentation import Augmentation

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

DIGITS = load_digits()
BYTES = (DIGITS.images * 15).astype(np.uint8)[:600]  # (n, 8, 8)
LABELS = DIGITS.target[:600]


def lenet(**params):
    defaults = {"max_epochs": 8, "device": "cuda", "random_state": 0}
    return CNNClassifier("lenet", **defaults | params)


class NoWaiting(Callback):
    """Between the first batch and the last, torch raises an error if the host waits for the GPU."""

    def on_batch_end(self, net, training=False, **kwargs):
        if training and len(net.history[-1]["batches"]) == 1:
            torch.cuda.set_sync_debug_mode("error")
        if len(net.history[-1]["batches"]) == 5:
            torch.cuda.set_sync_debug_mode("default")

    def on_train_end(self, net, **kwargs):
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize(
    "params",
    [
        {},
        {
            "augmentation": Augmentation(
                mirror="alternating", shift=2, rotate=5, cutout=2, brightness=0.1, noise=0.01
            ),
            "ema_decay": 0.9,
            "clip_grad_norm": 1.0,
            "crop_size": 7,
            "class_weight": "balanced",
        },
        {"optimizer": "muon", "lr": 0.05},
    ],
    ids=["defaults", "everything", "muon"],
)
def test_nothing_waits_for_the_gpu_within_an_epoch(params):
    fitted = lenet(batch_size=100, callbacks=[NoWaiting()], **params).fit(BYTES, LABELS)
    assert fitted.score(BYTES, LABELS) > 0.5


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "auto"])
def test_about_as_good_as_on_a_cpu(precision):
    on_gpu = lenet(precision=precision).fit(BYTES, LABELS)
    on_cpu = lenet(device="cpu").fit(BYTES, LABELS)
    difference = on_gpu.score(BYTES, LABELS) - on_cpu.score(BYTES, LABELS)
    assert abs(difference) < 0.02
    moved = copy.deepcopy(on_gpu).set_params(device="cpu")
    assert np.mean(moved.predict(BYTES) == on_gpu.predict(BYTES)) > 0.99


def test_images_that_do_not_fit_stay_with_the_host(monkeypatch):
    expected = lenet(precision="float32").fit(BYTES, LABELS).predict_proba(BYTES)
    monkeypatch.setattr(pixels_module, "_SHARE_OF_GPU", 0)
    with pytest.warns(UserWarning, match="keeps the images in the host's memory"):
        pinned = lenet(precision="float32").fit(BYTES, LABELS)
    np.testing.assert_allclose(pinned.predict_proba(BYTES), expected, atol=0.02)
