"""Seconds to 94 % on CIFAR-10: python -m benchmarks.cifar10_fast DATA [--seeds 10].

`pipelines.cifar10_fast` and a bare PyTorch loop of the same recipe, which takes its numbers from
the pipeline, are trained on the training set and scored on the test set, once for each seed. Each
of the two ways has a process of its own, the pipeline first. Seconds are those of training and of
prediction together, from images in the host's memory on. "Warm" is the median of all but the first
seed. "Cold" is the first, from the start of the process on: the interpreter, imports and the start
of CUDA count, reading the data does not.

DATA is the folder of the data sets, as `fetch_cifar10` takes it. ``--images N`` trains on the first
N and tests on a fifth as many; batches are then smaller too, so that an epoch keeps its 25 steps.

The result is kept in benchmarks/results/cifar10_fast.json if a GPU did all images, all epochs and
at least 10 seeds; ``--out`` names another file, which is always written. The exit code is 1 if the
pipeline's mean accuracy over the whole set is below 94.0 %.
"""

import argparse
import json
import math
import multiprocessing
import shlex
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.side_by_side import RESULTS
from pipelines import cifar10_fast
from visionpipe import fetch_cifar10
from visionpipe.deep.training.muon import Muon
from visionpipe.environment import hardware, versions
from visionpipe.files import write_whole
from visionpipe.kernels.augmentation import crop, mirror, pad
from visionpipe.networks.airbench import Airbench

GOAL = 0.94
N_TRAIN, STEPS_AN_EPOCH = 50_000, 25
LEAST_SEEDS = 10  # to be kept
SIDE = 32  # pixels
N_TO_WHITEN = 5_000  # images that the first layer is set from


def main(argv=None):
    """Measure both ways; print and perhaps keep the results, and return the exit code."""
    options = _parse(argv)
    n_images, n_epochs = options.images, options.epochs
    on_gpu = torch.cuda.is_available()
    print(
        f"{n_images:,} images, {n_epochs} epochs, {options.seeds} seeds, {hardware()}"
        + ("" if on_gpu else "; there is no GPU, for which this recipe is made"),
        flush=True,
    )
    rows = {}
    for way in WAYS:
        rows[way] = in_new_process(
            measure, way, options.data, n_images, n_epochs, options.seeds, time.time()
        )
        show(way, rows[way])
    all_images = n_images == N_TRAIN
    is_whole = all_images and n_epochs == _default_epochs() and options.seeds >= LEAST_SEEDS
    path = options.out or (RESULTS / "cifar10_fast.json" if is_whole and on_gpu else None)
    if path is None:
        print(f"not kept: that takes a GPU, all images and epochs, {LEAST_SEEDS} seeds; or --out")
    else:
        command = shlex.join(["python", "-m", "benchmarks.cifar10_fast", *(argv or sys.argv[1:])])
        keep(path, rows, command=command, images=n_images, epochs=n_epochs, seeds=options.seeds)
    return 1 if all_images and rows["pipeline"]["accuracy"]["mean"] < GOAL else 0


def _parse(argv):
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cifar10_fast",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("data", type=Path, help="folder of the data sets")
    add("--seeds", type=int, default=LEAST_SEEDS, help="how many, from 0 on (default: %(default)s)")
    add("--images", type=int, default=N_TRAIN, help="to train on (default: %(default)s)")
    add("--epochs", type=int, default=_default_epochs(), help="(default: %(default)s)")
    add("--out", type=Path, help="file to keep the result in, in any case")
    options = parser.parse_args(argv)
    fewest = 2 * STEPS_AN_EPOCH  # batch normalisation cannot learn from one image
    if options.seeds < 1 or options.epochs < 1 or not fewest <= options.images <= N_TRAIN:
        parser.error(
            f"got {options.seeds} seeds, {options.images} images, {options.epochs} epochs; there "
            f"must be a seed and an epoch at least, and from {fewest} to {N_TRAIN} images"
        )
    return options


def _default_epochs():
    return cifar10_fast.build()["net"].max_epochs


# ------------------------------------------------------------------------------------ measuring


def in_new_process(function, *arguments):
    """What a function returns in a process that has done nothing before."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as process:
        return process.submit(function, *arguments).result()


def measure(way, data, n_images, n_epochs, n_seeds, begun):
    """Accuracies and seconds of one way.

    Parameters
    ----------
    way : str
        One of `WAYS`.
    data : Path
    n_images, n_epochs, n_seeds : int
    begun : float
        When this process was started, on the clock of `time.time`.

    Returns
    -------
    dict
        Accuracies are shares of the test images. "cold" and "first" seconds are of the first seed,
        with and without the start of the process.
    """
    start = time.perf_counter()
    n_test = math.ceil(n_images / 5)
    (images, labels), (test_images, test_labels) = read(data)
    train = images[:n_images], labels[:n_images]
    test = test_images[:n_test], test_labels[:n_test]
    begun += time.perf_counter() - start  # reading does not count
    accuracies, seconds = [], []
    for seed in range(n_seeds):
        start = time.perf_counter()
        model = cifar10_fast.build(random_state=seed).set_params(
            net__max_epochs=n_epochs, net__batch_size=math.ceil(n_images / STEPS_AN_EPOCH)
        )
        accuracies.append(float(WAYS[way](model, train, test)))
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
        if seed == 0:
            cold = time.time() - begun
    return {
        "accuracy": {
            "mean": round(statistics.mean(accuracies), 5),
            "deviation": round(statistics.stdev(accuracies), 5) if n_seeds > 1 else None,
            "least": round(min(accuracies), 5),
        },
        "seconds": {
            "cold": round(cold, 3),
            "first": round(seconds[0], 3),
            "warm": round(statistics.median(seconds[1:]), 3) if n_seeds > 1 else None,
        },
        "accuracies": [round(accuracy, 5) for accuracy in accuracies],
    }


def read(data):
    """Images, uint8 (n, 32, 32, 3), and labels (n,) of CIFAR-10: to train on, and to test on."""
    found = fetch_cifar10(data_home=data, subset="all")
    pixels = np.concatenate([batch for _, batch in found.images.batches()])
    parts = [found.parts == part for part in ("train", "test")]
    return [(pixels[rows], found.target[rows]) for rows in parts]


def show(way, row):
    """Print what one way came to as a line."""
    accuracy, seconds = row["accuracy"], row["seconds"]
    spread, warm = accuracy["deviation"], seconds["warm"]
    print(
        f"{way:<10} accuracy {100 * accuracy['mean']:.2f} %"
        + ("" if spread is None else f", deviation {100 * spread:.2f}")
        + f", least {100 * accuracy['least']:.2f}   cold {seconds['cold']:.2f} s"
        + ("" if warm is None else f", warm {warm:.2f} s"),
        flush=True,
    )


def keep(path, rows, **circumstances):
    """Write the results with date, hardware and versions."""
    record = {
        "date": date.today().isoformat(),
        "hardware": hardware(),
        "versions": versions(),
        **circumstances,
        "goal": GOAL,
        **rows,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    print("kept in", path)


# --------------------------------------------------------------------------------- the two ways


def with_pipeline(model, train, test):
    """Accuracy on the test images of the pipeline, trained."""
    return model.fit(*train).score(*test)


def with_bare_loop(model, train, test):
    """The same of a loop in PyTorch, which takes nothing from the pipeline but its numbers."""
    recipe = model["net"].get_params()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(recipe["random_state"])
    (pixels, labels), (test_pixels, test_labels) = on_device(train, device), on_device(test, device)
    std, mean = torch.std_mean(pixels / 255, dim=(0, 2, 3), keepdim=True)  # (1, 3, 1, 1)
    network = Airbench(
        n_channels=3,
        image_size=(SIDE, SIDE),
        n_classes=int(labels.max()) + 1,
        **_options(recipe, "module__"),
    ).to(device, memory_format=torch.channels_last)
    network.initialize_from((pixels[:N_TO_WHITEN] / 255 - mean) / std)

    def logits(images):
        images = (images / 255 - mean) / std
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            return network(images).float()  # (b, n_classes)

    network.train()
    train_bare(network, logits, pixels, labels, recipe)
    network.eval()
    parts = test_pixels.split(recipe["batch_size"])
    found = torch.cat([predict_bare(logits, part) for part in parts])  # (n,)
    return (found == test_labels).float().mean().item()


def on_device(data, device):
    """Images (n, 3, h, w), uint8, and labels (n,)."""
    images, labels = (torch.from_numpy(part).to(device) for part in data)
    return images.permute(0, 3, 1, 2).contiguous(), labels


def train_bare(network, logits, pixels, labels, recipe):
    """Train the network, whose logits (b, n_classes) of uint8 images `logits` returns."""
    device, n_images, shift = pixels.device, len(pixels), recipe["augmentation"].shift
    optimizer = Muon(network.parameters(), lr=recipe["lr"], **_options(recipe, "optimizer__"))
    highest = [group["lr"] for group in optimizer.param_groups]
    criterion = nn.CrossEntropyLoss(**_options(recipe, "criterion__"))
    n_steps = recipe["max_epochs"] * math.ceil(n_images / recipe["batch_size"])
    turned, step = torch.rand(n_images, device=device) < 0.5, 0
    for epoch in range(recipe["max_epochs"]):
        for rows in torch.randperm(n_images, device=device).split(recipe["batch_size"]):
            images = mirror(pixels[rows], turned[rows] ^ bool(epoch % 2))
            top, left = torch.randint(2 * shift + 1, (2, len(rows)), device=device)
            images = crop(pad(images, shift), top, left, (SIDE, SIDE))
            for group, lr in zip(optimizer.param_groups, highest, strict=True):
                group["lr"] = lr * (1 - step / n_steps)
            optimizer.zero_grad()
            criterion(logits(images), labels[rows]).backward()
            optimizer.step()
            step += 1


@torch.inference_mode()
def predict_bare(logits, images):
    """Most probable classes (b,) over six views of each image."""
    padded = pad(images, 1)  # (b, 3, h + 2, w + 2)
    views = (images, 1 / 4), (padded[:, :, :-2, :-2], 1 / 8), (padded[:, :, 2:, 2:], 1 / 8)
    probabilities = sum(
        weight * logits(seen).softmax(dim=1)
        for view, weight in views
        for seen in (view, view.flip(-1))
    )
    return probabilities.argmax(dim=1)


def _options(recipe, prefix):
    return {n.removeprefix(prefix): v for n, v in recipe.items() if n.startswith(prefix)}


WAYS = {"pipeline": with_pipeline, "bare loop": with_bare_loop}


if __name__ == "__main__":
    sys.exit(main())
