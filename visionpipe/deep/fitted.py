"""What estimators share that hold a fitted network: its pickling, its module, its image size."""

import numpy as np
from sklearn.utils import check_random_state

from visionpipe.base import to_batch
from visionpipe.deep.stripped import rebuild, strip

__all__ = ["HoldsNetwork", "draw_seed"]


class HoldsNetwork:
    """Mixin of the estimators that have a network ``net_``, a `TensorNet`, once they are fitted.

    They have ``image_shape_in_`` then, the height, width and channels of the images seen in `fit`,
    and a method ``_seen_as()`` that returns the ``mean``, ``std`` and ``n_classes`` of the net.
    """

    @property
    def module_(self):
        return self.net_.module_

    def check_size(self, size, *, owner):
        """Raise a ValueError unless images are of the size seen in `fit`.

        Parameters
        ----------
        size : (int, int)
            Height and width.
        owner : str
            Who was given the images, for the message.
        """
        fitted = self.image_shape_in_[:2]
        if size != fitted:
            what = "" if owner == type(self).__name__ else f" has a {type(self).__name__} that"
            raise ValueError(
                f"{owner}{what} was fitted on images of size (height, width) {fitted} and got "
                f"{size}; put Resize({fitted}) before it"
            )

    def _as_in_fit(self, batch):
        """The batch (b, c, h, w) with the channels seen in `fit`, or a ValueError."""
        self.check_size(tuple(batch.shape[2:]), owner=type(self).__name__)
        n_channels = self.image_shape_in_[2]
        if batch.shape[1] > n_channels:
            raise ValueError(
                f"{type(self).__name__} was fitted on grey images and got RGB ones; "
                "put Grayscale() before it"
            )
        return batch.expand(-1, n_channels, -1, -1)

    def _batches_as_in_fit(self, images):
        """Rows, and batches (b, c, h, w) with the channels seen in `fit`, or a ValueError."""
        height, width, _ = self.image_shape_in_
        for rows, pixels in images.batches(self.batch_size * height * width):
            yield rows, self._as_in_fit(to_batch(pixels))

    def _rebuild(self, stripped):
        return rebuild(stripped, **self._seen_as())

    def _of_a_copy(self, net):
        """Attributes of a copy that predicts as the net would now, however it is trained on."""
        return {"net_": self._rebuild(strip(net)), "n_iter_": len(net.history)}

    def __getstate__(self):
        state = dict(super().__getstate__())
        if "net_" in state:
            state["net_"] = strip(state["net_"])
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if "net_" in state:
            self.net_ = self._rebuild(state["net_"])


def draw_seed(random_state):
    """Draw a seed for torch, as an int, from what scikit-learn's `random_state` may be."""
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
