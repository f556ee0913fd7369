"""Data sets by whatever a user calls them."""

import numpy as np
import pytest
import small_sets
from PIL import Image

from visionpipe.datasets import load_data

NAMES = [
    "digits",
    "faces",
    "textures",
    "mnist",
    "fashion-mnist",
    "cifar-10",
    "cifar-100",
    "caltech-101",
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where there is a folder "digits" with two classes."""
    for name in ("a", "b"):
        (tmp_path / "digits" / name).mkdir(parents=True)
        Image.new("L", (4, 4)).save(tmp_path / "digits" / name / "x.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "digits"


def test_name_and_folder(folder):
    assert len(load_data("faces").images) == 200
    assert len(load_data(folder).images) == len(load_data("./digits").images) == 2
    assert len(load_data(folder.relative_to(folder.parent)).images) == 2
    with pytest.warns(UserWarning, match=r"write \./digits") as record:
        assert len(load_data("digits").images) == 1797
    assert record[0].filename == __file__


def test_list_of_files(folder):
    (folder / "list.csv").write_text("path,label\na/x.png,cat\nb/x.png,dog\n")
    data = load_data(folder / "list.csv")
    assert data.target_names.tolist() == ["cat", "dog"] and data.target.tolist() == [0, 1]


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="no data set and no folder 'cats'") as info:
        load_data("cats")
    assert str(info.value).endswith(", ".join(NAMES))


@pytest.mark.parametrize(
    "spelling, name",
    [
        *zip(NAMES[3:], NAMES[3:], strict=True),
        *(("MNIST", "mnist"), ("cifar10", "cifar-10"), ("CIFAR_100", "cifar-100")),
        *(("fashion_mnist", "fashion-mnist"), ("FashionMNIST", "fashion-mnist")),
        ("Caltech101", "caltech-101"),
    ],
)
def test_standard_names(home, small_registry, spelling, name):
    data = load_data(spelling, data_home=home)
    assert data.DESCR.startswith(name) and [path.name for path in home.iterdir()] == [name]
    assert ("parts" in data) == (name != "caltech-101")
    if "parts" in data:
        assert data.parts.shape == data.target.shape
        assert np.unique(data.parts).tolist() == ["test", "train"] and data.parts[0] == "train"


@pytest.mark.parametrize("errors, n", [("raise", 6), ("skip", 5)])
def test_options_reach_files(home, small_registry, folder, errors, n):
    small_sets.write_files(home, small_sets.class_files())
    (home / "101_ObjectCategories" / "accordion" / "image_0000.png").write_bytes(b"no image")
    assert len(load_data("caltech-101", data_home=home, errors=errors).images) == n
    (folder / "a" / "y.png").write_bytes(b"no image")
    assert len(load_data(folder, errors=errors).images) == n - 3
    with pytest.raises(ValueError, match="pixels"):
        load_data(folder, max_pixels=15).images[0]


def test_importing_is_light():
    import subprocess
    import sys

    code = (
        "import sys, visionpipe.datasets; "
        "assert not {'torch', 'pooch', 'requests', 'rich'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
