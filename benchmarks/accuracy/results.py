"""What is kept of a row: a file NAME.json, to which each further run of the same recipe is added.

``pipeline`` is the recipe in one line; ``settings``, ``goal`` and ``stretch`` are the row's.
``n_train`` and ``n_test`` count the images of one draw, ``n_recompressed`` those that were taken
from a JPEG copy. ``versions`` are those of `visionpipe.environment`. Each of the ``runs`` has

- ``seed``, ``command`` (DATA stands for the folder of the data sets), ``date`` of its end,
  ``hardware``, ``threads``, and ``resumed``, how often it went on after an interruption;
- ``accuracy`` on the test images in percent, and ``n_wrong``, how many were not recognised; with
  several draws, the mean, the ``deviation`` and the ``accuracies``, and ``n_wrong`` of all;
- ``stages``, seconds of each, and ``seconds`` in all. Work that was lost by an interruption does
  not count, nor does keeping what there is to go on with. With several draws, sums of all;
- ``peak_memory_mb``, the most memory that the process had, the images read and Python included;
- ``predictions_sha256`` of the predicted labels: equal ones show that two runs repeat;
- ``n_parameters`` of a network.
"""

import json
from pathlib import Path

from benchmarks import side_by_side
from visionpipe.files import write_whole

__all__ = ["RESULTS", "CannotRun", "check_same", "keep", "load"]

RESULTS = side_by_side.RESULTS / "accuracy"


class CannotRun(Exception):
    """Why a row is not run, or a table is not made."""


def load(name, out):
    """Return what is kept of a row, or None.

    Parameters
    ----------
    name : str
    out : Path

    Returns
    -------
    dict or None
    """
    path = _path(name, out)
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def keep(name, out, about, run):
    """Add a run to what is kept of a row.

    Parameters
    ----------
    name : str
    out : Path
    about : dict
        What all runs have in common.
    run : dict

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    CannotRun
        If what is there is of another recipe or of other versions.
    """
    check_same(name, out, about)
    runs = (load(name, out) or {"runs": []})["runs"]
    record = {"row": name, **about, "runs": [*runs, run]}
    path = _path(name, out)
    write_whole(path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    return path


def check_same(name, out, about):
    """Make sure that a run may be added to what is kept of a row.

    Parameters
    ----------
    name : str
    out : Path
    about : dict
        What is known of the run. The goal may be another than it was.

    Raises
    ------
    CannotRun
        If what is there differs, with all differences.
    """
    kept = load(name, out)
    if kept is None:
        return
    there, here = ({**record, **record.get("versions", {})} for record in (kept, about))
    differ = [
        f"{key} is {there.get(key)} there and {here[key]} here"
        for key in here
        if key not in ("versions", "goal", "stretch") and there.get(key) != here[key]
    ]
    if differ:
        raise CannotRun(
            f"{_path(name, out)} holds another result of {name}: {'; '.join(differ)}. To go on, "
            "name another folder with --out, or remove that file"
        )


def _path(name, out):
    return Path(out) / f"{name}.json"
