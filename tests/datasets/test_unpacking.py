"""Caltech-101 out of its archives: all of it, once, and nowhere else."""

import io
import shutil
import tarfile
import threading
import zipfile

import pytest
import small_sets

from visionpipe import fetch_caltech101
from visionpipe.datasets import unpacking

pytestmark = pytest.mark.usefixtures("small_registry")
UNPACKED = "caltech-101/101_ObjectCategories"
ZIP = small_sets.zipped_classes()
TAR = small_sets.tar_bytes(small_sets.class_files(), "gz")


def put(home, name, content):
    small_sets.write_files(home, {name: content})
    return home / name


def fetch(home, **options):
    return fetch_caltech101(data_home=home, download_if_missing=False, **options)


@pytest.mark.parametrize(
    "name, content",
    [
        ("caltech-101.zip", ZIP),
        ("caltech-101/caltech-101.zip", ZIP),
        ("caltech101/101_ObjectCategories.tar.gz", TAR),
        ("caltech-101/caltech-101/101_ObjectCategories.tar.gz", TAR),
        ("101_ObjectCategories.tar", small_sets.tar_bytes(small_sets.class_files())),
    ],
    ids=["zip", "zip below", "tar.gz", "tar.gz of the zip", "tar"],
)
def test_archives(home, server, name, content):
    archive = put(home, name, content)
    data = fetch(home)
    assert data.target_names.tolist() == small_sets.CLASSES_101
    assert data.target.tolist() == [0, 0, 1, 1, 2, 2]
    assert [int(data.images[i][0, 0, 0]) for i in range(6)] == [1, 1, 2, 2, 3, 3]
    assert {path.name for path in (home / UNPACKED).parent.iterdir()} <= {
        *("101_ObjectCategories", ".lock", archive.name, "caltech-101")
    }
    archive.unlink()
    assert fetch(home).filenames.tolist() == data.filenames.tolist()
    assert not server.requests


def test_pictures_of_no_class_are_left_out(home):
    put(home, "caltech-101.zip", ZIP)
    data = fetch(home)
    assert (home / UNPACKED / "BACKGROUND_Google").is_dir()
    assert not any("BACKGROUND" in path for path in data.filenames)
    assert len(data.images) == len(data.target) == len(data.filenames) == 6


def test_cut_unpacking_is_not_taken_for_the_set(home, monkeypatch):
    put(home, "caltech-101.zip", ZIP)

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(unpacking.os, "rename", interrupted)
        patch.setattr(unpacking.shutil, "rmtree", lambda *args, **kwargs: None)  # killed
        fetch(home)
    left = home / f"{UNPACKED}.part"
    assert left.is_dir() and not (home / UNPACKED).exists()
    assert len(fetch(home).images) == 6
    assert not left.exists()


@pytest.mark.parametrize("share", [0, 0.3, 0.6, 0.9])
@pytest.mark.parametrize(
    "name, content",
    [("caltech-101.zip", ZIP), ("101_ObjectCategories.tar.gz", TAR)],
    ids=["zip", "tar.gz"],
)
def test_cut_archives(home, name, content, share):
    archive = put(home, name, content[: int(share * len(content))])
    with pytest.raises(ValueError, match=f"{archive} is damaged: .*; remove it") as info:
        fetch(home)
    assert "\n" not in str(info.value)
    assert [path.name for path in (home / "caltech-101").iterdir()] == [".lock"]


def test_checksum_at_the_end_is_compared(home):
    put(home, "101_ObjectCategories.tar.gz", TAR[:-8] + bytes(8))
    with pytest.raises(ValueError, match="is damaged"):
        fetch(home)
    assert not (home / UNPACKED).exists()


def test_archive_without_a_class(home):
    files = {n: c for n, c in small_sets.class_files().items() if "yin_yang" not in n}
    put(home, "101_ObjectCategories.tar.gz", small_sets.tar_bytes(files, "gz"))
    with pytest.raises(ValueError, match="is damaged: it lacks 1 classes, such as yin_yang"):
        fetch(home)
    assert not (home / UNPACKED).exists()


def test_zip_without_the_images(home):
    path = home / "caltech-101.zip"
    home.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other.txt", "")
    with pytest.raises(ValueError, match=r"is damaged: it lacks 101_ObjectCategories.tar.gz"):
        fetch(home)


def harmful(name, link=""):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        if link:
            member.type, member.linkname = tarfile.SYMTYPE, link
            archive.addfile(member)
            member = tarfile.TarInfo(f"{name}/evil.png")
        member.size = 4
        archive.addfile(member, io.BytesIO(b"evil"))
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        harmful("101_ObjectCategories/../../../../evil.png"),
        harmful("/evil.png"),
        harmful("101_ObjectCategories/ant", link="../../../.."),
    ],
    ids=["dots", "absolute", "link"],
)
def test_nothing_is_written_elsewhere(tmp_path, home, content):
    put(home, "101_ObjectCategories.tar.gz", content)
    with pytest.raises(ValueError, match="is damaged"):
        fetch(home)
    assert not [*tmp_path.rglob("evil.png")]


def test_two_at_once_unpack_once(home, monkeypatch):
    put(home, "caltech-101.zip", ZIP)
    unpacked, unpack = [], unpacking.shutil.rmtree
    monkeypatch.setattr(
        unpacking.shutil, "rmtree", lambda *a, **k: (unpacked.append(1), unpack(*a, **k))
    )
    found = []
    threads = [threading.Thread(target=lambda: found.append(fetch(home))) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert [len(data.images) for data in found] == [6] * 4 and len(unpacked) == 2


@pytest.mark.parametrize("change", ["less", "more"])
def test_another_number_of_images(home, change):
    small_sets.write_files(home, small_sets.class_files())
    path = home / "101_ObjectCategories" / "accordion" / "image_0000.png"
    path.unlink() if change == "less" else shutil.copy(path, path.with_name("more.png"))
    n = {"less": 5, "more": 7}[change]
    with pytest.raises(
        ValueError, match=f"101_ObjectCategories is damaged: it has {n} images; w.* 6"
    ):
        fetch(home)


def test_files_that_cannot_be_read(home):
    small_sets.write_files(home, small_sets.class_files())
    path = home / "101_ObjectCategories" / "accordion" / "image_0000.png"
    path.write_bytes(b"no image")
    assert len(fetch(home).images) == 6
    data = fetch(home, errors="skip")
    assert len(data.images) == len(data.target) == len(data.filenames) == 5
    assert [error.path for error in data.skipped] == [str(path)]
    assert not fetch(home).skipped
    with pytest.raises(ValueError, match='errors must be "raise" or "skip", got \'ignore\''):
        fetch(home, errors="ignore")


def test_large_images_are_refused(home):
    small_sets.write_files(home, small_sets.class_files())
    with pytest.raises(ValueError, match="pixels"):
        fetch(home, max_pixels=23).images[0]
    assert fetch(home, max_pixels=24).images[0].shape == (4, 6, 3)


@pytest.mark.parametrize("subset", ["train", "test", None])
def test_there_is_no_split(home, subset):
    put(home, "caltech-101.zip", ZIP)
    with pytest.raises(ValueError, match=f"no official split.*got {subset!r}.*train_test_split"):
        fetch(home, subset=subset)
    assert "parts" not in fetch(home)
