"""Local binary patterns in a grid of cells, Hellinger map and an SVM."""

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from visionpipe import LBP, Grayscale

PARAM_GRID = {
    "lbp__method": ["uniform", "nri_uniform"],
    "lbp__R": [1.0, 2.0],
    "lbp__grid": [(1, 1), (4, 4)],
    "svm__C": [1, 10, 100],
}


def build(random_state=None):
    """Return the pipeline, not fitted; nothing in it is random."""
    return Pipeline(
        [
            ("grey", Grayscale()),
            ("lbp", LBP(method="nri_uniform", grid=(4, 4))),
            ("hellinger", FunctionTransformer(np.sqrt, feature_names_out="one-to-one")),
            ("svm", SVC(C=10)),
        ]
    )


if __name__ == "__main__":
    from pipelines.search import main

    raise SystemExit(main("lbp_svm", build, PARAM_GRID))
