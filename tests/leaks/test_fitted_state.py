"""States tell fitted objects apart, leaf by leaf, and only those that differ."""

import threading
from functools import partial

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from skorch import NeuralNetClassifier

from visionpipe import CNNClassifier
from visionpipe.leaks.fitted_state import changed, fitted_state, name_of, part_of, walk

RNG = np.random.default_rng(0)
X = RNG.random((40, 5))
Y = np.repeat([0, 1], 20)
OTHER = X.copy()
OTHER[7, 2] += 0.3


def names(one, other):
    """What differs between two objects."""
    paths = changed(fitted_state(one), fitted_state(other))
    return list(dict.fromkeys(map(name_of, paths)))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (StandardScaler(), ["mean_", "var_", "scale_"]),
        (RandomForestClassifier(3, random_state=0), ["estimators_"]),
        (KNeighborsClassifier(algorithm="kd_tree"), ["_fit_X", "_tree.state"]),
        (
            Pipeline([("pca", PCA(2)), ("svm", SVC())]),
            ["step pca, mean_", "step pca, components_", "step svm, support_vectors_"],
        ),
        (
            GridSearchCV(Pipeline([("svm", SVC())]), {"svm__C": [1]}, cv=2),
            ["best_estimator_, step svm, support_vectors_"],
        ),
        (
            HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=2, random_state=0),
            ["_predictors"],
        ),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "fit") else "",
)
def test_what_was_learned_from_other_data_differs(model, expected):
    fitted, again, other = (clone(model).fit(data, Y) for data in (X, X, OTHER))
    assert set(expected) <= set(names(fitted, other))
    # wall-clock times of a search are its own affair
    assert all("time" in name for name in names(fitted, again))


def test_networks_differ_in_weights_and_history():
    images = RNG.random((20, 8, 8))
    net = CNNClassifier("softmax", max_epochs=2, random_state=0).fit(images, Y[::2])
    again = CNNClassifier("softmax", max_epochs=2, random_state=0).fit(images, Y[::2])
    other = CNNClassifier("softmax", max_epochs=3, random_state=0).fit(images, Y[::2])
    assert {path[-1] for path in changed(fitted_state(net), fitted_state(again))} <= {"[dur]"}
    assert {"n_iter_", "net_[weights]", "net_[history]"} <= set(names(net, other))


def test_nets_of_skorch_are_looked_into():
    def fitted(seed):
        torch.manual_seed(seed)
        net = NeuralNetClassifier(torch.nn.Linear, max_epochs=2, train_split=None, verbose=0)
        net.set_params(module__in_features=5, module__out_features=2)
        return net.fit(X.astype(np.float32), Y)

    one, again, other = (fitted_state(fitted(seed)) for seed in (0, 0, 1))
    assert {"dur" in path[-1] or "time" in path[-1] for path in changed(one, again)} == {True}
    assert ("module_", "weight") in changed(one, other)
    assert {part_of(path) for path in one} == {()}  # callbacks are no steps


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


class Plain:
    def __init__(self, **attributes):
        vars(self).update(attributes)


def module(bias):
    layer = torch.nn.Linear(2, 1)
    with torch.no_grad():
        layer.weight.fill_(1)
        layer.bias.fill_(bias)
    return layer


def stepped(n):
    layer = module(0)
    optimizer = torch.optim.Adam(layer.parameters())
    for _ in range(n):
        layer(torch.ones(1, 2)).sum().backward()
        optimizer.step()
    return optimizer


def padded(value, padding):
    """An array of records with a gap between their fields."""
    kind = np.dtype({"names": ["a", "b"], "formats": ["u1", "f8"], "offsets": [0, 8]})
    array = np.frombuffer(bytes([padding] * 16), dtype=kind).copy()
    array["a"], array["b"] = 1, value
    return array


def masked(value, hidden):
    return np.ma.MaskedArray([1.0, value, hidden], mask=[False, False, True])


PAIRS = {  # a value, an equal one, another, and the name of what differs
    "number": (1.5, 1.5, 2.5, "what was returned"),
    "type": (1, 1, 1.0, "what was returned"),
    "nan": (float("nan"), float("nan"), 0.0, "what was returned"),
    "list": ([1, 2], [1, 2], [1, 3], "what was returned"),
    "longer": ([X, X], [X, X], [X, X, X], "[2]"),
    "dict": ({"a": 1, 2: X}, {"a": 1, 2: X}, {"a": 1, 2: OTHER}, "[2]"),
    "keys": ({object(): 1}, {object(): 1}, {object(): 2}, "[0]"),
    "dtype": (np.ones(2), np.ones(2), np.ones(2, dtype=np.float32), "what was returned"),
    "shape": (np.ones((2, 1)), np.ones((2, 1)), np.ones((1, 2)), "what was returned"),
    "objects": (*(np.array([None, x], dtype=object) for x in "aab"), "items"),
    "records": (padded(1, 0), padded(1, 7), padded(2, 0), "[b]"),
    "masked": (masked(1, 5), masked(1, 6), masked(2, 5), "data"),
    "sparse": (*(sparse.csr_array(np.eye(3) * x) for x in (1, 1, 2)), "data"),
    "tensor": (torch.ones(2), torch.ones(2), torch.zeros(2), "what was returned"),
    "module": (module(0), module(0), module(1), "bias"),
    "optimizer": (stepped(1), stepped(1), stepped(2), "state"),
    "slots": (Slotted(1), Slotted(1), Slotted(2), "state"),
    "attributes": (Plain(a=X, _b=1), Plain(a=X, _b=1), Plain(a=OTHER, _b=1), "a"),
    "function": (partial(max, 1), partial(max, 1), partial(max, 2), "args"),
    "generator": (*(np.random.default_rng(seed) for seed in (0, 0, 1)), "what was returned"),
    "set": ({1, 2}, {2, 1}, {1, 3}, "what was returned"),
    "columns": (*([("a", PCA(), [c])] for c in (0, 0, 1)), "step a[1]"),
    "class": (SVC, SVC, PCA, "what was returned"),
    "lock": (threading.Lock(), threading.Lock(), 3, "what was returned"),
}


@pytest.mark.parametrize("kind", PAIRS)
def test_equal_values_have_equal_states_and_others_have_not(kind):
    value, equal, other, name = PAIRS[kind]
    assert names(value, equal) == []
    assert names(value, other) == [name]


def test_what_refers_back_to_itself_comes_to_an_end():
    def ring(value):
        one, two = Plain(value=value), Plain()
        one.other, two.other = two, one
        return one

    assert names(ring(1), ring(1)) == []
    assert names(ring(1), ring(2)) == ["value"]


def test_the_same_object_twice_counts_twice():
    assert [path for path, _, is_leaf in walk([X, X]) if is_leaf] == [("[0]",), ("[1]",)]


def test_states_hold_no_data():
    (state,) = fitted_state(np.zeros(1_000_000)).values()
    assert state[1] == 8_000_000 and len(state[0]) == 64
    assert fitted_state(torch.zeros(3, 2))[()][1] == 24
    assert fitted_state([1, 2, 3])[()][1] == 24


@pytest.mark.parametrize(
    ("path", "name", "part"),
    [
        ((), "what was returned", ()),
        (("coef_",), "coef_", ()),
        (("[0]", "[svm]", "coef_"), "[0][svm].coef_", ("[0]", "[svm]")),
        (("[0]",), "[0]", ("[0]",)),
        (("step a", "step b", "x_", "[0]"), "step a, step b, x_", ("step a", "step b")),
        (("best_", "step a", "x_", "y_"), "best_, step a, x_.y_", ("best_", "step a")),
        (("cv_results_", "[mean_test_score]"), "cv_results_[mean_test_score]", ()),
        (("x_", "[3]", "y_"), "x_", ()),
    ],
)
def test_names_and_parts(path, name, part):
    assert name_of(path) == name and part_of(path) == part


def test_tfidf_of_sparse_counts():
    counts = sparse.csr_array(RNG.integers(0, 3, size=(10, 4)))
    other = counts.copy()
    other[0] = 0
    other.eliminate_zeros()
    assert names(*(TfidfTransformer().fit(c) for c in (counts, counts))) == []
    assert names(*(TfidfTransformer().fit(c) for c in (counts, other)))
