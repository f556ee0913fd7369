"""What encoders learn is learned once, and what they encode is encoded once."""

import importlib
import os
import pickle

import numpy as np
import pytest
from PIL import Image
from skimage import data
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from stores import forget

from visionpipe import (
    SIFT,
    VLAD,
    BagOfVisualWords,
    DenseSIFT,
    FeatureStore,
    FisherVector,
    PatchKMeans,
    RootSIFT,
    use_store,
)
from visionpipe.encoding.encoder import Encoder

PHOTOGRAPH = data.camera()[140:]
N = 18
IMAGES = np.stack([PHOTOGRAPH[i : i + 40, 150 + i : 194 + i] for i in range(0, 8 * N, 8)])
Y = np.arange(N) % 2
EAGER = SIFT(max_keypoints=25).fit_transform(IMAGES)

ENCODERS = [
    BagOfVisualWords(5, random_state=0),
    BagOfVisualWords(5, assignment="soft", weighting="tfidf", pyramid=(1, 2), random_state=0),
    BagOfVisualWords(5, assignment="soft", sigma=90.5, random_state=0),
    BagOfVisualWords(5, assignment="llc", normalize="l2", random_state=np.int64(0)),
    VLAD(3, random_state=0),
    FisherVector(2, n_dimensions=5, random_state=0),
    FisherVector(2, xy=True, improved=False, random_state=0),
]
PATCHES = [
    PatchKMeans(4, patch_size=4, n_samples=500, random_state=0),
    PatchKMeans(4, patch_size=4, dictionary="patches", assignment="nearest", random_state=0),
    PatchKMeans(4, color_space="grey", standardize=False, random_state=0),
]
every = pytest.mark.parametrize("estimator", [*ENCODERS, *PATCHES], ids=repr)
every_encoder = pytest.mark.parametrize("estimator", ENCODERS, ids=repr)


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "features.sqlite")


class Counts:
    def __init__(self):
        self.learned = self.encoded = 0

    def __call__(self):
        """How often words were learned, and how many images were encoded, since last time."""
        counts, self.learned, self.encoded = (self.learned, self.encoded), 0, 0
        return counts


@pytest.fixture
def counts(monkeypatch):
    counts = Counts()

    def counting(function):
        def count(*args, **options):
            counts.learned += 1
            return function(*args, **options)

        return count

    for name in ("bag_of_visual_words", "vlad", "fisher_vector", "patch_k_means"):
        module = importlib.import_module(f"visionpipe.encoding.{name}")
        for learn in ("learn_words", "draw_words"):
            if hasattr(module, learn):
                monkeypatch.setattr(module, learn, counting(getattr(module, learn)))

    def counting_images(method, n_images):
        def count(self, some):
            counts.encoded += n_images(some)
            return method(self, some)

        return count

    monkeypatch.setattr(Encoder, "_encode", counting_images(Encoder._encode, len))
    monkeypatch.setattr(PatchKMeans, "_sums", counting_images(PatchKMeans._sums, len))
    return counts


def training_set(estimator):
    return IMAGES if isinstance(estimator, PatchKMeans) else EAGER


def learned(estimator):
    return {name: value for name, value in vars(estimator).items() if name.endswith("_")}


def assert_learned_the_same(found, expected):
    found, expected = learned(found), learned(expected)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert type(found[name]) is type(value), name
        if isinstance(value, np.ndarray):
            assert found[name].dtype == value.dtype, name
            assert found[name].flags.writeable, name
        np.testing.assert_array_equal(found[name], value, name)


@every
def test_the_same_is_learned_and_encoded_once(estimator, path, counts):
    X = training_set(estimator)
    plain = clone(estimator).fit(X)
    assert counts()[0] == 1
    first = use_store(clone(estimator), path).fit(X)
    vectors = first.transform(X)
    assert counts() == (1, N)
    assert_learned_the_same(first, plain)
    for _ in ("out of the memory", "out of the file"):
        second = use_store(clone(estimator), path).fit(X)
        assert_learned_the_same(second, first)
        np.testing.assert_array_equal(second.transform(X), vectors)
        np.testing.assert_array_equal(second.transform(X[[3, 1]]), vectors[[3, 1]])
        assert len(second.get_feature_names_out()) == vectors.shape[1]
        assert counts() == (0, 0)
        forget()
    np.testing.assert_allclose(plain.transform(X), vectors, atol=1e-3)
    np.testing.assert_allclose(use_store(first, None).transform(X), vectors, atol=1e-3)


@every
def test_what_was_read_pickles_and_goes_on_alone(estimator, path, counts):
    X = training_set(estimator)
    use_store(clone(estimator), path).fit_transform(X)
    read = use_store(clone(estimator), path).fit(X)
    alone = use_store(pickle.loads(pickle.dumps(read)), None)
    np.testing.assert_allclose(alone.transform(X), read.transform(X), atol=1e-3)


@every
def test_anything_else_is_learned(estimator, path, counts):
    X = training_set(estimator)
    size = "n_gaussians" if isinstance(estimator, FisherVector) else "n_words"
    others = [
        (clone(estimator).set_params(random_state=1), X),
        (clone(estimator).set_params(n_samples=77), X),
        (clone(estimator).set_params(**{size: 6}), X),
        (clone(estimator), X[1:]),
        (clone(estimator), X[::-1]),
        (clone(estimator), X[[0, *range(1, N), 0]]),
    ]
    use_store(clone(estimator), path).fit(X)
    counts()
    for other, Z in others:
        found = use_store(clone(other), path).fit(Z)
        assert counts()[0] == 1, (other, len(Z))
        assert_learned_the_same(found, clone(other).fit(Z))
        counts()
        assert_learned_the_same(use_store(clone(other), path).fit(Z), found)
        assert counts()[0] == 0


@every
def test_without_a_seed_it_is_always_learned(estimator, path, counts):
    X = training_set(estimator)
    for seed in (None, np.random.RandomState(0)):
        for _ in range(2):
            use_store(clone(estimator).set_params(random_state=seed), path).fit(X)
            assert counts()[0] == 1
    before = len(FeatureStore(path))
    use_store(clone(estimator), None).fit(X)
    assert counts()[0] == 1 and len(FeatureStore(path)) == before


def test_a_random_state_draws_as_without_a_store(path):
    for where in (None, path):
        rng = np.random.RandomState(3)
        bag = BagOfVisualWords(4, random_state=rng, store=where)
        words = [bag.fit(EAGER).words_ for _ in range(2)]
        if where is None:
            expected = words
    np.testing.assert_array_equal(words, expected)
    assert not np.array_equal(*words)


@every
def test_other_versions_learn_again(estimator, path, counts, monkeypatch):
    X = training_set(estimator)
    use_store(clone(estimator), path).fit(X)
    counts()
    monkeypatch.setattr(type(estimator), "_version", 1000)
    use_store(clone(estimator), path).fit(X)
    assert counts()[0] == 1
    monkeypatch.setattr("visionpipe.kernels.nearest_words.VERSION", 1000)
    use_store(clone(estimator), path).fit(X)
    assert counts()[0] == 1
    monkeypatch.setattr("sklearn.__version__", "1000")
    use_store(clone(estimator), path).fit(X)
    assert counts()[0] == 1


def test_parameters_that_only_encode_share_no_rows(path, counts):
    """Words may be the same, vectors are not."""
    vectors = []
    for params in ({}, {"normalize": "l1"}, {"pyramid": (1, 2)}, {"assignment": "triangle"}):
        bag = BagOfVisualWords(5, random_state=0, store=path, **params)
        plain = BagOfVisualWords(5, random_state=0, **params).fit_transform(EAGER)
        vectors.append(bag.fit_transform(EAGER))
        np.testing.assert_allclose(vectors[-1], plain, atol=1e-5)


@pytest.mark.parametrize("encoder", [BagOfVisualWords(5), VLAD(3), FisherVector(2)], ids=repr)
def test_words_of_sift_are_not_those_of_root_sift(encoder, path):
    encoder = clone(encoder).set_params(random_state=0)
    for describer in (SIFT(), RootSIFT()):
        found = use_store(make_pipeline(clone(describer), clone(encoder)), path)
        expected = make_pipeline(clone(describer), clone(encoder)).fit_transform(IMAGES)
        np.testing.assert_allclose(found.fit_transform(IMAGES), expected, atol=1e-3)


def test_what_is_learned_again_is_kept_whole(path):
    soft = BagOfVisualWords(5, assignment="soft", sigma=90.5, random_state=0, store=path)
    expected = soft.fit(EAGER[:9]).fit(EAGER)
    found = clone(soft).fit(EAGER)
    assert_learned_the_same(found, expected)
    np.testing.assert_array_equal(found.transform(EAGER), expected.transform(EAGER))


@every_encoder
def test_stored_and_other_descriptors_learn_the_same(estimator, path, counts):
    stored = SIFT(max_keypoints=25, store=path).fit_transform(IMAGES)
    alike = [EAGER, stored]
    if estimator.get_params()["pyramid"] == (1,) and not getattr(estimator, "xy", False):
        alike.append(list(EAGER))  # without positions
    expected = clone(estimator).fit(EAGER)
    for where in (None, path):
        for sets in alike:
            found = use_store(clone(estimator), where).fit(sets)
            assert_learned_the_same(found, expected)
            np.testing.assert_allclose(found.transform(sets), expected.transform(EAGER), atol=1e-3)


@every_encoder
def test_sets_without_descriptors(estimator, path):
    images = IMAGES.copy()
    images[[2, 7]] = 128
    sets = SIFT(store=path).fit_transform(images)
    assert not sets.counts[[2, 7]].any()
    found = use_store(clone(estimator), path).fit_transform(sets)
    expected = clone(estimator).fit_transform(SIFT().fit_transform(images))
    np.testing.assert_allclose(found, expected, atol=1e-3)
    assert not found[[2, 7]].any()


# -------------------------------------------------------------------------------------- searches


@pytest.mark.parametrize("encoder", [ENCODERS[0], ENCODERS[4], ENCODERS[5], PATCHES[0]], ids=repr)
def test_a_search_learns_once_for_each_training_set(encoder, path, counts):
    describer = () if isinstance(encoder, PatchKMeans) else (SIFT(max_keypoints=25),)

    def search(where):
        pipeline = make_pipeline(*map(clone, describer), clone(encoder), LinearSVC(random_state=0))
        found = GridSearchCV(use_store(pipeline, where), {"linearsvc__C": [0.1, 1, 10]}, cv=3)
        return found.fit(IMAGES, Y)

    expected = search(None)
    counts()
    found = search(path)
    # three folds and all images: words of a fold encode its training and its test images
    assert counts() == (4, 4 * N)
    np.testing.assert_array_equal(
        found.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"]
    )
    search(path)
    assert counts() == (0, 0)


@pytest.mark.parametrize("estimator", [ENCODERS[0], ENCODERS[4], ENCODERS[5], PATCHES[0]], ids=repr)
def test_words_of_other_training_sets_share_no_rows(estimator, path, counts):
    X = training_set(estimator)
    n_rows = [0]
    for part in (X[:9], X[9:], X[3:12]):
        found = use_store(clone(estimator), path).fit(part)
        expected = clone(estimator).fit(part)
        counts()
        vectors = found.transform(X)
        if not isinstance(estimator, PatchKMeans):  # whose fit encodes, to standardise
            assert counts() == (0, N)
        np.testing.assert_allclose(vectors, expected.transform(X), atol=1e-3)
        n_rows.append(len(FeatureStore(path)))
        assert n_rows[-1] == n_rows[-2] + N + 1


def test_files_that_change_meanwhile_leave_nothing_wrong(path, tmp_path):
    grid = DenseSIFT(step=4, bin_sizes=(4,), store=path)
    bag = BagOfVisualWords(5, random_state=0, store=tmp_path / "words.sqlite")
    files = []
    for i, image in enumerate(IMAGES):
        files.append(tmp_path / f"{i}.png")
        Image.fromarray(image).save(files[-1])
    sets = grid.fit_transform(files)
    Image.fromarray(IMAGES[0, ::-1].copy()).save(files[0])
    os.unlink(path)  # what is looked at now is computed again, of another picture
    forget()
    of_other_files = bag.fit(sets).words_
    assert len(FeatureStore(tmp_path / "words.sqlite")) == 0
    bag.transform(sets)
    assert len(FeatureStore(tmp_path / "words.sqlite")) == N - 1
    Image.fromarray(IMAGES[0]).save(files[0])
    right = clone(bag).set_params(store=None).fit(clone(grid).fit_transform(files))
    again = clone(bag).fit(clone(grid).fit_transform(files))
    np.testing.assert_array_equal(again.words_, right.words_)
    assert (again.words_ != of_other_files).any()


def test_another_number_of_descriptors_is_refused(path, tmp_path):
    Image.fromarray(IMAGES[0]).save(tmp_path / "a.png")
    sets = SIFT(store=path).fit_transform([tmp_path / "a.png"])
    Image.fromarray(np.zeros_like(IMAGES[0])).save(tmp_path / "a.png")
    os.unlink(path)
    forget()
    with pytest.raises(ValueError, match=r"a\.png> has changed since it was described; transform"):
        sets.load()
