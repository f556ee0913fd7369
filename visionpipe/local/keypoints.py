"""Key points and their SIFT descriptors through OpenCV; the one file that calls it."""

from contextlib import contextmanager

import cv2
import numpy as np

__all__ = ["describe_keypoints", "one_opencv_thread", "opencv_version"]

LENGTH = 128  # of a SIFT descriptor
CELLS_PER_SIZE = 1.5  # width of a cell of OpenCV's SIFT in diameters of the key point


def opencv_version():
    """Return the version of OpenCV, whose key points and descriptors these are."""
    return cv2.__version__


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
        sift, fast = cv2.SIFT_create(), cv2.FastFeatureDetector_create(int(threshold))
    else:
        sift = cv2.SIFT_create(max_keypoints or 0, contrastThreshold=threshold)
    values = [np.empty((0, batch.shape[1] * LENGTH), dtype=np.uint8)]
    tables, counts = [np.empty((0, 5))], []
    for channels in batch:
        if detector == "fast":
            keypoints, table = _corners(fast, channels[0], mask, max_keypoints, keypoint_size)
            described = []
        else:
            keypoints, table, described = _extrema(sift, channels[0], mask, max_keypoints)
        counts.append(len(keypoints))
        if keypoints:
            rest = channels[len(described) :]
            described += [sift.compute(channel, keypoints)[1] for channel in rest]
            values.append(np.concatenate(described, axis=1).astype(np.uint8))
            tables.append(table)
    return np.concatenate(values), _frames(np.concatenate(tables)), np.array(counts)


def _corners(fast, image, mask, n, size):
    """FAST's strongest corners, with the size and the angle that it does not say."""
    found = fast.detect(image, mask)
    table = _table(found)
    chosen = _strongest(table, n)
    keypoints, table = [found[i] for i in chosen], table[chosen]
    for keypoint in keypoints:
        keypoint.size, keypoint.angle = size, 0
    table[:, 2:4] = size, 0
    return keypoints, table


def _extrema(sift, image, mask, n):
    """SIFT's strongest key points and, found on the way, their descriptors in this image."""
    found, described = sift.detectAndCompute(image, mask)
    table = _table(found)
    chosen = _strongest(table, n)
    described = [described[chosen]] if found else []
    return [found[i] for i in chosen], table[chosen], described


def _table(keypoints):
    """Numbers of key points: x, y, size, angle and response, (m, 5)."""
    rows = [(*k.pt, k.size, k.angle, k.response) for k in keypoints]
    return np.array(rows, dtype=np.float64).reshape(-1, 5)


def _strongest(table, n):
    """Rows of the n of largest response, strongest first; of equals, the upper and left."""
    x, y, size, angle, response = table.T
    return np.lexsort((angle, size, x, y, -response))[:n]


def _frames(table):
    """Frames of `Descriptors`: x, y, width of a cell, angle in radians."""
    x, y, size, angle, _ = table.T
    return np.column_stack((x, y, CELLS_PER_SIZE * size, np.radians(angle))).astype(np.float32)


def _inside(size, border):
    """Mask of the pixels where key points may lie; None for all."""
    if border == 0:
        return None
    mask = np.zeros(size, dtype=np.uint8)
    mask[border:-border, border:-border] = 255
    return mask
