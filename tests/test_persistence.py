"""Models on disk: bit for bit the same in a fresh process, and damage found before unpickling."""

import json
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import pipelines
from visionpipe import HOG, load, load_digits_images, save

DIGITS = load_digits_images()
X, Y = DIGITS.images[:120], DIGITS.target_names[DIGITS.target[:120]]

FRESH_PROCESS = """
import sys, joblib, numpy as np
from visionpipe import load, load_digits_images
model = (load if sys.argv[1] == "load" else joblib.load)(sys.argv[2])
X = load_digits_images().images[:120]
score = model.predict_proba if hasattr(model, "predict_proba") else model.decision_function
np.savez(sys.argv[3], labels=model.predict(X), scores=score(X))
"""


@pytest.mark.parametrize("name", pipelines.all_pipelines())
def test_fresh_process_predicts_bit_for_bit_the_same(name, tmp_path):
    model = pipelines.get(name).build(random_state=0)
    if name in ("softmax", "mlp", "lenet"):
        model.set_params(net__max_epochs=2)
    model.fit(X, Y)
    score = model.predict_proba if hasattr(model, "predict_proba") else model.decision_function
    expected = score(X)
    save(model, tmp_path / "saved.joblib")
    joblib.dump(model, tmp_path / "dumped.joblib")
    for how, path in (("load", "saved.joblib"), ("joblib.load", "dumped.joblib")):
        out = tmp_path / f"{path}.npz"
        subprocess.run([sys.executable, "-c", FRESH_PROCESS, how, tmp_path / path, out], check=True)
        found = np.load(out)
        np.testing.assert_array_equal(found["labels"], model.predict(X))
        np.testing.assert_array_equal(found["scores"], expected)


@pytest.fixture
def saved(tmp_path):
    model = make_pipeline(HOG(pixels_per_cell=(2, 2)), LogisticRegression()).fit(X, Y)
    return save(model, tmp_path / "folder" / "model.joblib")


def manifest_of(path):
    return path.with_name(path.name + ".json")


def edit(path, **changes):
    manifest = json.loads(manifest_of(path).read_text()) | changes
    manifest_of(path).write_text(json.dumps(manifest))


def test_manifest(saved):
    manifest = json.loads(manifest_of(saved).read_text())
    assert manifest["format_version"] == 1
    assert set(manifest["versions"]) >= {
        "python", "visionpipe", "torch", "scikit-learn", "numpy", "cv2", "skorch",
    }  # fmt: skip
    assert manifest["classes"] == [str(digit) for digit in range(10)]
    assert manifest["input"] == {"image_shape": [8, 8, 1]}
    assert manifest["files"]["model.joblib"]["bytes"] == saved.stat().st_size
    assert [p.name for p in sorted(saved.parent.iterdir())] == ["model.joblib", "model.joblib.json"]


def test_searches_are_described_by_their_best(tmp_path):
    pipeline = make_pipeline(HOG(pixels_per_cell=(2, 2)), LogisticRegression())
    search = GridSearchCV(pipeline, {"logisticregression__C": [1]}, cv=2).fit(X, Y)
    path = save(search, tmp_path / "search.joblib")
    assert json.loads(manifest_of(path).read_text())["input"] == {"image_shape": [8, 8, 1]}
    np.testing.assert_array_equal(load(path).predict(X), search.predict(X))


def test_same_versions_load_without_a_warning(saved, recwarn):
    load(saved)
    assert not [w for w in recwarn if "versions" in str(w.message)]


def test_other_versions_are_named(saved):
    versions = json.loads(manifest_of(saved).read_text())["versions"]
    edit(saved, versions=versions | {"torch": "0.1", "skorch": "0.2"})
    with pytest.warns(UserWarning, match=r"torch 0\.1 \(here .*\), skorch 0\.2 \(here") as caught:
        load(saved)
    assert "numpy" not in str(caught[0].message)


class Trap:
    """Leaves a mark when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return open, (self.marker, "w")


@pytest.mark.parametrize("same_size", [True, False])
def test_damage_is_found_before_unpickling(saved, tmp_path, same_size):
    marker = tmp_path / "unpickled"
    code = pickle.dumps(Trap(str(marker)))
    size = saved.stat().st_size
    saved.write_bytes(code.ljust(size, b"\0") if same_size else code)
    with pytest.raises(ValueError, match=r"model\.joblib is damaged.*copy or save it again"):
        load(saved)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path: path.unlink(), "there is no model file"),
        (lambda path: manifest_of(path).unlink(), "no manifest model.joblib.json.*visionpipe.save"),
        (lambda path: manifest_of(path).write_text("{"), "is not a manifest"),
        (lambda path: manifest_of(path).write_text("[]"), "is not a manifest"),
        (lambda path: edit(path, files={}), "is not a manifest"),
        (lambda path: edit(path, format_version=99), "format version 99, this .* reads 1"),
    ],
)
def test_unusable_files_say_what_is_wrong(saved, change, message):
    change(saved)
    with pytest.raises(ValueError, match=message) as caught:
        load(saved)
    assert "\n" not in str(caught.value)


def test_model_of_unknown_classes(saved, monkeypatch):
    import visionpipe.features.hog

    monkeypatch.delattr(visionpipe.features.hog, "HOG")
    with pytest.raises(ValueError, match=r"cannot be rebuilt here \(AttributeError.*saved under"):
        load(saved)
