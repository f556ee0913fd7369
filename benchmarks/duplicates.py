"""Duplicates in the standard sets: how many and how fast, python -m benchmarks.duplicates [DATA].

DATA is the folder of the data sets (default: what VISIONPIPE_DATA names). Of each set a line says
how many pairs of training and test images are exact, and how many are near by the least similarity,
and how long finding them took, in seconds by the clock and of the processor. The pixels lie in
memory: nothing is decoded.
"""

import argparse
import time

from visionpipe import fetch_cifar10, fetch_fashion_mnist, fetch_mnist, load_digits_images
from visionpipe.duplicates import find_duplicates

LEAST = (0.9, 0.97, 0.98)
FETCH = {"mnist": fetch_mnist, "fashion-mnist": fetch_fashion_mnist, "cifar-10": fetch_cifar10}


def main(argv=None):
    """Print a line for each set."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.duplicates",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("data", nargs="?", help="the folder of the data sets")
    data_home = parser.parse_args(argv).data
    show("digits", load_digits_images().images)
    for name, fetch in FETCH.items():
        show(name, fetch(data_home=data_home, subset="all").images)


def show(name, images):
    """Print what is found in a set, and how long that took."""
    clock, processor = time.perf_counter(), time.process_time()
    found = find_duplicates(images, least_similarity=min(LEAST))
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    near = found.similarity[~found.is_exact]
    counts = ", ".join(f"{(near >= least).sum():,} at {least}" for least in LEAST)
    print(
        f"{name:<14} {len(images):,} images: {found.is_exact.sum():,} exact, near {counts}; "
        f"{clock:.1f} s, {processor:.1f} s of the processor",
        flush=True,
    )


if __name__ == "__main__":
    main()
