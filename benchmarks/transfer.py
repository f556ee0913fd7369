"""Few images of new classes, and a network of others: python -m benchmarks.transfer DATA.

DATA is the folder of the data sets, as `fetch_cifar10` takes it. A residual network of 20 layers
learns classes 0 to 4 from their 25,000 training images; then 20 training images of each of the
classes 5 to 9 are drawn, for each seed anew, learned in the ways of `pipelines.transfer`, and
scored on all 5,000 test images of these classes. Settings were chosen on other draws of training
images, and on training images.

``--source FILE`` keeps the trained network there, or takes the one that is there. Accuracies,
seconds, hardware, versions and seeds are kept in benchmarks/results/transfer.json; the exit code is
1 if fine-tuning is less than 5 points better than training from scratch.
"""

import argparse
import json
import statistics
import sys
from datetime import date
from pathlib import Path

import numpy as np
import torch

from benchmarks.cifar10_fast import read
from benchmarks.side_by_side import RESULTS
from pipelines.transfer import build_source, draws, ways
from visionpipe import load, save
from visionpipe.comparison import Comparison
from visionpipe.comparison.rows import table_header, table_row
from visionpipe.environment import hardware, versions
from visionpipe.files import write_whole

N_SOURCE_CLASSES = 5
N_EACH = 20
GOAL = 0.05  # by which fine-tuning is to be better


def main(argv=None):
    """Train the source, compare the ways; print and keep the table, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.transfer", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--source", type=Path)
    options = parser.parse_args(argv)
    train, test = read(options.data)
    source = trained_source(train, options.source)
    seconds = round(sum(source["net"].history_[:, "dur"]), 1)
    accuracy = source.score(*of_classes(test, np.less))
    images, labels, splits = new_classes(train, test, options.draws)
    print(f"source: {100 * accuracy:.2f} % after {seconds} s\n{table_header()}", flush=True)
    accuracies, rows = {}, []
    for row in Comparison(images, labels, splits).run(
        ways(source["net"], random_state=0, mirror=True),
        on_fold=lambda way, _, accuracy, __: accuracies.setdefault(way, []).append(accuracy),
    ):  # fmt: skip
        print(table_row(row), flush=True)
        rows.append({**vars(row), "accuracies": accuracies[row.pipeline]})
    gain = statistics.mean(
        fine - scratch
        for fine, scratch in zip(accuracies["fine_tuning"], accuracies["scratch"], strict=True)
    )
    print(f"fine-tuning is {100 * gain:.1f} points better than training from scratch")
    record = {
        "command": f"python -m benchmarks.transfer DATA --draws {options.draws}",
        "source": {"fit_seconds": seconds, "accuracy": round(accuracy, 4)},
        "images_of_each_class": N_EACH,
        "test_images": len(splits[0][1]),
        "draws": options.draws,
        "rows": rows,
        "threads": torch.get_num_threads(),
        "date": date.today().isoformat(),
        "hardware": hardware(),
        "versions": versions(),
    }
    path = RESULTS / "transfer.json"
    write_whole(path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    print("kept in", path)
    return int(gain < GOAL)


def trained_source(train, path):
    """The network of the first classes, from a file if it is there."""
    if path is not None and path.exists():
        return load(path)
    source = build_source(random_state=0, mirror=True).fit(*of_classes(train, np.less))
    if path is not None:
        save(source, path)
    return source


def of_classes(part, compare):
    """Images and labels of the classes before, or from, the first new one."""
    images, labels = part
    rows = compare(labels, N_SOURCE_CLASSES)
    return images[rows], labels[rows]


def new_classes(train, test, n_draws):
    """Images and labels of the other classes, and splits: a few training ones, all test ones."""
    (images, labels), (test_images, test_labels) = (
        of_classes(part, np.greater_equal) for part in (train, test)
    )
    tested = len(labels) + np.arange(len(test_labels))
    splits = [(drawn, tested) for drawn, _ in draws(labels, N_EACH, n_draws, random_state=0)]
    return np.concatenate([images, test_images]), np.concatenate([labels, test_labels]), splits


if __name__ == "__main__":
    sys.exit(main())
