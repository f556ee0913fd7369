"""Fitted models on disk: joblib, with a manifest that is checked before anything is unpickled."""

import hashlib
import json
import warnings
from pathlib import Path

import joblib

from visionpipe.environment import versions
from visionpipe.files import appearing_whole, write_whole

__all__ = ["load", "save"]

FORMAT_VERSION = 1


def save(model, path):
    """Write a fitted model, and beside it a manifest ``<path>.json``.

    The manifest holds the format's version, the versions of Python and of the packages used, the
    model's classes, the shape of the images it was fitted on, and the size and SHA-256 of the file.
    Each file appears whole or not at all.

    Parameters
    ----------
    model : estimator
        Anything that joblib can dump. Networks are stored as CPU weights, without optimizer state.
    path : path-like
        Where to write; folders on the way are made.

    Returns
    -------
    pathlib.Path
        Of the model file.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> from visionpipe import HOG, load, load_faces, save
    >>> faces = load_faces()
    >>> model = make_pipeline(HOG(), SVC()).fit(faces.images, faces.target)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save(model, folder + "/faces.joblib")
    ...     bool((load(path).predict(faces.images) == model.predict(faces.images)).all())
    True
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with appearing_whole(path) as draft:
        joblib.dump(model, draft)
        manifest = {
            "format_version": FORMAT_VERSION,
            "model": type(model).__name__,
            "versions": versions(),
            "classes": _classes(model),
            "input": _input_description(model),
            "files": {path.name: {"bytes": draft.stat().st_size, "sha256": _sha256(draft)}},
        }
    write_whole(_manifest_path(path), json.dumps(manifest, indent=2) + "\n")
    return path


def load(path):
    """Read a model that `save` wrote.

    The file's size and SHA-256 are compared with the manifest before anything is unpickled. That
    finds damage, not malice: whoever can change the file can change the manifest, and unpickling
    runs code, so load only what you trust.

    Parameters
    ----------
    path : path-like
        Of the model file.

    Returns
    -------
    estimator

    Raises
    ------
    ValueError
        If a file is missing or damaged, the manifest's format is unknown, or the model cannot be
        rebuilt under the versions installed here.

    Warns
    -----
    UserWarning
        If the model was saved under other versions; names each.
    """
    path = Path(path)
    manifest = _read_manifest(path)
    _check_files(path, manifest["files"])
    _warn_of_versions(path, manifest["versions"])
    try:
        return joblib.load(path)
    except Exception as error:
        raise ValueError(
            f"{path} is undamaged, but cannot be rebuilt here ({type(error).__name__}: {error}); "
            f"it was saved under {_join(manifest['versions'])}"
        ) from error


def _manifest_path(path):
    return path.with_name(path.name + ".json")


def _read_manifest(path):
    beside = _manifest_path(path)
    if not path.is_file():
        raise ValueError(f"there is no model file {path}")
    if not beside.is_file():
        raise ValueError(
            f"{path} has no manifest {beside.name} beside it; wanted a model written by "
            "visionpipe.save (joblib.load reads a plain joblib file, if you trust it)"
        )
    try:
        manifest = json.loads(beside.read_text(encoding="utf-8"))
        format_version = manifest["format_version"]
        if format_version == FORMAT_VERSION:
            manifest["files"][path.name], manifest["versions"].items()
            return manifest
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(
            f"{beside} is not a manifest of {path.name}; save the model again"
        ) from None
    raise ValueError(
        f"{path} has format version {format_version!r}, this visionpipe reads {FORMAT_VERSION}; "
        "update visionpipe, or save the model again"
    )


def _check_files(path, files):
    for name, wanted in files.items():
        file = path.with_name(name)
        if not file.is_file():
            raise ValueError(f"{file} is missing; it belongs to the model {path}")
        if file.stat().st_size != wanted["bytes"] or _sha256(file) != wanted["sha256"]:
            raise ValueError(
                f"{file} is damaged: {file.stat().st_size} bytes that do not match the "
                f"{wanted['bytes']} bytes and SHA-256 of its manifest; copy or save it again"
            )


def _warn_of_versions(path, saved):
    here = versions()
    differing = [
        f"{name} {version} (here {here.get(name, 'none')})"
        for name, version in saved.items()
        if here.get(name) != version
    ]
    if differing:
        warnings.warn(
            f"{path} was saved under other versions, its predictions may differ: "
            + ", ".join(differing),
            stacklevel=3,
        )


def _sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _join(found):
    return ", ".join(f"{name} {version}" for name, version in found.items())


def _classes(model):
    classes = getattr(model, "classes_", None)
    return None if classes is None else classes.tolist()


def _input_description(model):
    """Shape (h, w, c) of the first image of the training set, where an estimator noted it."""
    while hasattr(model, "best_estimator_"):
        model = model.best_estimator_
    for part in (model, *(step for _, step in getattr(model, "steps", []))):
        shape = getattr(part, "image_shape_in_", None)
        if shape is not None:
            return {"image_shape": [int(s) for s in shape]}
    return None
