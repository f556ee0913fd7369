"""Encoders of local descriptors, one linear SVM: python -m benchmarks.encoders FOLDER.

FOLDER has one sub-folder of photographs for each class. Five seeds; each draws 30 training and 30
other test images a class, and seeds what the pipelines draw. Times are of whole pipelines, from the
files: decoding, descriptors, encoding and the machine.
"""

import argparse
import json
import statistics
from datetime import date
from pathlib import Path

import pipelines
from benchmarks.side_by_side import RESULTS
from benchmarks.splits import split_classes
from visionpipe import BagOfVisualWords, load_images
from visionpipe.comparison import Comparison
from visionpipe.environment import hardware, versions
from visionpipe.threads import n_threads

N_PER_CLASS = 30
READY_MADE = ("sift_bovw_svm", "rootsift_bovw_svm", "dense_bovw_svm", "vlad_svm", "fisher_svm")
BAGS = {  # in place of the words of dense_bovw_svm, without the chi-squared map
    "hard": {},
    "hard, tf-idf": {"weighting": "tfidf"},
    "soft": {"assignment": "soft"},
    "triangle": {"assignment": "triangle"},
    "llc": {"assignment": "llc", "normalize": "l2"},
}


def main(argv=None):
    """Run all pipelines on all seeds; print and keep the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encoders", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", help="names of rows, separated by semicolons")
    options = parser.parse_args(argv)
    data = load_images(options.folder)
    y = data.target_names[data.target]
    runs = {}
    for seed in range(options.seeds):
        chosen = candidates(seed)
        if options.only:
            chosen = {name: chosen[name] for name in options.only.split(";")}
        split = split_classes(data.target, N_PER_CLASS, N_PER_CLASS, seed=seed)
        for row in Comparison(data.images, y, [split]).run(chosen):
            if row.error:
                raise RuntimeError(f"{row.pipeline}: {row.error}")
            runs.setdefault(row.pipeline, []).append(row)
            print(f"seed {seed}  {row.pipeline:<32} {100 * row.accuracy:6.2f} %", flush=True)
    rows = [summary(name, found) for name, found in runs.items()]
    for row in rows:
        print(
            f"{row['pipeline']:<32} {row['accuracy']:6.2f} ± {row['accuracy_sd']:.2f} %   "
            f"fit {row['fit_seconds']:6.1f} s   predict {row['predict_ms_per_image']:6.1f} ms/image"
        )
    if not options.only:
        print("kept in", keep(rows, options.folder, options.seeds))


def candidates(seed):
    """Pipelines by name, seeded."""
    found = {name: pipelines.get(name).build(random_state=seed) for name in READY_MADE}
    for name, settings in BAGS.items():
        words = found["dense_bovw_svm"].get_params()["words"]
        ours = {"normalize": "hellinger", **settings}
        bag = BagOfVisualWords(**{**words.get_params(), **ours})
        pipeline = pipelines.get("dense_bovw_svm").build(random_state=seed)
        found[f"dense, {name}"] = pipeline.set_params(words=bag, chi2="passthrough")
    return found


def summary(name, runs):
    """One row of the table: means over seeds, and the deviation of the accuracy."""
    accuracies = [100 * run.accuracy for run in runs]
    return {
        "pipeline": name,
        "accuracy": round(statistics.mean(accuracies), 2),
        "accuracy_sd": round(statistics.stdev(accuracies), 2) if len(runs) > 1 else 0.0,
        "accuracies": [round(accuracy, 2) for accuracy in accuracies],
        "fit_seconds": round(statistics.mean(run.fit_seconds for run in runs), 2),
        "predict_ms_per_image": round(statistics.mean(run.predict_ms_batch_256 for run in runs), 2),
        "model_bytes": runs[0].model_bytes,
    }


def keep(rows, folder, n_seeds):
    """Write the table with its circumstances to ``benchmarks/results/encoders.json``."""
    record = {
        "date": date.today().isoformat(),
        "hardware": hardware(),
        "versions": versions(),
        "threads": n_threads(),
        "data": folder.name,
        "seeds": n_seeds,
        "images_per_class": {"training": N_PER_CLASS, "test": N_PER_CLASS},
        "rows": rows,
    }
    path = RESULTS / "encoders.json"
    path.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    main()
