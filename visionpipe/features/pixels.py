"""The pixels themselves, as vectors."""

from visionpipe.base import ImageTransformer, check_choice
from visionpipe.kernels.color import rgb_to_grey, to_unit

__all__ = ["Pixels"]


class Pixels(ImageTransformer):
    """The pixels of an image in one row: the baseline that every feature has to beat.

    Images must be of one size. `Unflatten` is the way back.

    Parameters
    ----------
    color_space : {"grey", "rgb"}, default="grey"
        What each image is turned into first, so that grey and RGB ones may be mixed.
    store : None, "auto", path-like or FeatureStore, default=None
        Where vectors are kept, so that each image is computed once; "auto" keeps them
        in the user's cache folder if reading is faster than computing.
    device : str or torch.device, default="cpu"
        Where to compute; ``"auto"`` is a GPU if there is one.

    Attributes
    ----------
    image_shape_in_ : tuple (h, w, c)
        Shape of the first image seen in `fit`.

    Examples
    --------
    >>> from visionpipe import Pixels, load_faces
    >>> Pixels().fit_transform(load_faces().images).shape
    (200, 625)
    """

    _needs_one_size = True
    _kernels = ("color",)

    def __init__(self, *, color_space="grey", store=None, device="cpu"):
        self.color_space = color_space
        self.store = store
        self.device = device

    def _check_params(self):
        check_choice(self, color_space=("grey", "rgb"))

    def _vectors(self, batch):
        batch = to_unit(batch)
        if self.color_space == "rgb":
            batch = batch.expand(-1, 3, -1, -1)
        elif batch.shape[1] == 3:
            batch = rgb_to_grey(batch)
        return batch.permute(0, 2, 3, 1).flatten(1)  # (b, h * w * c)
