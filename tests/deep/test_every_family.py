"""One network of each family, through CNNClassifier: equal under a seed, cloned and pickled."""

import io

import joblib
import numpy as np
import pytest
from sklearn.base import clone

from visionpipe.deep.classifier import CNNClassifier

FAMILIES = {  # name: pixels a side, options
    "airbench": (9, {}),
    "alexnet": (36, {"hidden": 8}),
    "capsnet": (17, {}),
    "cifarnet": (8, {}),
    "fmp": (12, {}),
    "googlenet": (31, {}),
    "inception_v3": (75, {}),
    "lenet": (8, {}),
    "lenet5_1998": (8, {}),
    "maxout_mnist": (16, {}),
    "mlp": (8, {"activation": "maxout", "dropout": 0.5, "drop_connect": 0.5}),
    "nin": (8, {}),
    "resnet18": (16, {}),
    "resnet20": (8, {}),
    "se_resnet50": (16, {}),
    "small_cnn": (12, {}),
    "softmax": (8, {}),
    "vgg11_lrn": (32, {"hidden": 8}),
    "zfnet": (47, {"hidden": 8}),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_seed_decides_and_pickles_predict_the_same(name):
    side, options = FAMILIES[name]
    images = np.random.default_rng(0).integers(0, 256, (6, side, side, 3), dtype=np.uint8)
    labels = np.array(["a", "b", "c"] * 2)
    options = {f"module__{option}": value for option, value in options.items()}
    network = CNNClassifier(
        name, max_epochs=1, batch_size=3, lr=1e-4, n_tests=2, random_state=0, **options
    )
    probabilities = network.fit(images, labels).predict_proba(images)
    assert probabilities.shape == (6, 3) and np.isfinite(probabilities).all()
    again = clone(network).fit(images, labels)
    np.testing.assert_array_equal(again.predict_proba(images), probabilities)
    np.testing.assert_allclose(
        network.predict_proba(images[4:1:-1]), probabilities[4:1:-1], rtol=1e-3, atol=1e-5
    )
    buffer = io.BytesIO()
    joblib.dump(network, buffer)
    buffer.seek(0)
    np.testing.assert_array_equal(joblib.load(buffer).predict_proba(images), probabilities)
