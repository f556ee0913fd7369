"""Checkpoint folders: whole states only, one folder for each training, damage found and said."""

import copy
import os
import re
import runpy
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from visionpipe.deep.training import checkpoint
from visionpipe.deep.training.checkpoint import CheckpointFolder, identity_of
from visionpipe.images import as_images

IDENTITY = "0123456789abcdef" * 4


@pytest.fixture
def folder(tmp_path):
    with CheckpointFolder(tmp_path, IDENTITY) as entered:
        yield entered


def names(folder):
    return sorted(path.name for path in folder.path.iterdir() if path.name != "lock")


def file_of(epoch):
    return f"epoch-{epoch:06}.checkpoint"


def same(a, b):
    """Whether two states are equal in kind, dtype and every bit."""
    if isinstance(a, torch.Tensor):
        bits = a.contiguous().view(torch.uint8) if a.dim() else a.view(1).view(torch.uint8)
        others = b.contiguous().view(torch.uint8) if b.dim() else b.view(1).view(torch.uint8)
        return a.dtype == b.dtype and a.shape == b.shape and torch.equal(bits, others)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def trained(optimizer):
    """A small network after some steps."""
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3),
        torch.nn.BatchNorm2d(3),
        torch.nn.Flatten(),
        torch.nn.Linear(27, 2),
    )
    optimizer = optimizer(module.parameters())
    for _ in range(3):
        optimizer.zero_grad()
        module(torch.rand(4, 1, 5, 5)).square().sum().backward()
        optimizer.step()
    return module, optimizer


OPTIMIZERS = {
    "adam": lambda p: torch.optim.Adam(p, fused=True),
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
}


# ------------------------------------------------------------------------------- there and back


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_a_state_comes_back_bit_for_bit(folder, optimizer):
    module, optimizer = trained(optimizer)
    generator = torch.get_rng_state()
    state = {
        "weights": module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "generator": generator,
        "numbers": [0.1, float("inf"), -0.0, 10**30, True, None, "Wörter", (1, (2,))],
        "tensors": [torch.tensor(0.1, dtype=torch.float64), torch.ones(3, dtype=torch.bfloat16)],
        "not a number": torch.tensor([float("nan"), -0.0]),
    }
    folder.write(7, state)
    found = folder.latest()
    assert same(found, state)
    drawn = torch.rand(5)
    torch.set_rng_state(found["generator"])
    assert torch.equal(torch.rand(5), drawn)


def test_a_network_goes_on_as_if_nothing_had_happened(folder):
    module, optimizer = trained(OPTIMIZERS["adam"])
    folder.write(1, {"weights": module.state_dict(), "optimizer": optimizer.state_dict()})
    found = folder.latest()
    other, other_optimizer = trained(OPTIMIZERS["adam"])
    other.load_state_dict(found["weights"])
    other_optimizer.load_state_dict(found["optimizer"])
    batch = torch.rand(4, 1, 5, 5)
    for net, steps in ((module, optimizer), (other, other_optimizer)):
        steps.zero_grad()
        net(batch).sum().backward()
        steps.step()
    assert same(dict(module.state_dict()), dict(other.state_dict()))


def test_there_is_nothing_before_the_first_epoch(folder):
    assert folder.latest() is None


def test_two_epochs_are_kept_and_the_last_is_given(folder):
    for epoch in (8, 9, 10, 11):  # 10 sorts before 9 as text
        folder.write(epoch, {"epoch": epoch})
    assert names(folder) == [file_of(10), file_of(11)]
    assert folder.latest() == {"epoch": 11}


def test_a_training_that_starts_over_leaves_no_later_epochs(folder):
    for epoch in (8, 9, 1):
        folder.write(epoch, {"epoch": epoch})
    assert names(folder) == [file_of(1)]


def test_old_epochs_are_removed_after_the_new_one_is_in_place(folder, monkeypatch):
    folder.write(1, {"epoch": 1})
    folder.write(2, {"epoch": 2})
    replace = os.replace

    def look_and_replace(draft, path):
        assert names(folder)[:2] == [file_of(1), file_of(2)]
        replace(draft, path)

    monkeypatch.setattr(os, "replace", look_and_replace)
    folder.write(3, {"epoch": 3})
    assert names(folder) == [file_of(2), file_of(3)]


@pytest.mark.parametrize("value", [np.float64(1), np.zeros(2), object(), {"deep": [range(3)]}])
def test_what_could_not_be_read_is_not_written(folder, value):
    with pytest.raises(
        TypeError, match=r"^a checkpoint holds tensors and plain values, got .*numpy"
    ):
        folder.write(1, {"value": value})
    assert names(folder) == []


# --------------------------------------------------------------------------------------- damage


def cut(content):
    return content[: len(content) // 2]


def flip(content):
    """One bit of the weights, which torch does not notice."""
    where = content.index(np.float32(2.5).tobytes())
    return content[:where] + bytes([content[where] ^ 1]) + content[where + 1 :]


DAMAGES = {
    "cut": (cut, "SHA-256"),
    "cut in the first line": (lambda content: content[:30], "no checkpoint"),
    "flipped": (flip, "SHA-256"),
    "garbage": (lambda content: os.urandom(5000), "no checkpoint"),
    "one long line": (lambda content: b"x" * 5000, "no checkpoint"),
    "empty": (lambda content: b"", "no checkpoint"),
    "zeros": (lambda content: bytes(len(content)), "no checkpoint"),
    "later format": (lambda content: content.replace(b" 1 ", b" 2 ", 1), "format 2, .* reads 1"),
    "another training": (
        lambda content: content.replace(IDENTITY.encode(), IDENTITY[::-1].encode(), 1),
        "of another training",
    ),
}


@pytest.mark.parametrize("damage, reason", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_set_aside_and_the_one_before_given(folder, damage, reason):
    for epoch in (1, 2):
        folder.write(epoch, {"epoch": epoch, "weights": torch.full((100,), 2.5)})
    path = folder.path / file_of(2)
    path.write_bytes(damage(path.read_bytes()))
    message = f"{re.escape(str(path))} cannot be used: .*{reason}.* set aside as {path.name}.unread"
    with pytest.warns(UserWarning, match=message):
        assert folder.latest()["epoch"] == 1
    assert names(folder) == [file_of(1), file_of(2) + ".unreadable"]
    assert folder.latest()["epoch"] == 1  # without a warning
    folder.write(2, {"epoch": 2})
    assert folder.latest() == {"epoch": 2}


def test_all_files_damaged(folder):
    for epoch in (1, 2):
        folder.write(epoch, {"epoch": epoch})
        (folder.path / file_of(epoch)).write_bytes(b"")
    with pytest.warns(UserWarning) as warned:
        assert folder.latest() is None
    assert len(warned) == 2


def test_nothing_is_unpickled_but_tensors_and_plain_values(folder, monkeypatch):
    class Trap:
        def __reduce__(self):
            return (print, ("executed",))

    monkeypatch.setattr(torch.serialization, "get_unsafe_globals_in_checkpoint", lambda file: [])
    folder.write(1, {"trap": Trap()})
    with pytest.warns(UserWarning, match="torch cannot read it"):
        assert folder.latest() is None


# ----------------------------------------------------------------- killed, and several at a time

KILLED = """
import os, signal, sys, time, warnings
import torch
from visionpipe.deep.training.checkpoint import CheckpointFolder

torch.set_num_threads(1)
warnings.simplefilter("error")
directory, identity = sys.argv[1:]

def write_until_killed():
    with CheckpointFolder(directory, identity) as folder:
        state = folder.latest()
        epoch = state["epoch"] if state else 0
        while True:
            epoch += 1
            folder.write(epoch, {"epoch": epoch, "weights": torch.full((300_000,), epoch)})

for attempt in range(12):
    child = os.fork()
    if not child:
        write_until_killed()
    time.sleep(0.05 + 0.013 * attempt)
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    with CheckpointFolder(directory, identity) as folder:
        assert folder.path.name == identity[:16]
        state = folder.latest()
        if state:
            assert (state["weights"] == state["epoch"]).all()
            print(state["epoch"])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_writer_that_is_killed_leaves_whole_states(tmp_path):
    command = [sys.executable, "-c", KILLED, tmp_path, IDENTITY]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    epochs = [int(line) for line in done.stdout.split()]
    assert len(epochs) > 5 and epochs == sorted(epochs) and epochs[-1] > 20
    with CheckpointFolder(tmp_path, IDENTITY) as folder:
        found = names(folder)  # and no drafts
    assert len(found) in (2, 3) and all(name.endswith(".checkpoint") for name in found)


TRAINS = """
import sys
from visionpipe.deep.training.checkpoint import CheckpointFolder
with CheckpointFolder(*sys.argv[1:]) as folder:
    print(folder.path.name, flush=True)
    sys.stdin.read()
"""


def test_processes_and_threads_of_one_identity_get_folders_of_their_own(tmp_path):
    command = [sys.executable, "-c", TRAINS, tmp_path, IDENTITY]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    short, found = IDENTITY[:16], []
    try:
        assert other.stdout.readline() == f"{short}\n"

        def train():
            with CheckpointFolder(tmp_path, IDENTITY) as folder:
                found.append(folder.path.name)

        with CheckpointFolder(tmp_path, IDENTITY) as second:
            assert second.path.name == f"{short}-2"
            thread = threading.Thread(target=train)
            thread.start()
            thread.join()
        train()  # -2 is free again
    finally:
        other.kill()
        other.communicate()
    train()  # and so is the first
    assert found == [f"{short}-3", f"{short}-2", short]


def test_a_folder_is_free_again_after_an_error(tmp_path):
    with pytest.raises(KeyboardInterrupt), CheckpointFolder(tmp_path, IDENTITY) as first:
        raise KeyboardInterrupt
    with CheckpointFolder(tmp_path, IDENTITY) as second:
        assert second.path == first.path == tmp_path / IDENTITY[:16]


def test_drafts_of_the_killed_are_cleared_away(tmp_path):
    path = tmp_path / IDENTITY[:16]
    path.mkdir()
    (path / (file_of(3) + ".123456.part")).write_bytes(b"half")
    with CheckpointFolder(tmp_path, IDENTITY) as folder:
        assert names(folder) == []


# ----------------------------------------------------------------------- what cannot be written


def test_a_directory_that_is_a_file(tmp_path):
    path = tmp_path / "file"
    path.touch()
    with (
        pytest.raises(ValueError, match=r"^checkpoint='.*file' cannot be used .*pass a folder"),
        CheckpointFolder(path, IDENTITY),
    ):
        pass


def test_a_directory_where_nothing_can_be_written(tmp_path, monkeypatch):
    def refuse(**where):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(checkpoint.tempfile, "TemporaryFile", refuse)
    folder = CheckpointFolder(tmp_path, IDENTITY)
    with pytest.raises(ValueError, match=r"cannot be used .*Permission denied.*; pass a folder"):
        folder.__enter__()
    monkeypatch.undo()
    with folder:  # the lock was released
        assert folder.path.name == IDENTITY[:16]


def test_a_full_disk_is_said_once_and_training_goes_on(folder, monkeypatch, recwarn):
    folder.write(1, {"epoch": 1})
    fsync = os.fsync

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for epoch in (2, 3):
        folder.write(epoch, {"epoch": epoch})
    assert [str(warning.message) for warning in recwarn] == [
        f"checkpoint {folder.path / file_of(2)} cannot be written ([Errno 28] No space left on "
        "device); training goes on, and is written again after the next epoch if that can be"
    ]
    assert names(folder) == [file_of(1)] and folder.latest() == {"epoch": 1}
    monkeypatch.setattr(os, "fsync", fsync)
    folder.write(4, {"epoch": 4})
    assert names(folder) == [file_of(1), file_of(4)] and len(recwarn) == 1


# --------------------------------------------------------------------------- the same training

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 7), dtype=np.uint8)
LABELS = np.array(["cat", "dog"] * 3, dtype=object)
PARAMETERS = {
    "module": torch.nn.Linear,
    "hidden": (3, 4),
    "lr": np.float64(0.1),
    "of": np.sum,
    "weights": [torch.tensor([[1.0, 2.0]], dtype=torch.bfloat16)],
}
TRAINING = {
    "parameters": PARAMETERS,
    "images": as_images(PIXELS),
    "y": LABELS,
    "sample_weight": None,
    "seed": 3,
}
OTHERS = {
    "value": {"parameters": {**PARAMETERS, "lr": 0.2}},
    "name": {"parameters": {**PARAMETERS, "more": 1}},
    "class": {"parameters": {**PARAMETERS, "module": torch.nn.Conv2d}},
    "tensor": {"parameters": {**PARAMETERS, "weights": [torch.ones(1, 2, dtype=torch.bfloat16)]}},
    "shape": {"parameters": {**PARAMETERS, "weights": [PARAMETERS["weights"][0][0]]}},
    "function": {"parameters": {**PARAMETERS, "of": np.mean}},
    "pixel": {"images": as_images(PIXELS ^ 1)},
    "order": {"images": as_images(PIXELS[::-1])},
    "labels": {"y": LABELS[::-1]},
    "weights": {"sample_weight": np.ones(6)},
    "seed": {"seed": 4},
}


def test_equal_trainings_have_one_identity():
    copies = {
        "parameters": copy.deepcopy(dict(reversed(PARAMETERS.items()))),
        "images": as_images(list(PIXELS)),
        "y": np.array(["".join(list(label)) for label in LABELS], dtype=object),  # other strings
    }
    identity = identity_of(**TRAINING)
    assert identity == identity_of(**TRAINING | copies) and re.fullmatch("[0-9a-f]{64}", identity)


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS)
def test_whatever_decides_a_training_changes_its_identity(change):
    assert identity_of(**TRAINING | change) != identity_of(**TRAINING)


def test_other_versions_change_the_identity(monkeypatch):
    before = identity_of(**TRAINING)
    monkeypatch.setattr("visionpipe.environment.versions", lambda: {"torch": "99"})
    assert identity_of(**TRAINING) != before


def test_what_cannot_be_pickled_has_no_identity():
    message = (
        r"^the training cannot be recognised later, because the of <generator .* cannot be pickled "
        r"\(TypeError: .*\); replace what cannot, or pass checkpoint=None$"
    )
    with pytest.raises(ValueError, match=message):
        identity_of(**TRAINING | {"parameters": {"of": (i for i in "ab")}})


TRAINING_SCRIPT = """
import sys
import numpy as np
import torch
from visionpipe import CNNClassifier

class Net(torch.nn.Module):
    def __init__(self, *, n_channels, image_size, n_classes):
        super().__init__()
        self.layer = torch.nn.Linear(n_channels * image_size[0] * image_size[1], n_classes)

    def forward(self, x):
        return 1 * self.layer(x.flatten(1))

if __name__ == "__main__":
    CNNClassifier(
        Net,
        max_epochs=1,
        criterion__weight=torch.tensor([0.5, 1.5]),
        checkpoint=sys.argv[1],
        device="cpu",
        random_state=0,
    ).fit(np.zeros((6, 4, 4), dtype=np.uint8), [0, 1] * 3)
"""


def test_an_edited_network_begins_at_the_start(tmp_path, monkeypatch):
    script, folder = tmp_path / "script.py", tmp_path / "checkpoints"
    monkeypatch.setattr(sys, "argv", [str(script), str(folder)])
    for factor, n_trainings in ((1, 1), (1, 1), (2, 2)):
        script.write_text(TRAINING_SCRIPT.replace("1 *", f"{factor} *"))
        runpy.run_path(str(script), run_name="__main__")
        assert len(list(folder.iterdir())) == n_trainings
