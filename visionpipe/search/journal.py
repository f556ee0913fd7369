"""The journal of searches: one JSON object a line, appended by any process, and its reader."""

import errno
import json
import logging
import os
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path

from visionpipe.search.identity import describe, digest

__all__ = ["FitRecord", "Journal", "Progress", "candidate_key", "unit_key"]

SECONDS_BETWEEN_LOOKS = 0.25  # of the thread that follows the journal

logger = logging.getLogger("visionpipe.search")


class Journal:
    """A file of one JSON object a line, each with a checksum."""

    def __init__(self, path):
        self.path = Path(path).absolute()
        self.search, self.warned = None, False
        if self.path.is_dir():
            raise ValueError(
                f"journal {path} is a directory; wanted a file: {self.path / 'search.jsonl'}"
            )
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.open("ab").close()
        except OSError as error:
            self._warn(error)

    def _warn(self, error):
        if not self.warned:
            self.warned = True
            warnings.warn(
                f"journal {self.path} cannot be written ({error}); the search goes on, and what is "
                "not written will be fitted again when it is resumed",
                stacklevel=4,
            )

    def append(self, entry):
        text = json.dumps({"search": self.search, **entry})
        line = f'{text[:-1]}, "checksum": "{digest(text.encode())}"}}\n'
        try:
            _append(self.path, line.encode())
        except OSError as error:
            self._warn(error)

    def find(self, start_of_unit):
        """Entries of this search whose unit begins so."""
        key = start_of_unit.encode()
        try:
            with self.path.open("rb") as file:
                entries = [parse(line) for line in file if key in line]
        except OSError:
            return []
        return [entry for entry in entries if entry and entry["search"] == self.search]


def _append(path, line):
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        if size := os.lseek(file, 0, os.SEEK_END):
            os.lseek(file, size - 1, os.SEEK_SET)
            if os.read(file, 1) != b"\n":  # the last line is cut
                line = b"\n" + line
        if (n_written := os.write(file, line)) < len(line):
            raise OSError(errno.ENOSPC, f"{n_written} of {len(line)} bytes were written")
        os.fsync(file)
    finally:
        os.close(file)


def parse(line):
    """Entry of a line, None if the line is damaged."""
    try:
        entry = json.loads(line)
        checksum = entry.pop("checksum")
        return entry if digest(json.dumps(entry).encode()) == checksum else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def candidate_key(parameters, train):
    """First half of the name of a unit: these parameters fitted on these rows."""
    return digest(describe(sorted(parameters.items()))[0].encode() + train.tobytes())


def unit_key(candidate, test):
    return f"{candidate}-{digest(test.tobytes())}"


# ------------------------------------------------------------ what is told while it is written


@dataclass(frozen=True)
class FitRecord:
    """What one fit of a search gave.

    Attributes
    ----------
    parameters : dict
        Those of the candidate.
    fold : int or None
        Number of the fold, from 0.
    scores : dict of str to float
        Named as in `cv_results_`: ``"test_score"``, or ``"test_accuracy"`` if there are several
        metrics, and ``"train_..."``.
    fit_time, score_time : float
        Wall-clock seconds.
    resumed : bool
        Whether it stood in the journal before this search began.
    """

    parameters: dict
    fold: int | None
    scores: dict
    fit_time: float
    score_time: float
    resumed: bool


class Progress(threading.Thread):
    """Follows the journal and calls `on_fit` with each fit of the search in it."""

    def __init__(self, journal, on_fit):
        super().__init__(daemon=True)
        self.journal, self.on_fit, self.is_over = journal, on_fit, threading.Event()
        self.offset, self.found, self.expected, self.told = 0, {}, {}, set()
        entries = self._read()
        n_others = sum(entry is not None and not self._is_ours(entry) for entry in entries)
        if n_others:
            logger.info("journal %s: %d lines of other searches", journal.path, n_others)
        if None in entries:
            warnings.warn(
                f"journal {journal.path} has {entries.count(None)} lines that are cut or damaged; "
                "they are passed over, and what they were to hold is fitted again",
                stacklevel=3,
            )
        self.old = frozenset(self.found)

    def __enter__(self):
        if self.on_fit is not None:
            self.start()
        return self

    def __exit__(self, *error):
        self.is_over.set()
        if self.on_fit is not None:
            self.join()

    def expect(self, units, n_total):
        """From now on tell of these units, a dict to (parameters, fold)."""
        n_old = len(units.keys() & self.old)
        logger.info("journal %s: %d of %d fits are there", self.journal.path, n_old, len(units))
        self.n_total = n_total
        self.expected.update(units)

    def run(self):
        is_over = False
        while not is_over:
            is_over = self.is_over.wait(SECONDS_BETWEEN_LOOKS)  # look once more after the end
            self._read(up_to_last_newline=True)
            for unit in [u for u in self.found if u in self.expected and u not in self.told]:
                self._tell(unit, self.found[unit])

    def _is_ours(self, entry):
        return entry["search"] == self.journal.search

    def _read(self, up_to_last_newline=False):
        """Entries that were appended since the last call, None for damaged ones."""
        try:
            with self.journal.path.open("rb") as file:
                file.seek(self.offset)
                lines = file.readlines()
        except OSError:
            return []
        if up_to_last_newline and lines and not lines[-1].endswith(b"\n"):
            lines.pop()
        self.offset += sum(map(len, lines))
        entries = [parse(line) for line in lines if line.strip()]
        for entry in entries:
            if entry is not None and self._is_ours(entry):
                self.found.setdefault(entry["unit"], entry)
        return entries

    def _tell(self, unit, entry):
        self.told.add(unit)
        if self.on_fit is None:
            return
        parameters, fold = self.expected[unit]
        scores = {**_named("test", entry["test"]), **_named("train", entry.get("train", {}))}
        times = entry["fit_time"], entry["score_time"]
        record = FitRecord(parameters, fold, scores, *times, resumed=unit in self.old)
        try:
            self.on_fit(len(self.told), self.n_total, record)
        except Exception as error:
            self.on_fit = None
            warnings.warn(
                f"on_fit raised {type(error).__name__}: {error}; it is not called any more, the "
                "search goes on",
                stacklevel=2,
            )


def _named(kind, scores):
    scores = scores if isinstance(scores, dict) else {"score": scores}
    return {f"{kind}_{name}": score for name, score in scores.items()}
