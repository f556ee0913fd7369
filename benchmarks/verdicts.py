"""How often a comparison's tests err, on simulated comparisons: python -m benchmarks.verdicts.

Images are draws from Gaussian classes; a pipeline is a layer of random features and least squares
on it, so that it depends on its seed as a network does, and takes well under a millisecond to fit.
Every comparison has images, folds and seeds of its own. Between pipelines that differ in their
seeds alone, any difference found is a false alarm; the others differ by about three points, as
measured on many trainings and many images. Takes 2 minutes of one core.
"""

import argparse
import json
from dataclasses import asdict, dataclass, replace
from datetime import date

import numpy as np

from benchmarks.side_by_side import RESULTS
from visionpipe.comparison.statistics import corrected_t_test, mcnemar
from visionpipe.environment import hardware, versions

N_IMAGES = 2_000
N_COMPARISONS = 500
LEVEL = 0.05
SEED = 0
DESIGNS = {5: (1, 2, 3, 10), 10: (1,)}  # number of folds, and how often they are drawn

# Four classes of images of five pixels; without the first pixel three points are lost.
CLASS_MEANS = np.random.default_rng(3).normal(size=(4, 5))
CLASS_MEANS *= 2.92 / np.linalg.norm(CLASS_MEANS, axis=1, keepdims=True)
CLASS_MEANS[:, 0] *= 1.1


@dataclass(frozen=True)
class Recipe:
    """Random features and least squares.

    Attributes
    ----------
    n_features : int
        The fewer, the more it depends on the seed.
    n_pixels : int
        How many pixels of an image it sees, of 5.
    seed_per_fold : bool
        Whether each fold draws features of its own, or all take the same.
    """

    n_features: int = 20
    n_pixels: int = 5
    seed_per_fold: bool = True


STEADY, FICKLE, WORSE = Recipe(), Recipe(n_features=12), Recipe(n_pixels=4)
COMPARISONS = {
    "the same, steady": (STEADY, STEADY),
    "the same, fickle": (FICKLE, FICKLE),
    "the same, steady, one seed for all folds": (replace(STEADY, seed_per_fold=False),) * 2,
    "the same, fickle, one seed for all folds": (replace(FICKLE, seed_per_fold=False),) * 2,
    "three points worse, steady": (WORSE, STEADY),
    "three points worse, fickle": (FICKLE, STEADY),
}


def main(argv=None):
    """Print and keep how often each test calls the pipelines of each comparison different."""
    argparse.ArgumentParser(prog="python -m benchmarks.verdicts", description=__doc__).parse_args(
        argv
    )
    record = {
        "date": date.today().isoformat(),
        "hardware": hardware(),
        "versions": versions(),
        "seed": SEED,
        "images": N_IMAGES,
        "comparisons": N_COMPARISONS,
        "level": LEVEL,
        "recipes": [true_accuracy(recipe) for recipe in (STEADY, FICKLE, WORSE)],
        "found": {},
    }
    for name, recipes in COMPARISONS.items():
        found = {}
        for n_folds, repeats in DESIGNS.items():
            found |= share_found(*recipes, n_folds, repeats)
        record["found"][name] = found
        for test, share in found.items():
            print(f"{name:<42} {test:<28} {share:6.1%}", flush=True)
    path = RESULTS / "verdicts.json"
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print("kept in", path)


def draw_images(rng, n):
    """Draw images (n, 6), float32, the last pixel always 1, and their classes (n,), evenly."""
    y = rng.permutation(np.arange(n) % len(CLASS_MEANS))
    pixels = CLASS_MEANS[y] + rng.normal(size=(n, CLASS_MEANS.shape[1]))
    return np.hstack([pixels, np.ones((n, 1))]).astype(np.float32), y


def draw_features(recipe, rng):
    """Draw the function that a recipe's seed decides, from images to vectors."""
    shape = (recipe.n_pixels + 1, recipe.n_features)
    weights = rng.normal(size=shape).astype(np.float32)  # the last row meets a pixel of 1

    def features(X):
        vectors = X[:, -len(weights) :] @ weights
        vectors += np.abs(vectors)  # twice the positive part; ten times as fast as a maximum
        return vectors

    return features


def held_out_right(X, y, tests, recipe, rng):
    """Fit on what each fold leaves, and tell which of its images are classified rightly.

    Returns
    -------
    list of ndarray of bool
        One array a fold, in the order of its test images.
    """
    targets = np.eye(len(CLASS_MEANS), dtype=np.float32)[y]
    ridge = np.eye(recipe.n_features, dtype=np.float32)
    features, right = draw_features(recipe, rng), []
    for test in tests:
        vectors = features(X)  # (n, f)
        held_out = vectors[test]
        products = vectors.T @ vectors - held_out.T @ held_out
        sums = vectors.T @ targets - held_out.T @ targets[test]
        weights = np.linalg.solve(products + ridge, sums)  # (f, classes)
        right.append((held_out @ weights).argmax(axis=1) == y[test])
        if recipe.seed_per_fold:
            features = draw_features(recipe, rng)
    return right


def draw_folds(y, n_folds, n_repeats, rng):
    """Return the test images of stratified folds, repeat after repeat."""
    orders = [np.lexsort((rng.random(len(y)), y)) for _ in range(n_repeats)]  # class by class
    return [order[fold::n_folds] for order in orders for fold in range(n_folds)]


def p_values(first, second, n_folds, repeats):
    """Return the p-values of both tests, out of what each got right, fold by fold.

    The t-test takes all folds of as many repeats as each of `repeats`; McNemar's takes those of the
    first repeat, each image once, and again the first fold alone.

    Returns
    -------
    dict of str to float
    """
    differences = [a.mean() - b.mean() for a, b in zip(first, second, strict=True)]
    n_test = N_IMAGES / n_folds
    found = {}
    for n_repeats in repeats:
        part = differences[: n_repeats * n_folds]
        test = corrected_t_test(part, n_train=N_IMAGES - n_test, n_test=n_test)
        found[f"t-test, {n_repeats} x {n_folds} folds"] = test.p_value
    found[f"McNemar, {n_folds} folds pooled"] = _mcnemar(first[:n_folds], second[:n_folds])
    found[f"McNemar, one of {n_folds} folds"] = _mcnemar(first[:1], second[:1])
    return found


def _mcnemar(first, second):
    first, second = np.concatenate(first), np.concatenate(second)
    return mcnemar(int((first & ~second).sum()), int((second & ~first).sum()))


def share_found(first, second, n_folds, repeats, *, n_comparisons=N_COMPARISONS, seed=SEED):
    """Return the share of comparisons in which each test calls two recipes different.

    Returns
    -------
    dict of str to float
    """
    rng, found = np.random.default_rng(seed), []
    for _ in range(n_comparisons):
        X, y = draw_images(rng, N_IMAGES)
        tests = draw_folds(y, n_folds, max(repeats), rng)
        rights = [held_out_right(X, y, tests, recipe, rng) for recipe in (first, second)]
        found.append(p_values(*rights, n_folds, repeats))
    return {name: np.mean([row[name] < LEVEL for row in found]).item() for name in found[0]}


def true_accuracy(recipe, *, n_trainings=400, n_test=20_000, seed=SEED):
    """Return a recipe and its accuracy, learned anew from 1,600 images, on many others each time.

    Returns
    -------
    dict of str to float
        With the recipe's own parameters; `accuracy_sd` is that over trainings.
    """
    rng = np.random.default_rng(seed)
    accuracies = []
    for _ in range(n_trainings):
        X, y = draw_images(rng, N_IMAGES * 4 // 5 + n_test)
        (right,) = held_out_right(X, y, [np.arange(n_test)], recipe, rng)
        accuracies.append(right.mean())
    return asdict(recipe) | {
        "accuracy": round(float(np.mean(accuracies)), 4),
        "accuracy_sd": round(float(np.std(accuracies, ddof=1)), 4),
    }


if __name__ == "__main__":
    main()
