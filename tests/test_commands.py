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
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from small_sets import write_idx

import pipelines
from visionpipe import Pixels, Resize, load, load_digits_images, load_images, save
from visionpipe.cli import main
from visionpipe.comparison import draw_rows, make_folds


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
    assert main(["predict", str(model), "bad", "--errors", "skip"]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and "left out: 2 that cannot be read" in printed.err
    assert "error: none of the 2 images can be read; first: cannot read bad/a/1.png: its" in (
        printed.err
    )


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


def test_models_that_cannot_be_written_are_refused_before_the_work(folder, tmp_path, capsys):
    from pipelines import search

    (tmp_path / "file").touch()
    for out, reason in {
        tmp_path: "is a folder; wanted a file for the model",
        tmp_path / "file" / "model.joblib": "cannot be written: ",
    }.items():
        assert main(fitting(folder, out)) == 2
        assert search.main(argv=[str(folder), "--pipeline", "pixels_svm", "--out", str(out)]) == 2
        for error in capsys.readouterr().err.splitlines():
            assert error.startswith(f"error: --out {out} {reason}")
    assert {path.name for path in tmp_path.iterdir()} == {"photographs", "file"}


def test_a_list_of_bad_files_that_cannot_be_written_costs_no_result(
    spoiled, model, tmp_path, capsys, monkeypatch
):
    folder, bad = spoiled
    monkeypatch.chdir(tmp_path)
    (tmp_path / "skipped.csv").mkdir()
    assert main(["evaluate", str(model), str(folder), "--errors", "skip"]) == 0
    printed = capsys.readouterr()
    assert "8 of 8 images" in printed.out
    assert "warning: skipped.csv cannot be written" in printed.err
    assert all(path in printed.err for path in bad)


def test_no_list_without_bad_files(folder, model, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["evaluate", str(model), str(folder), "--errors", "skip"]
    assert main(command) == 0
    assert not (tmp_path / "skipped.csv").exists() and "left out" not in capsys.readouterr().err
    (tmp_path / "skipped.csv").write_text("path,reason\nof,an earlier run\n")
    assert main(command) == 0
    assert skipped_in(tmp_path) == set()


@pytest.mark.skipif(sys.platform == "win32", reason="asks for a shell")
def test_outputs_that_nobody_reads(folder, model):
    command = f"{sys.executable} -m visionpipe predict {model} {folder}"
    for tail, status in (("| true; exit ${PIPESTATUS[0]}", 141), (">&-", 0), (">&- 2>&-", 0)):
        done = subprocess.run(
            ["bash", "-c", f"{command} {tail}"], capture_output=True, text=True, cwd=folder
        )
        assert done.returncode in (status, 0), done.stderr
        assert "Error" not in done.stderr and "error" not in done.stderr


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


class Noting(DummyClassifier):
    """Keeps what it learned from: the mean of each image, which tells it from all others."""

    seen = []  # noqa: RUF012

    def fit(self, X, y):
        self.learned_ = [float(pixels.mean()) for pixels in X]
        self.seen.append(self.learned_)
        return super().fit(np.zeros((len(y), 1)), y)


@pytest.fixture
def noting(monkeypatch):
    """What "pixels_svm" learned from, fit by fit."""
    module = pipelines.get("pixels_svm")
    monkeypatch.setattr(module, "build", lambda random_state: Noting(random_state=random_state))
    Noting.seen.clear()
    return Noting.seen


def means(images):
    return [float(pixels.mean()) for pixels in images]


def listed_in_groups(folder):
    """A list of the images to learn from, two in a group."""
    paths = sorted((folder / "train").rglob("*a.png"))
    rows = [
        [path, path.parent.name, f"{path.parent.name} {i // 2}"] for i, path in enumerate(paths)
    ]
    with open(folder / "groups.csv", "w", newline="") as file:
        csv.writer(file).writerows([["path", "label", "group"], *rows])
    return folder / "groups.csv"


@pytest.mark.parametrize(
    ("data", "options"),
    [
        ("parts", {}),
        ("parts", {"cv": 2}),
        ("parts", {"n_train": 5}),
        ("no parts", {"cv": 2}),
        ("groups", {"cv": 2}),
    ],
)
def test_compare_learns_from_what_its_options_say(data, options, folder, noting, tmp_path):
    source = {"parts": folder, "no parts": folder / "train", "groups": listed_in_groups(folder)}[
        data
    ]
    flags = {"cv": "--cv", "n_train": "--train"}
    chosen = [str(part) for name, n in options.items() for part in (flags[name], n)]
    out = tmp_path / "out"
    command = ["compare", str(source), "--pipelines", "pixels_svm", "--seed", "7", *chosen]
    assert main([*command, "--out", str(out)]) == 0
    images = load_images(source)
    folds = make_folds(
        images.images, images.target_names[images.target], groups=images.get("groups"),
        parts=images.get("parts"), random_state=7, **options,
    )  # fmt: skip
    wanted = [means(images.images[train]) for train, _ in folds]
    assert noting[: len(folds)] == wanted
    model = load(out / "pixels_svm.joblib")
    assert model.random_state == 7
    if "cv" in options:  # of all that may be learned
        learnable = images.parts == "train" if data == "parts" else slice(None)
        assert model.learned_ == means(images.images[learnable]) and len(model.learned_) == 16
    else:
        assert model.learned_ == wanted[0] and len(model.learned_) == options.get("n_train", 16)


def test_fit_draws_and_builds_by_its_seed(folder, noting, tmp_path):
    assert main(fitting(folder, tmp_path / "model.joblib", "--train", "5", "--seed", "7")) == 0
    data = load_images(folder)
    drawn = draw_rows(
        np.flatnonzero(data.parts == "train"), data.target_names[data.target], 5, random_state=7
    )
    model = load(tmp_path / "model.joblib")
    assert model.learned_ == means(data.images[drawn]) and model.random_state == 7


def test_mistakes_count_against_the_class_they_belong_to(folder, model, capsys):
    night, noon = folder / "test" / "night", folder / "test" / "high noon"
    os.rename(night / "0, a.png", noon / "dark.png")
    assert main(["evaluate", str(model), str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "accuracy 87.50 %: 7 of 8 images"
    rows = [line.split() for line in lines]
    assert ["high", "noon", "1.0000", "0.8000", "0.8889", "5"] in rows
    assert ["night", "0.7500", "1.0000", "0.8571", "3"] in rows
    assert main(["evaluate", str(model), str(folder), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["accuracy"] == 0.875 and figures["n_images"] == 8
    assert figures["night"]["precision"] == 0.75 and figures["high noon"]["recall"] == 0.8


def test_classes_of_other_parts_do_not_matter(folder, model, capsys):
    photograph(folder / "validation" / "dusk" / "1.png", 120, np.random.default_rng(1))
    assert main(["evaluate", str(model), str(folder)]) == 0
    assert "8 of 8 images" in capsys.readouterr().out


def test_bad_files_are_left_out_wherever_they_stand(folder, model, tmp_path, capsys, monkeypatch):
    from visionpipe.commands import chunks

    monkeypatch.setattr(chunks, "IMAGES_AT_ONCE", 2)
    monkeypatch.chdir(tmp_path)
    good = sorted(map(str, (folder / "test" / "night").glob("*.png")))
    bad = [str(tmp_path / f"nowhere {i}.png") for i in range(3)]
    with open(tmp_path / "list.csv", "w", newline="") as file:
        paths = [*good[:3], *bad, good[3]]  # one of two can be read, then none, then one again
        csv.writer(file).writerows([["path"], *([path] for path in paths)])
    assert main(["predict", str(model), "list.csv", "--errors", "skip"]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [line[:2] for line in lines] == [[path, "night"] for path in good]
    assert skipped_in(tmp_path) == set(bad)


def test_a_folder_that_cannot_be_listed_is_left_out(folder, model, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scandir, forbidden = os.scandir, str(folder / "test" / "night")

    def refusing(path):
        if os.fspath(path) == forbidden:
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    command = ["predict", str(model), str(folder / "test")]
    assert main(command) == 2
    assert "night: folder cannot be listed" in capsys.readouterr().err
    assert main([*command, "--errors", "skip"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
    assert skipped_in(tmp_path) == {forbidden}


def test_models_without_probabilities_say_so(folder, tmp_path, capsys):
    data = load_images(folder / "train")
    svm = make_pipeline(Resize(8), Pixels(), SVC()).fit(data.images, data.target_names[data.target])
    save(svm, tmp_path / "svm.joblib")
    below = sorted(map(str, (folder / "test" / "night").glob("*.png")))
    assert main(["predict", str(tmp_path / "svm.joblib"), str(folder / "test" / "night")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t") for line in lines] == [[path, "night", "unknown"] for path in below]


def test_compare_without_a_folder_for_results_lists_bad_files_here(
    spoiled, tmp_path, capsys, monkeypatch
):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    compare = ["compare", str(spoiled[0]), "--pipelines", "pixels_svm", "--errors", "skip"]
    assert main(compare) == 0
    assert skipped_in(tmp_path / "here") == spoiled[1]
    assert main([*compare, "--out", "out"]) == 0
    run = json.loads((tmp_path / "here" / "out" / "run.json").read_text())
    assert run["ignored"] == {
        "hidden": 1, "not an image file": 1, "of the operating system": 1,
    }  # fmt: skip


def test_the_limit_on_pixels_holds_for_every_command(folder, model, tmp_path, capsys):
    limit = ["--max-pixels", "2999"]
    for command in (
        ["compare", str(folder), "--pipelines", "pixels_svm"],
        fitting(folder, tmp_path / "other.joblib"),
        ["evaluate", str(model), str(folder)],
    ):
        assert main([*command, *limit]) == 2, command
        error = capsys.readouterr().err.splitlines()[-1]
        assert "it has 60 x 50 pixels, and the limit is 2,999" in error


def test_the_standard_sets_are_looked_for_where_data_home_says(tmp_path, capsys, monkeypatch):
    for home in ("here", "there"):  # files that are not the official ones, and are refused
        write_idx(tmp_path / home / "mnist", "mnist")
    monkeypatch.setenv("VISIONPIPE_DATA", str(tmp_path / "there"))
    home = tmp_path / "here"
    assert main(["compare", "mnist", "--pipelines", "pixels_svm", "--data-home", str(home)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {home / 'mnist'}")
