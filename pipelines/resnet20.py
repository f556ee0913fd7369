"""The residual network of 20 layers for small images (He, Zhang, Ren & Sun 2016, section 4.2)."""

from sklearn.pipeline import Pipeline

from visionpipe import Augmentation, CNNClassifier, Resize

PARAM_GRID = {
    "net__lr": [0.03, 0.1],
    "net__max_epochs": [10, 30],
}


def build(random_state=None):
    """Return the pipeline, not fitted; `random_state` seeds weights, order and augmentation."""
    net = CNNClassifier(
        "resnet20",
        max_epochs=30,
        batch_size=128,
        optimizer="nesterov",
        lr=0.1,
        weight_decay=1e-4,
        augmentation=Augmentation(shift=4, padding="zero"),
        random_state=random_state,
    )
    return Pipeline([("resize", Resize(32)), ("net", net)])


if __name__ == "__main__":
    from pipelines.search import main

    raise SystemExit(main("resnet20", build, PARAM_GRID))
