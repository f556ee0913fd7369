"""Comparisons on disk, put together, and given their images back."""

import json

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from visionpipe import HOG, Comparison, Pixels, compare, load_digits_images, load_faces

FACES = load_faces()
X, Y = FACES.images, FACES.target_names[FACES.target]
HOG_SVM = make_pipeline(HOG(), SVC())


@pytest.fixture(scope="module")
def comparison():
    models = {
        "hog": HOG_SVM,
        "bad": make_pipeline(Pixels()),
        "tuned": make_pipeline(Pixels(), LogisticRegression()),
    }
    found = compare(
        models, X, Y, cv=3, groups=np.arange(200) // 2, train_sizes=[0.5], n_explained=1,
        tune={"tuned": {"logisticregression": [LogisticRegression(C=0.1), SVC()]}},
    )  # fmt: skip
    found.circumstances = {"command": "visionpipe compare 'a b'", "date": "2026-12-01"}
    return found


def test_what_is_saved_is_what_is_loaded(comparison, tmp_path):
    path = comparison.save(tmp_path / "folder" / "comparison.npz")
    loaded = Comparison.load(path)
    assert loaded.rows == comparison.rows and str(loaded) == str(comparison)
    assert repr(loaded) == repr(comparison)
    assert loaded.verdicts() == comparison.verdicts() and loaded.warnings == comparison.warnings
    assert loaded.circumstances == comparison.circumstances
    assert loaded.groups.tolist() == comparison.groups.tolist()
    assert loaded.classes.tolist() == ["face", "other"] and loaded.images is None
    for name, result in comparison.results.items():
        again = loaded.results[name]
        assert again.curve == result.curve and again.description == result.description
        assert again.versions == result.versions and again.hardware == result.hardware
        for one, two in zip(result.outcomes, again.outcomes, strict=True):
            assert one.pictures == two.pictures and one.cost == two.cost
            assert np.array_equal(one.probabilities, two.probabilities) or one.probabilities is None
    # estimators that a search chose among are kept as text: nothing in the file is code
    chosen = loaded.results["tuned"].outcomes[0].chosen
    assert chosen["logisticregression"] in ("LogisticRegression(C=0.1)", "SVC()")


def test_pipelines_are_added_after_loading_once_the_images_are_back(comparison, tmp_path):
    loaded = Comparison.load(comparison.save(tmp_path / "c.npz"))
    with pytest.raises(ValueError, match=r"there are no images to run on; call attach\(X\)"):
        loaded.add({"dummy": DummyClassifier()})
    loaded.attach(FACES.images).add({"dummy": DummyClassifier()})
    here = comparison.merge().add({"dummy": DummyClassifier()})
    assert (loaded.fold_scores("dummy") == here.fold_scores("dummy")).all()
    assert "dummy" not in comparison.results
    arrays = np.stack([X[i] for i in range(200)])
    assert loaded.attach(arrays) is loaded  # of the same pixels
    for others in (X[::-1], X[:199], load_digits_images().images[:200]):
        with pytest.raises(ValueError, match="images are not the 200 that were compared on"):
            loaded.attach(others)


def test_merging_is_as_if_all_had_been_run_here(comparison):
    groups = np.arange(200) // 2
    other = compare({"dummy": DummyClassifier()}, X, Y, cv=3, groups=groups)
    merged = comparison.merge(other)
    assert [*merged.results] == ["hog", "bad", "tuned", "dummy"]
    assert [*comparison.results] == ["hog", "bad", "tuned"] and [*other.results] == ["dummy"]
    assert [v.pipeline for v in merged.verdicts("hog")] == ["tuned", "dummy"]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: compare({"a": SVC()}, X, Y, cv=4), "has other folds than"),
        (lambda: compare({"a": SVC()}, X, Y, cv=3), "has other folds than"),  # without groups
        (lambda: compare({"a": SVC()}, X, Y[::-1], cv=3), "is of other images or labels than"),
        (lambda: compare({"a": SVC()}, X[:150], Y[:150], cv=3), "is of other images or labels"),
    ],
)
def test_what_does_not_belong_together_is_not_merged(comparison, other, message):
    with pytest.raises(ValueError, match=message):
        comparison.merge(other())


def test_one_name_is_one_pipeline(comparison):
    groups = np.arange(200) // 2
    with pytest.raises(ValueError, match="hog is in both"):
        comparison.merge(compare({"hog": DummyClassifier()}, X, Y, cv=3, groups=groups))


def test_files_that_are_none_are_refused(comparison, tmp_path):
    path = comparison.save(tmp_path / "whole.npz")
    whole = path.read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.npz").write_text("pipeline,accuracy")
    (tmp_path / "empty.npz").touch()
    np.savez(tmp_path / "other.npz", a=np.arange(3))
    np.save(tmp_path / "array.npy", np.arange(3))
    np.savez(tmp_path / "pickle.npz", meta=np.array([{}], dtype=object))
    for name in ("cut.npz", "text.npz", "empty.npz", "other.npz", "array.npy", "pickle.npz"):
        with pytest.raises(ValueError, match=f"{name} is not a whole file of a comparison"):
            Comparison.load(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        Comparison.load(tmp_path / "nowhere.npz")


def test_files_of_another_format_are_refused(comparison, tmp_path):
    with np.load(comparison.save(tmp_path / "c.npz")) as arrays:
        arrays = dict(arrays)
    meta = json.loads(arrays["meta"].tobytes())
    meta["format_version"] = 99
    arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)
    np.savez(tmp_path / "later.npz", **arrays)
    with pytest.raises(ValueError, match="has format version 99, this visionpipe reads 1; update"):
        Comparison.load(tmp_path / "later.npz")


def test_nothing_in_the_file_is_pickled(comparison, tmp_path):
    with np.load(comparison.save(tmp_path / "c.npz"), allow_pickle=False) as arrays:
        assert len([arrays[name] for name in arrays.files]) > 12
