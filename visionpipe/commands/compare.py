"""``visionpipe compare``: every pipeline on identical folds, and a page about it."""

import csv
import io
import json
import shlex
import sys
import warnings
from datetime import date
from pathlib import Path

from visionpipe.console import progress_bar
from visionpipe.data_options import DATA_HELP, add_reading_options, load_for, rows_of_part

__all__ = ["HELP", "add_arguments", "run"]

HELP = "compare pipelines on identical folds"
CURVE_SIZES = (0.1, 0.3)  # of the training images: together as much work as half a fold more
N_EXPLAINED = 2  # images a pipeline


def add_arguments(parser):
    """Add the arguments of the command to its parser."""
    add = parser.add_argument
    add("data", nargs="?", default="digits", metavar="DATA", help=f"{DATA_HELP} (default: digits)")
    add("--pipelines", metavar="NAME,NAME", help="which, separated by commas (default: all)")
    add(
        "--cv",
        type=int,
        metavar="N",
        help="number of folds (default: 5; where the data has parts, learn on train and test on "
        "validation or, without it, on test)",
    )
    add(
        "--repeats",
        type=int,
        default=1,
        metavar="N",
        help="how often the folds are drawn anew, which tells smaller differences apart "
        "(default: 1)",
    )
    add("--train", type=int, metavar="N", help="images to learn from in each fold (default: all)")
    add(
        "--tune",
        action="store_true",
        help="search each pipeline's parameters within each training fold",
    )
    add(
        "--group-duplicates",
        action="store_true",
        help="keep images that are the same picture on one side of each split",
    )
    add(
        "--check-leaks",
        action="store_true",
        help="first fit each pipeline with noise in place of the held-out images, too, and stop if "
        "that changes anything",
    )
    add(
        "--jobs",
        type=int,
        help="folds at the same time, but for each pipeline's first, of which times are taken "
        "(default: one a core, and 1 with a GPU)",
    )
    add("--seed", type=int, default=0, help="random seed (default: 0)")
    add("--out", type=Path, metavar="DIR", help="write a page, results and fitted models here")
    add("--json", action="store_true", help="print the rows as JSON")
    add_reading_options(parser)


def run(options):
    """Print a row as soon as a pipeline is done; then the verdicts, models and the page."""
    import pipelines
    from visionpipe.comparison.rows import table_header, table_row

    names = options.pipelines.split(",") if options.pipelines else pipelines.all_pipelines()
    modules = {name: pipelines.get(name) for name in names}
    data = load_for(options, options.out or ".", read_first=True)
    comparison = _begin(options, modules, data)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        _write_run(options, names, data, comparison)

    # joblib replaces a worker whose memory has grown, and loses nothing by it
    warnings.filterwarnings("ignore", message="A worker stopped while some jobs were given")
    table, jobs = sys.stderr if options.json else sys.stdout, _jobs(options, comparison.folds)
    with progress_bar() as progress:
        task = progress.add_task("", total=len(names) * len(comparison.folds))
        print(table_header(), file=table, flush=True)
        for row in comparison.run(
            modules,
            tune=options.tune,
            train_sizes=CURVE_SIZES if options.out else (),
            n_explained=N_EXPLAINED if options.out else 0,
            n_jobs=jobs,
            on_fold=lambda *fold: progress.update(task, advance=1, description=_fold_line(*fold)),
        ):
            print(table_row(row), file=table, flush=True)
            if options.out:
                _write_results(comparison, options.out)
        if any(row.error is None for row in comparison.rows):
            print(f"\n{comparison.conclusion()}", file=table, flush=True)
        if options.out:
            progress.update(task, description="models and page")
            comparison.to_html(options.out / "report.html")
            _save_refitted(
                comparison, modules, _rows_to_refit(data, comparison.folds), options, jobs
            )
    if options.json:
        print(json.dumps(comparison.to_dicts(), indent=2))
    return 1 if all(row.error for row in comparison.rows) else 0


def _begin(options, modules, data):
    """The comparison, with its folds and all that is wrong with them, and nothing run yet."""
    from visionpipe.comparison import Comparison, make_folds
    from visionpipe.duplicates import find_duplicates
    from visionpipe.leaks import leak_check

    y, groups, parts = data.target_names[data.target], data.get("groups"), data.get("parts")
    duplicates = find_duplicates(data.images)
    if options.group_duplicates:
        if parts is not None and options.cv is None:
            raise ValueError("--group-duplicates: the data comes with its split; give --cv too")
        groups = duplicates.groups(groups)
    how = {"cv": options.cv, "groups": groups, "parts": parts, "random_state": options.seed}
    folds = make_folds(data.images, y, n_repeats=options.repeats, n_train=options.train, **how)
    comparison = Comparison(
        data.images, y, folds, groups=groups, name=str(options.data), random_state=options.seed
    )
    comparison.note_duplicates(duplicates)
    for text in comparison.warnings:
        warnings.warn(text, stacklevel=2)
    comparison.circumstances = {
        "command": shlex.join(["visionpipe", *options.argv]),
        "date": date.today().isoformat(),
        "duplicates": str(duplicates),
    }
    if options.check_leaks:
        chosen = {name: m.build(random_state=options.seed) for name, m in modules.items()}
        leak_check(chosen, data.images, y, **how)
        comparison.circumstances["leak check"] = (
            "with noise in place of the held-out images of the first fold, every pipeline has "
            "learned the same"
        )
    return comparison


def _jobs(options, folds):
    """Folds at a time: as asked for, else as many as there are cores and folds after the first."""
    if options.jobs is not None:
        return options.jobs
    import torch

    from visionpipe.threads import n_threads

    return 1 if torch.cuda.is_available() else max(1, min(n_threads(), len(folds) - 1))


def _rows_to_refit(data, folds):
    """Positions to fit the saved models on: what is held out of a lone fold stays unseen."""
    if len(folds) == 1:
        return folds[0][0]
    return rows_of_part(data, "train")


def _fold_line(name, fold, accuracy, seconds):
    """What stands before the progress bar."""
    result = "failed" if accuracy is None else f"{accuracy:.4f} in {seconds:.1f} s"
    return f"{name}, fold {fold}: {result}"


# ------------------------------------------------------------------------------- into the folder


def _write_run(options, names, data, comparison):
    """Say beside the results under what circumstances they came about."""
    from visionpipe.environment import hardware, versions
    from visionpipe.files import write_whole

    run = {
        **comparison.circumstances,
        "data": str(options.data),
        "n_images": len(data.images),
        "n_skipped": len(data.get("skipped", [])),
        "ignored": data.get("ignored", {}),
        "classes": data.target_names.tolist(),
        "pipelines": names,
        "folds": [{"n_train": len(train), "n_test": len(test)} for train, test in comparison.folds],
        "warnings": comparison.warnings,
        "seed": options.seed,
        "jobs": _jobs(options, comparison.folds),
        "hardware": hardware(),
        "versions": versions(),
    }
    write_whole(options.out / "run.json", json.dumps(run, indent=2) + "\n")


def _write_results(comparison, folder):
    """Write all results so far: whoever stops the comparison keeps what is done."""
    from visionpipe.files import write_whole

    comparison.save(folder / "comparison.npz")
    records = comparison.to_dicts()
    write_whole(folder / "results.json", json.dumps(records, indent=2) + "\n")
    table = io.StringIO()
    writer = csv.DictWriter(table, records[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    write_whole(folder / "results.csv", table.getvalue())


def _save_refitted(comparison, modules, rows, options, jobs):
    """Fit the pipelines once more and save them, but for those that failed on a fold."""
    from sklearn.utils.parallel import Parallel, delayed

    images, y = comparison.images[rows], comparison.classes[comparison.y[rows]]
    Parallel(n_jobs=jobs)(
        delayed(_save_fitted)(
            modules[row.pipeline].build(random_state=options.seed),
            images,
            y,
            options.out / f"{row.pipeline}.joblib",
        )
        for row in comparison.rows
        if row.error is None
    )


def _save_fitted(pipeline, images, y, path):
    from visionpipe.comparison.fold_run import keeping_features
    from visionpipe.persistence import save
    from visionpipe.probabilities import with_probabilities
    from visionpipe.store import use_store

    model = keeping_features(with_probabilities(pipeline, y)).fit(images, y)
    save(use_store(model, None), path)  # it will be used on other images, and elsewhere
