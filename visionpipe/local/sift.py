"""SIFT descriptors at key points, or on a grid."""

import torch

from visionpipe.base import check_choice, check_positive_int, identity, refuse
from visionpipe.local.dense_sift import LOW_CONTRAST, check_bin_sizes, describe_grid
from visionpipe.local.describer import COLORS, Describer
from visionpipe.local.keypoints import describe_keypoints, one_opencv_thread, opencv_version

__all__ = ["SIFT"]

# OpenCV's: difference in grey levels of FAST; contrast of the difference of Gaussians of SIFT
THRESHOLDS = {"fast": 10, "sift": 0.04, "dense": "auto"}
MOST_THRESHOLDS = {"fast": 255, "sift": 1, "dense": 1}


class SIFT(Describer):
    """SIFT descriptors at FAST corners, at SIFT's own key points, or on a grid.

    Parameters
    ----------
    detector : {"fast", "sift", "dense"}, default="fast"
        "fast": the corners of Rosten and Drummond; they have neither size nor direction, so they
        are described upright at `keypoint_size`. "sift": extrema of differences of Gaussians, with
        size and direction. "dense": every `step` pixels, as `DenseSIFT`.
    threshold : float, default=None
        What is too weak for a key point. "fast": difference in grey levels, 0 to 255, default 10.
        "sift": contrast, in 0..1, default 0.04. "dense": the mean gradient, in 0..1, below which a
        descriptor has low contrast, default as `DenseSIFT`.
    max_keypoints : int, default=None
        Of an image, keep the strongest so many key points; None keeps all. Not of "dense".
    keypoint_size : float, default=7
        Diameter in pixels of FAST's key points, 7 in OpenCV. One of the 4x4 cells of a descriptor
        is 1.5 of it wide.
    border : int, default=0
        Leave out key points within so many pixels of the rim of the image. Not of "dense".
    step : int, default=4
        Of "dense": distance of descriptors in pixels.
    bin_sizes : tuple of int, default=(4, 6, 8, 10)
        Of "dense": widths of a cell in pixels.
    low_contrast : {"zero", "drop"}, default="zero"
        Of "dense": set descriptors of low contrast to zero, or drop them.
    color : {"grey", "rgb", "opponent"}, default="grey"
        Describe the luminance; each of R, G and B; or the intensity and two opponent colours. Key
        points are found in the luminance, in R, or in the intensity. The last two give descriptors
        of length 384.
    store : None, "auto", path-like or FeatureStore, default=None
        Where descriptors are kept, so that each image is described once; "auto" keeps them in the
        user's cache folder if reading is faster than computing.
    device : str or torch.device, default="cpu"
        Where "dense" is computed; key points are found on the CPU.

    Attributes
    ----------
    image_shape_in_ : tuple (h, w, c)
        Shape of the first image seen in `fit`.

    Notes
    -----
    Key points and their descriptors are OpenCV's. Pixels become bytes for it.

    References
    ----------
    D. Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 2004; E. Rosten and
    T. Drummond, "Machine learning for high-speed corner detection", ECCV 2006.

    Examples
    --------
    >>> from skimage.data import astronaut
    >>> from visionpipe import SIFT
    >>> SIFT(detector="sift", max_keypoints=200).fit_transform([astronaut()])
    <descriptors of 1 images: 200 of length 128, uint8>
    """

    _kernels = ("blur", "color", "dense_sift")

    def __init__(
        self,
        *,
        detector="fast",
        threshold=None,
        max_keypoints=None,
        keypoint_size=7,
        border=0,
        step=4,
        bin_sizes=(4, 6, 8, 10),
        low_contrast="zero",
        color="grey",
        store=None,
        device="cpu",
    ):
        self.detector = detector
        self.threshold = threshold
        self.max_keypoints = max_keypoints
        self.keypoint_size = keypoint_size
        self.border = border
        self.step = step
        self.bin_sizes = bin_sizes
        self.low_contrast = low_contrast
        self.color = color
        self.store = store
        self.device = device

    def _check_params(self):
        check_choice(self, detector=tuple(THRESHOLDS), color=COLORS, low_contrast=LOW_CONTRAST)
        most = MOST_THRESHOLDS[self.detector]
        if self.threshold is not None and not 0 <= self.threshold <= most:
            refuse(self, "threshold", f"None or, for {self.detector!r}, a number in 0..{most}")
        if self.max_keypoints is not None:
            check_positive_int(self, "max_keypoints")
        if not self.keypoint_size > 0:
            refuse(self, "keypoint_size", "a positive number of pixels")
        if self.border != 0:
            check_positive_int(self, "border")
        check_positive_int(self, "step")
        check_bin_sizes(self)

    def _threshold(self):
        return THRESHOLDS[self.detector] if self.threshold is None else self.threshold

    def _origin(self):
        return f"{type(self).__name__}(detector={self.detector!r}, threshold={self._threshold()!r})"

    def _setting(self):
        opencv = "" if self.detector == "dense" else f", OpenCV {opencv_version()}"
        return identity(self) + opencv

    def _compute(self, images):
        with one_opencv_thread():
            return super()._compute(images)

    def _describe(self, batch):
        if self.detector == "dense":
            return describe_grid(
                batch,
                step=self.step,
                bin_sizes=self.bin_sizes,
                contrast_threshold=self._threshold(),
                low_contrast=self.low_contrast,
            )
        return describe_keypoints(
            _bytes(batch, signed=self.color == "opponent"),
            detector=self.detector,
            threshold=self._threshold(),
            max_keypoints=self.max_keypoints,
            keypoint_size=self.keypoint_size,
            border=self.border,
        )


def _bytes(batch, signed):
    """Channels as OpenCV wants them; SIFT does not mind where grey lies or how far it reaches."""
    if batch.dtype == torch.uint8:
        return batch.cpu().numpy()
    scaled = batch.mul(255)
    if signed:  # the opponent colours, in -0.83..0.83; intensity comes first
        scaled[:, 1:] = batch[:, 1:].mul(150).add_(127.5)
    return scaled.round_().to(torch.uint8).cpu().numpy()
