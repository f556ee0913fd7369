"""Handcrafted features against scikit-image and OpenCV, one thread: python -m benchmarks.features.

Each job is the whole ``transform`` of an array in memory, on crops of a photograph; the peers run
in a loop over images, as they are made to.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy and torch start their threads

import cv2
import numpy as np
import torch
from skimage import data
from skimage.color import rgb2gray
from skimage.feature import hog, local_binary_pattern

from benchmarks.side_by_side import keep, race, show
from visionpipe import HOG, LBP, ColorHistogram

N_RUNS = 15
PEER_IMAGES = 30  # the peers are slow, and their time per image does not depend on how many


def main():
    """Run all races, print them, and keep them."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    timings = []
    for timing in (*race_hog(), *race_lbp(), *race_color_histogram()):
        show(timing)
        timings.append(timing)
    print("kept in", keep("features", timings, threads=1, runs=N_RUNS))


def crops(picture, n, size, seed=0):
    """Crops (n, size, size[, 3]) of a picture at random places."""
    rng = np.random.default_rng(seed)
    tops, lefts = rng.integers(0, np.array(picture.shape[:2])[:, None] - size, (2, n))
    return np.stack([picture[t : t + size, x : x + size] for t, x in zip(tops, lefts, strict=True)])


def race_hog():
    grey = rgb2gray(data.astronaut()).astype(np.float32)
    for size, cell, n in ((32, 8, 3000), (28, 4, 3000), (128, 8, 300)):
        X = crops(grey, n, size)
        settings = {"pixels_per_cell": (cell, cell), "cells_per_block": (2, 2)}
        ours = HOG(**settings).fit(X)
        yield race(
            f"HOG {size}x{size}, {cell}x{cell} cells",
            "skimage.feature.hog",
            lambda ours=ours, X=X: ours.transform(X),
            lambda settings=settings, X=X: [hog(x, **settings) for x in X[:PEER_IMAGES]],
            n_ours=n,
            n_theirs=PEER_IMAGES,
            n_runs=N_RUNS,
        )


def race_lbp():
    def peer(X):
        for x in X:
            codes = local_binary_pattern(x, 8, 1, "uniform")
            np.bincount(codes.ravel().astype(np.intp), minlength=10) / codes.size

    grey = np.rint(255 * rgb2gray(data.astronaut())).astype(np.uint8)
    for size, n in ((32, 3000), (128, 300)):
        X = crops(grey, n, size)
        ours = LBP(P=8, R=1, method="uniform").fit(X)
        yield race(
            f"LBP {size}x{size}, P=8, R=1, uniform",
            "local_binary_pattern and bincount",
            lambda ours=ours, X=X: ours.transform(X),
            lambda X=X: peer(X[:PEER_IMAGES]),
            n_ours=n,
            n_theirs=PEER_IMAGES,
            n_runs=N_RUNS,
        )


def race_color_histogram():
    def peer(X):
        for x in X:
            cv2.calcHist([x], [0, 1, 2], None, [8, 8, 8], [0, 256] * 3).ravel() / x[..., 0].size

    for size, n in ((32, 3000), (128, 300)):
        X = crops(data.astronaut(), n, size)
        ours = ColorHistogram(color_space="rgb", bins=8).fit(X)
        yield race(
            f"ColorHistogram {size}x{size}, 8x8x8 rgb",
            "cv2.calcHist",
            lambda ours=ours, X=X: ours.transform(X),
            lambda X=X: peer(X),
            n_ours=n,
            n_theirs=n,
            n_runs=N_RUNS,
        )


if __name__ == "__main__":
    main()
