"""What the command lines share: errors and warnings in one line, progress on a terminal."""

import functools
import os
import shutil
import sys
import time
import warnings
from collections import deque

from rich.console import Console
from rich.progress import Progress

__all__ = ["FitLines", "fail_in_one_line", "progress_bar"]

FITS_TO_JUDGE_BY = 20
NARROWEST_PARAMETERS = 72  # rather two lines than one that hides what was fitted


def fail_in_one_line(command):
    """Let a command answer bad input by one line on standard error and exit code 2.

    Parameters
    ----------
    command : callable
        Returns an exit code. ValueError and OSError are what bad input raises, and MemoryError what
        too much of it does; any other error is a fault of the program and keeps its traceback.

    Returns
    -------
    callable
    """

    @functools.wraps(command)
    def guarded(*args, **kwargs):
        _prepare_streams()
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            # of metadata of which it does not say in which file they are
            warnings.filterwarnings("ignore", module=r"PIL\.")
            try:
                return command(*args, **kwargs)
            except BrokenPipeError:  # whoever read the output has seen enough
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                return 128 + 13  # as of a process that SIGPIPE ended
            except (ValueError, OSError, MemoryError) as error:
                print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
                return 2
            except KeyboardInterrupt:
                print("stopped", file=sys.stderr)
                return 130

    return guarded


def _prepare_streams():
    """Let names of files be printed that are not text, and let a stream that is closed swallow."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        if hasattr(getattr(sys, name), "reconfigure"):
            getattr(sys, name).reconfigure(errors="surrogateescape")


def _show_warning(message, category, filename, lineno, file=None, line=None):
    print(f"warning: {' '.join(str(message).split())}", file=sys.stderr)


def progress_bar():
    """Return a progress bar on standard error, with the time left; silent when not a terminal.

    Returns
    -------
    rich.progress.Progress
        A context manager. Lines printed inside it appear above the bar.
    """
    console = Console(stderr=True)
    return Progress(
        console=console,
        transient=True,
        disable=not console.is_terminal,
        redirect_stdout=sys.stdout.isatty(),  # else rich would carry piped output to the terminal
    )


class FitLines:
    """Print a line for each fit of a search, with the time left, where someone is looking.

    To be called as `visionpipe.search.ResumableSearch` calls its `on_fit`. Lines go to standard
    error, if that is a terminal. Fits out of the journal are counted in one line, which is printed
    anywhere: it says that results are not of this run.

    Parameters
    ----------
    journal : path-like
        Where earlier fits were found.
    """

    def __init__(self, journal):
        self.journal = journal
        self._n_resumed = 0
        self._finished = deque(maxlen=FITS_TO_JUDGE_BY + 1)

    def __call__(self, n_done, n_total, record):
        """Take note of a fit.

        Parameters
        ----------
        n_done : int
            How many fits are done, with this one.
        n_total : int or None
            How many there will be; None if nobody knows.
        record : object
            With the attributes of a `visionpipe.search.FitRecord`.
        """
        if record.resumed:
            self._n_resumed += 1
            if n_done == n_total:
                self._print_resumed(n_total)
            return
        if self._n_resumed:
            self._print_resumed(n_total)
        now = time.perf_counter()
        if not self._finished:
            self._finished.append(now - record.fit_time - record.score_time)
        self._finished.append(now)
        if sys.stderr.isatty():
            print(self._line(n_done, n_total, record), file=sys.stderr)

    def _print_resumed(self, n_total):
        of = "" if n_total is None else f" of {n_total}"
        print(f"{self._n_resumed}{of} fits found in {self.journal}", file=sys.stderr)
        self._n_resumed = 0

    def _line(self, n_done, n_total, record):
        total = "?" if n_total is None else n_total
        fold = "" if record.fold is None else f", fold {record.fold}"
        seconds = _duration(record.fit_time + record.score_time)
        left = "" if n_total in (None, n_done) else f", {self._time_left(n_total - n_done)} left"
        start = f"[{n_done:>{len(str(total))}}/{total}] "
        end = f"{fold}: {_scores(record.scores)} in {seconds}{left}"
        width = shutil.get_terminal_size().columns - len(start) - len(end)
        return start + _shortened(record.parameters, width) + end

    def _time_left(self, n_left):
        """What the latest fits took, in all: they end in bursts, so a median gap may be nothing."""
        gap = (self._finished[-1] - self._finished[0]) / (len(self._finished) - 1)
        return _duration(gap * n_left)


def _shortened(parameters, width):
    text = ", ".join(f"{name}={' '.join(str(v).split())}" for name, v in parameters.items())
    width = max(width, NARROWEST_PARAMETERS)
    return text if len(text) <= width else text[: width - 3] + "..."


def _scores(scores):
    """Test scores, by name if there are several."""
    shown = {
        name.removeprefix("test_"): f"{score:.4f}"
        for name, score in scores.items()
        if not name.startswith("train_")
    }
    if len(shown) == 1:
        return next(iter(shown.values()))
    return ", ".join(f"{name} {score}" for name, score in shown.items())


def _duration(seconds):
    """``3.2 s``, ``45 s``, ``1 min 40 s`` or ``2 h 5 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
