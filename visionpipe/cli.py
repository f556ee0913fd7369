"""The command ``visionpipe``."""

import argparse
import sys

from visionpipe.commands import compare, evaluate, fit, predict, report, summary
from visionpipe.console import fail_in_one_line


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
    parser = argparse.ArgumentParser(
        prog="visionpipe", description="Handcrafted and learned image features, compared."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (compare, report, fit, evaluate, predict, summary):
        name = command.__name__.rpartition(".")[2]
        its_parser = commands.add_parser(name, help=command.HELP)
        its_parser.set_defaults(run=command.run)
        command.add_arguments(its_parser)
    options = parser.parse_args(argv)
    options.argv = sys.argv[1:] if argv is None else argv
    return options.run(options)
