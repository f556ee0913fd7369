"""Pictures of what a fitted pipeline looks at, drawn while it is at hand."""

import io
from contextlib import contextmanager

from PIL import Image

from visionpipe.comparison.outcome import Picture
from visionpipe.displays.display import import_pyplot
from visionpipe.displays.explanation import ExplanationDisplay
from visionpipe.displays.hog import HOGDisplay
from visionpipe.displays.visual_words import VisualWordsDisplay
from visionpipe.encoding.bag_of_visual_words import BagOfVisualWords
from visionpipe.encoding.vlad import VLAD
from visionpipe.features.hog import HOG
from visionpipe.images import as_images
from visionpipe.inspection.parts import flat_steps

__all__ = ["draw_pictures"]

SIDE, DPI = 2.5, 80  # inches, pixels an inch
N_COLOURS = 64  # of a picture: a third of the bytes, and nobody sees it
N_WORD_IMAGES, N_WORDS, N_PATCHES = 64, 5, 6
_COLOURS = {
    "grad_cam": "strongest where red (Grad-CAM)",
    "occlusion": "red where it is missed if covered, blue where it does better without (occlusion)",
}


def draw_pictures(model, X, rows, y):
    """Draw the glyphs of HOG, visual words, and what speaks for the predicted class.

    Parameters
    ----------
    model : estimator
        Fitted.
    X : array-like of images
        Held-out ones.
    rows : ndarray of int
        Those to explain.
    y : ndarray
        Right classes of all held-out images.

    Returns
    -------
    pictures : tuple of Picture
    complaints : tuple of str
        Why some could not be drawn.
    """
    pictures, complaints = [], []
    try:
        import_pyplot("compare")
        images = as_images(X)
        for draw in (_glyphs, _words, _reasons):
            pictures += draw(model, images, rows, y)
    except Exception as error:  # no picture is worth a comparison
        complaints.append(f"pictures are missing: {' '.join(str(error).split())}")
    return tuple(pictures), tuple(complaints)


def _glyphs(model, images, rows, y):
    if not _has(model, HOG):
        return []
    with _figure(SIDE, SIDE) as (ax, taken):
        HOGDisplay.from_estimator(model, images[int(rows[0])], ax=ax)
    caption = f"Gradients that HOG sees in an image of {y[rows[0]]}, brighter where stronger."
    return [Picture("glyphs", caption, taken())]


def _words(model, images, rows, y):
    if not _has(model, (BagOfVisualWords, VLAD)):
        return []
    with _figure(4.5, 0.75 * N_WORDS) as (ax, taken):
        VisualWordsDisplay.from_estimator(
            model,
            images[:N_WORD_IMAGES],
            n_words=N_WORDS,
            n_patches=N_PATCHES,
            ax=ax,
            include_distances=False,
        )
    caption = (
        f"The {N_WORDS} visual words that are found most often, by row, and the patches of "
        "held-out images that are nearest to each."
    )
    return [Picture("words", caption, taken())]


def _reasons(model, images, rows, y):
    pictures = []
    for row in map(int, rows):
        with _figure(SIDE, SIDE) as (ax, taken):
            display = ExplanationDisplay.from_estimator(model, images[row], ax=ax, colorbar=False)
            ax.set_title("")
        truth = "rightly predicted" if display.label == y[row] else f"predicted of a {y[row]}"
        caption = f"What speaks for {display.label}, {truth}, {_COLOURS[display.method]}."
        pictures.append(Picture("reasons", caption, taken()))
    return pictures


def _has(model, kinds):
    return any(isinstance(step, kinds) for step in flat_steps(model))


@contextmanager
def _figure(width, height):
    """Axes of a figure that no window knows of, and a function that gives it as PNG afterwards."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI)
    canvas = FigureCanvasAgg(figure)

    def taken():
        drawn, file = io.BytesIO(), io.BytesIO()
        canvas.print_figure(drawn, bbox_inches="tight", pad_inches=0.03)
        picture = Image.open(drawn).convert("RGB").quantize(N_COLOURS)
        picture.save(file, "PNG", optimize=True)
        return file.getvalue()

    yield figure.add_axes((0, 0, 1, 1)), taken
