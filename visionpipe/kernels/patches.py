"""Patches of images, contrast-normalised, whitened, compared with words and summed over cells."""

import math
from functools import lru_cache

import torch

from visionpipe.kernels.bag_of_visual_words import triangle_codes
from visionpipe.kernels.color import to_unit

VERSION = 1

VALUES_PER_CHUNK = {"cpu": 1 << 19, "cuda": 1 << 26}  # of codes: 2 MB, to stay in a core's caches
ROWS_PER_CHUNK = 8192  # of a sample in float64


def patch_k_means(
    batch,
    mean,
    whitening,
    words,
    *,
    patch_size=6,
    step=1,
    contrast_eps=10 / 255**2,
    assignment="triangle",
    threshold=0.25,
    nearest_fraction=0.4,
    grid=(2, 2),
    mirror=False,
):
    """Sum of the codes of an image's patches, over the cells of a grid.

    Every patch is brought to mean zero and unit contrast, whitened, and compared with the words by
    `triangle_codes`, `soft_threshold` or `nearest`.

    Parameters
    ----------
    batch : torch.Tensor of shape (b, c, h, w)
        uint8 in 0..255 or float32 in 0..1.
    mean : torch.Tensor of shape (d,), float32
        With `whitening`, from `zca_whitening`; d is c * patch_size * patch_size.
    whitening : torch.Tensor of shape (d, d), float32
    words : torch.Tensor of shape (k, d), float32
        In the whitened space; of unit norm unless `assignment` is ``"triangle"``.
    patch_size : int
        Height and width of a patch in pixels.
    step : int
        Pixels from a patch to the next one.
    contrast_eps : float or None
        As in `normalize_contrast`.
    assignment : {"triangle", "soft_threshold", "nearest"}
        The function that makes codes of patches.
    threshold : float
        Of `soft_threshold`.
    nearest_fraction : float
        Of `nearest`.
    grid : (int, int)
        Rows and columns of cells. Rows of positions are split at i * n / rows, rounded half up.
    mirror : bool
        Whether the second half of the words are the first half's mirror images, and the sums of the
        image's mirror image are added, so that both give the same vector. Columns of positions on
        the border of two cells then belong to each by half.

    Returns
    -------
    torch.Tensor of shape (b, f), float32
        For each cell (rows, then columns) k codes, 2 * k if `assignment` is not ``"triangle"``; if
        `mirror`, half as many, those of the first half of the words.

    Raises
    ------
    ValueError
        If the images are smaller than a patch, or `assignment` is none of the three.

    References
    ----------
    A. Coates, H. Lee and A. Ng, "An analysis of single-layer networks in unsupervised feature
    learning", AISTATS 2011.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.patches import patch_k_means
    >>> words = torch.eye(4)[:3]
    >>> batch = torch.rand(5, 1, 8, 8)
    >>> patch_k_means(batch, torch.zeros(4), torch.eye(4), words, patch_size=2).shape
    torch.Size([5, 12])
    """
    if assignment not in _ASSIGNMENTS:
        raise ValueError(f"assignment must be one of {sorted(_ASSIGNMENTS)}; got {assignment!r}.")
    encode, n_sides = _ASSIGNMENTS[assignment]
    options = {"soft_threshold": (threshold,), "nearest": (nearest_fraction,)}.get(assignment, ())
    rows, columns = n_positions(batch.shape[2:], patch_size, step)
    n_codes = n_sides * len(words)
    members = _cell_members(rows, columns, tuple(grid), mirror, batch.device)  # (cells, positions)
    sums = words.new_zeros(len(batch), len(members), n_codes)
    n_values = max(n_codes, words.shape[1])  # of a position, as a patch or as codes
    n_images, n_rows = _chunk_size(rows, columns, n_values, batch.device)
    for images, part in zip(batch.split(n_images), sums.split(n_images), strict=True):
        for top in range(0, rows, n_rows):
            bottom = min(top + n_rows, rows)
            strip = images[:, :, top * step : (bottom - 1) * step + patch_size]
            patches = normalize_contrast(extract_patches(strip, patch_size, step), contrast_eps)
            codes = encode(patches.sub_(mean) @ whitening, words, *options)
            codes = codes.view(len(images), -1, n_codes)  # (n, positions of the strip, n_codes)
            part += members[:, top * columns : bottom * columns] @ codes
    if not mirror:
        return sums.flatten(1)  # (b, cells * n_codes)
    halves = sums.view(len(batch), *grid, n_sides, 2, len(words) // 2)
    # in the mirror image a word is its own mirror image, in the cell on the other side
    return (halves[..., 0, :] + halves[..., 1, :].flip(2)).flatten(1)


def mirror_patches(patches, patch_size):
    """Mirror images of patches, left for right.

    Parameters
    ----------
    patches : torch.Tensor of shape (m, c * patch_size * patch_size)
    patch_size : int

    Returns
    -------
    torch.Tensor of shape (m, c * patch_size * patch_size)

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.patches import mirror_patches
    >>> mirror_patches(torch.tensor([[1, 2, 3, 4]]), 2)
    tensor([[2, 1, 4, 3]])
    """
    return patches.view(-1, patch_size).flip(1).view(patches.shape)


def n_positions(size, patch_size, step):
    """Rows and columns of patches in an image.

    Parameters
    ----------
    size : (int, int)
        Height and width of the image.
    patch_size : int
    step : int

    Returns
    -------
    (int, int)

    Raises
    ------
    ValueError
        If not one patch fits.

    Examples
    --------
    >>> from visionpipe.kernels.patches import n_positions
    >>> n_positions((32, 32), 6, 1)
    (27, 27)
    """
    if min(size) < patch_size:
        raise ValueError(
            f"PatchKMeans got images of {tuple(size)} pixels, smaller than a patch of "
            f"{patch_size}x{patch_size}: take a smaller patch_size, or put Resize((h, w)) before it"
        )
    height, width = size
    return (height - patch_size) // step + 1, (width - patch_size) // step + 1


def extract_patches(batch, patch_size, step=1):
    """All square patches of images, as rows.

    Parameters
    ----------
    batch : torch.Tensor of shape (b, c, h, w)
        uint8 in 0..255 or float32 in 0..1.
    patch_size : int
    step : int

    Returns
    -------
    torch.Tensor of shape (b * rows * columns, c * patch_size * patch_size), float32 in 0..1
        Image by image, row by row; a patch runs over channels, rows and columns.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.patches import extract_patches
    >>> extract_patches(torch.tensor([[[[0.0, 0.5, 1.0]]]]), 1)
    tensor([[0.0000],
            [0.5000],
            [1.0000]])
    """
    windows = _windows(batch, patch_size, step)
    patches = windows.clone(memory_format=torch.contiguous_format)  # reshape may give a view
    return to_unit(patches).view(-1, batch.shape[1] * patch_size**2)


def patches_at(batch, images, positions, patch_size, step=1):
    """Some patches of images, as `extract_patches` gives them.

    Parameters
    ----------
    batch : torch.Tensor of shape (b, c, h, w)
        uint8 in 0..255 or float32 in 0..1.
    images : torch.Tensor of int64 of shape (m,)
        The image of each patch, in 0..b - 1.
    positions : torch.Tensor of int64 of shape (m,)
        Its position in the image, row by row.
    patch_size : int
    step : int

    Returns
    -------
    torch.Tensor of shape (m, c * patch_size * patch_size), float32 in 0..1

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.patches import patches_at
    >>> batch = torch.tensor([[[[0.0, 0.5, 1.0]]]])
    >>> patches_at(batch, torch.tensor([0, 0]), torch.tensor([2, 0]), 1)
    tensor([[1.],
            [0.]])
    """
    windows = _windows(batch, patch_size, step)
    columns = windows.shape[2]
    return to_unit(windows[images, positions // columns, positions % columns].flatten(1))


def _windows(batch, patch_size, step):
    """View (b, rows, columns, c, patch_size, patch_size) of a batch."""
    windows = batch.unfold(2, patch_size, step).unfold(3, patch_size, step)
    return windows.permute(0, 2, 3, 1, 4, 5)


def normalize_contrast(patches, eps):
    """Bring every row to mean zero and, where its variance is well above `eps`, to unit variance.

    Parameters
    ----------
    patches : torch.Tensor of shape (m, d), float32
        Overwritten.
    eps : float or None
        Joins the variance (of d - 1 degrees of freedom) under the root, and is in units of its
        square: the 10 of Coates, Lee and Ng on pixels 0..255 is 10 / 255^2 on pixels 0..1. None
        leaves all rows as they are.

    Returns
    -------
    torch.Tensor of shape (m, d), float32
        A blank patch gives zeros.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.patches import normalize_contrast
    >>> normalize_contrast(torch.tensor([[1.0, 2.0, 3.0], [5.0, 5.0, 5.0]]), 0.01)
    tensor([[-0.9950,  0.0000,  0.9950],
            [ 0.0000,  0.0000,  0.0000]])
    """
    if eps is None:
        return patches
    patches.sub_(patches.mean(1, keepdim=True))
    # several times faster than torch.var, which has to guard against large means
    variance = patches.square().sum(1, keepdim=True).div_(max(patches.shape[1] - 1, 1))
    return patches.div_(variance.add_(eps).sqrt_())


def zca_whitening(sample, eps):
    """Mean of a sample and the symmetric matrix that whitens it.

    Parameters
    ----------
    sample : torch.Tensor of shape (m, d), float32
    eps : float
        Added to the eigenvalues of the covariance.

    Returns
    -------
    mean : torch.Tensor of shape (d,), float32
    whitening : torch.Tensor of shape (d, d), float32
        V (D + eps)^-1/2 V^T, where V D V^T is the covariance: ``(sample - mean) @ whitening`` has
        about unit covariance in the directions whose variance is well above `eps`.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.patches import zca_whitening
    >>> zca_whitening(torch.tensor([[2.0, 0.0], [-2.0, 0.0]]), 1.0)
    (tensor([0., 0.]), tensor([[0.3333, 0.0000],
            [0.0000, 1.0000]]))
    """
    n_values = sample.shape[1]
    mean = sample.mean(0, dtype=torch.float64)
    covariance = torch.zeros(n_values, n_values, dtype=torch.float64, device=sample.device)
    for rows in sample.split(ROWS_PER_CHUNK):
        centred = rows.to(torch.float64).sub_(mean)
        covariance.addmm_(centred.T, centred)
    variances, directions = torch.linalg.eigh(covariance.div_(max(len(sample) - 1, 1)))
    # rounding makes variances of zero slightly negative
    whitening = directions * variances.clamp(min=0).add(eps).rsqrt() @ directions.T
    return mean.to(torch.float32), whitening.to(torch.float32)


def soft_threshold(patches, words, threshold):
    """How far the products with the words, and with their negatives, are above a threshold.

    max(0, x.w_k - threshold) for all words, then max(0, -x.w_k - threshold).

    Parameters
    ----------
    patches : torch.Tensor of shape (m, d), float32
    words : torch.Tensor of shape (k, d), float32
        Of unit norm.
    threshold : float

    Returns
    -------
    torch.Tensor of shape (m, 2 * k), float32, at least 0

    References
    ----------
    A. Coates and A. Ng, "The importance of encoding versus training with sparse coding and vector
    quantization", ICML 2011.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.patches import soft_threshold
    >>> soft_threshold(torch.tensor([[3.0, -2.0]]), torch.eye(2), 0.5)
    tensor([[2.5000, 0.0000, 0.0000, 1.5000]])
    """
    products = patches @ words.T
    return torch.cat((products, -products), 1).sub_(threshold).clamp_(min=0)


def nearest(patches, words, fraction):
    """1 for the words and negatives of words that are the nearest, 0 for the others.

    Parameters
    ----------
    patches : torch.Tensor of shape (m, d), float32
    words : torch.Tensor of shape (k, d), float32
        Of unit norm, so that the nearest are those of the largest product.
    fraction : float in 0..1
        Of the 2 * k words and negatives, rounded to at least one, that are 1 for each patch; more
        where several are equally near.

    Returns
    -------
    torch.Tensor of shape (m, 2 * k), float32, 0 or 1
        The words, then their negatives.

    References
    ----------
    L. Thiry, M. Arbel, E. Belilovsky and E. Oyallon, "The unreasonable effectiveness of patches in
    deep convolutional kernels methods", ICLR 2021.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.kernels.patches import nearest
    >>> nearest(torch.tensor([[3.0, -2.0]]), torch.eye(2), 0.5)
    tensor([[1., 0., 0., 1.]])
    """
    n_words = len(words)
    n_nearest = max(1, round(2 * n_words * fraction))
    products = patches @ words.T
    # Of the products and their negatives the larger halves are the absolute values, so that the
    # sought one is the like of an absolute value: half the numbers to order.
    if n_nearest <= n_words:
        least = _smallest(products.abs(), n_words - n_nearest + 1)
    else:
        least = -_smallest(products.abs(), n_nearest - n_words)
    codes = products.new_empty(len(products), 2 * n_words)
    torch.ge(products, least, out=codes[:, :n_words])
    torch.le(products, -least, out=codes[:, n_words:])
    return codes


def _smallest(rows, k):
    """The k-th smallest value of every row, (m, 1); rows are overwritten."""
    if rows.device.type != "cpu":
        return rows.kthvalue(k, 1, keepdim=True).values
    # two to six times as fast as torch.kthvalue on a CPU
    rows.numpy().partition(k - 1, axis=1)
    return rows[:, k - 1 : k]


_ASSIGNMENTS = {  # and how many codes a word has
    "triangle": (triangle_codes, 1),
    "soft_threshold": (soft_threshold, 2),
    "nearest": (nearest, 2),
}


def _chunk_size(rows, columns, n_values, device):
    """How many images at a time, and if it is one, how many rows of its positions."""
    at_once = VALUES_PER_CHUNK["cpu" if device.type == "cpu" else "cuda"]
    if rows * columns * n_values <= at_once:
        return at_once // (rows * columns * n_values), rows
    return 1, min(rows, max(1, at_once // (columns * n_values)))


@lru_cache(maxsize=32)
def _cell_members(rows, columns, grid, mirror, device):
    """1 where a position belongs to a cell: (cells, rows * columns) float32."""
    of_rows = _parts(rows, grid[0], device)[:, None, :, None]
    of_columns = _parts(columns, grid[1], device)
    if mirror:
        of_columns = (of_columns + of_columns.flip(0, 1)) / 2
    of_columns = of_columns[None, :, None, :]
    return (of_rows * of_columns).reshape(math.prod(grid), rows * columns)


def _parts(length, n_parts, device):
    """1 where a position belongs to a part: (n_parts, length) float32."""
    # Halves are rounded up, as by Coates; Python rounds them to even numbers.
    edges = [(2 * i * length + n_parts) // (2 * n_parts) for i in range(n_parts + 1)]
    positions = torch.arange(length, device=device)
    starts, ends = (torch.tensor(e, device=device)[:, None] for e in (edges[:-1], edges[1:]))
    return ((positions >= starts) & (positions < ends)).to(torch.float32)
