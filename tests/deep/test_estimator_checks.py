"""scikit-learn's whole list of checks, through a door that turns rows into small images.

With honest tags (images, not rows) scikit-learn would run one check and skip the others.
"""

import numpy as np
from scipy.special import expit
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted, validate_data

from visionpipe.deep.classifier import CNNClassifier


class RowsCNNClassifier(CNNClassifier):
    """CNNClassifier whose images are rows: one pixel a feature, squashed into 0..1, twice."""

    def fit(self, X, y):
        return super().fit(_small_images(validate_data(self, X, dtype=np.float64)), y)

    def predict_proba(self, X):
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=np.float64, reset=False)
        return super().predict_proba(_small_images(rows))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = False
        return tags


def _small_images(rows):
    """(n, f) to (n, 2, f) in 0..1."""
    return np.repeat(expit(rows)[:, None], 2, axis=1)


@parametrize_with_checks(
    [
        RowsCNNClassifier("softmax", max_epochs=30, lr=0.1),
        RowsCNNClassifier("mlp", max_epochs=10, lr=0.01, module__hidden=(16,), optimizer="sgd"),
    ]
)
def test_estimator_checks(estimator, check):
    check(estimator)
