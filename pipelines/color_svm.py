"""Colour histograms in a grid of cells, Hellinger map and an SVM."""

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from visionpipe import ColorHistogram

PARAM_GRID = {
    "color__color_space": ["rgb", "hsv", "lab"],
    "color__grid": [(1, 1), (2, 2), (4, 4)],
    "svm__C": [1, 10, 100],
}


def build(random_state=None):
    """Return the pipeline, not fitted; nothing in it is random."""
    return Pipeline(
        [
            ("color", ColorHistogram(color_space="hsv", bins=(8, 4, 4), grid=(2, 2))),
            ("hellinger", FunctionTransformer(np.sqrt, feature_names_out="one-to-one")),
            ("svm", SVC(C=10)),
        ]
    )


if __name__ == "__main__":
    from pipelines.search import main

    raise SystemExit(main("color_svm", build, PARAM_GRID))
