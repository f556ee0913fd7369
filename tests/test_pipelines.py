"""The ready-made pipelines: what they promise, and their grid-search scripts."""

import csv
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import ParameterGrid

import pipelines
from pipelines import search, transfer
from visionpipe import CNNClassifier, load, load_faces, load_images
from visionpipe.comparison import make_folds
from visionpipe.probabilities import with_probabilities
from visionpipe.store import FeatureStore

FACES = load_faces()
ON_REQUEST = [
    *("autoencoder_svm", "caltech16_fisher", "cifar10_airbench", "cifar10_cifarnet"),
    *("cifar10_descriptors", "cifar10_fast", "cifar10_kmeans", "cifar10_patches", "cifarnet"),
    *("cnn_features_svm", "fashion_airbench", "fashion_sift", "fmp", "mnist_sift", "mnist_lenet"),
    *("resnet20", "transfer"),
]


def test_names():
    assert pipelines.all_pipelines() == [
        "pixels_svm", "hog_svm", "lbp_svm", "color_svm", "sift_bovw_svm", "rootsift_bovw_svm",
        "dense_bovw_svm", "vlad_svm", "fisher_svm", "patches_linear", "softmax", "mlp", "lenet",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="no pipeline 'sift'; there are pixels_svm.*transfer$"):
        pipelines.get("sift")


@pytest.mark.parametrize("name", [*pipelines.all_pipelines(), *ON_REQUEST])
def test_grids_name_parameters_that_exist(name):
    module = pipelines.get(name)
    points = list(ParameterGrid(module.PARAM_GRID))
    assert len(points) > 1
    for point in points:
        clone(module.build(random_state=0)).set_params(**point)


@pytest.mark.parametrize("name", ["sift_bovw_svm", "rootsift_bovw_svm", "dense_bovw_svm"])
def test_every_point_of_a_grid_finds_descriptors(name):
    module = pipelines.get(name)
    for point in ParameterGrid(module.PARAM_GRID):
        model = clone(module.build()).set_params(**point)
        found = model[:2].fit_transform(FACES.images[::10])
        assert found.counts.sum() > 400 and (found.counts > 0).mean() > 0.7


@pytest.mark.parametrize("name", [*pipelines.all_pipelines(), *ON_REQUEST])
def test_seeds_decide(name):
    build = pipelines.get(name).build
    sizes = {"max_epochs": 1, "n_words": 20, "n_gaussians": 4, "n_samples": 2000}
    small = {
        parameter: size
        for parameter in build().get_params()
        for end, size in sizes.items()
        if parameter.endswith(end)
    }
    images, target = FACES.images[::4], FACES.target[::4]
    one, two = (build(random_state=3).set_params(**small).fit(images, target) for _ in range(2))
    score = "predict_proba" if hasattr(one, "predict_proba") else "decision_function"
    assert (getattr(one, score)(images) == getattr(two, score)(images)).all()


@pytest.mark.parametrize("name", ["hog_svm", "lbp_svm", "pixels_svm", "color_svm"])
def test_feature_names_go_through(name):
    model = pipelines.get(name).build().set_output(transform="pandas")
    model.fit(FACES.images, FACES.target)
    names = model[:-1].get_feature_names_out()
    frame = model[:-1].transform(FACES.images[:3])
    assert list(frame.columns) == list(names) and len(names) == model[-1].n_features_in_


def test_script_searches_prints_and_saves(tmp_path):
    out = tmp_path / "best.joblib"
    script = [sys.executable, "-m", "pipelines.pixels_svm", "faces", "--cv", "2"]
    done = subprocess.run([*script, "--out", out], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "pixels_svm on faces: accuracy 9" in done.stdout and "svm__C = " in done.stdout
    assert done.stderr == ""  # it is no terminal
    model = load(out)
    assert model.predict_proba(FACES.images).shape == (200, 2)

    script[2] = "pipelines.search"  # the same search by its other name, resumed
    again = subprocess.run(
        [*script, "--pipeline", "pixels_svm", "--out", out], capture_output=True, text=True
    )
    assert again.stdout == done.stdout
    assert re.fullmatch(rf"(\d+) of \1 fits found in {out}.journal.jsonl\n", again.stderr)

    done = subprocess.run([*script[:3], "nowhere"], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("error: there is no data set")
    assert len(done.stderr.splitlines()) == 1


def test_search_keeps_features_and_fits_where_it_is_told(tmp_path, capsys):
    store, journal = tmp_path / "features.sqlite", tmp_path / "fits.jsonl"
    argv = ["faces", "--pipeline", "hog_svm", "--cv", "2", "--out", str(tmp_path / "one.joblib")]
    assert search.main(argv=[*argv, "--store", str(store), "--journal", str(journal)]) == 0
    kept = capsys.readouterr().out
    assert len(FeatureStore(store)) >= 200 and len(journal.read_text().splitlines()) == 24
    assert load(tmp_path / "one.joblib").get_params()["hog__store"] is None
    argv[-1] = str(tmp_path / "two.joblib")
    assert search.main(argv=[*argv, "--store", "none", "--journal", "none"]) == 0
    assert capsys.readouterr().out.splitlines()[:-1] == kept.splitlines()[:-1]
    assert not (tmp_path / "two.joblib.journal.jsonl").exists()
    assert search.main(argv=["faces", "--pipeline", "sift"]) == 2
    assert capsys.readouterr().err.startswith("error: there is no pipeline 'sift'; there are")
    assert search.main(argv=[*argv, "--store", str(tmp_path)]) == 2
    assert (
        capsys.readouterr().err == f"error: store='{tmp_path}' is a folder; wanted a file in it\n"
    )


def test_probabilities_keep_the_predictions():
    pipeline = pipelines.get("hog_svm").build()
    assert not hasattr(pipeline, "predict_proba")
    calibrated = with_probabilities(pipeline, FACES.target)
    calibrated.fit(FACES.images[::2], FACES.target[::2])
    pipeline.fit(FACES.images[::2], FACES.target[::2])
    probabilities = calibrated.predict_proba(FACES.images[1::2])
    assert probabilities.sum(axis=1) == pytest.approx(1)
    assert (calibrated.predict(FACES.images) == pipeline.predict(FACES.images)).all()
    assert with_probabilities(calibrated, FACES.target) is calibrated
    assert with_probabilities(pipeline, [0, 1, 1]) is pipeline  # nothing to hold out of class 0


def test_draws_are_of_each_class_and_leave_the_others_to_test_on():
    y = np.array(["b", "a", "c"] * 10)
    splits = transfer.draws(y, 4, 3, random_state=0, n_test=9)
    assert len(splits) == 3 and not np.array_equal(splits[0][0], splits[1][0])
    for train, test in splits:
        assert sorted(y[train]) == ["a"] * 4 + ["b"] * 4 + ["c"] * 4
        assert len(test) == 9 and not {*train} & {*test}
    (train, test), *_ = transfer.draws(y, 4, 1)
    assert sorted([*train, *test]) == list(range(30))
    with pytest.raises(ValueError, match="class a has 10 images; .* takes at least 11"):
        transfer.draws(y, 10, 1)


def test_ways_to_transfer_begin_with_the_source_or_without():
    y = np.arange(20) % 2
    source = CNNClassifier("resnet20", max_epochs=1, random_state=0)
    source.fit(np.random.default_rng(0).random((20, 32, 32)), y)
    ways = transfer.ways(source, random_state=0)
    assert [*ways] == ["scratch", "fine_tuning", "extraction", "bag_of_words"]
    assert ways["scratch"]["net"].init_from is None
    images = FACES.images[:20]
    vectors = clone(ways["extraction"])[:2].fit_transform(images, y)
    assert vectors.shape == (20, 64)
    begun = clone(ways["fine_tuning"]).set_params(net__max_epochs=1, net__lr=1e-30)
    tuned = begun.fit(images, y)["net"].module_
    torch.testing.assert_close(tuned.conv1.weight, source.module_.conv1.weight)


def test_transfer_refuses_too_few_classes(capsys):
    assert transfer.main(["faces"]) == 2
    assert capsys.readouterr().err == "error: faces has 2 classes; wanted 4 or more\n"


class Noting(DummyClassifier):
    """Keeps the level of each image that it learned from, which tells it from all others."""

    seen = []  # noqa: RUF012

    def fit(self, X, y):
        self.images_ = repr(X)
        self.learned_ = [int(pixels[0, 0]) for pixels in X]
        self.seen.append(self.learned_)
        return super().fit(np.zeros((len(y), 1)), y)


@pytest.fixture
def levels(tmp_path, monkeypatch):
    """A folder of 24 grey images, each of a level of its own, half of them to learn from."""
    monkeypatch.chdir(tmp_path)
    Noting.seen.clear()
    level = 0
    for part, n in (("train", 6), ("validation", 2), ("test", 4)):
        for label in ("a", "b"):
            (tmp_path / "levels" / part / label).mkdir(parents=True)
            for i in range(n):
                Image.new("L", (4, 4), level).save(f"levels/{part}/{label}/{i}.png")
                level += 1
    return tmp_path / "levels"


def search_noting(source, *more):
    argv = [str(source), "--out", "out/best.joblib", "--store", "none", "--journal", "none"]
    grid = {"strategy": ["prior", "most_frequent"]}
    return search.main(
        "noting", lambda random_state: Noting(random_state=random_state), grid, [*argv, *more]
    )


def test_search_leaves_the_test_part_alone_and_validation_judges(levels):
    assert search_noting("levels") == 0
    train, validation = [*range(12)], [*range(12, 16)]
    assert [sorted(seen) for seen in Noting.seen[:-1]] == [train, train]
    model = load("out/best.joblib")
    assert sorted(model.learned_) == [*train, *validation]
    assert f"files, first {levels}" in model.images_  # a worker may run in another folder


def test_search_without_a_validation_part_makes_folds_of_the_training_part(levels):
    (levels / "validation").rename(levels.parent / "aside")
    assert search_noting("levels", "--seed", "7") == 0
    data = load_images(levels / "train")
    folds = make_folds(data.images, data.target_names[data.target], random_state=7)  # 5
    wanted = [[int(pixels[0, 0]) for pixels in data.images[train]] for train, _ in folds]
    assert Noting.seen[:-1] == 2 * wanted
    model = load("out/best.joblib")
    assert sorted(model.learned_) == [*range(12)] and model.random_state == 7


def test_search_keeps_groups_together(levels):
    with open("groups.csv", "w", newline="") as file:
        rows = [[f"levels/train/{c}/{i}.png", c, f"{c}{i // 3}"] for c in "ab" for i in range(6)]
        csv.writer(file).writerows([["path", "label", "group"], *rows])
    assert search_noting("groups.csv", "--cv", "2") == 0
    for seen in Noting.seen[:-1]:  # levels 0, 1, 2 are a group, 3, 4, 5 the next
        assert len(seen) == 6 and len({level // 3 for level in seen}) == 2


def test_search_leaves_out_bad_files_and_keeps_the_limit_on_pixels(levels, capsys):
    (levels / "train" / "a" / "0.png").write_text("text")
    assert search_noting("levels", "--errors", "skip") == 0
    with open("out/skipped.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["path"] == "levels/train/a/0.png"
    assert 0 not in load("out/best.joblib").learned_
    Image.new("L", (5, 4)).save(levels / "train" / "a" / "0.png")
    assert search_noting("levels", "--max-pixels", "20") == 0
    assert search_noting("levels", "--max-pixels", "19") == 2
