"""The standard data sets with a few images each, in the forms in which they come, and a registry.

The writers follow the formats' descriptions and share nothing with the readers.
"""

import gzip
import hashlib
import io
import json
import pickle
import struct
import tarfile
import zipfile

import numpy as np

N_IDX = {"train": 12, "test": 5}
N_BATCH, N_CIFAR100 = 3, {"train": 8, "test": 4}
BATCHES = [f"data_batch_{number}" for number in range(1, 6)]
CLASSES_101 = ["Faces", "accordion", "yin_yang"]
N_EACH_101 = 2
DIGITS = [str(digit) for digit in range(10)]


# ------------------------------------------------------------------------------------------- idx


def idx_arrays(name):
    """Images and labels of the parts of "mnist" or "fashion-mnist"."""
    rng = np.random.default_rng(len(name))
    return {
        part: (rng.integers(256, size=(n, 5, 4), dtype=np.uint8), rng.integers(10, size=n))
        for part, n in N_IDX.items()
    }


def idx_bytes(array):
    """An idx file of unsigned bytes."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.astype(np.uint8).tobytes()


def idx_files(name):
    """The contents of the four files, by their official names."""
    files = {}
    for part, (images, labels) in idx_arrays(name).items():
        prefix = {"train": "train", "test": "t10k"}[part]
        files[f"{prefix}-images-idx3-ubyte.gz"] = gzip.compress(idx_bytes(images))
        files[f"{prefix}-labels-idx1-ubyte.gz"] = gzip.compress(idx_bytes(labels))
    return files


def write_idx(folder, name, *, packed=True, dotted=False):
    """Put the four files into a folder, under one of their usual names."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in idx_files(name).items():
        file = file.replace("-idx", ".idx") if dotted else file
        path = folder / (file if packed else file.removesuffix(".gz"))
        path.write_bytes(content if packed else gzip.decompress(content))


# ----------------------------------------------------------------------------------------- CIFAR


def cifar_batches(name):
    """Images (n, 32, 32, 3) and labels (n, 1 or 2) of the batches of "cifar-10" or "cifar-100"."""
    rng = np.random.default_rng(0)
    if name == "cifar-10":
        sizes, n_classes = dict.fromkeys([*BATCHES, "test_batch"], N_BATCH), [10]
    else:
        sizes, n_classes = N_CIFAR100, [20, 100]
    return {
        batch: (
            rng.integers(256, size=(n, 32, 32, 3), dtype=np.uint8),
            np.column_stack([rng.integers(k, size=n) for k in n_classes]),
        )
        for batch, n in sizes.items()
    }


def binary_batch(images, labels):
    """Labels and pixels, channel by channel, a byte each."""
    return b"".join(
        bytes(label.tolist()) + image.transpose(2, 0, 1).tobytes()
        for image, label in zip(images, labels, strict=True)
    )


def label_fields(labels):
    names = ["labels"] if labels.shape[1] == 1 else ["coarse_labels", "fine_labels"]
    return dict(zip(names, labels.T.tolist(), strict=True))


def python_batch(images, labels):
    """What Python 3 pickles."""
    rows = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    return pickle.dumps({"data": rows, **label_fields(labels), "batch_label": "a batch"})


def old_python_batch(images, labels):
    """What Python 2 and NumPy 1 pickled: the official files; written opcode by opcode."""
    text = lambda value: b"U" + bytes([len(value)]) + value.encode()  # noqa: E731
    whole = lambda value: b"J" + struct.pack("<i", value)  # noqa: E731
    raw = images.transpose(0, 3, 1, 2).tobytes()
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + whole(0) + b"\x85" + text("b")
        + b"tR(" + whole(1) + b"(" + whole(len(images)) + whole(3072) + b"tcnumpy\ndtype\n("
        + text("u1") + whole(0) + whole(1) + b"tR(" + whole(3) + text("|") + b"NNN" + whole(-1)
        + whole(-1) + whole(0) + b"tb\x89T" + struct.pack("<i", len(raw)) + raw + b"tb"
    )  # fmt: skip
    fields = text("data") + array
    for name, values in label_fields(labels).items():
        fields += text(name) + b"](" + b"".join(map(whole, values)) + b"e"
    return b"\x80\x02}(" + fields + b"u."


VERSIONS = {
    "python": (
        *(old_python_batch, ""),
        {"cifar-10": "cifar-10-batches-py", "cifar-100": "cifar-100-python"},
    ),
    "binary": (
        *(binary_batch, ".bin"),
        {"cifar-10": "cifar-10-batches-bin", "cifar-100": "cifar-100-binary"},
    ),
}  # by name: what writes a batch, the suffix of batches, the folder they are in


def cifar_files(name, version):
    """The contents of the files of a version, by their paths in the official archive."""
    write, suffix, folders = VERSIONS[version]
    files = {
        f"{folders[name]}/{batch}{suffix}": write(*content)
        for batch, content in cifar_batches(name).items()
    }
    return files | {f"{folders[name]}/readme.html": b"<html>"}


# ----------------------------------------------------------------------------------- Caltech-101


def class_files():
    """The contents of the images, by their paths in the official archive."""
    from PIL import Image

    files = {}
    for value, name in enumerate(["BACKGROUND_Google", *CLASSES_101]):
        for number in range(N_EACH_101):
            file = io.BytesIO()
            Image.new("RGB", (6, 4), (value, number, 0)).save(file, "PNG")
            files[f"101_ObjectCategories/{name}/image_{number:04}.png"] = file.getvalue()
    return files


def zipped_classes():
    """The official form: a zip archive with a tar archive in it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("caltech-101/101_ObjectCategories.tar.gz", tar_bytes(class_files(), "gz"))
        archive.writestr("caltech-101/Annotations.tar", b"other")
    return file.getvalue()


# --------------------------------------------------------------------- archives and the registry


def tar_bytes(files, compression=""):
    """A tar archive, compressed by "gz" or "xz"."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=f"w:{compression}") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def write_files(folder, files):
    """Write files, by their paths, into a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def offered():
    """What a server offers: the official files, by set and name."""
    cifar = {
        name: {f"{name}-python.tar.gz": tar_bytes(cifar_files(name, "python"), "gz")}
        for name in ("cifar-10", "cifar-100")
    }
    return {
        "mnist": idx_files("mnist"),
        "fashion-mnist": idx_files("fashion-mnist"),
        **cifar,
        "caltech-101": {"caltech-101.zip": zipped_classes()},
    }


def write_registry(path, files, addresses):
    """A registry of the small sets, whose files lie below the addresses, a folder for each set."""
    tables = _tables()
    for name, table in tables.items():
        table |= dict.fromkeys(["title", "description", "source", "licence", "citation"], name)
        table["addresses"] = [f"{address}{name}/" for address in addresses]
        table["files"] = [
            {"name": n, "size": len(c), "sha256": hashlib.sha256(c).hexdigest()}
            for n, c in files[name].items()
        ]
    path.write_text("".join(_toml(name, table) for name, table in tables.items()))


def _tables():
    tables = {
        name: {
            "classes": DIGITS,
            "image_shape": [5, 4],
            "parts": N_IDX,
            "first_labels": {p: y[:4].tolist() for p, (_, y) in idx_arrays(name).items()},
        }
        for name in ("mnist", "fashion-mnist")
    }
    tables["cifar-10"] = {
        "classes": DIGITS,
        "folders": ["cifar-10-batches-py", "cifar-10-batches-bin"],
        "archives": ["cifar-10-python", "cifar-10-binary"],
        "batches": {"train": dict.fromkeys(BATCHES, N_BATCH), "test": {"test_batch": N_BATCH}},
    }
    tables["cifar-100"] = {
        "classes": [f"fine {number}" for number in range(100)],
        "coarse_classes": [f"coarse {number}" for number in range(20)],
        "folders": ["cifar-100-python", "cifar-100-binary"],
        "archives": ["cifar-100-python", "cifar-100-binary"],
        "batches": {part: {part: n} for part, n in N_CIFAR100.items()},
    }
    tables["caltech-101"] = {
        "classes": CLASSES_101,
        "n_images": N_EACH_101 * len(CLASSES_101),
        "folders": ["101_ObjectCategories"],
        "archives": ["caltech-101", "101_ObjectCategories"],
    }
    return tables


def _toml(name, table):
    lines = [f"{key} = {_value(value)}" for key, value in table.items()]
    return "\n".join([f'["{name}"]', *lines, "", ""])


def _value(value):
    """TOML of a value: JSON, but for tables."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value)
