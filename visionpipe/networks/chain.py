"""Networks that are layers one after the other."""

from collections import OrderedDict

from torch import nn


class Chain(nn.Sequential):
    """A `torch.nn.Sequential` to derive networks from.

    A slice of one, such as ``network[:-1]``, is a plain `torch.nn.Sequential` of the same layers,
    where torch would call the class, whose constructor takes no layers.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.networks.lenet import LeNet5
    >>> lenet = LeNet5(n_channels=1, image_size=(28, 28), n_classes=10)
    >>> lenet[:-1](torch.rand(2, 1, 28, 28)).shape
    torch.Size([2, 84])
    """

    def __getitem__(self, index):
        if isinstance(index, slice):
            return nn.Sequential(OrderedDict(list(self.named_children())[index]))
        return super().__getitem__(index)
