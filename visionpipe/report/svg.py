"""Charts as SVG within a page: in the colour of its text, and with ids that are there once."""

import io
import re

from markupsafe import Markup, escape

__all__ = ["draw_svg"]

INCHES = (4.8, 4.2)  # as wide as a phone, so that nothing is shrunk there
INK = "#010203"  # stands for the colour of the text around, which only the page knows
INKED = (
    *("text.color", "axes.labelcolor", "axes.edgecolor", "axes.titlecolor", "xtick.color"),
    *("ytick.color", "patch.edgecolor", "lines.color", "hatch.color"),
)


def draw_svg(draw, name, label):
    """Draw a chart for a page.

    Parameters
    ----------
    draw : callable
        Of matplotlib Axes, which it draws in.
    name : str
        What no other chart of the page is called; ids begin with it.
    label : str
        What a screen reader says in place of the chart.

    Returns
    -------
    Markup or None
        An ``<svg>`` element; None without matplotlib.

    Examples
    --------
    >>> from visionpipe.report.svg import draw_svg
    >>> svg = draw_svg(lambda ax: ax.plot([1, 2]), "line", "A rising line")
    >>> svg.startswith('<svg role="img" aria-label="A rising line"'), "currentColor" in svg
    (True, True)
    """
    try:
        import matplotlib
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError:
        return None
    style = {
        **dict.fromkeys(INKED, INK),
        **dict.fromkeys(("axes.facecolor", "figure.facecolor"), "none"),
        "svg.fonttype": "none",  # text as text
        "svg.hashsalt": name,
        "font.size": 9,
    }
    file = io.StringIO()
    with matplotlib.rc_context(style):
        figure = Figure(figsize=INCHES, layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.add_subplot())
        figure.savefig(file, format="svg", transparent=True)
    return _within_page(file.getvalue(), name, label)


def _within_page(svg, name, label):
    """An SVG file as an element of a page, without addresses and what is for editors."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg, flags=re.S)
    box = re.search(r'viewBox="[^"]*"', svg)[0]
    svg = re.sub(
        r"<svg[^>]*>", f'<svg role="img" aria-label="{escape(label)}" {box}>', svg, count=1
    )
    svg = re.sub(r'(?<=[ \n])id="|(?<=url\()#|(?<=href=")#', rf"\g<0>{name}-", svg)
    return Markup(svg.replace(INK, "currentColor"))
