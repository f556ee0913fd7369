"""A row from the images to its kept result: stages, interruptions, refusals."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

import pipelines
from benchmarks.accuracy import results, running
from benchmarks.accuracy.__main__ import main
from benchmarks.accuracy.reading import Data
from benchmarks.accuracy.rows import ROWS, Row, recipe
from visionpipe import Pixels, load_digits_images
from visionpipe.deep.training.checkpoint import CheckpointFolder
from visionpipe.files import FileLock

DIGITS = load_digits_images()
N_TRAIN, N_TEST = 160, 40


class Flat(TransformerMixin, BaseEstimator):
    """Pixels as rows, blurred by the seed; counts its fits, over all copies."""

    n_fits = 0

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y):
        type(self).n_fits += 1
        self.noise_ = np.random.default_rng(self.random_state).normal(0, 1, 64)
        return self

    def transform(self, X):
        return np.maximum(Pixels().fit_transform(X), self.noise_)


class Machine(SVC):
    """A support vector machine whose fit is stopped while `stops` is above 0."""

    stops = 0

    def fit(self, X, y):
        if Machine.stops:
            Machine.stops -= 1
            raise KeyboardInterrupt
        return super().fit(X, y)


def build(random_state=None):
    return Pipeline([("idle", None), ("flat", Flat(random_state)), ("svm", Machine(C=3))])


def few_digits(row, data_home):
    """200 digits, of an official split or of none."""
    images, target = DIGITS.images[: N_TRAIN + N_TEST], DIGITS.target[: N_TRAIN + N_TEST]
    if row.per_class:
        return Data(images, target, per_class=row.per_class)
    return Data(images, target, is_training=np.arange(len(target)) < N_TRAIN, n_recompressed=7)


@pytest.fixture(autouse=True)
def made_up_rows(monkeypatch):
    """Rows of few digits, and pipelines for them."""
    of_pipelines = pipelines.get
    ours = {"made_up": SimpleNamespace(build=build)}
    monkeypatch.setattr(pipelines, "get", lambda name: ours.get(name) or of_pipelines(name))
    monkeypatch.setattr(running, "read", few_digits)
    quick = {"net__max_epochs": 2}
    for name, row in {
        "plain": Row("Digits", "mnist", "made_up", goal=60, stretch=100),
        "drawn": Row("Digits, drawn", "caltech-16", "made_up", draws=3, per_class=10),
        "network": Row("Digits, LeNet", "mnist", "mnist_lenet", quick, goal=101),
        "absent": Row("Digits", "mnist", "nowhere"),
        "on_gpu": Row("Digits on a GPU", "mnist", "made_up", needs_gpu=True),
    }.items():
        monkeypatch.setitem(ROWS, name, row)
    monkeypatch.setattr(Flat, "n_fits", 0)


def run(out, name="plain", *more):
    return main([name, "--data", "somewhere", "--out", str(out), *more])


def kept(out, name="plain"):
    return json.loads((out / f"{name}.json").read_text())


def stopped(out, name="plain", times=1):
    Machine.stops = times
    with pytest.raises(KeyboardInterrupt):
        run(out, name)
    assert Machine.stops == 0 and not (out / f"{name}.json").exists()


# ------------------------------------------------------------------------------- from scratch


def test_a_run_keeps_its_result_with_all_circumstances(tmp_path, capsys):
    assert run(tmp_path, "plain", "--seed", "3") == 0
    record = kept(tmp_path)
    (found,) = record["runs"]
    images, y = DIGITS.images, DIGITS.target
    model = build(3).fit(images[:N_TRAIN], y[:N_TRAIN])
    predicted = model.predict(images[N_TRAIN:200])
    n_wrong = int((predicted != y[N_TRAIN:200]).sum())
    assert 0 < n_wrong == found["n_wrong"]
    assert found["accuracy"] == pytest.approx(100 - 100 * n_wrong / N_TEST)
    assert list(found["stages"]) == ["read", "fit flat", "fit svm", "test"]
    assert found["seconds"] == pytest.approx(sum(found["stages"].values()), abs=0.1)
    assert record["pipeline"] == recipe(ROWS["plain"]) and "Machine(C=3)" in record["pipeline"]
    assert (record["n_train"], record["n_test"], record["n_recompressed"]) == (160, 40, 7)
    assert (record["goal"], record["stretch"], record["data"]) == (60, 100, "mnist")
    assert "torch" in record["versions"] and found["hardware"] and found["threads"] >= 1
    assert found["command"] == "python -m benchmarks.accuracy plain --data DATA --seed 3"
    assert found["seed"] == 3 and found["resumed"] == 0 and found["peak_memory_mb"] > 50
    printed = capsys.readouterr().out.splitlines()
    assert [line.rsplit(maxsplit=2)[0] for line in printed[:4]] == list(found["stages"])
    assert f"{found['accuracy']:.2f} %, 60 reached" in printed[4]
    assert [path.name for path in tmp_path.iterdir()] == ["plain.json"]


def test_the_test_images_are_looked_at_after_all_fits(tmp_path, monkeypatch):
    seen = []
    transform = Flat.transform
    monkeypatch.setattr(Flat, "transform", lambda s, X: seen.append(len(X)) or transform(s, X))
    monkeypatch.setattr(Machine, "fit", lambda s, X, y: seen.append("svm") or SVC.fit(s, X, y))
    run(tmp_path)
    assert seen == [N_TRAIN, "svm", N_TEST]


def test_a_second_run_is_added_and_repeats_the_first(tmp_path):
    for seed in "001":
        run(tmp_path, "plain", "--seed", seed)
    once, again, other = kept(tmp_path)["runs"]
    assert once["predictions_sha256"] == again["predictions_sha256"]
    assert other["predictions_sha256"] != once["predictions_sha256"]
    assert Flat.n_fits == 3  # from scratch


def test_draws_have_seeds_of_their_own(tmp_path):
    assert run(tmp_path, "drawn", "--seed", "5") == 0
    (found,) = kept(tmp_path, "drawn")["runs"]
    data = few_digits(ROWS["drawn"], None)
    accuracies = []
    for seed in (5, 6, 7):
        train, test = data.split(seed)
        assert (np.bincount(data.target[train]) == 10).all()
        assert sorted([*train, *test]) == [*range(200)]
        model = build(seed).fit(data.images[train], data.target[train])
        accuracies.append(100 * model.score(data.images[test], data.target[test]))
    assert found["accuracies"] == pytest.approx(accuracies, abs=0.01)
    assert found["accuracy"] == pytest.approx(np.mean(accuracies), abs=0.01)
    assert found["deviation"] == pytest.approx(np.std(accuracies, ddof=1), abs=0.01)
    assert found["n_wrong"] == sum(round(100 - accuracy) for accuracy in accuracies)


def test_the_exit_code_tells_a_goal_that_was_missed(tmp_path, capsys):
    assert run(tmp_path, "network") == 1
    assert "%, 101 missed, " in capsys.readouterr().out
    (found,) = kept(tmp_path, "network")["runs"]
    assert found["n_parameters"] == 61_706


# ----------------------------------------------------------------------------- interruptions


def test_a_run_goes_on_after_its_last_finished_stage(tmp_path, capsys):
    run(tmp_path / "whole")
    stopped(tmp_path, times=1)
    work = tmp_path / "plain-seed0.work"
    assert {path.name for path in work.iterdir()} == {
        "data-1.joblib", "lock", "progress.json", "step-0.joblib"
    }  # fmt: skip
    pretend(work, lambda state: state["stages"].update({"fit flat": 100.0}))
    pretend(work, lambda state: state.update(peak_memory_mb=10**6, seconds_to_read=1000.0))
    stopped(tmp_path, times=1)
    assert run(tmp_path) == 0
    (found,), (whole,) = (kept(folder)["runs"] for folder in (tmp_path, tmp_path / "whole"))
    assert Flat.n_fits == 2  # one of them of the whole run
    assert found["predictions_sha256"] == whole["predictions_sha256"]
    assert found["resumed"] == 2 and found["peak_memory_mb"] == 10**6
    assert 1100 <= found["seconds"] < 1110 and found["stages"]["fit flat"] == 100
    assert "goes on with" in (printed := capsys.readouterr().out)
    assert "after fit flat (100.0 s)" in printed
    assert not work.exists()


def pretend(work, change):
    state = json.loads((work / "progress.json").read_text())
    change(state)
    (work / "progress.json").write_text(json.dumps(state))


def test_a_run_goes_on_with_the_test(tmp_path, monkeypatch):
    def stop(*images):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Machine, "predict", stop)
        run(tmp_path)
    assert not list(tmp_path.rglob("data-*"))  # nothing more is learned from it
    Machine.stops = 1  # a fit would stop
    assert run(tmp_path) == 0
    Machine.stops = 0


def test_finished_draws_are_not_done_again(tmp_path, monkeypatch):
    run(tmp_path / "whole", "drawn")
    fit, seen = Machine.fit, []

    def stop_in_second(self, X, y):
        seen.append(1)
        Machine.stops = int(len(seen) == 2)
        return fit(self, X, y)

    monkeypatch.setattr(Machine, "fit", stop_in_second)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, "drawn")
    run(tmp_path, "drawn")
    assert len(seen) == 4 and Flat.n_fits == 3 + 3
    (found,), (whole,) = (
        kept(folder, "drawn")["runs"] for folder in (tmp_path, tmp_path / "whole")
    )
    assert found["predictions_sha256"] == whole["predictions_sha256"]
    assert found["accuracies"] == whole["accuracies"] and found["resumed"] == 1


def test_epochs_of_a_network_go_on(tmp_path, monkeypatch):
    run(tmp_path / "whole", "network")
    write = CheckpointFolder.write
    epochs = []

    def stop_after_first(self, epoch, state):
        write(self, epoch, state)
        epochs.append(epoch)
        if len(epochs) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(CheckpointFolder, "write", stop_after_first)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, "network")
    work = tmp_path / "network-seed0.work"
    pretend(work, lambda state: state.update(begun=state["begun"] - 100))
    run(tmp_path, "network")
    (found,), (whole,) = (
        kept(folder, "network")["runs"] for folder in (tmp_path, tmp_path / "whole")
    )
    assert epochs == [1, 2, 2]  # the last one is written when it ends, and when all have
    assert found["predictions_sha256"] == whole["predictions_sha256"]
    assert found["resumed"] == 1 and 100 < found["stages"]["fit net"] < 130


def test_the_work_of_another_recipe_is_begun_anew(tmp_path, monkeypatch, capsys):
    stopped(tmp_path)
    monkeypatch.setitem(ROWS, "plain", Row("Digits", "mnist", "made_up", {"svm__C": 7}))
    run(tmp_path)
    assert Flat.n_fits == 2
    assert "begun anew: " in (printed := capsys.readouterr().out) and "other pipeline" in printed
    assert kept(tmp_path)["runs"][0]["resumed"] == 0


def test_two_processes_do_not_work_on_one_run(tmp_path, capsys):
    stopped(tmp_path)
    lock = FileLock(tmp_path / "plain-seed0.work" / "lock")
    assert lock.acquire()
    assert run(tmp_path) == 2
    assert "another process is at work" in capsys.readouterr().err
    lock.release()
    assert run(tmp_path) == 0


# -------------------------------------------------------------------------------- refusals


@pytest.fixture
def nothing_is_read(monkeypatch):
    def fail(*arguments):
        raise AssertionError("read")

    monkeypatch.setattr(running, "read", fail)


@pytest.fixture
def first_result(tmp_path):
    run(tmp_path)
    return tmp_path / "plain.json"


def test_results_of_other_versions_are_left_alone(first_result, nothing_is_read, capsys):
    record = json.loads(first_result.read_text())
    record["versions"]["torch"] = "1.0"
    first_result.write_text(json.dumps(record))
    before = first_result.read_bytes()
    assert run(first_result.parent) == 2
    error = capsys.readouterr().err
    assert "plain.json holds another result of plain: torch is 1.0 there and 2." in error
    assert "--out" in error and "remove that file" in error and "numpy" not in error
    assert first_result.read_bytes() == before


def test_results_of_another_recipe_are_left_alone(
    first_result, nothing_is_read, monkeypatch, capsys
):
    monkeypatch.setitem(ROWS, "plain", Row("Digits", "mnist", "made_up", {"svm__C": 7}))
    assert run(first_result.parent) == 2
    assert "Machine(C=3)" in (error := capsys.readouterr().err) and "Machine(C=7)" in error


def test_results_of_other_images_are_left_alone(first_result, capsys):
    record = json.loads(first_result.read_text())
    first_result.write_text(json.dumps(record | {"n_train": 161}))
    assert run(first_result.parent) == 2
    assert "n_train is 161 there and 160 here" in capsys.readouterr().err
    assert Flat.n_fits == 1


def test_another_goal_is_no_other_result(first_result, monkeypatch):
    monkeypatch.setitem(ROWS, "plain", Row("Digits", "mnist", "made_up", goal=50))
    assert run(first_result.parent) == 0
    record = kept(first_result.parent)
    assert record["goal"] == 50 and record["stretch"] is None and len(record["runs"]) == 2


def test_rows_for_a_gpu_are_not_run_without_one(tmp_path, nothing_is_read, monkeypatch, capsys):
    monkeypatch.setattr(running.torch.cuda, "is_available", lambda: False)
    assert run(tmp_path, "on_gpu") == 2
    assert capsys.readouterr().err.startswith("error: on_gpu needs a GPU, and there is none here")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [ValueError("damaged"), FileNotFoundError("not there")])
def test_data_that_cannot_be_read_is_one_line(tmp_path, monkeypatch, capsys, error):
    def fail(row, data_home):
        raise error

    monkeypatch.setattr(running, "read", fail)
    assert run(tmp_path) == 2
    assert capsys.readouterr().err == f"error: {error}\n"
    assert not list(tmp_path.iterdir())


def test_bad_names(tmp_path, capsys):
    assert run(tmp_path, "absent") == 2
    assert capsys.readouterr().err.startswith("error: there is no pipeline 'nowhere'")
    with pytest.raises(SystemExit) as stop:
        main(["mnist"])
    assert stop.value.code == 2
    assert "invalid choice: 'mnist' (choose from" in capsys.readouterr().err


def test_results_are_kept_in_the_repository_by_default(monkeypatch):
    asked = []
    monkeypatch.setattr("benchmarks.accuracy.__main__.run", lambda *given: asked.append(given))
    main(["plain"])
    assert asked == [("plain", None, 0, results.RESULTS)]
    assert results.RESULTS.parts[-3:] == ("benchmarks", "results", "accuracy")
