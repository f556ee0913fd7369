"""What LeNet-5 has learned of the training images, as vectors for a support vector machine.

After DeCAF (Donahue et al., ICML 2014), with a network that is trained on the same fold.
"""

from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from visionpipe import CNNClassifier, CNNFeatures, Resize

PARAM_GRID = {
    "features__layer": [None, "dense1", "pool2"],
    "svm__C": [1, 10],
}


def build(random_state=None):
    """Return the pipeline, not fitted; `random_state` seeds the network's weights and order."""
    network = CNNClassifier("lenet", random_state=random_state)
    return Pipeline(
        [
            ("resize", Resize(28)),
            ("features", CNNFeatures(network, pool=None)),
            ("scale", StandardScaler()),
            ("svm", SVC(C=10, gamma="scale")),
        ]
    )


if __name__ == "__main__":
    from pipelines.search import main

    raise SystemExit(main("cnn_features_svm", build, PARAM_GRID))
