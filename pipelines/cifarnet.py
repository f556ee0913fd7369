"""The network of TensorFlow's CIFAR-10 tutorial (2015), and the way that trains it.

Plain gradient descent from 0.1, which falls to a tenth all at once; decay of the weights of two
dense layers; a moving average of all of them; random crops, mirror images and light. The tutorial
takes 350 epochs to a fall and is trained for a million steps; `build` has 30 epochs and two falls.
"""

from sklearn.pipeline import Pipeline

from visionpipe import Augmentation, CNNClassifier, Resize

PARAM_GRID = {
    "net__max_epochs": [30, 100],
    "net__lr": [0.03, 0.1],
}


def build(random_state=None):
    """Return the pipeline, not fitted; `random_state` seeds weights, order and augmentation."""
    net = CNNClassifier(
        "cifarnet",
        max_epochs=30,
        batch_size=128,
        optimizer="sgd",
        optimizer__momentum=0.0,
        optimizer__param_groups=[("dense[12].weight", {"weight_decay": 0.004})],
        lr=0.1,
        lr_schedule="exponential",  # a staircase, to a tenth after every third of the epochs
        criterion__label_smoothing=0.0,
        ema_decay=0.9999,
        augmentation=Augmentation(mirror=True, brightness=0.25, contrast=0.8),
        crop_size=24,
        random_state=random_state,
    )
    return Pipeline([("resize", Resize(32)), ("net", net)])


if __name__ == "__main__":
    from pipelines.search import main

    raise SystemExit(main("cifarnet", build, PARAM_GRID))
