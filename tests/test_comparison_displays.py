"""Displays of a comparison: what they take from it, what they draw, and where names come to lie."""

import inspect
import itertools
import math
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from visionpipe.comparison.comparison import Comparison
from visionpipe.comparison.folds import make_folds
from visionpipe.comparison.outcome import Cost, CurvePoint, Outcome, Result
from visionpipe.displays.comparison import COSTS, ComparisonDisplay, _front
from visionpipe.displays.labels import (
    COLOURS,
    label_points,
    left_out_line,
    on_one_line,
    stretch_accuracies,
)
from visionpipe.displays.learning_curve import DASHES, MARKERS, LearningCurveDisplay
from visionpipe.displays.mistakes import MistakesDisplay

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")
from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.text import Text  # noqa: E402

DISPLAYS = [ComparisonDisplay, MistakesDisplay, LearningCurveDisplay]
FAILURE = Outcome(error="ValueError: too few images")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def comparison_of(wrong, *, images=None, labels=("a", "b", "c"), n=60, cv=3, **outcome):
    """A comparison of pipelines that take so many images of each fold for the class after theirs.

    `wrong` is {name: n_wrong}, or a list of numbers by fold.
    """
    rng = np.random.default_rng(0)
    y = np.array(labels)[np.arange(n) % len(labels)]
    images = rng.integers(0, 256, (n, 6, 4), dtype=np.uint8) if images is None else images
    comparison = Comparison(images, y, make_folds(images, y, cv=cv))
    for number, (name, counts) in enumerate(wrong.items()):
        cost = Cost(1.0 + number, 0.1, 1000 * 10**number, None)
        result = Result(name)
        for fold, (_, test) in enumerate(comparison.folds):
            n_wrong = counts if isinstance(counts, int) else counts[fold]
            predicted = comparison.y[test].astype(np.int32)
            predicted[:n_wrong] = (predicted[:n_wrong] + 1) % len(labels)
            result.outcomes.append(
                Outcome(
                    predicted=predicted,
                    fit_seconds=0.5 * (number + 1),
                    cost=cost if fold == 0 else None,
                    **outcome,
                )
            )
        comparison.results[name] = result
    return comparison


def offsets(lines):
    return {name: np.transpose(line.get_data()).tolist() for name, line in lines.items()}


# ------------------------------------------------------------------------------ ComparisonDisplay


def test_accuracies_intervals_and_verdicts_are_those_of_the_comparison():
    comparison = comparison_of({"poor": [9, 10, 11], "good": 0, "near": [1, 0, 0]})
    display = ComparisonDisplay.from_comparison(comparison)
    rows = comparison.rows
    assert display.names == ["poor", "good", "near"]
    assert np.allclose(display.accuracies, [0.5, 1, 59 / 60])
    assert np.array_equal(display.lows, [row.accuracy_low for row in rows])
    assert np.array_equal(display.highs, [row.accuracy_high for row in rows])
    assert display.verdicts == ["worse", "best", "not told apart"]
    assert display.left_out == {} and display.cost is display.costs is display.front_ is None
    # drawn from top to bottom: good, near, poor
    assert offsets(display.points_) == {
        "best": [[100, 0]],
        "not told apart": [[pytest.approx(98.33, abs=0.01), 1]],
        "worse": [[50, 2]],
    }
    assert [tick.get_text() for tick in display.ax_.get_yticklabels()] == display.names
    assert display.ax_.get_yticks().tolist() == [2, 0, 1]
    assert display.ax_.get_ylim() == (2.5, -0.5)
    ends = [segment.tolist() for segment in display.intervals_.get_segments()]
    assert ends == [
        [[100 * row.accuracy_low, place], [100 * row.accuracy_high, place]]
        for row, place in zip(rows, (2, 0, 1), strict=True)
    ]
    assert [text.get_text() for text in display.text_] == ["50.00", "100.00", "98.33"]
    assert [text.xy[1] for text in display.text_] == [2, 0, 1]


def test_verdicts_differ_by_more_than_colour():
    comparison = comparison_of({"poor": [9, 10, 11], "good": 0, "near": [1, 0, 0]})
    for cost in (None, "model_bytes"):
        points = ComparisonDisplay.from_comparison(comparison, cost=cost).points_.values()
        looks = {(p.get_marker(), p.get_markerfacecolor() == "none") for p in points}
        assert len(looks) == len({p.get_color() for p in points}) == 3


def test_legend_explains_what_is_drawn_and_nothing_else():
    def legend(display):
        return [text.get_text() for text in display.ax_.get_legend().get_texts()]

    one = comparison_of({"only": 1})
    assert legend(ComparisonDisplay.from_comparison(one)) == ["best"]
    assert legend(ComparisonDisplay.from_comparison(one, cost="fit_seconds")) == ["best"]
    two = comparison_of({"cheap": 1, "good": 0})
    display = ComparisonDisplay.from_comparison(two, cost="fit_seconds")
    assert legend(display) == ["best", "not told apart from it", "none is better and cheaper"]


@pytest.mark.filterwarnings("error::UserWarning")  # of axes that have no room
def test_the_legend_fits_a_narrow_figure():
    comparison = comparison_of({"poor": [9, 10, 11], "near": [1, 0, 0], "good": 0})
    figure, ax = plt.subplots(figsize=(4.5, 3.2), layout="constrained")
    display = ComparisonDisplay.from_comparison(comparison, cost="fit_seconds", ax=ax)
    figure.draw_without_rendering()
    assert display.ax_.get_legend().get_window_extent().x1 <= figure.bbox.x1
    assert ax.get_position().width > 0.7


def test_costs_are_on_a_logarithmic_axis():
    comparison = comparison_of({"poor": 3, "good": 0, "near": 1})
    display = ComparisonDisplay.from_comparison(comparison, cost="model_bytes")
    assert display.costs.tolist() == [1e3, 1e4, 1e5] and display.cost == "model_bytes"
    assert display.intervals_ is None
    places = itertools.chain(*offsets(display.points_).values())
    expected = [[1e3, 85.0], [1e4, 100.0], [1e5, 95.0]]
    assert np.allclose(sorted(places), expected)
    assert [list(text.xy) for text in display.text_] == [pytest.approx(xy) for xy in expected]
    assert [text.get_text() for text in display.text_] == ["poor", "good", "near"]
    assert display.ax_.get_xscale() == "log" and display.ax_.get_xlabel() == COSTS["model_bytes"]
    low, high = display.ax_.get_xlim()
    assert low < 1e3 and high > 1e5


@pytest.mark.parametrize("cost", ["fit_seconds", "predict_ms_batch_1", "predict_ms_batch_256"])
def test_costs_are_those_of_the_rows(cost):
    comparison = comparison_of({"poor": 3, "good": 0})
    display = ComparisonDisplay.from_comparison(comparison, cost=cost)
    assert display.costs.tolist() == [getattr(row, cost) for row in comparison.rows]


def test_figures_on_the_axis_are_written_out_whatever_the_range():
    for costs, cost, expected in [
        ([0.3, 0.3], "fit_seconds", {"0.2", "0.5"}),
        ([0.01, 20_000], "fit_seconds", {"0.01", "1", "10,000"}),
        ([90_000, 700_000], "model_bytes", {"100 kB", "500 kB"}),
    ]:
        display = ComparisonDisplay(
            ["x", "y"], [0.9, 0.8], [0.8, 0.7], [1, 0.9], ["best", "worse"], cost=cost, costs=costs
        ).plot()
        display.figure_.draw_without_rendering()
        low, high = display.ax_.get_xlim()
        shown = {
            label.get_text()
            for label in display.ax_.get_xticklabels()
            if low <= label.get_position()[0] <= high
        }
        assert expected <= shown and 2 <= len(shown) <= 10, shown
        minor = display.ax_.get_xticklabels(minor=True)
        assert not any(label.get_text() for label in minor)


def test_the_front_is_that_of_a_slow_version():
    rng = np.random.default_rng(0)
    for _ in range(100):
        costs, accuracies = rng.integers(1, 9, 12), rng.integers(80, 88, 12)
        points = list(zip(costs, accuracies, strict=True))
        expected = [
            i
            for i, (cost, accuracy) in enumerate(points)
            if points[i] not in points[:i]
            and not any(c <= cost and a >= accuracy and (c, a) != points[i] for c, a in points)
        ]
        assert _front(costs, accuracies) == sorted(expected, key=lambda i: costs[i])


def test_the_front_is_drawn_in_steps():
    display = ComparisonDisplay(
        ["x", "y", "z"], [0.8, 0.9, 0.7], [0] * 3, [1] * 3, ["worse", "best", "worse"],
        cost="fit_seconds", costs=[1, 10, 5],
    ).plot()  # fmt: skip
    assert display.front_ == ["x", "y"]
    (front,) = [line for line in display.ax_.lines if line not in display.points_.values()]
    assert np.allclose(front.get_xydata(), [[1, 80], [10, 80], [10, 90]])
    assert display.text_[0].xyann[0] < 0  # off the line, which goes to the right
    assert display.text_[2].xyann[0] > 0


def test_failures_and_unknown_costs_are_left_out_and_said():
    comparison = comparison_of({"good": 0, "torn": 1, "none": 2, "free": 3, "poor": 4})
    comparison.results["torn"].outcomes[1] = FAILURE
    comparison.results["none"].outcomes[:] = [FAILURE] * 3
    first = comparison.results["free"].outcomes[0]
    comparison.results["free"].outcomes[0] = replace(first, cost=Cost(1, 1, 0, 5))
    display = ComparisonDisplay.from_comparison(comparison)
    assert display.names == ["good", "free", "poor"]
    assert display.left_out == {
        "torn": "in fold 1 of 3: ValueError: too few images",
        "none": "ValueError: too few images",
    }
    assert display.ax_.get_xlabel().endswith("\nleft out: torn, none")
    display = ComparisonDisplay.from_comparison(comparison, cost="model_bytes")
    assert display.names == ["good", "poor"]
    assert display.left_out["free"] == "its model_bytes is 0"
    assert display.left_out["none"] == "ValueError: too few images"
    display = ComparisonDisplay.from_comparison(comparison, cost="peak_bytes")
    assert display.names == ["free"] and display.left_out["good"] == "its peak_bytes is None"


def test_nothing_to_draw_is_said():
    comparison = comparison_of({"good": 0})
    with pytest.raises(ValueError, match="no pipeline with an accuracy and search_seconds; tune="):
        ComparisonDisplay.from_comparison(comparison, cost="search_seconds")
    with pytest.raises(ValueError, match=r"cost='fit_time'; wanted None or one of 'fit_seconds', "):
        ComparisonDisplay.from_comparison(comparison, cost="fit_time")
    comparison.results["good"].outcomes[0] = FAILURE
    with pytest.raises(ValueError, match=r"no pipeline with an accuracy \(good: in fold 0 of 3: V"):
        ComparisonDisplay.from_comparison(comparison)
    with pytest.raises(ValueError, match="there is none at all"):
        ComparisonDisplay.from_comparison(comparison_of({}))


# ----------------------------------------------------------------------------------------- labels


def box_of(text, figure):
    """Left, bottom, right and top in points of a text as it is drawn."""
    return Text.get_window_extent(text).extents * 72 / figure.dpi


def test_names_beside_points_do_not_overlap():
    rng = np.random.default_rng(0)
    for dpi, seed in ((100, 1), (72, 2), (150, 3)):
        rng = np.random.default_rng(seed)
        figure, ax = plt.subplots(figsize=(7, 4.5), dpi=dpi, layout="constrained")
        x, y = 10 ** rng.uniform(0, 2, 13), rng.uniform(98, 99.6, 13)
        x[:3], y[:3] = 10, (99, 99.01, 99.02)
        ax.semilogx(x, y, "o")
        line = ((2, 98.8), (50, 98.8))
        names = [f"pipeline_{i}_svm" for i in range(13)]
        texts = label_points(ax, x, y, names, lines=[line])
        figure.draw_without_rendering()
        assert [text.get_text() for text in texts] == names
        boxes = np.array([box_of(text, figure) for text in texts])
        points = ax.transData.transform(np.column_stack([x, y])) * 72 / dpi
        frame = ax.get_window_extent().extents * 72 / dpi
        (left, height), (right, _) = ax.transData.transform(line) * 72 / dpi
        for one, other in itertools.combinations(boxes, 2):
            assert (one[2:] <= other[:2]).any() or (other[2:] <= one[:2]).any()
        for box in boxes:
            assert not ((points > box[:2] - 2) & (points < box[2:] + 2)).all(axis=1).any()
            assert (box[:2] >= frame[:2]).all() and (box[2:] <= frame[2:]).all()
            assert box[1] > height or box[3] < height or box[0] > right or box[2] < left


def test_only_names_farther_off_have_a_line():
    _, ax = plt.subplots(figsize=(7, 4.5))
    ax.set(xlim=(0, 1), ylim=(0, 1))
    alone, *crowd = label_points(
        ax, np.array([0.1, *[0.6] * 12]), np.array([0.9, *[0.5] * 12]), ["a"] + ["some_name"] * 12
    )
    assert not alone.arrow_patch.get_visible()
    assert alone.xyann[0] > 0 and alone.xyann[1] == 0  # to its right
    distances = [np.abs(text.xyann).max() for text in crowd]
    has_line = [text.arrow_patch.get_visible() for text in crowd]
    colours = {matplotlib.colors.to_hex(text.arrow_patch.get_edgecolor()) for text in crowd}
    assert colours == {COLOURS[4]}  # on a dark page, too
    assert any(has_line) and not has_line[np.argmin(distances)] and has_line[np.argmax(distances)]


def test_names_that_have_no_room_are_written_all_the_same():
    _, ax = plt.subplots(figsize=(1.5, 1.5))
    texts = label_points(ax, np.full(40, 0.5), np.full(40, 0.5), ["a_rather_long_name"] * 40)
    assert len(texts) == 40


def test_names_are_made_fit_for_one_line():
    assert on_one_line("hog_svm") == "hog_svm" and on_one_line(3) == "3"
    assert on_one_line("a\nb\t c") == "a b c"
    assert on_one_line("x" * 32) == "x" * 32
    for longest in (14, 15):
        short = on_one_line("begin" + "x" * 50 + "end", longest)
        assert len(short) == longest and short.startswith("begin") and short.endswith("end")
    assert on_one_line("caf\udce9") == "caf?"
    assert left_out_line(None) == left_out_line({}) == ""
    assert left_out_line(dict.fromkeys("abcd", "")) == "\nleft out: a, b, c, d"
    assert left_out_line(dict.fromkeys("abcdef", "")) == "\nleft out: a, b, c, 3 more"


def test_colours_stand_out_from_light_and_dark_pages():
    def luminance(colour):
        rgb = np.array(matplotlib.colors.to_rgb(colour))
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722] + 0.05  # WCAG 2.2, relative luminance

    for colour in COLOURS:
        assert luminance("white") / luminance(colour) >= 3, colour
        assert luminance(colour) / luminance("#161616") >= 3, colour


# --------------------------------------------------------------------------- LearningCurveDisplay


def with_curves(**curves):
    """A comparison with curves, each a list of (n_train, fold, accuracy)."""
    comparison = comparison_of(dict.fromkeys(curves, 0))
    for name, points in curves.items():
        comparison.results[name].curve = [CurvePoint(*point) for point in points]
    return comparison


def test_curves_are_means_over_the_folds_that_were_measured_at_several_sizes():
    comparison = with_curves(
        hog=[
            *[(10, 0, 0.5), (20, 0, 0.7), (10, 1, 0.6), (21, 1, 0.8)],
            *[(40, 0, 0.9), (41, 1, 0.8), (40, 2, 0.1)],
        ],
    )
    display = LearningCurveDisplay.from_comparison(comparison)
    line = display.lines_["hog"].get_xydata()
    assert np.allclose(line, [[10, 55], [20.5, 75], [40.5, 85]])
    n_train, accuracies = display.curves["hog"]
    assert n_train.tolist() == [10, 20, 10, 21, 40, 41]
    assert accuracies.tolist() == [0.5, 0.7, 0.6, 0.8, 0.9, 0.8]
    folds = display.folds_["hog"].get_xydata()
    assert np.allclose(folds, np.column_stack([n_train, 100 * accuracies]))
    assert display.folds_["hog"].get_linestyle() == "None"
    assert display.folds_["hog"].get_alpha() < 1
    assert display.ax_.get_xscale() == "log"


def test_sizes_of_folds_that_differ_a_lot_stay_apart():
    points = [(100, 0, 0.5), (112, 1, 0.7), (200, 0, 0.8), (219, 1, 0.9)]
    display = LearningCurveDisplay.from_comparison(with_curves(hog=points))
    assert np.allclose(display.lines_["hog"].get_xydata(), [[100, 50], [112, 70], [209.5, 85]])


def test_failed_fits_and_pipelines_without_a_curve_are_left_out():
    nan = float("nan")
    comparison = with_curves(
        hog=[(10, 0, nan), (20, 0, 0.7), (40, 0, 0.9), (10, 1, nan), (40, 1, 0.8)],
        none=[],
        failed=[(10, 0, nan), (40, 0, 0.9)],
    )
    display = LearningCurveDisplay.from_comparison(comparison)
    assert [*display.curves] == ["hog"]
    assert np.allclose(display.lines_["hog"].get_xydata(), [[20, 70], [40, 90]])
    assert [*display.left_out] == ["none", "failed"]
    assert display.ax_.get_xlabel() == "images to learn from\nleft out: none, failed"


def test_pipelines_can_be_chosen():
    points = [(10, 0, 0.5), (20, 0, 0.7)]
    comparison = with_curves(a=points, b=points, c=points)
    display = LearningCurveDisplay.from_comparison(comparison, pipelines=["c", "a"])
    assert [*display.lines_] == ["c", "a"] and display.left_out == {}
    with pytest.raises(ValueError, match=r"got pipeline 'd'; there are a, b, c"):
        LearningCurveDisplay.from_comparison(comparison, pipelines=["d"])
    with pytest.raises(ValueError, match="without learning curves; .* train_sizes="):
        LearningCurveDisplay.from_comparison(comparison_of({"a": 0}))


def test_lines_differ_by_colour_mark_and_dashes_and_are_named_in_order():
    names = ["_hidden", "$x^2", *map(str, range(28))]
    curves = {name: ([10, 20], [0.5, 0.6 + 0.01 * i]) for i, name in enumerate(names)}
    display = LearningCurveDisplay(curves).plot()
    lines = [display.lines_[name] for name in names]
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == len(lines)
    assert [line.get_marker() for line in lines[:8]] == [*MARKERS, MARKERS[0]]
    assert [line.is_dashed() for line in lines[:6]] == [False, True, True] * 2
    assert math.lcm(len(COLOURS), len(MARKERS), len(DASHES)) == 105
    assert [text.get_text() for text in display.legend_.get_texts()] == names[::-1]
    handles = display.legend_.legend_handles
    assert [h.get_color() for h in handles] == [line.get_color() for line in lines[::-1]]
    display.figure_.draw_without_rendering()  # and $ is no formula
    below = display.legend_.get_window_extent().y0
    assert below >= 0  # all names are on the picture


# -------------------------------------------------------------------------------- MistakesDisplay


def with_probabilities(comparison, name, confidence):
    """Let a pipeline be so sure of each image, by position in the data."""
    n_classes = len(comparison.classes)
    outcomes = comparison.results[name].outcomes
    for fold, (_, test) in enumerate(comparison.folds):
        sure = np.asarray(confidence)[test].astype(np.float32)
        rest = np.tile(((1 - sure) / (n_classes - 1))[:, None], n_classes)
        rest[np.arange(len(test)), outcomes[fold].predicted] = sure
        outcomes[fold] = replace(outcomes[fold], probabilities=rest)


def test_surest_mistakes_come_first():
    comparison = comparison_of({"svm": 3, "other": 0})
    confidence = np.random.default_rng(1).uniform(0.5, 1, 60)
    with_probabilities(comparison, "svm", confidence)
    display = MistakesDisplay.from_comparison(comparison, "svm", n_images=5)
    wrong = comparison.mistakes("svm")
    expected = sorted(wrong, key=lambda i: -confidence[i])[:5]
    assert display.indices.tolist() == expected and len(wrong) == display.n_found == 9
    assert display.true == [comparison.classes[comparison.y[i]] for i in expected]
    after = {"a": "b", "b": "c", "c": "a"}
    assert display.predicted == [after[name] for name in display.true]
    for image, i in zip(display.images, expected, strict=True):
        assert np.array_equal(image, comparison.images[int(i)])
    assert display.ax_.get_title() == (
        "svm: 9 images that it gets wrong\n5 of them, surest answers first"
    )
    captions = [f"{t} → {p}" for t, p in zip(display.true, display.predicted, strict=True)]
    assert [text.get_text() for text in display.text_] == captions


def test_without_probabilities_the_commonest_confusions_take_turns():
    comparison = comparison_of({"svm": 0}, cv=2, n=24)
    outcomes = comparison.results["svm"].outcomes
    y = comparison.y
    wrong = {2: 0, 5: 0, 8: 0, 1: 2, 4: 2, 0: 1}  # three c → a, two b → c, one a → b
    for (_, test), outcome in zip(comparison.folds, outcomes, strict=True):
        outcome.predicted[:] = [wrong.get(i, y[i]) for i in test]
    display = MistakesDisplay.from_comparison(comparison, "svm")
    assert display.indices.tolist() == [2, 1, 0, 5, 4, 8]
    assert display.ax_.get_title() == "svm: 6 images that it gets wrong"
    few = MistakesDisplay.from_comparison(comparison, "svm", n_images=2)
    assert few.indices.tolist() == [2, 1]
    assert few.ax_.get_title().endswith("\n2 of them, most frequent ones first")


def test_images_that_only_one_gets_right():
    comparison = comparison_of({"svm": 2, "other": 5, "third": 4})
    display = MistakesDisplay.from_comparison(comparison, "svm", kind="right_alone", n_images=99)
    assert sorted(display.indices) == comparison.right_alone("svm").tolist()
    assert len(display.indices) == 6 and display.true == display.predicted
    assert display.ax_.get_title() == "svm: 6 images that only it gets right"
    assert [text.get_text() for text in display.text_] == display.true


def test_nothing_wrong_is_an_empty_picture_that_says_so():
    display = MistakesDisplay.from_comparison(comparison_of({"svm": 0}), "svm")
    assert display.images == display.true == display.text_ == [] and display.im_ is None
    assert display.ax_.get_title() == "svm: 0 images that it gets wrong"
    display.figure_.draw_without_rendering()


def test_a_class_that_the_data_do_not_have():
    comparison = comparison_of({"svm": 0})
    comparison.results["svm"].outcomes[0].predicted[3] = -1
    display = MistakesDisplay.from_comparison(comparison, "svm")
    assert display.predicted == ["another class"] and len(display.indices) == 1


def test_thumbnails_are_small_and_true():
    rng = np.random.default_rng(0)
    shapes = [(300, 200, 3), (97, 20), (8, 8), (40, 96, 3), (1, 500, 3)]
    sources = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]
    sources[0][:] = np.linspace(0, 255, 200)[None, :, None]
    sources[2] = ((sources[2] // 2 + 0.7) / 255).astype(np.float32)
    comparison = comparison_of({"svm": 20}, images=[sources[i % 5] for i in range(60)])
    display = MistakesDisplay.from_comparison(comparison, "svm", n_images=60)
    assert len(display.images) == 60
    expected = [(96, 64, 3), (96, 20), (8, 8), (40, 96, 3), (1, 96, 3)]
    for i, image in zip(display.indices, display.images, strict=True):
        assert image.dtype == np.uint8 and image.shape == expected[i % 5]
        if i % 5 == 2:
            assert np.array_equal(image, np.rint(255 * sources[2]))
        elif i % 5 == 3:
            assert np.array_equal(image, sources[3])
        elif i % 5 == 0:
            ours = image[..., 0].astype(float)
            reference = Image.fromarray(sources[0]).resize((64, 96), Image.Resampling.BILINEAR)
            assert np.abs(ours - np.asarray(reference)[..., 0]).max() <= 2


def test_tiny_images_are_enlarged_without_blurring():
    image = np.arange(0, 240, 10, dtype=np.uint8).reshape(6, 4)
    display = MistakesDisplay([image], indices=[0], true=["a"], predicted=["b"]).plot()
    drawn = np.asarray(display.im_.get_array())
    assert drawn.shape == (96, 96, 4)
    assert np.array_equal(drawn[:, 16:80, 1], np.kron(image / np.float32(255), np.ones((16, 16))))
    assert (drawn[:, 16:80, 3] == 1).all()
    assert (drawn[:, :16, 3] == 0).all() and (drawn[:, 80:, 3] == 0).all()


def test_images_are_found_where_not_all_are_held_out():
    comparison = comparison_of({"svm": 4}, cv=[(np.arange(30), np.arange(30, 60))])
    display = MistakesDisplay.from_comparison(comparison, "svm")
    assert sorted(display.indices) == [30, 31, 32, 33]
    for i, image, name in zip(display.indices, display.images, display.true, strict=True):
        assert np.array_equal(image, comparison.images[int(i)])
        assert name == comparison.classes[comparison.y[i]]


def test_only_the_images_shown_are_read():
    comparison = comparison_of({"svm": 5})
    read = []

    def note(pixels):
        read.extend(pixels[:, 0, 0, 0].tolist())
        return pixels

    expected = [int(comparison.images[int(i)][0, 0]) for i in comparison.mistakes("svm")]
    comparison.images = comparison.images.map(note)
    display = MistakesDisplay.from_comparison(comparison, "svm", n_images=4)
    assert len(read) == 4 and set(read) <= set(expected)
    assert read == [image[0, 0] for image in display.images]


def test_captions_of_long_names_take_two_lines():
    labels = ["$\\frac$", "a very long name of a class", "<b>\udce9"]
    comparison = comparison_of({"svm": 3})
    comparison.classes = np.array(labels)
    display = MistakesDisplay.from_comparison(comparison, "svm")
    captions = [text.get_text().split("\n→ ") for text in display.text_]
    pairs = zip(display.true, display.predicted, strict=True)
    assert captions == [[on_one_line(name, 15) for name in pair] for pair in pairs]
    assert set(display.true) == set(labels)  # whole
    display.figure_.draw_without_rendering()
    title = display.ax_.title.get_window_extent()
    assert not any(title.overlaps(text.get_window_extent()) for text in display.text_)


def test_mistakes_displays_refuse_what_they_cannot_draw():
    comparison = comparison_of({"svm": 3, "none": 0})
    with pytest.raises(ValueError, match="got pipeline 'hog'; there are svm, none"):
        MistakesDisplay.from_comparison(comparison, "hog")
    with pytest.raises(ValueError, match="got kind='right'; wanted 'wrong' or 'right_alone'"):
        MistakesDisplay.from_comparison(comparison, "svm", kind="right")
    with pytest.raises(ValueError, match="got n_images=0; wanted 1 or more"):
        MistakesDisplay.from_comparison(comparison, "svm", n_images=0)
    comparison.results["none"].outcomes[:] = [FAILURE] * 3
    with pytest.raises(ValueError, match="none failed on all folds"):
        MistakesDisplay.from_comparison(comparison, "none")
    comparison.images = None
    with pytest.raises(ValueError, match=r"without images.*comparison\.attach\(X\)"):
        MistakesDisplay.from_comparison(comparison, "svm")


# --------------------------------------------------------------------------------- all of them


def everything(good="good", poor="poor", **options):
    """Each display of a small comparison."""
    comparison = comparison_of({good: 0, poor: 3})
    for result in comparison.results.values():
        result.curve = [CurvePoint(10, 0, 0.5), CurvePoint(40, 0, 0.9)]
    yield ComparisonDisplay.from_comparison(comparison, **options)
    yield ComparisonDisplay.from_comparison(comparison, cost="fit_seconds", **options)
    yield MistakesDisplay.from_comparison(comparison, poor, **options)
    yield LearningCurveDisplay.from_comparison(comparison, **options)


@pytest.mark.parametrize("display", DISPLAYS)
def test_constructors_take_data_and_only_assign(display):
    names = [*inspect.signature(display).parameters]
    values = {name: object() for name in names}
    assert vars(display(**values)) == values


def test_axes_of_a_figure_without_a_window_are_drawn_on():
    for number in range(4):
        figure = Figure(figsize=(7, 4.5), layout="constrained")
        ax = FigureCanvasSVG(figure).figure.add_subplot()
        display = next(itertools.islice(everything(ax=ax), number, None))
        assert display.ax_ is ax and display.figure_ is figure
        assert display.plot(ax=figure.add_subplot()) is display
    assert not plt.get_fignums()


def test_no_text_or_line_is_black_or_white_of_its_own():
    theme = dict.fromkeys(
        ["text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"], "#123456"
    )
    with matplotlib.rc_context(theme):
        for display in everything():
            display.figure_.draw_without_rendering()
            found = [
                matplotlib.colors.to_hex(artist.get_color())
                for artist in display.figure_.findobj(
                    lambda artist: isinstance(artist, (Text, matplotlib.lines.Line2D))
                )
                if artist not in display.ax_.get_xgridlines() + display.ax_.get_ygridlines()
            ]
            assert not {"#000000", "#ffffff"} & set(found)


def test_names_are_no_formulas():
    for display in everything(good="_$\\frac$", poor="$\\frac$\n\udce9"):
        display.figure_.draw_without_rendering()
        texts = {text.get_text() for text in display.figure_.findobj(Text)}
        assert any("$\\frac$ ?" in text for text in texts)
    left_out = {"$\\frac$": "failed"}
    for display in (
        ComparisonDisplay(["x"], [0.9], [0.8], [1], ["best"], left_out=left_out),
        LearningCurveDisplay({"x": ([10, 20], [0.5, 0.6])}, left_out=left_out),
    ):
        display.plot().figure_.draw_without_rendering()


def test_a_comparison_read_from_a_file_is_drawn(tmp_path):
    comparison = comparison_of({"good": 0, "poor": 3})
    comparison.save(tmp_path / "c.npz")
    loaded = Comparison.load(tmp_path / "c.npz")
    one, other = map(ComparisonDisplay.from_comparison, (comparison, loaded))
    assert np.array_equal(one.accuracies, other.accuracies) and one.verdicts == other.verdicts
    with pytest.raises(ValueError, match="attach"):
        MistakesDisplay.from_comparison(loaded, "poor")


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    comparison = comparison_of({"svm": 1})
    for display, *options in (
        (ComparisonDisplay,),
        (LearningCurveDisplay,),
        (MistakesDisplay, "x"),
    ):
        with pytest.raises(ImportError, match=r"visionpipe\[plots\]"):
            display.from_comparison(comparison, *options)
        source = inspect.getsource(inspect.getmodule(display))
        assert "\nimport matplotlib" not in source and "\nfrom matplotlib" not in source


# ----------------------------------------------------------------------------- axes of accuracies


@pytest.mark.parametrize("axis", ["xaxis", "yaxis"])
def test_equal_steps_of_accuracy_divide_the_errors_by_equal_factors(axis):
    figure, ax = plt.subplots()
    percent = np.array([60.1, 90.1, 97.6, 99.475, 100])
    stretch_accuracies(getattr(ax, axis), percent)
    points = np.column_stack([percent, percent])
    if axis == "xaxis":
        points[:, 1] = 0
    else:
        points[:, 0] = 0
    places = ax.transData.transform(points)[:, 0 if axis == "xaxis" else 1]
    fourths = np.diff(places[:4])  # with the tenth that is added, 40 % of errors, 10, 2.5, 0.625
    assert fourths == pytest.approx(fourths[0], rel=1e-6) and np.isfinite(places).all()
    assert places[4] > places[3]
    ticks = getattr(ax, axis).get_majorticklocs().tolist()
    assert {99, 90} <= {*ticks} and len(ticks) >= 5 and max(ticks) <= 100
    labels = [text.get_text() for text in getattr(ax, axis).get_ticklabels()]
    assert "99" in labels
    plt.close(figure)


@pytest.mark.parametrize("percent", [[100.0], [0.0, 100.0], [50.0, 50.0]])
def test_extreme_accuracies_have_a_place(percent):
    figure, ax = plt.subplots()
    stretch_accuracies(ax.yaxis, np.array(percent))
    low, high = ax.get_ylim()
    assert low < min(percent) <= max(percent) < high and np.isfinite([low, high]).all()
    plt.close(figure)
