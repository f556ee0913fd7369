"""What the Inception networks share: branches side by side, and classifiers on the way."""

import torch
from torch import nn


class Branches(nn.ModuleDict):
    """Modules that all take the same maps, and give theirs one after the other.

    Maps (b, c, h, w) -> (b, c_1 + c_2 + ..., h', w'), where branch i gives c_i of them.

    Parameters
    ----------
    branches : dict of str to torch.nn.Module
    """

    def forward(self, maps):
        return torch.cat([branch(maps) for branch in self.values()], dim=1)


class ChainWithHeads(nn.Module):
    """Layers one after the other, and auxiliary classifiers on what some of them give.

    The classifiers, called heads, run in `training_loss` alone: `forward` neither asks nor needs
    them.

    Parameters
    ----------
    layers : OrderedDict of str to torch.nn.Module
        The last one gives logits.
    heads : dict of str to torch.nn.Module
        Name of a layer -> classifier of what it gives. May be empty.
    head_weight : float
        Of the loss of each head.
    """

    def __init__(self, layers, heads, head_weight):
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.heads = nn.ModuleDict(heads)
        self.head_weight = head_weight

    def forward(self, images):
        maps = images
        for _, layer in self._chain():
            maps = layer(maps)
        return maps  # (b, n_classes)

    def training_loss(self, images, labels, criterion):
        """Loss of the logits, and of those of each head, weighted.

        Parameters
        ----------
        images : Tensor (b, c, h, w), float32
        labels : Tensor (b,), int64
        criterion : callable
            Of logits (b, n_classes) and labels; gives a number, or one for each image (b,).

        Returns
        -------
        loss : Tensor
            Of the shape that the criterion gives.
        logits : Tensor (b, n_classes)
            What `forward` gives.
        """
        maps, head_losses = images, []
        for name, layer in self._chain():
            maps = layer(maps)
            if name in self.heads:
                head_losses.append(criterion(self.heads[name](maps), labels))
        return criterion(maps, labels) + self.head_weight * sum(head_losses), maps

    def _chain(self):
        """Names and layers, in the order they run."""
        return [(name, layer) for name, layer in self.named_children() if layer is not self.heads]


def fitting_window(side, size):
    """Height and width of a window with sides of `side`, or of as much as maps of `size` have."""
    return tuple(min(side, length) for length in size)
