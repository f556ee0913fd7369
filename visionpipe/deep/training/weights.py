"""Copies of a network's weights: the last good ones, the best ones, their moving average."""

import math

import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn


def copy_of(module):
    """Return weights and buffers of a module by name, as they are now."""
    return {
        name: value.detach().clone() if isinstance(value, torch.Tensor) else value
        for name, value in module.state_dict().items()
    }


class MovingAverage:
    """Exponential moving average of a module's weights and floating-point buffers.

    After n steps the average is ``d * average + (1 - d) * weights`` with
    ``d = min(decay, (1 + n) / (10 + n))``, so that early on it forgets the initial weights, as
    TensorFlow's ``ExponentialMovingAverage(decay, num_updates)`` does.

    Parameters
    ----------
    module : torch.nn.Module
    decay : float in (0, 1)
    """

    def __init__(self, module, decay):
        self.decay, self.n_steps = decay, 0
        self._now = [v for v in module.state_dict().values() if _is_float(v)]  # shared with it
        self._average = [value.clone() for value in self._now]

    @torch.no_grad()
    def update(self):
        """Take account of a step of training."""
        self.n_steps += 1
        decay = min(self.decay, (1 + self.n_steps) / (10 + self.n_steps))
        get_ema_multi_avg_fn(decay)(self._average, self._now, None)

    @torch.no_grad()
    def swap(self):
        """Put the average in the module's place, and what was there in the average's."""
        for now, average in zip(self._now, self._average, strict=True):
            held = now.clone()
            now.copy_(average)
            average.copy_(held)

    def state(self):
        """What `load` needs to go on from here."""
        return {"n_steps": self.n_steps, "average": list(self._average)}

    def load(self, state):
        """Go on from a state."""
        self.n_steps = state["n_steps"]
        for average, loaded in zip(self._average, state["average"], strict=True):
            average.copy_(loaded)


def _is_float(value):
    return isinstance(value, torch.Tensor) and value.is_floating_point()


class BestWeights:
    """Remember the weights of the least validation loss, and when nothing better comes, stop.

    Parameters
    ----------
    patience : int
        Epochs without a lower loss, after which to stop.
    """

    def __init__(self, patience):
        self.patience = patience
        self.loss, self.epoch, self.weights = math.inf, 0, None

    def update(self, weights, loss, epoch):
        """Compare an epoch, counted from 1, with the best so far.

        Parameters
        ----------
        weights : dict
            What `copy_of` made after it; kept, not copied again.
        loss : float
        epoch : int

        Returns
        -------
        bool
            Whether to stop.
        """
        if math.isnan(loss):
            loss = math.inf  # nothing would ever be less than it
        if loss < self.loss or self.weights is None:
            self.loss, self.epoch, self.weights = loss, epoch, weights
        return epoch - self.epoch >= self.patience

    def state(self):
        """What `load` needs to go on from here."""
        return {"loss": self.loss, "epoch": self.epoch, "weights": self.weights}

    def load(self, state):
        """Go on from a state."""
        self.loss, self.epoch, self.weights = state["loss"], state["epoch"], state["weights"]
