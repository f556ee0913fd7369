"""What ``python -m pipelines.search DATA`` does: search a grid, print the best, save it.

``python -m pipelines.NAME DATA`` does it for the pipeline of that name.
"""

import argparse
import os
from pathlib import Path

from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import pipelines
from pipelines.cluster import check_workers, connected, work_sent_to
from visionpipe.comparison import make_folds
from visionpipe.console import FitLines, fail_in_one_line
from visionpipe.data_options import (
    DATA_HELP,
    add_reading_options,
    check_model_path,
    load_for,
)
from visionpipe.datasets.folders import take_images
from visionpipe.images import as_images
from visionpipe.persistence import save
from visionpipe.probabilities import with_probabilities
from visionpipe.search import ResumableSearch
from visionpipe.store import as_store, use_store


@fail_in_one_line
def main(name=None, build=None, param_grid=None, argv=None):
    """Search the grid of a pipeline on a data set, then fit the best on everything and save it.

    Parameters
    ----------
    name : str, default=None
        Of the pipeline; the model file is named by it. None lets the command line name one of
        `pipelines.all_pipelines`.
    build : callable, default=None
        The pipeline's ``build(random_state=None)``.
    param_grid : dict or list of dict, default=None
        As `GridSearchCV` takes it.
    argv : list of str, default=None
        Command line; None is that of the process.

    Returns
    -------
    int
        Exit code.
    """
    options = _parse(name, argv)
    if name is None:
        name, module = options.pipeline, pipelines.get(options.pipeline)
        build, param_grid = module.build, module.PARAM_GRID
    pipeline = build(random_state=options.seed)
    check_model_path(options.out)
    with connected(options.cluster) as client:
        data = _load(options)
        y = data.target_names[data.target]
        if client is not None:
            check_workers(client, [*_one_file(data), *_touched(options.journal)])
        with work_sent_to(client, data.images):
            search = _search(pipeline, param_grid, data, y, options)
    print(
        f"{name} on {options.data}: accuracy {100 * search.best_score_:.2f} % over "
        f"{search.n_splits_} folds"
    )
    for parameter, value in search.best_params_.items():
        print(f"  {parameter} = {value!r}")
    best = clone(pipeline).set_params(**search.best_params_)  # names no store of this machine
    model = with_probabilities(best, y).fit(data.images, y)
    print(f"fitted on all {len(y)} images and saved as {save(model, options.out)}")
    return 0


def _load(options):
    """Load the images that parameters may be chosen with, with whole paths: workers run elsewhere.

    Those of a part that is called test are left alone; one called validation judges candidates.
    """
    data = load_for(options, Path(options.out).parent, read_first=True)
    if "parts" in data:
        data = take_images(data, data.parts != "test")
        if "validation" not in data.parts:
            del data["parts"]
    if data.images.reads_files:
        data.filenames = [os.path.abspath(path) for path in data.filenames]
        data.images = as_images(data.filenames, max_pixels=options.max_pixels)
    return data


def _search(pipeline, param_grid, data, y, options):
    """Fit all candidates on all folds, here or wherever joblib sends them."""
    folds = make_folds(
        data.images, y, cv=options.cv, groups=data.get("groups"), parts=data.get("parts"),
        random_state=options.seed,
    )  # fmt: skip
    if options.store and not options.cluster:
        len(as_store(options.store))  # what cannot be a store is refused once, not by every fit
    estimator = use_store(clone(pipeline), options.store)
    search = GridSearchCV(estimator, param_grid, cv=folds, n_jobs=options.jobs, refit=False)
    if options.journal:
        lines = FitLines(options.journal)
        search = ResumableSearch(search, journal=options.journal, on_fit=lines)
    return search.fit(data.images, y)


def _one_file(data):
    """A file that all workers have to see, where images are files."""
    return data.filenames[:1] if data.images.reads_files else []


def _touched(journal):
    """Make the file that all workers have to see."""
    if journal is None:
        return []
    path = Path(journal).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return [str(path)]


# ------------------------------------------------------------------------------- the command line


def _parse(name, argv):
    parser = argparse.ArgumentParser(
        prog=f"python -m pipelines.{name or 'search'}",
        description=f"Grid-search {f'the pipeline {name}' if name else 'a pipeline'} and save the "
        "best model.",
    )
    add = parser.add_argument
    add(
        "data",
        nargs="?",
        default="digits",
        help=f"{DATA_HELP}; a part called test is left alone (default: digits)",
    )
    if name is None:
        names = ", ".join(pipelines.all_pipelines())
        add("--pipeline", default="hog_svm", help=f"one of {names} (default: hog_svm)")
    add(
        "--cv",
        type=int,
        help="number of folds (default: 5, or the validation part where there is one)",
    )
    add("--jobs", type=int, help="fits at the same time (default: 1; on a cluster, all it can)")
    add("--seed", type=int, default=0, help="random seed (default: 0)")
    add("--out", help="where to save the model (default: results/PIPELINE.joblib)")
    add(
        "--store",
        help="file in which features of images are kept, auto or none (default: auto, none with "
        "--cluster)",
    )
    add(
        "--journal",
        help="file in which finished fits are kept, for a search that is begun again; or none "
        "(default: beside the model, OUT.journal.jsonl; none with --cluster)",
    )
    add("--cluster", metavar="ADDRESS", help="of a Dask scheduler, such as tcp://host:8786")
    add_reading_options(parser)
    options = parser.parse_args(argv)
    return _completed(options, name or options.pipeline)


def _completed(options, name):
    """Options with those defaults that depend on other options."""
    if options.cluster and options.jobs:
        raise ValueError(
            f"got --jobs {options.jobs} and --cluster; the workers of a cluster decide how many "
            "fits run at the same time: leave --jobs out"
        )
    options.out = options.out or f"results/{name}.joblib"
    # on a cluster, files that many write need a disk of the right kind: only the user knows it
    for option, here in (("store", "auto"), ("journal", f"{options.out}.journal.jsonl")):
        chosen = getattr(options, option) or ("none" if options.cluster else here)
        setattr(options, option, None if chosen == "none" else chosen)
    return options


if __name__ == "__main__":
    raise SystemExit(main())
