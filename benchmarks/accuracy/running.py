"""A row from the files to its kept result, in stages that an interruption does not lose."""

import hashlib
import shlex
import statistics
import time
from datetime import date

import numpy as np
import torch
from sklearn.pipeline import Pipeline

from benchmarks.accuracy.progress import Progress
from benchmarks.accuracy.reading import read
from benchmarks.accuracy.results import CannotRun, check_same, keep
from benchmarks.accuracy.rows import ROWS, build, recipe
from visionpipe import CNNClassifier
from visionpipe.environment import hardware, peak_memory, versions
from visionpipe.threads import n_threads

__all__ = ["run"]


def run(name, data_home, seed, out):
    """Run a row; print and keep its result.

    Parameters
    ----------
    name : str
        One of `ROWS`.
    data_home : path-like or None
        The folder of the data sets, as in `fetch_mnist`.
    seed : int
    out : Path

    Returns
    -------
    int
        0 if the accuracy to reach was reached, 1 if it was missed.

    Raises
    ------
    CannotRun
        Before anything is computed: if the row needs a GPU and there is none, if the data cannot be
        read, or if the result in `out` is of another recipe or of other versions.
    """
    row = ROWS[name]
    if row.needs_gpu and not torch.cuda.is_available():
        raise CannotRun(f"{name} needs a GPU, and there is none here; it was not run")
    about = _about(row)
    check_same(name, out, about)
    data, seconds = _read(row, data_home)
    train, test = data.split(seed)
    about |= {"n_train": len(train), "n_test": len(test), "n_recompressed": data.n_recompressed}
    check_same(name, out, about)
    machine = {"hardware": hardware(), "threads": n_threads()}
    circumstances = {"pipeline": about["pipeline"], "versions": about["versions"], **machine}
    circumstances |= {"n_train": len(train), "n_test": len(test), "seed": seed}
    with Progress(out / f"{name}-seed{seed}.work", circumstances) as progress:
        progress.state.setdefault("seconds_to_read", seconds)  # of the first time
        for number in range(len(progress.state["draws"]), row.draws):
            _run_draw(row, data, seed + number, progress)
        result = _result(name, seed, progress.state, machine, about["n_test"])
        path = keep(name, out, about, result)
        progress.remove()
    return _tell(name, row, result, path)


def _about(row):
    """What all runs of a row have in common, but for the data."""
    try:
        pipeline = recipe(row)
    except ValueError as error:
        raise CannotRun(str(error)) from None
    return {
        "data": row.data,
        "pipeline": pipeline,
        "settings": row.settings,
        "goal": row.goal,
        "stretch": row.stretch,
        "versions": versions(),
    }


def _read(row, data_home):
    start = time.perf_counter()
    try:
        data = read(row, data_home)
    except (ValueError, OSError) as error:
        raise CannotRun(str(error)) from None
    seconds = time.perf_counter() - start
    _print_stage("read", seconds)
    return data, seconds


# -------------------------------------------------------------------------------------- a draw


def _run_draw(row, data, seed, progress):
    """Fit step by step, then test, once."""
    train, test = data.split(seed)
    names, steps = zip(*build(row, seed).steps, strict=True)
    if isinstance(steps[-1], CNNClassifier):
        steps[-1].set_params(checkpoint=str(progress.checkpoints))
    fitted, X = progress.load()
    if not fitted:
        X = data.images[train]
    for name, step in zip(names[len(fitted) :], steps[len(fitted) :], strict=True):
        progress.begin_stage()
        start = time.perf_counter()
        X = _fit(step, X, data.target[train], is_last=step is steps[-1])
        seconds = time.perf_counter() - start
        fitted.append(step)
        seconds = progress.end_stage(f"fit {name}", seconds, step, X, peak_memory() // 10**6)
        _print_stage(f"fit {name}", seconds)
    start = time.perf_counter()
    predicted = Pipeline([*zip(names, fitted, strict=True)]).predict(data.images[test])
    seconds = time.perf_counter() - start
    _print_stage("test", seconds)
    result = {
        "stages": {**progress.state["stages"], "test": seconds},
        "n_wrong": int((predicted != data.target[test]).sum()),
        "predicted": [int(label) for label in predicted],
    }
    if hasattr(fitted[-1], "module_"):
        result["n_parameters"] = sum(p.numel() for p in fitted[-1].module_.parameters())
    progress.end_draw(result, peak_memory() // 10**6)


def _fit(step, X, y, is_last):
    """Fit a step; return the training data for the next one, or None after the last."""
    if is_last:
        step.fit(X, y)
        return None
    return step.fit_transform(X, y)


def _print_stage(name, seconds):
    print(f"{name:<20} {seconds:10.1f} s", flush=True)


# ----------------------------------------------------------------------------------- the result


def _result(name, seed, state, machine, n_test):
    """The run as it is kept."""
    draws = state["draws"]
    accuracies = [round(100 * (1 - draw["n_wrong"] / n_test), 2) for draw in draws]
    stages = {"read": state["seconds_to_read"]}
    for draw in draws:
        for stage, seconds in draw["stages"].items():
            stages[stage] = stages.get(stage, 0) + seconds
    result = {"seed": seed, "accuracy": round(statistics.mean(accuracies), 2)}
    if len(draws) > 1:
        result["deviation"] = round(statistics.stdev(accuracies), 2)
        result["accuracies"] = accuracies
    if "n_parameters" in draws[0]:
        result["n_parameters"] = draws[0]["n_parameters"]
    predicted = np.concatenate([draw["predicted"] for draw in draws]).astype("<i8")
    command = ["python", "-m", "benchmarks.accuracy", name, "--data", "DATA", "--seed", str(seed)]
    return {
        **result,
        "n_wrong": sum(draw["n_wrong"] for draw in draws),
        "seconds": round(sum(stages.values()), 1),
        "stages": {stage: round(seconds, 2) for stage, seconds in stages.items()},
        "peak_memory_mb": state["peak_memory_mb"],
        "predictions_sha256": hashlib.sha256(predicted.tobytes()).hexdigest(),
        "command": shlex.join(command),
        "date": date.today().isoformat(),
        **machine,
        "resumed": state["resumed"],
    }


def _tell(name, row, result, path):
    """Print the result, and return the exit code."""
    is_missed = row.goal is not None and result["accuracy"] < row.goal
    spread = f" ± {result['deviation']:.2f}" if "deviation" in result else ""
    goal = "" if row.goal is None else f", {row.goal:g} {'missed' if is_missed else 'reached'}"
    print(
        f"{name}: {result['accuracy']:.2f}{spread} %{goal}, {result['seconds']:.1f} s, "
        f"{result['peak_memory_mb']:,} MB; kept in {path}"
    )
    return int(is_missed)
