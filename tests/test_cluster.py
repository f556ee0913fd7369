"""The search on a Dask cluster: what it finds, what travels, and what it survives."""

import json
import logging
import os
import pickle
import signal
import socket
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image
from sklearn.model_selection import GridSearchCV

from pipelines import cluster as pipelines_cluster
from pipelines import get, search
from visionpipe import load_images

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")

PATIENCE = 60  # seconds for what is done in one or two unless the cores are busy
CLASSES = ("night over the harbour", "noon over the harbour", "dawn over the harbour")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photographs whose labels are long enough for joblib to scatter them."""
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for label, level in zip(CLASSES, (100, 120, 140), strict=True):
        (folder / label).mkdir()
        for i in range(12):
            pixels = np.clip(rng.normal(level, 20, (32, 32, 3)).cumsum(axis=1) / 16, 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / label / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def cluster():
    """Two workers, and a scheduler that waits 5 seconds, not 30, for one that was killed."""
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "5s"}),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
    ):
        yield cluster


@pytest.fixture
def client(cluster):
    """Of both workers: those that tests killed are replaced by now."""
    with pipelines_cluster.connected(cluster.scheduler_address) as client:
        client.wait_for_workers(2, timeout=PATIENCE)
        yield client


def scores(journal):
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    return {entry["unit"]: entry["test"] for entry in entries}


def run(folder, out, *more, grid=None):
    """Search as the command does, three folds; exit code and scores of all fits."""
    journal = out.with_suffix(".jsonl")
    argv = [str(folder), "--cv", "3", "--out", str(out), "--journal", str(journal), *more]
    named = (None, None, None) if grid is None else ("hog_svm", get("hog_svm").build, grid)
    return search.main(*named, argv=argv), scores(journal)


def test_the_command_finds_on_a_cluster_what_it_finds_here(
    folder, cluster, client, tmp_path, capsys
):
    here = run(folder, tmp_path / "here.joblib", "--pipeline", "hog_svm")
    printed_here = capsys.readouterr()
    address = ["--cluster", cluster.scheduler_address]
    there = run(folder, tmp_path / "there.joblib", "--pipeline", "hog_svm", *address)
    printed_there = capsys.readouterr()
    assert here[0] == there[0] == 0, printed_there.err
    assert here[1] == there[1] and len(there[1]) == 36 and len({*there[1].values()}) > 1
    assert printed_there.out.splitlines()[:-1] == printed_here.out.splitlines()[:-1]
    assert (tmp_path / "there.joblib").exists()


def test_file_names_travel_once_and_no_pixels(folder, client, monkeypatch):
    data, grid = load_images(folder), {"svm__C": [0.1, 1, 10, 100]}
    n_bytes = len(pickle.dumps(data.images))
    assert n_bytes < 300 + sum(len(name) + 10 for name in data.filenames)
    here = GridSearchCV(get("hog_svm").build(), grid, cv=3, refit=False)
    here.fit(data.images, data.target)

    travelled = []
    keep = type(data.images).__getstate__
    monkeypatch.setattr(
        type(data.images), "__getstate__", lambda self: travelled.append(len(self)) or keep(self)
    )
    there = GridSearchCV(get("hog_svm").build(), grid, cv=3, refit=False)
    with pipelines_cluster.work_sent_to(client, data.images):
        there.fit(data.images, data.target)
    assert len(travelled) <= 2  # tried once and sent once, not for each of 12 fits
    for name, values in here.cv_results_.items():
        if "test_score" in name:
            np.testing.assert_array_equal(values, there.cv_results_[name])


GRID = {"svm__C": np.geomspace(0.01, 100, 40).tolist()}
N_FITS = 120


@contextmanager
def killing(pid, journal):
    """Kill a process in the middle of a search; the number of fits that were done by then."""
    is_over, done = threading.Event(), []

    def kill():
        while not (is_over.wait(0.005) or done):
            n_done = len(journal.read_bytes().splitlines()) if journal.exists() else 0
            if n_done > 8:
                os.kill(pid, signal.SIGKILL)
                done.append(n_done)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield done
    finally:
        is_over.set()
        killer.join()


def test_a_killed_worker_changes_nothing(folder, cluster, client, tmp_path, capfd):
    here = run(folder, tmp_path / "here.joblib", grid=GRID)
    victim, address = min(client.run(os.getpid).values()), cluster.scheduler_address
    with killing(victim, tmp_path / "there.jsonl") as done:
        there = run(folder, tmp_path / "there.joblib", "--cluster", address, grid=GRID)
    assert there[0] == 0, capfd.readouterr().err
    assert done and done[0] < 0.8 * N_FITS, "the worker was to be killed in the middle"
    assert there[1] == here[1] and len(there[1]) == N_FITS
    client.wait_for_workers(2, timeout=PATIENCE)
    assert victim not in client.run(os.getpid).values()


def test_a_fit_that_kills_its_workers_ends_the_search(
    folder, cluster, client, tmp_path, capfd, monkeypatch
):
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 0)
    victim, address = min(client.run(os.getpid).values()), cluster.scheduler_address
    with killing(victim, tmp_path / "there.jsonl") as done:
        code, scored = run(folder, tmp_path / "there.joblib", "--cluster", address, grid=GRID)
    lines = capfd.readouterr().err.splitlines()
    (line,) = (line for line in lines if line.startswith("error: "))
    assert code == 2 and "gave the search up: Attempted to run task" in line
    assert "start it again" in line
    assert done and done[0] <= len(scored) < N_FITS


def test_what_is_scattered_outlives_the_workers_that_hold_it(cluster, client):
    labels = np.arange(1000)
    (future,) = client.scatter([labels], broadcast=True)
    distributed.wait(future, timeout=PATIENCE)
    pids = client.run(os.getpid)
    holders = client.who_has([future])[future.key]
    for worker in holders:
        os.kill(pids[worker], signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while {*holders} & {*cluster.scheduler.workers} and time.monotonic() < deadline:
        time.sleep(0.02)
    np.testing.assert_array_equal(future.result(timeout=PATIENCE), labels)


# ------------------------------------------------------------------------------- what goes wrong


def fails(capfd, folder, *argv):
    """The one line of a command that must give up soon."""
    capfd.readouterr()
    start = time.monotonic()
    assert search.main(argv=[str(folder), *argv]) == 2
    assert time.monotonic() - start < 15
    (line,) = capfd.readouterr().err.splitlines()
    return line


def test_an_address_where_nothing_listens(folder, capfd, monkeypatch):
    assert pipelines_cluster.SECONDS_TO_ANSWER <= 10
    monkeypatch.setattr(pipelines_cluster, "SECONDS_TO_ANSWER", 2)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # taken, and nobody listens
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        line = fails(capfd, folder, "--cluster", address)
    assert line.startswith(f"error: no Dask scheduler answers at '{address}' (Timed out")
    line = fails(capfd, folder, "--cluster", "nonsense")
    assert "missing port number" in line and "such as tcp://host:8786" in line


def test_an_address_where_somebody_is_silent(folder, capfd, monkeypatch):
    monkeypatch.setattr(pipelines_cluster, "SECONDS_TO_ANSWER", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        line = fails(capfd, folder, "--cluster", f"tcp://127.0.0.1:{silent.getsockname()[1]}")
    assert "(silent for 2 s)" in line


def test_a_scheduler_without_workers(folder, capfd, monkeypatch):
    monkeypatch.setattr(pipelines_cluster, "SECONDS_TO_ANSWER", 2)
    with distributed.LocalCluster(
        n_workers=0, processes=False, host="127.0.0.1", protocol="tcp", dashboard_address=":0"
    ) as empty:
        line = fails(capfd, folder, "--cluster", empty.scheduler_address)
    assert line.endswith(f"has no workers; start some: dask worker {empty.scheduler_address}")


def test_without_dask(folder, capfd, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    line = fails(capfd, folder, "--cluster", "tcp://127.0.0.1:8786")
    assert line.endswith("pip install 'visionpipe[dask]'")


def test_jobs_are_for_the_cluster_to_decide(folder, capfd):
    line = fails(capfd, folder, "--cluster", "tcp://127.0.0.1:8786", "--jobs", "2")
    assert line.startswith("error: got --jobs 2 and --cluster")


def test_workers_that_see_other_files_or_packages(client, monkeypatch):
    monkeypatch.setattr(
        pipelines_cluster, "versions", dict
    )  # not to wait for imports on new workers
    with pytest.raises(ValueError, match="worker tcp://.* does not see /nowhere/1.png; mount"):
        pipelines_cluster.check_workers(client, ["/nowhere/1.png"])
    monkeypatch.setattr(pipelines_cluster, "versions", lambda: {"numpy": "1.0"})
    monkeypatch.setattr(client, "run", lambda function, **_: {"tcp://a:1": {"numpy": "2.0"}})
    with pytest.warns(UserWarning, match="worker tcp://a:1 has numpy 2.0 in place of 1.0"):
        pipelines_cluster.check_workers(client, [])
    monkeypatch.setattr(client, "run", lambda function, **_: {"tcp://a:1": ImportError("none")})
    with pytest.raises(ValueError, match=r"tcp://a:1 cannot import visionpipe \(none\); install"):
        pipelines_cluster.check_workers(client, [])


def test_a_lost_cluster_is_one_line(folder, cluster, client, capfd, monkeypatch):
    def lose(*_):
        raise distributed.client.FutureCancelledError("fit", "scheduler-connection-lost")

    monkeypatch.setattr(search, "_search", lose)
    monkeypatch.setattr(pipelines_cluster, "versions", dict)
    line = fails(capfd, folder, "--cluster", cluster.scheduler_address)
    assert line.startswith(f"error: the cluster at {cluster.scheduler_address} gave the search up")
