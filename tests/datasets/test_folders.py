"""Folders of classes, folders of parts, what lies in them that is no image, and what is."""

import os
import socket
from collections import Counter
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.utils import Bunch

from visionpipe import as_images, load_images
from visionpipe.datasets.folders import find_images, without_unreadable
from visionpipe.decoding import IMAGE_SUFFIXES, ImageReadError

SEEN = "folder seen before (symbolic link)"


def _png():
    file = BytesIO()
    Image.new("L", (3, 2), 7).save(file, "PNG")
    return file.getvalue()


PNG = _png()


def put(folder, *names, content=PNG):
    """Write files below a folder, which need not be there."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def relative(filenames, folder):
    return [os.path.relpath(name, folder) for name in filenames]


# --------------------------------------------------------------------------------------- classes


def test_load_images(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    put(
        tmp_path,
        "b/2.png",
        "b/deeper/1.PNG",
        "a/x.jpg",
        "a/.hidden.png",
        "a/notes.txt",
        content=b"",
    )
    Image.fromarray(rgb).save(tmp_path / "b/deeper/1.PNG")
    (tmp_path / ".cache").mkdir()
    put(tmp_path, "loose.png")
    data = load_images(tmp_path)
    assert data.target_names.tolist() == ["a", "b"]
    assert data.target.tolist() == [0, 1, 1]
    names = [str(tmp_path / name) for name in ("a/x.jpg", "b/2.png", "b/deeper/1.PNG")]
    assert data.filenames.tolist() == names
    assert data.filenames.dtype == object and data.target.dtype == int
    assert data.ignored == {"hidden": 2, "not an image file": 1, "image outside of any class": 1}
    assert data.skipped == [] and "parts" not in data and "groups" not in data
    assert data["DESCR"] == f"3 images of 2 classes, from the folder {tmp_path}."
    np.testing.assert_array_equal(data.images[2], rgb)


def test_load_images_refuses(tmp_path):
    with pytest.raises(ValueError, match="does not exist; wanted a folder"):
        load_images(tmp_path / "missing")
    with pytest.raises(ValueError, match="no sub-folders"):
        load_images(tmp_path)
    (tmp_path / "cats").mkdir()
    with pytest.raises(ValueError, match="class folder .*cats holds no images; put some in or rem"):
        load_images(tmp_path)
    with pytest.raises(ValueError, match="class folder .*cats holds no images"):
        load_images(tmp_path, errors="skip")
    with pytest.raises(ValueError, match="errors='ignore'; wanted 'raise' or 'skip'"):
        load_images(tmp_path, errors="ignore")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_no_source(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe is neither a folder nor a file"):
        load_images(tmp_path / "pipe")


def test_what_is_passed_over_is_counted(tmp_path):
    put(
        tmp_path,
        "a/1.png",
        "a/deep/2.Jpeg",
        "__MACOSX/a/1.png",
        "a/__MACOSX/1.png",
        "1.png",
        "2.gif",
    )
    put(tmp_path, "a/Thumbs.db", "a/deep/desktop.ini", "a/.DS_Store", "a/._1.png", ".git/1.png")
    put(tmp_path, "readme.md", "a/png", "a/1.png.txt", "a/deep/1.pngx", "a/.png")
    data = load_images(tmp_path)
    assert relative(data.filenames, tmp_path) == ["a/1.png", "a/deep/2.Jpeg"]
    assert data.ignored == {
        "hidden": 4,
        "of the operating system": 4,
        "not an image file": 4,
        "image outside of any class": 2,
    }


ODD_NAMES = [
    *(b"-rf.png", b"a b.png", b"'.png", b'".png', b"a\nb.png", b"\\.png", b"%s{}.png"),
    *("ä日🐈.png".encode(), b"\xff\xfe.png"),
]


@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
def test_odd_names_survive(tmp_path, name):
    folder = os.path.join(os.fsencode(tmp_path), b"class " + name)
    path = os.path.join(folder, name)
    try:
        os.mkdir(folder)
        with open(path, "wb") as file:
            file.write(PNG)
    except OSError:
        pytest.skip("this file system takes no such name")
    for source in (tmp_path, os.fsencode(tmp_path)):
        data = load_images(source, errors="skip")
        assert [os.fsencode(name) for name in data.filenames] == [path]
        assert os.fsencode(str(data.target_names[0])) == b"class " + name
    assert data.images[0].shape == (2, 3)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_whatever_is_called_an_image_counts_as_one(tmp_path, monkeypatch):
    put(tmp_path, "a/1.png")
    monkeypatch.chdir(tmp_path / "a")  # the path of a socket has to be short
    os.mkfifo("pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.jpg")
    os.symlink("nowhere", "broken.jpg")
    os.symlink("itself.jpg", "itself.jpg")
    os.symlink("nowhere", "broken")
    data = load_images(tmp_path)
    odd = ["broken.jpg", "itself.jpg", "pipe.jpg", "socket.jpg"]
    assert relative(data.filenames, tmp_path / "a") == ["1.png", *odd]
    assert data.ignored == {"not an image file": 1}
    data = load_images(tmp_path, errors="skip")
    assert relative(data.filenames, tmp_path / "a") == ["1.png"]
    assert relative([error.path for error in data.skipped], tmp_path / "a") == odd


# ----------------------------------------------------------------------------------------- links


def test_links_to_folders_elsewhere_are_followed_and_circles_are_not(tmp_path):
    put(tmp_path, "data/a/1.png", "data/a/z/2.png", "data/b/3.png", "away/in/4.png", "away/5.png")
    for link, to in {
        "data/a/circle": "../a",
        "data/a/to_all": "../..",  # above the data
        "data/a/first": "../../away/in",  # part of what follows: taken here, as it is sorted first
        "data/a/second": "../../away",
        "data/a/y": "z",  # sorted before what it leads to, which counts
        "data/b/again": "../../away",  # once for each class
        "data/b/again_too": "../../away",
        "data/c": "../away",
        "data/self": ".",
        "data/c_lies.png": "../away/5.png",
    }.items():
        os.symlink(to, tmp_path / link)
    data = load_images(tmp_path / "data")
    assert relative(data.filenames, tmp_path / "data") == [
        *("a/1.png", "a/first/4.png", "a/second/5.png", "a/z/2.png"),
        *("b/3.png", "b/again/5.png", "b/again/in/4.png"),
        *("c/5.png", "c/in/4.png"),
    ]
    assert data.ignored == {SEEN: 6, "image outside of any class": 1}


def test_a_source_that_is_a_link_has_its_real_place_in_mind(tmp_path):
    put(tmp_path, "real/data/a/1.png", "real/other.png", "away/other.png")
    os.symlink("../real/data", tmp_path / "away/link")
    os.symlink("../..", tmp_path / "real/data/a/up")
    data = load_images(tmp_path / "away/link")
    assert relative(data.filenames, tmp_path) == ["away/link/a/1.png"]
    assert data.ignored == {SEEN: 1}


def reachable(folder, entered, root):
    """Real paths of images below a folder: slow, and with pathlib."""
    folder = folder.resolve()
    if folder in entered or folder in (root, *root.parents):
        return set()
    entered.add(folder)
    found = set()
    for path in folder.iterdir():
        if path.is_dir():
            found |= reachable(path, entered, root)
        elif path.suffix in IMAGE_SUFFIXES:
            found.add(path.resolve())
    return found


@pytest.mark.parametrize("seed", range(20))
def test_random_links(tmp_path, seed, monkeypatch):
    rng = np.random.default_rng(seed)
    folders = [tmp_path / "data/a", tmp_path / "data/b", tmp_path / "away"]
    put(tmp_path, "data/a/0.png", "data/b/0.png", "away/0.png")
    for i in range(1, 10):
        folders.append(folders[rng.integers(len(folders))] / f"f{i}")
        put(folders[-1], f"{i}.png", content=b"")
    for i in range(8):
        start, end = rng.choice([*folders, tmp_path / "data"], 2)
        if start != tmp_path / "data":
            os.symlink(end, start / f"link{i}")
    data = load_images(tmp_path / "data")
    for code, name in enumerate("ab"):
        found = [Path(path).resolve() for path in data.filenames[data.target == code]]
        assert len(found) == len(set(found))
        assert set(found) == reachable(tmp_path / "data" / name, set(), tmp_path / "data")
    shuffle_listings(monkeypatch, seed)
    assert load_images(tmp_path / "data").filenames.tolist() == data.filenames.tolist()


def shuffle_listings(monkeypatch, seed):
    """Let the file system give entries in another order."""
    scandir, rng = os.scandir, np.random.default_rng(seed)

    class Shuffled:
        def __init__(self, folder):
            self.folder = folder

        def __enter__(self):
            with scandir(self.folder) as entries:
                entries = list(entries)
            return iter([entries[i] for i in rng.permutation(len(entries))])

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(os, "scandir", Shuffled)


@pytest.mark.parametrize("seed", range(20))
def test_random_trees_against_pathlib(tmp_path, seed):
    rng = np.random.default_rng(seed)
    folders = ["a", "b b", ".h", "A", "é", "1.png", "__MACOSX"]
    stems, suffixes = ["u", "v v", ".k", "ü"], [".png", ".JPG", ".txt", "", ".png.bak", ".jpeg"]
    files = [stem + suffix for stem in stems for suffix in suffixes] + ["Thumbs.db"]
    for _ in range(60):
        where = rng.choice(folders, rng.integers(1, 5))
        put(tmp_path, "/".join([*where, rng.choice(files)]), content=b"")
    expected, ignored = [], Counter()
    for path in sorted(tmp_path.rglob("*"), key=str):
        above = path.relative_to(tmp_path).parent.parts
        if any(part.startswith(".") or part == "__MACOSX" for part in above):
            continue
        if path.name.startswith("."):
            ignored["hidden"] += 1
        elif path.is_dir():
            ignored["of the operating system"] += path.name == "__MACOSX"
        elif path.suffix.lower() not in IMAGE_SUFFIXES:
            system = path.name == "Thumbs.db"
            ignored["of the operating system" if system else "not an image file"] += 1
        else:
            expected.append((above[0], str(path)))
    for name in {p.name for p in tmp_path.iterdir()} - {name for name, _ in expected}:
        if not name.startswith(".") and name != "__MACOSX":  # else an error: a class without images
            put(tmp_path, f"{name}/0.png")
            expected.append((name, str(tmp_path / name / "0.png")))
    data = load_images(tmp_path)
    assert [*zip(data.target_names[data.target], data.filenames, strict=True)] == sorted(expected)
    assert data.target_names.tolist() == sorted({name for name, _ in expected})
    assert data.ignored == +ignored
    assert find_images(tmp_path).filenames.tolist() == sorted(path for _, path in expected)
    assert find_images(tmp_path).ignored == +ignored


# ----------------------------------------------------------------------------------------- parts


def test_parts(tmp_path):
    put(tmp_path, "Training/dog/1.png", "Training/cat/2.png", "valid/cat/1.png", "TEST/emu/1.png")
    put(tmp_path, "Training/loose.png", "list.txt", "Training/cat/deep/3.png")
    data = load_images(tmp_path)
    assert data.target_names.tolist() == ["cat", "dog", "emu"]
    assert [*zip(relative(data.filenames, tmp_path), data.target, data.parts, strict=True)] == [
        ("Training/cat/2.png", 0, "train"),
        ("Training/cat/deep/3.png", 0, "train"),
        ("valid/cat/1.png", 0, "validation"),
        ("Training/dog/1.png", 1, "train"),
        ("TEST/emu/1.png", 2, "test"),
    ]
    assert data.ignored == {"not an image file": 1, "image outside of any class": 1}


@pytest.mark.parametrize(
    "names",
    [
        ["train/1.png", "plane/1.png"],
        ["train/deep/1.png", "plane/deep/1.png"],
        ["train/1.png", "test/1.png"],  # nothing in them that could be a class
        ["train/cat/1.png", "train/dog/1.png"],  # one alone is a class
        ["train/cat/1.png", "test/cat/1.png", "extra/cat/1.png"],
    ],
    ids=["vehicles", "deep_vehicles", "flat", "one", "other"],
)
def test_what_is_called_like_parts_may_be_classes(tmp_path, names):
    put(tmp_path, *names)
    data = load_images(tmp_path)
    assert data.target_names.tolist() == sorted({name.split("/")[0] for name in names})
    assert "parts" not in data


def test_two_folders_of_one_part(tmp_path):
    put(tmp_path, "train/cat/1.png", "val/cat/1.png", "valid/cat/1.png")
    with pytest.raises(ValueError, match="two folders of one part, val and valid; put both into"):
        load_images(tmp_path)


def test_part_without_classes_is_passed_over(tmp_path):
    put(tmp_path, "train/cat/1.png", "train/dog/1.png", "Test/1.png", "Test/2.png", "Test/.3.png")
    data = load_images(tmp_path)
    assert set(data.parts) == {"train"} and len(data.images) == 2
    assert data.ignored == {"image of Test, which has no classes": 2, "hidden": 1}


def test_class_may_be_empty_in_a_part_but_not_in_all(tmp_path):
    put(tmp_path, "train/cat/1.png", "train/dog/1.png", "val/cat/1.png")
    (tmp_path / "val/dog").mkdir()
    assert len(load_images(tmp_path).images) == 3
    (tmp_path / "val/emu").mkdir()
    with pytest.raises(ValueError, match="class folder .*emu holds no images"):
        load_images(tmp_path)


# ------------------------------------------------------------------------- what cannot be read


def test_skip_leaves_out_of_every_field(tmp_path):
    put(tmp_path, "train/a/1.png", "train/b/1.png", "val/a/2.png", "val/c/1.png")
    put(tmp_path, "train/a/3.png", "val/c/2.png", content=b"no image")
    data = load_images(tmp_path, errors="skip")
    names = ["train/a/1.png", "val/a/2.png", "train/b/1.png", "val/c/1.png"]
    assert relative(data.filenames, tmp_path) == names
    assert data.target.tolist() == [0, 0, 1, 2]
    assert data.parts.tolist() == ["train", "validation", "train", "validation"]
    assert len(data.images) == 4 and data.images.failures() == {}
    assert [Path(error.path).name for error in data.skipped] == ["3.png", "2.png"]
    assert all("content is not that of an image" in error.reason for error in data.skipped)
    assert data.DESCR.endswith(". 2 of them cannot be read and are left out.")
    with pytest.raises(ImageReadError, match=r"3\.png: its content"):
        load_images(tmp_path).images[2 - 1]


def test_skip_tells_how_far_it_is(tmp_path):
    put(tmp_path, *(f"{name}/{i}.png" for name in "ab" for i in range(5)))
    put(tmp_path, "a/3.png", content=b"")
    told = []
    load_images(tmp_path, errors="skip", on_read=lambda *now: told.append(now))
    assert {n_images for _, n_images, _ in told} == {10} and told[-1][0] == 10
    assert [position for *_, failures in told for position in failures] == [3]
    told.clear()
    load_images(tmp_path, on_read=lambda *now: told.append(now))
    assert told == []  # nothing is read


def test_skip_drops_a_class_that_has_no_image_left(tmp_path):
    put(tmp_path, "a/1.png", "a/2.png", "c/1.png", "d/1.png")
    put(tmp_path, "b/1.png", "d/2.png", content=b"")
    with pytest.warns(UserWarning, match="no image of b can be read; left out of the classes"):
        data = load_images(tmp_path, errors="skip")
    assert data.target_names.tolist() == ["a", "c", "d"]
    assert data.target.tolist() == [0, 0, 1, 2] and data.target.dtype == int


def test_skip_with_nothing_left(tmp_path):
    put(tmp_path, "a/1.png", "b/1.png", content=b"")
    with pytest.raises(ValueError, match=r"none of the 2 images can be read; first: .*a/1\.png: i"):
        load_images(tmp_path, errors="skip")


def test_large_images_are_refused(tmp_path):
    put(tmp_path, "a/1.png")
    assert len(load_images(tmp_path, errors="skip", max_pixels=6).images) == 1
    with pytest.raises(ValueError, match="none of the 1 images can be read"):
        load_images(tmp_path, errors="skip", max_pixels=5)
    with pytest.raises(ImageReadError, match="the limit is 5"):
        load_images(tmp_path, max_pixels=5).images[0]


def test_without_unreadable_takes_any_data(tmp_path):
    put(tmp_path, "1.png")
    put(tmp_path, "2.png", content=b"")
    data = Bunch(
        images=as_images([tmp_path / "1.png", tmp_path / "2.png", np.zeros((4, 4))]),
        target=np.array([0, 1, 2]),
        target_names=np.array(["a", "b", "c"]),  # as many as images, but not one for each
        coarse_target=np.array([5, 6, 7]),
        coarse_target_names=np.array(["d", "e", "f"]),
        boxes=np.arange(12).reshape(3, 4),
        weights=np.ones(2),
        DESCR="abc",
        url="xyz",
    )
    seen = []
    with pytest.warns(UserWarning, match="no image of b"):
        left = without_unreadable(data, lambda *now: seen.append(now))
    n_seen, n_images, _ = seen[-1]
    assert n_seen == n_images == 3
    assert len(left.images) == 2 and left.target.tolist() == [0, 1]
    assert left.target_names.tolist() == ["a", "c"] and left.coarse_target.tolist() == [5, 7]
    assert left.boxes.tolist() == [[0, 1, 2, 3], [8, 9, 10, 11]] and left.weights.shape == (2,)
    assert left.coarse_target_names.tolist() == ["d", "e", "f"]
    assert left.url == "xyz" and [error.path for error in left.skipped] == [str(tmp_path / "2.png")]
    assert len(data.images) == 3 and data.DESCR == "abc" and "skipped" not in data


def forbid(monkeypatch, *folders):
    """Let folders be such that they cannot be listed, as for anyone but root without rights."""
    scandir = os.scandir

    def refusing(folder):
        if Path(folder) in folders:
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refusing)


def test_a_link_to_the_part_that_a_class_lies_in_is_a_loop(tmp_path):
    put(tmp_path, "train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/1.png")
    (tmp_path / "train" / "a" / "up").symlink_to("..", target_is_directory=True)
    (tmp_path / "train" / "itself").symlink_to(".", target_is_directory=True)
    data = load_images(tmp_path)
    assert relative(data.filenames, tmp_path) == [
        "test/a/1.png", "train/a/1.png", "test/b/1.png", "train/b/1.png",
    ]  # fmt: skip
    assert data.ignored == {"folder seen before (symbolic link)": 2}


def test_folders_that_cannot_be_listed(tmp_path, monkeypatch):
    put(tmp_path, "a/1.png", "a/deep/2.png", "b/1.png")
    forbid(monkeypatch, tmp_path / "a/deep")
    with pytest.raises(ImageReadError, match="a/deep: folder cannot be listed: Permission denied"):
        load_images(tmp_path)
    with pytest.raises(ImageReadError, match="a/deep: folder cannot be listed: Permission denied"):
        find_images(tmp_path)
    found = find_images(tmp_path, errors="skip")
    assert [error.path for error in found.skipped] == [str(tmp_path / "a" / "deep")]
    assert len(found.filenames) == len(load_images(tmp_path, errors="skip").filenames)
    with pytest.raises(ValueError, match="errors='ignore'; wanted 'raise' or 'skip'"):
        find_images(tmp_path, errors="ignore")
    data = load_images(tmp_path, errors="skip")
    assert relative(data.filenames, tmp_path) == ["a/1.png", "b/1.png"]
    (error,) = data.skipped
    assert error.path == str(tmp_path / "a/deep") and "Permission denied" in error.reason


def test_class_that_cannot_be_listed(tmp_path, monkeypatch):
    put(tmp_path, "a/1.png", "b/1.png", "b/2.png")
    put(tmp_path, "b/2.png", content=b"")
    forbid(monkeypatch, tmp_path / "a")
    with pytest.warns(UserWarning, match="no image of a can be read"):
        data = load_images(tmp_path, errors="skip")
    assert data.target_names.tolist() == ["b"] and data.target.tolist() == [0]
    assert relative([e.path for e in data.skipped], tmp_path) == ["a", "b/2.png"]
    forbid(monkeypatch, tmp_path / "b")
    with pytest.raises(
        ValueError, match="none of the 0 images can be read; first: cannot read .*a:"
    ):
        load_images(tmp_path, errors="skip")


def test_part_that_cannot_be_listed(tmp_path, monkeypatch):
    put(tmp_path, "train/cat/1.png", "train/dog/1.png", "dev/cat/1.png")
    forbid(monkeypatch, tmp_path / "dev")
    data = load_images(tmp_path, errors="skip")
    assert data.target_names.tolist() == ["cat", "dog"] and set(data.parts) == {"train"}
    assert relative([error.path for error in data.skipped], tmp_path) == ["dev"]
    with pytest.raises(ImageReadError, match="dev: folder cannot be listed"):
        load_images(tmp_path)


@pytest.mark.parametrize("errors", ["raise", "skip"])
def test_source_that_cannot_be_listed(tmp_path, monkeypatch, errors):
    put(tmp_path, "a/1.png")
    forbid(monkeypatch, tmp_path)
    with pytest.raises(ImageReadError, match="folder cannot be listed: Permission denied"):
        load_images(tmp_path, errors=errors)


# ----------------------------------------------------------------------------------- find_images


def test_find_images_in_a_folder(tmp_path):
    put(tmp_path, "b.png", "a/1.png", "a/.2.png", "notes.txt", "train/cat/1.jpg", content=b"")
    os.symlink(".", tmp_path / "a/self")
    os.symlink("..", tmp_path / "a/up")
    found = find_images(tmp_path)
    assert relative(found.filenames, tmp_path) == ["a/1.png", "b.png", "train/cat/1.jpg"]
    assert found.filenames.dtype == object
    assert found.ignored == {"hidden": 1, "not an image file": 1, SEEN: 2}


def test_find_images_in_a_folder_without_any(tmp_path):
    put(tmp_path, "notes.txt")
    with pytest.raises(ValueError, match="folder .* holds no images"):
        find_images(tmp_path)


@pytest.mark.parametrize("name", ["1.png", "scan.0001", ".hidden", "missing.jpg"])
def test_find_images_takes_a_file_by_its_name(tmp_path, name):
    assert find_images(tmp_path / name).filenames.tolist() == [str(tmp_path / name)]


# ------------------------------------------------------------------------------------- real data


@pytest.mark.skipif("VISIONPIPE_DATA" not in os.environ, reason="VISIONPIPE_DATA names no folder")
def test_photographs():
    folder = Path(os.environ["VISIONPIPE_DATA"]) / "caltech-16"
    if not folder.is_dir():
        pytest.skip(f"{folder} is missing")
    data = load_images(folder)
    assert len(data.target_names) == 16 and np.bincount(data.target).tolist() == [60] * 16
    folders = [Path(name).parent.name for name in data.filenames]
    assert data.target_names[data.target].tolist() == folders
    assert len(find_images(folder).filenames) == 960
