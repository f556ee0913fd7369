"""Softmax regression on the pixels: the least network there is."""

from sklearn.pipeline import Pipeline

from visionpipe import CNNClassifier, Resize

PARAM_GRID = {
    "net__lr": [0.001, 0.003, 0.01],
    "net__max_epochs": [20, 40],
}


def build(random_state=None):
    """Return the pipeline, not fitted; `random_state` seeds weights, order and dropout."""
    return Pipeline(
        [
            ("resize", Resize(28)),
            ("net", CNNClassifier("softmax", random_state=random_state)),
        ]
    )


if __name__ == "__main__":
    from pipelines.search import main

    raise SystemExit(main("softmax", build, PARAM_GRID))
