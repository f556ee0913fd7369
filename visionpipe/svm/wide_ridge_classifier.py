"""Linear machines of least squares on tens of thousands of numbers, in bounded memory."""

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from visionpipe.base import check_positive_number, resolve_device

__all__ = ["WideRidgeClassifier"]

ROWS_PER_CHUNK = 4096  # whose products are summed before float64 takes over
ROWS_PER_BLOCK = 2048  # of the Gram matrix; what lies above a block's diagonal is left out


class WideRidgeClassifier(ClassifierMixin, BaseEstimator):
    """scikit-learn's RidgeClassifier, for float32 vectors of many numbers.

    Least squares to 1 for the class and -1 for the others, with an L2 penalty: a support vector
    machine with another loss, found without iterations. The products of all columns with each
    other are made of float32 blocks and summed in float64, half of them, as the matrix is
    symmetric. scikit-learn's sums them in float32, where a small alpha can be less than the
    rounding, and copies the vectors, or overwrites them, in order to centre them.

    Parameters
    ----------
    alpha : float, default=1.0
        The penalty on squared weights, above 0.
    class_weight : dict, "balanced" or None, default=None
        As of `sklearn.linear_model.RidgeClassifier`.
    device : str or torch.device, default="cpu"
        Where to fit; ``"auto"`` is a GPU if there is one, which then holds the Gram matrix.

    Attributes
    ----------
    coef_ : ndarray of shape (n_classes, n_features)
        One row if there are two classes. In the precision of the vectors.
    intercept_ : ndarray of shape (n_classes,)
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        If X has names of columns.

    See Also
    --------
    WideLinearSVC : The hinge's machine, where there are fewer vectors than numbers in one.
    NystroemMap : Makes of this nearly a kernel's machine.

    References
    ----------
    R. Rifkin, G. Yeo and T. Poggio, "Regularized least-squares classification", 2003.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from visionpipe import WideRidgeClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> round(WideRidgeClassifier().fit(X[:900], y[:900]).score(X[900:], y[900:]), 2)
    0.88
    """

    def __init__(self, alpha=1.0, *, class_weight=None, device="cpu"):
        self.alpha = alpha
        self.class_weight = class_weight
        self.device = device

    def fit(self, X, y, sample_weight=None):
        """Fit the machine.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            float32 is left as it is, anything else becomes float64.
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If y has one class only, or alpha is lost in the rounding of the products.
        """
        check_positive_number(self, "alpha")
        X, y = validate_data(self, X, y, dtype=[np.float32, np.float64])
        check_classification_targets(y)
        binarizer = LabelBinarizer(neg_label=-1).fit(y)
        if len(binarizer.classes_) < 2:
            raise ValueError(
                f"WideRidgeClassifier needs two classes; y has one class, {y.tolist()[0]!r}"
            )
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64)
        weights = weights * compute_sample_weight(self.class_weight, y)
        targets = binarizer.transform(y).astype(np.float64)  # (n, c); of two classes, c = 1
        offset = np.average(targets, axis=0, weights=weights)
        roots = np.sqrt(weights)[:, None]
        mean = _weighted_mean(X, weights)
        rows = _Rows(X, mean.astype(X.dtype), roots.astype(X.dtype), resolve_device(self.device))
        coef = _solve(rows, (targets - offset) * roots, self.alpha)
        self.classes_ = binarizer.classes_
        self.coef_ = coef.astype(X.dtype)
        self.intercept_ = (offset - coef @ mean).astype(X.dtype)
        return self

    def decision_function(self, X):
        """How far vectors are on the side of each class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes), or (n_samples,) if there are two
            About 1 for the class and -1 for others; of two, above 0 for the second.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float32, np.float64], reset=False)
        scores = X @ self.coef_.T + self.intercept_
        return scores[:, 0] if len(self.classes_) == 2 else scores

    def predict(self, X):
        """The class of each vector.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        scores = self.decision_function(X)
        indices = (scores > 0).astype(int) if scores.ndim == 1 else scores.argmax(1)
        return self.classes_[indices]


class _Rows:
    """Centred and weighted vectors, made a few at a time."""

    def __init__(self, X, mean, roots, device):
        self.X, self.mean, self.roots, self.device = X, mean, roots, device
        self.shape = X.shape

    def __getitem__(self, where):
        """Of a slice of rows and one of columns, a tensor."""
        rows, columns = where
        part = (self.X[rows, columns] - self.mean[columns]) * self.roots[rows]
        return torch.from_numpy(part).to(self.device)

    def by_rows(self):
        return ((rows, slice(None)) for rows in _slices(self.shape[0]))

    def by_columns(self):
        return ((slice(None), columns) for columns in _slices(self.shape[1]))


def _slices(length):
    return (slice(start, start + ROWS_PER_CHUNK) for start in range(0, length, ROWS_PER_CHUNK))


def _weighted_mean(X, weights):
    total = np.zeros(X.shape[1])
    for rows in _slices(len(X)):
        total += weights[rows].astype(X.dtype) @ X[rows]
    return total / weights.sum()


def _solve(rows, targets, alpha):
    """Weights of least squares, (c, d) float64, by whichever Gram matrix is the smaller."""
    targets = torch.from_numpy(targets).to(rows.device)  # (n, c)
    n_rows, n_columns = rows.shape
    gram = torch.zeros([min(rows.shape)] * 2, dtype=torch.float64, device=rows.device)
    if n_columns <= n_rows:
        sums = torch.zeros(n_columns, targets.shape[1], dtype=torch.float64, device=rows.device)
        for where in rows.by_rows():
            part = rows[where]
            _add_products(gram, part)
            # a thin matrix on the left: on the right it takes many times longer
            sums += (targets[where[0]].to(part.dtype).T @ part).T
        return _divide(sums, gram, alpha).T.cpu().numpy()
    for where in rows.by_columns():
        _add_products(gram, rows[where].T)
    duals = _divide(targets, gram, alpha).T
    coef = np.empty((targets.shape[1], n_columns))
    for where in rows.by_columns():
        part = rows[where]
        coef[:, where[1]] = (duals.to(part.dtype) @ part).cpu().numpy()
    return coef


def _add_products(gram, part):
    """Add the products of a part's columns to a matrix, on its diagonal and below."""
    for top in range(0, len(gram), ROWS_PER_BLOCK):
        bottom = top + ROWS_PER_BLOCK
        gram[top:bottom, :bottom] += part[:, top:bottom].T @ part[:, :bottom]


def _divide(sums, gram, alpha):
    """Solve (gram + alpha) x = sums; `gram` is overwritten, and nothing above its diagonal read."""
    gram.diagonal().add_(alpha)
    # Its transpose lies in memory as LAPACK wants it, and so is factored where it is.
    factor, failed = gram.T, torch.empty((), dtype=torch.int32, device=gram.device)
    torch.linalg.cholesky_ex(factor, upper=True, out=(factor, failed))
    if failed:
        raise ValueError(
            f"alpha={alpha} is lost in the rounding of the products of these vectors: "
            "take a larger one, or scale the vectors up, or give them in float64"
        )
    return torch.cholesky_solve(sums, factor, upper=True)
