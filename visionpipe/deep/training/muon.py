"""Muon, an optimizer that takes steps of equal size in all directions of a filter bank."""

from collections import defaultdict

import torch
from torch.optim.adamw import adamw

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic polynomial, chosen by Jordan et al.
_N_STEPS = 5
_EPS = 1e-7  # added to norms


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024) for the filters of convolutions, AdamW for all other parameters.

    Filters (o, i, kh, kw) are taken as a matrix (o, i kh kw). Its gradient goes through Nesterov
    momentum, then all its singular values are brought near 1, and what results is subtracted,
    times ``lr`` and ``sqrt(max(1, o / (i kh kw)))``. The step depends neither on the scale of the
    loss nor on that of the gradient.

    A group of parameters is split in two, marked by ``group["kind"]``, so that a schedule that
    multiplies each ``group["lr"]`` acts on both kinds alike.

    Parameters
    ----------
    params : iterable of parameters or of dicts
        As for every optimizer of torch. A group with an ``lr`` of its own and no ``adam_lr`` uses
        it for all its parameters.
    lr : float, default=0.05
        Learning rate of filters.
    adam_lr : float, default=5e-3
        Learning rate of all other parameters: biases, scales, dense layers.
    momentum : float in [0, 1), default=0.9
        Of filters. AdamW has 0.9 and 0.999, torch's defaults.
    weight_decay : float, default=0
        A step first multiplies its parameters by 1 minus this times their learning rate (Loshchilov
        & Hutter 2019).
    normalize : bool, default=False
        Scale each filter bank to the norm ``sqrt(o)`` before each step, as airbench94_muon does. It
        suits convolutions with batch normalisation behind them, which undoes any scale, and makes
        `lr` the share of the weights that a step turns over.

    Raises
    ------
    ValueError
        If a rate or the decay is negative, or `momentum` is not in [0, 1).

    Notes
    -----
    Five steps of Newton and Schulz as in the article (airbench94_muon takes three); the momentum is
    between the article's 0.95 and airbench94_muon's 0.6. Rates were chosen on scikit-learn's digits
    and on 10,000 images of Fashion-MNIST. On digits at 28x28, LeNet-5 came to 98.3 % or more with
    every `lr` of 0.01, 0.02, 0.05 and 0.1 (8 epochs in batches of 32, one cycle, ``adam_lr=3e-3``,
    597 images held out, 3 seeds each).

    References
    ----------
    K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024,
    https://kellerjordan.github.io/posts/muon/

    I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", ICLR, 2019.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.deep.training.muon import Muon
    >>> layer = torch.nn.Conv2d(3, 8, 5)
    >>> optimizer = Muon(layer.parameters(), lr=0.1)
    >>> [(group["kind"], group["lr"]) for group in optimizer.param_groups]
    [('filters', 0.1), ('others', 0.005)]
    >>> layer(torch.rand(2, 3, 9, 9)).square().mean().backward()
    >>> optimizer.step()
    """

    # Not torch.optim.Muon: it refuses filters, and its bfloat16 is slow on most CPUs and coarse
    # where singular values differ much.

    def __init__(
        self, params, lr=0.05, *, adam_lr=5e-3, momentum=0.9, weight_decay=0.0, normalize=False
    ):
        for name, value in (("lr", lr), ("adam_lr", adam_lr), ("weight_decay", weight_decay)):
            if not value >= 0:
                raise ValueError(f"Muon got {name}={value!r}; it must be a number from 0")
        if not 0 <= momentum < 1:
            raise ValueError(f"Muon got momentum={momentum!r}; it must be from 0 to below 1")
        defaults = {
            "lr": lr,
            "adam_lr": adam_lr,
            "momentum": momentum,
            "weight_decay": weight_decay,
            "normalize": normalize,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group):
        """Add parameters, as two groups if both kinds are among them."""
        options = dict(param_group)
        params = options.pop("params")
        params = [params] if isinstance(params, torch.Tensor) else list(params)
        adam_lr = options.get("adam_lr", options.get("lr", self.defaults["adam_lr"]))
        filters = [param for param in params if _is_filter_bank(param)]
        others = [param for param in params if not _is_filter_bank(param)]
        if filters:
            super().add_param_group({**options, "params": filters, "kind": "filters"})
        if others:
            super().add_param_group(
                {**options, "params": others, "kind": "others", "lr": adam_lr, "fused": True}
            )

    @torch.no_grad()
    def step(self, closure=None):
        """Change all parameters that have a gradient.

        Parameters
        ----------
        closure : callable or None
            Computes the loss and the gradients anew.

        Returns
        -------
        loss
            What the closure returned, or None.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [param for param in group["params"] if param.grad is not None]
            if params:
                step = self._step_filters if group["kind"] == "filters" else self._step_others
                step(params, [param.grad for param in params], group)
        return loss

    def _step_filters(self, params, grads, group):
        momenta = [self._state(param, "momentum_buffer") for param in params]
        torch._foreach_lerp_(momenta, grads, 1 - group["momentum"])
        updates = torch._foreach_lerp(grads, momenta, group["momentum"])  # Nesterov's
        _orthogonalize_all([_as_matrix(update) for update in updates])
        if group["normalize"]:
            norms = torch._foreach_norm(params)
            torch._foreach_add_(norms, _EPS)
            torch._foreach_div_(params, norms)
            torch._foreach_mul_(params, [len(param) ** 0.5 for param in params])
        if group["weight_decay"]:
            torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
        for param, update in zip(params, updates, strict=True):
            scale = max(1, len(param) / param[0].numel()) ** 0.5
            param.add_(update, alpha=-group["lr"] * scale)

    def _step_others(self, params, grads, group):
        for param in params:
            if "step" not in self.state[param]:
                self.state[param]["step"] = torch.zeros((), device=param.device)
        adamw(
            params,
            grads,
            [self._state(param, "exp_avg") for param in params],
            [self._state(param, "exp_avg_sq") for param in params],
            [],
            [self.state[param]["step"] for param in params],
            fused=group["fused"],
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            eps=1e-8,
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            maximize=False,
        )

    def _state(self, param, name):
        """A tensor like the parameter, zeros at first."""
        state = self.state[param]
        if name not in state:
            state[name] = torch.zeros_like(param)
        return state[name]


def orthogonalize(matrices):
    """Bring singular values near 1 by a Newton-Schulz iteration.

    Its polynomial trades accuracy for speed. What was between 0.0016 and 1 of the matrix's norm
    comes between 0.68 and 1.21; what was smaller stays smaller.

    Parameters
    ----------
    matrices : Tensor (..., m, n)

    Returns
    -------
    Tensor (..., m, n)
        Of the same singular vectors; float32 from a CPU, bfloat16 from a GPU.
    """
    on_cpu = matrices.device.type == "cpu"
    x = matrices.to(torch.float32 if on_cpu else torch.bfloat16)
    is_tall = x.shape[-2] > x.shape[-1]
    x = x.mT if is_tall else x  # the products of rows are then the smaller matrix
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + _EPS)  # no singular value exceeds 1
    x = _iterate_on_products(x) if on_cpu else _iterate(x)
    return x.mT if is_tall else x


def _iterate(x):
    """The iteration as published; bfloat16 is precise enough for it."""
    for _ in range(_N_STEPS):
        x = _factor(x @ x.mT) @ x
    return x


def _iterate_on_products(x):
    """The same with small matrices in the loop, for what multiplies slowly; needs float32."""
    gram = x @ x.mT  # (..., m, m)
    factor = product = _factor(gram)
    for _ in range(_N_STEPS - 1):
        gram = factor @ gram @ factor
        factor = _factor(gram)
        product = factor @ product
    return product @ x


def _factor(gram):
    """What the polynomial multiplies a matrix by, from the products of its rows."""
    a, b, c = _COEFFICIENTS
    factor = b * gram + c * gram @ gram
    factor.diagonal(dim1=-2, dim2=-1).add_(a)
    return factor


def _orthogonalize_all(matrices):
    """In place; those of one shape together, which saves most of the calls for small ones."""
    by_shape = defaultdict(list)
    for matrix in matrices:
        by_shape[matrix.shape].append(matrix)
    for alike in by_shape.values():
        torch._foreach_copy_(alike, list(orthogonalize(torch.stack(alike))))


def _is_filter_bank(param):
    return (param[1] if isinstance(param, tuple) else param).ndim == 4  # a tuple begins with a name


def _as_matrix(filters):
    """Filters (o, i, kh, kw) as a matrix (o, i kh kw): a view, in the memory's order of columns."""
    order = sorted((1, 2, 3), key=filters.stride, reverse=True)
    return filters.permute(0, *order).view(len(filters), -1)
