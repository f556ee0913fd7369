"""The fast CIFAR-10 recipe, and the loop that its benchmark has beside it.

The recipe is tried on crops of three textures. Where the environment variable VISIONPIPE_DATA names
a folder with CIFAR-10, also on images of that.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils import Bunch

import pipelines
from benchmarks import cifar10_fast as benchmark
from visionpipe import as_images, fetch_cifar10, load_textures

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


@pytest.mark.skipif("VISIONPIPE_DATA" not in os.environ, reason="VISIONPIPE_DATA is not set")
def test_photographs():
    try:
        images, labels = fetch_cifar10(download_if_missing=False, return_X_y=True)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    model = recipe(max_epochs=8, batch_size=20, module__widths=(16, 32, 32))
    model.fit(images[:500], labels[:500])
    assert model.score(images[9_500:10_000], labels[9_500:10_000]) > 0.3


# --------------------------------------------------------------------------------- the benchmark


def few_photographs(*, data_home, subset):
    """What `fetch_cifar10` returns, with 50 and 10 images of noise."""
    assert data_home == Path("somewhere") and subset == "all"
    pixels = np.random.default_rng(0).integers(256, size=(60, 32, 32, 3), dtype=np.uint8)
    parts = np.repeat(["train", "test"], [50, 10])
    return Bunch(images=as_images(pixels), target=np.arange(60) % 10, parts=parts)


def test_read_keeps_parts_and_order(monkeypatch):
    monkeypatch.setattr(benchmark, "fetch_cifar10", few_photographs)
    (images, labels), (test_images, test_labels) = benchmark.read(Path("somewhere"))
    wanted = few_photographs(data_home=Path("somewhere"), subset="all").images
    assert images.shape == (50, 32, 32, 3) and len(test_images) == 10
    assert (images[49] == wanted[49]).all() and (test_images[0] == wanted[50]).all()
    assert (labels == np.arange(50) % 10).all() and (test_labels == np.arange(10)).all()


@pytest.fixture
def narrow(monkeypatch):
    """The benchmark in this process, with a narrow network and few images."""
    monkeypatch.setattr(benchmark, "fetch_cifar10", few_photographs)
    build = benchmark.cifar10_fast.build
    monkeypatch.setattr(benchmark, "in_new_process", lambda function, *args: function(*args))
    monkeypatch.setattr(
        benchmark.cifar10_fast,
        "build",
        lambda random_state=None: build(random_state).set_params(net__module__widths=(8, 8, 8)),
    )


def test_command_measures_both_ways(tmp_path, capsys, narrow):
    out = tmp_path / "result.json"
    sizes = ["--images", "50", "--seeds", "2", "--epochs", "1"]
    assert benchmark.main(["somewhere", *sizes, "--out", str(out)]) == 0
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
    assert record["command"].startswith("python -m benchmarks.cifar10_fast somewhere")


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
