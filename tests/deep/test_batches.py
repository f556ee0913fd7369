"""The data path: images to one tensor, its statistics, and batches cut from it."""

import numpy as np
import pytest
import torch
from PIL import Image
from skorch.dataset import Dataset
from torch.utils.data import Subset

from visionpipe.deep.data.batches import Batches
from visionpipe.deep.data.pixels import pixel_statistics, read_all
from visionpipe.images import as_images


def read(X):
    return read_all(as_images(X), "Somebody")


def noise(*shape, dtype=np.uint8):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return pixels if dtype == np.uint8 else (pixels / 255).astype(dtype)


# ------------------------------------------------------------------------------------- read_all


@pytest.mark.parametrize("n_channels", [1, 3])
def test_bytes_stay_bytes_and_keep_their_places(n_channels):
    images = noise(300, 5, 7, n_channels)
    tensor = read(images)
    assert tensor.dtype == torch.uint8 and tensor.is_contiguous()
    np.testing.assert_array_equal(tensor.permute(0, 2, 3, 1), images)


def test_floats_become_float32():
    images = noise(4, 5, 7, 3, dtype=np.float64)
    tensor = read(images)
    assert tensor.dtype == torch.float32
    np.testing.assert_array_equal(tensor.permute(0, 2, 3, 1), images.astype(np.float32))


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [1, 2, 0, 3]])
def test_grey_and_rgb_bytes_and_floats_mixed(order):
    grey, rgb = noise(5, 7), noise(5, 7, 3)
    kinds = [grey, rgb, (grey / 255).astype(np.float32), rgb / 255]
    expected = [np.repeat(grey[..., None], 3, 2), rgb] * 2
    tensor = read([kinds[i] for i in order])
    assert tensor.shape == (4, 3, 5, 7) and tensor.dtype == torch.float32
    for row, i in zip(tensor, order, strict=True):
        np.testing.assert_array_equal(row.permute(1, 2, 0), (expected[i] / 255).astype(np.float32))


def test_paths(tmp_path):
    images = noise(3, 6, 8, 3)
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path, image in zip(paths, images, strict=True):
        Image.fromarray(image).save(path)
    np.testing.assert_array_equal(read(paths).permute(0, 2, 3, 1), images)


def test_unequal_sizes():
    message = (
        r"^Somebody got images of unequal sizes .*\(5, 7\) and \(7, 5\); put Resize\(\(h, w\)\)"
    )
    with pytest.raises(ValueError, match=message):
        read([noise(5, 7), noise(7, 5)])


# ------------------------------------------------------------------------------- statistics


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("rows", [None, np.array([7, 3, 2])])
def test_statistics_equal_numpy(dtype, rows):
    images = noise(11, 5, 7, 3, dtype=dtype)
    mean, std = pixel_statistics(read(images), rows, chunk=4)
    pixels = images if rows is None else images[rows]
    pixels = pixels / (255 if dtype == np.uint8 else 1)
    np.testing.assert_allclose(mean, pixels.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(std, pixels.std((0, 1, 2)), rtol=1e-6)
    assert mean.dtype == std.dtype == np.float32 and mean.shape == (3,)


@pytest.mark.parametrize("value", [0.0, 0.1, 0.3, 1.0])
def test_a_constant_channel_has_deviation_one(value):
    images = noise(50, 9, 9, 3, dtype=np.float32)
    images[..., 1] = value
    _, std = pixel_statistics(read(images))
    assert std[1] == 1 and 0.2 < std[0] < 0.4


def test_a_single_grey_level_of_difference_counts():
    images = np.zeros((100, 20, 20), dtype=np.uint8)
    images[0, 0, 0] = 1
    np.testing.assert_allclose(pixel_statistics(read(images))[1], [images.std() / 255], rtol=1e-3)


# -------------------------------------------------------------------------------- Batches


class NoSingleSamples(Dataset):
    def __getitem__(self, i):
        raise AssertionError("somebody fetched a single sample")


def data_set(n):
    X = torch.arange(n, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)
    return NoSingleSamples(X, torch.arange(n))


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(("n", "batch_size"), [(10, 3), (9, 3), (2, 5), (1, 5), (7, 1), (5, 2)])
def test_every_image_comes_once_with_its_label(n, batch_size, shuffle):
    batches = Batches(data_set(n), batch_size, shuffle)
    seen = []
    for images, labels in batches:
        assert images[:, 0, 0, 0].tolist() == labels.tolist()
        seen.append(labels)
    assert len(seen) == len(batches)
    labels = torch.cat(seen).tolist()
    assert sorted(labels) == list(range(n)) and (shuffle or labels == list(range(n)))


@pytest.mark.parametrize(
    ("n", "batch_size", "sizes"),
    [(9, 4, [4, 5]), (10, 4, [4, 4, 2]), (5, 4, [5]), (1, 4, [1]), (3, 1, [1, 1, 1]), (3, 2, [3])],
)
def test_a_lone_image_joins_the_training_batch_before_it(n, batch_size, sizes):
    assert [len(y) for _, y in Batches(data_set(n), batch_size, shuffle=True)] == sizes


def test_a_lone_image_stays_alone_outside_training():
    assert [len(y) for _, y in Batches(data_set(9), 4)] == [4, 4, 1]


def test_each_epoch_has_an_order_of_its_own():
    torch.manual_seed(0)
    batches = Batches(data_set(50), 10, shuffle=True)
    first, second = ([y.tolist() for _, y in batches] for _ in range(2))
    assert first != second
    torch.manual_seed(0)
    assert [y.tolist() for _, y in batches] == first


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_subset_yields_its_rows_only(shuffle):
    rows = np.array([8, 1, 5])
    batches = Batches(Subset(data_set(9), rows), 2, shuffle)
    labels = torch.cat([y for _, y in batches]).tolist()
    assert sorted(labels) == [1, 5, 8] and (shuffle or labels == [8, 1, 5])
    assert len(batches) == (1 if shuffle else 2)


def test_labels_of_an_unlabelled_data_set():
    images, labels = next(iter(Batches(Dataset(torch.rand(3, 1, 2, 2)), 8)))
    assert len(images) == 3 and labels.tolist() == [0, 0, 0]
