"""Sets that are on disk in any usual form are read in place, with nothing fetched or written."""

import os
import shutil
from pathlib import Path

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
from visionpipe.datasets.on_disk import resolve_data_home

pytestmark = pytest.mark.usefixtures("small_registry")
IDX = {"mnist": fetch_mnist, "fashion-mnist": fetch_fashion_mnist}
CIFAR = {"cifar-10": fetch_cifar10, "cifar-100": fetch_cifar100}


def tree(folder):
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def fetch_in_place(fetch, home, server, **options):
    """What a function returns that may fetch, but need not."""
    before = tree(home)
    data = fetch(data_home=home, subset="all", **options)
    assert tree(home) == before and server.requests == []
    return data


def assert_is_idx(data, name):
    parts = small_sets.idx_arrays(name)
    pixels = np.stack([data.images[i] for i in range(len(data.images))])
    np.testing.assert_array_equal(pixels, np.concatenate([parts[p][0] for p in parts]))
    np.testing.assert_array_equal(data.target, np.concatenate([parts[p][1] for p in parts]))


def assert_is_cifar(data, name):
    batches = small_sets.cifar_batches(name).values()
    pixels = np.stack([data.images[i] for i in range(len(data.images))])
    np.testing.assert_array_equal(pixels, np.concatenate([images for images, _ in batches]))
    labels = np.concatenate([labels for _, labels in batches])
    np.testing.assert_array_equal(data.target, labels[:, -1])


FOLDERS = {
    "mnist": ["mnist", "MNIST", "MNIST/raw", "mnist/MNIST/raw", "."],
    "fashion-mnist": [
        *("fashion-mnist", "fashion_mnist", "FashionMNIST/raw", "Fashion-MNIST"),
        *("fashion-mnist/FashionMNIST/raw", "."),
    ],
}


@pytest.mark.parametrize("name, folder", [(name, f) for name in IDX for f in FOLDERS[name]])
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("dotted", [True, False])
def test_idx(home, server, name, folder, packed, dotted):
    small_sets.write_idx(home / folder, name, packed=packed, dotted=dotted)
    data = fetch_in_place(IDX[name], home, server)
    assert_is_idx(data, name)
    assert len(data.filenames) == 4 and {Path(f).parent for f in data.filenames} == {home / folder}


@pytest.mark.parametrize("name", IDX)
def test_sets_with_files_of_the_same_names_are_told_apart(home, server, name):
    other = next(set_ for set_ in IDX if set_ != name)
    for folder in (home, home / name):
        small_sets.write_idx(folder, other)
    with pytest.raises(OSError, match=f"{name} is not in"):
        IDX[name](data_home=home, download_if_missing=False)
    with pytest.raises(ValueError, match="its checksum is not that of the official file"):
        IDX[name](data_home=home)
    small_sets.write_idx(home / name.upper() / "raw", name)
    assert_is_idx(fetch_in_place(IDX[name], home, server), name)


def test_parts_may_lie_apart(home, server):
    small_sets.write_idx(home / "mnist", "mnist")
    (home / "MNIST").mkdir()
    for path in (home / "mnist").glob("t10k*"):
        path.rename(home / "MNIST" / path.name)
    assert_is_idx(fetch_in_place(fetch_mnist, home, server), "mnist")


@pytest.mark.parametrize("name", CIFAR)
@pytest.mark.parametrize("version", small_sets.VERSIONS)
@pytest.mark.parametrize("folder", [".", "{name}", "{squeezed}", "own", "loose"])
def test_folders_of_batches(home, server, name, version, folder):
    inner = small_sets.VERSIONS[version][2][name]
    root = home / folder.format(name=name, squeezed=name.replace("-", "").upper())
    small_sets.write_files(root, small_sets.cifar_files(name, version))
    if folder == "own":
        home = root / inner
    elif folder == "loose":
        (root / inner).rename(home / name)
    assert_is_cifar(fetch_in_place(CIFAR[name], home, server), name)


@pytest.mark.parametrize("name", CIFAR)
@pytest.mark.parametrize("version", small_sets.VERSIONS)
@pytest.mark.parametrize("suffix", ["tar.gz", "tar.xz", "tar", "tgz"])
@pytest.mark.parametrize("folder", [".", "data"])
def test_archives_of_batches(home, server, name, version, suffix, folder):
    files = small_sets.cifar_files(name, version)
    path = home / (name if folder == "data" else ".") / f"{name}-{version}.{suffix}"
    compression = {"tgz": "gz"}.get(suffix, suffix.removeprefix("tar").removeprefix("."))
    small_sets.write_files(home, {path: small_sets.tar_bytes(files, compression)})
    data = fetch_in_place(CIFAR[name], home, server)
    assert_is_cifar(data, name)
    assert data.filenames.tolist() == [str(path)]


CLASS_FOLDERS = [
    *(
        "101_ObjectCategories",
        "caltech-101/101_ObjectCategories",
        "Caltech101/101_ObjectCategories",
    ),
    *("caltech101/caltech101/101_ObjectCategories", "caltech-101", "caltech101", "."),
]


@pytest.mark.parametrize("folder", CLASS_FOLDERS)
def test_folders_of_classes(home, server, folder):
    small_sets.write_files(home, small_sets.class_files())
    (home / "101_ObjectCategories").rename(home.parent / "classes")
    (home / folder).parent.mkdir(parents=True, exist_ok=True)
    home.rmdir() if folder == "." else None
    (home.parent / "classes").rename(home / folder)
    data = fetch_in_place(fetch_caltech101, home, server)
    assert data.target_names.tolist() == small_sets.CLASSES_101
    found = {Path(path).parent.relative_to(home / folder).name for path in data.filenames}
    assert found == set(small_sets.CLASSES_101)


@pytest.mark.parametrize("linked", ["home", "set", "file"])
def test_links_are_followed(tmp_path, server, linked):
    real, home = tmp_path / "real", tmp_path / "home"
    small_sets.write_idx(real / "mnist", "mnist")
    if linked == "home":
        home.symlink_to(real)
    elif linked == "set":
        home.mkdir()
        (home / "MNIST").symlink_to(real / "mnist")
    else:
        (home / "mnist").mkdir(parents=True)
        for path in (real / "mnist").iterdir():
            (home / "mnist" / path.name).symlink_to(path)
    assert_is_idx(fetch_in_place(fetch_mnist, home, server), "mnist")


def test_folder_that_cannot_be_written(home, server):
    small_sets.write_idx(home / "mnist", "mnist")
    small_sets.write_files(home / "caltech-101", small_sets.class_files())
    folders = [home, *(path for path in home.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        assert_is_idx(fetch_in_place(fetch_mnist, home, server), "mnist")
        assert len(fetch_in_place(fetch_caltech101, home, server).images) == 6
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_where_data_is_looked_for(tmp_path, monkeypatch):
    import pooch

    monkeypatch.delenv("VISIONPIPE_DATA", raising=False)
    assert resolve_data_home(None) == pooch.os_cache("visionpipe")
    monkeypatch.setenv("VISIONPIPE_DATA", "")
    assert resolve_data_home(None) == pooch.os_cache("visionpipe")
    monkeypatch.setenv("VISIONPIPE_DATA", str(tmp_path))
    assert resolve_data_home(None) == tmp_path
    assert resolve_data_home("~/x") == Path(os.path.expanduser("~/x"))
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="is a file; name the folder"):
        resolve_data_home(tmp_path / "file")


def test_environment_variable_is_heard(home, monkeypatch):
    small_sets.write_idx(home / "mnist", "mnist")
    monkeypatch.setenv("VISIONPIPE_DATA", str(home))
    assert len(fetch_mnist(download_if_missing=False).images) == small_sets.N_IDX["train"]
    shutil.rmtree(home)
    with pytest.raises(OSError):
        fetch_mnist(download_if_missing=False)
