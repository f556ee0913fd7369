"""Small images within a page: what each pipeline gets wrong, and what is there twice."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from visionpipe.displays.mistakes import MistakesDisplay, thumbnails

__all__ = ["Gallery", "Thumbnail", "data_uri", "duplicates", "mistakes", "picture"]

N_IMAGES = 12  # of a pipeline and kind
N_ALL = 240  # of all pipelines: a megabyte of photographs
N_PAIRS = 12
SMALL = 48  # pixels up to which images are enlarged pixel by pixel


@dataclass(frozen=True)
class Thumbnail:
    """An image of a page.

    Attributes
    ----------
    uri : str
        The whole image, as the address of an ``<img>``.
    alt : str
        What is to be known of it.
    caption : str
        The same, shorter.
    is_small : bool
        Whether it has so few pixels that each of them is shown.
    """

    uri: str
    alt: str
    caption: str
    is_small: bool = False


@dataclass(frozen=True)
class Gallery:
    """Some images of many.

    Attributes
    ----------
    thumbnails : list of Thumbnail
    n_found : int
        How many there are in all.
    order : str
        Which of them come first.
    """

    thumbnails: list
    n_found: int
    order: str

    @property
    def which(self):
        """What is to be said if not all are shown."""
        n_shown = len(self.thumbnails)
        return f": {n_shown} of {self.n_found:,}, {self.order}" if n_shown < self.n_found else ""


def data_uri(image):
    """Write an image into an address: small ones as they are, others as JPEG.

    Parameters
    ----------
    image : ndarray of uint8 of shape (h, w) or (h, w, c)

    Returns
    -------
    str

    Examples
    --------
    >>> import numpy as np
    >>> from visionpipe.report.thumbnails import data_uri
    >>> digit, photograph = np.zeros((8, 8), np.uint8), np.zeros((96, 64, 3), np.uint8)
    >>> data_uri(digit)[:22], data_uri(photograph)[:23]
    ('data:image/png;base64,', 'data:image/jpeg;base64,')
    """
    kind, options = ("jpeg", {"quality": 80}) if max(image.shape[:2]) > SMALL else ("png", {})
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, optimize=True, **options)
    return _address(kind, file.getvalue())


def _address(kind, content):
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def mistakes(findings, name, kind):
    """Images that a pipeline gets wrong, or that only it gets right.

    Parameters
    ----------
    findings : Findings
    name : str
    kind : {"wrong", "right_alone"}

    Returns
    -------
    Gallery

    Raises
    ------
    ImportError
        If matplotlib is missing, without which there is no display to choose them.
    """
    from matplotlib.figure import Figure

    n_images = int(np.clip(N_ALL // (2 * len(findings.answering)), 4, N_IMAGES))
    display = MistakesDisplay.from_comparison(
        findings.comparison, name, kind=kind, n_images=n_images, ax=Figure().add_subplot()
    )
    found = zip(display.indices, display.images, display.true, display.predicted, strict=True)
    return Gallery([_answered(*one) for one in found], display.n_found, display.order)


def _answered(index, image, true, predicted):
    if true == predicted:
        return _thumbnail(image, f"image {index}: {true}", f"{index}: {true}")
    alt = f"image {index}: {true}, taken for {predicted}"
    return _thumbnail(image, alt, f"{index}: {true} → {predicted}")


def duplicates(comparison):
    """Pairs of the same picture on both sides of a split.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    list of (Thumbnail, Thumbnail)
        The first of them.
    """
    return [
        tuple(_numbered(comparison, index) for index in pair)
        for pair in comparison.duplicate_pairs[:N_PAIRS]
    ]


def _numbered(comparison, index):
    title = comparison.classes[comparison.y[index]]
    (image,) = thumbnails(comparison.images[[index]])
    return _thumbnail(image, f"image {index}: {title}", f"{index}: {title}")


def _thumbnail(image, alt, caption):
    return Thumbnail(data_uri(image), alt, caption, max(image.shape[:2]) <= SMALL)


def picture(png, caption):
    """Make the file of an image an image of a page.

    Parameters
    ----------
    png : bytes
    caption : str

    Returns
    -------
    Thumbnail
    """
    return Thumbnail(_address("png", png), caption, caption)
