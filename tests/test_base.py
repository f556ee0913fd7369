"""What the estimators share: devices, and what identifies a setting."""

import warnings

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed

from visionpipe import HOG, LBP
from visionpipe.base import identity, resolve_device


@pytest.fixture
def one_gpu(monkeypatch):
    """Let torch say that there is one GPU; nothing is computed on it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)


def test_devices(one_gpu):
    assert resolve_device("auto") == resolve_device("cuda") == torch.device("cuda")
    assert resolve_device("cpu") == torch.device("cpu")
    with pytest.raises(ValueError, match="'gpu' is unknown; use"):
        resolve_device("gpu")
    with pytest.raises(ValueError, match="'cuda:1' was asked for, but torch sees 1 CUDA"):
        resolve_device("cuda:1")


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_jobs_that_share_a_gpu_are_warned_of(one_gpu, device):
    in_threads = Parallel(2, backend="threading")
    with pytest.warns(UserWarning, match=r"share the GPU cuda.* use n_jobs=1, or device='cpu'"):
        in_threads(delayed(resolve_device)(device) for _ in range(2))


def test_one_job_at_a_time_is_not_warned_of(one_gpu):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resolve_device("auto")
        Parallel(1)(delayed(resolve_device)("cuda") for _ in range(2))
        Parallel(2, backend="threading")(delayed(resolve_device)("cpu") for _ in range(2))


def test_identity_is_that_of_what_is_computed():
    hog = HOG(pixels_per_cell=(4, 4))
    same = HOG(pixels_per_cell=np.array([4, 4]), store="features.sqlite", device="auto")
    assert identity(hog) == identity(same)
    others = [HOG(), HOG(pixels_per_cell=(4, 5)), LBP()]
    assert len({identity(hog), *map(identity, others)}) == 4


def test_identity_changes_with_versions(monkeypatch):
    before = identity(HOG())
    monkeypatch.setattr("visionpipe.kernels.hog.VERSION", 2)
    of_kernel = identity(HOG())
    monkeypatch.setattr(HOG, "_version", 2)
    assert len({before, of_kernel, identity(HOG())}) == 3
