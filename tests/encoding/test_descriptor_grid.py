"""DescriptorGrid: the descriptors of an image in their order, and what it refuses."""

import numpy as np
import pytest
from bridges import EncodesRows
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from visionpipe import DenseSIFT, DescriptorGrid, Descriptors, FeatureStore, RootSIFT, load_faces

FACES = load_faces()


class DescriptorGridOfRows(EncodesRows, DescriptorGrid):
    pass


@parametrize_with_checks([DescriptorGridOfRows()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("per_batch", [1, 3, 1000])
def test_descriptors_lie_side_by_side(per_batch, monkeypatch):
    monkeypatch.setattr("visionpipe.encoding.descriptor_grid.IMAGES_PER_BATCH", per_batch)
    values = np.arange(7 * 2 * 3).reshape(14, 3) / 4
    sets = Descriptors(values, np.arange(0, 15, 2))
    grid = DescriptorGrid().fit(sets)
    vectors = grid.transform(sets)
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, values.reshape(7, 6))
    assert (grid.n_descriptors_, grid.descriptor_length_) == (2, 3)
    assert list(grid.get_feature_names_out()) == [f"descriptorgrid{i}" for i in range(6)]
    np.testing.assert_array_equal(grid.transform(list(values.reshape(7, 2, 3))), vectors)


def test_roots_and_stored_descriptors(tmp_path):
    options = {"step": 5, "bin_sizes": (4,)}
    dense = DenseSIFT(**options).fit_transform(FACES.images[:9])
    expected = np.stack([dense[i].ravel() for i in range(9)]).astype(float).reshape(9, -1, 128)
    expected = np.sqrt(expected / np.maximum(expected.sum(2, keepdims=True), 1e-9))
    store = FeatureStore(tmp_path / "store.sqlite")
    sift = RootSIFT(detector="dense", low_contrast="zero", threshold=0, store=store, **options)
    for _ in range(2):  # computed, then read
        vectors = make_pipeline(sift, DescriptorGrid()).fit_transform(FACES.images[:9])
        np.testing.assert_allclose(vectors, expected.reshape(9, -1), atol=1e-6)


def test_unequal_numbers_are_refused():
    values = np.ones((6, 3))
    with pytest.raises(ValueError, match=r"images with 1 and 2 and 3 descriptors; .* put Resize"):
        DescriptorGrid().fit(Descriptors(values, [0, 1, 3, 6]))
    with pytest.raises(ValueError, match="images with 0 descriptors"):
        DescriptorGrid().fit(Descriptors(values[:0], [0, 0]))
    grid = DescriptorGrid().fit(Descriptors(values, [0, 3, 6]))
    with pytest.raises(ValueError, match="with 3 descriptors of length 3 and got one with 2 of"):
        grid.transform(Descriptors(values[:5], [0, 3, 5]))
    with pytest.raises(ValueError, match="got one with 3 of length 2"):
        grid.transform(Descriptors(values[:, :2], [0, 3, 6]))
