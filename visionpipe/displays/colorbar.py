"""The scale of an image's colours."""

__all__ = ["draw_colorbar"]


def draw_colorbar(ax, image, label):
    """Draw the scale of an image beside it, about as high as it is.

    Parameters
    ----------
    ax : matplotlib Axes
        Gives up the room that the scale needs.
    image : matplotlib AxesImage
    label : str

    Returns
    -------
    matplotlib Colorbar
    """
    height, width = image.get_array().shape[:2]
    # 0.046 and 0.04 of the width, of a square image, are what its height leaves
    return ax.figure.colorbar(image, ax=ax, label=label, fraction=0.046 * height / width, pad=0.04)
