"""The one check all networks share."""


def check_image_size(network, image_size, least):
    """Height and width as ints, or a ValueError if the images are smaller than the network takes.

    Parameters
    ----------
    network : torch.nn.Module
        Named in the error.
    image_size : (int, int)
        Height and width that came.
    least : (int, int)
        The smallest that work.

    Returns
    -------
    height, width : int
    """
    height, width = map(int, image_size)
    if height < least[0] or width < least[1]:
        raise ValueError(
            f"{type(network).__name__} got images of {height}x{width} pixels (height x width); it "
            f"takes {least[0]}x{least[1]} or larger: put Resize({least}) or more before it"
        )
    return height, width
