"""Noise has all that the images had which it takes the place of, but for what they show."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visionpipe import as_images
from visionpipe.leaks.noise import noise_in_place_of, other_classes

ROWS = np.array([1, 3])


def noise(X, folder=".", seed=0):
    return noise_in_place_of(X, ROWS, folder, np.random.default_rng(seed))


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float64", "float16", "bool"])
@pytest.mark.parametrize("shape", [(5, 40), (5, 8, 9), (5, 8, 9, 3)])
def test_shape_type_and_range_are_kept(dtype, shape):
    rng = np.random.default_rng(1)
    X = rng.integers(40, 90, size=shape)
    X = X > 65 if dtype == "bool" else (X / 100 if dtype.startswith("f") else X).astype(dtype)
    X = X.astype(dtype)
    before = X.copy()
    replaced = noise(X)
    assert replaced.dtype == X.dtype and replaced.shape == X.shape
    others = [0, 2, 4]
    assert (replaced[others] == X[others]).all() and (before == X).all()
    for row in ROWS:
        assert (replaced[row] != X[row]).mean() > 0.3
        assert replaced[row].min() >= X[row].min() and replaced[row].max() <= X[row].max()
        if dtype != "bool":
            assert np.ptp(replaced[row].astype(float)) > 0.8 * np.ptp(X[row].astype(float))
    assert (noise(X) == replaced).all() and (noise(X, seed=1)[ROWS] != replaced[ROWS]).any()


@pytest.mark.parametrize(
    ("value", "dtype", "highest"), [(7, np.uint8, 255), (7, np.int8, 127), (0.5, np.float32, 1)]
)
def test_images_of_one_colour_become_noise_too(value, dtype, highest):
    replaced = noise(np.full((5, 8, 8), value, dtype=dtype))
    assert (replaced[[0, 2, 4]] == value).all()
    for row in ROWS:
        assert replaced[row].min() >= 0 and 0.7 * highest < replaced[row].max() <= highest


def test_values_that_are_missing_do_not_count():
    X = np.ones((5, 6))
    X[1], X[1, 0], X[1, 1] = np.linspace(2, 3, 6), np.nan, np.inf
    X[3] = np.nan
    replaced = noise(X)
    assert np.isfinite(replaced).all()
    assert replaced[1].min() >= 2.4 and replaced[1].max() <= 3


def test_images_in_memory_keep_their_steps_and_their_order():
    array = np.random.default_rng(1).integers(256, size=(8, 6, 6), dtype=np.uint8)
    turned = as_images(array)[[7, 6, 5, 4, 3]].map(np.negative)
    replaced = noise(turned)
    assert len(replaced) == 5
    for i in range(5):
        assert (replaced[i] == turned[i]).all() == (i not in ROWS)


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(2)
    grey = rng.integers(100, 120, size=(6, 9), dtype=np.uint8)
    colour = rng.integers(30, 60, size=(299, 201, 3), dtype=np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6  # lies on its side
    paths = [tmp_path / f"{i}.png" for i in range(5)]
    for i, pixels in enumerate([grey, grey, colour, colour, grey]):
        Image.fromarray(pixels).save(paths[i], exif=turned if i == 3 else None)
    return paths


def test_files_of_noise_are_like_the_files(files, tmp_path):
    folder = tmp_path / "noise"
    folder.mkdir()
    replaced = noise(files, folder)
    assert all(isinstance(path, Path) for path in replaced)
    assert sorted(folder.iterdir()) == sorted(replaced[row] for row in ROWS)
    assert [replaced[i] for i in (0, 2, 4)] == [files[i] for i in (0, 2, 4)]
    old, new = as_images(files), as_images(replaced)
    for row, (lowest, highest) in zip(ROWS, [(100, 119), (30, 59)], strict=True):
        assert new[int(row)].shape == old[int(row)].shape and new[int(row)].dtype == np.uint8
        assert new[int(row)].min() >= lowest and new[int(row)].max() <= highest
        assert (new[int(row)] != old[int(row)]).mean() > 0.5
    assert new[3].shape == (201, 299, 3)
    # squares, so that noise can be compressed: at most 64 on the shorter side
    assert (new[3][:4, :4] == new[3][0, 0]).all() and replaced[3].stat().st_size < 40_000


def test_kinds_of_paths_are_kept(files, tmp_path):
    strings = [str(path) for path in files]
    assert all(type(path) is str for path in noise(strings, tmp_path))
    assert type(noise(tuple(strings), tmp_path)) is tuple
    array = noise(np.array(strings), tmp_path)
    assert array.dtype.kind == "U" and array[1] == str(tmp_path / "1.png")
    assert noise(np.array(files, dtype=object), tmp_path)[1] == tmp_path / "1.png"
    images = noise(as_images(files, max_pixels=60_100), tmp_path)
    assert images._max_pixels == 60_100 and images.reads_files


def test_files_beyond_the_limit_are_refused(files, tmp_path):
    with pytest.raises(ValueError, match="the limit is 100"):
        noise(as_images(files, max_pixels=100), tmp_path)


def test_nested_lists_stay_lists():
    X = [[0.0, 1.0], [2.0, 4.0], [0.0, 0.0], [5.0, 9.0], [1.0, 1.0]]
    replaced = noise(X)
    assert type(replaced[1]) is list and replaced[1] != X[1] and replaced[0] == X[0]
    assert X[1] == [2.0, 4.0]


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_labels_are_all_others_and_of_the_same_classes(n_classes):
    y = np.array([f"class {i % n_classes}" for i in range(200)], dtype=object)
    rows = np.arange(50, 200)
    replaced = other_classes(y, rows, np.random.default_rng(0))
    assert (replaced[rows] != y[rows]).all() and (replaced[:50] == y[:50]).all()
    assert set(replaced[rows]) == set(y) and replaced.dtype == y.dtype
