"""The images that a pipeline of a comparison gets wrong, and those that only it gets right."""

import numpy as np

from visionpipe.displays.display import get_axes, import_pyplot
from visionpipe.displays.labels import on_one_line
from visionpipe.displays.mosaic import caption_places, figsize_of_mosaic, mosaic_of
from visionpipe.steps import Rescale

__all__ = ["MistakesDisplay", "thumbnails"]

SIDE = 96  # pixels of the longer side of a thumbnail, at most
INCHES = 1.25  # of a thumbnail, with its margin
CAPTION_POINTS = 8  # size of the font
LONGEST = 15  # characters of a line of a caption: as wide as a thumbnail
UNKNOWN = "another class"  # that the data does not have

_KINDS = {"wrong": "that it gets wrong", "right_alone": "that only it gets right"}


class MistakesDisplay:
    """Images that a pipeline gets wrong, or that only it gets right, with what it takes them for.

    Use `from_comparison` to make one.

    Parameters
    ----------
    images : list of ndarray of uint8 of shape (h, w) or (h, w, 3)
        Thumbnails, of at most 96 pixels a side.
    indices : ndarray of int of shape (n_images,)
        Their positions in the data.
    true, predicted : list of str
        Classes of each.
    pipeline : str, default=""
        Its name.
    kind : {"wrong", "right_alone"}, default="wrong"
    n_found : int, default=None
        How many such images there are, where these are not all.
    order : str, default=""
        Which of them come first, in words.

    Attributes
    ----------
    im_ : matplotlib AxesImage or None
        All thumbnails; tiny ones are enlarged by whole factors. None if there is none.
    text_ : list of matplotlib Text
        Captions.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> from visionpipe import Pixels, compare, load_faces
    >>> from visionpipe.displays.mistakes import MistakesDisplay
    >>> faces = load_faces()
    >>> svm = make_pipeline(Pixels(), SVC())
    >>> comparison = compare({"pixels": svm}, faces.images, faces.target_names[faces.target])
    >>> display = MistakesDisplay.from_comparison(comparison, "pixels")
    >>> display.true[0], display.predicted[0], display.images[0].shape
    ('other', 'face', (25, 25))
    >>> plt.show()  # doctest: +SKIP
    >>> plt.close(display.figure_)
    """

    def __init__(
        self,
        images,
        *,
        indices,
        true,
        predicted,
        pipeline="",
        kind="wrong",
        n_found=None,
        order="",
    ):
        self.images = images
        self.indices = indices
        self.true = true
        self.predicted = predicted
        self.pipeline = pipeline
        self.kind = kind
        self.n_found = n_found
        self.order = order

    @classmethod
    def from_comparison(cls, comparison, pipeline, *, kind="wrong", n_images=12, ax=None):
        """Draw held-out images of a comparison.

        Only those that are shown are read. If the pipeline has said how probable each class is,
        the images that it is surest of come first: the gravest mistakes, and wrong labels. If not,
        images of the confusion that is most frequent, the next one and so on take turns.

        Parameters
        ----------
        comparison : Comparison
            From `visionpipe.compare`, with its images.
        pipeline : str
            Its name.
        kind : {"wrong", "right_alone"}, default="wrong"
            Images that it gets wrong, or that no other pipeline gets right.
        n_images : int, default=12
            Draw at most so many.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        MistakesDisplay

        Raises
        ------
        ValueError
            If the comparison is without images, a parameter is no such name or less than 1, or the
            pipeline failed on all folds.
        ImageReadError
            If a file cannot be read any more.
        ImportError
            If matplotlib is missing.
        """
        import_pyplot(cls.__name__)
        _check(cls.__name__, comparison, pipeline, kind, n_images)
        of_kind = comparison.mistakes if kind == "wrong" else comparison.right_alone
        found = of_kind(pipeline)
        rows, answers = comparison.answers(pipeline)
        places = np.searchsorted(rows, found)
        in_turn, order = _in_order(answers, places)
        places = in_turn[:n_images]
        classes = [*map(str, comparison.classes), UNKNOWN]  # -1 is unknown, the last one
        return cls(
            thumbnails(comparison.images[rows[places]]),
            indices=rows[places],
            true=[classes[number] for number in answers.true[places]],
            predicted=[classes[number] for number in answers.predicted[places]],
            pipeline=pipeline,
            kind=kind,
            n_found=len(found),
            order=order,
        ).plot(ax=ax)

    def plot(self, *, ax=None):
        """Draw the images, above each its class and what it is taken for.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        MistakesDisplay
            Itself.

        Raises
        ------
        ImportError
            If matplotlib is missing.
        """
        tiles = np.array([_tile(image) for image in self.images])  # (n, SIDE, SIDE, 4)
        mosaic = mosaic_of(tiles, captioned=True) if len(tiles) else np.zeros((1, 3 * SIDE, 4))
        inches = INCHES * max(mosaic.shape[:2]) / SIDE
        self.ax_ = get_axes(self, ax, figsize=figsize_of_mosaic(mosaic, inches))
        self.figure_ = self.ax_.figure
        self.ax_.set_axis_off()
        self.im_, self.text_ = None, []
        if len(tiles):
            self.im_ = self.ax_.imshow(np.nan_to_num(mosaic))
            self.text_ = self._write_captions(caption_places(tiles))
        n_lines = max((1 + text.get_text().count("\n") for text in self.text_), default=0)
        pad = 6 + 1.3 * CAPTION_POINTS * n_lines  # points: above the captions
        self.ax_.set_title(self._title(), fontsize="medium", pad=pad, parse_math=False)
        return self

    def _write_captions(self, places):
        options = {"ha": "center", "va": "bottom", "fontsize": CAPTION_POINTS}
        return [
            self.ax_.text(*place, caption, parse_math=False, **options)
            for place, caption in zip(places, self._captions(), strict=True)
        ]

    def _captions(self):
        if self.kind == "right_alone":
            return [on_one_line(name, LONGEST) for name in self.true]
        pairs = list(zip(self.true, self.predicted, strict=True))
        longest = max(len(f"{true} → {predicted}") for true, predicted in pairs)
        between = " → " if longest <= LONGEST else "\n→ "
        return [between.join(on_one_line(name, LONGEST) for name in pair) for pair in pairs]

    def _title(self):
        n = len(self.images) if self.n_found is None else self.n_found
        title = f"{on_one_line(self.pipeline)}: {n:,} {'image' if n == 1 else 'images'}"
        title += f" {_KINDS[self.kind]}"
        if len(self.images) < n:
            title += f"\n{len(self.images)} of them, {self.order}"
        return title


def _check(owner, comparison, pipeline, kind, n_images):
    if comparison.images is None:
        raise ValueError(
            f"{owner} got a comparison without images, as read from a file or made of flat rows; "
            "comparison.attach(X) gives it those that it was made of"
        )
    if pipeline not in comparison.results:
        known = ", ".join(comparison.results)
        raise ValueError(f"{owner} got pipeline {pipeline!r}; there are {known}")
    if kind not in _KINDS:
        known = " or ".join(map(repr, _KINDS))
        raise ValueError(f"{owner} got kind={kind!r}; wanted {known}")
    if n_images < 1:
        raise ValueError(f"{owner} got n_images={n_images}; wanted 1 or more")


def _in_order(answers, places):
    """Places of answers, those to be shown first at first, and which they are."""
    if answers.probabilities is not None:
        confidence = answers.probabilities[places].max(axis=1)
        return places[np.argsort(-confidence, kind="stable")], "surest answers first"
    pairs = np.column_stack([answers.true[places], answers.predicted[places]])
    _, pair, counts = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
    pair = pair.reshape(-1)
    turns = np.array([np.count_nonzero(pair[:i] == pair[i]) for i in range(len(pair))])
    return places[np.lexsort((-counts[pair], turns))], "most frequent ones first"


def thumbnails(images):
    """Make images small enough to be shown side by side.

    Parameters
    ----------
    images : Images

    Returns
    -------
    list of ndarray of uint8 of shape (h, w) or (h, w, 3)
        Of at most 96 pixels a side.
    """
    small = Rescale((1, SIDE)).transform(images) if len(images) else []
    return [
        pixels if pixels.dtype == np.uint8 else np.rint(255 * pixels).astype(np.uint8)
        for pixels in small
    ]


def _tile(image):
    """A thumbnail in the middle of a transparent square (SIDE, SIDE, 4) in 0..1."""
    times = max(1, SIDE // max(image.shape[:2]))
    pixels = np.atleast_3d(image).repeat(times, axis=0).repeat(times, axis=1)  # (h, w, 1 or 3)
    height, width = pixels.shape[:2]
    top, left = (SIDE - height) // 2, (SIDE - width) // 2
    tile = np.zeros((SIDE, SIDE, 4), np.float32)
    tile[top : top + height, left : left + width, :3] = pixels / 255
    tile[top : top + height, left : left + width, 3] = 1
    return tile
