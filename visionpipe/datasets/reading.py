"""Standard data sets out of their files, by format: found, or fetched, then read into a Bunch."""

import numpy as np
from sklearn.utils import Bunch

from visionpipe.datasets.cifar import read_cifar
from visionpipe.datasets.damage import damaged
from visionpipe.datasets.folders import load_images, without_unreadable
from visionpipe.datasets.idx import read_idx
from visionpipe.datasets.on_disk import (
    IDX_KINDS,
    find_archive,
    find_batches,
    find_class_folders,
    find_idx,
    idx_names,
    resolve_data_home,
)
from visionpipe.datasets.registry import read_registry
from visionpipe.datasets.unpacking import unpack_class_folders
from visionpipe.images import as_images

__all__ = ["cifar_set", "class_folder_set", "idx_set"]


def idx_set(name, data_home, subset, download_if_missing, return_X_y):
    """Load a set of idx files: `visionpipe.datasets.fetch_mnist` says what comes and what fails.

    Parameters
    ----------
    name : str
        In the registry.
    data_home, subset, download_if_missing, return_X_y
        As of `visionpipe.datasets.fetch_mnist`.
    """
    entry, home, parts = _prepare(name, data_home, subset)
    paths = {part: _idx_paths(entry, part, home, download_if_missing) for part in parts}
    n_images = sum(entry.parts[part] for part in parts)
    images = np.empty((n_images, *entry.image_shape), np.uint8)
    labels = np.empty(n_images, np.uint8)
    stop = 0
    for part, (images_path, labels_path) in paths.items():
        rows = slice(stop, stop := stop + entry.parts[part])
        read_idx(images_path, out=images[rows])
        read_idx(labels_path, out=labels[rows])
        if labels[rows].max() >= len(entry.classes):
            highest = f"it has the label {labels[rows].max()}"
            raise damaged(labels_path, f"{highest}; wanted 0 to {len(entry.classes) - 1}")
    filenames = [path for pair in paths.values() for path in pair]
    return _bunch(entry, images, labels.astype(np.int64), filenames, parts, return_X_y)


def cifar_set(name, data_home, subset, download_if_missing, return_X_y):
    """Load CIFAR-10 or CIFAR-100: `visionpipe.datasets.fetch_cifar10` says what comes.

    Parameters
    ----------
    name : str
        In the registry.
    data_home, subset, download_if_missing, return_X_y
        As of `visionpipe.datasets.fetch_cifar10`.
    """
    entry, home, parts = _prepare(name, data_home, subset)
    path = find_batches(entry, home)
    if path is None:
        looked_for = f"{' or '.join(entry.folders)}, or an archive of one"
        (path,) = _fetch(entry, entry.files, home, download_if_missing, looked_for)
    batches = {k: n for part in parts for k, n in entry.batches[part].items()}
    kinds = [names for names in (entry.coarse_classes, entry.classes) if names]
    images, labels = read_cifar(path, batches, n_classes=tuple(map(len, kinds)))
    coarse = {}
    if entry.coarse_classes:
        coarse = {
            "coarse_target": labels[:, 0].copy(),
            "coarse_target_names": np.array(entry.coarse_classes),
        }
    return _bunch(entry, images, labels[:, -1].copy(), [path], parts, return_X_y, **coarse)


def class_folder_set(
    name, data_home, subset, download_if_missing, return_X_y, *, errors, max_pixels
):
    """Load Caltech-101: `visionpipe.datasets.fetch_caltech101` says what comes and what fails.

    Parameters
    ----------
    name : str
        In the registry.
    data_home, subset, download_if_missing, return_X_y, errors, max_pixels
        As of `visionpipe.datasets.fetch_caltech101`.
    """
    entry = read_registry()[name]
    if subset != "all":
        raise ValueError(
            f'{entry.title} has no official split: subset must be "all", got {subset!r}; split it '
            "by sklearn.model_selection.train_test_split(..., stratify=target)"
        )
    if errors not in ("raise", "skip"):
        raise ValueError(f'errors must be "raise" or "skip", got {errors!r}')
    folder = _class_folders(entry, resolve_data_home(data_home), download_if_missing)
    data = _of_classes(load_images(folder, max_pixels=max_pixels), entry)
    if len(data.target) != entry.n_images:
        raise damaged(folder, f"it has {len(data.target):,} images; wanted {entry.n_images:,}")
    if errors == "skip":
        data = without_unreadable(data)
    return (data.images, data.target) if return_X_y else data


def _prepare(name, data_home, subset):
    """The entry of a set, the folder of the sets, and the parts that are wanted."""
    entry = read_registry()[name]
    if subset != "all" and subset not in entry.parts:
        raise ValueError(f'subset must be "train", "test" or "all", got {subset!r}')
    parts = list(entry.parts) if subset == "all" else [subset]
    return entry, resolve_data_home(data_home), parts


def _idx_paths(entry, part, home, download_if_missing):
    """The files with the images and the labels of a part."""
    paths = find_idx(entry, part, home)
    if paths is not None:
        return paths
    names = {name for kind in IDX_KINDS for name in idx_names(part, kind)}
    files = [file for file in entry.files if file.name in names]
    looked_for = " and ".join(file.name.removesuffix(".gz") + "[.gz]" for file in files)
    return _fetch(entry, files, home, download_if_missing, looked_for)


def _fetch(entry, files, home, download_if_missing, looked_for):
    """Paths of files that were not on disk."""
    if not download_if_missing:
        raise FileNotFoundError(
            f"{entry.title} is not in {home}: looked there and in sub-folders such as {entry.name} "
            f"for {looked_for}; let it be fetched by download_if_missing=True, or put there what "
            f"{entry.source} offers"
        )
    from visionpipe.datasets.download import download

    return [download(file, home / entry.name) for file in files]


def _class_folders(entry, home, download_if_missing):
    """The folder of class folders, unpacked and fetched if need be."""
    folder = find_class_folders(entry, home)
    if folder is not None:
        return folder
    (name,) = entry.folders
    archive = find_archive(entry, home)
    if archive is None:
        looked_for = f"the folder {name} or an archive of it"
        (archive,) = _fetch(entry, entry.files, home, download_if_missing, looked_for)
    from visionpipe.datasets.download import locked

    folder = home / entry.name / name
    with locked(folder.parent):
        if not folder.exists():
            unpack_class_folders(archive, folder, classes=entry.classes)
    return folder


def _of_classes(data, entry):
    """The images of the classes that the registry names, without those of other folders."""
    positions = {name: position for position, name in enumerate(entry.classes)}
    labels = np.array([positions.get(name, -1) for name in data.target_names])[data.target]
    rows = np.flatnonzero(labels >= 0)
    return Bunch(
        images=data.images[rows],
        target=labels[rows],
        target_names=np.array(entry.classes),
        filenames=data.filenames[rows],
        skipped=[],
        DESCR=_description(entry),
    )


def _bunch(entry, images, target, filenames, parts, return_X_y, **more):
    images = as_images(images)
    if return_X_y:
        return images, target
    if len(parts) > 1:
        more["parts"] = np.repeat(parts, [entry.parts[part] for part in parts])
    return Bunch(
        images=images,
        target=target,
        target_names=np.array(entry.classes),
        filenames=np.array([str(path) for path in filenames], dtype=object),
        DESCR=_description(entry),
        **more,
    )


def _description(entry):
    return (
        f"{entry.title}: {entry.description}\n\nSource: {entry.source}\nLicence: {entry.licence}\n"
        f"Paper: {entry.citation}\n"
    )
