"""Fisher vectors."""

import warnings

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from visionpipe.base import check_choice, check_positive_int
from visionpipe.encoding.encoder import Encoder, l2_normalised, signed_sqrt
from visionpipe.encoding.words import learn_words
from visionpipe.kernels.fisher_vector import fisher_statistics, fisher_vector
from visionpipe.kernels.nearest_words import nearest_words
from visionpipe.kernels.segment_sum import segment_sum

__all__ = ["FisherVector"]

# Of expectation and maximisation after k-means. On 50,000 RootSIFT descriptors, 64 Gaussians in 80
# dimensions, 20 more would raise the mean log-likelihood from 158.5 to 158.6.
N_ITERATIONS = 20
LEAST_VARIANCE = 1e-4  # of a Gaussian, as a part of the mean variance of the dimensions


class FisherVector(Encoder):
    """Fisher vectors: how the descriptors of an image would move a mixture of Gaussians.

    Parameters
    ----------
    n_gaussians : int, default=64
        Components of the mixture, with diagonal covariances.
    n_dimensions : int, default=None
        Reduce descriptors to so many dimensions by PCA first; None leaves them.
    xy : bool, default=False
        Append to each descriptor, after PCA, the position of its centre as fractions of the image,
        -0.5 to 0.5; needs descriptors with frames.
    improved : bool, default=True
        Take the square root of the absolute values, with the sign kept, and divide each cell of the
        pyramid, and at last the whole vector, by its L2 norm.
    pyramid : tuple of int or (int, int), default=(1,)
        Grids over the image; n stands for (n, n), and a pair for (rows, columns). The vector holds
        every cell of every grid. More than the whole image, 1, needs descriptors with frames.
    n_samples : int, default=100_000
        How many descriptors to learn from at most, drawn from those of all training images.
    random_state : int, RandomState or None, default=None
        Draws the sample and the start of the mixture.
    store : None, "auto", path-like or FeatureStore, default=None
        Where vectors, and what is learned, are kept, so that each set is encoded once; "auto" keeps
        them in the user's cache folder if reading is faster than computing.
    device : str or torch.device, default="cpu"
        Where to encode; ``"auto"`` is a GPU if there is one. The mixture is learned on the CPU.

    Attributes
    ----------
    weights_ : ndarray of float32 of shape (n_gaussians,)
    means_, variances_ : ndarray of float32 of shape (n_gaussians, D)
        D is d or `n_dimensions`, and 2 more with `xy`.
    pca_mean_ : ndarray of float32 of shape (d,)
    pca_components_ : ndarray of float32 of shape (n_dimensions, d)
        With `n_dimensions`.
    descriptor_length_ : int
        d.

    Notes
    -----
    The vector runs over grids, their rows and columns, the derivatives by the means (Gaussians,
    then D) and those by the deviations: 2 n_gaussians D numbers a cell.

    References
    ----------
    F. Perronnin, J. Sanchez and T. Mensink, "Improving the Fisher kernel for large-scale image
    classification", ECCV 2010; J. Sanchez, F. Perronnin and T. de Campos, "Modeling the spatial
    layout of images beyond spatial pyramids", Pattern Recognition Letters 2012 (`xy`).

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from visionpipe import DenseSIFT, FisherVector, load_faces
    >>> faces = load_faces().images
    >>> fisher = FisherVector(4, n_dimensions=20, xy=True, random_state=0)
    >>> make_pipeline(DenseSIFT(step=3, bin_sizes=(3,)), fisher).fit_transform(faces).shape
    (200, 176)
    """

    _n_stages = 3
    _learned = ("pca_mean_", "pca_components_", "weights_", "means_", "variances_")
    _kernels = ("fisher_vector", "k_means", "nearest_words", "segment_sum")

    def __init__(
        self,
        n_gaussians=64,
        *,
        n_dimensions=None,
        xy=False,
        improved=True,
        pyramid=(1,),
        n_samples=100_000,
        random_state=None,
        store=None,
        device="cpu",
    ):
        self.n_gaussians = n_gaussians
        self.n_dimensions = n_dimensions
        self.xy = xy
        self.improved = improved
        self.pyramid = pyramid
        self.n_samples = n_samples
        self.random_state = random_state
        self.store = store
        self.device = device

    @property
    def _needs_positions(self):
        return self.xy

    def _check_params(self):
        check_positive_int(self, "n_gaussians")
        if self.n_dimensions is not None:
            check_positive_int(self, "n_dimensions")
        check_choice(self, xy=(True, False), improved=(True, False))

    def _learn(self, sample, sets, rows, rng, device):
        if self.n_dimensions is not None:
            with self._stage("projection"):
                self._learn_projection(sample)
        positions = torch.from_numpy(sets.positions(rows)) if self.xy else None
        points = self._points(torch.from_numpy(sample), positions).numpy()
        owner = type(self).__name__
        with self._stage("words"):
            words = learn_words(
                points, self.n_gaussians, random_state=rng, device=device, owner=owner
            )
        with self._stage("mixture"):
            self.weights_, self.means_, self.variances_ = _learn_mixture(points, words, rng)

    @property
    def _tile_size(self):
        return len(self.weights_) + 2 * self.means_.size

    @property
    def _cell_size(self):
        return 2 * self.means_.size

    def _learn_projection(self, sample):
        most = min(sample.shape)
        if self.n_dimensions > most:
            raise ValueError(
                f"{type(self).__name__}(n_dimensions={self.n_dimensions}) got {len(sample)} "
                f"descriptors of length {sample.shape[1]}, which have {most} dimensions; take fewer"
            )
        with np.errstate(invalid="ignore"):  # descriptors that are all alike have no variance
            pca = PCA(self.n_dimensions, svd_solver="covariance_eigh").fit(sample)
        self.pca_mean_ = pca.mean_.astype(np.float32)
        self.pca_components_ = pca.components_.astype(np.float32)

    def _points(self, values, positions):
        """What the mixture is of: projected descriptors and their positions, (m, D)."""
        if self.n_dimensions is not None:
            centred = values - self._tensor("pca_mean_", values)
            values = centred @ self._tensor("pca_components_", values).t()
        return torch.cat((values, positions - 0.5), 1) if self.xy else values

    def _tile_statistics(self, values, positions, segments, n_segments):
        points = self._points(values, positions)
        mixture = (self._tensor(name, values) for name in ("weights_", "means_", "variances_"))
        return fisher_statistics(points, segments, n_segments, *mixture)

    def _finish(self, cells):  # (b, n_cells, n_gaussians, 1 + 2 D)
        vectors = fisher_vector(cells, self._tensor("weights_", cells))
        if self.improved:
            vectors = l2_normalised(signed_sqrt(vectors))
        vectors = vectors.flatten(1)
        return l2_normalised(vectors) if self.improved else vectors


def _learn_mixture(points, words, rng):
    """Weights, means and variances of Gaussians that start as the clusters around words."""
    centre = points.mean(axis=0)  # variances are differences of squares: keep these small
    points, words = points - centre, words - centre
    least = max(LEAST_VARIANCE * float(points.var(axis=0).mean()), float(np.finfo(np.float32).eps))
    weights, variances = _clusters(torch.from_numpy(points), torch.from_numpy(words))
    mixture = GaussianMixture(
        len(words),
        covariance_type="diag",
        weights_init=weights,
        means_init=words,
        precisions_init=1 / (variances + least),
        reg_covar=least,
        max_iter=N_ITERATIONS,
        random_state=rng,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # as many iterations as are worth it
        mixture.fit(points)
    learned = (mixture.weights_, mixture.means_ + centre, mixture.covariances_.clip(min=least))
    return tuple(np.ascontiguousarray(array, dtype=np.float32) for array in learned)


def _clusters(points, words):
    """Shares of the points that are nearest to each word, and their variances, (k,) and (k, D)."""
    nearest, _ = nearest_words(points, words)
    counts = torch.bincount(nearest, minlength=len(words)).to(torch.float32)
    squares = segment_sum((points - words[nearest]).square_(), nearest, len(words))
    variances = squares / counts.clamp(min=1)[:, None]
    shares = (counts + 1) / (counts + 1).sum()  # none is zero
    return shares.numpy(), variances.numpy()
