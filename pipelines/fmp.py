"""Fractional max pooling (Graham 2014): mean probabilities of twelve passes over random regions."""

from sklearn.pipeline import Pipeline

from visionpipe import CNNClassifier, Resize

PARAM_GRID = {
    "net__lr": [0.001, 0.003],
    "net__module__overlapping": [False, True],
    "net__n_tests": [1, 12],
}


def build(random_state=None):
    """Return the pipeline, not fitted; `random_state` seeds weights, order and regions."""
    return Pipeline(
        [
            ("resize", Resize(28)),
            ("net", CNNClassifier("fmp", n_tests=12, random_state=random_state)),
        ]
    )


if __name__ == "__main__":
    from pipelines.search import main

    raise SystemExit(main("fmp", build, PARAM_GRID))
