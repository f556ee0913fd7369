"""The page of a comparison: what it says, and that it is sound HTML, whatever is compared."""

import re
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from made_up import made_up
from sklearn.metrics import classification_report, confusion_matrix

from visionpipe.comparison import Comparison
from visionpipe.comparison.outcome import CurvePoint
from visionpipe.comparison.statistics import wilson_interval
from visionpipe.report import page as page_module
from visionpipe.report import write_report
from visionpipe.report.answer import answer
from visionpipe.report.classes import confusion_table, f1_table
from visionpipe.report.findings import Findings
from visionpipe.report.formats import significant, size
from visionpipe.report.thumbnails import data_uri, mistakes

SECTIONS = [*page_module.SECTIONS]
VOID = {"meta", "link", "img", "wbr"}


class Structure(HTMLParser):
    """What a page is made of, and what is wrong with it."""

    def __init__(self, page):
        super().__init__()
        self.open, self.ids, self.targets, self.addresses = [], [], [], []
        self.headings, self.faults, self.tags = [], [], []
        self.text = ""
        self.feed(page)
        self.faults += [f"<{tag}> is not closed" for tag in self.open]

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.targets += re.findall(r"url\(#([^)]*)\)", " ".join(filter(None, attrs.values())))
        for name in ("href", "src", "xlink:href"):
            address = attrs.get(name)
            if address and address.startswith("#"):
                self.targets.append(address[1:])
            elif address:
                self.addresses.append(address)
        if re.fullmatch(r"h\d", tag):
            self.headings.append(int(tag[1]))
        if tag == "img" and not attrs.get("alt"):
            self.faults.append("an image without alternative text")
        if tag == "th" and attrs.get("scope") not in ("col", "row"):
            self.faults.append("a heading of a table without scope")
        if tag == "svg" and not (attrs.get("role") == "img" and attrs.get("aria-label")):
            self.faults.append("a chart without a label")
        if tag == "script":
            self.faults.append("a script")

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes something else")

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += f" {data.strip()}"

    def check(self):
        assert not self.faults
        assert len(self.ids) == len(set(self.ids))
        assert set(self.targets) <= set(self.ids)
        assert all(address.startswith("data:") for address in self.addresses)
        assert self.headings[0] == 1 and self.headings.count(1) == 1
        steps = np.diff(self.headings)
        assert steps.max() <= 1  # no level is skipped
        return self


def written(comparison, folder):
    path = write_report(comparison, folder / "report.html")
    return path.read_text()


def words(page):
    """The text of a page, all spaces alike."""
    return re.sub(r"\s+", " ", Structure(page).text)


def cells(page, caption):
    """Rows of the table of a caption, as lists of text."""
    table = re.search(rf"<caption><span>{re.escape(caption)}.*?</table>", page, re.S)[0]
    rows = re.findall(r"<tr>(.*?)</tr>", table, re.S)
    return [
        [re.sub(r"<[^>]*>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.S)]
        for row in rows
    ]


@pytest.fixture
def no_charts(monkeypatch):
    """Charts take most of the time, and many tests are not about them."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)


@pytest.fixture(scope="module")
def comparison():
    return made_up()


@pytest.fixture(scope="module")
def page(comparison, tmp_path_factory):
    return written(comparison, tmp_path_factory.mktemp("page"))


# ------------------------------------------------------------------------------ what it is made of


def test_the_page_is_sound(page):
    found = Structure(page).check()
    assert [id for id in found.ids if id in SECTIONS] == [s for s in SECTIONS if s != "duplicates"]
    assert {"main", "nav", "header"} <= {tag for tag, _ in found.tags}
    assert dict(found.tags)["html"] == {"lang": "en"}
    assert found.targets.count("content") == 1  # to skip to
    # or a server that the page lies on would be asked for one
    assert ("link", {"rel": "icon", "href": "data:,"}) in found.tags
    assert [tag for tag, _ in found.tags].count("svg") == 4


def test_the_page_has_no_address_and_is_small(page):
    assert not re.search(r"https?:|@import|url\((?!#)", page)
    assert len(page) < 500_000


def test_charts_have_the_ink_of_the_page(page):
    charts = re.findall(r"<svg.*?</svg>", page, re.S)
    assert len(charts) == 4
    for chart in charts:
        assert "currentColor" in chart and "#010203" not in chart
        assert not re.search(r"(fill|stroke): (#000000|#ffffff|black|white)", chart)


def test_wide_tables_can_be_reached_by_keyboard(page):
    regions = [attrs for tag, attrs in Structure(page).tags if attrs.get("class") == "scroll"]
    assert len(regions) == page.count("<table")
    for attrs in regions:
        assert (attrs["role"], attrs["tabindex"]) == ("region", "0") and attrs["aria-label"]


CASES = {
    "one pipeline": {"names": ["only"]},
    "two classes": {"classes": "ab"},
    "one that failed": {"failing": {"second"}},
    "one that failed once": {"failing_once": {"first"}},
    "all failed": {"failing": {"first", "second", "third"}},
    "all failed once": {"failing_once": {"first", "second", "third"}},
    "a lone fold": {"n_folds": 1},
    "photographs": {"shape": (120, 150, 3)},
    "many classes": {"classes": [f"class {i}" for i in range(101)], "n_images": 303, "n_folds": 3},
}


@pytest.mark.parametrize("case", CASES)
def test_whatever_is_compared_gives_a_sound_page(case, tmp_path):
    Structure(written(made_up(**CASES[case]), tmp_path)).check()


def test_everything_is_escaped(tmp_path):
    odd = ["<script>alert(1)</script>", "a&b\"'", "<!--", "{{ 7 * 7 }}"]
    comparison = made_up(odd, classes=odd)
    comparison.name = "</title><b>"
    comparison.warnings = ["<i>take care</i>"]
    comparison.circumstances = {"command": "run <x> & 'y'", "<key>": ["<value>", 3]}
    comparison.duplicate_pairs = [[0, 4]]
    comparison.results[odd[0]].description = "Pipeline('<u>')"
    comparison.results[odd[0]].outcomes[1] = made_up(["x"], failing=["x"]).results["x"].outcomes[1]
    page = written(comparison, tmp_path)
    found = Structure(page).check()
    assert not {"i", "b", "u", "x", "script"} & {tag for tag, _ in found.tags}
    for text in (*odd, "<i>take care</i>", "<key>", "<value>, 3", "run <x> & 'y'", "('<u>')"):
        assert text in found.text


def test_names_that_are_no_unicode_can_be_written(tmp_path):
    name = b"caf\xe9".decode(errors="surrogateescape")
    comparison = made_up([name, "other"])
    comparison.name, comparison.classes = name, np.array([name, *"bcde"])
    path = write_report(comparison, tmp_path / "a" / "new" / "report.html")
    assert path == tmp_path / "a" / "new" / "report.html"
    assert b"pipelines on caf\xe9</h1>" in path.read_bytes()


def test_curves_of_fits_that_failed_are_none(tmp_path):
    comparison = made_up()
    for result in comparison.results.values():
        result.curve[:2] = [CurvePoint(20, fold, float("nan")) for fold in range(2)]
    page = written(comparison, tmp_path)
    assert "No learning curves were measured" in words(page)


def test_nothing_to_report_is_refused(tmp_path):
    comparison = made_up(names=[])
    with pytest.raises(ValueError, match=r"0 pipelines.*add\(pipelines\)"):
        write_report(comparison, tmp_path / "report.html")
    assert not [*tmp_path.iterdir()]


# ----------------------------------------------------------------------------------- what it says


def test_the_answer_names_the_best_and_what_is_told_apart(comparison, page):
    text = words(page)
    _, answers = comparison.answers("first")
    share = np.mean(answers.true == answers.predicted)
    low, high = wilson_interval(share, 200)
    assert (
        f"first is right on {100 * share:.2f} % of 200 held-out images, more often than any other; "
        f"with 95 % confidence its accuracy is {100 * low:.2f} to {100 * high:.2f} %."
    ) in text
    assert [v.verdict for v in comparison.verdicts()] == ["not told apart", "worse"]
    assert "It is better than third: chance hardly explains that (p ≤ 0.014)" in text
    assert "On these images it is better than second as well, by McNemar's test" in text
    assert "but 5 folds are too few to say so" in text and "does not tell it apart" not in text
    assert "the fastest" not in text  # that is the best itself


def sentences(comparison):
    return " ".join(answer(Findings(comparison))).replace("\u00a0", " ")


def test_the_answer_says_what_is_as_good_and_faster():
    comparison = made_up("abcde")
    results = comparison.results
    fast, slow = results["a"].outcomes, results["d"].outcomes
    results["b"].outcomes[:] = fast
    results["a"].outcomes[:] = [
        replace(one, predicted=other.predicted) for one, other in zip(slow, fast, strict=True)
    ]
    text = sentences(comparison)
    assert ", as often as b;" in text
    assert "does not tell it apart from b:" in text and "it is better than c as well" in text
    assert "b is the fastest: it predicts an image in 0.0500 ms where a takes 0.400 ms" in text
    assert "is fitted in 0.0200 s where a takes 0.540 s" in text
    assert "It is better than d and e:" in text
    results["b"].hardware = "another machine"  # whose times say nothing
    assert "the fastest" not in sentences(comparison)  # c, on these images, is not as good


def test_the_answer_without_a_winner_or_a_rival():
    everyone = {"first", "second", "third"}
    assert "It is better than all others:" in sentences(made_up(n_images=400))
    assert "so there is no answer" in sentences(made_up(failing=everyone))
    assert "no other pipeline" in sentences(made_up(["only"]))
    findings = Findings(made_up(failing_once={"first"}))
    assert [row.pipeline for row in findings.rows] == ["second", "third", "first"]
    text = sentences(made_up(failing_once={"second"}))
    assert "more often than any other that never failed" in text
    assert "second failed, on some folds at least" in text
    assert "better than third:" in text


def test_the_answer_names_the_least_certain_of_many():
    comparison = made_up([f"p{i}" for i in range(9)], n_images=400)
    p_values = [verdict.p_value for verdict in comparison.verdicts() if verdict.verdict == "worse"]
    assert len(p_values) > 6 and max(p_values) > 1.5 * min(p_values)
    assert f"(p ≤ {max(p_values):.2g})" in sentences(comparison)


@pytest.mark.usefixtures("no_charts")
def test_warnings_and_failures_stand_on_the_page(tmp_path):
    comparison = made_up(failing={"third"}, failing_once={"second"})
    comparison.warnings = ["fold 0 has no images of a to learn from"]
    text = words(written(comparison, tmp_path))
    assert "fold 0 has no images of a to learn from" in text
    assert "third RuntimeError: out of luck" in text
    assert "second in fold 1 of 5: RuntimeError: out of luck" in text
    assert "failed on every fold" in text and "failed on some folds" in text
    assert "first no log loss: it gives no probabilities" in text


def test_accuracies_and_verdicts_are_those_of_the_comparison(comparison, page):
    header, *rows = cells(page, "Accuracy, in percent with its 95 % interval")
    assert [row[0] for row in rows] == ["first", "second", "third"]
    for row in rows:
        scores = comparison.fold_scores(row[0])
        low, high = comparison.interval(row[0])
        assert row[1] == f"{100 * scores.mean():.2f} {100 * low:.2f} to {100 * high:.2f}"
        assert row[2] == f"± {100 * scores.std(ddof=1):.2f}"
    assert rows[0][4] == "best"
    for row, verdict in zip(rows[1:], comparison.verdicts(), strict=True):
        assert row[3].startswith(f"{100 * verdict.difference:.2f}".replace("-", "\u2212"))
        assert row[4] == verdict.verdict
    assert header[-1] == "images to tell apart"


def test_other_measures_have_intervals(comparison, page):
    header, *rows = cells(page, "Other measures")
    assert header[-2:] == ["log loss", "calibration error,\u00a0%"]
    assert "top-5 accuracy,\u00a0%" not in header  # of five classes it says nothing
    low, high = comparison.interval("second", "log_loss")
    loss = comparison.fold_scores("second", "log_loss").mean()
    assert rows[1][-2].replace(" ", "") == (
        f"{significant(loss)}{significant(low)}to{significant(high)}"
    )
    assert rows[0][-2] == rows[2][-2] == "\u2013"


def test_costs_and_budgets(page):
    header, *rows = cells(page, "Time and memory")
    assert "peak memory" not in header  # nobody measured it
    assert rows[1] == ["second", "0.0600", "2.50", "2.20", "0.100", "70.0 kB"]
    _, *rows = cells(page, "What went into each pipeline")
    # 5 folds of 12 fits and another one; of 0.06, 0.01 and 2.5 seconds
    assert rows[1] == ["second", "5", "60", "65", "12.8"]
    assert rows[0] == ["first", "5", "\u2013", "5", "0.150"]
    assert "budgets to search parameters differ, from 0 to 12 fits a fold" in words(page)


@pytest.mark.usefixtures("no_charts")
def test_equal_budgets_are_said_to_be_equal(tmp_path):
    comparison = made_up(["untuned"])
    assert "No parameters were searched" in words(written(comparison, tmp_path))
    comparison = made_up(["a", "tuned"])
    del comparison.results["a"]
    assert "same budget of 12 fits a fold" in words(written(comparison, tmp_path))


def test_scores_by_class_are_those_of_scikit_learn(comparison, page):
    _, answers = comparison.answers("third")
    expected = classification_report(
        answers.true, answers.predicted, target_names=comparison.classes, output_dict=True
    )
    _, *rows = cells(page, "third, by class")
    for title, precision, recall, f1, support in rows:
        found = expected[title]
        shares = [f"{100 * found[name]:.2f}" for name in ("precision", "recall", "f1-score")]
        assert [precision, recall, f1] == shares
        assert int(support) == found["support"]
    _, *rows = cells(page, "F1 in percent, by class and pipeline")
    assert [row[3] for row in rows] == [f"{100 * expected[t]['f1-score']:.2f}" for t in "abcde"]


@pytest.mark.usefixtures("no_charts")
def test_a_class_that_is_never_predicted_has_no_precision(tmp_path):
    comparison = made_up(["only"], classes="ab")
    for outcome in comparison.results["only"].outcomes:
        outcome.predicted[:] = 0
    _, *rows = cells(written(comparison, tmp_path), "only, by class")
    assert rows[1][1:3] == ["\u2013", "0.00"]


def test_confusions_are_those_of_scikit_learn(comparison, page):
    _, answers = comparison.answers("third")
    _, *rows = cells(page, "third: images of the class that a row names")
    found = [[int(text) for text in row[1:]] for row in rows]
    assert found == confusion_matrix(answers.true, answers.predicted).tolist()


def test_cells_are_shaded_by_what_is_wrong(comparison):
    findings = Findings(comparison)
    for (_, cells_), row in zip(
        confusion_table(findings, "third").rows, comparison.confusion("third"), strict=True
    ):
        for cell, count in zip(cells_, row, strict=True):
            assert cell.shade == pytest.approx(np.sqrt(count / row.sum()), abs=0.006)
    kinds = [
        [cell.kind for cell in cells_] for _, cells_ in confusion_table(findings, "first").rows
    ]
    assert {kinds[i][i] for i in range(5)} == {"right"}
    assert {kinds[i][j] for i in range(5) for j in range(5) if i != j} <= {"wrong", "none"}
    for _, (_, _, cell) in f1_table(findings).rows:
        assert cell.kind == "wrong"
        assert cell.shade == pytest.approx(np.sqrt(1 - float(cell.text) / 100), abs=0.006)


@pytest.mark.usefixtures("no_charts")
def test_of_many_classes_the_most_frequent_confusions_are_listed(tmp_path):
    comparison = made_up(["only"], classes=[f"c{i:02}" for i in range(30)], n_images=300)
    for outcome, (_, test) in zip(
        comparison.results["only"].outcomes, comparison.folds, strict=True
    ):
        true = comparison.y[test]
        outcome.predicted[:] = np.where(true == 7, 3, np.where(true == 9, 29, true))
        outcome.predicted[np.flatnonzero(true == 9)[0]] = 9
    page = written(comparison, tmp_path)
    _, *rows = cells(page, "only: the most frequent confusions")
    assert rows == [["c07", "c03", "10", "100.00"], ["c09", "c29", "5", "50.00"]]


def test_curves_are_of_the_folds_that_they_were_measured_on(comparison, page):
    header, *rows = cells(page, "Accuracy in percent, by number of images to learn from")
    assert header == ["pipeline", "20", "160"]
    assert rows[1] == ["second", "68.00", "78.00"]


def test_mistakes_are_shown_with_what_they_are_taken_for(comparison, page):
    assert words(page).count("first: ") >= 1
    wrong, alone = comparison.mistakes("first"), comparison.right_alone("first")
    assert f"first: {len(wrong)} wrong, {len(alone)} that only it gets right" in words(page)
    index = wrong[0]
    rows, answers = comparison.answers("first")
    place = np.searchsorted(rows, index)
    true, predicted = (comparison.classes[n[place]] for n in (answers.true, answers.predicted))
    uri = data_uri(comparison.images[int(index)])
    image = f'<img src="{uri}" alt="image {index}: {true}, taken for {predicted}" class="small">'
    assert image in page
    assert f"{index}: {true} → {predicted}" in page


def test_of_what_only_one_gets_right_the_class_is_said(comparison):
    gallery = mistakes(Findings(comparison), "first", "right_alone")
    assert gallery.n_found == len(comparison.right_alone("first")) > 3
    for thumbnail in gallery.thumbnails:
        index, title = re.fullmatch(r"(\d+): ([a-e])", thumbnail.caption).groups()
        assert comparison.classes[comparison.y[int(index)]] == title
        assert thumbnail.alt == f"image {index}: {title}"


def test_many_pipelines_show_fewer_images_each():
    findings = Findings(made_up([f"p{i}" for i in range(25)], classes="ab", n_images=400))
    gallery = mistakes(findings, "p24", "wrong")
    assert len(gallery.thumbnails) == 4
    assert gallery.which == f": 4 of {gallery.n_found}, {gallery.order}" and gallery.order


@pytest.mark.usefixtures("no_charts")
def test_duplicates_are_shown_in_pairs(tmp_path):
    comparison = made_up()
    comparison.duplicate_pairs = [[i, i + 5] for i in range(20)]
    page = written(comparison, tmp_path)
    assert Structure(page).check().ids.count("duplicates") == 1
    assert page.count('class="gallery pair"') == 12
    assert "the first 12 of 20 pairs" in words(page)
    assert 'alt="image 5: a"' in page


def test_how_it_was_made_stands_at_the_end(comparison, page):
    text = words(page)
    for found in (
        "visionpipe compare made_up", "AMD EPYC, 2 cores", "python 3.11.7, numpy 2.4.6",
        "seed of the folds 0", "images to learn from 160", comparison.fingerprint,
        "HOG(orientations=2)", "date 2026-12-01",
    ):  # fmt: skip
        assert found in text
    assert text.count("visionpipe compare made_up") == 1
    assert cells(page, "What the searches of second")[1] == ["svm__C", *"11111"]
    _, *rows = cells(page, "Accuracy in percent on each fold")
    assert rows[2][1:] == [f"{100 * score:.2f}" for score in comparison.fold_scores("third")]


@pytest.mark.usefixtures("no_charts")
def test_machines_are_told_apart(tmp_path):
    comparison = made_up()
    comparison.results["third"].hardware = "a GPU"
    text = words(written(comparison, tmp_path))
    assert "AMD EPYC, 2 cores: first and second" in text and "a GPU: third" in text


# ------------------------------------------------------------------------------ what may be missing


def test_from_a_file_the_page_asks_for_the_images(comparison, tmp_path):
    loaded = Comparison.load(comparison.save(tmp_path / "comparison.npz"))
    page = written(loaded, tmp_path)
    Structure(page).check()
    assert "attach(X)" in words(page) and ", taken for " not in page
    loaded.attach(comparison.images)
    assert mistakes(Findings(loaded), "first", "wrong").thumbnails


@pytest.mark.usefixtures("no_charts")
def test_without_matplotlib_the_page_says_so(comparison, tmp_path):
    page = written(comparison, tmp_path)
    found = Structure(page).check()
    assert "svg" not in {tag for tag, _ in found.tags}
    assert page.count("visionpipe[plots]") == 3  # of charts, curves and images
    assert "first is right on" in words(page)


@pytest.mark.usefixtures("no_charts")
def test_what_was_not_measured_is_said(tmp_path):
    comparison = made_up(["only"])
    result = comparison.results["only"]
    result.curve.clear()
    result.outcomes[0] = replace(result.outcomes[0], pictures=())
    text = words(written(comparison, tmp_path))
    assert "train_sizes=" in text and "n_explained=" in text


# --------------------------------------------------------------------------------------- contrast


def luminance(colour):
    """Relative luminance of WCAG 2.2."""
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(one, other):
    light, dark = sorted([luminance(one), luminance(other)], reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_text_has_contrast_in_light_and_dark(page):
    light, dark = (
        dict(re.findall(r"--([\w-]+): (#\w{6});", block))
        for block in re.findall(r":root \{(.*?)\}", page, re.S)
    )
    assert light.keys() == dark.keys() and light["text"] != dark["text"]
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    for colours in (light, dark):
        for text in ("text", "muted", "link", "good", "bad"):
            for ground in ("background", "surface"):
                assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
        for ground in ("right-shade", "wrong-shade", "warning-shade"):
            assert contrast(colours["text"], colours[ground]) >= 4.5, ground


def test_sizes_are_written_in_units():
    assert [size(n) for n in (0, 1, 1000, 2_500_000, 3e9, 4e12)] == [
        "0 bytes", "1.00 bytes", "1.00 kB", "2.50 MB", "3.00 GB", "4,000 GB",
    ]  # fmt: skip
