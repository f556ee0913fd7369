"""Features against scikit-image, OpenCV and VLFeat, one thread: python -m benchmarks.features.

Each job is the whole ``transform`` of an array in memory, on crops of a photograph; the peers run
in a loop over images, as they are made to. The assignment of descriptors to words is measured
against the product of matrices that it cannot do without.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy and torch start their threads

import cv2
import numpy as np
import torch
from skimage import data
from skimage.color import rgb2gray
from skimage.feature import hog, local_binary_pattern

from benchmarks import vlfeat
from benchmarks.side_by_side import keep, race, show
from visionpipe import HOG, LBP, SIFT, BagOfVisualWords, ColorHistogram, DenseSIFT, Descriptors
from visionpipe.kernels.bag_of_visual_words import hard_assignment

N_RUNS = 15
PEER_IMAGES = 30  # the peers are slow, and their time per image does not depend on how many


def main():
    """Run all races, print them, and keep them."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    timings = []
    races = (race_hog, race_lbp, race_color_histogram, race_dense_sift, race_sift, race_words)
    for timing in (timing for run in races for timing in run()):
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


def race_dense_sift():
    grey = rgb2gray(data.astronaut()).astype(np.float32)
    library = vlfeat.library()
    sift = cv2.SIFT_create()
    for size, step, n in ((32, 4, 1200), (128, 8, 240), (256, 8, 80)):
        X = crops(grey, n, size)
        ours = DenseSIFT(step=step, bin_sizes=(4,)).fit(X)
        job = f"DenseSIFT {size}x{size}, step {step}"
        bytes_of_peer = np.rint(255 * X[:PEER_IMAGES]).astype(np.uint8)
        centres = range(6, size - 6, step)
        # OpenCV's cell is 1.5 of the key point's size wide, and its time grows with the cell: size
        # 8 is a usual one for a dense grid, 4 / 1.5 has the cells of ours.
        for keypoint_size in (8, 4 / 1.5):
            grid = [cv2.KeyPoint(x, y, keypoint_size) for y in centres for x in centres]
            yield race(
                job,
                f"cv2.SIFT, {1.5 * keypoint_size:.0f}-pixel cells",
                lambda ours=ours, X=X: ours.transform(X),
                lambda images=bytes_of_peer, grid=grid: [sift.compute(x, grid) for x in images],
                n_ours=n,
                n_theirs=PEER_IMAGES,
                n_runs=N_RUNS,
            )
        if library is None:
            print(f"{job:<34} VLFeat (Debian's libvlfeat-dev) is not installed")
            continue
        peer = vlfeat.DSift(library, (size, size), step, 4)
        yield race(
            job,
            "VLFeat dsift, flat window",
            lambda ours=ours, X=X: ours.transform(X),
            lambda peer=peer, X=X: [peer.process(x) for x in X],
            n_ours=n,
            n_theirs=n,
            n_runs=N_RUNS,
        )


def race_sift():
    def peer(X):
        fast, sift = cv2.FastFeatureDetector_create(10), cv2.SIFT_create()
        for x in X:
            keypoints = fast.detect(x, None)
            for keypoint in keypoints:
                keypoint.angle = 0  # FAST leaves it at -1, which SIFT takes for a degree
            sift.compute(x, keypoints)

    grey = np.rint(255 * rgb2gray(data.astronaut())).astype(np.uint8)
    X = crops(grey, PEER_IMAGES, 128)
    ours = SIFT(detector="fast").fit(X)
    yield race(
        "SIFT 128x128, FAST corners",
        "cv2 in a loop",
        lambda: ours.transform(X),
        lambda: peer(X),
        n_ours=len(X),
        n_theirs=len(X),
        n_runs=N_RUNS,
    )


def race_words():
    n, n_words = 20_000, 1000
    rng = np.random.default_rng(0)
    descriptors = rng.integers(0, 256, (n, 128), dtype=np.uint8)
    bag = BagOfVisualWords(n_words, normalize=None, n_samples=5000, random_state=0)
    sets = Descriptors(descriptors, np.arange(0, n + 1, 500))
    bag.fit(sets)
    floats, words = torch.from_numpy(descriptors.astype(np.float32)), torch.from_numpy(bag.words_)
    segments = torch.zeros(n, dtype=torch.int64)
    products = torch.empty(n, n_words)
    ways = {
        "1,000 words, hard assignment": lambda: hard_assignment(floats, segments, 1, words),
        "1,000 words, BagOfVisualWords": lambda: bag.transform(sets),
    }
    for job, ours in ways.items():
        yield race(
            job,
            "float32 product of matrices",
            ours,
            lambda: torch.mm(floats, words.t(), out=products),
            n_ours=n,
            n_theirs=n,
            n_runs=N_RUNS,
        )


if __name__ == "__main__":
    main()
