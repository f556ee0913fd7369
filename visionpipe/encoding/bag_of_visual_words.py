"""Bags of visual words."""

import numpy as np
import torch

from visionpipe.base import check_choice, check_positive_int, refuse
from visionpipe.encoding.encoder import Encoder, l2_normalised
from visionpipe.encoding.words import learn_words
from visionpipe.kernels.bag_of_visual_words import (
    hard_assignment,
    llc_assignment,
    soft_assignment,
    triangle_assignment,
)
from visionpipe.kernels.nearest_words import nearest_words

__all__ = ["BagOfVisualWords"]

LLC_BETA = 1e-4  # Wang et al. (2010)


class BagOfVisualWords(Encoder):
    """How often, or how strongly, each visual word occurs in an image.

    The words are the centres of clusters of descriptors (k-means). Descriptors are assigned to
    words, and what is assigned to a word is pooled over the image, or over each cell of a pyramid.

    Parameters
    ----------
    n_words : int, default=500
        Size of the vocabulary.
    assignment : {"hard", "soft", "triangle", "llc"}, default="hard"
        "hard": a descriptor counts for its nearest word. "soft": it is shared out among its
        `n_nearest` words, by ``exp(-distance^2 / (2 sigma^2))`` (kernel codebook). "triangle": it
        adds ``max(0, mean distance - distance)`` to every word (Coates). "llc": it is written as a
        sum of its `n_nearest` words, and the largest coefficient in the image counts
        (locality-constrained linear coding, beta 1e-4); 0 if all are negative.
    weighting : None or "tfidf", default=None
        "tfidf" multiplies each word by ``log(n_images / n_images_with_the_word)`` of the training
        images.
    normalize : {"hellinger", "l1", "l2", None}, default="hellinger"
        Of the whole vector. "hellinger" is "l1" and then a square root, of L2 norm 1, which keeps
        words that come in bursts from drowning the others. None leaves counts.
    pyramid : tuple of int or (int, int), default=(1,)
        Grids over the image; n stands for (n, n), and a pair for (rows, columns). The vector holds
        every cell of every grid. More than the whole image, 1, needs descriptors with frames.
    n_nearest : int, default=5
        Of "soft" and "llc".
    sigma : float, default=None
        Of "soft". None takes the root of the mean squared distance of the sampled descriptors from
        their words.
    n_samples : int, default=100_000
        How many descriptors to learn from at most, drawn from those of all training images.
    random_state : int, RandomState or None, default=None
        Draws the sample and the start of k-means.
    store : None, "auto", path-like or FeatureStore, default=None
        Where vectors, and what is learned, are kept, so that each set is encoded once; "auto" keeps
        them in the user's cache folder if reading is faster than computing.
    device : str or torch.device, default="cpu"
        Where to compute; ``"auto"`` is a GPU if there is one.

    Attributes
    ----------
    words_ : ndarray of float32 of shape (n_words, d)
    idf_ : ndarray of float32 of shape (n_words,)
        With ``weighting="tfidf"``.
    sigma_ : float
        With ``assignment="soft"``.
    descriptor_length_ : int
        d.

    Notes
    -----
    The vector runs over grids, their rows and columns, and words. Before `normalize`, with sums, a
    cell is the sum of the cells that divide it.

    References
    ----------
    J. Sivic and A. Zisserman, "Video Google", ICCV 2003; G. Csurka et al., "Visual categorization
    with bags of keypoints", 2004; J. van Gemert et al., "Visual word ambiguity", PAMI 2010; A.
    Coates, H. Lee and A. Y. Ng, AISTATS 2011; J. Wang et al., "Locality-constrained linear coding
    for image classification", CVPR 2010; S. Lazebnik, C. Schmid and J. Ponce, CVPR 2006.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from visionpipe import BagOfVisualWords, DenseSIFT, load_faces
    >>> faces = load_faces().images
    >>> bag = BagOfVisualWords(20, pyramid=(1, 2), random_state=0)
    >>> make_pipeline(DenseSIFT(step=3, bin_sizes=(3,)), bag).fit_transform(faces).shape
    (200, 100)
    """

    _n_stages = 2
    _learned = ("words_", "sigma_", "idf_")
    _kernels = ("bag_of_visual_words", "k_means", "nearest_words", "segment_sum")

    def __init__(
        self,
        n_words=500,
        *,
        assignment="hard",
        weighting=None,
        normalize="hellinger",
        pyramid=(1,),
        n_nearest=5,
        sigma=None,
        n_samples=100_000,
        random_state=None,
        store=None,
        device="cpu",
    ):
        self.n_words = n_words
        self.assignment = assignment
        self.weighting = weighting
        self.normalize = normalize
        self.pyramid = pyramid
        self.n_nearest = n_nearest
        self.sigma = sigma
        self.n_samples = n_samples
        self.random_state = random_state
        self.store = store
        self.device = device

    @property
    def _pooling(self):
        return "maxima" if self.assignment == "llc" else "sums"

    def _check_params(self):
        check_positive_int(self, "n_words", "n_nearest")
        check_choice(
            self,
            assignment=("hard", "soft", "triangle", "llc"),
            weighting=(None, "tfidf"),
            normalize=(None, "l1", "l2", "hellinger"),
        )
        if self.sigma is not None and not self.sigma > 0:
            refuse(self, "sigma", "None or a positive number")

    def _learn(self, sample, sets, rows, rng, device):
        owner = type(self).__name__
        with self._stage("words"):
            self.words_ = learn_words(
                sample, self.n_words, random_state=rng, device=device, owner=owner
            )
        if self.assignment == "soft":
            self.sigma_ = self.sigma or _spread(sample, self.words_, device)
        if self.weighting == "tfidf":
            with self._stage("document frequencies"):
                self.idf_ = self._inverse_document_frequencies(sets)

    @property
    def _tile_size(self):
        return len(self.words_)

    _cell_size = _tile_size

    def _inverse_document_frequencies(self, sets):
        n_with = sum((cells[:, 0] > 0).sum(0) for _, cells in self._pooled(sets, [(1, 1)]))
        n_with = n_with.cpu().numpy().clip(min=1)  # a word in none of the images counts as in one
        return np.log(len(sets) / n_with).astype(np.float32)

    def _tile_statistics(self, values, positions, segments, n_segments):
        words = self._tensor("words_", values)
        n_nearest = min(self.n_nearest, len(words))
        if self.assignment == "hard":
            return hard_assignment(values, segments, n_segments, words)
        if self.assignment == "soft":
            return soft_assignment(
                values, segments, n_segments, words, n_nearest=n_nearest, sigma=self.sigma_
            )
        if self.assignment == "triangle":
            return triangle_assignment(values, segments, n_segments, words)
        return llc_assignment(
            values, segments, n_segments, words, n_nearest=n_nearest, beta=LLC_BETA
        )

    def _finish(self, cells):
        if self.weighting == "tfidf":
            cells = cells * self._tensor("idf_", cells)
        vectors = cells.flatten(1)
        if self.normalize == "l2":
            return l2_normalised(vectors)
        if self.normalize is not None:
            total = vectors.sum(1, keepdim=True)
            vectors = vectors / total.clamp(min=torch.finfo(vectors.dtype).tiny)
        return vectors.sqrt() if self.normalize == "hellinger" else vectors


@torch.inference_mode()
def _spread(sample, words, device):
    """Root of the mean squared distance of descriptors from their words; 1 if there is none."""
    sample, words = torch.from_numpy(sample).to(device), torch.from_numpy(words).to(device)
    _, squared_distances = nearest_words(sample, words)
    return float(squared_distances.mean().sqrt()) or 1.0
