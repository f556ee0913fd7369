"""The pixels themselves and an SVM: the baseline that every feature has to beat."""

from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from visionpipe import Pixels, Resize

PARAM_GRID = {
    "resize__size": [16, 32],
    "pixels__color_space": ["grey", "rgb"],
    "svm__C": [1, 10, 100],
}


def build(random_state=None):
    """Return the pipeline, not fitted; nothing in it is random."""
    return Pipeline(
        [
            ("resize", Resize(16)),
            ("pixels", Pixels()),
            ("svm", SVC(C=10)),
        ]
    )


if __name__ == "__main__":
    from pipelines.search import main

    raise SystemExit(main("pixels_svm", build, PARAM_GRID))
