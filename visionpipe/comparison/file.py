"""Comparisons on disk: a zip archive of arrays and JSON, which runs no code when it is read."""

import io
import json
import zipfile
from dataclasses import asdict
from pathlib import Path

import numpy as np

from visionpipe.comparison.outcome import Cost, CurvePoint, Outcome, Picture, Result
from visionpipe.files import appearing_whole

__all__ = ["read_comparison", "write_comparison"]

FORMAT_VERSION = 1
_PLAIN = (  # attributes that are JSON as they are
    "name",
    "random_state",
    "fingerprint",
    "warnings",
    "duplicate_pairs",
    "circumstances",
)
_ARRAYS = ("predicted", "in_top_5", "probabilities")  # of an outcome


def write_comparison(comparison, path):
    """Write a comparison.

    Parameters
    ----------
    comparison : Comparison
    path : path-like

    Returns
    -------
    pathlib.Path
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {"y": comparison.y}
    if comparison.groups is not None and comparison.groups.dtype != object:
        arrays["groups"] = comparison.groups
    for number, (train, test) in enumerate(comparison.folds):
        arrays[f"folds/{number}/train"] = train.astype(np.int32)
        arrays[f"folds/{number}/test"] = test.astype(np.int32)
    meta = {
        "format_version": FORMAT_VERSION,
        **{name: getattr(comparison, name) for name in _PLAIN},
        "classes": comparison.classes.tolist(),
        "results": {
            name: _result_to_json(result, f"results/{number}", arrays)
            for number, (name, result) in enumerate(comparison.results.items())
        },
    }
    arrays["meta"] = np.frombuffer(json.dumps(meta, default=repr).encode(), dtype=np.uint8)
    with appearing_whole(path) as draft, open(draft, "wb") as file:
        np.savez_compressed(file, **arrays)
    return path


def _result_to_json(result, where, arrays):
    """All of a result that is no array; arrays are put beside it, by their place."""
    outcomes = []
    for number, outcome in enumerate(result.outcomes):
        record = {
            name: getattr(outcome, name)
            for name in Outcome.__dataclass_fields__
            if name not in (*_ARRAYS, "cost", "pictures")
        }
        record["cost"] = None if outcome.cost is None else asdict(outcome.cost)
        record["pictures"] = [[picture.kind, picture.caption] for picture in outcome.pictures]
        for name in _ARRAYS:
            if getattr(outcome, name) is not None:
                arrays[f"{where}/{number}/{name}"] = getattr(outcome, name)
        for i, picture in enumerate(outcome.pictures):
            arrays[f"{where}/{number}/pictures/{i}"] = np.frombuffer(picture.png, dtype=np.uint8)
        outcomes.append(record)
    return {
        "description": result.description,
        "hardware": result.hardware,
        "versions": result.versions,
        "curve": [asdict(point) for point in result.curve],
        "outcomes": outcomes,
    }


def read_comparison(path):
    """Read what `write_comparison` wrote.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    dict of str to object
        Attributes of a `Comparison`, but for its images.

    Raises
    ------
    ValueError
        If it is no such file, or damaged.
    """
    try:
        with np.load(io.BytesIO(Path(path).read_bytes()), allow_pickle=False) as arrays:
            meta = json.loads(arrays["meta"].tobytes())
            if meta["format_version"] == FORMAT_VERSION:
                return _from_json(meta, arrays)
    except OSError:
        raise
    except (ValueError, KeyError, TypeError, IndexError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is not a whole file of a comparison ({type(error).__name__}: {error}); wanted "
            "what Comparison.save or visionpipe compare --out wrote"
        ) from None
    raise ValueError(
        f"{path} has format version {meta['format_version']!r}, this visionpipe reads "
        f"{FORMAT_VERSION}; update visionpipe, or compare again"
    )


def _from_json(meta, arrays):
    n_folds = sum(name.endswith("/train") for name in arrays.files)
    return {
        **{name: meta[name] for name in _PLAIN},
        "classes": np.array(meta["classes"]),
        "y": arrays["y"],
        "groups": arrays["groups"] if "groups" in arrays.files else None,
        "folds": [
            (arrays[f"folds/{number}/train"], arrays[f"folds/{number}/test"])
            for number in range(n_folds)
        ],
        "results": {
            name: _result_from_json(record, f"results/{number}", arrays)
            for number, (name, record) in enumerate(meta["results"].items())
        },
    }


def _result_from_json(record, where, arrays):
    outcomes = []
    for number, fields in enumerate(record["outcomes"]):
        for name in _ARRAYS:
            key = f"{where}/{number}/{name}"
            fields[name] = arrays[key] if key in arrays.files else None
        fields["cost"] = None if fields["cost"] is None else Cost(**fields["cost"])
        fields["notes"] = tuple(fields["notes"])
        fields["pictures"] = tuple(
            Picture(kind, caption, arrays[f"{where}/{number}/pictures/{i}"].tobytes())
            for i, (kind, caption) in enumerate(fields["pictures"])
        )
        outcomes.append(Outcome(**fields))
    return Result(
        record["description"],
        outcomes,
        [CurvePoint(**point) for point in record["curve"]],
        record["hardware"],
        record["versions"],
    )
