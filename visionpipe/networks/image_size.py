"""What networks share about the size of images: the check, and the margins of small ones."""


class ImagesTooSmall(ValueError):
    """Images have fewer pixels than a network takes."""


def check_image_size(network, image_size, least, layers=None):
    """Height and width as ints, or an error if the images are smaller than the network takes.

    Parameters
    ----------
    network : torch.nn.Module
        Named in the error.
    image_size : (int, int)
        Height and width that came.
    least : (int, int)
        The smallest that work.
    layers : dict of str to (int, int), default=None
        Layers that lose pixels, in the order they run, and the smallest images each of them works
        for: the first one that would fail is named in the error.

    Returns
    -------
    height, width : int

    Raises
    ------
    ImagesTooSmall
        A ValueError.
    """
    height, width = size = tuple(map(int, image_size))
    if _smaller(size, least):
        failing = [name for name, needed in (layers or {}).items() if _smaller(size, needed)]
        where = f", too small for its layer {failing[0]}" if failing else ""
        raise ImagesTooSmall(
            f"{type(network).__name__} got images of {height}x{width} pixels (height x width)"
            f"{where}; it takes {least[0]}x{least[1]} or larger: put Resize({least}) or more "
            "before it"
        )
    return height, width


def _smaller(size, least):
    return size[0] < least[0] or size[1] < least[1]


def margins(length, field):
    """Zeros before and after an axis that bring it to a field; none if it is larger."""
    missing = max(0, field - length)
    return missing // 2, missing - missing // 2
