"""Each image computed once: by searches, processes and estimators that share a store."""

import logging
import os
import sqlite3
import time

import numpy as np
import pytest
from bridges import CountingColorHistogram, CountingHOG
from PIL import Image
from skimage import data
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline, make_union
from sklearn.svm import LinearSVC
from stores import forget

from visionpipe import (
    HOG,
    LBP,
    SIFT,
    VLAD,
    BagOfVisualWords,
    ColorHistogram,
    DenseSIFT,
    Descriptors,
    Deskew,
    FeatureStore,
    FisherVector,
    Grayscale,
    ImageReadError,
    PatchKMeans,
    Pixels,
    Resize,
    RootSIFT,
    as_images,
    store,
)
from visionpipe.base import identity
from visionpipe.once import keys_of

N = 40
CS = np.logspace(-3, 1, 12)
PHOTOGRAPH = data.camera()[140:]


def pictures(n=N, height=24, width=24, channels=1):
    """uint8 images that are neither noise nor flat."""
    rng = np.random.default_rng(n + height)
    noise = rng.integers(0, 256, (n, height // 4 + 1, width // 4 + 1, channels), dtype=np.uint8)
    return noise.repeat(4, axis=1).repeat(4, axis=2)[:, :height, :width]


def crops(n, height, width):
    """Grey parts of a photograph with corners, for key points."""
    return np.stack([PHOTOGRAPH[i : i + height, 9 * i : 9 * i + width] for i in range(10, 10 + n)])


X, Y = pictures(), np.arange(N) % 2


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "features.sqlite")


class Log:
    """The file of estimators that count, and how many images they have computed since last time."""

    def __init__(self, path):
        self.path = str(path)

    def __call__(self):
        if not os.path.exists(self.path):
            return 0
        with open(self.path) as file:
            n = sum(map(int, file))
        os.remove(self.path)
        return n


@pytest.fixture
def log(tmp_path):
    return Log(tmp_path / "log")


def files_of(images, folder):
    paths = []
    for i, image in enumerate(images):
        paths.append(folder / f"{i}.png")
        Image.fromarray(np.squeeze(image)).save(paths[-1])
    return paths


# ------------------------------------------------------------------------------------- searches


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_grid_search_computes_each_image_once(path, log, n_jobs):
    def search(hog, y=Y, store=path):
        pipeline = make_pipeline(hog.set_params(store=store), LinearSVC(random_state=0))
        grid = {"linearsvc__C": CS}
        found = GridSearchCV(pipeline, grid, cv=5, return_train_score=True, n_jobs=n_jobs)
        return found.fit(X, y)

    found = search(CountingHOG(log.path))
    assert log() == N
    search(CountingHOG(log.path))
    assert log() == 0
    search(CountingHOG(log.path), y=1 - Y)
    assert log() == 0
    search(CountingHOG(log.path, orientations=8))
    assert log() == N
    expected = search(HOG(), store=None)
    for name in ("mean_test_score", "mean_train_score"):
        np.testing.assert_array_equal(found.cv_results_[name], expected.cv_results_[name])
    np.testing.assert_array_equal(found.decision_function(X), expected.decision_function(X))
    assert log() == 0


@pytest.mark.parametrize("kind", ["random", "halving", "scores"])
def test_other_searches_compute_each_image_once(path, log, kind):
    pipeline = make_pipeline(CountingHOG(log.path, store=path), LinearSVC(random_state=0))
    grid = {"linearsvc__C": CS}
    for expected in (N, 0):
        if kind == "random":
            RandomizedSearchCV(pipeline, grid, n_iter=4, random_state=0).fit(X, Y)
        elif kind == "halving":
            HalvingGridSearchCV(pipeline, grid, cv=2, random_state=0).fit(X, Y)
        else:
            cross_val_score(pipeline, X, Y, cv=4)
        assert log() == expected


def test_features_of_a_union_compute_each_image_once(path, log, tmp_path):
    other = Log(tmp_path / "other")
    union = make_union(
        CountingHOG(log.path, store=path), CountingColorHistogram(other.path, store=path)
    )
    for expected in (N, 0):
        GridSearchCV(make_pipeline(union, LinearSVC(random_state=0)), {"linearsvc__C": CS[:3]}).fit(
            X, Y
        )
        assert log() == other() == expected


def test_each_setting_computes_each_image_once(path, log):
    pipeline = make_pipeline(CountingHOG(log.path, store=path), LinearSVC(random_state=0))
    grid = {"countinghog__orientations": [4, 6], "linearsvc__C": CS[:3]}
    for expected in (2 * N, 0):
        GridSearchCV(pipeline, grid).fit(X, Y)
        assert log() == expected
    GridSearchCV(pipeline, {**grid, "countinghog__orientations": [4, 6, 8]}).fit(X, Y)
    assert log() == N


# ------------------------------------------------------------------- what makes an image the same


def test_steps_are_part_of_the_setting(path, log, monkeypatch):
    images = pictures(channels=3)

    every_steps = [
        (),
        (Resize(26),),
        (Resize(28),),
        (Resize(26, keep_aspect="crop"),),
        (Grayscale(),),
        (Deskew(),),
        (Grayscale(), Resize(26)),
        (Resize(26), Grayscale()),
    ]
    pipelines, expected = [], []
    for steps in every_steps:
        pipelines.append(make_pipeline(*steps, CountingHOG(log.path, store=path)))
        expected.append(make_pipeline(*steps, HOG()).fit_transform(images))
        np.testing.assert_array_equal(pipelines[-1].fit_transform(images), expected[-1])
        assert log() == N

    def resize(*_):
        raise AssertionError("resized what is in the store")

    monkeypatch.setattr("visionpipe.steps.resize", resize)
    for pipeline, wanted in zip(pipelines, expected, strict=True):
        np.testing.assert_array_equal(pipeline.transform(images), wanted)
    assert log() == 0


def test_what_a_step_does_in_another_version_is_computed_again(path, log, monkeypatch):
    pipeline = make_pipeline(Resize(26), CountingHOG(log.path, store=path))
    pipeline.fit_transform(X)
    assert log() == N
    monkeypatch.setattr("visionpipe.kernels.resize.VERSION", 2)
    pipeline.fit_transform(X)
    assert log() == N


def test_steps_without_identity_go_by_the_pixels_they_give(path, log):
    hog = CountingHOG(log.path, store=path)
    images = as_images(X)
    steps = [lambda p: p[:, ::-1], lambda p: p[:, :, ::-1], lambda p: np.flip(p, axis=1)]
    for step, expected in zip(steps, (N, N, 0), strict=True):
        found = hog.fit_transform(images.map(step))
        np.testing.assert_array_equal(found, HOG().fit_transform(step(X)))
        assert log() == expected


def test_content_counts_not_the_name_of_a_file(path, log, tmp_path):
    hog = CountingHOG(log.path, store=path)
    paths = files_of(X, tmp_path)
    (tmp_path / "copies").mkdir()
    copies = files_of(X, tmp_path / "copies")
    expected = HOG().fit_transform(X)
    for names, n in ((paths, N), (paths, 0), (copies, 0)):
        np.testing.assert_array_equal(hog.fit_transform(names), expected)
        assert log() == n
    np.testing.assert_array_equal(hog.fit_transform(copies[::-1]), expected[::-1])
    assert log() == 0
    Image.fromarray(np.squeeze(X[5])).save(paths[3])
    Image.fromarray(np.squeeze(255 - X[4])).save(paths[4])
    changed = X.copy()
    changed[3], changed[4] = X[5], 255 - X[4]
    np.testing.assert_array_equal(hog.fit_transform(paths), HOG().fit_transform(changed))
    assert log() == 1  # the other one is known under another name


def test_arrays_and_lists_of_arrays_share_rows(path, log):
    hog = CountingHOG(log.path, store=path)
    hog.fit_transform(X)
    assert log() == N
    for same in (X[..., 0], list(X), as_images(X)[::-1], X.copy(order="F"), [X[3, ..., 0], X[7]]):
        hog.fit_transform(same)
        assert log() == 0
    hog.fit_transform((X / 255).astype(np.float32))
    assert log() == N


def test_images_that_come_twice_are_computed_once(path, log, tmp_path):
    order = np.random.default_rng(0).integers(0, 8, 50)
    for images in (X[order], [files_of(X, tmp_path)[i] for i in order]):
        found = CountingHOG(log.path, store=path).fit_transform(images)
        np.testing.assert_array_equal(found, HOG().fit_transform(X[order]))
        assert log() == 8


def test_kernels_of_another_version_compute_again(path, log, monkeypatch):
    hog = CountingHOG(log.path, store=path)
    hog.fit_transform(X)
    assert log() == N
    for kernel, n in (("hog", N), ("color", N), ("lbp", 0)):
        monkeypatch.setattr(f"visionpipe.kernels.{kernel}.VERSION", 1000)
        hog.fit_transform(X)
        assert log() == n
    monkeypatch.undo()
    hog.fit_transform(X)
    assert log() == 0
    monkeypatch.setattr(CountingHOG, "_version", 1000)
    hog.fit_transform(X)
    assert log() == N


def test_decoders_of_another_version_compute_again(path, log, tmp_path, monkeypatch):
    hog, paths = CountingHOG(log.path, store=path), files_of(X, tmp_path)
    hog.fit_transform(paths)
    assert log() == N
    monkeypatch.setattr("visionpipe.decoding.VERSION", 1000)
    hog.fit_transform(paths)
    assert log() == N


def test_where_it_is_computed_and_kept_does_not_matter(path):
    found = {
        identity(HOG(device=device, store=where))
        for device in ("cpu", "auto")
        for where in (None, "auto", path)
    }
    assert len(found) == 1
    same = [HOG(pixels_per_cell=p, orientations=np.int64(9)) for p in ([8, 8], np.array((8, 8)))]
    assert {identity(hog) for hog in same} == found


# ---------------------------------------------------------------------- the same numbers as without

DESCRIBER = {"step": 6, "bin_sizes": (3, 4)}
EXACT = [HOG(), LBP(grid=(2, 2)), ColorHistogram(grid=(2, 2)), Pixels()]
EXACT += [SIFT(), RootSIFT(max_keypoints=9), SIFT(detector="sift")]
# a product of matrices may round differently for another number of rows
ROUNDED = [
    DenseSIFT(**DESCRIBER),
    RootSIFT(detector="dense", **DESCRIBER),
    PatchKMeans(4, patch_size=3, random_state=0),
    PatchKMeans(4, patch_size=3, dictionary="patches", standardize=False, random_state=0),
    make_pipeline(SIFT(), BagOfVisualWords(5, assignment="soft", pyramid=(1, 2), random_state=0)),
    make_pipeline(DenseSIFT(**DESCRIBER), VLAD(3, random_state=0)),
    make_pipeline(RootSIFT(), FisherVector(2, n_dimensions=4, xy=True, random_state=0)),
]
ONE_SIZE = (HOG, Pixels, PatchKMeans)


def rows_of(out):
    """What comes out of an estimator as one array for each image."""
    if not isinstance(out, Descriptors):
        return list(out)
    return np.split(np.hstack([out.values, out.frames]), out.offsets[1:-1])


def assert_rows(found, expected, exact=True):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        if exact:
            np.testing.assert_array_equal(a, b)
        elif a.max(initial=0) > 2:  # bytes of descriptors
            assert abs(a - b).max() <= 1 and (a != b).mean() < 1e-3
        else:
            np.testing.assert_allclose(a, b, atol=1e-2)


@pytest.mark.parametrize("kind", ["array", "list", "unequal", "files"])
@pytest.mark.parametrize("estimator", [*EXACT, *ROUNDED], ids=repr)
def test_numbers_are_those_without_a_store(estimator, kind, path, tmp_path):
    images = crops(24, 40, 48)
    if kind == "unequal":
        if isinstance(estimator, ONE_SIZE):
            pytest.skip("wants images of one size")
        images = [*images[:15], *crops(9, 36, 40)]
    images = {"list": list, "files": lambda x: files_of(x, tmp_path)}.get(kind, lambda x: x)(images)
    exact = any(estimator is one for one in EXACT)
    plain = clone(estimator).fit(images)
    expected = rows_of(plain.transform(images))

    stored = store.use_store(clone(estimator), path)
    cold = rows_of(stored.fit_transform(images))
    assert_rows(cold, expected, exact)
    n_rows = len(FeatureStore(path))
    for fitted in (stored, store.use_store(clone(estimator), path).fit(images)):
        forget()
        for _ in ("out of the file", "out of the memory"):
            assert_rows(rows_of(fitted.transform(images)), cold)
    order = np.random.default_rng(0).permutation(24)
    for key in (order, slice(3, 9), [5, 5, 0], np.arange(24) % 3 == 1, [7]):
        chosen = np.arange(24)[key]
        some = as_images(images)[chosen]
        assert_rows(rows_of(stored.transform(some)), [cold[i] for i in chosen])
    assert len(FeatureStore(path)) == n_rows > 0


def test_shape_of_the_first_image_comes_out_of_the_store(path):
    images = pictures(6, 24, 30, 3)
    for _ in ("computed", "read"):
        hog = HOG(store=path).fit(images)
        assert hog.image_shape_in_ == (24, 30, 3)
        assert all(type(size) is int for size in hog.image_shape_in_)
        assert len(hog.get_feature_names_out()) == hog.transform(images).shape[1]
        forget()


# ---------------------------------------------------------------------------------------- errors


def error_of(estimator, images):
    with pytest.raises(ValueError) as caught:
        estimator.fit_transform(images)
    return caught.value


def test_unequal_sizes_are_refused_as_without(path):
    wide, high = pictures(20, 32, 64), pictures(20, 64, 32)
    for images in (wide, high):
        HOG(store=path).fit_transform(images)  # vectors of the same length
    forget()
    mixed = [*wide, *high]
    message = str(error_of(HOG(), mixed))
    assert "unequal sizes" in message and "Resize" in message
    assert str(error_of(HOG(store=path), mixed)) == message
    with pytest.raises(ValueError, match=r"unequal sizes .*\(32, 64\) and \(64, 32\)"):
        HOG(store=path).fit(wide).transform(high)
    with pytest.raises(ValueError, match="unequal sizes"):
        HOG(store=path).transform(mixed)


def test_unreadable_files_are_refused_as_without(path, tmp_path):
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "folder.png").mkdir()
    good = files_of(X, tmp_path)
    for name in ("text.png", "folder.png", "missing.png"):
        paths = [*good, str(tmp_path / name)]
        for estimator in (HOG(), SIFT(), make_pipeline(Resize(20), ColorHistogram())):
            expected = error_of(estimator, paths)
            found = error_of(store.use_store(clone(estimator), path), paths)
            assert isinstance(found, ImageReadError) and type(found) is type(expected)
            assert found.path == expected.path


def test_errors_give_claims_up(path):
    with pytest.raises(ValueError, match="LBP got RGB images"):
        LBP(store=path).fit(pictures(channels=3))
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM claims").fetchone() == (0,)
    assert len(FeatureStore(path)) == 0


# ------------------------------------------------------------------------------ other processes


def test_others_take_over_from_a_killed_process(path, log, monkeypatch):
    monkeypatch.setattr("visionpipe.store.rows.LEASE_SECONDS", 0.5)
    hog = CountingHOG(log.path, store=path)
    keys = keys_of(as_images(X), identity(hog))
    began = time.monotonic()
    assert len(FeatureStore(path).claim(keys[:30], b"killed")) == 30
    found = hog.transform(X)
    assert time.monotonic() - began >= 0.5
    assert log() == N
    np.testing.assert_array_equal(found, HOG().transform(X))


def test_rows_that_others_compute_are_waited_for(path, log):
    hog = CountingHOG(log.path, store=path)
    keys = keys_of(as_images(X), identity(hog))
    values = {
        key: (np.array([24, 24, 1, 1, len(v)], np.int32).tobytes(), v.tobytes())
        for key, v in zip(keys, HOG().fit_transform(X), strict=True)
    }
    assert FeatureStore(path).claim(keys[5:15], b"other") == keys[5:15]
    pid = os.fork()
    if pid == 0:
        try:
            time.sleep(0.3)
            FeatureStore(path).put({key: values[key] for key in keys[5:15]})
        finally:
            os._exit(0)
    np.testing.assert_array_equal(hog.transform(X), HOG().transform(X))
    os.waitpid(pid, 0)
    assert log() == N - 10


class Overwrites(ColorHistogram):
    """Writes to the first file while it is at work."""

    path = None

    def _vectors(self, batch):
        if self.path:
            Image.fromarray(np.zeros((24, 24), np.uint8)).save(self.path)
        return super()._vectors(batch)


def test_files_that_change_meanwhile_are_not_kept(path, tmp_path, monkeypatch):
    paths = files_of(X, tmp_path)
    Overwrites.path = paths[0]
    try:
        found = Overwrites(store=path).transform(paths)
    finally:
        Overwrites.path = None
    np.testing.assert_array_equal(found, ColorHistogram().transform(X))
    assert len(FeatureStore(path)) == N - 1
    Image.fromarray(X[0, ..., 0]).save(paths[0])
    np.testing.assert_array_equal(Overwrites(store=path).transform(paths), found)
    assert len(FeatureStore(path)) == N


# ------------------------------------------------------------------------------ whether it is worth


class SlowHOG(CountingHOG):
    def _vectors(self, batch):
        time.sleep(0.01 * len(batch))
        return super()._vectors(batch)


@pytest.fixture
def auto(path, monkeypatch):
    monkeypatch.setenv("VISIONPIPE_STORE", path)
    monkeypatch.setattr("visionpipe.once._worth_storing", {})


@pytest.mark.usefixtures("auto")
def test_auto_keeps_what_is_slow_to_compute(path, log, caplog):
    hog = SlowHOG(log.path, store="auto")
    with caplog.at_level(logging.INFO, logger="visionpipe.once"):
        found = hog.fit_transform(X)
    np.testing.assert_array_equal(found, HOG().fit_transform(X))
    (message,) = caplog.messages
    assert f"kept in {path}" in message and "SlowHOG" in message
    assert len(FeatureStore(path)) == N
    log()
    np.testing.assert_array_equal(hog.transform(X), found)
    assert log() == 0 and len(caplog.messages) == 1


@pytest.mark.usefixtures("auto")
def test_auto_does_not_keep_what_is_as_fast_to_compute(path, caplog, monkeypatch):
    # of this process alone: others on its cores would make this or that look slow
    monkeypatch.setattr(time, "perf_counter", time.process_time)
    images = np.random.default_rng(0).integers(0, 256, (3000, 4, 4), dtype=np.uint8)
    pixels = Pixels(store="auto")
    with caplog.at_level(logging.INFO, logger="visionpipe.once"):
        for _ in range(2):
            np.testing.assert_array_equal(
                pixels.fit_transform(images), Pixels().fit_transform(images)
            )
    (message,) = caplog.messages
    assert message.endswith("computed again each time")
    assert len(FeatureStore(path)) <= 64


@pytest.mark.usefixtures("auto")
def test_auto_does_not_measure_a_few_images(path, log, caplog):
    with caplog.at_level(logging.INFO, logger="visionpipe.once"):
        SlowHOG(log.path, store="auto").fit_transform(X[:15])
        assert not caplog.messages and not os.path.exists(path)
        SlowHOG(log.path, store="auto").fit_transform(X[:16])
    assert len(caplog.messages) == 1
    assert len(FeatureStore(path)) == 16
