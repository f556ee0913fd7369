"""Fractional max pooling: maps shrink by a factor between 1 and 2, over regions that are drawn."""

import torch
from torch import nn
from torch.nn import functional as F

_OVERLAPPING = (False, True, "squares")


class FractionalMaxPool2d(nn.Module):
    """Maximum over regions of random place (Graham 2014).

    Along each axis of n_in pixels, n_out regions cover all of them, from the first to the last.
    Counted from 0, they lie between the places of a sequence that starts with a_0 = 0 and whose
    increments are all 1 or 2:

    =============== ==================== ============== ==================== =================
    ``overlapping`` region i of 1..n_out pixels of it   number of increments their sum
    =============== ==================== ============== ==================== =================
    False           a_{i-1} .. a_i - 1   1 or 2         n_out                n_in
    True            a_{i-1} .. a_i       2 or 3         n_out                n_in - 1
    "squares"       a_{i-1}, a_{i-1} + 1 2              n_out - 1            n_in - 2
    =============== ==================== ============== ==================== =================

    Pseudorandom sequences are a_i = ceil(alpha (i + u)) - ceil(alpha u), where alpha is the sum of
    the increments over their number and u is uniform in 0..1, drawn for each axis: the increments
    are spread evenly. Random ones are the same increments in any order, all orders alike.

    In training each image of a batch has regions of its own, the same for all its channels. In
    evaluation mode all images share the regions of one draw: they are still random, because the
    paper averages several passes, but an image's maxima do not depend on the rest of its batch.
    Both are drawn from torch's global generator for the device of the maps.

    Differs from the paper: sequences are shifted to start with the first pixel. All of the paper's
    end with the last one, whose row no disjoint region would reach; those of disjoint regions end
    one further here, as in ``tf.nn.fractional_max_pool``. "squares" are not in the paper:
    pseudorandom ones are those of `torch.nn.FractionalMaxPool2d` for ``kernel_size=2``, by its
    formula, but for channels, each of which has a draw of its own there.

    Parameters
    ----------
    pooling_ratio : float or (float, float), default=None
        How many times as long an axis is before as after, for height and width, above 1 and below
        2; n_out is n_in / pooling_ratio, rounded down. Exactly one of this and `output_size`.
    output_size : int or (int, int), default=None
        Height and width afterwards. An axis can be halved, rounded up, or lose a pixel, or come to
        something in between.
    pseudorandom : bool, default=True
        Whether sequences are pseudorandom, else random.
    overlapping : {True, False, "squares"}, default=True
        See above.

    Raises
    ------
    ValueError
        If none or both of `pooling_ratio` and `output_size` are given, or a value is not among
        those above; in ``forward`` if maps cannot be pooled to the size.

    References
    ----------
    B. Graham, "Fractional max-pooling", arXiv:1412.6071, 2014, section 2.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.networks.fractional_max_pool import FractionalMaxPool2d
    >>> pool = FractionalMaxPool2d(output_size=(25, 24))
    >>> pool(torch.rand(2, 3, 35, 35)).shape
    torch.Size([2, 3, 25, 24])
    """

    def __init__(
        self, *, pooling_ratio=None, output_size=None, pseudorandom=True, overlapping=True
    ):
        super().__init__()
        if (pooling_ratio is None) == (output_size is None):
            raise ValueError(
                f"FractionalMaxPool2d got pooling_ratio={pooling_ratio!r} and "
                f"output_size={output_size!r}; set exactly one of them"
            )
        self.pooling_ratio = None if pooling_ratio is None else _pair(pooling_ratio)
        self.output_size = None if output_size is None else _pair(output_size)
        self.pseudorandom, self.overlapping = pseudorandom, overlapping
        if pooling_ratio is not None and not all(1 < ratio < 2 for ratio in self.pooling_ratio):
            raise ValueError(
                f"FractionalMaxPool2d(pooling_ratio={pooling_ratio!r}): pooling_ratio must be a "
                "number above 1 and below 2, or a pair of them"
            )
        if overlapping not in _OVERLAPPING:
            raise ValueError(
                f"FractionalMaxPool2d(overlapping={overlapping!r}): overlapping must be one of "
                f"{', '.join(map(repr, _OVERLAPPING))}"
            )

    def forward(self, maps):
        """Pool maps (b, c, h, w) to (b, c, h', w'), in the memory format they came in."""
        sizes_in = tuple(maps.shape[2:])
        sizes_out = self.output_size or tuple(
            int(n_in / ratio) for n_in, ratio in zip(sizes_in, self.pooling_ratio, strict=True)
        )
        n_draws = len(maps) if self.training else 1
        rows, columns = (
            self._draw(n_draws, n_in, n_out, maps.device)
            for n_in, n_out in zip(sizes_in, sizes_out, strict=True)
        )
        return max_over_regions(maps, rows, columns)

    def _draw(self, n_draws, n_in, n_out, device):
        """Regions (n_draws, n_out, k) of an axis."""
        n_increments, distance = _sequence_size(n_in, n_out, self.overlapping)
        n_numbers = 1 if self.pseudorandom else n_increments
        uniform = torch.rand(n_draws, n_numbers, dtype=torch.float32, device=device)
        if not self.pseudorandom:
            sequences = random_sequences(uniform, distance)
        elif self.overlapping == "squares":
            sequences = torch_sequences(uniform, n_increments, distance)
        else:
            sequences = pseudorandom_sequences(uniform, n_increments, distance)
        return regions_between(sequences, self.overlapping)

    def extra_repr(self):
        names = ("pooling_ratio", "output_size", "pseudorandom", "overlapping")
        options = ((name, getattr(self, name)) for name in names)
        return ", ".join(f"{name}={value!r}" for name, value in options if value is not None)


def max_over_regions(maps, rows, columns):
    """Maximum of maps over regions that are products of rows and columns.

    Parameters
    ----------
    maps : Tensor of shape (b, c, h, w), floating point
    rows : int64 Tensor of shape (b or 1, h', k)
        The k rows of each region, for each image or for all.
    columns : int64 Tensor of shape (b or 1, w', k)

    Returns
    -------
    Tensor of shape (b, c, h', w'), in the memory format of the maps
    """
    n_images, n_maps, _, width = maps.shape
    height_out, width_out = rows.shape[1], columns.shape[1]
    # channels last: what is picked are whole rows, then whole pixels
    x = maps.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)  # (b, h, w, c)
    x = _max_of_picked(x.flatten(2), rows.expand(n_images, -1, -1))  # (b, h', w c)
    x = x.reshape(n_images * height_out, width, n_maps)
    columns = columns[:, None].expand(n_images, height_out, -1, -1).flatten(0, 1)  # (b h', w', k)
    x = _max_of_picked(x, columns).view(n_images, height_out, width_out, n_maps)
    x = x.permute(0, 3, 1, 2)  # (b, c, h', w')
    return x.contiguous() if maps.is_contiguous() else x


def _max_of_picked(x, places):
    """Maximum (p, m, q) of x (p, n, q) over the k places along n in each row of (p, m, k).

    To lay the places side by side and let torch pool them is faster, in both directions, than the
    maximum of k tensors, and `index_select` faster than `take_along_dim` or indexing.
    """
    n_parts, n, n_values = x.shape
    n_regions, k = places.shape[1:]
    starts = n * torch.arange(n_parts, device=x.device)
    places = (places + starts[:, None, None]).flatten()  # (p m k,)
    picked = x.reshape(n_parts * n, n_values).index_select(0, places)  # (p m k, q)
    picked = picked.view(n_parts, n_regions * k, 1, n_values).permute(0, 3, 1, 2)  # (p, q, m k, 1)
    return F.max_pool2d(picked, (k, 1)).permute(0, 2, 3, 1)[:, :, 0]  # (p, m, q)


def pseudorandom_sequences(uniform, n_increments, distance):
    """Sequences ceil(alpha (i + u)), shifted to start with 0; alpha = distance / n_increments.

    Computed in whole numbers, so that no rounding changes an increment: ceil(x / n), for n whole,
    is that of ceil(x) / n.

    Parameters
    ----------
    uniform : Tensor of shape (r, 1)
        u of each sequence, in 0..1.
    n_increments, distance : int
        distance / n_increments is 1 to 2.

    Returns
    -------
    int64 Tensor of shape (r, n_increments + 1)
        From 0 to `distance`.
    """
    shift = (uniform * distance).long() + 1  # ceil(n_increments alpha u), 1 ... distance
    steps = torch.arange(n_increments + 1, device=uniform.device)
    sequences = (distance * steps + shift + (n_increments - 1)) // n_increments
    return sequences - sequences[:, :1]


def torch_sequences(uniform, n_increments, distance):
    """Sequences int(alpha (i + u)) - int(alpha u), as in torch, with its rounding.

    That makes an increment 0 or 3 once in a million draws or so. Parameters and what is returned
    are those of `pseudorandom_sequences`; there may also be no increment, over no distance.
    """
    alpha = distance / max(n_increments, 1)
    steps = torch.arange(n_increments + 1, device=uniform.device)
    sequences = ((steps + uniform) * alpha).long() - (uniform * alpha).long()
    return sequences.masked_fill(steps == n_increments, distance)


def random_sequences(uniform, distance):
    """Sequences of increments 1 and 2 in random order.

    Parameters
    ----------
    uniform : Tensor of shape (r, n_increments)
        Independent numbers in 0..1; their ranks are the order.
    distance : int
        n_increments to twice as many.

    Returns
    -------
    int64 Tensor of shape (r, n_increments + 1)
        From 0 to `distance`.
    """
    n_twos = distance - uniform.shape[1]
    increments = 1 + (uniform.argsort(dim=1) < n_twos).long()
    return F.pad(increments.cumsum(dim=1), (1, 0))


def regions_between(sequences, overlapping):
    """Pixels (r, n_out, k) of each region of an axis; one stands twice in the shorter regions."""
    if overlapping == "squares":
        return torch.stack([sequences, sequences + 1], dim=2)
    first, last = sequences[:, :-1], sequences[:, 1:]
    if overlapping:
        return torch.stack([first, first + 1, last], dim=2)
    return torch.stack([first, last - 1], dim=2)


def _sequence_size(n_in, n_out, overlapping):
    """Number and sum of the increments, which are then 1 and 2, or an error."""
    missing, without = {False: (0, 0), True: (1, 0), "squares": (2, 1)}[overlapping]
    distance = n_in - missing
    fewest, most = max(1, (distance + 1) // 2 + without), distance + without
    if not fewest <= n_out <= most:
        raise ValueError(
            f"FractionalMaxPool2d cannot pool {n_in} pixels to {n_out}; with "
            f"overlapping={overlapping!r} it can pool them to {fewest} or more, but no more than "
            f"{most}: change output_size or pooling_ratio"
        )
    return n_out - without, distance


def _pair(value):
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)
