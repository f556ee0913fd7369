"""The command ``visionpipe``."""

import argparse
import ast
import csv
import io
import json
import sys
from pathlib import Path

from visionpipe.console import fail_in_one_line, progress_bar


@fail_in_one_line
def main(argv=None):
    """Run the command line.

    Parameters
    ----------
    argv : list of str, default=None
        Arguments; None is those of the process.

    Returns
    -------
    int
        0; 2 if the input was bad; 1 if every pipeline failed.
    """
    options = _parser().parse_args(argv)
    return options.run(options)


def _parser():
    parser = argparse.ArgumentParser(
        prog="visionpipe", description="Handcrafted and learned image features, compared."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    compare = commands.add_parser("compare", help="compare pipelines on identical folds")
    compare.set_defaults(run=run_compare)
    compare.add_argument(
        "data",
        nargs="?",
        default="digits",
        metavar="DATA",
        help="digits, faces, textures, or a folder of class sub-folders (default: digits)",
    )
    compare.add_argument(
        "--pipelines", metavar="NAME,NAME", help="which, separated by commas (default: all)"
    )
    compare.add_argument("--cv", type=int, default=5, help="number of folds (default: 5)")
    compare.add_argument("--jobs", type=int, default=1, help="folds at the same time (default: 1)")
    compare.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    compare.add_argument(
        "--out", type=Path, metavar="DIR", help="write results and fitted models here"
    )
    compare.add_argument("--json", action="store_true", help="print the rows as JSON")

    predict = commands.add_parser("predict", help="print class and probability of images")
    predict.set_defaults(run=run_predict)
    predict.add_argument("model", metavar="MODEL", help="a file that compare --out wrote")
    predict.add_argument("images", nargs="+", metavar="IMAGE")

    summary = commands.add_parser("summary", help="print the layers of a network")
    summary.set_defaults(run=run_summary)
    summary.add_argument("network", metavar="NETWORK", help="such as lenet")
    summary.add_argument(
        "--input",
        required=True,
        metavar="HxWxC",
        help="height, width and channels of an image, such as 28x28x1; 28x28 is grey",
    )
    summary.add_argument("--classes", type=int, default=10, help="number of classes (default: 10)")
    summary.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="of the network, such as hidden=(100,); may be given several times",
    )
    summary.add_argument(
        "--all", action="store_true", help="also layers without weights that keep the size"
    )
    return parser


# --------------------------------------------------------------------------------------- compare


def run_compare(options):
    """``visionpipe compare``: a row as soon as a pipeline is done, then its model refitted."""
    import pipelines
    from visionpipe.comparison import Comparison, compare_rows, make_folds, table_header, table_row
    from visionpipe.datasets import load_data

    names = options.pipelines.split(",") if options.pipelines else pipelines.all_pipelines()
    chosen = {name: pipelines.get(name).build(random_state=options.seed) for name in names}
    data = load_data(options.data)
    y = data.target_names[data.target]
    folds = make_folds(
        data.images, y, cv=options.cv, groups=data.get("groups"), random_state=options.seed
    )
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        _write_run(options, names, len(y), data.target_names)

    rows, table = Comparison(), sys.stderr if options.json else sys.stdout
    with progress_bar() as progress:
        for _ in data.images.batches():  # a file that is no image stops here, before any fit
            pass
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
                _save_refitted(row, chosen[row.pipeline], data.images, y, options.out)
    if options.json:
        print(json.dumps(rows.to_dicts(), indent=2))
    return 1 if all(row.error for row in rows) else 0


def _fold_line(name, fold, accuracy, seconds):
    """What stands before the progress bar."""
    result = "failed" if accuracy is None else f"{accuracy:.4f} in {seconds:.1f} s"
    return f"{name}, fold {fold}: {result}"


def _write_run(options, names, n_images, classes):
    """Say beside the results under what circumstances they came about."""
    from visionpipe.environment import hardware, versions
    from visionpipe.files import write_whole

    run = {
        "data": str(options.data),
        "n_images": n_images,
        "classes": classes.tolist(),
        "pipelines": names,
        "cv": options.cv,
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
    """Fit a pipeline on everything and save it, unless it failed on the folds already."""
    from sklearn.base import clone

    from visionpipe.persistence import save
    from visionpipe.probabilities import with_probabilities

    if row.error is None:
        model = with_probabilities(clone(pipeline), y).fit(X, y)
        save(model, folder / f"{row.pipeline}.joblib")


# --------------------------------------------------------------------------------------- predict


IMAGES_AT_ONCE = 256


def run_predict(options):
    """``visionpipe predict``: path, class and probability of each image, tab-separated."""
    from visionpipe.decoding import ImageReadError
    from visionpipe.persistence import load

    model, paths, failures = load(options.model), options.images, 0
    for start in range(0, len(paths), IMAGES_AT_ONCE):
        chunk = paths[start : start + IMAGES_AT_ONCE]
        try:
            _print_classes(model, chunk)
        except ImageReadError:  # find the bad ones; the others still get their line
            for path in chunk:
                try:
                    _print_classes(model, [path])
                except ImageReadError as error:
                    print(f"error: {error}", file=sys.stderr)
                    failures += 1
    return 2 if failures else 0


def _print_classes(model, paths):
    if hasattr(model, "predict_proba"):
        probabilities = model.predict_proba(paths)  # (n, n_classes)
        labels = model.classes_[probabilities.argmax(axis=1)]
        sure = [f"{p:.4f}" for p in probabilities.max(axis=1)]
    else:
        labels, sure = model.predict(paths), ["unknown"] * len(paths)
    for path, label, probability in zip(paths, labels, sure, strict=True):
        print(f"{path}\t{label}\t{probability}", flush=True)


# --------------------------------------------------------------------------------------- summary


def run_summary(options):
    """``visionpipe summary``: what each layer of a network gives, and its parameters."""
    from visionpipe.networks.layer_table import layer_table

    own = dict(map(_network_option, options.option))
    image_shape = _image_shape(options.input)
    if options.classes < 1:
        raise ValueError(f"--classes {options.classes}: wanted at least 1")
    try:
        table = layer_table(options.network, image_shape, options.classes, **own)
    except TypeError as error:  # of a name or a value that the network does not take
        raise ValueError(f"{options.network} does not take {own}: {error}") from error
    print(table if options.all else table.main_layers())
    return 0


def _image_shape(text):
    """Height, width and channels out of ``28x28x1`` or ``28x28``."""
    lengths = text.lower().split("x")
    if len(lengths) not in (2, 3) or not all(n.isdecimal() and int(n) for n in lengths):
        raise ValueError(f"--input {text}: wanted HEIGHTxWIDTHxCHANNELS, such as 28x28x1")
    return tuple(map(int, [*lengths, "1"][:3]))


def _network_option(text):
    """Name and value out of ``hidden=(100,)``; a value that is no literal of Python is text."""
    name, equals, value = text.partition("=")
    if not (name.isidentifier() and equals):
        raise ValueError(f"--option {text}: wanted NAME=VALUE, such as hidden=(100,)")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value
