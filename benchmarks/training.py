"""What an epoch of training costs: python -m benchmarks.training [DATA].

The same training is done by `CNNClassifier`, by stock skorch, and by the shortest loop in PyTorch.
Network, batch size, loss (plain cross entropy), optimizer (SGD with momentum 0.9, fused), constant
learning rate, float32 and number of threads are the same. skorch and the loop have their images
ready as standardised float32 tensors, the loop has them on the device; `CNNClassifier` has them as
bytes, as they come out of files. It lays a pixel's channels side by side, which is faster; so as to
compare the rest, it is also measured with the memory format of the others ("contiguous").

Epochs are timed from inside, from the first batch on, so that setting up does not count. A round
does each way once, in an order that changes; ratios to the loop are taken within a round. DATA is
what `visionpipe.datasets.load_data` takes; without it pixels and labels are drawn at random. A GPU
is measured beside the CPU if there is one. The exit code is 1 if CNNClassifier, in either format,
takes more than 1.10 of the loop's time anywhere, or is not faster than skorch.
"""

import argparse
import json
import shlex
import statistics
import sys
import time
from dataclasses import asdict, dataclass, replace
from datetime import date
from functools import partial

import numpy as np
import torch
from sklearn.pipeline import make_pipeline
from skorch import NeuralNetClassifier
from skorch.callbacks import Callback

from benchmarks.side_by_side import RESULTS
from visionpipe import CNNClassifier, Grayscale, Resize, networks
from visionpipe.datasets import load_data
from visionpipe.environment import hardware, versions
from visionpipe.files import write_whole

SEED = 0
LR = 0.01
MOMENTUM = 0.9
MOST_OF_BARE = 1.10  # of the loop's time that CNNClassifier may take
N_CLASSES = 10  # of random labels
ROUNDS = 5
EPOCHS = {"cpu": 1, "cuda": 5}  # timed in each training: a GPU's are short


@dataclass(frozen=True)
class Case:
    """One training: a network of `visionpipe.networks` on so many images of one size."""

    network: str
    batch_size: int
    n_images: int
    image_shape: tuple  # (h, w, c)


CASES = (
    Case("lenet", 64, 20_000, (28, 28, 1)),
    Case("lenet", 128, 20_000, (28, 28, 1)),
    Case("lenet", 512, 20_000, (28, 28, 1)),
    Case("cifarnet", 128, 5_000, (32, 32, 3)),
)


def main(argv=None):
    """Measure all cases; print and keep them, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("data", nargs="?", help="name of a data set, or a folder")
    parser.add_argument("--quick", action="store_true", help="a tenth, to try it; keeps nothing")
    options = parser.parse_args(argv)
    cases, n_rounds = CASES, ROUNDS
    if options.quick:
        cases, n_rounds = [replace(c, n_images=c.n_images // 10) for c in CASES], 2
    rows = []
    for device in ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]:
        for case in cases:
            rows.append(measure(case, device, n_rounds, *images_of(case, options.data)))
            show(rows[-1])
    if not options.quick:
        command = shlex.join(["python", "-m", "benchmarks.training", *(argv or sys.argv[1:])])
        print("kept in", keep(rows, options.data, command))
    missed = [row for row in rows if not is_good(row)]
    for row in missed:
        print(f"missed: {row['network']}, batch {row['batch_size']}, {row['device']}")
    return 1 if missed else 0


def images_of(case, data):
    """Images (n, h, w, c), uint8, and class numbers (n,)."""
    if data is None:
        rng = np.random.default_rng(SEED)
        pixels = rng.integers(0, 256, (case.n_images, *case.image_shape), dtype=np.uint8)
        return pixels, rng.integers(0, N_CLASSES, case.n_images)
    found = load_data(data)
    *size, n_channels = case.image_shape
    steps = [Resize(tuple(size)), *([Grayscale()] if n_channels == 1 else [])]
    rows = np.resize(np.random.default_rng(SEED).permutation(len(found.images)), case.n_images)
    images = make_pipeline(*steps).fit_transform(found.images[rows])
    pixels = np.concatenate([batch for _, batch in images.batches()])  # (n, h, w, 1 or 3)
    if pixels.dtype != np.uint8:
        pixels = np.rint(255 * pixels).astype(np.uint8)
    return np.array(np.broadcast_to(pixels, (case.n_images, *case.image_shape))), found.target[rows]


# --------------------------------------------------------------------------------------- the ways


class Clock(Callback):
    """Notes when each epoch begins and when the last is over; starts anew with each training."""

    def __init__(self, device):
        self.device, self.times = device, []

    def __deepcopy__(self, memo):  # CNNClassifier trains with copies of its callbacks
        return self

    def tick(self):
        """Note the time, once the GPU has done what it was told."""
        if self.device == "cuda":
            torch.cuda.synchronize()
        self.times.append(time.perf_counter())

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        """Tick."""
        self.tick()

    def on_train_end(self, net, X=None, y=None, **kwargs):
        """Tick."""
        self.tick()

    def seconds(self):
        """Seconds an epoch."""
        return (self.times[-1] - self.times[0]) / (len(self.times) - 1)


def train_ours(case, n_epochs, clock, pixels, standardised, labels, **options):
    """CNNClassifier, with what would make it learn otherwise than the others switched off."""
    CNNClassifier(
        case.network,
        max_epochs=n_epochs,
        batch_size=case.batch_size,
        lr=LR,
        optimizer="sgd",
        lr_schedule=None,
        criterion__label_smoothing=0,
        precision="float32",
        callbacks=[clock],
        device=clock.device,
        random_state=SEED,
        **options,
    ).fit(pixels, labels.numpy())


def train_skorch(case, n_epochs, clock, pixels, standardised, labels):
    """skorch's classifier as it comes, but for the order of images and validation."""
    torch.manual_seed(SEED)
    NeuralNetClassifier(
        networks.create,
        **{f"module__{name}": value for name, value in network_options(case, labels).items()},
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.SGD,
        optimizer__momentum=MOMENTUM,
        optimizer__fused=True,
        lr=LR,
        max_epochs=n_epochs,
        batch_size=case.batch_size,
        iterator_train__shuffle=True,
        train_split=None,
        callbacks=[clock],
        device=clock.device,
        verbose=0,
    ).fit(standardised, labels)


def train_bare(case, n_epochs, clock, pixels, standardised, labels):
    """What every tutorial has, without a data loader."""
    torch.manual_seed(SEED)
    module = networks.create(**network_options(case, labels)).to(clock.device)
    optimizer = torch.optim.SGD(module.parameters(), lr=LR, momentum=MOMENTUM, fused=True)
    criterion = torch.nn.CrossEntropyLoss()
    images, labels = standardised.to(clock.device), labels.to(clock.device)
    module.train()
    for _ in range(n_epochs):
        clock.tick()
        for rows in torch.randperm(len(images), device=clock.device).split(case.batch_size):
            optimizer.zero_grad()
            criterion(module(images[rows]), labels[rows]).backward()
            optimizer.step()
    clock.tick()


def network_options(case, labels):
    """Arguments of `networks.create`."""
    height, width, n_channels = case.image_shape
    return {
        "name": case.network,
        "n_channels": n_channels,
        "image_size": (height, width),
        "n_classes": int(labels.max()) + 1,
    }


WAYS = {
    "CNNClassifier": train_ours,
    "contiguous": partial(train_ours, channels_last=False),
    "skorch": train_skorch,
    "bare": train_bare,
}


# ---------------------------------------------------------------------------- measure and keep


def measure(case, device, n_rounds, pixels, labels):
    """Seconds an epoch in each way, medians over rounds, and their ratios to the bare loop."""
    labels = torch.from_numpy(np.asarray(labels, dtype=np.int64))
    inputs = pixels, standardise(pixels), labels
    ways = list(WAYS)
    for way in ways:  # whatever a first training does beside
        seconds_in(way, case, device, 1, *(part[: 2 * case.batch_size] for part in inputs))
    rounds = []
    for number in range(n_rounds):
        order = ways[number % len(ways) :] + ways[: number % len(ways)]
        times = {way: seconds_in(way, case, device, EPOCHS[device], *inputs) for way in order}
        rounds.append(times)
    return {
        "device": device,
        **asdict(case),
        "seconds_per_epoch": {
            way: round(statistics.median(times[way] for times in rounds), 4) for way in ways
        },
        "over_bare": {way: ratio(rounds, way, "bare") for way in ways if way != "bare"},
        "skorch_over_CNNClassifier": ratio(rounds, "skorch", "CNNClassifier"),
    }


def standardise(pixels):
    """Tensor (n, c, h, w), float32, of images (n, h, w, c), uint8."""
    batch = torch.from_numpy(pixels).permute(0, 3, 1, 2)  # (n, c, h, w)
    # Grey images are contiguous even so, with strides that make torch compute channels last, which
    # is a matter of its own: only `clone` gives the strides that tensors usually have.
    unit = batch.clone(memory_format=torch.contiguous_format) / 255
    std, mean = torch.std_mean(unit, dim=(0, 2, 3), keepdim=True)
    return (unit - mean) / std


def seconds_in(way, case, device, n_epochs, pixels, standardised, labels):
    """Seconds an epoch of one training."""
    clock = Clock(device)
    WAYS[way](case, n_epochs, clock, pixels, standardised, labels)
    return clock.seconds()


def ratio(rounds, way, other):
    """Median, lowest and highest ratio of times of one round."""
    found = [times[way] / times[other] for times in rounds]
    return {
        "median": round(statistics.median(found), 3),
        "lowest": round(min(found), 3),
        "highest": round(max(found), 3),
    }


def is_good(row):
    """Whether CNNClassifier is about as fast as the loop, and faster than skorch."""
    return (
        row["over_bare"]["CNNClassifier"]["median"] <= MOST_OF_BARE
        and row["over_bare"]["contiguous"]["median"] <= MOST_OF_BARE
        and row["skorch_over_CNNClassifier"]["median"] > 1
    )


def show(row):
    """Print one case as a line."""
    seconds = row["seconds_per_epoch"]
    parts = [f"{row['device']:<5}{row['network']:<9} batch {row['batch_size']:>4}"]
    for way in WAYS:
        parts.append(f"{way} {seconds[way]:8.4f} s")
        if way != "bare":
            over = row["over_bare"][way]
            parts[-1] += f" ({over['median']:.2f}, {over['lowest']:.2f} to {over['highest']:.2f})"
    print("   ".join(parts), flush=True)


def keep(rows, data, command):
    """Write the table with its circumstances to ``benchmarks/results/training.json``."""
    record = {
        "date": date.today().isoformat(),
        "hardware": hardware(),
        "versions": versions(),
        "threads": torch.get_num_threads(),
        "command": command,
        "seed": SEED,
        "data": "random" if data is None else data,
        "rounds": ROUNDS,
        "epochs_per_round": EPOCHS,
        "rows": rows,
    }
    path = RESULTS / "training.json"
    write_whole(path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    return path


if __name__ == "__main__":
    sys.exit(main())
