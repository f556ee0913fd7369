"""How the benchmarks measure: two ways of one job in turn, in one process, and the median ratio."""

import json
import statistics
import time
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from visionpipe.environment import hardware, versions

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Timing:
    """One job done in two ways.

    Attributes
    ----------
    job : str
    peer : str
        What it is measured against.
    microseconds, peer_microseconds : float
        Per image, medians over runs.
    times_as_fast : float
        Median over runs of the peer's time over ours, both taken within that run.
    lowest, highest : float
        The extremes of that ratio.
    """

    job: str
    peer: str
    microseconds: float
    peer_microseconds: float
    times_as_fast: float
    lowest: float
    highest: float


def race(job, peer, ours, theirs, *, n_ours, n_theirs, n_runs):
    """Time two functions in turn.

    Parameters
    ----------
    job, peer : str
        What is done, and what it is measured against.
    ours, theirs : callable
        Without arguments; each does a number of images.
    n_ours, n_theirs : int
        How many images each call does.
    n_runs : int
        How often, after one call of each that does not count.

    Returns
    -------
    Timing
    """
    ours(), theirs()
    pairs = [(_seconds(ours) / n_ours, _seconds(theirs) / n_theirs) for _ in range(n_runs)]
    ratios = [their_time / our_time for our_time, their_time in pairs]
    return Timing(
        job=job,
        peer=peer,
        microseconds=round(1e6 * statistics.median(our_time for our_time, _ in pairs), 2),
        peer_microseconds=round(1e6 * statistics.median(their_time for _, their_time in pairs), 2),
        times_as_fast=round(statistics.median(ratios), 2),
        lowest=round(min(ratios), 2),
        highest=round(max(ratios), 2),
    )


def _seconds(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def show(timing):
    """Print one timing as a line."""
    print(
        f"{timing.job:<34} {timing.microseconds:>9.2f} µs   {timing.peer:<38} "
        f"{timing.peer_microseconds:>9.2f} µs   {timing.times_as_fast:>6.1f} times as fast "
        f"({timing.lowest:.1f} to {timing.highest:.1f})",
        flush=True,
    )


def keep(name, timings, **circumstances):
    """Write timings with date, hardware and versions to ``benchmarks/results/NAME.json``.

    Returns
    -------
    pathlib.Path
    """
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    record = {
        "date": date.today().isoformat(),
        "hardware": hardware(),
        "versions": versions(),
        **circumstances,
        "timings": [asdict(timing) for timing in timings],
    }
    path.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
