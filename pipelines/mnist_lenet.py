"""LeNet-5 for MNIST, in its modern form, trained on shifted digits."""

from sklearn.pipeline import Pipeline

from visionpipe import Augmentation, CNNClassifier, Resize

PARAM_GRID = {
    "net__lr": [0.001, 0.003],
    "net__max_epochs": [10, 20],
}


def build(random_state=None):
    """Return the pipeline, not fitted; `random_state` seeds weights, order and augmentation."""
    net = CNNClassifier(
        "lenet",
        max_epochs=10,
        batch_size=64,
        # chosen on the last 10,000 of MNIST's training images
        augmentation=Augmentation(shift=2, padding="zero"),
        random_state=random_state,
    )
    return Pipeline([("resize", Resize(28)), ("net", net)])


if __name__ == "__main__":
    from pipelines.search import main

    raise SystemExit(main("mnist_lenet", build, PARAM_GRID))
