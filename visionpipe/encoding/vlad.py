"""Vectors of locally aggregated descriptors."""

from visionpipe.base import check_choice, check_positive_int
from visionpipe.encoding.encoder import Encoder, l2_normalised, signed_sqrt
from visionpipe.encoding.words import learn_words
from visionpipe.kernels.vlad import vlad

__all__ = ["VLAD"]


class VLAD(Encoder):
    """Vectors of locally aggregated descriptors: for each word, the sum of the differences from it.

    Parameters
    ----------
    n_words : int, default=64
        Size of the vocabulary.
    power : bool, default=True
        Take the square root of the absolute values, with the sign kept.
    intra : bool, default=True
        Then divide the part of each word by its L2 norm.
    normalize : bool, default=True
        Then divide each cell of the pyramid, and at last the whole vector, by its L2 norm.
    pyramid : tuple of int or (int, int), default=(1,)
        Grids over the image; n stands for (n, n), and a pair for (rows, columns). The vector holds
        every cell of every grid. More than the whole image, 1, needs descriptors with frames.
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
    descriptor_length_ : int
        d.

    Notes
    -----
    The vector runs over grids, their rows and columns, words, and d. A word without descriptors has
    zeros.

    References
    ----------
    H. Jegou, M. Douze, C. Schmid and P. Perez, "Aggregating local descriptors into a compact image
    representation", CVPR 2010; R. Arandjelovic and A. Zisserman, "All about VLAD", CVPR 2013.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from visionpipe import VLAD, DenseSIFT, load_faces
    >>> faces = load_faces().images
    >>> encoder = make_pipeline(DenseSIFT(step=3, bin_sizes=(3,)), VLAD(8, random_state=0))
    >>> encoder.fit_transform(faces).shape
    (200, 1024)
    """

    _learned = ("words_",)
    _kernels = ("k_means", "nearest_words", "segment_sum", "vlad")

    def __init__(
        self,
        n_words=64,
        *,
        power=True,
        intra=True,
        normalize=True,
        pyramid=(1,),
        n_samples=100_000,
        random_state=None,
        store=None,
        device="cpu",
    ):
        self.n_words = n_words
        self.power = power
        self.intra = intra
        self.normalize = normalize
        self.pyramid = pyramid
        self.n_samples = n_samples
        self.random_state = random_state
        self.store = store
        self.device = device

    def _check_params(self):
        check_positive_int(self, "n_words")
        check_choice(self, power=(True, False), intra=(True, False), normalize=(True, False))

    def _learn(self, sample, sets, rows, rng, device):
        owner = type(self).__name__
        with self._stage("words"):
            self.words_ = learn_words(
                sample, self.n_words, random_state=rng, device=device, owner=owner
            )

    @property
    def _tile_size(self):
        return self.words_.size

    _cell_size = _tile_size

    def _tile_statistics(self, values, positions, segments, n_segments):
        return vlad(values, segments, n_segments, self._tensor("words_", values))

    def _finish(self, cells):  # (b, n_cells, n_words, d)
        if self.power:
            cells = signed_sqrt(cells)
        if self.intra:
            cells = l2_normalised(cells)
        cells = cells.flatten(2)
        if self.normalize:
            cells = l2_normalised(cells)
        vectors = cells.flatten(1)
        return l2_normalised(vectors) if self.normalize else vectors
