"""``visionpipe report``: the page of comparisons that were run before, on several machines say."""

import warnings
from pathlib import Path

from visionpipe.data_options import DATA_HELP, add_reading_options, load_for

__all__ = ["HELP", "add_arguments", "run"]

HELP = "put comparisons of the same data together and write their page"


def add_arguments(parser):
    """Add the arguments of the command to its parser."""
    add = parser.add_argument
    add(
        "results",
        nargs="+",
        type=Path,
        metavar="RESULT",
        help="folders that compare --out wrote, or the files comparison.npz in them",
    )
    add("--data", metavar="DATA", help=f"for the images on the page: {DATA_HELP}")
    add("--out", required=True, type=Path, metavar="DIR", help="write the page and results here")
    add_reading_options(parser)


def run(options):
    """Merge what belongs together, say what does not, and write the page."""
    merged = _merged(options.results)
    if options.data is not None:
        merged.attach(load_for(options, options.out).images)
    options.out.mkdir(parents=True, exist_ok=True)
    merged.save(options.out / "comparison.npz")
    merged.to_html(options.out / "report.html")
    print(merged)
    return 0


def _merged(paths):
    """All comparisons that go with the first one; of others a warning says why they do not."""
    from visionpipe.comparison import Comparison

    merged = Comparison.load(_file_of(paths[0]))
    for path in paths[1:]:
        try:
            merged = merged.merge(Comparison.load(_file_of(path)))
        except (ValueError, OSError) as error:
            warnings.warn(f"{path} is left out: {error}", stacklevel=2)
    return merged


def _file_of(path):
    return path / "comparison.npz" if path.is_dir() else path
