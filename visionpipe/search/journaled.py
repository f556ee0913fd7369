"""What stands in the places of a search's estimator and scorers, and takes known results."""

import copy
import functools
import inspect
import time
import types

import numpy as np
from sklearn.base import clone
from sklearn.metrics._scorer import _MultimetricScorer
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.utils import Bunch, get_tags

from visionpipe.search.journal import candidate_key, unit_key

__all__ = ["unwrap", "wrap"]

ROWS = "visionpipe_rows"  # fit and score parameter: scikit-learn cuts it as it cuts X


class JournaledModel:
    """Stands for the estimator of a search: what is in the journal, it does not fit."""

    def __init__(self, estimator, journal, kinds):
        self.estimator, self._journal, self._kinds = estimator, journal, kinds
        self._parameters, self._unit, self._result = {}, None, {}

    # scikit-learn's callbacks reach an estimator through this attribute
    _parent_callback_ctx = property(
        lambda self: self.estimator._parent_callback_ctx,
        lambda self, context: setattr(self.estimator, "_parent_callback_ctx", context),
        lambda self: delattr(self.estimator, "_parent_callback_ctx"),
    )

    def __getattr__(self, name):
        if name.startswith("__") or name == "estimator":
            raise AttributeError(name)
        return getattr(self.estimator, name)

    def __sklearn_clone__(self):
        return JournaledModel(clone(self.estimator), self._journal, self._kinds)

    def __sklearn_tags__(self):
        return get_tags(self.estimator)

    def get_params(self, deep=True):
        return self.estimator.get_params(deep)

    def set_params(self, **parameters):
        self._parameters = parameters
        self.estimator.set_params(**parameters)
        return self

    def fit(self, X, y=None, *, visionpipe_rows=None, **params):
        data = (X,) if y is None else (X, y)
        self._fit = functools.partial(self._fit_and_time, *data, **params)
        self._found = []
        if visionpipe_rows is not None:  # else it is the refit
            self._candidate = candidate_key(self._parameters, visionpipe_rows)
            self._found = self._journal.find(self._candidate)
        if not self._found:
            self._fit()
        return self

    def _fit_and_time(self, *data, **params):
        start = time.perf_counter()
        self.estimator.fit(*data, **params)
        self._result["fit_time"] = time.perf_counter() - start

    def score_once(self, scorer, rows, data, params):
        """Score the test images of the fold and, when called again, its training images."""
        kind = "test" if self._unit is None else "train"
        if kind == "test":
            self._unit = unit_key(self._candidate, rows)
            self._found = [entry for entry in self._found if entry["unit"] == self._unit]
        if self._found:
            return _with_times(self._found[0][kind], self._found[0])
        if "fit_time" not in self._result:  # in the journal were other test images
            self._fit()
        return self._score(kind, functools.partial(scorer, self.estimator, *data, **params))

    def _score(self, kind, scorer):
        start = time.perf_counter()
        scores = scorer()
        self._result.setdefault("score_time", time.perf_counter() - start)
        if (floats := _floats(scores)) is None:
            return scores
        self._result[kind] = floats
        if self._kinds <= self._result.keys():
            parameters = {name: repr(value) for name, value in self._parameters.items()}
            self._journal.append({"unit": self._unit, "parameters": parameters, **self._result})
        return _with_times(floats, self._result)


def _floats(scores):
    """Scores as floats, None if one is none: scikit-learn says what is wrong with it."""
    try:
        if isinstance(scores, dict):
            return {name: float(1.0 * score) for name, score in scores.items()}
        return float(1.0 * scores)  # the product refuses strings
    except (TypeError, ValueError):
        return None


class _TimedScore(float):
    """A score that brings along how long its fit took, whenever that was."""


def _with_times(scores, times):
    if isinstance(scores, dict):
        return {name: _with_times(score, times) for name, score in scores.items()}
    timed = _TimedScore(scores)
    timed.times = {name: times[name] for name in ("fit_time", "score_time")}
    return timed


class _JournaledScorer:
    def __init__(self, scorer):
        self.scorer = scorer

    def __call__(self, model, *data, visionpipe_rows, **params):
        return model.score_once(self.scorer, visionpipe_rows, data, params)


class _JournaledScorers(_MultimetricScorer):  # of this class, to be told what failed and how
    def __call__(self, model, *data, visionpipe_rows, **params):
        return model.score_once(super().__call__, visionpipe_rows, data, params)


class _JournaledSearch:
    """Mixin of a search class: the hooks by which results come and go."""

    def __reduce__(self):  # workers get it for scikit-learn's callbacks only
        return copy.copy, (self._plain,)

    def _get_scorers(self):
        scorer, refit_metric = self._plain._get_scorers()
        if not isinstance(scorer, _MultimetricScorer):
            return _JournaledScorer(scorer), refit_metric
        scorers = _JournaledScorers(scorers=scorer._scorers, raise_exc=scorer._raise_exc)
        return scorers, refit_metric

    def _get_routed_params_for_fit(self, params):
        routed = self._plain._get_routed_params_for_fit(params)
        rows = {ROWS: np.arange(self._n_rows)}
        self._fit_params = {**routed.estimator.fit, **rows}
        return Bunch(
            estimator=Bunch(fit=self._fit_params),
            scorer=Bunch(score={**routed.scorer.score, **rows}),
            splitter=Bunch(split=routed.splitter.split),
        )

    def _run_search(self, evaluate_candidates, callback_ctx=None):
        def evaluate(candidates, cv=None, *args, **kwargs):
            candidates = list(candidates)

            def split(*data, **params):
                folds = list((cv or self._checked_cv_orig).split(*data, **params))
                self._announce(candidates, folds)
                return folds

            splitter = types.SimpleNamespace(split=split)
            return evaluate_candidates(candidates, splitter, *args, **kwargs)

        takes_context = "callback_ctx" in inspect.signature(super()._run_search).parameters
        super()._run_search(evaluate, **({"callback_ctx": callback_ctx} if takes_context else {}))
        del self._fit_params[ROWS]  # the refit is no fold

    def _announce(self, candidates, folds):
        rows = np.arange(self._n_rows)
        units = {
            unit_key(candidate_key(candidate, rows[train]), rows[test]): (candidate, fold)
            for candidate in candidates
            for fold, (train, test) in enumerate(folds)
        }
        is_all = isinstance(self._plain, (GridSearchCV, RandomizedSearchCV))
        self._progress.expect(units, n_total=len(units) if is_all else None)

    def _format_results(self, candidate_params, n_splits, out, more_results=None):
        out = [{**result, **_times(result["test_scores"])} for result in out]
        return super()._format_results(candidate_params, n_splits, out, more_results)


def _times(scores):
    values = scores.values() if isinstance(scores, dict) else [scores]
    return next((score.times for score in values if isinstance(score, _TimedScore)), {})


@functools.cache
def _journaled_class(search_class):
    return type(search_class.__name__, (_JournaledSearch, search_class), {})


def wrap(plain, journal, progress, n_rows):
    """The search whose fits go through the journal."""
    cls = _journaled_class(type(plain))
    search = cls.__new__(cls)
    vars(search).update(vars(plain), _plain=plain, _progress=progress, _n_rows=n_rows)
    kinds = {"test", "train"} if plain.return_train_score else {"test"}
    search.estimator = JournaledModel(plain.estimator, journal, kinds)
    return search


def unwrap(search, original):
    """The plain search with what was fitted."""
    plain = copy.copy(original)
    ours = {"_plain", "_progress", "_n_rows", "_fit_params", *original.get_params(deep=False)}
    vars(plain).update((k, v) for k, v in vars(search).items() if k not in ours)
    if isinstance(vars(plain).get("best_estimator_"), JournaledModel):
        plain.best_estimator_ = plain.best_estimator_.estimator
    if isinstance(plain.scorer_, _JournaledScorer):
        plain.scorer_ = plain.scorer_.scorer
    return plain
