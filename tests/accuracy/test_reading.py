"""The images of a row: official splits, drawn ones, and what a copy tells of itself."""

import numpy as np
import pytest
from PIL import Image
from sklearn.utils import Bunch

from benchmarks.accuracy import reading
from benchmarks.accuracy.reading import read
from benchmarks.accuracy.rows import ROWS, Row
from visionpipe import as_images


def few_photographs(*, data_home, subset):
    """What `fetch_cifar10` returns, with 6 and 3 images."""
    assert subset == "all"
    parts = np.repeat(["train", "test"], [6, 3])
    pixels = np.arange(9, dtype=np.uint8)[:, None, None] * np.ones((4, 4), np.uint8)
    archive = data_home / "cifar-10" / "cifar-10-binary.tar.xz"
    return Bunch(images=as_images(pixels), target=np.arange(9), parts=parts, filenames=[archive])


def test_official_split(tmp_path, monkeypatch):
    monkeypatch.setitem(reading.FETCH, "cifar-10", few_photographs)
    data = read(ROWS["cifar10_airbench"], tmp_path)
    train, test = data.split(0)
    assert train.tolist() == [*range(6)] and test.tolist() == [6, 7, 8]
    assert data.images[test][0][0, 0] == data.target[test][0] == 6
    assert data.n_recompressed == 0


def test_images_from_a_jpeg_copy_are_counted(tmp_path, monkeypatch):
    monkeypatch.setitem(reading.FETCH, "cifar-10", few_photographs)
    (tmp_path / "cifar-10").mkdir()
    note = "# images from a JPEG copy; split index label\ntrain 3 3\ntest 1 7\n"
    (tmp_path / "cifar-10" / "recompressed-images.txt").write_text(note)
    assert read(ROWS["cifar10_airbench"], tmp_path).n_recompressed == 2


@pytest.fixture
def folder(tmp_path):
    for label in "ab":
        (tmp_path / "caltech-16" / label).mkdir(parents=True)
        for i in range(5):
            Image.new("L", (4, 4), i).save(tmp_path / "caltech-16" / label / f"{i}.png")
    return tmp_path


def test_draws_of_a_folder(folder, monkeypatch):
    row = Row("Few", "caltech-16", "hog_svm", per_class=2)
    monkeypatch.setenv("VISIONPIPE_DATA", str(folder))
    for data in (read(row, folder), read(row, None)):
        splits = [data.split(seed) for seed in (0, 0, 1)]
        for train, test in splits:
            assert np.bincount(data.target[train]).tolist() == [2, 2]
            assert sorted([*train, *test]) == [*range(10)]
        assert (splits[0][0] == splits[1][0]).all() and (splits[0][0] != splits[2][0]).any()


def test_too_few_images(folder):
    with pytest.raises(ValueError, match="a class of 5 images; wanted 5 to train on, and others"):
        read(Row("Few", "caltech-16", "hog_svm", per_class=5), folder)
    with pytest.raises((ValueError, OSError), match="nowhere"):
        read(ROWS["caltech16"], folder / "nowhere")
