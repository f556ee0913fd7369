"""Threads that run ahead: order, bounds, errors, and one OpenMP thread each."""

import threading
import time

import pytest
import torch

from visionpipe import threads
from visionpipe.threads import map_ahead


@pytest.fixture(params=[1, 3])
def n_threads(request, monkeypatch):
    monkeypatch.setattr(threads, "n_threads", lambda: request.param)
    return request.param


def test_results_come_in_order(n_threads):
    def slow_first(i):
        time.sleep(0.02 * (i == 0))
        return i * i

    for n in (0, 1, 2, 20):
        assert list(map_ahead(slow_first, iter(range(n)))) == [i * i for i in range(n)]


def test_items_are_drawn_a_bounded_number_ahead(n_threads):
    drawn = 0

    def items():
        nonlocal drawn
        for i in range(100):
            drawn += 1
            yield i

    for n_seen, _ in enumerate(map_ahead(lambda i: i, items()), start=1):
        assert drawn <= n_seen + n_threads + 3


def test_openmp_has_one_thread_inside_and_as_many_as_before_outside(n_threads):
    before = torch.get_num_threads()
    inside = list(map_ahead(lambda _: torch.get_num_threads(), range(5)))
    assert inside == [1] * 5 and torch.get_num_threads() == before


def test_an_error_comes_in_its_turn_and_ends_the_threads(n_threads):
    def fail_at_seven(i):
        if i == 7:
            raise ValueError("seven")
        return i

    results = map_ahead(fail_at_seven, range(1000))
    assert [next(results) for _ in range(7)] == list(range(7))
    with pytest.raises(ValueError, match="seven"):
        next(results)
    assert not [t for t in threading.enumerate() if t.name.startswith("visionpipe")]


def test_worker_processes_are_told_their_share(monkeypatch):
    monkeypatch.setattr("joblib.cpu_count", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert threads.n_threads() == 2
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    assert threads.n_threads() == 8
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert threads.n_threads() == 8
