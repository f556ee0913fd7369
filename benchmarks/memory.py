"""Peak memory of learning words from 2,000 and from 20,000 images: python -m benchmarks.memory.

Each is a process of its own, which makes the images (crops of a photograph, 32x32, uint8),
describes them and fits BagOfVisualWords. What grows is the images and their descriptors; what is
learned from is a sample of bounded size.
"""

import argparse
import json
import resource
import subprocess
import sys

from benchmarks.side_by_side import RESULTS
from visionpipe.environment import hardware, versions

N_IMAGES = (2_000, 20_000)
MEGABYTE = 2**20


def main():
    """Print and keep the peaks and their difference."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--images", type=int, help="measure this process, with so many images")
    n_images = parser.parse_args().images
    if n_images:
        print(json.dumps(measure(n_images)))
        return
    rows = []
    for n_images in N_IMAGES:
        command = [sys.executable, "-m", "benchmarks.memory", "--images", str(n_images)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        rows.append(json.loads(done.stdout))
        print(rows[-1])
    growth = round(rows[1]["peak_mb"] - rows[0]["peak_mb"], 1)
    print(f"20,000 images take {growth} MB more than 2,000")
    record = {"hardware": hardware(), "versions": versions(), "rows": rows, "growth_mb": growth}
    path = RESULTS / "memory.json"
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print("kept in", path)


def measure(n_images):
    """Fit, and tell the process's peak of resident memory."""
    import numpy as np
    from skimage import data
    from sklearn.pipeline import make_pipeline

    from benchmarks.features import crops
    from visionpipe import BagOfVisualWords, DenseSIFT

    X = crops(np.ascontiguousarray(data.astronaut()), n_images, 32)
    bag = BagOfVisualWords(500, random_state=0)
    make_pipeline(DenseSIFT(step=4, bin_sizes=(4,)), bag).fit(X)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # kilobytes on Linux
    descriptors = DenseSIFT(step=4, bin_sizes=(4,)).fit_transform(X)
    return {
        "images": n_images,
        "peak_mb": round(peak / MEGABYTE, 1),
        "images_mb": round(X.nbytes / MEGABYTE, 1),
        "descriptors_mb": round(descriptors.nbytes / MEGABYTE, 1),
    }


if __name__ == "__main__":
    main()
