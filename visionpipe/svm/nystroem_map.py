"""Vectors whose products are about the values of a kernel, for linear machines."""

import warnings

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from visionpipe.base import (
    check_choice,
    check_nonnegative_number,
    check_positive_int,
    check_positive_number,
    resolve_device,
)

__all__ = ["NystroemMap"]

ROWS_PER_CHUNK = 2048  # whose kernel values stand in memory at once
JITTER = 1e-5  # of the mean square, added to the squares of the landmarks


class NystroemMap(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Nystroem's map of a kernel, by a Cholesky factor.

    Some of the training vectors, drawn at random, are the landmarks. A vector is mapped to numbers
    whose products with those of a landmark are the kernel's values, and whose products with those
    of other vectors are near them. A linear machine on these is nearly the kernel's machine, at a
    cost that grows with the number of vectors, not with its square.

    The map is that of `sklearn.kernel_approximation.Nystroem` turned to other axes, which changes
    no product. The factor takes far fewer operations than the singular values there, and vectors
    are mapped a few at a time in the memory of the result.

    Parameters
    ----------
    kernel : {"rbf", "poly"}, default="rbf"
        exp(-gamma |x - z|^2), or (gamma x.z + coef0)^degree.
    gamma : "scale" or float, default="scale"
        ``"scale"`` is 1 / (n_features * variance of all numbers in X), as of `sklearn.svm.SVC`.
    degree : int, default=3
        Of ``"poly"``.
    coef0 : float, default=0
        Of ``"poly"``.
    n_components : int, default=1000
        Landmarks, and numbers in a vector; all vectors if there are fewer.
    random_state : int, RandomState or None, default=None
        Draws the landmarks.
    device : str or torch.device, default="cpu"
        Where to compute; ``"auto"`` is a GPU if there is one.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        The landmarks.
    component_indices_ : ndarray of int of shape (n_components,)
        Their rows in the training set.
    factor_ : ndarray of shape (n_components, n_components)
        Lower triangular; times its transpose, the kernel's values between landmarks.
    gamma_ : float
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        If X has names of columns.

    References
    ----------
    C. Williams and M. Seeger, "Using the Nystroem method to speed up kernel machines", NIPS 2000.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from visionpipe import NystroemMap
    >>> X, _ = load_digits(return_X_y=True)
    >>> NystroemMap(n_components=300, random_state=0).fit_transform(X).shape
    (1797, 300)
    """

    def __init__(
        self,
        kernel="rbf",
        *,
        gamma="scale",
        degree=3,
        coef0=0.0,
        n_components=1000,
        random_state=None,
        device="cpu",
    ):
        self.kernel = kernel
        self.gamma = gamma
        self.degree = degree
        self.coef0 = coef0
        self.n_components = n_components
        self.random_state = random_state
        self.device = device

    def fit(self, X, y=None):
        """Draw the landmarks.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : None
            Ignored.

        Returns
        -------
        self
        """
        self._check_params()
        X = validate_data(self, X, dtype=[np.float32, np.float64])
        rng = check_random_state(self.random_state)
        self.gamma_ = self.gamma
        if self.gamma == "scale":
            variance = _variance(X)
            self.gamma_ = 1 / (X.shape[1] * variance) if variance else 1.0
        self.component_indices_ = rng.permutation(len(X))[: self.n_components]
        self.components_ = X[self.component_indices_]
        self._n_features_out = len(self.components_)
        landmarks = torch.from_numpy(self.components_).to(resolve_device(self.device))
        products = self._kernel_of(landmarks)(landmarks).double()
        products.diagonal().add_(JITTER * products.diagonal().mean())
        self.factor_ = _cholesky(products).to(landmarks.dtype).cpu().numpy()
        return self

    def transform(self, X):
        """Map vectors.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_components)
            In the precision of the landmarks.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float32, np.float64], reset=False)
        device = resolve_device(self.device)
        # torch.tensor copies: joblib hands large arrays to its workers read-only
        landmarks, factor = (torch.tensor(a).to(device) for a in (self.components_, self.factor_))
        kernel = self._kernel_of(landmarks)
        mapped = np.empty((len(X), len(landmarks)), dtype=self.components_.dtype)
        for start in range(0, len(X), ROWS_PER_CHUNK):
            rows = torch.tensor(X[start : start + ROWS_PER_CHUNK], dtype=landmarks.dtype)
            values = kernel(rows.to(device))  # (n_components, rows)
            values = torch.linalg.solve_triangular(factor, values, upper=False)
            mapped[start : start + ROWS_PER_CHUNK] = values.T.cpu().numpy()
        return mapped

    def _check_params(self):
        check_choice(self, kernel=("rbf", "poly"))
        check_positive_int(self, "degree", "n_components")
        if self.gamma != "scale":
            check_positive_number(self, "gamma")
        check_nonnegative_number(self, "coef0")

    def _kernel_of(self, landmarks):
        """A function from rows (m, d) to the kernel's values (n_components, m) with landmarks."""
        if self.kernel == "poly":

            def poly(rows):
                products = landmarks @ rows.T
                return products.mul_(self.gamma_).add_(self.coef0).pow_(self.degree)

            return poly
        centre = landmarks.mean(0)  # far from it the squares would drown the distances
        centred = landmarks - centre
        squares = centred.square().sum(1)[:, None]

        def rbf(rows):
            rows = rows - centre
            distances = (centred @ rows.T).mul_(-2).add_(squares).add_(rows.square().sum(1))
            return distances.clamp_(min=0).mul_(-self.gamma_).exp_()

        return rbf

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _variance(X):
    with warnings.catch_warnings():  # torch warns of the read-only arrays that joblib hands out
        warnings.filterwarnings("ignore", "The given NumPy array is not writ", UserWarning)
        return float(torch.from_numpy(X).var(correction=0))


def _cholesky(matrix):
    """The factor of a matrix, of which rounding may have made some variances negative."""
    if not matrix.isfinite().all():
        raise ValueError("NystroemMap got vectors whose kernel is infinite; scale them")
    eps = torch.finfo(matrix.dtype).eps * (matrix.diagonal().max() or 1)  # of zeros: of 1
    while True:
        factor, failed = torch.linalg.cholesky_ex(matrix)
        if not failed:
            return factor
        matrix.diagonal().add_(eps)
        eps *= 4
