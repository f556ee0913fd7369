"""Weights files: what is read, and that what is damaged, foreign or code is refused unread."""

import os
import pickle
import sys

import joblib
import numpy as np
import pytest
import torch
from torch import nn

from visionpipe.deep.transfer.weights_file import read_weights


def tensors():
    generator = torch.Generator().manual_seed(0)
    return {
        "conv.weight": torch.randn(4, 1, 3, 3, generator=generator),
        "conv.bias": torch.zeros(4),
        "norm.num_batches_tracked": torch.tensor(7),
    }


def assert_are_those(found):
    assert list(found) == list(tensors())
    for name, tensor in tensors().items():
        assert torch.equal(found[name], tensor) and found[name].dtype == tensor.dtype


@pytest.mark.parametrize("is_zip", [True, False])
def test_files_of_torch(tmp_path, is_zip):
    torch.save(tensors(), tmp_path / "w.pt", _use_new_zipfile_serialization=is_zip)
    assert_are_those(read_weights(tmp_path / "w.pt"))


def test_files_of_safetensors(tmp_path):
    save_file = pytest.importorskip("safetensors.torch").save_file
    save_file(tensors(), tmp_path / "w.safetensors")
    found = read_weights(str(tmp_path / "w.safetensors"))
    assert_are_those({name: found[name] for name in tensors()})


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "model_state_dict"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod."])
def test_what_training_scripts_wrap_weights_in(tmp_path, wrapper, prefix):
    renamed = {prefix + name: tensor for name, tensor in tensors().items()}
    torch.save({wrapper: renamed, "epoch": 3}, tmp_path / "w.pt")
    assert_are_those(read_weights(tmp_path / "w.pt"))


@pytest.mark.parametrize("prefix", ["module._orig_mod.", "_orig_mod.module."])
def test_wrappers_in_wrappers(tmp_path, prefix):
    renamed = {prefix + name: tensor for name, tensor in tensors().items()}
    torch.save({"model": {"state_dict": renamed, "epoch": 3}}, tmp_path / "w.pt")
    assert_are_those(read_weights(tmp_path / "w.pt"))


def test_a_part_that_is_called_module_keeps_its_name(tmp_path):
    content = {"module.weight": torch.zeros(2), "last.weight": torch.ones(2)}
    torch.save(content, tmp_path / "w.pt")
    assert list(read_weights(tmp_path / "w.pt")) == list(content)


def test_the_home_folder_may_be_abbreviated(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    torch.save(tensors(), tmp_path / "w.pt")
    assert_are_those(read_weights("~/w.pt"))


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("how", ["torch", "torch before 1.6", "pickle", "joblib"])
def test_code_in_a_file_is_refused_and_not_run(tmp_path, how):
    bomb, file = {**tensors(), "w": Bomb(tmp_path / "ran")}, tmp_path / "w.pt"
    if how == "pickle":
        file.write_bytes(pickle.dumps(bomb))
    elif how == "joblib":
        joblib.dump(bomb, file)
    else:
        torch.save(bomb, file, _use_new_zipfile_serialization=how == "torch")
    with pytest.raises(ValueError, match=r"w\.pt (holds pickled objects|is damaged)") as error:
        read_weights(file)
    assert "\n" not in str(error.value) and not (tmp_path / "ran").exists()


def test_a_whole_module_is_refused_with_the_way_out(tmp_path):
    torch.save(nn.Linear(2, 3), tmp_path / "w.pt")
    with pytest.raises(
        ValueError, match=r"none was run.*torch\.save\(module\.state_dict\(\), path"
    ):
        read_weights(tmp_path / "w.pt")


@pytest.mark.parametrize("n", range(0, 100, 3))
def test_cut_files(tmp_path, n):
    torch.save(tensors(), tmp_path / "w.pt")
    content = (tmp_path / "w.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(content[: len(content) * n // 100])
    with pytest.raises(ValueError, match=r"cut\.pt (is damaged|is no file of weights)"):
        read_weights(tmp_path / "cut.pt")


def test_any_byte_changed_is_found_or_changes_nothing(tmp_path):
    torch.save(tensors(), tmp_path / "w.pt")
    content, n_found = (tmp_path / "w.pt").read_bytes(), 0
    for place in range(0, len(content), 11):
        changed = bytearray(content)
        changed[place] ^= 0xFF
        (tmp_path / "changed.pt").write_bytes(changed)
        try:
            assert_are_those(read_weights(tmp_path / "changed.pt"))
        except ValueError as error:
            assert "\n" not in str(error)
            n_found += 1
    assert n_found > 50


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no file of weights"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "is no file of weights"),
        (b"<html>404</html>", "is no file of weights"),
        (b"\x10\x00\x00\x00\x00\x00\x00\x00{not json       ", "is damaged"),
        (b"PK\x03\x04" + bytes(200), "is damaged"),
    ],
    ids=["empty", "png", "html", "safetensors", "zip"],
)
def test_other_files(tmp_path, content, message):
    if message == "is damaged" and content[8:9] == b"{":
        pytest.importorskip("safetensors")
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_weights(tmp_path / "w")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.zeros(2)], "an object of type list"),
        ({}, "an empty dict"),
        ({"epoch": 3, "w": torch.zeros(2)}, "a dict whose 'epoch' are no names of tensors"),
        ({"w": torch.zeros(2), 3: torch.zeros(2)}, "a dict whose 3 are no names of tensors"),
        ({"w": torch.tensor([1.0, np.nan])}, "damaged .w holds values that are not finite"),
        ({"w": torch.ones(2, dtype=torch.int8)}, "holds w as a tensor of strided, int8 on cpu"),
        ({"w": torch.ones(2, 2).to_sparse()}, "holds w as a tensor of sparse_coo, float32 on cpu"),
        ({"w": torch.ones(2, device="meta")}, "holds w as a tensor of strided, float32 on meta"),
    ],
    ids=["list", "empty", "others", "numbers", "nan", "int8", "sparse", "meta"],
)
def test_files_of_something_else(tmp_path, content, message):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=message):
        read_weights(tmp_path / "w.pt")


def test_no_file(tmp_path):
    with pytest.raises(ValueError, match="there is no weights file"):
        read_weights(tmp_path / "none.pt")
    with pytest.raises(ValueError, match="is a folder; wanted the path of a weights file"):
        read_weights(tmp_path)


def test_safetensors_missing(tmp_path, monkeypatch):
    (tmp_path / "w").write_bytes(b"\x02\x00\x00\x00\x00\x00\x00\x00{}")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ImportError, match=r"pip install 'visionpipe\[pretrained\]'"):
        read_weights(tmp_path / "w")
