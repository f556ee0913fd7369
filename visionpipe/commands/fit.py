"""``visionpipe fit``: one pipeline, fitted and saved."""

import time
from pathlib import Path

from visionpipe.data_options import (
    DATA_HELP,
    add_reading_options,
    check_model_path,
    load_for,
    rows_of_part,
)

__all__ = ["HELP", "add_arguments", "run"]

HELP = "fit a pipeline and save the model"


def add_arguments(parser):
    """Add the arguments of the command to its parser."""
    add = parser.add_argument
    add("data", metavar="DATA", help=f"{DATA_HELP}; where it has parts, train is learned")
    add("--pipeline", required=True, metavar="NAME", help="such as hog_svm")
    add("--out", required=True, type=Path, metavar="MODEL", help="file for the model")
    add("--train", type=int, metavar="N", help="images to learn from (default: all)")
    add("--seed", type=int, default=0, help="random seed (default: 0)")
    add_reading_options(parser)


def run(options):
    """Fit the pipeline on the images to learn from, and save it with the names of the classes."""
    import pipelines
    from visionpipe.comparison import draw_rows
    from visionpipe.persistence import save
    from visionpipe.probabilities import with_probabilities

    pipeline = pipelines.get(options.pipeline).build(random_state=options.seed)
    check_model_path(options.out)
    data = load_for(options, options.out.parent)
    rows, y = rows_of_part(data, "train"), data.target_names[data.target]
    if options.train is not None:
        rows = draw_rows(rows, y, options.train, options.seed)
    start = time.perf_counter()
    model = with_probabilities(pipeline, y[rows]).fit(data.images[rows], y[rows])
    seconds = time.perf_counter() - start
    save(model, options.out)
    print(
        f"{options.pipeline} fitted on {len(rows):,} images of {len(model.classes_)} classes in "
        f"{seconds:.1f} s and saved as {options.out}"
    )
    return 0
