"""Batches of CIFAR, in every version and from every archive, and files that lie."""

import lzma
import pickle

import numpy as np
import pytest
import small_sets

from visionpipe.datasets.cifar import read_cifar

N_CLASSES = {"cifar-10": (10,), "cifar-100": (20, 100)}


def sizes(name):
    return {batch: len(y) for batch, (_, y) in small_sets.cifar_batches(name).items()}


def assert_reads(path, name):
    batches = small_sets.cifar_batches(name)
    order = list(batches)[::-1]
    images, labels = read_cifar(
        path, {b: len(batches[b][1]) for b in order}, n_classes=N_CLASSES[name]
    )
    wanted = [np.concatenate(arrays) for arrays in zip(*(batches[b] for b in order), strict=True)]
    np.testing.assert_array_equal(images, wanted[0], strict=True)
    np.testing.assert_array_equal(labels, wanted[1], strict=True)


@pytest.mark.parametrize("name", N_CLASSES)
@pytest.mark.parametrize("version", small_sets.VERSIONS)
@pytest.mark.parametrize("form", ["folder", "", "gz", "xz", "bz2"])
def test_every_form(tmp_path, name, version, form):
    files = small_sets.cifar_files(name, version)
    if form == "folder":
        small_sets.write_files(tmp_path, files)
        path = tmp_path / small_sets.VERSIONS[version][2][name]
    else:
        path = tmp_path / "archive"
        path.write_bytes(small_sets.tar_bytes(files, form))
    assert_reads(path, name)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("as_bytes", [False, True])
def test_batches_that_someone_pickled_again(tmp_path, protocol, as_bytes):
    for name, (images, labels) in small_sets.cifar_batches("cifar-10").items():
        content = pickle.loads(small_sets.python_batch(images, labels))
        if as_bytes:
            content = {key.encode(): value for key, value in content.items()}
        (tmp_path / name).write_bytes(pickle.dumps(content, protocol))
    assert_reads(tmp_path, "cifar-10")


def test_old_batches_are_as_numpy_writes_them():
    """The opcodes of `small_sets` mean what they shall, to the pickle of the standard library."""
    images, labels = small_sets.cifar_batches("cifar-100")["train"]
    found = pickle.loads(small_sets.old_python_batch(images, labels), encoding="bytes")
    rows = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    np.testing.assert_array_equal(found[b"data"], rows)
    assert found[b"coarse_labels"] == labels[:, 0].tolist()


class Harmful:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_that_run_something_are_refused(tmp_path, protocol):
    sign = tmp_path / "sign"
    harmful = pickle.dumps({"data": Harmful(sign), "labels": []}, protocol)
    (tmp_path / "test_batch").write_bytes(harmful)
    with pytest.raises(ValueError, match="test_batch: .*it wants .*open, which no image needs"):
        read_cifar(tmp_path, {"test_batch": 1}, n_classes=(10,))
    assert not sign.exists()
    pickle.loads(harmful)["data"].close()
    assert sign.exists()


def batch(data=None, labels=(1, 2)):
    data = np.zeros((2, 3072), np.uint8) if data is None else data
    return pickle.dumps({"data": data, "labels": list(labels)})


WRONG = {
    "cut": (batch()[:-100], "no batch of the Python version"),
    "page": (b"<html>", "no batch of the Python version"),
    "empty": (b"", "no batch of the Python version"),
    "list": (pickle.dumps([1, 2]), "no batch of the Python version"),
    "no labels": (pickle.dumps({"data": np.zeros((2, 3072), np.uint8)}), "labels"),
    "few labels": (batch(labels=[1]), r"pixels \(2, 3072\) and labels \(1, 1\)"),
    "few images": (batch(np.zeros((1, 3072), np.uint8), [1]), r"pixels \(1, 3072\)"),
    "floats": (batch(np.zeros((2, 3072))), "not whole numbers"),
    "text for labels": (batch(labels="ab"), "not whole numbers"),
    "text for pixels": (batch("pixels"), "not whole numbers"),
    "high label": (batch(labels=[1, 10]), "labels from 1 to 10; wanted 0 to 9"),
    "low label": (batch(labels=[-1, 9]), "labels from -1 to 9"),
}


@pytest.mark.parametrize("content, reason", WRONG.values(), ids=WRONG)
def test_wrong_python_batches(tmp_path, content, reason):
    (tmp_path / "test_batch").write_bytes(content)
    with pytest.raises(ValueError, match=f"{tmp_path} is damaged: test_batch: .*{reason}") as info:
        read_cifar(tmp_path, {"test_batch": 2}, n_classes=(10,))
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    "content, reason",
    [
        (bytes(3073), "ends before its 2 images"),
        (bytes(2 * 3073 - 1), "ends before its 2 images"),
        (bytes(2 * 3073 + 1), "more than the 2 images"),
        (b"\x0a" + bytes(2 * 3073 - 1), "labels from 0 to 10"),
    ],
    ids=["one", "cut", "long", "label"],
)
def test_wrong_binary_batches(tmp_path, content, reason):
    (tmp_path / "test_batch.bin").write_bytes(content)
    with pytest.raises(ValueError, match=f"test_batch: it .*{reason}"):
        read_cifar(tmp_path, {"test_batch": 2}, n_classes=(10,))


@pytest.mark.parametrize("archived", [False, True])
def test_missing_batches_are_named(tmp_path, archived):
    files = small_sets.cifar_files("cifar-10", "binary")
    del files["cifar-10-batches-bin/data_batch_2.bin"], files["cifar-10-batches-bin/test_batch.bin"]
    small_sets.write_files(tmp_path, files)
    path = tmp_path / "cifar-10-batches-bin"
    if archived:
        path = tmp_path / "cifar.tar.gz"
        path.write_bytes(small_sets.tar_bytes(files, "gz"))
    with pytest.raises(ValueError, match=f"{path} is damaged: it lacks data_batch_2, test_batch;"):
        read_cifar(path, sizes("cifar-10"), n_classes=(10,))


@pytest.mark.parametrize("compression", ["", "gz", "xz"])
@pytest.mark.parametrize("version", small_sets.VERSIONS)
def test_cut_archives(tmp_path, compression, version):
    whole = small_sets.tar_bytes(small_sets.cifar_files("cifar-10", version), compression)
    path = tmp_path / "cifar.tar"
    for share in (0, 0.1, 0.5, 0.75):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ValueError, match=f"{path} is damaged: .*; remove it") as info:
            read_cifar(path, sizes("cifar-10"), n_classes=(10,))
        assert "\n" not in str(info.value)


@pytest.mark.parametrize("compression", ["gz", "xz"])
def test_checksum_at_the_end_of_an_archive_is_compared(tmp_path, compression):
    whole = small_sets.tar_bytes(small_sets.cifar_files("cifar-10", "binary"), compression)
    path = tmp_path / "cifar.tar"
    path.write_bytes(whole[:-8] + bytes(8))
    with pytest.raises(ValueError, match=f"{path} is damaged"):
        read_cifar(path, sizes("cifar-10"), n_classes=(10,))


def test_no_archive(tmp_path):
    path = tmp_path / "cifar.tar.xz"
    path.write_bytes(lzma.compress(b"<html>"))
    with pytest.raises(ValueError, match="is damaged"):
        read_cifar(path, sizes("cifar-10"), n_classes=(10,))
    with pytest.raises(FileNotFoundError):
        read_cifar(tmp_path / "nothing.tar", sizes("cifar-10"), n_classes=(10,))


def test_pixels_are_not_kept_thrice(tmp_path):
    import tracemalloc

    n_images = 6_000
    (tmp_path / "test_batch.bin").write_bytes(bytes(n_images * 3073))
    tracemalloc.start()
    read_cifar(tmp_path, {"test_batch": n_images}, n_classes=(10,))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.6 * n_images * 3072
