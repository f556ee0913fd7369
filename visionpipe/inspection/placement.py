"""Where in an image lies what a network sees of it, and how maps are laid over the image."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from visionpipe.images import as_images
from visionpipe.steps import Resize

__all__ = ["Window", "lay_over", "seen_by_maps", "through_steps"]


class Window(NamedTuple):
    """A rectangle in an image, in pixels, edges not rounded; it may reach beyond the image."""

    top: float
    left: float
    height: float
    width: float


def through_steps(steps, image, *, owner):
    """Send one image through image steps, and note which part of it comes out.

    Parameters
    ----------
    steps : list of transformers
        From images to images. Only a `Resize` that pads or crops is known to show another part of
        the image than the whole.
    image : ndarray of shape (h, w) or (h, w, c), or path
    owner : str
        Named in errors.

    Returns
    -------
    images : Images
        The one image that comes out.
    size : (int, int)
        Height and width of the image that goes in.
    window : Window
        What part of that image comes out.
    """
    images = as_images([image], owner=owner)
    size = images.first_shape()[:2]
    window = Window(0, 0, *size)
    for step in steps:
        before, images = images, as_images(step.transform(images), owner=owner)
        if isinstance(step, Resize) and step.keep_aspect:
            lengths = before.first_shape()[:2], images.first_shape()[:2]
            window = _part(window, *_shown_by_resize(step, *lengths), *lengths[0])
    return images, size, window


def _shown_by_resize(step, size_in, size_out):
    """Top, left, height and width, in pixels of its input, of what a `Resize` shows."""
    ratios = [after / before for before, after in zip(size_in, size_out, strict=True)]
    crops = step.keep_aspect == "crop"
    scale = max(ratios) if crops else min(ratios)
    starts, lengths = [], []
    for before, after in zip(size_in, size_out, strict=True):
        least = after if crops else 1
        inner = max(least, round(before * scale))  # pixels that the whole axis becomes
        margin = -((inner - after) // 2) if crops else (after - inner) // 2
        starts.append(-margin * before / inner)
        lengths.append(after * before / inner)
    return *starts, *lengths


def _part(window, top, left, height, width, n_rows, n_columns):
    """The window of a window: a rectangle in an image of (n_rows, n_columns) that fills it."""
    down, across = window.height / n_rows, window.width / n_columns
    return Window(
        window.top + top * down, window.left + left * across, height * down, width * across
    )


def seen_by_maps(network, batch, window):
    """The window that the maps of a network show.

    It is less than the images that the network gets if it crops them, and more if its module begins
    by padding them.

    Parameters
    ----------
    network : CNNClassifier
        Fitted.
    batch : Tensor (1, c, h, w)
        The image that the network gets.
    window : Window
        What part of the original this image shows.

    Returns
    -------
    Window
    """
    size, seen = batch.shape[2:], network.net_.as_seen(batch).shape[2:]
    top, left = ((whole - part) // 2 for whole, part in zip(size, seen, strict=True))
    window = _part(window, top, left, *seen, *size)
    first = next(part for part in network.module_.modules() if not [*part.children()])
    if not isinstance(first, nn.ZeroPad2d):
        return window
    left, right, top, bottom = first.padding
    height, width = seen[0] + top + bottom, seen[1] + left + right
    return _part(window, -top, -left, height, width, *seen)


def lay_over(values, window, size):
    """Resample a map bilinearly to the pixels of the image that it shows a part of.

    Parameters
    ----------
    values : Tensor (h', w') of float32
    window : Window
        Which part of the image the map covers.
    size : (int, int)
        Height and width of the image.

    Returns
    -------
    Tensor (*size) of float32
        0 outside of the window.
    """
    (height, width), device = size, values.device
    # of pixel centres, -1 and 1 at the edges of the window
    y = 2 * (torch.arange(height, device=device) + 0.5 - window.top) / window.height - 1
    x = 2 * (torch.arange(width, device=device) + 0.5 - window.left) / window.width - 1
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)  # (h, w, 2)
    sampled = F.grid_sample(
        values[None, None], grid[None], padding_mode="border", align_corners=False
    )[0, 0]  # (h, w)
    return sampled * (grid.abs() <= 1).all(dim=-1)
