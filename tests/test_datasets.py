"""The data sets that come with the dependencies, and folders of images."""

import numpy as np
import pytest
from PIL import Image

from visionpipe import load_digits_images, load_faces, load_images, load_textures
from visionpipe.datasets import load_data


@pytest.mark.parametrize(
    ("loader", "n", "shape", "classes"),
    [
        (load_digits_images, 1797, (8, 8), 10),
        (load_faces, 200, (25, 25), 2),
        (load_textures, 432, (64, 64), 3),
    ],
)
def test_embedded_sets(loader, n, shape, classes):
    data = loader()
    assert len(data.images) == len(data.target) == n
    assert data.images[n - 1].shape == shape
    assert sorted(set(data.target)) == list(range(classes)) == list(range(len(data.target_names)))
    assert data.DESCR


def test_textures_of_one_region_share_a_group_and_regions_share_no_pixels():
    from skimage import data as pictures

    data = load_textures()
    assert np.bincount(data.groups).tolist() == [9] * 48
    grass = pictures.grass()
    chosen = np.flatnonzero(data.groups == 16 + 5)  # the second texture's region (1, 1)
    assert set(data.target[chosen]) == {1}
    np.testing.assert_array_equal(data.images[chosen[0]], grass[128:192, 128:192])
    np.testing.assert_array_equal(data.images[chosen[8]], grass[192:256, 192:256])


def test_load_data_by_name_and_folder(tmp_path, monkeypatch):
    assert len(load_data("faces").images) == 200
    for name in ("a", "b"):
        (tmp_path / "digits" / name).mkdir(parents=True)
        Image.new("L", (4, 4)).save(tmp_path / "digits" / name / "x.png")
    assert len(load_data(tmp_path / "digits").images) == 2
    monkeypatch.chdir(tmp_path)
    assert len(load_data("./digits").images) == 2
    with pytest.warns(UserWarning, match=r"write \./digits"):
        assert len(load_data("digits").images) == 1797


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="no data set and no folder 'cats'.*digits, faces, textur"):
        load_data("cats")


def test_load_images(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    for name in ("b/2.png", "b/deeper/1.PNG", "a/x.jpg", "a/.hidden.png", "a/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rgb).save(path) if path.suffix != ".txt" else path.touch()
    (tmp_path / ".cache").mkdir()
    (tmp_path / "loose.png").touch()
    data = load_images(tmp_path)
    assert data.target_names.tolist() == ["a", "b"]
    assert data.target.tolist() == [0, 1, 1]
    names = [str(tmp_path / name) for name in ("a/x.jpg", "b/2.png", "b/deeper/1.PNG")]
    assert data.filenames.tolist() == names
    np.testing.assert_array_equal(data.images[2], rgb)


def test_load_images_refuses(tmp_path):
    with pytest.raises(ValueError, match="does not exist"):
        load_images(tmp_path / "missing")
    with pytest.raises(ValueError, match="no sub-folders"):
        load_images(tmp_path)
    (tmp_path / "cats").mkdir()
    with pytest.raises(ValueError, match="class folder .*cats holds no images"):
        load_images(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is a file"):
        load_images(tmp_path / "file")
