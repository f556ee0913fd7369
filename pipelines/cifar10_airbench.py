"""A narrower airbench94_muon (Jordan 2024, arXiv:2404.00498): CIFAR-10 on a CPU."""

from sklearn.pipeline import Pipeline

from visionpipe import Augmentation, CNNClassifier, Resize

PARAM_GRID = {
    "net__module__widths": [(32, 64, 64), (32, 96, 96)],
    "net__max_epochs": [5, 10],
}


def build(random_state=None):
    """Return the pipeline, not fitted; `random_state` seeds weights, order and augmentation."""
    # As pipelines.cifar10_fast, whose numbers are airbench94_muon's, but for the widths, a fifth of
    # its operations, and batches of 500 with a lower rate: without a GPU, large ones save nothing.
    net = CNNClassifier(
        "airbench",
        module__widths=(32, 96, 96),
        max_epochs=8,
        batch_size=500,
        optimizer="muon",
        lr=0.12,
        optimizer__momentum=0.6,
        optimizer__normalize=True,
        optimizer__adam_lr=0.01,
        lr_schedule="linear",
        criterion__label_smoothing=0.2,
        augmentation=Augmentation(mirror="alternating", shift=2),
        tta="shifts",
        random_state=random_state,
    )
    return Pipeline([("resize", Resize(32)), ("net", net)])


if __name__ == "__main__":
    from pipelines.search import main

    raise SystemExit(main("cifar10_airbench", build, PARAM_GRID))
