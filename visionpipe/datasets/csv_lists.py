"""Lists of images in CSV files: a path in each row, and what is known of that image."""

import csv
import os
from itertools import chain

import numpy as np

from visionpipe.datasets.listing import PARTS

__all__ = ["read_labelled", "read_paths"]

SEPARATORS = {";": "semicolons", "\t": "tabs"}  # that other programs write, and call it CSV


def read_paths(source):
    """Read the paths that a CSV file lists.

    Parameters
    ----------
    source : str
        UTF-8, separated by commas. With a header, the column ``path`` counts, whatever its case.
        Without one, the first of one or two columns.

    Returns
    -------
    list of str
        In the order of the file. Relative paths are taken to begin in the folder of the CSV file.

    Raises
    ------
    ValueError
        If it is no such file. The message names the line.
    """
    return [path for _, path in _rows(source, ["path"])]


def read_labelled(source):
    """Read paths, labels and what else a CSV file says of images.

    Parameters
    ----------
    source : str
        UTF-8, separated by commas. With a header, the columns ``path`` and ``label`` count, and
        ``part`` and ``group`` if they are there, in any order and case. Without one there are two
        columns, path and label.

    Returns
    -------
    dict
        filenames : list of str, in the order of the file.
        target : ndarray of int of shape (n,), positions in `target_names`.
        target_names : ndarray of str, sorted.
        parts : ndarray of str of shape (n,), "train", "validation" or "test", if there is a column.
        groups : ndarray of str of shape (n,), if there is a column.

    Raises
    ------
    ValueError
        If it is no such file, or names two labels for one path. The message names the line.
    """
    filenames, groups, parts, codes = [], [], [], []
    code_of_label, code_of_path = {}, {}
    for line, path, label, part, group in _rows(source, ["path", "label"], ["part", "group"]):
        code = code_of_label.setdefault(label, len(code_of_label))
        before = code_of_path.setdefault(os.path.normpath(path), code)
        if before != code:
            labels = list(code_of_label)
            raise ValueError(
                f"{source}, line {line}: {path} has the label {label!r}, and further up "
                f"{labels[before]!r}; remove one of the two"
            )
        filenames.append(path)
        codes.append(code)
        if part is not None:
            parts.append(_part(part, f"{source}, line {line}"))
        if group is not None:
            groups.append(group)
    names, position = np.unique(list(code_of_label), return_inverse=True)
    fields = {"filenames": filenames, "target": position[codes], "target_names": names}
    if parts:
        fields["parts"] = np.array(parts)
    if groups:
        fields["groups"] = np.array(groups)
    return fields


def _part(text, where):
    try:
        return PARTS[text.strip().lower()]
    except KeyError:
        raise ValueError(
            f"{where}: unknown part {text!r}; wanted train, validation or test"
        ) from None


# ---------------------------------------------------------------------------------- rows of cells


def _rows(source, required, optional=()):
    """Yield line number, path and the other columns of each row; None for one that is not there."""
    names, lines = [*required, *optional], _lines(source)
    number, first = next(lines, (1, required))  # an empty file is like one with a header only
    columns = _named_columns(first, required, f"{source}, line {number}")
    if columns is None:
        columns = _unnamed_columns(first, required, f"{source}, line {number}")
        lines = chain([(number, first)], lines)
    picked = [columns.get(name) for name in names]
    folder, n_rows = os.path.dirname(source), 0
    for number, cells in lines:
        if len(cells) != len(first):
            raise ValueError(
                f"{source}, line {number}: {len(cells)} columns, but {len(first)} in the first "
                'line; put what holds a comma into "quotes"'
            )
        values = [None if column is None else cells[column] for column in picked]
        for name, value in zip(names, values, strict=True):
            if value is not None and not value.strip():
                raise ValueError(f"{source}, line {number}: the {name} is empty")
        n_rows += 1
        yield number, os.path.join(folder, values[0]), *values[1:]
    if not n_rows:
        raise ValueError(f"{source} lists no images; {_form(required)}")


def _named_columns(cells, required, where):
    """Positions by name if the first row is a header, else None."""
    names = [cell.strip().lower() for cell in cells]
    if not {"path", "label"} & set(names):
        return None
    for name in required:
        if name not in names:
            raise ValueError(f"{where}: the header names no column {name}; {_form(required)}")
    columns = {name: position for position, name in enumerate(names)}
    for name in ("path", "label", "part", "group"):
        if names.count(name) > 1:
            raise ValueError(f"{where}: the header names the column {name} more than once")
    return columns


def _unnamed_columns(cells, required, where):
    """Positions by name where no header gives them: path, or path and label."""
    for separator, plural in SEPARATORS.items():
        if len(cells) == 1 and separator in cells[0]:
            raise ValueError(f"{where}: columns are separated by {plural}; wanted commas")
    if len(cells) not in (len(required), 2):
        raise ValueError(f"{where}: {len(cells)} columns and no header; {_form(required)}")
    return {"path": 0, "label": 1}


def _form(required):
    if len(required) == 1:
        return "wanted a column of paths, or a header that names a column path"
    return "wanted path,label in each row, or a header that names the columns path and label"


def _lines(source):
    """Yield the cells of each row that is not blank, and the number of the line it begins in."""
    number = 1
    try:
        with open(source, encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, strict=True)
            for cells in rows:
                if cells:
                    yield number, cells
                number = rows.line_num + 1
    except UnicodeDecodeError:
        raise ValueError(
            f"{source}, line {_first_line_not_utf8(source)}: not text in UTF-8; save it as UTF-8"
        ) from None
    except csv.Error as error:
        raise ValueError(f"{source}, line {number}: {error}") from None


def _first_line_not_utf8(source):
    """Line number; the decoder, which reads ahead, does not know it."""
    with open(source, "rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
