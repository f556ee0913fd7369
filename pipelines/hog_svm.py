"""Histograms of oriented gradients and an SVM (Dalal & Triggs 2005, with an RBF kernel)."""

from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from visionpipe import HOG, Resize

PARAM_GRID = {
    "hog__orientations": [6, 9],
    "hog__pixels_per_cell": [(8, 8), (16, 16)],
    "svm__C": [1, 10, 100],
}


def build(random_state=None):
    """Return the pipeline, not fitted; nothing in it is random."""
    return Pipeline(
        [
            ("resize", Resize(64)),
            ("hog", HOG(pixels_per_cell=(8, 8), cells_per_block=(2, 2))),
            ("svm", SVC(C=10)),
        ]
    )


if __name__ == "__main__":
    from pipelines.search import main

    raise SystemExit(main("hog_svm", build, PARAM_GRID))
