"""What is stored goes by versions: they name all that computes, and rise when numbers change."""

import ast
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import visionpipe
from visionpipe import (
    HOG,
    LBP,
    SIFT,
    VLAD,
    BagOfVisualWords,
    ColorHistogram,
    DenseSIFT,
    Descriptors,
    Deskew,
    FisherVector,
    Grayscale,
    Images,
    PatchKMeans,
    Pixels,
    Rescale,
    Resize,
    RootSIFT,
)
from visionpipe.kernels import versions
from visionpipe.kernels.k_means import k_means

ROOT = Path(__file__).resolve().parent.parent
ESTIMATORS = [
    cls
    for cls in (getattr(visionpipe, name) for name in visionpipe.__all__)
    if hasattr(cls, "_kernels")
]

# ----------------------------------------------------------------- kernels that a class declares

KERNELS = "visionpipe.kernels."
# what all of them share, and steps, whose kernels are named by the images that come out of them
SHARED = {f"visionpipe.{name}" for name in ("base", "images", "once", "store", "threads")}


@cache
def names_in(module):
    """What a module defines at its top, as syntax, and what it imports from where."""
    tree = ast.parse((ROOT / (module.replace(".", "/") + ".py")).read_text())
    defined, imported = {}, {}
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            defined[node.name] = node
        elif isinstance(node, ast.Assign):
            defined.update((target.id, node) for target in node.targets)
        elif isinstance(node, ast.ImportFrom) and node.module.startswith("visionpipe."):
            for alias in node.names:
                imported[alias.asname or alias.name] = node.module, alias.name
    return defined, imported


def kernel_files(kernel):
    """A kernel and all those that its file imports."""
    _, imported = names_in(KERNELS + kernel)
    used = {module.removeprefix(KERNELS) for module, _ in imported.values()}
    return {kernel}.union(*map(kernel_files, used))


def kernels_of(module, name, seen=None):
    """Kernels that the code of a name in a module may reach."""
    seen = set() if seen is None else seen
    if (module, name) in seen or module in SHARED:
        return set()
    seen.add((module, name))
    if module.startswith(KERNELS):
        return kernel_files(module.removeprefix(KERNELS))
    defined, imported = names_in(module)
    if name in imported:
        return kernels_of(*imported[name], seen)
    if name not in defined:
        return set()
    used = {node.id for node in ast.walk(defined[name]) if isinstance(node, ast.Name)}
    return set().union(*(kernels_of(module, other, seen) for other in used))


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_a_class_declares_the_kernels_it_uses(cls):
    declared, used = set(cls._kernels), kernels_of(cls.__module__, cls.__qualname__)
    assert used, "the code of this test does not find them"
    assert used <= declared, f"{cls.__name__}._kernels lacks {sorted(used - declared)}"
    assert declared <= used, f"{cls.__name__}._kernels has {sorted(declared - used)} for nothing"


def test_every_estimator_of_features_declares_kernels():
    taking = {
        getattr(visionpipe, name)
        for name in visionpipe.__all__
        if "store" in getattr(getattr(visionpipe, name), "_get_param_names", list)()
    }
    of_networks = {visionpipe.CNNFeatures}  # which goes by digests of weights and code
    assert taking - of_networks == set(ESTIMATORS) - {Resize, Rescale, Grayscale, Deskew}


def test_every_kernel_has_a_version():
    assert set(versions()) == {
        path.stem for path in ROOT.glob("visionpipe/kernels/*.py") if path.stem != "__init__"
    }
    assert all(isinstance(version, int) and version >= 1 for version in versions().values())


# --------------------------------------------------------------------------------- fingerprints


def _pictures(n_channels):
    """Squares of random colours under a slope."""
    squares = np.random.RandomState(0).randint(0, 200, (4, 7, 8, n_channels))
    slope = np.add.outer(np.arange(44), np.arange(52)) // 2
    pixels = squares.repeat(8, axis=1).repeat(8, axis=2)[:, 5:49, 6:58] + slope[:, :, None]
    return pixels.astype(np.uint8)


def _sets():
    """Descriptors in heaps, at places anywhere in their images."""
    rng = np.random.RandomState(0)
    counts, n = [20, 0, 35, 25], 80
    values = rng.randint(0, 40, (n, 10)) + 100 * (np.arange(10) % 4 == np.arange(n)[:, None] % 4)
    frames = np.column_stack([rng.rand(n, 2) * (50, 30), np.ones(n), np.zeros(n)])
    offsets = np.concatenate([[0], np.cumsum(counts)])
    return Descriptors(values, offsets, frames=frames, image_sizes=[(30, 50)] * 4)


PICTURES, GREY, SETS = _pictures(3), _pictures(1), _sets()

# Kernels and classes that had another version than 1 when the numbers below were recorded
VERSIONS = {}
OPENCV = "5.0.0"
# Estimators, the weighted mean of their numbers, and the root of their mean square
CASES = [
    (HOG(), 0.0673744, 0.111111),
    (
        HOG(orientations=6, pixels_per_cell=(6, 7), cells_per_block=(2, 1), block_norm="L1-sqrt"),
        0.207479,
        0.288671,
    ),
    (HOG(block_norm="L2", transform_sqrt=True), 0.0625341, 0.111111),
    (HOG(block_norm="L1"), 0.0123162, 0.0217127),
    (LBP(), 0.102057, 0.145583),
    (LBP(P=6, R=2.5, method="nri_uniform", grid=(2, 3)), 0.0307625, 0.0575589),
    (LBP(method="ror"), 0.0264913, 0.0757397),
    (LBP(P=5, method="default"), 0.0313284, 0.0793541),
    (ColorHistogram(), 0.00182134, 0.00664645),
    (ColorHistogram(color_space="hsv", joint=False), 0.0453879, 0.0518765),
    (ColorHistogram(color_space="lab", bins=5, grid=(2, 3)), 0.00751104, 0.0367134),
    (ColorHistogram(color_space="grey"), 0.124758, 0.162897),
    (Pixels(), 0.498729, 0.527468),
    (Pixels(color_space="rgb"), 0.497639, 0.546961),
    (SIFT(), 0.123668, 0.186642),
    (SIFT(detector="sift", color="opponent"), 0.109531, 0.180221),
    (SIFT(detector="dense", step=7), 0.113511, 0.186555),
    (RootSIFT(keypoint_size=9), 0.0768531, 0.109909),
    (DenseSIFT(), 0.115588, 0.186867),
    (DenseSIFT(step=5, bin_sizes=(5,), color="rgb"), 0.10117, 0.180179),
    (
        DenseSIFT(step=5, bin_sizes=(4, 6), color="opponent", low_contrast="drop"),
        0.100067,
        0.180375,
    ),
    (Resize(20), 126.991, 136.287),
    (Resize((30, 70)), 126.956, 137.992),
    (Resize((24, 36), keep_aspect="crop"), 126.333, 137.05),
    (Resize((24, 36), keep_aspect="pad"), 125.857, 135.76),
    (Rescale((20, 30)), 127.038, 137.241),
    (Grayscale(), 127.171, 134.503),
    (Deskew(), 125.663, 138.075),
    (BagOfVisualWords(4, random_state=0), 0.356023, 0.433013),
    (
        BagOfVisualWords(4, assignment="soft", n_nearest=3, pyramid=(1, 2), random_state=0),
        0.14063,
        0.193649,
    ),
    (
        BagOfVisualWords(4, assignment="triangle", weighting="tfidf", random_state=0),
        0.354508,
        0.433013,
    ),
    (BagOfVisualWords(4, assignment="llc", normalize="l2", random_state=0), 0.352791, 0.433013),
    (VLAD(4, pyramid=(1, (2, 1)), random_state=0), 0.00341374, 0.0790569),
    (VLAD(4, power=False, intra=False, normalize=False, random_state=0), 0.684377, 19.3481),
    (FisherVector(2, random_state=0), -0.00905827, 0.136931),
    (
        FisherVector(2, n_dimensions=3, xy=True, improved=False, pyramid=(2,), random_state=0),
        -0.0551873,
        0.325096,
    ),
    (PatchKMeans(4, patch_size=5, random_state=0), -0.0281376, 0.865873),
    (
        PatchKMeans(4, dictionary="patches", assignment="soft_threshold", random_state=0),
        0.0304067,
        0.866015,
    ),
    (
        PatchKMeans(
            4, color_space="grey", assignment="nearest", dictionary="patches", random_state=0
        ),
        0.0437808,
        0.866004,
    ),
]
K_MEANS = (50.0326, 62.4678)
TOLERANCE = 1e-4  # of the root of the mean square: machines round differently


def numbers_of(estimator):
    """All that an estimator gives, in one row."""
    if isinstance(estimator, (BagOfVisualWords, VLAD, FisherVector)):
        return estimator.fit_transform(SETS).ravel()
    out = estimator.fit_transform(GREY if isinstance(estimator, LBP) else PICTURES)
    if isinstance(out, Descriptors):
        values = out.values * np.float32(1 if out.root else 1 / 255)
        return np.concatenate([values.ravel(), out.frames.ravel() / 50])
    if isinstance(out, Images):
        return np.concatenate([out[i].ravel() for i in range(len(out))])
    return out.ravel()


def fingerprint(numbers):
    """Mean with weights that tell places apart, and root mean square."""
    numbers = numbers.astype(np.float64)
    weights = 1 + np.cos(np.arange(len(numbers)))
    return float((weights * numbers).mean()), float(np.sqrt(np.square(numbers).mean()))


def check_fingerprint(name, numbers, now, expected):
    """Compare numbers, and the versions of what computes them, with those recorded."""
    found = fingerprint(numbers)
    record = f"record {found[0]:.6g}, {found[1]:.6g} for it"
    raised = {part: n for part, n in now.items() if n != VERSIONS.get(part, 1)}
    assert not raised, f"of {name}, versions have changed: put {raised} into VERSIONS, and {record}"
    assert np.allclose(found, expected, rtol=0, atol=TOLERANCE * expected[1]), (
        f"{name} gives other numbers than were recorded under the same versions: raise the VERSION "
        f"of the kernel that was changed, of {[*now]}, or the _version of the class, or what users "
        f"have stored will be mixed with what is computed from now on; then {record}"
    )


@pytest.mark.parametrize(("estimator", "mean", "root_mean_square"), CASES, ids=repr)
def test_numbers_change_with_versions_only(estimator, mean, root_mean_square):
    cls = type(estimator)
    if getattr(estimator, "detector", "dense") != "dense" and cv2.__version__ != OPENCV:
        pytest.skip("another OpenCV, whose version is part of what rows are known by")
    now = {cls.__name__: cls._version, **versions(*cls._kernels)}
    check_fingerprint(repr(estimator), numbers_of(estimator), now, (mean, root_mean_square))


def test_numbers_of_k_means_change_with_versions_only():
    """On a GPU words are learned by it, on a CPU by scikit-learn."""
    rows = torch.from_numpy(SETS.values.astype(np.float32))
    words = k_means(rows, 4, n_iterations=20, generator=torch.Generator().manual_seed(0))
    numbers = np.sort(words.numpy().ravel())
    check_fingerprint("k_means", numbers, versions("k_means", "nearest_words"), K_MEANS)


def test_every_class_has_numbers():
    assert {type(estimator) for estimator, *_ in CASES} == set(ESTIMATORS)
