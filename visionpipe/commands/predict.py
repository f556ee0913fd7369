"""``visionpipe predict``: the class and its probability for images."""

import csv
import sys

from visionpipe.data_options import add_reading_options

__all__ = ["add_to"]

COMMAS = {"lineterminator": "\n"}
TABS = COMMAS | {"delimiter": "\t", "quoting": csv.QUOTE_NONE, "escapechar": "\\"}


def add_to(commands):
    """Add the parser of the command.

    Parameters
    ----------
    commands : object
        As `argparse.ArgumentParser.add_subparsers` returns it.
    """
    parser = commands.add_parser("predict", help="print class and probability of images")
    parser.set_defaults(run=run)
    add = parser.add_argument
    add("model", metavar="MODEL", help="a file that fit or compare --out wrote")
    add(
        "images",
        nargs="+",
        metavar="IMAGE",
        help="an image, a folder of images at any depth, or a CSV file with a column path",
    )
    add("--csv", action="store_true", help="print CSV with a header, not columns between tabs")
    add_reading_options(parser, sets=False)


def run(options):
    """Print path, class and probability of each image, in order."""
    from visionpipe.commands.chunks import in_chunks
    from visionpipe.data_options import report_ignored, report_skipped
    from visionpipe.datasets.folders import find_images
    from visionpipe.images import as_images
    from visionpipe.persistence import load

    model, skipped = load(options.model), []
    writer = csv.writer(sys.stdout, **(COMMAS if options.csv else TABS))
    if options.csv:
        writer.writerow(["path", "class", "probability"])
    for source in options.images:
        found = find_images(source)
        report_ignored(found.ignored)
        images = as_images(found.filenames, max_pixels=options.max_pixels)
        for rows, (labels, sure) in in_chunks(
            lambda chunk: _classes(model, chunk), images, errors=options.errors, skipped=skipped
        ):
            writer.writerows(zip(found.filenames[rows], labels, sure, strict=True))
            sys.stdout.flush()
    if options.errors == "skip":
        report_skipped(skipped, ".")
    return 0


def _classes(model, images):
    """Class and probability of each image."""
    if not hasattr(model, "predict_proba"):
        return model.predict(images), ["unknown"] * len(images)
    probabilities = model.predict_proba(images)  # (n, n_classes)
    labels = model.classes_[probabilities.argmax(axis=1)]
    return labels, [f"{p:.4f}" for p in probabilities.max(axis=1)]
