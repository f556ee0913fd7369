"""Fisher vectors of dense RootSIFT, HOG, colours and a linear SVM, for photographs of Caltech."""

import numpy as np
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer

from pipelines.dense import dense_steps
from visionpipe import HOG, ColorHistogram, FisherVector, Resize, WideLinearSVC

PARAM_GRID = {
    "features__fisher__fishervector__n_gaussians": [64, 128],
    "svm__C": [1, 10],
}


def build(random_state=None):
    """Return the pipeline, not fitted; `random_state` draws the sample and starts the mixture."""
    # Chosen on two draws of other seeds than those that are reported: Fisher vectors alone were
    # right for 89.90 % of the photographs, with HOG 89.79 %, with HOG and colours 91.56 % (the
    # weights below) and 90.94 % (colours weighted 0.5). 128 Gaussians came to 90.31 % alone and to
    # 91.46 % with both, Fisher vectors of opponent colours besides to 91.25 %.
    fisher = FisherVector(
        64, n_dimensions=80, pyramid=(1, 2), n_samples=60_000, random_state=random_state
    )
    hog = HOG(pixels_per_cell=(12, 12), cells_per_block=(2, 2))
    colours = ColorHistogram(color_space="hsv", bins=(8, 4, 4), grid=(2, 2))
    features = FeatureUnion(
        [
            ("fisher", Pipeline([*dense_steps(), ("fishervector", fisher)])),
            ("hog", make_pipeline(Resize(96), hog, Normalizer())),
            ("colours", make_pipeline(colours, FunctionTransformer(np.sqrt), Normalizer())),
        ],
        transformer_weights={"fisher": 1, "hog": 0.5, "colours": 0.3},
    )
    return Pipeline(
        [
            ("features", features),
            ("svm", WideLinearSVC(C=10, random_state=random_state)),
        ]
    )


if __name__ == "__main__":
    from pipelines.search import main

    raise SystemExit(main("caltech16_fisher", build, PARAM_GRID))
