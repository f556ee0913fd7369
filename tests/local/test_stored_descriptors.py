"""Descriptors that lie in a feature store are those that would lie in memory."""

import os
import pickle

import numpy as np
import pytest
from PIL import Image
from skimage import data
from stores import forget

from visionpipe import SIFT, DenseSIFT, Descriptors, FeatureStore, RootSIFT
from visionpipe.local import stored_descriptors
from visionpipe.local.describer import Describer
from visionpipe.store.file import file_at

PHOTOGRAPH = data.astronaut()
N = 20
CROPS = [PHOTOGRAPH[i : i + 40, 150 + i : 200 + i] for i in range(0, 10 * N, 10)]
# of unequal sizes, one of them grey and one without key points
PICTURES = [*CROPS[:5], np.full((30, 44, 3), 9, dtype=np.uint8), *CROPS[6:12]]
PICTURES += [crop[:36, :30] for crop in CROPS[12:19]]
PICTURES.append(CROPS[19][..., 0])

EVERY = [
    SIFT(), SIFT(detector="sift", color="opponent"), SIFT(detector="dense", low_contrast="drop"),
    RootSIFT(), RootSIFT(detector="dense", step=9), DenseSIFT(step=9), DenseSIFT(color="rgb"),
]  # fmt: skip
every = pytest.mark.parametrize("estimator", EVERY, ids=repr)
KEYS = {
    "slice": slice(3, 9),
    "everything": slice(None),
    "from the end": slice(-4, None),
    "steps": slice(None, None, -3),
    "mask": np.arange(N) % 3 == 1,
    "index": np.array([7, 3, 3, 19, 0]),
    "list": [2, 1],
    "tuple": (np.array([4, 5]),),
    "ellipsis": (np.array([4, 5]), ...),
}


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "features.sqlite")


@pytest.fixture
def described(monkeypatch):
    """Number of images that each call of a describer computes."""
    calls, compute = [], Describer._compute

    def count(self, images):
        calls.append(len(images))
        return compute(self, images)

    monkeypatch.setattr(Describer, "_compute", count)
    return calls


@pytest.fixture
def reads(monkeypatch):
    """Number of rows with descriptors that each call reads."""
    calls, get = [], FeatureStore.get

    def count(self, keys, **options):
        calls.append(len(keys))
        return get(self, keys, **options)

    monkeypatch.setattr(FeatureStore, "get", count)
    return calls


def with_store(estimator, path):
    return type(estimator)(**{**estimator.get_params(), "store": path})


def pair(estimator, path, images=PICTURES):
    """The same descriptors in memory and in a store.

    A product of matrices may round differently for another number of rows: then those in memory are
    changed into those in the store.
    """
    stored = with_store(estimator, path).fit_transform(images)
    assert isinstance(stored, stored_descriptors.StoredDescriptors)
    eager = estimator.fit_transform(images)
    difference = stored._values.astype(int) - eager._values
    assert abs(difference).max() <= 1 and (difference != 0).mean() < 1e-3
    if getattr(estimator, "detector", "dense") != "dense":
        assert not difference.any()
    eager._values = stored._values
    return eager, stored


def assert_same(found, expected):
    assert len(found) == len(expected) and found.shape == expected.shape
    assert found.root is expected.root and found.origin == expected.origin
    assert found.n_features == expected.n_features
    for name in ("offsets", "counts", "image_sizes", "values", "frames"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)
    for name in ("offsets", "counts", "values", "frames"):
        assert getattr(found, name).dtype == getattr(expected, name).dtype, name
    for one, wanted in zip(found, expected, strict=True):
        assert one.dtype == wanted.dtype
        np.testing.assert_array_equal(one.reshape(wanted.shape), wanted)


@every
def test_they_equal_those_in_memory(estimator, path):
    eager, stored = pair(estimator, path)
    assert_same(stored, eager)
    assert_same(stored.load(), eager)
    assert type(stored.load()) is Descriptors
    forget()
    assert_same(with_store(estimator, path).fit_transform(PICTURES), eager)


@every
def test_parts_equal_those_in_memory(estimator, path):
    eager, stored = pair(estimator, path)
    for key in KEYS.values():
        part = stored[key]
        assert type(part) is type(stored)
        assert_same(part, eager[key])
    assert_same(stored[2:15][[3, 1, 8]][::-1], eager[2:15][[3, 1, 8]][::-1])
    for i in (0, 4, -1, np.int64(7)):
        np.testing.assert_array_equal(stored[i], eager[i])
    for bad in (N, -N - 1, (1, 2), ()):
        with pytest.raises(IndexError):
            stored[bad]


@every
def test_rows_and_positions_equal_those_in_memory(estimator, path, monkeypatch):
    monkeypatch.setattr(stored_descriptors, "ROWS_AT_ONCE", 50)  # several parts
    eager, stored = pair(estimator, path)
    n = len(eager.values)
    rng = np.random.default_rng(0)
    unsorted = rng.integers(0, n, 300)
    mask = rng.random(n) < 0.1
    chosen = [unsorted, np.sort(unsorted), mask, np.array([n - 1]), np.array([0, n - 1, 0])]
    for rows in (slice(None), slice(n // 2, n // 2 + 70), slice(None, None, -2), *chosen):
        found, expected = stored.read(rows), eager.read(rows)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    for rows in (unsorted, np.sort(unsorted), np.arange(n)):
        found, expected = stored.positions(rows), eager.positions(rows)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)


@every
def test_samples_and_batches_equal_those_in_memory(estimator, path):
    eager, stored = pair(estimator, path)
    for seed in (0, np.random.RandomState(1)):
        state = seed if isinstance(seed, int) else np.random.RandomState(1)
        np.testing.assert_array_equal(stored.sample(37, seed), eager.sample(37, state))
    np.testing.assert_array_equal(stored.sample(10**6, 0), eager.sample(10**6, 0))
    for n_rows, n_images in ((1, 3), (60, 100), (10**6, 7)):
        assert [*stored.batches(n_rows, n_images)] == [*eager.batches(n_rows, n_images)]


@every
def test_concatenated_and_pickled(estimator, path):
    eager, stored = pair(estimator, path)
    for keys in ([slice(None), slice(3)], [slice(5, 6), slice(3, 9)], [[4, 2], [5]]):
        expected = Descriptors.concatenate([eager[key] for key in keys])
        for a, b in ((stored, stored), (stored, eager), (eager, stored)):
            assert_same(Descriptors.concatenate([a[keys[0]], b[keys[1]]]), expected)
    for part, expected in ((stored, eager), (stored[[3, 1]], eager[[3, 1]])):
        pickled = pickle.dumps(part)
        forget()
        assert_same(pickle.loads(pickled), expected)


def test_paths_travel_light(path, tmp_path):
    paths = []
    for i, image in enumerate(CROPS):
        paths.append(str(tmp_path / f"{i}.png"))
        Image.fromarray(image).save(paths[-1])
    stored = DenseSIFT(store=path).fit_transform(paths)
    assert stored.reads_files and stored[3:5].reads_files
    assert len(pickle.dumps(stored)) < 10_000
    for image in paths:
        os.remove(image)
    assert_same(pickle.loads(pickle.dumps(stored)), DenseSIFT(store=path).fit_transform(CROPS))


@pytest.mark.parametrize("estimator", [SIFT(), RootSIFT(), SIFT(color="rgb")], ids=repr)
def test_empty_sets_have_the_length_of_others(estimator, path):
    eager, stored = pair(estimator, path)
    assert stored[5].shape == eager[5].shape == (0, eager.n_features)
    assert stored[5:6].values.shape == eager[5:6].values.shape
    none = np.array([], dtype=np.int64)
    assert stored.read(none).shape == eager.read(none).shape
    assert stored[:0].n_features == eager[:0].n_features
    np.testing.assert_array_equal(np.concatenate([*stored]), np.concatenate([*eager]))


@pytest.mark.parametrize(
    "estimator",
    [SIFT(), DenseSIFT(), RootSIFT(color="rgb")],
    ids=repr,
)
def test_no_descriptors_at_all(estimator, path):
    blank = np.full((3, 20, 20, 3), 200, dtype=np.uint8)
    eager, stored = estimator.fit_transform(blank), with_store(estimator, path).transform(blank)
    assert_same(stored, eager)
    assert_same(stored.load(), eager)
    assert stored.values.shape == eager.values.shape and not stored.counts.any()
    assert stored.sample(10, 0).tolist() == []


# ---------------------------------------------------------------------- what is read and computed


def test_slicing_reads_and_computes_nothing(path, described, reads):
    SIFT(store=path).transform(PICTURES)
    described.clear()
    reads.clear()
    stored = SIFT(store=path).transform(PICTURES)
    assert len(stored) == N and stored.shape == (N,) and stored.n_features == 128
    assert stored.offsets[-1] == stored.counts.sum() == stored[:].counts.sum() > 0
    assert stored.image_sizes.shape == (N, 2) and len(stored.digests()) == N
    for key in KEYS.values():
        assert stored[key].counts.sum() == stored[key].offsets[-1]
    stored.sample(100, 0)
    pickle.dumps(stored)
    assert described == [] and reads == []


def test_images_are_read_a_few_at_a_time(path, reads, monkeypatch):
    monkeypatch.setattr(stored_descriptors, "ROWS_AT_ONCE", 10)
    stored = SIFT(store=path).transform(PICTURES)
    reads.clear()
    stored.read(stored.offsets[[2, 11]])
    stored.positions(stored.offsets[[2, 11]])
    assert sum(reads) <= 8


@pytest.mark.parametrize(
    ("look", "n_images"),
    [
        (lambda stored: stored[7], 1),
        (lambda stored: stored.read(stored.offsets[[2, 11]]), 2),
        (lambda stored: stored.positions(stored.offsets[[2, 11]]), 2),
        (list, N),
    ],
    ids=["image", "read", "positions", "every image"],
)
def test_only_the_images_concerned_are_read(path, reads, look, n_images):
    stored = SIFT(store=path).transform(PICTURES)
    reads.clear()
    look(stored)
    assert sum(reads) <= n_images


@pytest.mark.parametrize("look", [repr, lambda stored: stored.nbytes], ids=["repr", "nbytes"])
def test_looking_at_it_reads_nothing(path, reads, look):
    stored = SIFT(store=path).transform(PICTURES)
    reads.clear()
    look(stored)
    assert reads == []


def test_repr(path):
    eager, stored = pair(RootSIFT(), path)
    assert repr(stored) == f"{repr(eager)[:-1]}, in {path}>"


@pytest.mark.parametrize(("first", "second"), [(SIFT, RootSIFT), (RootSIFT, SIFT)])
def test_root_sift_shares_the_rows_of_sift(first, second, path, described):
    expected = [cls(max_keypoints=20).fit_transform(PICTURES) for cls in (first, second)]
    described.clear()
    found = [cls(max_keypoints=20, store=path).fit_transform(PICTURES) for cls in (first, second)]
    assert sum(described) == N
    for some, wanted in zip(found, expected, strict=True):
        assert_same(some, wanted)


class Inverted(RootSIFT):
    def _describe(self, batch):
        values, frames, counts = super()._describe(batch)
        return 255 - values, frames, counts


class InvertedOrNot(Inverted):
    def __init__(self, *, inverted=True, store=None):
        super().__init__(store=store)
        self.inverted = inverted


@pytest.mark.parametrize("cls", [Inverted, InvertedOrNot])
def test_what_is_made_of_root_sift_has_rows_of_its_own(cls, path):
    expected = [SIFT().fit_transform(PICTURES), cls().fit_transform(PICTURES)]
    for _ in ("computed", "read"):
        assert_same(cls(store=path).fit_transform(PICTURES), expected[1])
        assert_same(SIFT(store=path).fit_transform(PICTURES), expected[0])


def test_digests_tell_root_sift_from_sift(path):
    sift, root = (cls(store=path).fit_transform(PICTURES) for cls in (SIFT, RootSIFT))
    assert not set(sift.digests().tolist()) & set(root.digests().tolist())


def test_digests_tell_settings_and_images_apart(path):
    digests = [
        cls(store=path, **params).fit_transform(CROPS).digests().tolist()
        for cls, params in (
            (SIFT, {}),
            (SIFT, {"max_keypoints": 5}),
            (SIFT, {"detector": "dense"}),
            (DenseSIFT, {}),
        )
    ]
    assert len({digest for some in digests for digest in some}) == 4 * N
    again = SIFT(store=path).fit_transform(CROPS)
    assert again.digests().tolist() == digests[0]
    assert again[[3, 1]].digests().tolist() == [digests[0][3], digests[0][1]]


# --------------------------------------------------------------------- a store that does not keep


def evict(path):
    connection = file_at(path)._connect()
    connection.execute("DELETE FROM contents WHERE id % 2")
    connection.execute("DELETE FROM entries WHERE id % 2")
    file_at(path).memory.clear()


def delete_file(path):
    for suffix in ("", "-wal", "-shm"):
        os.remove(path + suffix)


@pytest.mark.parametrize("lose", [evict, delete_file])
@pytest.mark.parametrize("estimator", [SIFT(), RootSIFT(), DenseSIFT(step=9)], ids=repr)
def test_what_has_gone_is_computed_again(estimator, lose, path, described):
    eager, stored = pair(estimator, path)
    lose(path)
    part = stored[[8, 3, 5]]
    described.clear()
    assert_same(part, eager[[8, 3, 5]])
    assert 0 < sum(described) <= 3
    np.testing.assert_array_equal(stored[8], eager[8])
    assert_same(stored, eager)
    assert sum(described) <= N
    described.clear()
    assert_same(with_store(estimator, path).transform(PICTURES), eager)
    assert described == []


def test_the_estimator_may_change_in_between(path):
    sift = SIFT(store=path)
    stored = sift.fit_transform(PICTURES)
    eager = SIFT().fit_transform(PICTURES)
    sift.set_params(max_keypoints=2, color="rgb")
    delete_file(path)
    assert_same(stored, eager)


@pytest.mark.parametrize("estimator", [SIFT(), RootSIFT()], ids=repr)
@pytest.mark.parametrize("kind", ["nowhere", "small", "read only"])
@pytest.mark.filterwarnings("ignore:the feature store")
def test_a_store_that_keeps_nothing(estimator, kind, path, tmp_path):
    where = path
    if kind == "nowhere":
        (tmp_path / "file").write_text("not a folder")
        where = str(tmp_path / "file" / "features.sqlite")
    elif kind == "small":
        where = FeatureStore(path, max_bytes=10_000)
    else:
        len(FeatureStore(path))
        file_at(path)._connect().execute("PRAGMA query_only = ON")
    found, eager = (
        with_store(estimator, where).fit_transform(PICTURES),
        estimator.transform(PICTURES),
    )
    assert_same(found, eager)
    assert_same(found[[8, 2]], eager[[8, 2]])
    assert_same(found[3:9], eager[3:9])
    rows = np.array([9, 3, 50])
    np.testing.assert_array_equal(found.read(rows), eager.read(rows))
    np.testing.assert_array_equal(found.positions(rows), eager.positions(rows))
    assert_same(pickle.loads(pickle.dumps(found)), eager)


def test_a_store_that_keeps_less_than_there_is(path):
    """Rows go while others come."""
    limited = FeatureStore(path, max_bytes=300_000)
    estimator = DenseSIFT(step=2, store=limited)
    for _ in range(2):
        assert_same(estimator.fit_transform(CROPS), DenseSIFT(step=2).fit_transform(CROPS))
    assert len(limited) < N
