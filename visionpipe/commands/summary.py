"""``visionpipe summary``: the layers of a network."""

import ast

__all__ = ["HELP", "add_arguments", "run"]

HELP = "print the layers of a network"


def add_arguments(parser):
    """Add the arguments of the command to its parser."""
    parser.add_argument("network", metavar="NETWORK", help="such as lenet")
    parser.add_argument(
        "--input",
        required=True,
        metavar="HxWxC",
        help="height, width and channels of an image, such as 28x28x1; 28x28 is grey",
    )
    parser.add_argument("--classes", type=int, default=10, help="number of classes (default: 10)")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="of the network, such as hidden=(100,); may be given several times",
    )
    parser.add_argument(
        "--all", action="store_true", help="also layers without weights that keep the size"
    )


def run(options):
    """Print what each layer gives, and its parameters."""
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
