"""``visionpipe compare``: every pipeline on identical folds."""

import csv
import io
import json
import sys
from pathlib import Path

from visionpipe.console import progress_bar
from visionpipe.data_options import DATA_HELP, add_reading_options, load_for, rows_of_part

__all__ = ["HELP", "add_arguments", "run"]

HELP = "compare pipelines on identical folds"


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
    add("--train", type=int, metavar="N", help="images to learn from in each fold (default: all)")
    add("--jobs", type=int, default=1, help="folds at the same time (default: 1)")
    add("--seed", type=int, default=0, help="random seed (default: 0)")
    add("--out", type=Path, metavar="DIR", help="write results and fitted models here")
    add("--json", action="store_true", help="print the rows as JSON")
    add_reading_options(parser)


def run(options):
    """Print a row as soon as a pipeline is done, then save its model, refitted."""
    import pipelines
    from visionpipe.comparison import Comparison, compare_rows, make_folds, table_header, table_row

    names = options.pipelines.split(",") if options.pipelines else pipelines.all_pipelines()
    chosen = {name: pipelines.get(name).build(random_state=options.seed) for name in names}
    data = load_for(options, options.out or ".", read_first=True)
    y = data.target_names[data.target]
    folds = make_folds(
        data.images, y, cv=options.cv, groups=data.get("groups"), parts=data.get("parts"),
        n_train=options.train, random_state=options.seed,
    )  # fmt: skip
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        _write_run(options, names, data, folds)

    rows, table = Comparison(), sys.stderr if options.json else sys.stdout
    refitted_on = _rows_to_refit(data, folds)
    with progress_bar() as progress:
        task = progress.add_task("", total=len(chosen) * len(folds))
        print(table_header(), file=table, flush=True)
        for row in compare_rows(
            chosen, data.images, y, folds, n_jobs=options.jobs,
            on_fold=lambda *fold: progress.update(task, advance=1, description=_fold_line(*fold)),
        ):  # fmt: skip
            print(table_row(row), file=table, flush=True)
            rows.append(row)
            if options.out:
                _write_rows(rows, options.out)
                images, classes = data.images[refitted_on], y[refitted_on]
                _save_refitted(row, chosen[row.pipeline], images, classes, options.out)
    if options.json:
        print(json.dumps(rows.to_dicts(), indent=2))
    return 1 if all(row.error for row in rows) else 0


def _rows_to_refit(data, folds):
    """Positions to fit the saved models on: what is held out of a lone fold stays unseen."""
    if len(folds) == 1:
        return folds[0][0]
    return rows_of_part(data, "train")


def _fold_line(name, fold, accuracy, seconds):
    """What stands before the progress bar."""
    result = "failed" if accuracy is None else f"{accuracy:.4f} in {seconds:.1f} s"
    return f"{name}, fold {fold}: {result}"


def _write_run(options, names, data, folds):
    """Say beside the results under what circumstances they came about."""
    from visionpipe.environment import hardware, versions
    from visionpipe.files import write_whole

    run = {
        "data": str(options.data),
        "n_images": len(data.images),
        "n_skipped": len(data.get("skipped", [])),
        "ignored": data.get("ignored", {}),
        "classes": data.target_names.tolist(),
        "pipelines": names,
        "folds": [{"n_train": len(train), "n_test": len(test)} for train, test in folds],
        "seed": options.seed,
        "jobs": options.jobs,
        "hardware": hardware(),
        "versions": versions(),
    }
    write_whole(options.out / "run.json", json.dumps(run, indent=2) + "\n")


def _write_rows(rows, folder):
    """Write all rows so far: whoever stops the comparison keeps what is done."""
    from visionpipe.files import write_whole

    records = rows.to_dicts()
    write_whole(folder / "results.json", json.dumps(records, indent=2) + "\n")
    table = io.StringIO()
    writer = csv.DictWriter(table, records[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    write_whole(folder / "results.csv", table.getvalue())


def _save_refitted(row, pipeline, X, y, folder):
    """Fit a pipeline and save it, unless it failed on the folds already."""
    from sklearn.base import clone

    from visionpipe.persistence import save
    from visionpipe.probabilities import with_probabilities

    if row.error is None:
        model = with_probabilities(clone(pipeline), y).fit(X, y)
        save(model, folder / f"{row.pipeline}.joblib")
