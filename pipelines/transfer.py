"""Few images of new classes: what a network helps that was trained on others.

``python -m pipelines.transfer DATA`` trains a small residual network on all images of the first
half of the classes, draws 20 images of each other class, and compares four ways to learn these, on
the same draws: the network from scratch, fine-tuned, as features for a support vector machine, and
the bag of visual words, which needs no other classes.
"""

import argparse

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from pipelines import dense_bovw_svm
from visionpipe import Augmentation, CNNClassifier, CNNFeatures, Resize
from visionpipe.comparison import Comparison
from visionpipe.comparison.rows import table_header, table_row
from visionpipe.console import fail_in_one_line
from visionpipe.data_options import DATA_HELP, add_reading_options, load_for
from visionpipe.datasets.folders import take_images

SIZE = 32  # pixels a side, what the network sees
PARAM_GRID = {
    "net__lr_mult": [0.03, 0.1, 0.3],
    "net__freeze": [None, 7, 13, "features"],
    "net__max_epochs": [30, 60],
}


def build(random_state=None, init_from=None, mirror=False):
    """Return the pipeline that is fine-tuned, not fitted.

    Parameters
    ----------
    random_state : int or None
        Seeds weights, order and augmentation.
    init_from : FrozenEstimator of a CNNClassifier, path-like or None
        Where the weights come from; None trains from scratch, with the same settings.
    mirror : bool
        Whether images may be mirrored, which letters and digits must not.
    """
    # Of 0.03, 0.1 and 0.3, at this rate, 0.03 was best; from scratch, this rate was better than
    # 0.003, and augmentation than none: tried on two draws of CIFAR-10, as in benchmarks.transfer,
    # that were tested on other training images.
    net = CNNClassifier(
        "resnet20",
        max_epochs=60,
        batch_size=20,
        lr=0.01,
        lr_mult=1.0 if init_from is None else 0.03,
        init_from=init_from,
        augmentation=Augmentation(mirror=mirror, shift=4),
        random_state=random_state,
    )
    return Pipeline([("resize", Resize(SIZE)), ("net", net)])


def build_source(random_state=None, mirror=False):
    """Return the pipeline that learns the other classes, not fitted.

    Parameters
    ----------
    random_state : int or None
        Seeds weights, order and augmentation.
    mirror : bool
        Whether images may be mirrored, which letters and digits must not.
    """
    net = CNNClassifier(
        "resnet20",
        max_epochs=10,
        batch_size=128,
        optimizer="nesterov",
        lr=0.1,
        weight_decay=5e-4,
        augmentation=Augmentation(mirror=mirror, shift=4),
        random_state=random_state,
    )
    return Pipeline([("resize", Resize(SIZE)), ("net", net)])


def ways(source, random_state=None, mirror=False):
    """Pipelines that learn new classes, by name, not fitted.

    Parameters
    ----------
    source : CNNClassifier
        Fitted on the other classes.
    random_state : int or None
    mirror : bool
        As for `build`.

    Returns
    -------
    dict of str to Pipeline
    """
    frozen = FrozenEstimator(source)
    extraction = Pipeline(
        [
            ("resize", Resize(SIZE)),
            ("features", CNNFeatures(frozen)),
            ("scale", StandardScaler()),
            ("svm", SVC(C=1)),
        ]
    )
    return {
        "scratch": build(random_state, mirror=mirror),
        "fine_tuning": build(random_state, init_from=frozen, mirror=mirror),
        "extraction": extraction,
        "bag_of_words": dense_bovw_svm.build(random_state),
    }


def draws(y, n_each, n_draws, random_state=0, n_test=None):
    """Splits into a few images of each class, and others.

    Parameters
    ----------
    y : ndarray of shape (n,)
        Classes.
    n_each : int
        Images of each class to learn from.
    n_draws : int
    random_state : int
    n_test : int or None
        At most so many of the others, those of the first draw among them; None takes all.

    Returns
    -------
    list of (train, test)
        Index arrays.

    Raises
    ------
    ValueError
        If a class has no more images than that.
    """
    classes, counts = np.unique(y, return_counts=True)
    if counts.min() <= n_each:
        raise ValueError(
            f"class {classes[counts.argmin()]!s} has {counts.min()} images; to draw {n_each} of "
            f"each and test on others takes at least {n_each + 1}"
        )
    rng, splits = np.random.default_rng(random_state), []
    for _ in range(n_draws):
        order = rng.permutation(len(y))
        of_class = [order[y[order] == label] for label in classes]
        train = np.concatenate([rows[:n_each] for rows in of_class])
        test = np.setdiff1d(order, train)
        splits.append((train, rng.permutation(test)[:n_test]))
    return splits


@fail_in_one_line
def main(argv=None):
    """Train the source, compare the ways and print their table; returns the exit code."""
    options = _parse(argv)
    data = load_for(options, ".", read_first=True)
    if "parts" in data:
        data = take_images(data, data.parts != "test")
    y = data.target_names[data.target]
    of_source = data.target < len(data.target_names) // 2
    if min(len(np.unique(y[of_source])), len(np.unique(y[~of_source]))) < 2:
        raise ValueError(f"{options.data} has {len(np.unique(y))} classes; wanted 4 or more")
    new = np.flatnonzero(~of_source)
    splits = draws(y[new], options.each, options.draws, options.seed)
    source = build_source(options.seed, mirror=options.mirror)
    source.fit(data.images[np.flatnonzero(of_source)], y[of_source])
    print(f"a network of {', '.join(map(str, source['net'].classes_))}, then {options.each} images")
    print(f"each of {', '.join(map(str, np.unique(y[new])))}; {options.draws} draws")
    print(table_header(), flush=True)
    chosen = ways(source["net"], options.seed, options.mirror)
    for row in Comparison(data.images[new], y[new], splits).run(chosen):
        print(table_row(row), flush=True)
    return 0


def _parse(argv):
    parser = argparse.ArgumentParser(prog="python -m pipelines.transfer", description=main.__doc__)
    add = parser.add_argument
    add(
        "data",
        nargs="?",
        default="digits",
        help=f"{DATA_HELP}; a part called test is left alone (default: digits)",
    )
    add("--each", type=int, default=20, help="images of each new class (default: 20)")
    add("--mirror", action="store_true", help="images may be mirrored: no digits, no letters")
    add("--draws", type=int, default=3, help="how often they are drawn (default: 3)")
    add("--seed", type=int, default=0, help="random seed (default: 0)")
    add_reading_options(parser)
    return parser.parse_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
