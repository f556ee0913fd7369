"""Whether anything that is fitted depends on images that are held out."""

import warnings
from collections.abc import Mapping
from tempfile import TemporaryDirectory

import numpy as np
from sklearn.frozen import FrozenEstimator

from visionpipe.comparison.folds import make_folds
from visionpipe.deep.fitted import HoldsNetwork
from visionpipe.identity import digest
from visionpipe.images import Images, as_images
from visionpipe.leaks.fitted_state import name_of, walk
from visionpipe.leaks.noise import noise_in_place_of, other_classes
from visionpipe.leaks.refits import Data, compare_fits, shortened

__all__ = ["LeakError", "leak_check"]

_ADVICE = (
    "What was fitted depends on images or labels that are to be predicted, so that its scores are "
    "too good. Whatever learns may look at X[train] and y[train] alone: make it a step of the "
    "pipeline, or fit it on X[train]; let early stopping hold out some of the training images."
)


class LeakError(ValueError):
    """Something fitted depends on images or labels that are held out.

    Attributes
    ----------
    leaks : dict of str to list of str
        For each pipeline that leaks, what of it changed, the first steps first.
    """

    def __init__(self, leaks):
        super().__init__(leaks)
        self.leaks = leaks

    def __str__(self):
        lines = [f"{name}: {shortened(things)}" for name, things in self.leaks.items()]
        return "\n".join(["held-out images leak into", *lines, _ADVICE])


def leak_check(pipelines, X, y, *, cv=None, groups=None, parts=None, random_state=0):
    """Check that nothing is learned from images that are held out.

    Each pipeline is fitted on the training images of the first fold twice: with the data as they
    are; and with noise in place of all images that are not for training, and another class in
    place of their labels. A function is called once more with the other labels alone. What has been
    fitted has to be the same to the last bit. Global variables that hold the very `X` or `y` hold
    what takes their place meanwhile.

    A Pipeline of scikit-learn gets the training images alone, and leaks only in odd ways. What
    leaks is what people write around it: so write the whole procedure as a function.

    Parameters
    ----------
    pipelines : dict of str to estimator or callable
        By name, classifiers, which are cloned, or functions ``fit(X, y, train, test)`` of all
        images, all labels and two index arrays, which return everything they fitted, in a tuple,
        say, and nothing else.
    X : Images, ndarray, list or tuple
        Images in whatever way `as_images` takes them, or vectors (n, f). Functions get what is
        given here, an array as an array and paths as paths. An array is copied once; files of noise
        lie in a temporary folder meanwhile.
    y : array-like of shape (n,)
        Classes.
    cv, groups, parts
        As in `compare`. Images of a part that the fold leaves out are replaced too.
    random_state : int, default=0
        Seed of the folds, as in `compare`; of the noise; and of what pipelines draw that have no
        seed themselves.

    Returns
    -------
    dict of str to list of str
        For each pipeline what could not be compared, since it differs between two fits on the same
        data too, such as the times in a network's history. Most often all lists are empty.

    Raises
    ------
    LeakError
        If anything fitted changes, or a fit fails with the noise only. All leaks are named.
    ValueError
        If a pipeline is neither an estimator nor a function, a function returns None, two fits on
        the same data have little in common, `X` is of a kind that noise cannot replace, or there
        are no folds as in `compare`.
    Exception
        Whatever a pipeline raises on the data as they are.

    Warns
    -----
    UserWarning
        If a part was fitted beforehand, so that it cannot be fitted again: it is not checked.

    Notes
    -----
    Parameters that hold held-out images count as leaks as well, as the validation set of a network
    would. Not found is what neither passes through `X` and `y` nor through variables that hold
    them: words that were learned before, a function that remembers its first result, converted
    copies of images, and other files in the folders of `X`. A choice of few, such as that of the
    best epoch, may come out the same three times; more images, or another `random_state`, help.

    Examples
    --------
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sklearn.svm import SVC
    >>> from visionpipe import Pixels, load_faces
    >>> from visionpipe.leaks.check import leak_check
    >>> faces = load_faces()
    >>> vectors = Pixels().fit_transform(faces.images)
    >>> def scaled_on_all(X, y, train, test):
    ...     X = StandardScaler().fit_transform(X)
    ...     return SVC().fit(X[train], y[train])
    >>> def scaled_on_train(X, y, train, test):
    ...     scaler = StandardScaler().fit(X[train])
    ...     return scaler, SVC().fit(scaler.transform(X[train]), y[train])
    >>> leak_check({"svc": SVC(), "scaled": scaled_on_train}, vectors, faces.target)
    {'svc': [], 'scaled': []}
    >>> leak_check({"scaled": scaled_on_all}, vectors, faces.target)
    Traceback (most recent call last):
        ...
    visionpipe.leaks.check.LeakError: held-out images leak into
    scaled: support_ and 9 more
    What was fitted depends on images or labels that are to be predicted, ...
    """
    _check_pipelines(pipelines)
    fold = make_folds(X, y, cv=cv, groups=groups, parts=parts, random_state=random_state)[0]
    rng, labels = np.random.default_rng(random_state), np.asarray(y)
    others = np.setdiff1d(np.arange(len(labels)), fold[0])
    found = {}
    with TemporaryDirectory(prefix="visionpipe_noise_") as folder:
        noisy_y = other_classes(labels, others, rng)
        noisy_X = noise_in_place_of(X, others, folder, rng)
        data = Data(X, y, noisy_X, noisy_y, fold, random_state)
        for name, pipeline in pipelines.items():
            _warn_of_what_was_fitted_before(name, pipeline)
            found[name] = compare_fits(name, pipeline, data)
            found[name][0][:0] = _held_in(pipeline, X, others)
    leaks = {name: learned for name, (learned, _) in found.items() if learned}
    if leaks:
        raise LeakError(leaks)
    return {name: varying for name, (_, varying) in found.items()}


def _check_pipelines(pipelines):
    wanted = "a classifier or a function fit(X, y, train, test)"
    if not isinstance(pipelines, Mapping):
        raise ValueError(f"got {type(pipelines).__name__}; wanted a dict of name to {wanted}")
    for name, pipeline in pipelines.items():
        if isinstance(pipeline, type):
            kind = f"the class {pipeline.__name__}"
            raise ValueError(f"{name} is {kind}; wanted {wanted}: {pipeline.__name__}()")
        if not (hasattr(pipeline, "fit") or callable(pipeline)):
            raise ValueError(f"{name} is of type {type(pipeline).__name__}; wanted {wanted}")


def _warn_of_what_was_fitted_before(name, pipeline):
    found = []
    for path, part, _ in walk(pipeline):
        if isinstance(part, FrozenEstimator):
            found.append((path, part))
        elif isinstance(part, HoldsNetwork):  # `weights` of others may be anything
            sources = {n: getattr(part, n, None) for n in ("init_from", "weights")}
            found += [((*path, n), value) for n, value in sources.items() if value is not None]
    for path, _ in _outermost(found):
        warnings.warn(
            f"{name}: {name_of(path)} was learned beforehand and is not checked; see to it that no "
            "held-out image was among what it was learned from",
            stacklevel=3,
        )


def _held_in(pipeline, X, others):
    """Name what a pipeline holds of the held-out images, such as a validation set for a network."""
    found = _outermost((path, value) for path, value, _ in walk(pipeline) if _has_rows(value))
    digests = _digests(X) if found else []
    if not digests:
        return []
    held_out = {digests[i] for i in others} - {*np.delete(digests, others)}
    counts = [(path, len(held_out.intersection(_digests(value)))) for path, value in found]
    return [f"{name_of(path)}, which holds {n} held-out images" for path, n in counts if n]


def _outermost(found):
    """Paths and values but for those that lie within one before."""
    kept = []
    for path, value in found:
        if not any(path[: len(above)] == above for above, _ in kept):
            kept.append((path, value))
    return kept


def _has_rows(value):
    return isinstance(value, Images) or (isinstance(value, np.ndarray) and value.ndim > 1)


def _digests(X):
    """One for each image or vector; none at all where there are neither."""
    if getattr(X, "ndim", 0) == 2:
        return [digest(np.ascontiguousarray(row)) for row in X]
    try:
        return as_images(X).digests().tolist()
    except ValueError:
        return []
