"""Commands on folders of images, some of which lie."""

import csv
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from visionpipe import Pixels, load, load_digits_images, save
from visionpipe.cli import main


def photograph(path, level, rng, size=(50, 60)):
    pixels = np.clip(rng.normal(level, 20, (*size, 3)), 0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path):
    """Two classes in two parts, with names that need care and things that are no images."""
    rng, folder = np.random.default_rng(0), tmp_path / "photographs"
    for part, n in (("train", 8), ("test", 4)):
        for label, level in (("night", 40), ("high noon", 200)):
            for i in range(n):
                photograph(folder / part / label / f"{i}, a.png", level, rng, (50 + i, 60))
    (folder / "train" / "night" / "Thumbs.db").touch()
    (folder / "train" / "night" / ".hidden.png").touch()
    (folder / "test" / "notes.txt").touch()
    return folder


@pytest.fixture
def spoiled(folder, model):
    """The same with three files that cannot be read, of which the model knows nothing."""
    (folder / "train" / "night" / "4, a.png").write_text("text")
    (folder / "test" / "night" / "a.jpg").touch()
    whole = (folder / "test" / "high noon" / "1, a.png").read_bytes()
    (folder / "test" / "high noon" / "z.png").write_bytes(whole[:-30])
    names = ("train/night/4, a.png", "test/high noon/z.png", "test/night/a.jpg")
    return folder, {str(folder / name) for name in names}


@pytest.fixture
def model(folder, tmp_path, capsys):
    assert main(fitting(folder, tmp_path / "out" / "model.joblib")) == 0
    capsys.readouterr()
    return tmp_path / "out" / "model.joblib"


def fitting(data, out, *more):
    return ["fit", str(data), "--pipeline", "pixels_svm", "--out", str(out), *more]


def skipped_in(folder):
    with open(folder / "skipped.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(row["reason"] for row in rows)
    return {row["path"] for row in rows}


def test_fit_learns_the_training_part_and_evaluate_tests_on_the_other(folder, tmp_path, capsys):
    out = tmp_path / "out" / "model.joblib"
    assert main(fitting(folder, out)) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("pixels_svm fitted on 16 images of 2 classes in ")
    counts = printed.err.removeprefix("passed over: ").rstrip().split(", ")
    assert sorted(counts) == ["hidden 1", "not an image file 1", "of the operating system 1"]
    assert load(out).classes_.tolist() == ["high noon", "night"]
    assert json.loads((tmp_path / "out" / "model.joblib.json").read_text())["classes"] == [
        "high noon", "night",
    ]  # fmt: skip
    assert main(["evaluate", str(out), str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "accuracy 100.00 %: 8 of 8 images"
    assert any(
        line.split() == ["high", "noon", "1.0000", "1.0000", "1.0000", "4"] for line in lines
    )
    assert main(["evaluate", str(out), str(folder), "--part", "train", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["n_images"] == 16 and figures["accuracy"] == figures["night"]["recall"] == 1
    assert main(["evaluate", str(out), str(folder), "--part", "validation"]) == 2
    assert "has no part validation, only test, train" in capsys.readouterr().err


def test_fit_on_fewer_images(folder, tmp_path, capsys):
    assert main(fitting(folder, tmp_path / "model.joblib", "--train", "5")) == 0
    assert "fitted on 5 images of 2 classes" in capsys.readouterr().out
    assert main(fitting(folder, tmp_path / "model.joblib", "--train", "17")) == 2
    assert "error: n_train=17: there are 16 images" in capsys.readouterr().err


def test_a_csv_file_serves_as_a_folder_does(folder, model, tmp_path, capsys):
    rows = [["path", "label", "part"]]
    for path in sorted(folder.rglob("*a.png")):
        relative = path.relative_to(tmp_path)
        rows.append([str(relative), relative.parts[2].upper(), relative.parts[1]])
    with open(tmp_path / "list.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    assert main(fitting(tmp_path / "list.csv", tmp_path / "model.joblib")) == 0
    assert main(["evaluate", str(tmp_path / "model.joblib"), str(tmp_path / "list.csv")]) == 0
    printed = capsys.readouterr().out
    assert "16 images of 2 classes" in printed and "8 of 8 images" in printed and "NIGHT" in printed
    assert main(["predict", str(model), str(tmp_path / "list.csv")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 24


def test_predict_takes_folders_and_files_and_prints_csv(folder, model, capsys):
    one = folder / "train" / "night" / "0, a.png"
    assert main(["predict", str(model), str(folder / "test"), str(one), "--csv"]) == 0
    printed = capsys.readouterr()
    rows = list(csv.DictReader(printed.out.splitlines()))
    assert list(rows[0]) == ["path", "class", "probability"]
    below = sorted(map(str, (folder / "test").rglob("*.png")))
    assert [row["path"] for row in rows] == [*below, str(one)]
    for row in rows:
        assert row["class"] == os.path.basename(os.path.dirname(row["path"]))
        assert 0.5 <= float(row["probability"]) <= 1
    assert printed.err == "passed over: not an image file 1\n"


def test_columns_between_tabs_hold_names_as_they_are(folder, model, capsys):
    odd = folder / "test" / "night" / 'a "b", \\c.png'
    os.rename(folder / "test" / "night" / "0, a.png", odd)
    assert main(["predict", str(model), str(odd)]) == 0
    path, label, probability = capsys.readouterr().out.rstrip("\n").split("\t")
    assert (path, label) == (str(odd), "night") and float(probability) > 0.5
    assert main(["predict", str(model), str(odd), "--csv"]) == 0
    (row,) = csv.DictReader(capsys.readouterr().out.splitlines())
    assert row["path"] == str(odd)


def test_the_help_names_every_data_set():
    from visionpipe.data_options import DATA_HELP
    from visionpipe.datasets.names import NAMES

    assert DATA_HELP.startswith(", ".join(NAMES))


def test_predicting_more_images_than_are_held_at_once(folder, model, capsys, monkeypatch):
    from visionpipe.commands import chunks

    assert main(["predict", str(model), str(folder)]) == 0
    at_once = capsys.readouterr().out
    monkeypatch.setattr(chunks, "IMAGES_AT_ONCE", 5)
    assert main(["predict", str(model), str(folder)]) == 0
    assert capsys.readouterr().out == at_once and len(at_once.splitlines()) == 24
    assert main(["evaluate", str(model), str(folder)]) == 0
    assert "8 of 8 images" in capsys.readouterr().out


def test_the_first_bad_file_stops_every_command(spoiled, model, tmp_path, capsys, monkeypatch):
    folder, bad = spoiled
    monkeypatch.chdir(tmp_path)
    compare = ["compare", str(folder), "--pipelines", "pixels_svm", "--out", "compared"]
    for command in (
        compare,
        fitting(folder, tmp_path / "other.joblib"),
        ["evaluate", str(model), str(folder)],
        ["predict", str(model), str(folder)],
    ):
        assert main(command) == 2, command
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith("error: cannot read ")
        assert error.removeprefix("error: cannot read ").split(": ")[0] in bad
    assert not (tmp_path / "other.joblib").exists() and not (tmp_path / "compared").exists()
    assert not (tmp_path / "skipped.csv").exists()


def test_bad_files_are_left_out_and_listed(spoiled, model, tmp_path, capsys, monkeypatch):
    folder, bad = spoiled
    monkeypatch.chdir(tmp_path)
    compare = ["compare", str(folder), "--pipelines", "pixels_svm", "--out", "compared"]
    assert main([*compare, "--errors", "skip"]) == 0
    printed = capsys.readouterr()
    assert "100.00" in printed.out
    assert "left out: 3 that cannot be read, listed in compared/skipped.csv" in printed.err
    assert skipped_in(tmp_path / "compared") == bad
    run = json.loads((tmp_path / "compared" / "run.json").read_text())
    assert run["n_skipped"] == 3 and run["folds"] == [{"n_train": 15, "n_test": 8}]

    assert main(fitting(folder, "fitted/model.joblib", "--errors", "skip")) == 0
    assert "fitted on 15 images" in capsys.readouterr().out
    assert skipped_in(tmp_path / "fitted") == bad

    assert main(["evaluate", str(model), str(folder), "--errors", "skip"]) == 0
    assert "accuracy 100.00 %: 8 of 8 images" in capsys.readouterr().out
    assert skipped_in(tmp_path) == bad

    (tmp_path / "skipped.csv").unlink()
    arguments = [str(folder), str(tmp_path / "nowhere.png"), "--errors", "skip"]
    assert main(["predict", str(model), *arguments]) == 0
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 23
    assert not any(path in printed.out for path in bad)
    assert skipped_in(tmp_path) == bad | {str(tmp_path / "nowhere.png")}


def test_nothing_but_bad_files(tmp_path, model, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for label in "ab":
        (tmp_path / "bad" / label).mkdir(parents=True)
        (tmp_path / "bad" / label / "1.png").write_text("text")
    assert main(["compare", "bad", "--errors", "skip"]) == 2
    assert "error: none of the 2 images can be read; first: cannot read bad/a/1.png: its" in (
        capsys.readouterr().err
    )
    assert main(["predict", str(model), "bad", "--errors", "skip"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "" and "left out: 2 that cannot be read" in printed.err


def test_a_limit_on_pixels_that_can_be_raised(folder, model, capsys):
    image = str(folder / "test" / "night" / "0, a.png")
    assert main(["predict", str(model), image, "--max-pixels", "2999"]) == 2
    assert "it has 60 x 50 pixels, and the limit is 2,999; raise max_pixels" in (
        capsys.readouterr().err
    )
    assert main(["predict", str(model), image, "--max-pixels", "3000"]) == 0
    with pytest.raises(SystemExit):
        main(["predict", str(model), image, "--max-pixels", "0"])


def test_models_from_python_know_classes_by_numbers(tmp_path, capsys):
    digits = load_digits_images()
    numbered = make_pipeline(Pixels(), SVC()).fit(digits.images[:300], digits.target[:300])
    save(numbered, tmp_path / "numbered.joblib")
    assert main(["evaluate", str(tmp_path / "numbered.joblib"), "digits"]) == 0
    right = int((numbered.predict(digits.images) == digits.target).sum())
    assert f" %: {right:,} of 1,797 images" in capsys.readouterr().out and right > 1000


def test_what_is_no_classifier_is_refused(folder, tmp_path, capsys):
    for name, model in {"unfitted": make_pipeline(Pixels(), SVC()), "dict": {"a": 1}}.items():
        path = save(model, tmp_path / f"{name}.joblib")
        for command in ("evaluate", "predict"):
            assert main([command, str(path), str(folder)]) == 2
            (error,) = capsys.readouterr().err.splitlines()
            assert re.match(rf"error: .*{name}\.joblib holds a \w+; wanted a fitted clas", error)


def test_searches_stop_at_a_bad_file_before_they_fit(spoiled, tmp_path, capsys):
    from pipelines import search

    folder, bad = spoiled
    out = ["--out", str(tmp_path / "found.joblib")]
    assert search.main(argv=[str(folder / "train"), "--pipeline", "pixels_svm", *out]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.splitlines()[-1].startswith("error: cannot read ")
    assert any(path in printed.err for path in bad)


def test_models_are_not_tested_on_classes_they_cannot_know(folder, model, capsys):
    photograph(folder / "test" / "dusk" / "1.png", 120, np.random.default_rng(1))
    assert main(["evaluate", str(model), str(folder)]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "has images of dusk, and" in error and "knows only high noon, night" in error


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text there")
def test_names_that_are_not_text(folder, model, tmp_path):
    odd = os.path.join(os.fsencode(folder), b"test", b"night", b"caf\xe9.png")
    os.rename(folder / "test" / "night" / "0, a.png", odd)
    spoiled = os.path.join(os.fsencode(folder), b"test", b"night", b"\xff.png")
    with open(spoiled, "wb"):
        pass
    command = [sys.executable, "-m", "visionpipe", "predict", str(model), str(folder / "test")]
    done = subprocess.run(
        [*command, "--csv", "--errors", "skip"], capture_output=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert odd in done.stdout and b"cannot be read" in done.stderr
    assert spoiled in (tmp_path / "skipped.csv").read_bytes()


@pytest.mark.skipif("VISIONPIPE_DATA" not in os.environ, reason="VISIONPIPE_DATA is not set")
def test_a_standard_set_by_name(tmp_path, capsys):
    arguments = ["compare", "mnist", "--pipelines", "pixels_svm", "--train", "300"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["folds"] == [{"n_train": 300, "n_test": 10_000}]
    (row,) = json.loads((tmp_path / "results.json").read_text())
    assert 0.85 < row["accuracy"] < 0.95 and row["accuracy_sd"] is None
    assert main(["evaluate", str(tmp_path / "pixels_svm.joblib"), "mnist"]) == 0
    assert "of 10,000 images" in capsys.readouterr().out


@pytest.mark.parametrize("judge", ["folds", "validation"])
def test_searches_leave_the_test_part_alone(folder, tmp_path, capsys, judge):
    from pipelines import search

    if judge == "validation":
        for label in ("night", "high noon"):
            for i in (6, 7):
                path = folder / "train" / label / f"{i}, a.png"
                (folder / "dev" / label).mkdir(parents=True, exist_ok=True)
                path.rename(folder / "dev" / label / path.name)
    out = tmp_path / "found.joblib"
    arguments = [str(folder), "--pipeline", "pixels_svm", "--out", str(out), "--store", "none"]
    assert search.main(argv=arguments) == 0
    printed = capsys.readouterr().out
    assert f"over {1 if judge == 'validation' else 5} folds" in printed
    assert "fitted on all 16 images" in printed
