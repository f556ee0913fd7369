"""The dense descriptors that several pipelines begin with."""

from visionpipe import Rescale, RootSIFT


def dense_steps():
    """Return the steps from images to RootSIFT on a grid, at five sizes.

    Sizes, step and threshold were chosen for Fisher vectors on `caltech-16`, 960 photographs of 16
    of the classes of Caltech-101, with splits of other seeds than those that are reported: a wide
    range of sizes and dropping what has little contrast are worth about 2 points each.
    """
    sift = RootSIFT(
        detector="dense",
        step=6,
        bin_sizes=(4, 6, 9, 13, 20),
        threshold=0.015,
        low_contrast="drop",
    )
    return [("rescale", Rescale((64, 240))), ("sift", sift)]
