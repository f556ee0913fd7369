"""Codes of an autoencoder (Rumelhart, Hinton & Williams 1986) and an SVM."""

from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from visionpipe import Autoencoder, Resize

PARAM_GRID = {
    "autoencoder__module": ["dense", "convolutional"],
    "autoencoder__n_components": [50, 100, 200],
    "svm__C": [1, 10, 100],
}


def build(random_state=None):
    """Return the pipeline, not fitted; `random_state` seeds weights, order and corruption."""
    return Pipeline(
        [
            ("resize", Resize(28)),
            ("autoencoder", Autoencoder(random_state=random_state)),
            ("svm", SVC(C=10)),
        ]
    )


if __name__ == "__main__":
    from pipelines.search import main

    raise SystemExit(main("autoencoder_svm", build, PARAM_GRID))
