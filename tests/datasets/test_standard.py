"""What the standard sets come as, fetched from a server on this machine or wrong on disk.

Where the environment variable VISIONPIPE_DATA names a folder with the real sets, also these.
"""

import doctest
import gzip
import hashlib
import os

import numpy as np
import pytest
import small_sets

from visionpipe import (
    fetch_caltech101,
    fetch_cifar10,
    fetch_cifar100,
    fetch_fashion_mnist,
    fetch_mnist,
)
from visionpipe.images import Images

FETCH = {
    "mnist": fetch_mnist,
    "fashion-mnist": fetch_fashion_mnist,
    "cifar-10": fetch_cifar10,
    "cifar-100": fetch_cifar100,
    "caltech-101": fetch_caltech101,
}
SPLIT = [name for name in FETCH if name != "caltech-101"]
small = pytest.mark.usefixtures("small_registry")


def sizes(name):
    if name == "cifar-10":
        return {"train": 5 * small_sets.N_BATCH, "test": small_sets.N_BATCH}
    return small_sets.N_CIFAR100 if name == "cifar-100" else small_sets.N_IDX


@small
@pytest.mark.parametrize("name", FETCH)
def test_fetched_once_then_found(home, server, name):
    first = FETCH[name](data_home=home, subset="all")
    n_requests = len(server.requests)
    assert n_requests == {"mnist": 4, "fashion-mnist": 4}.get(name, 1)
    again = FETCH[name](data_home=home, subset="all", download_if_missing=False)
    assert len(server.requests) == n_requests
    assert sorted(path.name for path in home.iterdir()) == [name]
    np.testing.assert_array_equal(first.target, again.target)
    assert isinstance(first.images, Images) and len(first.images) == len(first.target)
    assert first.target.dtype == np.int64 and first.target_names.dtype.kind == "U"
    assert first.filenames.dtype == object and all(map(os.path.isfile, again.filenames))
    for said in ("Source: ", "Licence: ", "Paper: "):
        assert said + name in first.DESCR


@small
@pytest.mark.parametrize("name", SPLIT)
def test_parts(home, name):
    every, train, test = (FETCH[name](data_home=home, subset=s) for s in ("all", "train", "test"))
    wanted = [part for part, n in sizes(name).items() for _ in range(n)]
    assert every.parts.tolist() == wanted and "parts" not in train
    for part, data in {"train": train, "test": test}.items():
        rows = np.flatnonzero(every.parts == part)
        assert len(rows) == len(data.images) == sizes(name)[part]
        np.testing.assert_array_equal(every.target[rows], data.target)
        np.testing.assert_array_equal(every.images[rows[-1]], data.images[-1])
    default = FETCH[name](data_home=home)
    np.testing.assert_array_equal(default.target, train.target)


@small
@pytest.mark.parametrize("name", FETCH)
def test_pairs(home, name):
    data = FETCH[name](data_home=home, subset="all")
    images, target = FETCH[name](data_home=home, subset="all", return_X_y=True)
    assert isinstance(images, Images) and len(images) == len(data.images)
    np.testing.assert_array_equal(target, data.target)


@small
def test_only_the_files_of_a_part_are_fetched(home, server):
    fetch_mnist(data_home=home, subset="test")
    assert {path.split("/")[2][:4] for path, *_ in server.requests} == {"t10k"}
    fetch_mnist(data_home=home, subset="all")
    assert len(server.requests) == 4


@small
def test_coarse_classes(home):
    data = fetch_cifar100(data_home=home, subset="all")
    labels = np.concatenate([y for _, y in small_sets.cifar_batches("cifar-100").values()])
    np.testing.assert_array_equal(data.coarse_target, labels[:, 0])
    np.testing.assert_array_equal(data.target, labels[:, 1])
    assert data.coarse_target_names[3] == "coarse 3" and data.target_names[99] == "fine 99"


@small
@pytest.mark.parametrize("name", SPLIT)
@pytest.mark.parametrize("subset", ["validation", None, "Train"])
def test_unknown_subset(home, name, subset):
    with pytest.raises(ValueError, match=f'must be "train", "test" or "all", got {subset!r}'):
        FETCH[name](data_home=home, subset=subset)


@small
@pytest.mark.parametrize(
    "name, form",
    [
        ("mnist", r"train-images-idx3-ubyte\[.gz\] and train-labels-idx1-ubyte\[.gz\]"),
        ("fashion-mnist", r"train-images-idx3-ubyte\[.gz\]"),
        ("cifar-10", "cifar-10-batches-py or cifar-10-batches-bin, or an archive"),
        ("cifar-100", "cifar-100-python or cifar-100-binary, or an archive"),
        ("caltech-101", "folder 101_ObjectCategories or an archive"),
    ],
)
def test_missing_and_not_to_be_fetched(home, server, name, form):
    with pytest.raises(
        OSError, match=f"{name} is not in {home}: .*{form}.*if_missing=True"
    ) as info:
        FETCH[name](data_home=home, download_if_missing=False)
    assert "\n" not in str(info.value)
    assert not home.exists() and server.requests == []


@small
def test_images_and_labels_of_unequal_number(home):
    small_sets.write_idx(home / "mnist", "mnist")
    path = home / "mnist" / "train-labels-idx1-ubyte.gz"
    labels = small_sets.idx_arrays("mnist")["train"][1]
    path.write_bytes(gzip.compress(small_sets.idx_bytes(labels[:-1])))
    with pytest.raises(ValueError, match=rf"{path} is damaged: .*\(11,\); wanted .*\(12,\)"):
        fetch_mnist(data_home=home)


@small
def test_labels_out_of_range(home):
    small_sets.write_idx(home / "mnist", "mnist")
    path = home / "mnist" / "train-labels-idx1-ubyte.gz"
    labels = small_sets.idx_arrays("mnist")["train"][1]
    labels[-1] = 10
    path.write_bytes(gzip.compress(small_sets.idx_bytes(labels)))
    with pytest.raises(ValueError, match=f"{path} is damaged: it has the label 10; wanted 0 to 9"):
        fetch_mnist(data_home=home)


@small
@pytest.mark.parametrize("file", ["images-idx3", "labels-idx1"])
def test_damaged_files_are_not_fetched_over(home, server, file):
    small_sets.write_idx(home / "mnist", "mnist")
    path = home / "mnist" / f"train-{file}-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=f"{path} is damaged: .*; remove it to fetch it anew"):
        fetch_mnist(data_home=home)
    path.unlink()
    fetch_mnist(data_home=home)
    assert server.requests


# ------------------------------------------------------------------------------ the real ones

REAL = os.environ.get("VISIONPIPE_DATA")
real = pytest.mark.skipif(not REAL, reason="VISIONPIPE_DATA is not set")


def load_real(name, subset):
    try:
        return FETCH[name](data_home=REAL, subset=subset, download_if_missing=False)
    except FileNotFoundError as error:
        pytest.skip(str(error))


def raw_digest(array):
    return hashlib.md5(small_sets.idx_bytes(array)).hexdigest()


@real
@pytest.mark.parametrize(
    "name, subset, images, labels",
    [
        (
            *("mnist", "train"),
            *("6bbc9ace898e44ae57da46a324031adb", "a25bea736e30d166cdddb491f175f624"),
        ),
        (
            *("mnist", "test"),
            *("2646ac647ad5339dbf082846283269ea", "27ae3e4e09519cfbb04c329615203637"),
        ),
        (
            *("fashion-mnist", "train"),
            *("f4a8712d7a061bf5bd6d2ca38dc4d50a", "9018921c3c673c538a1fc5bad174d6f9"),
        ),
        (
            *("fashion-mnist", "test"),
            *("8181f5470baa50b63fa0f6fddb340f0a", "15d484375f8d13e6eb1aabb0c3f46965"),
        ),
    ],
)
def test_real_idx(name, subset, images, labels):
    data = load_real(name, subset)
    pixels = np.concatenate([batch for _, batch in data.images.batches()])[..., 0]
    assert (raw_digest(pixels), raw_digest(data.target)) == (images, labels)


@real
def test_real_cifar10():
    data = load_real("cifar-10", "all")
    assert data.images[0].shape == (32, 32, 3)
    train, test = (np.bincount(data.target[data.parts == part]) for part in ("train", "test"))
    assert train.tolist() == [5_000] * 10 and test.tolist() == [1_000] * 10
    first = data.target_names[data.target[[0, 1, 2, 50_000, 50_001]]].tolist()
    assert first == ["frog", "truck", "truck", "cat", "ship"]
    assert data.images[0][0, :2].tolist() == [[59, 62, 63], [43, 46, 45]]


@real
@pytest.mark.parametrize("fetch", [fetch_mnist, fetch_fashion_mnist], ids=lambda f: f.__name__)
def test_examples_that_need_data(fetch):
    load_real(fetch.__name__.removeprefix("fetch_").replace("_", "-"), "test")
    example = doctest.DocTestParser().get_doctest(fetch.__doc__, {}, fetch.__name__, None, 0)
    for line in example.examples:
        line.options.pop(doctest.SKIP, None)
    assert doctest.DocTestRunner().run(example).failed == 0
