"""Dense RootSIFT, VLAD in a pyramid, and a linear SVM (Jegou et al. 2010)."""

from sklearn.pipeline import Pipeline

from pipelines.dense import dense_steps
from visionpipe import VLAD, WideLinearSVC

PARAM_GRID = {
    "vlad__n_words": [32, 64],
    "vlad__pyramid": [(1,), (1, 2)],
    "svm__C": [1, 10],
}


def build(random_state=None):
    """Return the pipeline, not fitted; `random_state` draws the sample and starts k-means."""
    return Pipeline(
        [
            *dense_steps(),
            ("vlad", VLAD(64, pyramid=(1, 2), n_samples=60_000, random_state=random_state)),
            ("svm", WideLinearSVC(C=10, random_state=random_state)),
        ]
    )


if __name__ == "__main__":
    from pipelines.search import main

    raise SystemExit(main("vlad_svm", build, PARAM_GRID))
