"""``visionpipe evaluate``: what a saved model gets right."""

import json

from visionpipe.data_options import DATA_HELP, add_reading_options, load_for, rows_of_part

__all__ = ["HELP", "add_arguments", "run"]

HELP = "test a model on images whose classes are known"


def add_arguments(parser):
    """Add the arguments of the command to its parser."""
    add = parser.add_argument
    add("model", metavar="MODEL", help="a file that fit or compare --out wrote")
    add("data", metavar="DATA", help=DATA_HELP)
    add(
        "--part",
        choices=["train", "validation", "test"],
        default="test",
        help="where the data has parts, the one to test on (default: test)",
    )
    add("--json", action="store_true", help="print the figures as JSON")
    add_reading_options(parser)


def run(options):
    """Print accuracy, and precision, recall and F1 of each class."""
    import numpy as np
    from sklearn.metrics import classification_report

    from visionpipe.commands.chunks import in_chunks
    from visionpipe.commands.model import load_classifier

    model = load_classifier(options.model)
    data = load_for(options, ".")
    rows, y = rows_of_part(data, options.part), data.target_names[data.target]
    _check_classes(model, y[rows], options)
    parts = [labels for _, labels in in_chunks(model.predict, data.images[rows])]
    predicted = np.concatenate(parts).astype(str)  # a model may know classes by numbers
    n_right = int((predicted == y[rows]).sum())
    if options.json:
        figures = classification_report(y[rows], predicted, output_dict=True, zero_division=0)
        figures |= {"accuracy": n_right / len(rows), "n_images": len(rows)}
        print(json.dumps(figures, indent=2))
        return 0
    print(f"accuracy {100 * n_right / len(rows):.2f} %: {n_right:,} of {len(rows):,} images\n")
    print(classification_report(y[rows], predicted, digits=4, zero_division=0), end="")
    return 0


def _check_classes(model, y, options):
    """Refuse images of classes that the model cannot know, rather than count them as wrong."""
    known = {*map(str, model.classes_)}
    unknown = sorted({*map(str, y)} - known)
    if unknown:
        raise ValueError(
            f"{options.data} has images of {', '.join(unknown)}, and {options.model} knows only "
            f"{', '.join(sorted(known))}; test it on those"
        )
