"""Visual words, shown by the patches of images that are nearest to them."""

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from visionpipe.base import resolve_device
from visionpipe.descriptors import as_descriptors
from visionpipe.displays.display import get_axes, import_pyplot, steps_up_to, transform_images
from visionpipe.displays.patches import cut_patch
from visionpipe.encoding.bag_of_visual_words import BagOfVisualWords
from visionpipe.encoding.vlad import VLAD
from visionpipe.kernels.nearest_words import nearest_words
from visionpipe.local.describer import Describer

__all__ = ["VisualWordsDisplay"]

IMAGES_PER_BATCH = 64  # described at a time: bounds memory, however many images there are
DESCRIPTORS_PER_BATCH = 1 << 15

# A descriptor that may be shown for the word it is nearest to
CANDIDATE = np.dtype(
    [("word", np.int64), ("image", np.int64), ("distance", np.float32), ("frame", np.float32, 4)]
)


class VisualWordsDisplay:
    """Visual words: for each, the patches of images whose descriptors are nearest to it.

    A patch is what its descriptor saw, 4 cells wide and turned upright. Each descriptor counts for
    its nearest word only, and an image gives a word at most one patch, so that a row shows how
    different the things are that are one word. Use `from_estimator` to make one.

    Parameters
    ----------
    words : ndarray of int of shape (n_words,)
        Numbers of the words, their rows in `words_` of the encoder.
    patches : list of ndarray of shape (n_i, size, size, 3)
        The patches of each word, nearest first, RGB in 0..1.
    distances : list of ndarray of shape (n_i,)
        Euclidean distance of each patch's descriptor from the word.
    image_indices : list of ndarray of int of shape (n_i,)
        The image that each patch comes from.
    frames : list of ndarray of shape (n_i, 4)
        x, y, scale and angle of each patch in its image.
    counts : ndarray of int of shape (n_words,)
        How many descriptors of the images are nearest to each word, n in the labels.

    Attributes
    ----------
    im_ : matplotlib AxesImage
        All patches, one row a word.
    text_ : list of matplotlib Text
        Distances beneath the patches.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.pipeline import make_pipeline
    >>> from visionpipe import BagOfVisualWords, DenseSIFT, VisualWordsDisplay, load_faces
    >>> faces = load_faces().images
    >>> bag = BagOfVisualWords(20, random_state=0)
    >>> model = make_pipeline(DenseSIFT(step=3, bin_sizes=(3,)), bag).fit(faces)
    >>> display = VisualWordsDisplay.from_estimator(model, faces, n_words=5, n_patches=6)
    >>> len(display.words), display.patches[0].shape
    (5, (6, 48, 48, 3))
    >>> plt.show()  # doctest: +SKIP
    >>> plt.close(display.figure_)
    """

    def __init__(self, words, patches, *, distances, image_indices, frames, counts):
        self.words = words
        self.patches = patches
        self.distances = distances
        self.image_indices = image_indices
        self.frames = frames
        self.counts = counts

    @classmethod
    def from_estimator(
        cls,
        estimator,
        images,
        *,
        descriptors=None,
        words=None,
        n_words=8,
        n_patches=8,
        patch_size=48,
        ax=None,
        include_distances=True,
        im_kw=None,
    ):
        """Find the patches nearest to some words and draw them.

        Parameters
        ----------
        estimator : Pipeline, BagOfVisualWords or VLAD
            Fitted. A pipeline of steps from images to images, a local descriptor, and the encoder;
            what comes after it does not matter. Of the encoder alone, `descriptors` are needed.
        images : array-like of images
            Anything `as_images` takes, or what the pipeline takes.
        descriptors : Descriptors, default=None
            Those of the images, with frames; None computes them with the pipeline.
        words : array-like of int, default=None
            Numbers of the words to show. None shows the `n_words` that are nearest to the most
            descriptors of these images.
        n_words : int, default=8
            How many words, where `words` is None.
        n_patches : int, default=8
            How many patches of each word, at most one from an image.
        patch_size : int, default=48
            Height and width in pixels to which patches are resampled.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        include_distances : bool, default=True
            Write distances beneath the patches.
        im_kw : dict, default=None
            Further parameters of matplotlib's `imshow`.

        Returns
        -------
        VisualWordsDisplay

        Raises
        ------
        ValueError
            If there is no encoder with words in `estimator`, there are no images, descriptors are
            missing or do not belong to the images, or a parameter is out of range.
        NotFittedError
            If the encoder is not fitted.
        ImportError
            If matplotlib is missing.
        """
        import_pyplot(cls.__name__)
        _check_positive(n_words=n_words, n_patches=n_patches, patch_size=patch_size)
        *before, encoder = _steps_up_to_encoder(estimator)
        check_is_fitted(encoder)
        images, parts = _described(before, images, descriptors)
        found, counts = _nearest_candidates(parts, encoder, n_patches)
        if words is None:
            words = _most_frequent(counts, n_words)
        else:
            words = _check_words(words, len(counts))
        rows = [found[found["word"] == word] for word in words]
        patches = _cut_patches(images, rows, patch_size)
        display = cls(
            words,
            patches,
            distances=[row["distance"] for row in rows],
            image_indices=[row["image"] for row in rows],
            frames=[row["frame"] for row in rows],
            counts=counts[words],
        )
        return display.plot(ax=ax, include_distances=include_distances, im_kw=im_kw)

    def plot(self, *, ax=None, include_distances=True, im_kw=None):
        """Draw the patches, one row a word.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.
        include_distances : bool, default=True
            Write distances beneath the patches.
        im_kw : dict, default=None
            Further parameters of matplotlib's `imshow`.

        Returns
        -------
        VisualWordsDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        n_columns = max(1, *map(len, self.patches))
        size = self.patches[0].shape[1]
        inches = (0.8 * n_columns + 1.2, 0.9 * len(self.words) + 0.1)
        self.ax_ = get_axes(self, ax, figsize=inches)
        self.figure_ = self.ax_.figure
        height, width = size + size // 4, size + size // 12  # of a place, with its margins
        mosaic = np.zeros((len(self.words) * height, n_columns * width, 4))  # transparent
        self.text_ = []
        for i, j in _places(self.patches):
            top, left = i * height, j * width
            place = mosaic[top : top + size, left : left + size]
            place[..., :3], place[..., 3] = self.patches[i][j], 1
            if include_distances:
                self.text_.append(self._write_distance(i, j, left + size / 2, top + size))
        self.im_ = self.ax_.imshow(mosaic, **(im_kw or {}))
        self._label_rows(np.arange(len(self.words)) * height + size / 2)
        return self

    def _write_distance(self, i, j, x, y):
        text = f"{self.distances[i][j]:.3g}"
        return self.ax_.text(x, y, text, ha="center", va="top", fontsize=7, color="dimgray")

    def _label_rows(self, middles):
        labels = [
            f"word {word}\nn = {n:,}" for word, n in zip(self.words, self.counts, strict=True)
        ]
        self.ax_.set_yticks(middles, labels=labels)
        self.ax_.set_xticks([])
        self.ax_.tick_params(length=0, labelsize=9)
        self.ax_.spines[:].set_visible(False)


def _places(patches):
    return ((i, j) for i, row in enumerate(patches) for j in range(len(row)))


# ---------------------------------------------------------------------- images and descriptors


def _check_positive(**numbers):
    for name, value in numbers.items():
        if value < 1:
            raise ValueError(f"VisualWordsDisplay got {name}={value}; wanted 1 or more")


def _steps_up_to_encoder(estimator):
    return steps_up_to(
        estimator,
        (BagOfVisualWords, VLAD),
        owner="VisualWordsDisplay",
        wanted="an encoder with words (BagOfVisualWords or VLAD; a FisherVector has none)",
    )


def _described(steps, images, descriptors):
    """Images as they are described, and runs of them: position of the first, `Descriptors`."""
    owner = "VisualWordsDisplay"
    is_describer = [isinstance(step, Describer) for step in steps]
    if descriptors is None and not any(is_describer):
        raise ValueError(
            f"{owner} got an encoder, and nothing that says where in the images its descriptors "
            "come from; give a fitted Pipeline of a local descriptor (SIFT, RootSIFT or DenseSIFT) "
            "and the encoder, or with the encoder descriptors=, what SIFT().transform(images) gave"
        )
    n_image_steps = is_describer.index(True) if any(is_describer) else len(steps)
    images = transform_images(steps[:n_image_steps], images, owner=owner)
    if descriptors is None:
        return images, _describe(steps[n_image_steps:], images)
    sets = as_descriptors(descriptors, owner=owner)
    _check_of_images(sets, images)
    return images, [(0, sets)]


def _describe(steps, images):
    for first in range(0, len(images), IMAGES_PER_BATCH):
        sets = images[first : first + IMAGES_PER_BATCH]
        for step in steps:
            sets = step.transform(sets)
        yield first, as_descriptors(sets, owner="VisualWordsDisplay")


def _check_of_images(sets, images):
    """Raise a ValueError if descriptors cannot be those of the images."""
    if len(sets) != len(images):
        raise ValueError(
            f"VisualWordsDisplay got {len(images)} images and descriptors of {len(sets)}; give "
            "those of the same images"
        )
    size = images.first_shape()[:2]
    if sets.image_sizes is not None and tuple(sets.image_sizes[0]) != size:
        raise ValueError(
            f"VisualWordsDisplay got a first image of {size} pixels and descriptors of one of "
            f"{tuple(sets.image_sizes[0].tolist())}; give the images as they were described"
        )


# ---------------------------------------------------------------------------- the nearest patches


def _nearest_candidates(parts, encoder, n_patches):
    """Of every word the nearest descriptors, by word and distance, and how many it has in all.

    No more is kept than what may be shown in the end, so that memory does not grow with the images.
    """
    words = torch.tensor(encoder.words_, device=resolve_device(encoder.device))
    counts, nearest = np.zeros(len(words), dtype=np.int64), np.empty(0, dtype=CANDIDATE)
    for first, sets in parts:
        _check_descriptors(sets, encoder)
        for run in sets.batches(DESCRIPTORS_PER_BATCH, len(sets)):
            found = _candidates(sets, run, words)
            found["image"] += first
            counts += np.bincount(found["word"], minlength=len(words))
            nearest = _nearest(np.concatenate([nearest, found]), n_patches)
    return nearest, counts


def _check_descriptors(sets, encoder):
    if sets.frames is None:
        raise ValueError(
            "VisualWordsDisplay got descriptors without frames, which tell where in an image each "
            "comes from; SIFT, RootSIFT and DenseSIFT give them"
        )
    length = encoder.words_.shape[1]
    if sets.offsets[-1] and sets.n_features != length:
        raise ValueError(
            f"VisualWordsDisplay got descriptors of length {sets.n_features}; the words of the "
            f"{type(encoder).__name__} have length {length}"
        )


@torch.inference_mode()
def _candidates(sets, run, words):
    """All descriptors of a run of neighbouring images, with the word nearest to each."""
    rows = slice(*sets.offsets[[run.start, run.stop]])
    values = torch.from_numpy(np.ascontiguousarray(sets.read(rows), dtype=np.float32))
    word, squared_distances = nearest_words(values.to(words.device), words)
    found = np.empty(len(values), dtype=CANDIDATE)
    found["word"] = word.cpu().numpy()
    found["distance"] = squared_distances.sqrt().cpu().numpy()
    found["image"] = np.repeat(run, sets.counts[run.start : run.stop])
    found["frame"] = sets.frames[rows]
    return found


def _nearest(found, n_patches):
    """Of every word the nearest `n_patches`, the nearest in their images; of equals the first."""
    found = found[np.lexsort((found["distance"], found["image"], found["word"]))]
    found = found[_is_among_first(found[["word", "image"]], 1)]
    found = found[np.lexsort((found["image"], found["distance"], found["word"]))]
    return found[_is_among_first(found["word"], n_patches)]


def _is_among_first(groups, n):
    """Mask of the first `n` of every run of equal values."""
    starts = np.flatnonzero(np.concatenate([[True], groups[1:] != groups[:-1]])[: len(groups)])
    lengths = np.diff(starts, append=len(groups))
    return np.arange(len(groups)) - np.repeat(starts, lengths) < n


def _most_frequent(counts, n_words):
    """Numbers of the words that occur most, the first of equals first; not of those that never."""
    if not counts.any():
        raise ValueError("VisualWordsDisplay got images without descriptors; give others")
    return np.argsort(-counts, kind="stable")[: min(n_words, np.count_nonzero(counts))]


def _check_words(words, n_words):
    numbers = np.asarray(words)
    if numbers.ndim != 1 or numbers.size == 0 or numbers.dtype.kind not in "iu":
        raise ValueError(f"VisualWordsDisplay got words={words!r}; wanted a row of ints")
    if numbers.min() < 0 or numbers.max() >= n_words:
        raise ValueError(
            f"VisualWordsDisplay got words from {numbers.min()} to {numbers.max()}; the encoder "
            f"has words 0 to {n_words - 1}"
        )
    return numbers


def _cut_patches(images, rows, size):
    """Patches (n_i, size, size, 3) of each row of candidates; every image is read once."""
    chosen = np.concatenate(rows)
    patches = np.empty((len(chosen), size, size, 3), dtype=np.float32)
    for image in np.unique(chosen["image"]):
        pixels = images[image]
        for place in np.flatnonzero(chosen["image"] == image):
            patches[place] = cut_patch(pixels, chosen["frame"][place], size)
    return np.split(patches, np.cumsum([len(row) for row in rows])[:-1])
