"""A folder of odd files, all made here, and what a reader should make of each of them.

The pixels that a file should give are those it was made of, never those that the reader returned.
"""

import os
from functools import cache

from odd_files import jpegs, names, others, pngs, tiffs

__all__ = ["build", "cases"]


FAMILIES = (
    *(jpegs.modes, jpegs.orientations, jpegs.damaged),
    *(pngs.modes, pngs.transparency, pngs.layouts, pngs.chunks, pngs.damaged, pngs.bombs),
    *(tiffs.layouts, tiffs.modes, tiffs.colours, tiffs.deep, tiffs.numbers, tiffs.damaged),
    *(others.gifs, others.webps, others.bmps, others.netpbms),
    *(others.pcxs, others.tgas, others.jp2s, others.avifs),
    *(names.liars, names.odd, names.passed_over, names.unreadable),
)


@cache
def cases():
    """All cases, made in memory."""
    return [case for family in FAMILIES for case in family()]


def build(folder):
    """Write the files below a folder; return the cases that this system could write."""
    built = []
    for case in cases():
        path = os.path.join(folder, case.name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            _make(path, case.content)
        except (OSError, UnicodeError):  # such a name, or such a kind of file, is not for it
            continue
        built.append(case)
    return built


def _make(path, content):
    if callable(content):
        content(path)
        return
    with open(path, "wb") as file:
        file.write(content)
