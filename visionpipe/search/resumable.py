"""Searches over parameters that go on where they were stopped."""

import copy
import warnings

from sklearn.base import BaseEstimator, is_classifier
from sklearn.model_selection import check_cv
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils import get_tags

from visionpipe.search.identity import identify
from visionpipe.search.journal import Journal, Progress
from visionpipe.search.journaled import unwrap, wrap

__all__ = ["ResumableSearch"]


class ResumableSearch(BaseEstimator):
    """A search of scikit-learn that can be stopped at any time and goes on from there.

    The result of each fit (one candidate on one fold) is appended to a journal as soon as it is
    there. The same search started again on the same data, after a crash or ``kill -9``, takes these
    results from the journal and does the other fits. All else is as with the plain search.

    Parameters
    ----------
    search : GridSearchCV, RandomizedSearchCV, HalvingGridSearchCV or HalvingRandomSearchCV
        Any `BaseSearchCV`. It is never changed.
    journal : path-like
        A text file, one JSON object a line; several searches may share it. Folders on the way are
        made. Every process that fits must reach it: workers on other machines need it on a disk
        that all share.
    on_fit : callable, default=None
        Called as ``on_fit(n_done, n_total, record)`` with a `FitRecord` for each fit in the
        journal, those of earlier runs first, on a thread of this process. `n_total` is None where
        the number of fits is not known in advance. Fits that fail are not in the journal.

    Attributes
    ----------
    search_ : BaseSearchCV
        The fitted plain search, without any tie to the journal. Its attributes and methods are
        those of this object too: `cv_results_`, `best_params_`, `best_estimator_`, `predict`, ...

    Notes
    -----
    A result is used again if all that decides it is equal: the class and parameters of the search
    (of the estimator too, the candidates, `cv`, `scoring`, ...), the content of X (of image files
    their bytes, not their names), y, what else is given to `fit`, the versions of Python, of the
    main packages and of the kernels, and the source files of those modules of your own that define
    the estimators, metrics and functions in use; of classes and functions typed into a notebook
    what they do. Not looked into are modules that these import, data in global variables of a
    notebook, and files that parameters name. How the search runs does not decide: `n_jobs`,
    `pre_dispatch`, `verbose` and `refit`, and parameters of the estimator called `device`, `store`,
    `memory`, `n_jobs` or `verbose`. Lines of other searches stay in the journal.

    The refit on all data is not in the journal and is always done. A fit or score that raises is
    tried again. `mean_fit_time` and the like are those of the fits as they were done, without
    looking into the journal or writing it.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.model_selection import GridSearchCV
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> from visionpipe import HOG, load_faces
    >>> from visionpipe.search import ResumableSearch
    >>> faces = load_faces()
    >>> grid = GridSearchCV(make_pipeline(HOG(), SVC()), {"svc__C": [0.01, 1]}, cv=2)
    >>> def show(n_done, n_total, record):
    ...     print(n_done, n_total, record.parameters, record.fold, record.resumed)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     search = ResumableSearch(grid, journal=folder + "/faces.jsonl")
    ...     first = search.fit(faces.images, faces.target).best_params_
    ...     search.set_params(on_fit=show).fit(faces.images, faces.target).best_params_ == first
    1 4 {'svc__C': 0.01} 0 True
    2 4 {'svc__C': 0.01} 1 True
    3 4 {'svc__C': 1} 0 True
    4 4 {'svc__C': 1} 1 True
    True
    """

    def __init__(self, search, *, journal, on_fit=None):
        self.search = search
        self.journal = journal
        self.on_fit = on_fit

    def fit(self, X, y=None, **params):
        """Do what the search's fit does, less the fits whose results are in the journal.

        Parameters
        ----------
        X, y, **params
            As of the search's `fit`; `groups` and `sample_weight`, for instance.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If `search` is no search, `journal` is a directory, an image file cannot be read, or the
            search cannot be recognised because a parameter cannot be pickled; and whatever the
            search raises.

        Warns
        -----
        UserWarning
            If lines of the journal are damaged, if it cannot be written (the search goes on), or if
            candidates or folds are drawn without a seed.
        """
        if not isinstance(self.search, BaseSearchCV):
            raise ValueError(
                f"search is {self.search!r}; wanted a search of scikit-learn such as "
                "GridSearchCV(estimator, param_grid)"
            )
        journal = Journal(self.journal)
        plain = copy.copy(self.search)
        plain.cv = check_cv(plain.cv, y, classifier=is_classifier(plain.estimator))
        _warn_of_chance(plain)
        journal.search = identify(plain, X, y, params)
        n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
        with Progress(journal, self.on_fit) as progress:
            search = wrap(plain, journal, progress, n_rows)
            search.fit(X, y, **params)
        self.search_ = unwrap(search, self.search)
        return self

    def __getattr__(self, name):
        if name.startswith("_") or name in ("search", "search_"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(vars(self).get("search_", self.search), name)

    def __sklearn_tags__(self):
        return get_tags(self.search)

    def get_metadata_routing(self):
        """Return what the search wants to have passed on.

        Returns
        -------
        MetadataRouter
        """
        return self.search.get_metadata_routing()


def _warn_of_chance(search):
    draws = hasattr(search, "param_distributions") or vars(search).get("resource") == "n_samples"
    owners = [search] if draws else []
    owners += [search.cv] if getattr(search.cv, "shuffle", True) else []
    for owner in owners:
        if getattr(owner, "random_state", 0) is None:
            warnings.warn(
                f"{type(owner).__name__}(random_state=None) draws other candidates or folds each "
                "time, whose results are not in the journal; give it random_state=0 to resume",
                stacklevel=3,
            )
