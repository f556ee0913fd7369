"""What decides a result has the same few digits in any process, and other digits if it changes."""

import copy
import functools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import loguniform
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import StandardScaler
from torch import nn

from visionpipe import identity
from visionpipe.identity import code_in_use, describe, digest

ROOT = Path(__file__).resolve().parents[1]


def of(value, **options):
    return describe(value, **options)[0]


def run(folder, script, *arguments, **environment):
    """Run a script as a user would, and return what it prints by lines."""
    path = folder / "script.py"
    path.write_text(script)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    command = [sys.executable, path, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


# -------------------------------------------------------------------------- the same everywhere

SCRIPT = """
import copy, functools, sys
from joblib.externals.loky import get_reusable_executor
import torch
from scipy.stats import loguniform
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import StandardScaler
from torch import nn
from visionpipe.identity import describe

WIDTH = 3

def helper(x):
    return x.square()

class Base(nn.Module):
    width = 4
    names = {"dog", "cat", "hamster", "mouse"}

class Net(Base):
    "A network."
    def __init__(self, *, n_channels, image_size, n_classes):
        super().__init__()
        self.last = nn.Linear(n_channels * image_size[0] * image_size[1], n_classes)

    def forward(self, x):
        if "shape" in {"shape", "size", "other", "more"}:
            return self.last(helper(x).flatten(1) + WIDTH)

    @property
    def shape(self):
        return Net, self.width

    @staticmethod
    def plain():
        return [helper(x) for x in (1, 2)]

def inner():
    class Inner(Net):
        pass
    return Inner

def described(values):
    found = {name: describe(value) for name, value in values.items()}
    return {name: f"{identity} {sorted(origins)}" for name, (identity, origins) in found.items()}

if __name__ == "__main__":
    torch.manual_seed(0)
    weight = torch.linspace(1, 2, 2)
    scaler = StandardScaler().fit([[1.0], [2.0]])
    scaler.learned_ = weight
    values = {
        "tensor": {"criterion__weight": weight},
        "view": torch.arange(12.0).view(3, 4).t()[1:],
        "bfloat16": torch.ones(3, dtype=torch.bfloat16),
        "empty": torch.ones(0, 3),
        "number": torch.tensor(1.5),
        "sparse": torch.eye(3).to_sparse(),
        "parameter": nn.Parameter(torch.zeros(2)),
        "module": nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU()),
        "own module": Net(n_channels=1, image_size=(2, 2), n_classes=2),
        "class": Net,
        "local class": inner(),
        "function": described,
        "set": {helper, "a", 1, (2, "b")},
        "lambda": lambda x: helper(x) + WIDTH,
        "partial": functools.partial(helper, x=weight),
        "distribution": loguniform(1, 2),
        "frozen": FrozenEstimator(scaler),
    }
    found = described(values)
    assert found == described(copy.deepcopy(values))
    if "worker" in sys.argv:
        found = get_reusable_executor(1).submit(described, values).result()
    print(*(f"{name} {value}" for name, value in found.items()), sep="\\n")
"""


def test_equal_values_are_equal_in_another_process_a_worker_and_a_copy(tmp_path):
    first = run(tmp_path, SCRIPT, PYTHONHASHSEED="1")
    second = run(tmp_path, SCRIPT, "worker", PYTHONHASHSEED="2")
    assert first == second
    assert len({line.split(maxsplit=1)[1] for line in first}) == len(first) == 17
    of_class = next(line for line in first if line.startswith("class"))
    assert str(tmp_path / "script.py") in of_class


def test_equal_objects_and_one_object_twice_are_equal():
    def make():
        return lambda x: x + 1

    for one, other in [([1], [1]), (torch.ones(2), torch.ones(2)), (make(), make())]:
        assert of([one, one]) == of([one, other])


def test_where_a_tensor_lies_does_not_count():
    base = torch.arange(6.0)
    assert of(base[1:3]) == of(torch.tensor([1.0, 2.0])) == of(base[1:3].clone())


SEARCH = """
import sys
import torch
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import GridSearchCV
from visionpipe.search import ResumableSearch

class Weighted(DummyClassifier):
    def __init__(self, strategy="prior", weight=None):
        super().__init__(strategy=strategy)
        self.weight = weight

if __name__ == "__main__":
    grid = {"weight": [torch.ones(2), torch.zeros(2)]}
    search = GridSearchCV(Weighted(weight=torch.ones(3)), grid, cv=2)
    ResumableSearch(
        search, journal=sys.argv[1], on_fit=lambda *seen: print(seen[-1].resumed)
    ).fit([[1.0]] * 4, [0, 1] * 2)
"""


def test_a_search_over_tensors_goes_on_in_another_process(tmp_path):
    assert run(tmp_path, SEARCH, tmp_path / "journal.jsonl") == ["False"] * 4
    assert run(tmp_path, SEARCH, tmp_path / "journal.jsonl") == ["True"] * 4


# ---------------------------------------------------------------------------- what makes another

ONES = torch.ones(2, 3)
TENSORS = {
    "value": torch.ones(2, 3).index_put((torch.tensor(1), torch.tensor(1)), torch.tensor(2.0)),
    "negative zero": torch.ones(2, 3) * -0.0,
    "zero": torch.zeros(2, 3),
    "dtype": torch.ones(2, 3, dtype=torch.float64),
    "same bits, other dtype": torch.ones(2, 3).view(torch.int32),
    "shape": torch.ones(3, 2),
    "parameter": nn.Parameter(torch.ones(2, 3)),
    "frozen parameter": nn.Parameter(torch.ones(2, 3), requires_grad=False),
    "array": torch.ones(2, 3).numpy(),
    "list": torch.ones(2, 3).tolist(),
    "masked": np.ma.MaskedArray(torch.ones(2, 3).numpy(), mask=[[1, 0, 0], [0, 0, 0]]),
    "masked elsewhere": np.ma.MaskedArray(torch.ones(2, 3).numpy(), mask=[[0, 0, 0], [0, 0, 1]]),
}


def test_tensors_and_arrays_count_by_elements_dtype_and_shape():
    assert len({of(ONES), *map(of, TENSORS.values())}) == len(TENSORS) + 1


def test_a_module_counts_by_weights_and_mode():
    module = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    others = [copy.deepcopy(module) for _ in range(3)]
    with torch.no_grad():
        others[0][0].weight[0, 0] += 1
    others[1].eval()
    others[2][1].p = 0.25
    assert len({of(module), *map(of, others)}) == 4


CLASS = """
import functools
from torch import nn

DEPTH = 3

def helper(x):
    return deeper(x)

def deeper(x):
    return x + 1

class Block(nn.Linear):
    size = 2

class Net(nn.Module):
    width = 4

    def forward(self, x, scale=2):
        try:
            y = helper(x)
        except ValueError:
            y = 0
        return [Block(1, 1) for _ in range(3)], y

    @property
    def name(self):
        return "net"

    @classmethod
    def make(cls, *, depth):
        return (lambda: depth + 1)()

    @functools.cached_property
    def once(self):
        return 1.5

    @functools.cache
    def often(self):
        return 2.5
"""
EDITS = {
    "constant": ("range(3)", "range(4)"),
    "attribute": ("width = 4", "width = 5"),
    "default": ("scale=2", "scale=3"),
    "argument": ("scale=2", "ratio=2"),
    "caught": ("except ValueError", "except TypeError"),
    "called function": ("x + 1", "x + 2"),
    "class in use": ("size = 2", "size = 3"),
    "base": ("Net(nn.Module)", "Net(nn.Flatten)"),
    "base of a class in use": ("Block(nn.Linear)", "Block(nn.Bilinear)"),
    "property": ('"net"', '"other"'),
    "class method": ("depth + 1", "depth + 2"),
    "cached property": ("1.5", "1.25"),
    "cached method": ("2.5", "2.25"),
    "kind of method": ("@property", "@staticmethod"),
    "method": ("def make", "def build"),
}


def typed_in(source):
    """The class as a notebook has it: there is no file."""
    namespace = {"__name__": "__main__"}
    exec(source, namespace)
    return namespace["Net"]


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edited_class_without_a_file_is_another(edit):
    assert edit[0] in CLASS
    assert of(typed_in(CLASS.replace(*edit))) != of(typed_in(CLASS))


def test_lines_and_remarks_do_not_count():
    edited = CLASS.replace("    def forward", "    # forwards\n\n    def forward")
    edited = edited.replace("DEPTH = 3", "DEPTH = 4")  # not read by the class
    edited = edited.replace("    width = 4", '    "What it is."\n\n    width = 4')
    assert of(typed_in(edited)) == of(typed_in(CLASS))


def test_functions_that_call_each_other_come_to_an_end():
    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)

    assert of(even) == of(even) != of(odd)


def test_parameters_of_estimators_can_be_left_out():
    scalers = [StandardScaler(copy=copied) for copied in (True, False)]
    assert len({*map(of, scalers)}) == 2
    assert len({of([scaler], ignored={"copy"}) for scaler in scalers}) == 1


def test_learned_state_counts_if_it_is_frozen():
    fitted = [StandardScaler().fit(rows) for rows in ([[1], [2]], [[1], [3]])]
    assert len({*map(of, fitted)}) == 1
    assert len({of(FrozenEstimator(scaler)) for scaler in fitted}) == 2


def test_what_cannot_be_pickled_is_named():
    with pytest.raises(ValueError, match=r"^\[<generator .* cannot be pickled \(TypeError: "):
        describe([(i for i in range(2))])
    ring = []
    ring.append(ring)
    with pytest.raises(ValueError, match="cannot be pickled"):
        describe(ring)


# ----------------------------------------------------------------------------------- source files


def test_own_files_count_and_installed_ones_do_not(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "blocks_of_mine.py").write_text("class Block:\n    pass\n")
    source = tmp_path / "nets_of_mine.py"
    source.write_text("from blocks_of_mine import Block\nclass Net(Block):\n    pass\n")
    from nets_of_mine import Net

    _, origins = describe([Net(), np.mean, functools.partial(nn.Linear, 2), StandardScaler()])
    own = code_in_use(origins)[-1]
    assert own == [
        (name, digest((tmp_path / f"{name}.py").read_bytes()))
        for name in ("blocks_of_mine", "nets_of_mine")
    ]
    source.write_text("other")
    assert code_in_use(origins)[-1] != own
    assert code_in_use(describe([nn.Linear, loguniform(1, 2), sorted])[1])[-1] == []


def test_modules_that_a_class_without_a_file_uses_count(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "parts_of_mine.py").write_text("size = 3\n")
    source = "import parts_of_mine\nclass Net:\n    def size(self):\n        return {}\n"
    _, origins = describe(typed_in(source.format("parts_of_mine.size")))
    assert [name for name, _ in code_in_use(origins)[-1]] == ["parts_of_mine"]
    _, origins = describe(typed_in(source.format("3")))
    assert code_in_use(origins)[-1] == []


@pytest.mark.parametrize("module", ["environment", "kernels"])
def test_versions_count(module, monkeypatch):
    before = code_in_use(set())
    monkeypatch.setattr(getattr(identity, module), "versions", lambda: {"hog": 99})
    assert code_in_use(set()) != before
