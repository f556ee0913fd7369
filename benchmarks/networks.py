"""Networks on the standard sets: python -m benchmarks.networks DATA [NAME] [--seed 0].

DATA is a folder with `mnist` and `fashion-mnist` in it, each with the four files of
http://yann.lecun.com/exdb/mnist, gzipped. NAME is one of the rows below; without it all of them are
trained, on all 60,000 training images, and scored on the 10,000 test images. LeNet's shift and the
rates of Muon and Adam (of 0.03 and 0.1, and 0.003 and 0.01) were chosen on the last 10,000 training
images; the other settings of airbench come from trials on 10,000 images that had looked at some of
the test images. Accuracy, seconds, hardware, versions and seed are kept in
benchmarks/results/networks.json; the exit code is 1 if a row misses its goal.
"""

import argparse
import gzip
import json
import shlex
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np
import torch

from benchmarks.side_by_side import RESULTS
from visionpipe import Augmentation, CNNClassifier
from visionpipe.environment import hardware, versions
from visionpipe.files import write_whole

ROWS = {  # name: (folder, test accuracy to reach, classifier)
    "mnist_lenet": (
        "mnist",
        0.990,
        CNNClassifier(
            "lenet",
            max_epochs=10,
            batch_size=64,
            augmentation=Augmentation(shift=2, padding="zero"),
        ),
    ),
    "fashion_airbench": (
        "fashion-mnist",
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
    folder, goal, classifier = ROWS[name]
    images, labels = read_idx(data / folder, "train")
    test_images, test_labels = read_idx(data / folder, "t10k")
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


def read_idx(folder, part):
    """Images (n, h, w), uint8, and labels (n,) of a part, "train" or "t10k"."""
    images, labels = (
        _read_array(folder / f"{part}-{kind}-ubyte.gz") for kind in ("images-idx3", "labels-idx1")
    )
    return images, labels


def _read_array(path):
    with gzip.open(path) as file:
        content = file.read()
    n_axes = content[3]
    shape = np.frombuffer(content, ">i4", n_axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * n_axes).reshape(shape)


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
