"""The ragged container: slices, joins, types, files, and what it refuses."""

import pickle

import joblib
import numpy as np
import pytest
from sklearn.model_selection import KFold, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

from visionpipe import Descriptors, as_descriptors, as_images

RNG = np.random.default_rng(0)
COUNTS = [3, 0, 5, 1, 4]
SETS = [RNG.integers(0, 256, (n, 8), dtype=np.uint8) for n in COUNTS]


def container(**settings):
    n = sum(COUNTS)
    frames = np.column_stack([np.arange(n), np.arange(n) % 7, np.ones(n), np.zeros(n)])
    sizes = [(10, 20 + i) for i in range(len(COUNTS))]
    return Descriptors(
        np.concatenate(SETS),
        np.concatenate([[0], np.cumsum(COUNTS)]),
        frames=frames,
        image_sizes=sizes,
        origin="the test",
        **settings,
    )


def same(one, two):
    assert len(one) == len(two) and one.root == two.root and one.origin == two.origin
    for left, right in zip(one, two, strict=True):
        np.testing.assert_array_equal(left, right)
    for name in ("offsets", "frames", "image_sizes"):
        np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


KEYS = [
    slice(None), slice(1, 4), slice(3, 1), slice(None, None, 2), slice(None, None, -1),
    [4, 0, 0], np.array([2]), np.array([], dtype=int), np.array(COUNTS) > 2, (np.array([1, 2]),),
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_indexing(key):
    sets = container()
    found = sets[key]
    images = np.arange(len(sets))[key]
    assert isinstance(found, Descriptors) and len(found) == len(images) == len(found.counts)
    for i, image in enumerate(images):
        np.testing.assert_array_equal(found[i], SETS[image])
        rows = slice(*sets.offsets[image : image + 2])
        np.testing.assert_array_equal(
            found.frames[slice(*found.offsets[i : i + 2])], sets.frames[rows]
        )
        assert (found.image_sizes[i] == sets.image_sizes[image]).all()
    assert found.origin == "the test"


def test_single_images():
    sets = container()
    for i in range(-5, 5):
        np.testing.assert_array_equal(sets[i], SETS[i])
        np.testing.assert_array_equal(sets[np.int64(i)], SETS[i])
    with pytest.raises(IndexError):
        sets[5]
    with pytest.raises(IndexError, match="one axis"):
        sets[0, 1]
    assert sets.shape == (5,) and sets.n_features == 8
    assert [len(one) for one in sets] == COUNTS == sets.counts.tolist()


def test_a_slice_copies_nothing():
    sets = container()
    assert np.shares_memory(sets[1:3].values, sets.values)


def test_concatenation_undoes_splitting():
    sets = container()
    same(Descriptors.concatenate([sets[:2], sets[2:2], sets[2:]]), sets)
    other = Descriptors(np.zeros((1, 9)), [0, 1])
    with pytest.raises(ValueError, match=r"all of one kind"):
        Descriptors.concatenate([sets, other])
    with pytest.raises(ValueError, match="at least one"):
        Descriptors.concatenate([])
    bare = Descriptors.concatenate([sets, Descriptors.from_list(SETS)])
    assert bare.frames is None and len(bare) == 10


def test_pickle_and_memory_map(tmp_path):
    for sets in (container(), container(root=True)):
        same(pickle.loads(pickle.dumps(sets)), sets)
        joblib.dump(sets, tmp_path / "sets.joblib")
        mapped = joblib.load(tmp_path / "sets.joblib", mmap_mode="r")
        assert isinstance(mapped._values, np.memmap)
        same(mapped, sets)
        same(mapped[1:4], sets[1:4])
        same(mapped[[3, 0]], sets[[3, 0]])


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.array([[0.0, 255.0]]), np.uint8),
        (np.array([[0.5, 1.25]]), np.float16),
        (np.array([[256.0, 1.0]]), np.float16),
        (np.array([[-1, 3]]), np.float16),
        (np.array([[1 / 3, 1.0]], dtype=np.float32), np.float32),
        (np.array([[1e6, 1.0]]), np.float32),
        (np.array([[True, False]]), np.uint8),
        (np.array([[3, 4]], dtype=np.uint8), np.uint8),
    ],
)
def test_the_smallest_exact_type(values, dtype):
    sets = Descriptors(values, [0, 1])
    assert sets.values.dtype == dtype
    np.testing.assert_array_equal(sets[0], values)


def test_root():
    sets = container(root=True)
    for found, sift in zip(sets, SETS, strict=True):
        np.testing.assert_allclose(
            found, np.sqrt(sift / sift.sum(axis=1, keepdims=True)), rtol=1e-6
        )
        assert found.dtype == np.float32
    np.testing.assert_array_equal(sets.values, np.concatenate(list(sets)))
    assert sets.nbytes == container().nbytes
    blank = Descriptors(np.zeros((1, 8)), [0, 1], root=True)
    assert not blank[0].any()


def test_lists_of_arrays():
    sets = as_descriptors([SETS[0], None, SETS[2].tolist(), [], np.empty((0, 8))])
    assert sets.counts.tolist() == [3, 0, 5, 0, 0]
    np.testing.assert_array_equal(sets[2], SETS[2])
    assert as_descriptors(np.zeros((4, 3, 8))).counts.tolist() == [3] * 4
    assert as_descriptors(sets) is sets
    empty = as_descriptors([None, None])
    assert empty.n_features == 0 and len(empty) == 2


def test_sample_is_bounded_seeded_and_fair():
    sets = Descriptors(np.zeros((1000, 2)), np.arange(0, 1001, 10))
    one, two = (sets.sample(300, 5) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert len(np.unique(one)) == 300 and (np.diff(one) > 0).all()
    assert 120 < (one < 500).sum() < 180
    np.testing.assert_array_equal(sets.sample(5000, 5), np.arange(1000))
    assert (sets.sample(300, 6) != one).any()


def test_batches_are_bounded_and_complete():
    counts = RNG.integers(0, 30, 50)
    sets = Descriptors(np.zeros((counts.sum(), 2)), np.concatenate([[0], np.cumsum(counts)]))
    for n_rows in (1, 25, 100, 10**6):
        runs = list(sets.batches(n_rows, 20))
        assert [i for run in runs for i in run] == list(range(50))
        for run in runs:
            assert len(run) == 1 or (counts[run].sum() <= n_rows and len(run) <= 20)
    assert len(list(sets.batches(10**6, 50))) == 1 and len(list(sets.batches(10**6, 1))) == 50


def test_positions():
    sets = container()
    rows = np.array([0, 3, 8])
    x, y = sets.positions(rows).T
    np.testing.assert_allclose(x, [0.5 / 20, 3.5 / 22, 8.5 / 23])
    np.testing.assert_allclose(y, (rows % 7 + 0.5) / 10)
    with pytest.raises(ValueError, match="no frames"):
        Descriptors.from_list(SETS).positions(rows)


def test_scikit_learn_splits_them():
    sets, y = container()[[0, 2, 4] * 4], np.array(["a", "b", "c"] * 4)
    train, test, *_ = train_test_split(sets, y, test_size=4, random_state=0)
    assert isinstance(train, Descriptors) and len(train) == 8 and len(test) == 4
    mean = FunctionTransformer(lambda X: np.array([one.mean(axis=0) for one in X]))
    scores = cross_val_score(make_pipeline(mean, LinearSVC()), sets, y, cv=KFold(3))
    np.testing.assert_array_equal(scores, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(3), [0, 3]), r"values have shape \(3,\)"),
        ((np.zeros((3, 2)), [0, 2]), "offsets run from 0 to 2; wanted 0 to 3"),
        ((np.zeros((3, 2)), [0, 2, 1, 3]), "never falls"),
        ((np.zeros((3, 2)), []), "offsets must be"),
        ((np.full((3, 2), np.nan), [0, 1, 3]), "descriptor 0 of image 0 has values that are NaN"),
        ((np.array([["a", "b"]]), [0, 1]), "wanted numbers"),
    ],
)
def test_bad_arrays(arguments, message):
    with pytest.raises(ValueError, match=message):
        Descriptors(*arguments)


def test_bad_frames_sizes_and_roots():
    with pytest.raises(ValueError, match=r"frames have shape \(2, 4\); wanted \(3, 4\)"):
        Descriptors(np.zeros((3, 2)), [0, 3], frames=np.zeros((2, 4)))
    with pytest.raises(ValueError, match="image_sizes"):
        Descriptors(np.zeros((3, 2)), [0, 3], image_sizes=[(1, 2), (3, 4)])
    with pytest.raises(ValueError, match=r"descriptor 1 of image 1 .* negative"):
        Descriptors(np.array([[1.0], [1], [-1]]), [0, 1, 3], root=True)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([], "E got no descriptors"),
        (np.zeros((5, 8)), r"E got one array of shape \(5, 8\)"),
        (np.zeros((2, 5, 8, 3)), r"E: item 0 has shape \(5, 8, 3\).*RootSIFT"),
        (["a.png"], r"E: item 0 is str.*SIFT\(\)"),
        ([np.zeros((2, 3)), np.zeros((2, 4))], r"lengths \[3, 4\]"),
        ([np.array([[1.0, np.inf]])], "descriptor 0 of image 0"),
        (as_images(np.zeros((2, 8, 8))), r"E got images; wanted descriptors"),
        (7, "E got int"),
    ],
)
def test_what_is_no_descriptors(X, message):
    with pytest.raises(ValueError, match=message):
        as_descriptors(X, owner="E")
