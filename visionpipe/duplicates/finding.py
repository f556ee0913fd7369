"""The same picture twice in a set of images, exactly or nearly."""

from functools import cache
from hashlib import sha256
from itertools import combinations

import numpy as np
import torch

from visionpipe.base import to_batch
from visionpipe.duplicates.pairs import Duplicates, expand
from visionpipe.images import as_images
from visionpipe.kernels.perceptual_hash import SIDE, perceptual_hash, small_grey
from visionpipe.threads import map_ahead

__all__ = ["find_duplicates"]

MOST_BITS = 6  # that hashes of near duplicates differ by
# Two blocks of bits more than that, each with bits of all frequencies: hashes of MNIST agree on two
# blocks in 64 million cases, and in 250 million if a block is a row of the frequencies.
BLOCKS = [
    np.uint64(sum(1 << bit for bit in range(64) if (3 * (bit // 8) + bit) % 8 == block))
    for block in range(MOST_BITS + 2)
]
AROUND = 5  # pixels of 32: the square whose mean is taken off a pixel
LEAST_DETAIL = 4  # of 255 levels
SMALL_AT_ONCE = 1 << 9
PAIRS_PER_CHUNK = 1 << 18
PAIRS_AT_ONCE = 1 << 7  # whose details, 1 MB, are compared


def find_duplicates(X, *, least_similarity=0.98):
    """Find images that are there twice, exactly or nearly.

    Exact duplicates have equal pixels, whatever files or types they come from. Near duplicates are
    the same picture compressed again, resized, brightened, or with some pixels changed: their
    perceptual hashes differ by at most 6 of 64 bits, and what is fine in them at 32x32 pixels, the
    grey levels less the mean of the 5x5 around, correlates. Mirrored, turned and cropped pictures
    are not found, and an image of one colour has exact duplicates only.

    Every image is decoded in full once; beside a batch of them, 2 kB of each are kept meanwhile.

    Parameters
    ----------
    X : array-like of images
        Anything `as_images` takes.
    least_similarity : float, default=0.98
        The least correlation of near duplicates, above 0 and at most 1. Where images are as small
        as those of CIFAR-10, less finds more; where they show simple things of one kind, such as
        digits, it takes what is written alike for the same picture. See Notes.

    Returns
    -------
    Duplicates

    Raises
    ------
    ValueError
        If `X` are not images, or `least_similarity` is out of its range.
    ImageReadError
        If a file cannot be read.

    Notes
    -----
    Near duplicates that are found, by the least similarity (2026-12-01); ``python -m
    benchmarks.duplicates DATA`` counts them:

    ==================================  ======  ====  ====
    images                                 0.9  0.97  0.98
    ==================================  ======  ====  ====
    8x8, 1,797 digits of scikit-learn      116     0     0
    28x28, 70,000 of MNIST              20,431    58     4
    28x28, 70,000 of Fashion-MNIST       4,913   175   104
    32x32, 60,000 of CIFAR-10              129    36    26
    ==================================  ======  ====  ====

    Of CIFAR-10 all that were looked at are the same picture, 93 between 0.9 and 0.97 and 26 from
    0.98 on. Of MNIST none from 0.97 on is: they are ones, straight bars. Of Fashion-MNIST most from
    0.98 on are one photograph in two shades, and some are trousers.

    Of 240 photographs of Caltech-101, 98 % or more are found after JPEG of quality 20, at half or
    twice their size, at 0.8 or 1.1 times their brightness, 0.8 or 1.3 times their contrast, in
    grey, or with a line of text in a corner, and 78 % at 1.3 times their brightness, where much
    becomes white.

    References
    ----------
    G. S. Manku, A. Jain and A. Das Sarma, "Detecting near-duplicates for web crawling", WWW 2007:
    how hashes that differ by a few bits are found. B. Barz and J. Denzler, "Do we train on test
    data? Purging CIFAR of near-duplicates", Journal of Imaging 6(6), 2020: why it matters.

    Examples
    --------
    >>> import numpy as np
    >>> from visionpipe import load_faces
    >>> from visionpipe.duplicates import find_duplicates
    >>> faces = load_faces().images[:50]
    >>> darker = [0.9 * face for face in faces[7:9]]
    >>> duplicates = find_duplicates([*faces, *darker, faces[3]])
    >>> duplicates.pairs.tolist(), duplicates.is_exact.tolist()
    ([[3, 52], [7, 50], [8, 51]], [True, False, False])
    >>> print(duplicates)
    duplicates among 53 images: 1 exact, 2 near (6 images in 3 groups)
    """
    if not 0 < least_similarity <= 1:
        raise ValueError(
            f"least_similarity={least_similarity!r}: wanted a number above 0 and at most 1"
        )
    images = as_images(X, owner="find_duplicates")
    digests, small = _look_at(images)
    hashes, details, norms = _describe(small)
    seen = {}
    first = np.array([seen.setdefault(digest, i) for i, digest in enumerate(digests)])
    is_first = first == np.arange(len(images))
    copies = np.flatnonzero(~is_first)
    rows = np.flatnonzero(is_first & (norms > 0))
    near, similarity = _near(rows, hashes, details, norms, least_similarity)
    return Duplicates(
        first,
        np.concatenate([np.column_stack([first[copies], copies]), near]),
        np.concatenate([np.ones(len(copies)), similarity]),
    )


# ------------------------------------------------------------------------------------- one by one


def _look_at(images):
    """Digests and small grey images (n, 32, 32) uint8."""
    digests, small = [None] * len(images), np.empty((len(images), SIDE, SIDE), dtype=np.uint8)
    for rows, (found, pixels) in images.map_batches(_look):
        small[rows] = pixels
        for row, digest in zip(rows, found, strict=True):
            digests[row] = digest
    return digests, small


@torch.inference_mode()
def _look(pixels):
    return [*map(_digest, pixels)], small_grey(to_batch(pixels))[:, 0].numpy()


def _digest(pixels):
    """Digest of an image (h, w, c), equal for grey and RGB, uint8 and float, of equal pixels."""
    red, *others = np.moveaxis(pixels, -1, 0)
    if all((red == other).all() for other in others):
        pixels = red
    if pixels.dtype != np.uint8:
        levels = np.rint(255 * pixels)
        if (levels / np.float32(255) == pixels).all():
            pixels = levels.astype(np.uint8)
    digest = sha256(f"{pixels.dtype} {pixels.shape}".encode())
    digest.update(np.ascontiguousarray(pixels))
    return digest.digest()[:16]


# Not while images are read: those of unequal sizes come one by one, and calling torch for one takes
# longer than what it does.
def _describe(small):
    """Hashes (n,), details (n, 1024) int8, and their norms (n,), of small grey images."""
    chunks = (small[start : start + SMALL_AT_ONCE] for start in range(0, len(small), SMALL_AT_ONCE))
    return map(np.concatenate, zip(*map_ahead(_describe_some, chunks), strict=True))


@torch.inference_mode()
def _describe_some(small):
    batch = torch.from_numpy(small).unsqueeze(1)  # (b, 1, 32, 32)
    return perceptual_hash(batch).numpy().view(np.uint64), *_details(batch)


def _details(batch):
    """Grey levels less their surroundings, scaled to -127..127, and norms, 0 where there is none.

    Details are int8 of shape (b, 1024): enough for a correlation, and a quarter of the memory.
    """
    grey = batch.to(torch.float32)
    square = _square(SIDE)
    details = (grey - square @ grey @ square.T / square.sum(1).outer(square.sum(1))).flatten(1)
    largest = details.abs().amax(1, keepdim=True)
    details.mul_(127 / largest.clamp(min=1)).round_()
    norms = details.square().sum(1, dtype=torch.float64).sqrt_()
    norms[largest[:, 0] < LEAST_DETAIL] = 0
    return details.to(torch.int8).numpy(), norms.numpy()


@cache
def _square(side):
    """Ones for the pixels of a line that lie around each, (side, side)."""
    positions = torch.arange(side)
    return ((positions - positions[:, None]).abs() <= AROUND // 2).to(torch.float32)


# ---------------------------------------------------------------------------------- two at a time


def _near(rows, hashes, details, norms, least_similarity):
    """Pairs (m, 2) of rows that are alike, and how much (m,)."""

    def verify(pairs):
        i, j = pairs = rows[pairs]
        similarity = _products(details, i, j) / (norms[i] * norms[j])
        alike = similarity >= least_similarity
        return pairs.T[alike], similarity[alike]

    pairs, similarity = [np.empty((0, 2), dtype=np.int64)], [np.empty(0)]
    for found in map_ahead(verify, _pairs_of_alike(hashes[rows])):
        pairs.append(found[0])
        similarity.append(found[1])
    return np.concatenate(pairs), np.concatenate(similarity)


def _products(details, i, j):
    """Scalar products of rows i and j; exact in float32, since 1024 * 127^2 is below 2^24."""
    products = np.empty(len(i))
    for start in range(0, len(i), PAIRS_AT_ONCE):
        chunk = slice(start, start + PAIRS_AT_ONCE)
        left, right = (details[k[chunk]].astype(np.float32) for k in (i, j))
        products[chunk] = np.einsum("pd,pd->p", left, right)
    return products


def _pairs_of_alike(hashes):
    """Yield positions (2, m) of all pairs of hashes that differ by at most 6 bits, each once.

    Of eight blocks of bits at most six differ: such a pair agrees on two, and is found among the
    hashes that do, by the first two.
    """
    for a, b in combinations(range(len(BLOCKS)), 2):
        for pairs in _pairs_of_equals(hashes & (BLOCKS[a] | BLOCKS[b])):
            differing = np.bitwise_xor(*hashes[pairs])
            near = np.bitwise_count(differing) <= MOST_BITS
            pairs, differing = pairs[:, near], differing[near]
            for earlier in {*range(b)} - {a}:
                new = (differing & BLOCKS[earlier]) != 0
                pairs, differing = pairs[:, new], differing[new]
            yield pairs


def _pairs_of_equals(keys):
    """Yield positions (2, m) of all pairs of equal keys, in chunks."""
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    end = np.searchsorted(keys, keys, side="right")
    n_following = end - np.arange(len(keys)) - 1
    total = np.cumsum(n_following)
    start = 0
    while start < len(keys):
        before = total[start] - n_following[start]
        stop = max(start + 1, np.searchsorted(total, before + PAIRS_PER_CHUNK, side="right"))
        which, place = expand(n_following[start:stop])
        which += start
        yield order[np.stack([which, which + 1 + place])]
        start = stop
