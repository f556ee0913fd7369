"""Multilayer perceptron on the pixels."""

from sklearn.pipeline import Pipeline

from visionpipe import CNNClassifier, Resize

PARAM_GRID = {
    "net__lr": [0.001, 0.003],
    "net__module__hidden": [(256,), (256, 128)],
    "net__max_epochs": [20, 40],
}


def build(random_state=None):
    """Return the pipeline, not fitted; `random_state` seeds weights, order and dropout."""
    return Pipeline(
        [
            ("resize", Resize(28)),
            ("net", CNNClassifier("mlp", random_state=random_state)),
        ]
    )


if __name__ == "__main__":
    from pipelines.search import main

    raise SystemExit(main("mlp", build, PARAM_GRID))
