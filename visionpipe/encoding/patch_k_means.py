"""Patches of images, compared with words that were learned from such patches."""

from numbers import Real

import numpy as np
import torch
from sklearn.callback import with_callbacks
from sklearn.utils import check_random_state
from sklearn.utils.random import sample_without_replacement
from sklearn.utils.validation import check_is_fitted

from visionpipe.base import (
    ImageTransformer,
    check_choice,
    check_nonnegative_number,
    check_positive_int,
    check_positive_number,
    check_positive_pair,
    check_sizes,
    identity,
    refuse,
    resolve_device,
    to_batch,
)
from visionpipe.encoding.learned import learn_once, learned_state
from visionpipe.encoding.words import draw_words, learn_words
from visionpipe.images import as_images
from visionpipe.kernels.color import rgb_to_grey
from visionpipe.kernels.patches import (
    mirror_patches,
    n_positions,
    normalize_contrast,
    patch_k_means,
    patches_at,
    zca_whitening,
)

__all__ = ["PatchKMeans"]

VARIANCE_EPS = 0.01  # joins the variance of a pooled sum (Coates, Lee and Ng 2011)


class PatchKMeans(ImageTransformer):
    """Whitened patches compared with a learned dictionary of words, summed over parts of the image.

    From every image small square patches are taken at all positions, brought to mean zero and unit
    contrast, and whitened. Each is compared with the words of a dictionary; the comparisons are
    summed over the cells of a grid. The whitening, the dictionary and the scale of the sums are
    learned in `fit`, without labels.

    Images may be grey or RGB, and are of one size.

    Parameters
    ----------
    n_words : int, default=1600
        Size of the dictionary.
    color_space : {"rgb", "grey"}, default="rgb"
        What each image is turned into first, so that grey and RGB ones may be mixed.
    patch_size : int, default=6
        Height and width of a patch in pixels.
    step : int, default=1
        Pixels from a patch to the next one.
    dictionary : {"kmeans", "patches"}, default="kmeans"
        ``"kmeans"`` clusters a sample of whitened patches, ``"patches"`` draws words from it and
        brings them to unit norm.
    assignment : {"triangle", "soft_threshold", "nearest"}, default="triangle"
        How a patch x is compared with the words w. ``"triangle"`` is how much nearer than on
        average a word is, max(0, mean(z) - z_k) with z the distances from x to all words.
        ``"soft_threshold"`` is max(0, x.w - threshold) and max(0, -x.w - threshold), two numbers a
        word; ``"nearest"`` is 1 for those of the words and their negatives that are among the
        `nearest_fraction` nearest to x and else 0, again two numbers a word. The last two bring the
        words of any dictionary to unit norm.
    threshold : float, default=0.25
        Of ``"soft_threshold"``.
    nearest_fraction : float, default=0.4
        Of ``"nearest"``, of all words and their negatives.
    contrast_eps : float or None, default=10
        Joins the variance of a patch under the root by which it is divided, for pixels in 0..255
        (floating-point images are brought to that scale). With None, patches keep their mean and
        contrast.
    zca_eps : float, default=0.1
        Joins the variances of the patches in the whitening, after their contrast is normalised.
    grid : (int, int), default=(2, 2)
        Rows and columns of cells; (2, 2) are quadrants.
    mirror : bool, default=False
        Let half of the words be mirror images of the other half, and add to the sums of an image
        those of its mirror image, which costs nothing: they are the same numbers in another order.
        Vectors are half as long, and equal for an image and its mirror image. A linear classifier
        learns from them what it would learn from all training images and their mirror images.
    n_samples : int, default=100000
        Patches drawn from the images in `fit`, to learn the whitening and the dictionary from; all
        of them if there are fewer.
    standardize : bool, default=True
        Take the training images' mean from each sum and divide by sqrt(variance + 0.01).
    random_state : int, RandomState or None, default=None
        Draws the sample and the start of k-means, or the words.
    store : None, "auto", path-like or FeatureStore, default=None
        Where vectors, and what is learned, are kept, so that each set is encoded once; "auto" keeps
        them in the user's cache folder if reading is faster than computing.
    device : str or torch.device, default="cpu"
        Where to compute; ``"auto"`` is a GPU if there is one.

    Attributes
    ----------
    image_shape_in_ : tuple (h, w, c)
        Shape of the first image seen in `fit`.
    mean_ : ndarray of float32 of shape (d,)
        Mean of the patches with normalised contrast; d is 3 * patch_size * patch_size, or a
        third of it if grey, and a patch runs over channels, rows and columns.
    whitening_ : ndarray of float32 of shape (d, d)
        Symmetric; ``(patches - mean_) @ whitening_`` are whitened patches.
    words_ : ndarray of float32 of shape (n_words, d)
        The dictionary, in the whitened space.
    sums_mean_ : ndarray of float32 of shape (n_features,)
        With `sums_scale_`, what the sums are standardised by; only if `standardize`.
    sums_scale_ : ndarray of float32 of shape (n_features,)
        The square roots of variance + 0.01; only if `standardize`.

    Notes
    -----
    The vector runs over cell rows, cell columns and words; over the words, then their negatives,
    where a word has two numbers. It is long, and meant for a linear classifier. To standardise,
    `fit` holds the vectors of all training images in memory.

    The defaults are those of Coates, Lee and Ng but for fewer patches and fewer iterations of
    k-means. As in their paper it is the sums over a cell that are standardised, not means: they
    grow with the number of positions in the cell, so that the 0.01 under the root weighs less the
    larger the images are.
    ``dictionary="patches"`` with ``"soft_threshold"`` is the encoder of Coates and Ng on random
    patches, the threshold that of their experiments on CIFAR-10. ``"nearest"`` is the code of
    Thiry et al., whose patches keep their contrast and norm and are whitened with 0.001 (here:
    ``contrast_eps=None, zca_eps=1e-3``), and whose codes are averaged over overlapping windows.

    References
    ----------
    A. Coates, H. Lee and A. Ng, "An analysis of single-layer networks in unsupervised feature
    learning", AISTATS 2011.

    A. Coates and A. Ng, "The importance of encoding versus training with sparse coding and vector
    quantization", ICML 2011.

    L. Thiry, M. Arbel, E. Belilovsky and E. Oyallon, "The unreasonable effectiveness of patches in
    deep convolutional kernels methods", ICLR 2021.

    Examples
    --------
    >>> from visionpipe import PatchKMeans, load_faces
    >>> faces = load_faces()
    >>> patches = PatchKMeans(n_words=20, n_samples=2000, random_state=0)
    >>> patches.fit_transform(faces.images).shape
    (200, 80)
    """

    _needs_one_size = True
    _learned = ("mean_", "whitening_", "words_")
    _kernels = (
        *("bag_of_visual_words", "color", "k_means", "nearest_words", "patches", "segment_sum"),
    )

    def __init__(
        self,
        n_words=1600,
        *,
        color_space="rgb",
        patch_size=6,
        step=1,
        dictionary="kmeans",
        assignment="triangle",
        threshold=0.25,
        nearest_fraction=0.4,
        contrast_eps=10,
        zca_eps=0.1,
        grid=(2, 2),
        mirror=False,
        n_samples=100_000,
        standardize=True,
        random_state=None,
        store=None,
        device="cpu",
    ):
        self.n_words = n_words
        self.color_space = color_space
        self.patch_size = patch_size
        self.step = step
        self.dictionary = dictionary
        self.assignment = assignment
        self.threshold = threshold
        self.nearest_fraction = nearest_fraction
        self.contrast_eps = contrast_eps
        self.zca_eps = zca_eps
        self.grid = grid
        self.mirror = mirror
        self.n_samples = n_samples
        self.standardize = standardize
        self.random_state = random_state
        self.store = store
        self.device = device

    @with_callbacks
    def fit(self, X, y=None):
        """Learn the whitening, the dictionary and the scale of the sums.

        Parameters
        ----------
        X : array-like of images
            Anything `as_images` takes, of one size.
        y : None
            Ignored.

        Returns
        -------
        self
        """
        self._fit(X, y, needs_sums=self.standardize)
        return self

    @with_callbacks
    def fit_transform(self, X, y=None):
        """Fit, and compute one vector for each of the same images, in half the time of doing both.

        Parameters
        ----------
        X : array-like of images
            Anything `as_images` takes, of one size.
        y : None
            Ignored.

        Returns
        -------
        ndarray of float32 of shape (n_images, n_features)
        """
        return self._standardized(self._fit(X, y, needs_sums=True))

    def transform(self, X):
        """Compute one vector for each image.

        Parameters
        ----------
        X : array-like of images
            Anything `as_images` takes, of the size of those given to `fit`.

        Returns
        -------
        ndarray of float32 of shape (n_images, n_features)
        """
        check_is_fitted(self)
        self._check_params()
        return self._standardized(self._sums_of(as_images(X, owner=type(self).__name__)))

    def _check_params(self):
        check_positive_int(self, "n_words", "patch_size", "step", "n_samples")
        check_choice(
            self,
            color_space=("rgb", "grey"),
            dictionary=("kmeans", "patches"),
            assignment=("triangle", "soft_threshold", "nearest"),
            mirror=(False, True),
            standardize=(False, True),
        )
        check_positive_pair(self, "grid")
        check_positive_number(self, "zca_eps")
        if self.contrast_eps is not None:
            check_positive_number(self, "contrast_eps")
        if self.mirror and self.n_words % 2:
            refuse(self, "n_words", "an even number of words, since mirror=True")
        check_nonnegative_number(self, "threshold")
        if not isinstance(self.nearest_fraction, Real) or not 0 < self.nearest_fraction <= 1:
            refuse(self, "nearest_fraction", "a number above 0 and at most 1")

    def _fit(self, X, y, needs_sums):
        """Learn from images; return their sums over cells if they are needed."""
        self._check_params()
        images, sums = as_images(X, owner=type(self).__name__), None
        with self._fit_task(images, y, n_stages=3):
            self.image_shape_in_ = images.first_shape()  # (h, w, c)
            learn_once(self, images, lambda: self._learn_words(images))
            n_codes = self.n_words * (1 if self.assignment == "triangle" else 2)
            n_codes //= 1 + self.mirror
            self._n_features_out = n_codes * self.grid[0] * self.grid[1]
            if needs_sums:
                with self._stage("sums"):
                    sums = self._sums_of(images)
            if self.standardize:
                self._learn_scale(sums)
        return sums

    def _learn_words(self, images):
        """Learn everything but the scale of the sums."""
        device, rng = resolve_device(self.device), check_random_state(self.random_state)
        with self._stage("sample"):
            sample = self._sample_patches(images, rng)  # (m, d)
            if self.mirror:
                sample = torch.cat((sample, mirror_patches(sample, self.patch_size)))
            mean, whitening = zca_whitening(sample, self.zca_eps)
            whitened = (sample.sub_(mean) @ whitening).numpy()
        owner, n_words = type(self).__name__, self.n_words // (1 + self.mirror)
        with self._stage("words"):
            if self.dictionary == "patches":
                words = draw_words(whitened, n_words, random_state=rng, owner=owner)
            else:
                words = learn_words(whitened, n_words, random_state=rng, device=device, owner=owner)
        if self.dictionary == "patches" or self.assignment != "triangle":
            norms = np.linalg.norm(words, axis=1, keepdims=True)
            words = words / np.maximum(norms, np.finfo(np.float32).tiny)
        if self.mirror:
            mirrored = mirror_patches(torch.from_numpy(words), self.patch_size)
            words = np.concatenate((words, mirrored.numpy()))
        self.mean_, self.whitening_, self.words_ = mean.numpy(), whitening.numpy(), words

    def _sample_patches(self, images, rng):
        """Patches with normalised contrast, drawn before any image is read, as a tensor (m, d)."""
        n_rows, n_columns = n_positions(self.image_shape_in_[:2], self.patch_size, self.step)
        n_channels = 3 if self.color_space == "rgb" else 1
        n_patches = len(images) * n_rows * n_columns
        drawn = np.arange(n_patches)
        if n_patches > self.n_samples:
            drawn = sample_without_replacement(n_patches, self.n_samples, random_state=rng)
            drawn.sort()
        image_of, position_of = np.divmod(drawn, n_rows * n_columns)
        wanted, image_of = np.unique(image_of, return_inverse=True)
        position_of = torch.from_numpy(position_of)

        sample = torch.empty(len(drawn), n_channels * self.patch_size**2)
        place = np.empty(len(wanted), dtype=np.int64)  # of an image in its batch
        for rows, pixels in images[wanted].batches():
            here = np.flatnonzero(np.isin(image_of, rows))
            place[rows] = np.arange(len(rows))
            batch = self._channels(to_batch(pixels))
            images_here = torch.from_numpy(place[image_of[here]])
            patches = patches_at(batch, images_here, position_of[here], self.patch_size, self.step)
            sample[here] = normalize_contrast(patches, self._contrast_eps())
        return sample

    def _contrast_eps(self):
        """`contrast_eps` for pixels in 0..1."""
        return None if self.contrast_eps is None else self.contrast_eps / 255**2

    def _channels(self, batch):
        """What patches are taken of, (b, 3, h, w) or (b, 1, h, w)."""
        check_sizes(self, [batch.shape[2:]], self.image_shape_in_[:2])
        if self.color_space == "rgb":
            return batch.expand(-1, 3, -1, -1)
        return rgb_to_grey(batch) if batch.shape[1] == 3 else batch

    def _learn_scale(self, sums):
        mean = sums.mean(axis=0, dtype=np.float64)
        squares = np.zeros_like(mean)
        for part in np.array_split(sums, -(-len(sums) // 1000)):  # a few at a time in float64
            squares += np.square(part - mean).sum(axis=0)
        variance = squares / max(len(sums) - 1, 1)
        self.sums_mean_ = mean.astype(np.float32)
        self.sums_scale_ = np.sqrt(variance + VARIANCE_EPS).astype(np.float32)

    def _sums_of(self, images):
        """Sums over cells (n, f), before they are standardised."""
        return self._once(images, self._sums, self.image_shape_in_[:2])[0]

    def _setting(self):
        return f"{identity(self)} sums of {learned_state(self)}"

    def _standardized(self, sums):
        """The vectors, in the memory of the sums."""
        if self.standardize:
            sums -= self.sums_mean_
            sums /= self.sums_scale_
        return sums

    def _sums(self, batch):
        # torch.tensor copies: joblib hands large arrays to its workers read-only
        learned = (self.mean_, self.whitening_, self.words_)
        return patch_k_means(
            self._channels(batch),
            *(torch.tensor(array, device=batch.device) for array in learned),
            patch_size=self.patch_size,
            step=self.step,
            contrast_eps=self._contrast_eps(),
            assignment=self.assignment,
            threshold=self.threshold,
            nearest_fraction=self.nearest_fraction,
            grid=tuple(self.grid),
            mirror=self.mirror,
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = True
        return tags
