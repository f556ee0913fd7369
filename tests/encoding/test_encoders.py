"""Encoders against slow textbook versions, scikit-image, and their own promises."""

import pickle

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from skimage.feature import fisher_vector as skimage_fisher_vector
from sklearn.base import clone
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_limits

from visionpipe import (
    SIFT,
    VLAD,
    BagOfVisualWords,
    DenseSIFT,
    Descriptors,
    FisherVector,
    RootSIFT,
    load_faces,
)
from visionpipe.encoding.pyramid import SpatialPyramid

RNG = np.random.default_rng(0)
D, N_WORDS, N_NEAREST = 12, 9, 3
COUNTS = [30, 0, 1, 55, 12, 40]
SIZE = (30, 50)


def sets_of(counts, seed=0):
    """Descriptors in two rough heaps, at places anywhere in the images."""
    rng = np.random.default_rng(seed)
    n = sum(counts)
    values = rng.random((n, D)) + (rng.random((n, 1)) > 0.5)
    frames = np.column_stack([rng.random((n, 2)) * SIZE[::-1] - 0.5, np.ones(n), np.zeros(n)])
    offsets = np.concatenate([[0], np.cumsum(counts)])
    return Descriptors(values, offsets, frames=frames, image_sizes=[SIZE] * len(counts))


SETS = sets_of(COUNTS)


# --------------------------------------------------------------------------- textbook versions


def distances(x, words):
    return np.array([np.linalg.norm(x - word) for word in words.astype(np.float64)])


def hard(xs, words):
    code = np.zeros(len(words))
    for x in xs:
        code[distances(x, words).argmin()] += 1
    return code


def soft(xs, words, sigma):
    code = np.zeros(len(words))
    for x in xs:
        d = distances(x, words)
        nearest = d.argsort()[:N_NEAREST]
        weights = np.exp(-(d[nearest] ** 2) / (2 * sigma**2))
        code[nearest] += weights / weights.sum()
    return code


def triangle(xs, words):
    code = np.zeros(len(words))
    for x in xs:
        d = distances(x, words)
        code += np.maximum(0, d.mean() - d)
    return code


def llc(xs, words):
    code = np.zeros(len(words))
    for x in xs:
        nearest = distances(x, words).argsort()[:N_NEAREST]
        shifted = words[nearest].astype(np.float64) - x
        covariance = shifted @ shifted.T
        covariance += 1e-4 * np.trace(covariance) * np.eye(N_NEAREST)
        weights = np.linalg.solve(covariance, np.ones(N_NEAREST))
        full = np.zeros(len(words))
        full[nearest] = weights / weights.sum()
        code = np.maximum(code, full)
    return code


def vlad(xs, words):
    code = np.zeros(words.shape)
    for x in xs:
        nearest = distances(x, words).argmin()
        code[nearest] += x - words[nearest]
    return code


def fisher(xs, weights, means, variances):
    u, v = np.zeros(means.shape), np.zeros(means.shape)
    for x in xs.astype(np.float64):
        likelihoods = [
            w * multivariate_normal.pdf(x, m, np.diag(s))
            for w, m, s in zip(weights, means, variances, strict=True)
        ]
        q = np.array(likelihoods) / sum(likelihoods)
        for k in range(len(weights)):
            z = (x - means[k]) / np.sqrt(variances[k])
            u[k] += q[k] * z / np.sqrt(weights[k])
            v[k] += q[k] * (z**2 - 1) / np.sqrt(2 * weights[k])
    return np.concatenate([u.ravel(), v.ravel()]) / max(len(xs), 1)


def cells_of(sets, i, grids):
    """Descriptors of image i in each cell of each grid, one by one."""
    rows = slice(*sets.offsets[i : i + 2])
    height, width = sets.image_sizes[i]
    for n_rows, n_columns in grids:
        for row in range(n_rows):
            for column in range(n_columns):
                inside = [
                    value
                    for value, frame in zip(sets[i], sets.frames[rows], strict=True)
                    if int((frame[1] + 0.5) / height * n_rows) == row
                    and int((frame[0] + 0.5) / width * n_columns) == column
                ]
                yield np.array(inside).reshape(-1, sets.n_features)


def unit(x):
    norm = np.linalg.norm(x)
    return x / norm if norm else x


def signed_root(x):
    return np.sign(x) * np.sqrt(abs(x))


def assert_encodes(encoder, code, grids=((1, 1),), atol=2e-5):
    """The encoder gives code(descriptors of a cell), cell by cell."""
    found = encoder.transform(SETS)
    assert found.dtype == np.float32
    for i, vector in enumerate(found):
        expected = np.concatenate([code(xs).ravel() for xs in cells_of(SETS, i, grids)])
        np.testing.assert_allclose(vector, expected, atol=atol)


PYRAMIDS = [
    ((1,), [(1, 1)]),
    ((1, 2, (3, 1)), [(1, 1), (2, 2), (3, 1)]),
    ((2, 4), [(2, 2), (4, 4)]),
]
pyramids = pytest.mark.parametrize(("pyramid", "grids"), PYRAMIDS, ids=str)


@pyramids
@pytest.mark.parametrize("assignment", ["hard", "soft", "triangle", "llc"])
def test_bags_equal_the_textbook(assignment, pyramid, grids):
    bag = BagOfVisualWords(
        N_WORDS, assignment=assignment, normalize=None, pyramid=pyramid,
        n_nearest=N_NEAREST, random_state=0,
    ).fit(SETS)  # fmt: skip
    assert bag.words_.shape == (N_WORDS, D)
    code = {"hard": hard, "triangle": triangle, "llc": llc}.get(assignment)
    if assignment == "soft":
        nearest = [distances(x, bag.words_).min() for x in SETS.values]
        assert bag.sigma_ == pytest.approx(np.sqrt(np.mean(np.square(nearest))), rel=1e-4)
        assert_encodes(bag, lambda xs: soft(xs, bag.words_, bag.sigma_), grids)
    else:
        assert_encodes(bag, lambda xs: code(xs, bag.words_), grids, atol=2e-4)


def test_weighting_and_norms():
    bag = BagOfVisualWords(N_WORDS, normalize=None, pyramid=(1, 2), random_state=0).fit(SETS)
    counts = bag.transform(SETS)
    present = (counts[:, :N_WORDS] > 0).sum(axis=0)
    idf = np.log(len(COUNTS) / present)
    weighted = counts * np.tile(idf, 5)
    total = np.maximum(abs(weighted).sum(axis=1, keepdims=True), 1e-30)
    norm = np.maximum(np.linalg.norm(weighted, axis=1, keepdims=True), 1e-30)
    expected = {None: weighted, "l1": weighted / total, "l2": weighted / norm}
    expected["hellinger"] = np.sqrt(weighted / total)
    for normalize, wanted in expected.items():
        bag.set_params(weighting="tfidf", normalize=normalize).fit(SETS)
        np.testing.assert_allclose(bag.idf_, idf, rtol=1e-6)
        np.testing.assert_allclose(bag.transform(SETS), wanted, atol=1e-6)


@pyramids
def test_vlad_equals_the_textbook(pyramid, grids):
    encoder = VLAD(
        N_WORDS, power=False, intra=False, normalize=False, pyramid=pyramid, random_state=0
    ).fit(SETS)
    assert_encodes(encoder, lambda xs: vlad(xs, encoder.words_), grids, atol=1e-4)
    encoder.set_params(power=True)
    assert_encodes(encoder, lambda xs: signed_root(vlad(xs, encoder.words_)), grids, atol=2e-3)
    encoder.set_params(power=False, intra=True)
    intra = lambda xs: np.array([unit(part) for part in vlad(xs, encoder.words_)])  # noqa: E731
    assert_encodes(encoder, intra, grids, atol=1e-4)
    encoder.set_params(normalize=True)
    raw = [
        np.concatenate([unit(intra(c).ravel()) for c in cells_of(SETS, i, grids)]) for i in (0, 3)
    ]
    np.testing.assert_allclose(
        encoder.transform(SETS)[[0, 3]], [unit(vector) for vector in raw], atol=1e-5
    )


@pyramids
def test_fisher_equals_the_textbook(pyramid, grids):
    encoder = FisherVector(4, improved=False, pyramid=pyramid, random_state=0).fit(SETS)
    mixture = encoder.weights_, encoder.means_, encoder.variances_
    assert encoder.weights_.sum() == pytest.approx(1) and (encoder.variances_ > 0).all()
    assert_encodes(encoder, lambda xs: fisher(xs, *mixture), grids, atol=1e-4)
    improved = encoder.set_params(improved=True).transform(SETS)
    for i in (0, 3):
        cells = [unit(signed_root(fisher(xs, *mixture))) for xs in cells_of(SETS, i, grids)]
        np.testing.assert_allclose(improved[i], unit(np.concatenate(cells)), atol=2e-3)


def test_fisher_equals_scikit_image():
    encoder = FisherVector(4, improved=False, random_state=0).fit(SETS)
    mixture = GaussianMixture(4, covariance_type="diag")
    mixture.weights_, mixture.means_, mixture.covariances_ = (
        array.astype(np.float64) for array in (encoder.weights_, encoder.means_, encoder.variances_)
    )
    mixture.precisions_cholesky_ = 1 / np.sqrt(mixture.covariances_)
    for i in (0, 3, 5):
        found = encoder.transform(SETS[i : i + 1])[0]
        theirs = skimage_fisher_vector(SETS[i].astype(np.float64), mixture, improved=False)
        by_mean, by_deviation = np.split(theirs[4:], 2)
        np.testing.assert_allclose(found, np.concatenate([by_mean, -by_deviation]), atol=1e-4)


def test_fisher_projects_and_appends_positions():
    encoder = FisherVector(3, n_dimensions=5, xy=True, improved=False, random_state=0).fit(SETS)
    assert encoder.means_.shape == (3, 7) and encoder.pca_components_.shape == (5, D)
    np.testing.assert_allclose(
        encoder.pca_components_ @ encoder.pca_components_.T, np.eye(5), atol=1e-5
    )
    for i in (0, 3):
        rows = np.arange(*SETS.offsets[i : i + 2])
        projected = (SETS[i] - encoder.pca_mean_) @ encoder.pca_components_.T
        xs = np.column_stack([projected, SETS.positions(rows) - 0.5])
        expected = fisher(xs, encoder.weights_, encoder.means_, encoder.variances_)
        np.testing.assert_allclose(encoder.transform(SETS)[i], expected, atol=1e-4)


def test_the_mixture_fits_as_well_as_scikit_learns():
    sets = sets_of([500, 700, 300])
    encoder = FisherVector(6, random_state=0).fit(sets)
    theirs = GaussianMixture(6, covariance_type="diag", random_state=0, n_init=3).fit(sets.values)
    ours = GaussianMixture(6, covariance_type="diag")
    ours.weights_, ours.means_, ours.covariances_ = (
        array.astype(np.float64) for array in (encoder.weights_, encoder.means_, encoder.variances_)
    )
    ours.precisions_cholesky_ = 1 / np.sqrt(ours.covariances_)
    assert ours.score(sets.values) > theirs.score(sets.values) - 0.2


# ------------------------------------------------------------------------------------- pyramids


@pytest.mark.parametrize(
    "encoder",
    [
        BagOfVisualWords(N_WORDS, normalize=None),
        BagOfVisualWords(N_WORDS, assignment="soft", normalize=None),
        BagOfVisualWords(N_WORDS, assignment="triangle", normalize=None),
        VLAD(N_WORDS, power=False, intra=False, normalize=False),
    ],
    ids=repr,
)
def test_a_parent_is_the_sum_of_its_children(encoder):
    encoder = clone(encoder).set_params(pyramid=(1, 2, 4), random_state=0)
    vectors = encoder.fit(SETS).transform(SETS).reshape(len(COUNTS), 21, -1)
    parents, children = vectors[:, 1:5], vectors[:, 5:].reshape(len(COUNTS), 4, 4, -1)
    np.testing.assert_allclose(vectors[:, 0], parents.sum(axis=1), rtol=1e-5, atol=1e-4)
    for row in (0, 1):
        for column in (0, 1):
            inside = children[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            np.testing.assert_allclose(
                parents[:, 2 * row + column], inside.sum(axis=(1, 2)), rtol=1e-5, atol=1e-4
            )


def test_tiles_of_cells():
    pyramid = SpatialPyramid([(1, 1), (2, 3), (4, 1)])
    assert (pyramid.n_cells, pyramid.n_tiles) == (11, 12)
    members = pyramid.members.numpy()
    assert members[0].all() and (members[1:7].sum(axis=0) == 1).all()
    assert (members[7:].sum(axis=0) == 1).all()
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    assert pyramid.tiles(corners).tolist() == [0, 2, 9, 11]


def test_pyramids_need_frames():
    plain = [np.array(one) for one in SETS]
    bag = BagOfVisualWords(N_WORDS, random_state=0)
    expected = bag.fit(SETS).transform(SETS)
    np.testing.assert_array_equal(bag.fit(plain).transform(plain), expected)
    with pytest.raises(ValueError, match="no frames and image_sizes"):
        bag.set_params(pyramid=(1, 2)).fit(plain).transform(plain)
    with pytest.raises(ValueError, match="no frames and image_sizes"):
        FisherVector(2, xy=True).fit(plain)


# ----------------------------------------------------------------------------- the house's own

EVERY = [
    BagOfVisualWords(N_WORDS, pyramid=(1, 2)),
    BagOfVisualWords(N_WORDS, assignment="soft", weighting="tfidf", pyramid=(1, 2)),
    BagOfVisualWords(N_WORDS, assignment="triangle"),
    BagOfVisualWords(N_WORDS, assignment="llc", pyramid=(1, 2)),
    VLAD(N_WORDS, pyramid=(1, 2)),
    FisherVector(4, pyramid=(1, 2)),
    FisherVector(4, n_dimensions=5, xy=True),
]
every = pytest.mark.parametrize(
    "encoder", [clone(e).set_params(random_state=0) for e in EVERY], ids=repr
)


@every
def test_same_seed_same_bits(encoder):
    expected = clone(encoder).fit(SETS).transform(SETS)
    np.testing.assert_array_equal(clone(encoder).fit(SETS).transform(SETS), expected)
    other = clone(encoder).set_params(random_state=1).fit(SETS).transform(SETS)
    assert (other != expected).any()


@every
def test_the_number_of_threads_decides_nothing(encoder):
    sets = sets_of([3000, 2500])
    results = []
    for limit in (1, 2):
        with threadpool_limits(limit):
            results.append(clone(encoder).fit(sets).transform(sets))
    np.testing.assert_array_equal(*results)


@every
def test_batches_threads_and_order_do_not_matter(encoder, monkeypatch):
    encoder.fit(SETS)
    expected = encoder.transform(SETS)
    order = [3, 3, 0, 2, 1]
    np.testing.assert_allclose(encoder.transform(SETS[order]), expected[order], atol=1e-4)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    for rows, numbers in ((1, 1 << 21), (50, 1 << 21), (1 << 13, 1)):
        monkeypatch.setattr("visionpipe.encoding.encoder.DESCRIPTORS_PER_BATCH", rows)
        monkeypatch.setattr("visionpipe.encoding.encoder.NUMBERS_PER_BATCH", numbers)
        np.testing.assert_allclose(encoder.transform(SETS), expected, atol=1e-4)


@every
def test_images_without_descriptors_give_zeros(encoder):
    found = encoder.fit(SETS).transform(SETS)
    assert not found[1].any() and np.isfinite(found).all() and found[[0, 2, 3]].any(axis=1).all()
    nothing = [None, np.empty((0, D))]
    if encoder.get_params().get("pyramid") == (1,) and not encoder.get_params().get("xy"):
        assert encoder.transform(nothing).tolist() == [[0] * found.shape[1]] * 2
    assert not encoder.transform(SETS[1:2]).any()


@every
def test_only_a_bounded_sample_is_learned_from(encoder):
    small = clone(encoder).set_params(n_samples=60).fit(SETS)
    large = clone(encoder).set_params(n_samples=10**6).fit(SETS)
    assert (small.transform(SETS) != large.transform(SETS)).any()


@every
def test_pickles_and_names(encoder):
    encoder.fit(SETS)
    expected = encoder.transform(SETS)
    copy = pickle.loads(pickle.dumps(encoder))
    np.testing.assert_array_equal(copy.transform(SETS), expected)
    names = encoder.get_feature_names_out()
    assert len(names) == expected.shape[1] and names[3] == f"{type(encoder).__name__.lower()}3"
    frame = encoder.set_output(transform="pandas").transform(SETS)
    assert list(frame.columns) == list(names)
    encoder.set_output(transform="default")


@every
def test_blank_descriptors(encoder):
    """All alike: no NaN anywhere."""
    blank = Descriptors(
        np.zeros((60, D)), [0, 20, 60], frames=np.zeros((60, 4)), image_sizes=[SIZE] * 2
    )
    assert np.isfinite(clone(encoder).fit(blank).transform(blank)).all()
    assert np.isfinite(encoder.fit(SETS).transform(blank)).all()


@pytest.mark.filterwarnings("error")  # torch warns of arrays that are read-only
@every
def test_memory_maps_and_root_descriptors(encoder, tmp_path):
    import joblib

    values = RNG.integers(0, 256, (100, D), dtype=np.uint8)
    frames = np.column_stack([RNG.random((100, 2)) * 30, np.ones(100), np.zeros(100)])
    root = Descriptors(values, [0, 40, 100], frames=frames, image_sizes=[(30, 30)] * 2, root=True)
    expected = clone(encoder).fit(root).transform(root)
    joblib.dump(root, tmp_path / "root.joblib")
    mapped = joblib.load(tmp_path / "root.joblib", mmap_mode="r")
    fitted = clone(encoder).fit(mapped)
    np.testing.assert_array_equal(fitted.transform(mapped), expected)
    joblib.dump(fitted, tmp_path / "encoder.joblib")
    fitted = joblib.load(tmp_path / "encoder.joblib", mmap_mode="r")
    np.testing.assert_array_equal(fitted.transform(mapped), expected)
    floats = Descriptors(root.values, root.offsets, frames=frames, image_sizes=root.image_sizes)
    joblib.dump(floats, tmp_path / "floats.joblib")
    floats = joblib.load(tmp_path / "floats.joblib", mmap_mode="r")
    np.testing.assert_allclose(clone(encoder).fit(floats).transform(floats), expected, atol=1e-5)


@every
def test_bad_descriptors(encoder):
    name = type(encoder).__name__
    encoder.fit(SETS)
    with pytest.raises(ValueError, match=f"{name} has learned from .* length 12 and .* length 7"):
        encoder.transform([np.zeros((3, 7))])
    with pytest.raises(ValueError, match=f"{name}: descriptor 1 of image 0 .* NaN"):
        encoder.transform([np.array([[1.0] * D, [np.nan] * D])])
    with pytest.raises(ValueError, match=f"{name} got no descriptors in 2 images"):
        clone(encoder).fit([np.empty((0, D)), None])
    few = sets_of([1, 1])
    wanted = encoder.get_params().get("n_words", encoder.get_params().get("n_gaussians"))
    with pytest.raises(ValueError, match=rf"{name}.* 2 descriptors .*{wanted} words|take fewer"):
        clone(encoder).fit(few)


@pytest.mark.parametrize(
    ("describer", "message"),
    [
        (
            SIFT(threshold=30),
            r"SIFT\(detector='fast', threshold=30\) found none; lower .* threshold",
        ),
        (RootSIFT(detector="sift"), r"RootSIFT\(detector='sift', threshold=0.04\) found none"),
        (DenseSIFT(bin_sizes=(20, 30)), "needs images of at least 76x76 pixels, found none"),
    ],
)
def test_no_key_points_in_the_training_set(describer, message):
    blank = np.full((4, 40, 40), 128, dtype=np.uint8)
    with pytest.raises(ValueError, match=f"BagOfVisualWords got no descriptors in 4 .*{message}"):
        make_pipeline(describer, BagOfVisualWords(5)).fit(blank)


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (BagOfVisualWords(0), "n_words must be a positive int"),
        (BagOfVisualWords(assignment="fuzzy"), "assignment must be one of 'hard', 'soft'"),
        (BagOfVisualWords(weighting="idf"), "weighting must be one of None, 'tfidf'"),
        (BagOfVisualWords(normalize="max"), "normalize must be one of None, 'l1'"),
        (BagOfVisualWords(sigma=0.0), "sigma must be None or a positive number"),
        (BagOfVisualWords(n_samples=0), "n_samples must be a positive int"),
        (BagOfVisualWords(pyramid=2), "pyramid must be a tuple of grids"),
        (BagOfVisualWords(pyramid=()), "pyramid must be a tuple of grids"),
        (VLAD(pyramid=(1, (2, 0))), "pyramid must be a tuple of grids"),
        (VLAD(power=2), "power must be one of True, False"),
        (FisherVector(pyramid=("a",)), "pyramid must be a tuple of grids"),
        (FisherVector(n_gaussians=-1), "n_gaussians must be a positive int"),
        (FisherVector(2, n_dimensions=13), r"n_dimensions=13\) got 138 descriptors of length 12"),
        (FisherVector(device="gpu"), "device='gpu' is unknown"),
    ],
)
def test_bad_parameters_are_named(encoder, message):
    with pytest.raises(ValueError, match=message):
        encoder.fit(SETS)


FACES = load_faces()


def test_in_a_grid_search():
    pipeline = make_pipeline(DenseSIFT(step=3, bin_sizes=(3,)), BagOfVisualWords(20), LinearSVC())
    grid = {
        "bagofvisualwords": [BagOfVisualWords(20, random_state=0), VLAD(4, random_state=0)],
        "densesift__step": [3, 6],
        "bagofvisualwords__pyramid": [(1,), (1, 2)],
    }
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2).fit(FACES.images, FACES.target)
    assert search.best_score_ > 0.85 and len(search.cv_results_["params"]) == 8


def test_words_are_learned_in_the_training_fold_only():
    describer = DenseSIFT(step=6, bin_sizes=(3,))
    bag = BagOfVisualWords(10, weighting="tfidf", random_state=0)
    train, test = np.arange(0, 200, 2), np.arange(1, 200, 2)
    clean = make_pipeline(describer, bag, LinearSVC()).fit(FACES.images[train], FACES.target[train])
    seen = []

    class Spy(BagOfVisualWords):
        def fit(self, X, y=None):
            super().fit(X, y)
            seen.append(self.words_)
            return self

    images = np.array([FACES.images[i] for i in range(200)])
    images[test] = 1  # the held-out half becomes something else altogether
    spying = make_pipeline(describer, Spy(**bag.get_params()), LinearSVC())
    cross_val_score(spying, images, FACES.target, cv=[(train, test)])
    np.testing.assert_array_equal(seen[0], clean[1].words_)
