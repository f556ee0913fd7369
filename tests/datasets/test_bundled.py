"""The data sets that come with the dependencies."""

import numpy as np
import pytest

from visionpipe import load_digits_images, load_faces, load_textures


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
