"""``visionpipe predict``: the class and its probability for images."""

import csv
import sys

from visionpipe.data_options import add_reading_options, report_ignored, report_skipped

__all__ = ["HELP", "add_arguments", "run"]

HELP = "print class and probability of images"


def add_arguments(parser):
    """Add the arguments of the command to its parser."""
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
    from visionpipe.commands.model import load_classifier
    from visionpipe.datasets.folders import find_images
    from visionpipe.images import Images

    model, skipped, n_predicted = load_classifier(options.model), [], 0
    write = _write_commas if options.csv else _write_tabs
    if options.csv:
        write([("path", "class", "probability")])
    for source in options.images:
        found = find_images(source, errors=options.errors)
        report_ignored(found.ignored)
        skipped += found.skipped
        images = Images(found.filenames.tolist(), max_pixels=options.max_pixels)
        for rows, (labels, sure) in in_chunks(
            lambda chunk: _classes(model, chunk), images, errors=options.errors, skipped=skipped
        ):
            write(zip(found.filenames[rows], labels, sure, strict=True))
            n_predicted += len(rows)
    if options.errors == "skip":
        report_skipped(skipped, ".")
    if not n_predicted:
        raise ValueError(f"none of the {len(skipped)} images can be read; first: {skipped[0]}")
    return 0


def _write_commas(rows):
    csv.writer(sys.stdout, lineterminator="\n").writerows(rows)
    sys.stdout.flush()


def _write_tabs(rows):
    for row in rows:
        print(*row, sep="\t", flush=True)


def _classes(model, images):
    """Class and probability of each image."""
    if not hasattr(model, "predict_proba"):
        return model.predict(images), ["unknown"] * len(images)
    probabilities = model.predict_proba(images)  # (n, n_classes)
    labels = model.classes_[probabilities.argmax(axis=1)]
    return labels, [f"{p:.4f}" for p in probabilities.max(axis=1)]
