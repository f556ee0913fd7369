"""The command line: tables, files, exit codes, and one line for each kind of bad input."""

import csv
import html
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import pipelines
from visionpipe import Comparison, LeakError, load
from visionpipe.cli import main

KEYS = [
    *("pipeline", "accuracy", "accuracy_sd", "accuracy_low", "accuracy_high"),
    *("balanced_accuracy", "f1_macro", "top_5_accuracy", "log_loss", "calibration_error"),
    *("fit_seconds", "search_seconds", "n_search_fits", "predict_ms_batch_1"),
    *("predict_ms_batch_256", "model_bytes", "peak_bytes", "error", "notes", "verdict", "p_value"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two classes of photographs: unequal sizes, grey and RGB."""
    folder = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for label, level in (("night", 40), ("noon", 200)):
        (folder / label).mkdir()
        for i in range(6):
            shape = (120 + i, 160, 3) if i % 3 else (120, 160 + i)
            pixels = np.clip(rng.normal(level, 20, shape), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{i}.png")
    return folder


def test_compare_prints_a_table_and_writes_everything(folder, tmp_path, capsys):
    out = tmp_path / "out"
    names = ["pixels_svm", "color_svm"]
    arguments = ["compare", str(folder), "--pipelines", ",".join(names), "--cv", "3"]
    assert main([*arguments, "--out", str(out)]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].split()[0] == "pipeline" and [line.split()[0] for line in table[2:4]] == names
    assert "100.00 ± 0.00" in table[2] and table[4] == ""
    assert table[5].startswith("best: pixels_svm, 100.00 %; against it") and len(table) == 8
    assert table[7].split()[:4] == ["color_svm", "not", "told", "apart"]

    rows = json.loads((out / "results.json").read_text())
    assert [list(row) for row in rows] == [KEYS, KEYS]
    with open(out / "results.csv", newline="") as file:
        written = list(csv.DictReader(file))
    assert [row["pipeline"] for row in written] == names
    assert float(written[0]["accuracy"]) == rows[0]["accuracy"] == 1
    run = json.loads((out / "run.json").read_text())
    assert run["n_images"] == 12 and run["classes"] == ["night", "noon"] and run["versions"]
    assert run["command"] == shlex.join(["visionpipe", *arguments, "--out", str(out)])
    page = (out / "report.html").read_text()
    assert "color_svm" in page and html.escape(run["command"]) in page
    assert Comparison.load(out / "comparison.npz").to_dicts() == rows
    for name in names:
        assert load(out / f"{name}.joblib").predict([folder / "noon" / "0.png"]) == ["noon"]


def test_compare_json_is_alone_on_standard_output(folder):
    command = [sys.executable, "-m", "visionpipe", "compare", str(folder), "--json"]
    done = subprocess.run(
        [*command, "--pipelines", "pixels_svm", "--cv", "2"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert [list(row) for row in json.loads(done.stdout)] == [KEYS]
    assert "pixels_svm" in done.stderr


def test_options_of_a_comparison(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("VISIONPIPE_STORE", str(tmp_path / "store.sqlite"))
    twins = tmp_path / "twins"
    shutil.copytree(folder, twins)
    for i in range(6):
        shutil.copy(twins / "noon" / f"{i}.png", twins / "noon" / f"again {i}.png")
    compare = ["compare", str(twins), "--pipelines", "color_svm", "--cv", "2", "--repeats", "2"]
    assert main(compare) == 0
    printed = capsys.readouterr()
    assert re.match(
        r"warning: \d+ pairs of images on both sides of a split are the same picture \(\d+ equal, "
        r"0 nearly\), 0 of them under two labels; .*--group-duplicates",
        printed.err,
    )
    assert main([*compare, "--group-duplicates", "--tune", "--check-leaks", "--json"]) == 0
    printed = capsys.readouterr()
    assert "same picture" not in printed.err
    (row,) = json.loads(printed.out)
    assert row["n_search_fits"] == 27 * 3 and row["accuracy"] == 1


def test_a_leak_stops_everything(folder, tmp_path, capsys, monkeypatch):
    def leak_check(models, X, y, **how):
        assert [*models] == ["pixels_svm"] and len(X) == len(y) == 12 and how["cv"] == 2
        raise LeakError({"pixels_svm": ["step svm, support_vectors_"]})

    monkeypatch.setattr("visionpipe.leaks.leak_check", leak_check)
    arguments = ["compare", str(folder), "--pipelines", "pixels_svm", "--cv", "2", "--check-leaks"]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: held-out images leak into pixels_svm: step svm, supp")
    assert printed.out == "" and not (tmp_path / "out").exists()


def test_reports_of_several_machines_are_put_together(folder, tmp_path, capsys):
    for name, cv in (("pixels_svm", "3"), ("color_svm", "3"), ("lbp_svm", "2")):
        out = ["--cv", cv, "--out", str(tmp_path / name)]
        assert main(["compare", str(folder), "--pipelines", name, *out]) == 0
    capsys.readouterr()
    results = [str(tmp_path / name) for name in ("pixels_svm", "color_svm", "lbp_svm", "nowhere")]
    results[1] += "/comparison.npz"
    out = tmp_path / "together"
    assert main(["report", *results, "--data", str(folder), "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert "pixels_svm" in printed.out and "color_svm" in printed.out
    first, second = printed.err.splitlines()
    assert "lbp_svm is left out: <Comparison" in first and "has other folds than" in first
    assert "nowhere is left out: " in second
    assert [*Comparison.load(out / "comparison.npz").results] == ["pixels_svm", "color_svm"]
    assert "color_svm" in (out / "report.html").read_text()
    assert main(["report", results[3], "--out", str(out)]) == 2
    other = ["report", results[0], "--data", "faces", "--out", str(out)]
    assert main(other) == 2
    assert "images are not the 12 that were compared on" in capsys.readouterr().err


@pytest.mark.parametrize("name", pipelines.all_pipelines())
def test_every_pipeline_takes_a_folder_of_mixed_photographs(name, folder, tmp_path, capsys):
    arguments = ["compare", str(folder), "--pipelines", name, "--cv", "2", "--out", str(tmp_path)]
    assert main(arguments) == 0, capsys.readouterr().out
    capsys.readouterr()
    images = [str(folder / "night" / "0.png"), str(folder / "noon" / "1.png")]
    assert main(["predict", str(tmp_path / f"{name}.joblib"), *images]) == 0
    for line, image in zip(capsys.readouterr().out.splitlines(), images, strict=True):
        path, label, probability = line.split("\t")
        assert path == image and label in ("night", "noon") and 0.5 <= float(probability) <= 1


def test_a_failing_pipeline_is_a_row_and_the_others_go_on(folder, tmp_path, capsys, monkeypatch):
    from pipelines import hog_svm

    monkeypatch.setattr(hog_svm, "build", lambda random_state: pipelines.get("pixels_svm").build()
                        .set_params(resize__size=-1))  # fmt: skip
    arguments = ["compare", str(folder), "--pipelines", "hog_svm,pixels_svm", "--cv", "2"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[2].startswith("hog_svm") and "failed: ValueError: Resize(size=-1)" in table[2]
    assert "100.00" in table[3]
    rows = json.loads((tmp_path / "results.json").read_text())
    assert "Resize(size=-1)" in rows[0]["error"] and rows[0]["accuracy"] is None
    assert not (tmp_path / "hog_svm.joblib").exists()
    assert main(["compare", str(folder), "--pipelines", "hog_svm", "--cv", "2"]) == 1


def test_predict_stops_at_a_bad_file(folder, tmp_path, capsys):
    arguments = ["compare", str(folder), "--pipelines", "pixels_svm", "--cv", "2"]
    main([*arguments, "--out", str(tmp_path)])
    capsys.readouterr()
    bad = tmp_path / "bad.jpg"
    bad.write_text("nothing")
    images = [str(folder / "noon" / "0.png"), str(bad), str(folder / "night" / "0.png")]
    assert main(["predict", str(tmp_path / "pixels_svm.joblib"), *images]) == 2
    printed = capsys.readouterr()
    assert [line.split("\t")[1] for line in printed.out.splitlines()] == ["noon"]
    assert printed.err.startswith(f"error: cannot read {bad}: its content is not that of an image")
    assert printed.err.count("\n") == 1


def spoil(folder, how):
    """Copy of a folder with one thing wrong."""
    if how == "no image":
        (folder / "noon" / "z.png").write_text("text")
    elif how == "truncated":
        Image.new("RGB", (60, 60)).save(folder / "noon" / "z.jpg")
        whole = (folder / "noon" / "z.jpg").read_bytes()
        (folder / "noon" / "z.jpg").write_bytes(whole[:-300])
    elif how == "empty class":
        (folder / "evening").mkdir()
    elif how == "few":
        (folder / "evening").mkdir()
        os.link(folder / "noon" / "0.png", folder / "evening" / "0.png")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (
            "no image",
            "cannot read .*z.png: its content is not that of an image file",
        ),
        ("truncated", "cannot read .*z.jpg: .*[Tt]runcated"),
        ("empty class", "class folder .*evening holds no images"),
        ("few", "class evening has 1 images, fewer than the 5 folds"),
    ],
)
def test_bad_folders_stop_in_one_line(how, message, folder, tmp_path, capsys):
    spoiled = tmp_path / "photographs"
    shutil.copytree(folder, spoiled)
    spoil(spoiled, how)
    assert main(["compare", str(spoiled), "--pipelines", "pixels_svm"]) == 2
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1 and re.match(f"error: {message}", error[0]), error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "nowhere"], "error: there is no data set and no folder 'nowhere'"),
        (
            ["compare", "--pipelines", "sift"],
            "error: there is no pipeline 'sift'; there are pixels",
        ),
        (["compare", "--cv", "1"], "error: cv=1: wanted at least 2 folds"),
        (["predict", "nothing.joblib", "x.png"], "error: there is no model file nothing.joblib"),
        (["summary", "lenett", "--input", "28x28"], "error: no network is named 'lenett'; known"),
        (["summary", "lenet", "--input", "28"], "error: --input 28: wanted HEIGHTxWIDTHxCHANNELS"),
        (["summary", "lenet", "--input", "0x28x1"], "error: --input 0x28x1: wanted HEIGHTxWIDTH"),
        (["summary", "lenet", "--input", "8x-8x1"], "error: --input 8x-8x1: wanted HEIGHTxWIDTH"),
        (
            ["summary", "small_cnn", "--input", "11x28"],
            "error: SmallCNN got images of 11x28 pixels (height x width), too small for its layer "
            "pool2; it takes 12x12 or larger",
        ),
        (
            ["summary", "lenet", "--input", "28x28", "--option", "hidden=3"],
            "error: lenet does not take {'hidden': 3}: ",
        ),
        (
            ["summary", "mlp", "--input", "28x28", "--option", "hidden=3"],
            "error: mlp does not take {'hidden': 3}: ",
        ),
        (
            ["summary", "mlp", "--input", "28x28", "--option", "hidden"],
            "error: --option hidden: wanted NAME=VALUE",
        ),
        (["summary", "lenet", "--input", "28x28", "--classes", "0"], "error: --classes 0: wanted"),
    ],
)
def test_bad_arguments_stop_in_one_line(arguments, message, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1 and error[0].startswith(message), error


def test_summary_prints_the_layers_that_change_something(capsys):
    assert main(["summary", "small_cnn", "--input", "28x28"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "layer   kind       output    activations  parameters",
        "conv1   Conv2d     28x28x8         6,272          80",
        "pool1   MaxPool2d  14x14x8         1,568",
        "conv2   Conv2d     10x10x16        1,600       3,216",
        "pool2   MaxPool2d  5x5x16            400",
        "dense1  Linear     120               120      48,120",
        "dense2  Linear     64                 64       7,744",
        "dense3  Linear     10                 10         650",
        "total                             10,034      59,810",
    ]


def test_summary_of_options_classes_and_all_layers(capsys):
    options = ["--option", "hidden=(50,)", "--option", "activation=tanh", "--classes", "7"]
    assert main(["summary", "mlp", "--input", "8X8x3", "--all", *options]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert lines == [
        ["flatten", "Flatten", "192", "192"],
        ["dense1", "Linear", "50", "50", "9,650"],
        ["tanh1", "Tanh", "50", "50"],
        ["dense2", "Linear", "7", "7", "357"],
        ["total", "299", "10,007"],
    ]


def test_no_command_explains_itself(capsys):
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
