"""The page of a comparison: every section, put into the template."""

from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from visionpipe.files import write_whole
from visionpipe.report import charts, classes, costs, provenance, results
from visionpipe.report.answer import answer
from visionpipe.report.curves import curve_chart_and_table, has_curves
from visionpipe.report.findings import Findings
from visionpipe.report.formats import listed
from visionpipe.report.thumbnails import duplicates, mistakes, picture

__all__ = ["write_report"]

SECTIONS = {
    "answer": "The answer",
    "results": "Results",
    "cost": "Accuracy against cost",
    "classes": "Scores by class",
    "confusions": "Confusions",
    "curves": "Learning curves",
    "mistakes": "Images they get wrong",
    "explanations": "What they look at",
    "duplicates": "Images that are there twice",
    "provenance": "How this was made",
}


def write_report(comparison, path):
    """Write a comparison as a page: one file that needs no network and no JavaScript.

    Parameters
    ----------
    comparison : Comparison
        With one pipeline at least. Without its images, as it is read from a file, there are no
        thumbnails; without matplotlib there are no charts. The page says so.
    path : path-like
        The file appears whole or not at all; its folder is made.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    ValueError
        If the comparison has no pipeline.
    ImageReadError
        If the file of an image that is to be shown cannot be read any more.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> from visionpipe import HOG, compare, load_faces
    >>> from visionpipe.report import write_report
    >>> faces = load_faces()
    >>> comparison = compare({"hog": make_pipeline(HOG(), SVC())}, faces.images, faces.target)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write_report(comparison, f"{folder}/report.html").read_text()
    >>> page.startswith("<!doctype html>"), 10_000 < len(page) < 3_000_000
    (True, True)
    """
    if not comparison.results:
        raise ValueError(f"{comparison!r} has nothing to report; call add(pipelines) first")
    environment = Environment(
        loader=PackageLoader("visionpipe", "report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("page.html.jinja").render(**_content(Findings(comparison)))
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, page)
    return path


def _content(findings):
    comparison = findings.comparison
    curve_chart, curve_table = curve_chart_and_table(comparison)
    twice = [] if comparison.images is None else duplicates(comparison)
    return {
        "style": Markup(files("visionpipe.report").joinpath("page.css").read_text("utf-8")),
        "comparison": comparison,
        "summary": _summary(comparison),
        "sections": {k: v for k, v in SECTIONS.items() if k != "duplicates" or twice},
        "has_matplotlib": find_spec("matplotlib") is not None,
        "answer": answer(findings),
        "accuracy_table": results.accuracy_table(findings),
        "measures_table": results.measures_table(findings),
        "failures": results.failures(findings),
        "notes": [(listed(names), note) for names, note in results.notes(findings)],
        "accuracy_chart": charts.accuracy_chart(findings),
        "cost_charts": charts.cost_charts(findings),
        "cost_table": costs.cost_table(findings),
        "budget": costs.budget(findings),
        "budget_table": costs.budget_table(findings),
        "has_many_classes": len(comparison.classes) > classes.MOST_IN_MATRIX,
        "f1_table": classes.f1_table(findings),
        "score_tables": {name: classes.score_table(findings, name) for name in findings.answering},
        "confusion_tables": {
            name: classes.confusion_table(findings, name) for name in findings.answering
        },
        "has_curves": has_curves(comparison),
        "curve_chart": curve_chart,
        "curve_table": curve_table,
        "mistakes": _mistakes(findings),
        "pictures": _pictures(comparison),
        "duplicates": twice,
        "facts": provenance.facts(comparison),
        "machines": provenance.machines(comparison),
        "fold_table": provenance.fold_table(findings),
        "parameters": [
            (name, result.description, provenance.chosen_table(comparison, name))
            for name, result in comparison.results.items()
        ],
    }


def _summary(comparison):
    """What stands below the title."""
    n_folds = len(comparison.folds)
    parts = [
        f"{len(comparison.y):,} images of {len(comparison.classes):,} classes",
        f"{n_folds} folds" if n_folds > 1 else "1 fold",
        str(comparison.circumstances.get("date", "")),
    ]
    return ", ".join(filter(None, parts))


def _mistakes(findings):
    """Galleries by pipeline: what it gets wrong, and what only it gets right."""
    if findings.comparison.images is None or find_spec("matplotlib") is None:
        return []
    kinds = ("wrong", "right_alone")
    return [
        (name, *(mistakes(findings, name, kind) for kind in kinds)) for name in findings.answering
    ]


def _pictures(comparison):
    """Explanations by pipeline."""
    found = {
        name: [picture(one.png, one.caption) for one in result.outcomes[0].pictures]
        for name, result in comparison.results.items()
    }
    return {name: pictures for name, pictures in found.items() if pictures}
