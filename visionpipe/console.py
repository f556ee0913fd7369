"""What the command lines share: errors and warnings in one line, progress on a terminal."""

import functools
import sys
import warnings

from rich.console import Console
from rich.progress import Progress

__all__ = ["fail_in_one_line", "progress_bar"]


def fail_in_one_line(command):
    """Let a command answer bad input by one line on standard error and exit code 2.

    Parameters
    ----------
    command : callable
        Returns an exit code. ValueError and OSError are what bad input raises; any other error is a
        fault of the program and keeps its traceback.

    Returns
    -------
    callable
    """

    @functools.wraps(command)
    def guarded(*args, **kwargs):
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            try:
                return command(*args, **kwargs)
            except (ValueError, OSError) as error:
                print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
                return 2
            except KeyboardInterrupt:
                print("stopped", file=sys.stderr)
                return 130

    return guarded


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
