"""Reading photographs: rate and peak memory, python -m benchmarks.reading [FOLDER].

The JPEG files of FOLDER (default: `caltech-16` in the folder that VISIONPIPE_DATA names) are copied
under new names until there are 20,000. HOG of all of them at 64x64 is computed, straight from the
files, in a process of its own, whose peak of resident memory is compared with the size of the
vectors. Then, in one process and in turn, the same on 4,000 of the copies against what does no more
than decode and resize them on as many threads: bare loops with Pillow and with OpenCV, and
visionpipe without HOG. The same follows for some of the photographs enlarged to 3000x2250, as a
camera would write them.

The exit code is 1 if memory is more than 400 MB above the vectors, or if the rate is below 80 % of
that of Pillow's loop, which decodes with the same library.
"""

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.side_by_side import keep, race, show
from visionpipe import HOG, Resize, as_images, load_images
from visionpipe.environment import peak_memory
from visionpipe.threads import n_threads

SIDE = 64
N_FILES, N_TIMED, N_LARGE = 20_000, 4_000, 48
LARGE = (3000, 2250)  # width and height
MOST_MEGABYTES, LEAST_RATE = 400, 0.8
MEGABYTE = 2**20


def main(argv=None):
    """Print and keep the figures, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reading",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", nargs="?", type=Path, help="of JPEG files, at any depth")
    parser.add_argument("--peak", action="store_true", help="measure the memory of this process")
    options = parser.parse_args(argv)
    if options.peak:
        print(json.dumps(peak(options.folder)))
        return 0
    source = options.folder or Path(os.environ.get("VISIONPIPE_DATA", "data"), "caltech-16")
    photographs = sorted(source.rglob("*.jpg"))
    if not photographs:
        parser.error(f"there are no JPEG files in {source}; name a folder that has some")
    with tempfile.TemporaryDirectory() as folder:
        copies, large = Path(folder, "copies"), Path(folder, "large")
        copy(photographs, copies, N_FILES)
        memory = peak_in_new_process(copies)
        show_peak(memory)
        timings = against_loops(sorted(copies.rglob("*.jpg"))[:N_TIMED], "300x240", n_runs=5)
        enlarge(photographs, large, N_LARGE)
        timings += against_loops(sorted(large.glob("*.jpg")), "3000x2250", n_runs=3)
    print("kept in", keep("reading", timings, threads=n_threads(), memory=memory))
    slow = any(t.times_as_fast < LEAST_RATE for t in timings if t.peer == PILLOW)
    return int(slow or memory["over_vectors_mb"] > MOST_MEGABYTES)


def copy(photographs, folder, n_files):
    """Copy files under new names into the folders of their classes, again and again."""
    for path in photographs:
        (folder / path.parent.name).mkdir(parents=True, exist_ok=True)
    for number, path in zip(range(n_files), itertools.cycle(photographs), strict=False):
        shutil.copyfile(path, folder / path.parent.name / f"{number:06}.jpg")


def enlarge(photographs, folder, n_files):
    """Write photographs as large as a camera's."""
    folder.mkdir()
    chosen = photographs[:: max(1, len(photographs) // n_files)][:n_files]
    for number, path in enumerate(chosen):
        with Image.open(path) as picture:
            enlarged = picture.convert("RGB").resize(LARGE, Image.Resampling.BICUBIC)
            enlarged.save(folder / f"{number:06}.jpg", quality=90)


# ---------------------------------------------------------------------------------------- memory


def peak_in_new_process(folder):
    """What `peak` returns in a process that has done nothing else."""
    command = [sys.executable, "-m", "benchmarks.reading", "--peak", str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def peak(folder):
    """Megabytes that this process had at most while it computed HOG of all files in a folder."""
    before = round(peak_memory() / MEGABYTE)
    images = load_images(folder).images
    vectors = hog_of(images)
    after = round(peak_memory() / MEGABYTE)
    return {
        "files": len(images),
        "imports_mb": before,
        "peak_mb": after,
        "vectors_mb": round(vectors.nbytes / MEGABYTE),
        "over_vectors_mb": round(after - vectors.nbytes / MEGABYTE),
    }


def show_peak(memory):
    """Print the figures of memory as a line."""
    print(
        f"{memory['files']:,} files: at most {memory['peak_mb']} MB, of which "
        f"{memory['vectors_mb']} are the vectors and {memory['imports_mb']} the packages; "
        f"{memory['over_vectors_mb']} MB over the vectors",
        flush=True,
    )


# ----------------------------------------------------------------------------------------- rates

PILLOW, OPENCV, OURS = "Pillow, bare loop", "OpenCV, bare loop", "visionpipe, without HOG"


def against_loops(paths, what, n_runs):
    """Decoding, resizing and HOG against loops that decode and resize."""
    import cv2  # not in the process whose memory is measured

    cv2.setNumThreads(1)
    paths, timings = list(map(str, paths)), []
    for peer, loop in {
        PILLOW: lambda: on_threads(with_pillow, paths),
        OPENCV: lambda: on_threads(with_opencv, paths),
        OURS: lambda: resized(paths),
    }.items():
        timings.append(
            race(
                f"read, resize and HOG, {what}",
                peer,
                lambda: hog_of(paths),
                loop,
                n_ours=len(paths),
                n_theirs=len(paths),
                n_runs=n_runs,
            )
        )
        show(timings[-1])
    return timings


def hog_of(images):
    """Vectors (n, 2916) of files."""
    return HOG().fit_transform(Resize(SIDE).fit_transform(images))


def resized(paths):
    """Read and resize all files, and do nothing with them."""
    for _ in Resize(SIDE).transform(as_images(paths)).batches():
        pass


def on_threads(function, paths):
    """Apply a function to paths on as many threads as visionpipe uses, each with its share."""
    shares = [paths[i :: n_threads()] for i in range(n_threads())]
    threads = [threading.Thread(target=lambda s=s: [*map(function, s)]) for s in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def with_pillow(path):
    """First value of the resized picture."""
    with Image.open(path) as picture:
        small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(small)[0, 0, 0]


def with_opencv(path):
    """The same; INTER_AREA is its filter that averages over all pixels."""
    import cv2

    pixels = cv2.imread(path, cv2.IMREAD_COLOR_RGB)
    return cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)[0, 0, 0]


if __name__ == "__main__":
    sys.exit(main())
