"""Whitened patches compared with k-means words and a linear SVM (Coates, Lee & Ng 2011)."""

from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC

from visionpipe import PatchKMeans, Resize

PARAM_GRID = {
    "patches__n_words": [200, 800],
    "patches__assignment": ["triangle", "soft_threshold"],
    "svm__C": [0.001, 0.01, 0.1],
}


def build(random_state=None):
    """Return the pipeline, not fitted; `random_state` draws the patches and starts k-means."""
    return Pipeline(
        [
            ("resize", Resize(32)),
            ("patches", PatchKMeans(n_words=300, n_samples=20_000, random_state=random_state)),
            # the dual solver, random besides, stops before it has converged if C is large
            ("svm", LinearSVC(C=0.01, dual=False)),
        ]
    )


if __name__ == "__main__":
    from pipelines.search import main

    raise SystemExit(main("patches_linear", build, PARAM_GRID))
