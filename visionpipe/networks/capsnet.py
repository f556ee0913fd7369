"""Capsules: groups of units whose length tells whether a thing is there, and direction how."""

from collections import OrderedDict

import torch
from torch import nn

from visionpipe.networks.image_size import check_image_size

_N_MAPS = 256  # of either convolution
_PRIMARY_UNITS = 8  # of a primary capsule
_CLASS_UNITS = 16  # of the capsule of a class
_DECODER_UNITS = (512, 1024)

# Equation 4: a class that is there should be longer than the first, another shorter than the second
_MARGIN_THERE, _MARGIN_ABSENT = 0.9, 0.1
_WEIGHT_ABSENT = 0.5
_WEIGHT_OF_RECONSTRUCTION = 0.0005

_LEAST_LENGTH = 1e-6  # a shorter capsule counts as one of this length: zero has no logarithm
_LEAST_RANGE = 1e-6  # of the values of an image

# The smallest images for which a layer still gives something.
_NEEDED = {"conv1": (9, 9), "conv2": (17, 17)}


class CapsNet(nn.Module):
    """Capsule network with dynamic routing (Sabour, Frosst & Hinton 2017).

    ================ =============== =========== =====================
    layer            output (28x28)  activations parameters
    ================ =============== =========== =====================
    conv1, 9x9       256 x 20 x 20   102,400     20,736 c + 256
    conv2, 9x9/2     256 x 6 x 6     9,216       5,308,672
    primary_capsules 1152 x 8        9,216
    class_capsules   n_classes x 16  160         147,456 n_classes
    log_length       n_classes       n_classes
    decoder.dense1   512             512         8,192 n_classes + 512
    decoder.dense2   1024            1,024       525,312
    decoder.dense3   c x 28 x 28     784 c       1,025 · 784 c
    ================ =============== =========== =====================

    6,804,224 parameters for grey images of 28x28 pixels and 10 classes, and 1,411,344 of the
    decoder, which only training uses. ReLU follows conv1 and the first two layers of the decoder, a
    sigmoid the last. Other sizes leave (h - 15) // 2 · (w - 15) // 2 places in place of 6 x 6, each
    with 32 capsules and 40,960 parameters of class_capsules at 10 classes, and c · h · w numbers in
    dense3: images much larger than 28x28 want a network of another kind, or `Resize`.

    The logits are the logarithms of the lengths of the class capsules: softmax turns them into the
    lengths, divided by their sum. Training is on the lengths themselves, see `training_loss`.

    Initial weights of class_capsules are normal of deviation 0.1, all others PyTorch's; the paper
    gives none. Gradients flow through all rounds of routing, as in the authors' code
    (Sarasra/models, research/capsules); many reimplementations stop them in all but the last.

    Differs from the authors' code, and not from the paper: the capsules of classes have no bias,
    the margin loss is not halved. Differs from the paper, whose images have values in 0..1: the
    decoder learns each image stretched so that its least value becomes 0 and its largest 1. Least
    image size: 17x17.

    Parameters
    ----------
    n_channels : int
    image_size : (int, int)
        Height and width.
    n_classes : int
    n_routings : int
        Rounds of routing; 1 sends an equal share of each primary capsule to every class.
    reconstruction : bool
        Whether there is a decoder, whose error is a part of the training loss.

    Raises
    ------
    ValueError
        If there is no round of routing, or the images are too small.

    References
    ----------
    S. Sabour, N. Frosst and G. E. Hinton, "Dynamic routing between capsules", NIPS, 2017.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.networks.capsnet import CapsNet
    >>> network = CapsNet(n_channels=1, image_size=(20, 20), n_classes=4)
    >>> images = torch.rand(2, 1, 20, 20)
    >>> network(images).shape
    torch.Size([2, 4])
    >>> capsules = network.capsules(images)
    >>> capsules.shape
    torch.Size([2, 4, 16])
    >>> network.reconstruct(capsules, torch.tensor([3, 0])).shape
    torch.Size([2, 1, 20, 20])
    """

    def __init__(self, *, n_channels, image_size, n_classes, n_routings=3, reconstruction=True):
        super().__init__()
        height, width = check_image_size(self, image_size, _NEEDED["conv2"], _NEEDED)
        n_places = (height - 15) // 2 * ((width - 15) // 2)
        n_capsules = _N_MAPS // _PRIMARY_UNITS * n_places
        self.conv1 = nn.Conv2d(n_channels, _N_MAPS, 9)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(_N_MAPS, _N_MAPS, 9, stride=2)
        self.primary_capsules = PrimaryCapsules()
        self.class_capsules = ClassCapsules(n_capsules, n_classes, n_routings)
        self.log_length = LogLength()
        self.decoder = _decoder(n_classes, (n_channels, height, width)) if reconstruction else None

    def forward(self, images):
        return self.log_length(self.capsules(images))  # (b, n_classes)

    def capsules(self, images):
        """Capsules of the classes.

        Parameters
        ----------
        images : Tensor (b, c, h, w)

        Returns
        -------
        Tensor (b, n_classes, 16)
            Of lengths in 0..1.
        """
        maps = self.relu1(self.conv1(images))  # (b, 256, 20, 20)
        maps = self.conv2(maps)  # (b, 256, 6, 6)
        return self.class_capsules(self.primary_capsules(maps))  # (b, n_classes, 16)

    def reconstruct(self, capsules, labels):
        """Images that the decoder, which has to be there, draws from the capsule of one class each.

        Parameters
        ----------
        capsules : Tensor (b, n_classes, 16)
        labels : Tensor of int64 (b,)
            The class whose capsule is looked at; the others count as zero.

        Returns
        -------
        Tensor (b, c, h, w)
            In 0..1.
        """
        return self.decoder(capsules * _is_label(labels, capsules.shape[1]).unsqueeze(-1))

    def training_loss(self, images, labels, criterion):
        """Margin loss (equation 4), and error of the reconstruction (section 4.1).

        Of an image, max(0, 0.9 - length)^2 of its class and 0.5 max(0, length - 0.1)^2 of each
        other one; with a decoder, also 0.0005 times the sum of the squared differences between what
        is reconstructed from the label's capsule and the image, stretched to 0..1.

        Parameters
        ----------
        images : Tensor (b, c, h, w)
        labels : Tensor of int64 (b,)
        criterion : callable
            Decides one thing alone: if it returns a single number for logits and labels, the loss
            is the mean over the images, else there is one for each image. Its class weights and
            label smoothing, if any, have no effect.

        Returns
        -------
        loss : Tensor () or (b,)
        logits : Tensor (b, n_classes)
        """
        capsules = self.capsules(images)  # (b, n_classes, 16)
        logits = self.log_length(capsules)
        losses = _margin_loss(logits.exp(), labels)  # (b,)
        if self.decoder is not None:
            differences = self.reconstruct(capsules, labels) - _stretched(images)  # (b, c, h, w)
            losses = losses + _WEIGHT_OF_RECONSTRUCTION * differences.square().sum((1, 2, 3))
        with torch.no_grad():
            wants_one_an_image = criterion(logits, labels).ndim > 0
        return (losses if wants_one_an_image else losses.mean()), logits


class PrimaryCapsules(nn.Module):
    """Maps (b, 8 n, h, w) to capsules (b, n h w, 8), out of 8 neighbouring maps at a place each."""

    def forward(self, maps):
        parts = maps.unflatten(1, (-1, _PRIMARY_UNITS))  # (b, 32, 8, 6, 6)
        return squash(parts.movedim(2, -1).flatten(1, 3))  # (b, 1152, 8)


class ClassCapsules(nn.Module):
    """Capsules of classes, by agreement between what those below predict of them (procedure 1).

    A capsule u_i predicts W_ij u_i of class j. Of these predictions, weighted by how much capsule i
    couples with class j, the sum s_j is squashed into v_j. The coupling is a softmax over the
    classes of logits that begin at zero and after each round but the last grow by the agreement
    v_j · (W_ij u_i).

    Predictions, 16 numbers for each pair of capsules, are never computed. With couplings c_ij, s_j
    is the sum of W_ij (c_ij u_i) over i, for each class a product of matrices (b, n_capsules · 8)
    and (n_capsules · 8, 16); the agreement is (v_j W_ij) · u_i. Both take 8 numbers for each pair.

    Parameters
    ----------
    n_capsules : int
        Below, of 8 units.
    n_classes : int
    n_routings : int

    Raises
    ------
    ValueError
        If there is no round of routing.
    """

    def __init__(self, n_capsules, n_classes, n_routings):
        super().__init__()
        if n_routings < 1:
            raise ValueError(
                f"CapsNet(n_routings={n_routings!r}): n_routings must be 1 or more; the paper "
                "takes 3"
            )
        self.n_routings = n_routings
        shape = (n_classes, n_capsules, _PRIMARY_UNITS, _CLASS_UNITS)
        self.weight = nn.Parameter(torch.empty(shape))
        nn.init.normal_(self.weight, std=0.1)

    def forward(self, primary):
        n_classes, n_capsules, *_ = self.weight.shape
        below = primary.unsqueeze(1)  # (b, 1, n_capsules, 8)
        logits = primary.new_zeros(len(primary), n_classes, n_capsules)
        capsules = self._round(below, logits)
        for _ in range(self.n_routings - 1):
            back = torch.einsum("bje,jide->bjid", capsules, self.weight)
            logits = logits + (back * below).sum(-1)  # (b, n_classes, n_capsules)
            capsules = self._round(below, logits)
        return capsules

    def _round(self, below, logits):
        coupled = logits.softmax(1).unsqueeze(-1) * below  # (b, n_classes, n_capsules, 8)
        return squash(torch.einsum("bjid,jide->bje", coupled, self.weight))  # (b, n_classes, 16)

    def extra_repr(self):
        return f"{self.weight.shape[1]}, {self.weight.shape[0]}, n_routings={self.n_routings}"


class LogLength(nn.Module):
    """Logarithms (b, n) of the lengths of capsules (b, n, d)."""

    def forward(self, capsules):
        # In float32, as bfloat16 is coarse for a margin. The gradient of a norm at zero is zero.
        lengths = torch.linalg.vector_norm(capsules.float(), dim=-1)  # (b, n)
        return lengths.clamp(min=_LEAST_LENGTH).log()


def squash(capsules):
    """Shorten vectors (..., d) of length n to n^2 / (1 + n^2), equation 1."""
    lengths = torch.linalg.vector_norm(capsules, dim=-1, keepdim=True)  # (..., 1)
    return capsules * (lengths / (1 + lengths.square()))


def _decoder(n_classes, image_shape):
    """Capsules (b, n_classes, 16) -> images (b, c, h, w) in 0..1."""
    c, h, w = image_shape
    return nn.Sequential(
        OrderedDict(
            flatten=nn.Flatten(),  # (b, 160)
            dense1=nn.Linear(n_classes * _CLASS_UNITS, _DECODER_UNITS[0]),  # (b, 512)
            relu1=nn.ReLU(),
            dense2=nn.Linear(*_DECODER_UNITS),  # (b, 1024)
            relu2=nn.ReLU(),
            dense3=nn.Linear(_DECODER_UNITS[1], c * h * w),  # (b, 784)
            sigmoid=nn.Sigmoid(),
            unflatten=nn.Unflatten(1, image_shape),  # (b, 1, 28, 28)
        )
    )


def _margin_loss(lengths, labels):
    """Equation 4, summed over the classes: (b,) of lengths (b, n_classes)."""
    there = (_MARGIN_THERE - lengths).clamp(min=0).square()
    absent = _WEIGHT_ABSENT * (lengths - _MARGIN_ABSENT).clamp(min=0).square()
    return torch.where(_is_label(labels, lengths.shape[1]), there, absent).sum(1)


def _is_label(labels, n_classes):
    """Whether a class is the label, bool (b, n_classes)."""
    return labels.unsqueeze(1) == torch.arange(n_classes, device=labels.device)


def _stretched(images):
    """Images (b, c, h, w), each with 0 as its least value and 1 as its largest."""
    least, largest = (f(images, dim=(1, 2, 3), keepdim=True) for f in (torch.amin, torch.amax))
    return (images - least) / (largest - least).clamp(min=_LEAST_RANGE)
