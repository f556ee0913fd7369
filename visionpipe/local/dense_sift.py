"""SIFT descriptors on a regular grid."""

import numpy as np

from visionpipe.base import check_choice, check_positive_int, refuse
from visionpipe.kernels.blur import gaussian_blur
from visionpipe.kernels.color import to_unit
from visionpipe.kernels.dense_sift import LENGTH, dense_sift, grid_centres, least_size, to_bytes
from visionpipe.local.describer import COLORS, Describer

__all__ = ["DenseSIFT"]

# What makes PHOW of dense SIFT of several sizes (VLFeat's vl_phow)
PHOW_MAGNIFICATION = 6
PHOW_CONTRAST_THRESHOLD = 0.005

LOW_CONTRAST = ("zero", "drop")


class DenseSIFT(Describer):
    """SIFT descriptors on a regular grid, with the geometry of VLFeat; of several sizes, PHOW.

    A descriptor is 4x4 cells of `bin_size` pixels with 8 orientations each, upright. Grids of
    several sizes are laid so that the centres of their first descriptors fall together (up to half
    a pixel), as far from the rim as the largest size wants. An image has no descriptors of a size
    that does not fit.

    Parameters
    ----------
    step : int, default=4
        Distance of neighbouring descriptors in pixels, down and across.
    bin_sizes : tuple of int, default=(4, 6, 8, 10)
        Widths of a cell in pixels.
    magnification : float, "auto" or None, default="auto"
        For each size, the image is smoothed with a Gaussian of standard deviation ``bin_size /
        magnification``. None: not at all. "auto": 6 where there are several sizes, as PHOW; None
        where there is one, as VLFeat's ``dsift``.
    contrast_threshold : float or "auto", default="auto"
        The mean gradient, of pixels in 0..1, below which a descriptor has low contrast. "auto":
        0.005 where there are several sizes, as PHOW; 0 where there is one, as VLFeat's ``dsift``.
    low_contrast : {"zero", "drop"}, default="zero"
        Descriptors of low contrast are set to zero, as in PHOW, so that bags of words count them;
        or dropped, with those that are zero anyway, which suits Fisher vectors.
    color : {"grey", "rgb", "opponent"}, default="grey"
        Describe the luminance; each of R, G and B; or the intensity and two opponent colours. The
        last two give descriptors of length 384.
    store : None, "auto", path-like or FeatureStore, default=None
        Where descriptors are kept, so that each image is described once; "auto" keeps them in the
        user's cache folder if reading is faster than computing.
    device : str or torch.device, default="cpu"
        Where to compute; ``"auto"`` is a GPU if there is one.

    Attributes
    ----------
    image_shape_in_ : tuple (h, w, c)
        Shape of the first image seen in `fit`.

    Notes
    -----
    The window is flat, VLFeat's fast form: triangular weights in each cell, times the mean over the
    cell of the Gaussian. Values are rounded to bytes, ``min(255, 512 x)``, as OpenCV and VLFeat's
    PHOW do.

    References
    ----------
    A. Bosch, A. Zisserman and X. Munoz, "Image classification using random forests and ferns",
    ICCV 2007; A. Vedaldi and B. Fulkerson, VLFeat, https://www.vlfeat.org

    Examples
    --------
    >>> from visionpipe import DenseSIFT, load_faces
    >>> DenseSIFT(step=4, bin_sizes=(4, 6)).fit_transform(load_faces().images)
    <descriptors of 200 images: 2600 of length 128, uint8>
    """

    _kernels = ("blur", "color", "dense_sift")

    def __init__(
        self,
        *,
        step=4,
        bin_sizes=(4, 6, 8, 10),
        magnification="auto",
        contrast_threshold="auto",
        low_contrast="zero",
        color="grey",
        store=None,
        device="cpu",
    ):
        self.step = step
        self.bin_sizes = bin_sizes
        self.magnification = magnification
        self.contrast_threshold = contrast_threshold
        self.low_contrast = low_contrast
        self.color = color
        self.store = store
        self.device = device

    def _check_params(self):
        check_choice(self, color=COLORS, low_contrast=LOW_CONTRAST)
        check_positive_int(self, "step")
        check_bin_sizes(self)
        if self.magnification not in ("auto", None) and not self.magnification > 0:
            refuse(self, "magnification", "'auto', None or a positive number")
        if self.contrast_threshold != "auto" and not self.contrast_threshold >= 0:
            refuse(self, "contrast_threshold", "'auto' or a number of at least 0")

    def _origin(self):
        sizes = self.bin_sizes
        least = min(least_size(size, first_centre(size, sizes))[0] for size in sizes)
        return (
            f"DenseSIFT(bin_sizes={tuple(self.bin_sizes)}), which needs images of at least "
            f"{least}x{least} pixels,"
        )

    def _describe(self, batch):
        return describe_grid(
            batch,
            step=self.step,
            bin_sizes=self.bin_sizes,
            magnification=self.magnification,
            contrast_threshold=self.contrast_threshold,
            low_contrast=self.low_contrast,
        )


def check_bin_sizes(owner):
    """Raise a ValueError unless ``owner.bin_sizes`` is a sequence of ints of at least 1."""
    sizes = np.asarray(owner.bin_sizes)
    if sizes.ndim != 1 or len(sizes) == 0 or sizes.dtype.kind not in "iu" or sizes.min() < 1:
        refuse(owner, "bin_sizes", "a tuple of positive ints")


def first_centre(bin_size, bin_sizes):
    """Row and column of the first cell's centre, so that the descriptors of all sizes coincide."""
    return 3 * (max(bin_sizes) - bin_size) // 2


def describe_grid(
    batch, *, step, bin_sizes, contrast_threshold, low_contrast, magnification="auto"
):
    """Descriptors of all sizes of all images of a batch; parameters as of `DenseSIFT`.

    Returns
    -------
    values : ndarray of uint8 of shape (b * n, c * 128)
        For each image, for each size, descriptors by rows, then columns.
    frames : ndarray of float32 of shape (b * n, 4)
    counts : ndarray of int of shape (b,)
    """
    b, c, *size = batch.shape
    phow = len(bin_sizes) > 1
    if magnification == "auto":
        magnification = PHOW_MAGNIFICATION if phow else None
    if contrast_threshold == "auto":
        contrast_threshold = PHOW_CONTRAST_THRESHOLD if phow else 0
    values = [np.empty((b, 0, c * LENGTH), dtype=np.uint8)]
    frames = [np.empty((0, 4), dtype=np.float32)]
    for bin_size in bin_sizes:
        grid = {"step": int(step), "bin_size": int(bin_size)}
        grid["first"] = first_centre(int(bin_size), bin_sizes)
        y, x = grid_centres(size, **grid)
        if not (y and x):
            continue
        smooth = gaussian_blur(to_unit(batch), bin_size / magnification) if magnification else batch
        found = dense_sift(smooth, contrast_threshold=contrast_threshold, **grid)
        values.append(to_bytes(found).cpu().numpy())
        grid_x, grid_y = np.meshgrid(x, y)
        upright = np.zeros_like(grid_x)
        scale = np.full_like(grid_x, bin_size)
        frames.append(np.stack((grid_x, grid_y, scale, upright), -1).reshape(-1, 4))
    joined = np.concatenate(values, axis=1) if len(values) > 2 else values[-1]
    counts = np.full(b, joined.shape[1])
    joined, frames = joined.reshape(-1, c * LENGTH), np.tile(np.concatenate(frames), (b, 1))
    if low_contrast == "zero":
        return joined, frames, counts
    keep = joined.any(axis=1)
    return joined[keep], frames[keep], keep.reshape(b, -1).sum(axis=1)
