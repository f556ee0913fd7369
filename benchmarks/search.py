"""What a search costs with and without a feature store: python -m benchmarks.search FOLDER.

FOLDER has one sub-folder of photographs for each class. One grid search (dense SIFT, bag of visual
words, linear SVM; 5 folds, 2 vocabularies times 4 values of C, 2 processes) is run with
``memory=None``, with ``joblib.Memory`` and with a store, one after the other, the last two first
cold, then once more. Then a search where computing again is nearly free (HOG of 5,000 images of
28x28 in memory) is run with ``store=None`` and ``store="auto"`` in turn.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from skimage import data
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline

from benchmarks.features import crops
from benchmarks.side_by_side import RESULTS
from pipelines.dense import dense_steps
from visionpipe import HOG, BagOfVisualWords, WideLinearSVC, load_images, use_store
from visionpipe.environment import hardware, versions
from visionpipe.store import as_store

GRID = {"words__n_words": [100, 300], "svm__C": [0.1, 1, 10, 100]}
N_FOLDS = 5
N_JOBS = 2
N_CHEAP_RUNS = 16


def main(argv=None):
    """Run both comparisons; print and keep them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(argv)
    record = {
        "date": str(date.today()),
        "hardware": hardware(),
        "versions": versions(),
        "data": options.folder.name,
        "dense": dense_searches(options.folder),
        "cheap": cheap_searches(),
    }
    path = RESULTS / "search.json"
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print("kept in", path)


def dense_searches(folder):
    """Seconds, disk and score of the same search, kept in different ways."""
    photographs = load_images(folder)
    rows, scores = [], None
    with tempfile.TemporaryDirectory() as kept:
        memory, store = Path(kept, "memory"), Path(kept, "store")
        ways = [
            ("memory=None", {}),
            ("joblib.Memory, cold", {"memory": memory}),
            ("joblib.Memory, again", {"memory": memory}),
            ("store, cold", {"store": store / "features.sqlite"}),
            ("store, again", {"store": store / "features.sqlite"}),
        ]
        start_workers()
        for name, how in ways:
            search = dense_search(**how)
            began = time.perf_counter()
            search.fit(photographs.images, photographs.target)
            seconds = time.perf_counter() - began
            found = search.cv_results_["mean_test_score"]
            scores = found if scores is None else scores
            rows.append({
                "way": name,
                "seconds": round(seconds, 1),
                "disk_mb": round(size(memory if "memory" in how else store) / 2**20)
                if how
                else 0,
                "best_accuracy": round(float(search.best_score_), 4),
                "same_scores": bool((found == scores).all()),
            })  # fmt: skip
            print(rows[-1], flush=True)
    for ours in rows[3:]:
        for theirs in rows[:3]:
            times = theirs["seconds"] / ours["seconds"]
            print(f"{ours['way']} is {times:.1f} times as fast as {theirs['way']}")
    return rows


def dense_search(memory=None, store=None):
    """A search over words and C, not fitted."""
    words = BagOfVisualWords(n_samples=60_000, random_state=0)  # as many as dense_bovw_svm
    pipeline = Pipeline(
        [*dense_steps(), ("words", words), ("svm", WideLinearSVC())],
        memory=memory and str(memory),
    )
    return GridSearchCV(use_store(pipeline, store), GRID, cv=N_FOLDS, n_jobs=N_JOBS)


def start_workers():
    """Start the processes, and import what they need: part of no way."""
    Parallel(N_JOBS)(delayed(dense_search)() for _ in range(2 * N_JOBS))


def size(folder):
    """Bytes of all files under a folder."""
    return sum(
        os.path.getsize(os.path.join(root, name))
        for root, _, names in os.walk(folder)
        for name in names
    )


def cheap_searches():
    """Medians of the search whose features are nearly free, and of their ratio."""
    X = crops(np.ascontiguousarray(data.astronaut()), 5_000, 28)
    brightness = X.mean(axis=tuple(range(1, X.ndim)))
    y = np.digitize(brightness, np.quantile(brightness, [0.25, 0.5, 0.75]))
    pairs = []
    with tempfile.TemporaryDirectory() as kept:
        os.environ["VISIONPIPE_STORE"] = str(Path(kept, "features.sqlite"))
        for run in range(N_CHEAP_RUNS + 1):
            order = (None, "auto") if run % 2 else ("auto", None)
            seconds = {store: cheap_search_seconds(X, y, store) for store in order}
            pairs.append((seconds[None], seconds["auto"]))
        n_kept = len(as_store("auto"))
        del os.environ["VISIONPIPE_STORE"]
    ratios = [auto / none for none, auto in pairs[1:]]
    none, auto = (statistics.median(seconds) for seconds in zip(*pairs[1:], strict=True))
    row = {
        "none_seconds": round(none, 3),
        "auto_seconds": round(auto, 3),
        "auto_over_none": round(statistics.median(ratios), 3),
        "lowest": round(min(ratios), 3),
        "highest": round(max(ratios), 3),
        "first_auto_over_none": round(pairs[0][1] / pairs[0][0], 3),
        "auto_kept_rows": n_kept,  # all 5,000 if reading was found faster, else those measured
    }
    print("HOG of 5,000 images of 28x28, 5 folds x 4 settings:", row)
    return row


def cheap_search_seconds(X, y, store):
    """Wall-clock time of a search over the ridge of a classifier on HOG."""
    pipeline = make_pipeline(HOG(pixels_per_cell=(7, 7), store=store), RidgeClassifier())
    search = GridSearchCV(pipeline, {"ridgeclassifier__alpha": [0.1, 1, 10, 100]}, cv=N_FOLDS)
    began = time.perf_counter()
    search.fit(X, y)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
