"""The command: python -m benchmarks.accuracy NAME [--data DIR] [--seed N] [--out DIR]."""

import argparse
import sys
from pathlib import Path

import benchmarks.accuracy
from benchmarks.accuracy import table
from benchmarks.accuracy.results import RESULTS, CannotRun
from benchmarks.accuracy.rows import ROWS
from benchmarks.accuracy.running import run


def main(argv=None):
    """Run a row or write the table, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy",
        description=benchmarks.accuracy.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("name", metavar="NAME", choices=[*ROWS, "table"], help=f"{', '.join(ROWS)}, or table")
    add("--data", type=Path, metavar="DIR", help="folder of the data sets, as fetch_mnist takes it")
    add("--seed", type=int, default=0, help="of all that is drawn (default: %(default)s)")
    add("--out", type=Path, default=RESULTS, metavar="DIR", help="where results are kept")
    options = parser.parse_args(argv)
    try:
        if options.name == "table":
            print("written into", table.write(options.out))
            return 0
        return run(options.name, options.data, options.seed, options.out)
    except CannotRun as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
