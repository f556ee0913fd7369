"""Fractional max pooling, one test or twelve: python -m benchmarks.fractional_max_pooling DATA.

`pipelines.fmp` is trained once for each set and seed, and scored with one pass over an image and
with the mean probabilities of twelve (Graham 2014, table 1). Sets are scikit-learn's digits, of
which a stratified half is for testing, the same for each seed, and the first 5,000 training images
of MNIST, tested on every second of the 10,000 test images. DATA is the folder of the data sets, as
`fetch_mnist` takes it.

No dropout and the learning rate were chosen on other training images of MNIST and in the training
half of digits, the number of epochs for the time they take. The result is kept in
benchmarks/results/fractional_max_pooling.json; the exit code is 1 if twelve tests are not better on
average for both sets.
"""

import argparse
import json
import shlex
import statistics
import sys
import time
from datetime import date
from pathlib import Path

from joblib import Parallel, delayed, parallel_config
from sklearn.model_selection import train_test_split

from benchmarks.side_by_side import RESULTS
from pipelines import fmp
from visionpipe import fetch_mnist, load_digits_images
from visionpipe.environment import hardware, versions
from visionpipe.files import write_whole

N_TRAIN = 5_000  # images of MNIST
N_TESTS = (1, 12)
EPOCHS = {"digits": 20, "mnist": 5}


def main(argv=None):
    """Train all; print and keep the table, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fractional_max_pooling", description=__doc__
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=5, help="how many, from 0 on")
    parser.add_argument("--jobs", type=int, default=1, help="seeds at a time, one thread each")
    options = parser.parse_args(argv)
    sets = {"digits": digits(), "mnist": mnist(options.data)}
    rows = {}
    for name, parts in sets.items():
        with parallel_config("loky", n_jobs=options.jobs, inner_max_num_threads=1):
            jobs = (delayed(measure)(name, parts, seed) for seed in range(options.seeds))
            runs = Parallel()(jobs)
        rows[name] = summary(parts, runs)
        show(name, rows[name])
    command = shlex.join(
        ["python", "-m", "benchmarks.fractional_max_pooling", *(argv or sys.argv[1:])]
    )
    print("kept in", keep(rows, command))
    return int(any(row["difference"] <= 0 for row in rows.values()))


def digits():
    """Training and test images, training and test labels."""
    data = load_digits_images()
    return train_test_split(
        data.images, data.target, test_size=0.5, stratify=data.target, random_state=0
    )


def mnist(data):
    """Training and test images, training and test labels."""
    images, labels = fetch_mnist(data_home=data, return_X_y=True)
    test_images, test_labels = fetch_mnist(data_home=data, subset="test", return_X_y=True)
    return images[:N_TRAIN], test_images[::2], labels[:N_TRAIN], test_labels[::2]


def measure(name, parts, seed):
    """Test errors, in percent, by the number of tests, and seconds."""
    images, test_images, labels, test_labels = parts
    model = fmp.build(random_state=seed)
    model.set_params(net__max_epochs=EPOCHS[name])
    start = time.perf_counter()
    model.fit(images, labels)
    run = {"fit_seconds": time.perf_counter() - start}
    for n_tests in N_TESTS:
        start = time.perf_counter()
        accuracy = model.set_params(net__n_tests=n_tests).score(test_images, test_labels)
        run[n_tests] = 100 * (1 - accuracy)
        run["score_seconds"] = time.perf_counter() - start
    one, twelve = (run[n_tests] for n_tests in N_TESTS)
    print(f"{name:<8} seed {seed}   one test {one:5.2f} %   twelve {twelve:5.2f} %", flush=True)
    return run


def summary(parts, runs):
    """One row of the table: errors by seed and their means, and the mean difference."""
    one, twelve = ([run[n_tests] for run in runs] for n_tests in N_TESTS)
    differences = [a - b for a, b in zip(one, twelve, strict=True)]
    spread = statistics.stdev(differences) if len(runs) > 1 else 0.0
    return {
        "images": {"training": len(parts[0]), "test": len(parts[1])},
        "one_test": [round(error, 3) for error in one],
        "twelve_tests": [round(error, 3) for error in twelve],
        "one_test_mean": round(statistics.mean(one), 3),
        "twelve_tests_mean": round(statistics.mean(twelve), 3),
        "difference": round(statistics.mean(differences), 3),
        "difference_standard_error": round(spread / len(runs) ** 0.5, 3),
        "fit_seconds": round(statistics.mean(run["fit_seconds"] for run in runs), 1),
        "twelve_tests_seconds": round(statistics.mean(run["score_seconds"] for run in runs), 1),
    }


def show(name, row):
    """Print the means as a line."""
    print(
        f"{name:<8} mean     one test {row['one_test_mean']:5.2f} %   "
        f"twelve {row['twelve_tests_mean']:5.2f} %   difference {row['difference']:.2f} ± "
        f"{row['difference_standard_error']:.2f}   fit {row['fit_seconds']:.0f} s",
        flush=True,
    )


def keep(rows, command):
    """Write the table with its circumstances to ``benchmarks/results``."""
    record = {
        "date": date.today().isoformat(),
        "hardware": hardware(),
        "versions": versions(),
        "threads": 1,  # of each seed
        "command": command,
        "seeds": list(range(len(next(iter(rows.values()))["one_test"]))),
        "epochs": EPOCHS,
        "classifier": " ".join(repr(fmp.build()["net"]).split()),
        "unit": "percent of test images",
        **rows,
    }
    path = RESULTS / "fractional_max_pooling.json"
    write_whole(path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    return path


if __name__ == "__main__":
    sys.exit(main())
