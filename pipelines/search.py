"""What ``python -m pipelines.NAME DATA`` does: search a grid, print the best, save it."""

import argparse

from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from visionpipe.comparison import make_folds
from visionpipe.console import fail_in_one_line
from visionpipe.datasets import load_data
from visionpipe.persistence import save
from visionpipe.probabilities import with_probabilities


@fail_in_one_line
def main(name, build, param_grid, argv=None):
    """Search the grid of a pipeline on a data set, then fit the best on everything and save it.

    Parameters
    ----------
    name : str
        Of the pipeline; the model file is named by it.
    build : callable
        The pipeline's ``build(random_state=None)``.
    param_grid : dict or list of dict
        As `GridSearchCV` takes it.
    argv : list of str, default=None
        Command line; None is that of the process.

    Returns
    -------
    int
        Exit code.
    """
    options = _parse(name, argv)
    data = load_data(options.data)
    y = data.target_names[data.target]
    folds = make_folds(
        data.images, y, cv=options.cv, groups=data.get("groups"), random_state=options.seed
    )
    pipeline = build(random_state=options.seed)
    search = GridSearchCV(
        pipeline, param_grid, cv=folds, n_jobs=options.jobs, refit=False, verbose=options.verbose
    )
    search.fit(data.images, y)
    accuracy = f"accuracy {100 * search.best_score_:.2f} % over {options.cv} folds"
    print(f"{name} on {options.data}: {accuracy}")
    for parameter, value in search.best_params_.items():
        print(f"  {parameter} = {value!r}")
    best = clone(pipeline).set_params(**search.best_params_)
    model = with_probabilities(best, y).fit(data.images, y)
    print(f"fitted on all {len(y)} images and saved as {save(model, options.out)}")
    return 0


def _parse(name, argv):
    parser = argparse.ArgumentParser(
        prog=f"python -m pipelines.{name}",
        description=f"Grid-search the pipeline {name} and save the best model.",
    )
    parser.add_argument(
        "data",
        nargs="?",
        default="digits",
        help="digits, faces, textures, or a folder of class sub-folders (default: digits)",
    )
    parser.add_argument("--cv", type=int, default=5, help="number of folds (default: 5)")
    parser.add_argument("--jobs", type=int, default=1, help="fits at the same time (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    parser.add_argument(
        "--out",
        default=f"results/{name}.joblib",
        help="where to save the model (default: %(default)s)",
    )
    parser.add_argument("--verbose", type=int, default=1, help="as GridSearchCV's (default: 1)")
    return parser.parse_args(argv)
