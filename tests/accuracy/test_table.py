"""The table of kept results: what it shows, and that README.md shows what is kept."""

import json
import re

import pytest

from benchmarks.accuracy import table
from benchmarks.accuracy.__main__ import main
from benchmarks.accuracy.results import RESULTS, CannotRun
from benchmarks.accuracy.rows import ROWS, Row, recipe


def kept_of(row, *runs, **about):
    """What is kept of a row, made up."""
    return {
        "pipeline": recipe(row),
        "goal": row.goal,
        "stretch": row.stretch,
        "data": row.data,
        "n_train": 50_000,
        "n_test": 10_000,
        "n_recompressed": 0,
        "versions": {"python": "3.11.7", "scikit-learn": "1.9.1", "torch": "2.13", "numpy": "2.4"},
        "runs": [made_up(**run) for run in runs or [{}]],
    } | about


def made_up(**run):
    return {
        "seed": 0,
        "accuracy": 99.25,
        "seconds": 3659.7,
        "peak_memory_mb": 1234,
        "predictions_sha256": "aa",
        "hardware": "AMD EPYC, 2 cores",
        "threads": 2,
        "date": "2026-12-05",
    } | run


FIRST = Row("MNIST, pixels", "mnist", "pixels_svm", {"svm__C": 7}, goal=99, stretch=99.5)
SECOND = Row("MNIST, HOG", "mnist", "hog_svm", goal=99.3, remark="Tried: " + "words " * 40 + "end.")
THIRD = Row("MNIST on a GPU", "mnist", "fmp", goal=99.68, needs_gpu=True)


@pytest.fixture
def rows(monkeypatch):
    """Three rows in place of all."""
    ours = {"first": FIRST, "second": SECOND, "third": THIRD}
    monkeypatch.setattr(table, "ROWS", ours)
    return ours


@pytest.fixture
def readme(tmp_path):
    """A README with a place for the table."""
    path = tmp_path / "README.md"
    path.write_text(f"before\n\n{table.BEGIN}\nold\n{table.END}\n\nafter\n")
    return path


def lines_of(records):
    return [line for line in table.render(records).splitlines() if line.startswith("| `")]


def keep(folder, **records):
    for name, record in records.items():
        (folder / f"{name}.json").write_text(json.dumps(record))


# ------------------------------------------------------------------------- the README as it is


def test_readme_shows_what_is_kept():
    text = table.README.read_text(encoding="utf-8")
    shown = text.partition(f"{table.BEGIN}\n")[2].partition(f"\n{table.END}")[0]
    assert shown == table.render(table.load_all(RESULTS))


@pytest.mark.parametrize("name", ROWS)
def test_recipes_hide_nothing(name):
    told = recipe(ROWS[name])
    assert "..." not in told and " at 0x" not in told and "\n" not in told
    assert "random_state" not in told


def test_long_recipes_are_not_cut():
    long = "a" * 900
    assert long in recipe(Row("Long", "mnist", "mnist_lenet", {"net__checkpoint": long}))


def test_kept_results_are_of_runs():
    for path in RESULTS.glob("*.json"):
        record = json.loads(path.read_text())
        assert record["row"] == path.stem and record["runs"]
        for run in record["runs"]:
            assert 0 < run["accuracy"] <= 100 and run["seconds"] > 0
            assert len(run.get("accuracies", [0])) == ROWS[path.stem].draws
            n_tests = record["n_test"] * ROWS[path.stem].draws
            assert run["accuracy"] == pytest.approx(100 - 100 * run["n_wrong"] / n_tests, abs=0.01)


# --------------------------------------------------------------------------------- rendering


def test_a_row_shows_its_first_run(rows):
    first, second, third = lines_of({"first": kept_of(FIRST)})
    assert first == (
        "| `first` | MNIST, pixels | `pixels_svm`, `C=7` | 99.25 | 99 / 99.5 | 61:00 | 1.23 "
        "| reached |"
    )
    assert second == "| `second` | MNIST, HOG | `hog_svm` | not measured | 99.3 |  |  |  |"
    assert "| `fmp` | not measured: needs a GPU | 99.68 |" in third


@pytest.mark.parametrize(
    "accuracy, told", [(98.99, "missed by 0.01"), (99.0, "reached"), (99.5, "both reached")]
)
def test_goals(rows, accuracy, told):
    line, *_ = lines_of({"first": kept_of(FIRST, {"accuracy": accuracy})})
    assert line.endswith(f"| {told} |")


@pytest.mark.parametrize(
    "others, told",
    [
        ([{}], "2 runs of seed 0, same predictions"),
        ([{"predictions_sha256": "b", "accuracy": 99.2}], "2 runs of seed 0, 99.20 to 99.25 %"),
        ([{"seed": 1, "predictions_sha256": "b", "accuracy": 99.4}], "2 seeds, 99.25 to 99.40 %"),
        (
            [{}, {"seed": 1, "predictions_sha256": "b", "accuracy": 99.4}],
            "2 runs of seed 0, same predictions; 2 seeds, 99.25 to 99.40 %",
        ),
    ],
)
def test_several_runs_tell_how_far_they_agree(rows, others, told):
    line, *_ = lines_of({"first": kept_of(FIRST, {}, *others)})
    assert "| 99.25 |" in line and line.endswith(f"| reached; {told} |")


def test_draws_show_their_deviation(rows):
    line, *_ = lines_of({"first": kept_of(FIRST, {"accuracy": 92.5, "deviation": 1.0})})
    assert "| 92.50 ± 1.00 |" in line


def test_circumstances_are_said_once_or_for_each_group(rows):
    later = {"second": kept_of(SECOND, {"date": "2026-12-07"})}
    told = " ".join(table.render({"first": kept_of(FIRST)} | later).split())
    assert "Measured on AMD EPYC, 2 cores, 2 threads; Python 3.11.7, scikit-learn 1.9.1," in told
    assert "2026-12-05 to 2026-12-07." in told
    elsewhere = {"third": kept_of(THIRD, {"hardware": "H200"})}
    told = " ".join(table.render({"first": kept_of(FIRST)} | later | elsewhere).split())
    assert "`first`, `second`: on AMD EPYC" in told and "`third`: on H200, 2 threads" in told


def test_images_from_a_jpeg_copy_and_remarks_are_told_below(rows):
    told = table.render({"first": kept_of(FIRST, n_recompressed=104)})
    assert "104 of the 60,000 images of this copy of mnist come from a JPEG version" in told
    assert "\n- `second`: Tried: words" in told and told.endswith("end.")
    assert max(len(line) for line in told.splitlines() if line[:1] != "|") <= 120
    assert "JPEG" not in table.render({"first": kept_of(FIRST)})


# ----------------------------------------------------------------------------------- writing


def test_the_table_takes_the_place_of_the_old_one(rows, readme, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(table, "README", readme)
    keep(tmp_path, first=kept_of(FIRST))
    for _ in range(2):
        assert main(["table", "--out", str(tmp_path)]) == 0
        assert "written into" in capsys.readouterr().out
    wanted = table.render({"first": kept_of(FIRST)})
    assert readme.read_text() == (f"before\n\n{table.BEGIN}\n{wanted}\n{table.END}\n\nafter\n")


@pytest.mark.parametrize(
    "name, change, reason",
    [
        ("fourth", {}, "results of no row: fourth"),
        ("first", {"pipeline": "Pipeline()"}, "the pipeline of first is .*C=7.* today, but"),
        ("first", {"goal": 98}, "the goal of first is 99 today, but 98 in"),
        ("first", {"stretch": None}, "the stretch of first is 99.5 today, but None in"),
    ],
)
def test_figures_that_are_of_no_row_of_today_are_refused(
    rows, readme, tmp_path, name, change, reason
):
    keep(tmp_path, **{name: kept_of(FIRST) | change})
    before = readme.read_text()
    with pytest.raises(CannotRun, match=re.compile(reason, re.S)):
        table.write(tmp_path, readme)
    assert readme.read_text() == before


def test_a_readme_without_a_place_is_left_alone(rows, readme, tmp_path):
    readme.write_text("nothing")
    with pytest.raises(CannotRun, match="has no place for the table"):
        table.write(tmp_path, readme)
