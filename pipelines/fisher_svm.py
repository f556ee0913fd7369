"""Dense RootSIFT, Fisher vectors in a pyramid, and a linear SVM (Perronnin et al. 2010)."""

from sklearn.pipeline import Pipeline

from pipelines.dense import dense_steps
from visionpipe import FisherVector, WideLinearSVC

PARAM_GRID = {
    "fisher__n_gaussians": [32, 64],
    "fisher__pyramid": [(1,), (1, 2)],
    "svm__C": [1, 10],
}


def build(random_state=None):
    """Return the pipeline, not fitted; `random_state` draws the sample and starts the mixture."""
    fisher = FisherVector(
        64, n_dimensions=80, pyramid=(1, 2), n_samples=60_000, random_state=random_state
    )
    return Pipeline(
        [
            *dense_steps(),
            ("fisher", fisher),
            ("svm", WideLinearSVC(C=10, random_state=random_state)),
        ]
    )


if __name__ == "__main__":
    from pipelines.search import main

    raise SystemExit(main("fisher_svm", build, PARAM_GRID))
