"""Lines that tell how far a search is."""

import io
from types import SimpleNamespace

import pytest

from visionpipe import console
from visionpipe.console import FitLines


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Standard error of a terminal of 120 columns."""
    terminal = Terminal()
    monkeypatch.setattr(console, "sys", SimpleNamespace(stderr=terminal))
    monkeypatch.setenv("COLUMNS", "120")
    return terminal


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(console.time, "perf_counter", lambda: clock.now)
    return clock


def fit(parameters=None, *, fold=2, scores=None, seconds=(3.0, 0.2), resumed=False):
    return SimpleNamespace(
        parameters={"svm__C": 10} if parameters is None else parameters,
        fold=fold,
        scores=scores or {"test_score": 0.96114},
        fit_time=seconds[0],
        score_time=seconds[1],
        resumed=resumed,
    )


def test_a_line_for_each_fit_with_the_time_left(terminal, clock):
    lines = FitLines("best.jsonl")
    for n_done in (1, 2):
        clock.now += 5
        lines(n_done, 22, fit())
    lines(3, 22, fit(fold=None, seconds=(70, 5)))  # ends together with the second
    clock.now += 5
    lines(22, 22, fit({"a": 1, "b": "two"}, scores={"train_f1": 1, "test_f1": 0.5, "test_r2": 1}))
    assert terminal.getvalue().splitlines() == [
        "[ 1/22] svm__C=10, fold 2: 0.9611 in 3.2 s, 1 min 7 s left",
        "[ 2/22] svm__C=10, fold 2: 0.9611 in 3.2 s, 1 min 22 s left",
        "[ 3/22] svm__C=10: 0.9611 in 1 min 15 s, 52 s left",
        "[22/22] a=1, b=two, fold 2: f1 0.5000, r2 1.0000 in 3.2 s",
    ]


def test_time_left_is_judged_by_the_latest_fits(terminal, clock):
    lines = FitLines("best.jsonl")
    for n_done in range(1, 100):
        clock.now += 100 if n_done < 50 else 1
        lines(n_done, 100, fit())
    assert terminal.getvalue().endswith(", 1.0 s left\n")


def test_long_parameters_are_cut(terminal, clock):
    lines = FitLines("best.jsonl")
    lines(1, None, fit({"encoder": "VLAD(\n    n_words=64,\n" + 200 * "x"}))
    (line,) = terminal.getvalue().splitlines()
    assert len(line) == 120 and line.startswith("[1/?] encoder=VLAD( n_words=64, xxx")
    assert line.endswith("..., fold 2: 0.9611 in 3.2 s")


def test_fits_of_the_journal_are_counted_in_one_line(terminal, clock):
    lines = FitLines("best.jsonl")
    for n_done in (1, 2):
        lines(n_done, 3, fit(resumed=True))
    assert terminal.getvalue() == ""
    clock.now += 1
    lines(3, 3, fit())
    assert terminal.getvalue().splitlines() == [
        "2 of 3 fits found in best.jsonl",
        "[3/3] svm__C=10, fold 2: 0.9611 in 3.2 s",
    ]


def test_elsewhere_only_the_journal_is_told_of(capsys):
    lines = FitLines("best.jsonl")
    lines(1, 3, fit())
    assert capsys.readouterr().err == ""
    lines = FitLines("best.jsonl")
    for n_done in (1, 2):
        lines(n_done, 2, fit(resumed=True))
    assert capsys.readouterr().err == "2 of 2 fits found in best.jsonl\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.7, "1 min 0 s"), (7501, "2 h 5 min")],
)
def test_durations(seconds, text):
    assert console._duration(seconds) == text
