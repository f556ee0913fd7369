"""The fast CIFAR-10 recipe, and the loop and the reader that its benchmark has beside it.

The recipe is tried on crops of three textures. Where the environment variable
VISIONPIPE_CIFAR10 names a folder or an archive of CIFAR-10, also on images of that.
"""

import io
import json
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

import pipelines
from benchmarks import cifar10_fast as benchmark
from visionpipe import load_textures

TEXTURES = load_textures()  # 3 classes


def crops():
    """uint8 images (432, 32, 32, 3) of the textures, in three colours."""
    pixels = np.concatenate([batch for _, batch in TEXTURES.images.batches()])  # (432, 64, 64, 1)
    return (pixels[:, ::2, ::2] * [1, 0.8, 0.6]).astype(np.uint8)


PIXELS, TRAINS = crops(), TEXTURES.groups % 2 == 0
TRAIN = PIXELS[TRAINS], TEXTURES.target[TRAINS]
TEST = PIXELS[~TRAINS], TEXTURES.target[~TRAINS]


def recipe(seed=0, **params):
    """The pipeline with a narrow network, in batches as few images need them."""
    quick = {"max_epochs": 3, "batch_size": 12, "module__widths": (8, 16, 16), "device": "cpu"}
    params = {f"net__{name}": value for name, value in (quick | params).items()}
    return pipelines.get("cifar10_fast").build(random_state=seed).set_params(**params)


# ------------------------------------------------------------------------------------ the recipe


@pytest.mark.parametrize("way", benchmark.WAYS.values(), ids=benchmark.WAYS)
def test_both_ways_learn(way):
    assert np.mean([way(recipe(seed), TRAIN, TEST) for seed in (0, 1)]) > 0.85


def test_seeds_decide():
    few = slice(None, None, 4)
    once, again, other = (
        recipe(seed, max_epochs=1).fit(TRAIN[0][few], TRAIN[1][few]).predict_proba(TEST[0][few])
        for seed in (3, 3, 4)
    )
    assert (once == again).all() and (once != other).any()


def test_clones_are_equal():
    pipeline = pipelines.get("cifar10_fast").build(random_state=1)
    assert repr(clone(pipeline).get_params()) == repr(pipeline.get_params())


def test_comparisons_leave_it_out():
    assert "cifar10_fast" not in pipelines.all_pipelines()


def test_grey_images_of_another_size():
    model = recipe(max_epochs=1).fit(TEXTURES.images[::6], TEXTURES.target[::6])
    assert model.predict_proba(TEXTURES.images[:5]).shape == (5, 3)


@pytest.mark.skipif("VISIONPIPE_CIFAR10" not in os.environ, reason="VISIONPIPE_CIFAR10 is not set")
def test_photographs():
    data = Path(os.environ["VISIONPIPE_CIFAR10"])
    images, labels = benchmark.read_cifar10(data, ["data_batch_1"])["data_batch_1"]
    model = recipe(max_epochs=8, batch_size=20, module__widths=(16, 32, 32))
    assert model.fit(images[:500], labels[:500]).score(images[-500:], labels[-500:]) > 0.3


# --------------------------------------------------------------------------------- the benchmark


def batches(n_images=10):
    """Images and labels of six files, all different."""
    rng = np.random.default_rng(0)
    return {
        name: (rng.integers(256, size=(n_images, 32, 32, 3), dtype=np.uint8), np.arange(n_images))
        for name in [*benchmark.TRAIN, *benchmark.TEST]
    }


def as_python_version(images, labels):
    rows = images.transpose(0, 3, 1, 2).reshape(len(images), -1)  # (n, c h w)
    return pickle.dumps({b"data": rows, b"labels": labels.tolist()})


def as_binary_version(images, labels):
    rows = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    return np.column_stack([labels.astype(np.uint8), rows]).tobytes()


def write_folder(path, version, suffix, content):
    (path / "inner").mkdir(parents=True)
    for name, (images, labels) in content.items():
        (path / "inner" / f"{name}{suffix}").write_bytes(version(images, labels))
    return path


@pytest.mark.parametrize(
    "version, suffix", [(as_python_version, ""), (as_binary_version, ".bin")], ids=["py", "bin"]
)
@pytest.mark.parametrize("archived", [False, True])
def test_both_versions_are_read(tmp_path, version, suffix, archived):
    content = batches()
    data = write_folder(tmp_path / "cifar", version, suffix, content)
    if archived:
        data = tmp_path / "cifar.tar.gz"
        with tarfile.open(data, "w:gz") as archive:
            archive.add(tmp_path / "cifar", "cifar-10")
            archive.addfile(tarfile.TarInfo("batches.meta"), io.BytesIO())
    found = benchmark.read_cifar10(data, list(content))
    for name, (images, labels) in content.items():
        assert np.array_equal(found[name][0], images), name
        assert np.array_equal(found[name][1], labels), name
        assert found[name][0].dtype == np.uint8 and found[name][1].dtype == np.int64
    joined = benchmark.joined([found[name] for name in benchmark.TRAIN], 12)
    assert np.array_equal(joined[1], [*range(10), 0, 1])


def test_lacking_files_are_named(tmp_path):
    content = batches(1)
    del content["data_batch_2"], content["test_batch"]
    data = write_folder(tmp_path / "cifar", as_binary_version, ".bin", content)
    with pytest.raises(ValueError, match="lacks data_batch_2, test_batch; name a folder"):
        benchmark.read_cifar10(data, [*benchmark.TRAIN, *benchmark.TEST])


@pytest.fixture
def narrow(monkeypatch):
    """The benchmark in this process, with a narrow network."""
    build = benchmark.cifar10_fast.build
    monkeypatch.setattr(benchmark, "in_new_process", lambda function, *args: function(*args))
    monkeypatch.setattr(
        benchmark.cifar10_fast,
        "build",
        lambda random_state=None: build(random_state).set_params(net__module__widths=(8, 8, 8)),
    )


def test_command_measures_both_ways(tmp_path, capsys, narrow):
    data = write_folder(tmp_path / "cifar", as_python_version, "", batches())
    out = tmp_path / "result.json"
    sizes = ["--images", "50", "--seeds", "2", "--epochs", "1"]
    assert benchmark.main([str(data), *sizes, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "50 images, 1 epochs, 2 seeds" in printed and "bare loop  accuracy" in printed
    record = json.loads(out.read_text())
    for way in ("pipeline", "bare loop"):
        accuracies, seconds = record[way]["accuracies"], record[way]["seconds"]
        assert len(accuracies) == 2
        assert record[way]["accuracy"]["mean"] == pytest.approx(np.mean(accuracies))
        assert record[way]["accuracy"]["least"] == min(accuracies)
        assert [round(10 * accuracy, 3) % 1 for accuracy in accuracies] == [0, 0]  # of 10 images
        assert seconds["warm"] > 0 and 0 < seconds["first"] <= seconds["cold"]
    assert record["command"].startswith(f"python -m benchmarks.cifar10_fast {data}")


def test_each_way_has_a_new_process():
    assert benchmark.in_new_process(os.getpid) != os.getpid()


def test_too_few_images_are_refused(capsys):
    with pytest.raises(SystemExit):
        benchmark.main(["nowhere", "--images", "49"])
    assert "from 50 to 50000 images" in capsys.readouterr().err


@pytest.mark.parametrize("mean, code", [(0.9399, 1), (0.94, 0)])
@pytest.mark.parametrize(
    "arguments, kept",
    [
        ([], True),
        (["--seeds", "9"], False),
        (["--images", "40000"], False),
        (["--epochs", "9"], False),
    ],
)
def test_result_is_kept_of_whole_runs(tmp_path, monkeypatch, mean, code, arguments, kept):
    row = {
        "accuracy": {"mean": mean, "deviation": 0.001, "least": 0.93},
        "seconds": {"cold": 9.0, "first": 8.0, "warm": 7.0},
    }
    monkeypatch.setattr(benchmark, "in_new_process", lambda *args: row)
    monkeypatch.setattr(benchmark, "hardware", lambda: "a GPU")
    monkeypatch.setattr(benchmark.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(benchmark, "RESULTS", tmp_path)
    whole_set = "--images" not in arguments
    assert benchmark.main(["nowhere", *arguments]) == (code if whole_set else 0)
    assert (tmp_path / "cifar10_fast.json").exists() == kept
    monkeypatch.setattr(benchmark.torch.cuda, "is_available", lambda: False)
    (tmp_path / "cifar10_fast.json").unlink(missing_ok=True)
    benchmark.main(["nowhere", *arguments])
    assert not list(tmp_path.iterdir())
