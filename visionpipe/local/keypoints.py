"""Key points and their SIFT descriptors through OpenCV; the one file that calls it."""

import math
from contextlib import contextmanager

import cv2
import numpy as np

__all__ = ["describe_keypoints", "one_opencv_thread"]

LENGTH = 128  # of a SIFT descriptor
CELLS_PER_SIZE = 1.5  # width of a cell of OpenCV's SIFT in diameters of the key point


@contextmanager
def one_opencv_thread():
    """Keep OpenCV from starting threads of its own beneath ours, which share the images out."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def describe_keypoints(batch, *, detector, threshold, max_keypoints, keypoint_size, border):
    """Find key points in the first channel of each image and describe them in all channels.

    Objects of OpenCV can be neither copied nor pickled, so they are made and dropped here.

    Parameters
    ----------
    batch : ndarray of uint8 of shape (b, c, h, w)
    detector : {"fast", "sift"}
    threshold : float
        Of the detector, as OpenCV takes it.
    max_keypoints : int or None
        Of each image; the strongest are kept.
    keypoint_size : float
        Diameter of FAST's key points in pixels.
    border : int
        Key points within so many pixels of the rim are left out.

    Returns
    -------
    values : ndarray of uint8 of shape (m, c * 128)
    frames : ndarray of float32 of shape (m, 4)
    counts : ndarray of int of shape (b,)
    """
    mask = _inside(batch.shape[2:], border)
    if detector == "fast":
        finder, sift = cv2.FastFeatureDetector_create(int(threshold)), cv2.SIFT_create()
    else:
        finder, sift = None, cv2.SIFT_create(max_keypoints or 0, contrastThreshold=threshold)
    values = [np.empty((0, batch.shape[1] * LENGTH), dtype=np.uint8)]
    frames, counts = [], []
    for channels in batch:
        if finder is None:
            found, described = sift.detectAndCompute(channels[0], mask)
            chosen = _strongest(found, max_keypoints)
            keypoints = [found[i] for i in chosen]
            described = [] if described is None else [described[chosen]]
        else:
            found = finder.detect(channels[0], mask)
            keypoints = [found[i] for i in _strongest(found, max_keypoints)]
            for keypoint in keypoints:  # FAST itself says neither size nor angle
                keypoint.size, keypoint.angle = keypoint_size, 0
            described = []
        counts.append(len(keypoints))
        if keypoints:
            rest = channels[len(described) :]
            described += [sift.compute(channel, keypoints)[1] for channel in rest]
            values.append(np.concatenate(described, axis=1).astype(np.uint8))
            frames += [(*k.pt, CELLS_PER_SIZE * k.size, math.radians(k.angle)) for k in keypoints]
    frames = np.array(frames, dtype=np.float32).reshape(-1, 4)
    return np.concatenate(values), frames, np.array(counts)


def _inside(size, border):
    """Mask of the pixels where key points may lie; None for all."""
    if border == 0:
        return None
    mask = np.zeros(size, dtype=np.uint8)
    mask[border:-border, border:-border] = 255
    return mask


def _strongest(keypoints, n):
    """Positions of the n of largest response, strongest first; of equals, the upper and left."""
    keys = np.array([(k.angle, k.size, *k.pt, -k.response) for k in keypoints]).reshape(-1, 5)
    return np.lexsort(keys.T)[:n]
