"""The course of the learning rate over one training."""

import math
from functools import partial

from skorch.callbacks import Callback

__all__ = ["SHARES", "Schedule"]

# Each function gives the share of the highest rate at a place in the training, 0 at its first step
# and 1 after its last.


def one_cycle(place, n_steps, warm_up=0.15):
    """Rise linearly from near 0, then fall by a cosine to near 0.

    That is Smith & Topin 2018 with one cosine for their last two phases, and the momentum left
    alone. The paper rises for just under half of the training, fast.ai for a quarter.
    """
    return cosine(place, n_steps, warm_up)


def cosine(place, n_steps, warm_up=0.0):
    """Fall by half a cosine (Loshchilov & Hutter 2017, without restarts)."""
    return _after_warm_up(lambda rest: (1 + math.cos(math.pi * rest)) / 2, place, n_steps, warm_up)


def linear(place, n_steps, warm_up=0.0):
    """Fall on a straight line, to near 0."""
    return _after_warm_up(lambda rest: 1 - rest, place, n_steps, warm_up)


def step(place, n_steps, gamma=0.1, milestones=(0.5, 0.75)):
    """Fall to a tenth after half and after three quarters of the training (He et al. 2016)."""
    return gamma ** sum(place >= milestone for milestone in milestones)


def exponential(place, n_steps, gamma=0.1, every=1 / 3, staircase=True):
    """Fall to a tenth in each third of the training, at its end or, with no staircase, steadily."""
    periods = place / every
    return gamma ** (math.floor(periods + 1e-9) if staircase else periods)


def _after_warm_up(share, place, n_steps, warm_up):
    """Rise over a part of the training, and fall over the rest as `share` says.

    No step has a rate of 0: the first of n rising ones has 1/n, and of the falling ones the last
    stops one short of the end.
    """
    number = round(place * n_steps) + 1  # of the step, counted from 1
    n_rising = max(1, round(warm_up * n_steps)) if warm_up else 0
    if number <= n_rising:
        return number / n_rising
    if not n_rising:
        return share((number - 1) / n_steps)
    return share((number - n_rising) / (n_steps - n_rising + 1))


SHARES = {
    function.__name__: function for function in (cosine, exponential, linear, one_cycle, step)
}
_OPTIONS = {
    "every": ("a share of the training, above 0 and up to 1", lambda part: 0 < part <= 1),
    "gamma": ("a positive number", lambda factor: factor > 0),
    "milestones": ("places from 0 to 1", lambda places: all(0 <= place <= 1 for place in places)),
    "warm_up": ("a share of the training, from 0 to 1", lambda part: 0 <= part <= 1),
}


class Schedule(Callback):
    """Set the learning rate of each batch, or epoch, by its place in the training.

    The whole course takes ``max_epochs`` epochs. Parameter groups with rates of their own keep
    their proportions.

    Parameters
    ----------
    name : {"cosine", "exponential", "linear", "one_cycle", "step"}
    per : {"batch", "epoch"}
        How often the rate changes.
    **options
        ``warm_up``, share of the training in which the rate rises: of "one_cycle" (0.15), "cosine"
        and "linear" (0). ``gamma``, factor of "step" and "exponential" (0.1). ``milestones``,
        places in the training from 0 to 1 where "step" falls (0.5, 0.75). ``every``, share of the
        training after which "exponential" has fallen by its factor (1/3), and ``staircase``,
        whether it falls all at once (True).

    References
    ----------
    K. He, X. Zhang, S. Ren and J. Sun, "Deep residual learning for image recognition", CVPR, 2016.

    I. Loshchilov and F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR, 2017.

    L. N. Smith and N. Topin, "Super-convergence: very fast training of neural networks using large
    learning rates", arXiv:1708.07120, 2018.
    """

    def __init__(self, name="one_cycle", per="batch", **options):
        self.name, self.per, self.options = name, per, options

    def initialize(self):
        """Look up the course by its name."""
        if self.per not in ("batch", "epoch"):
            raise ValueError(f"lr_schedule__per={self.per!r} is unknown; use 'batch' or 'epoch'")
        self.share_ = partial(SHARES[self.name], **self.options)
        try:
            self._check_options()
            self.share_(0.0, 1)
        except TypeError as error:
            raise ValueError(f"lr_schedule={self.name!r} does not take this: {error}") from None
        return self

    def _check_options(self):
        for name, value in self.options.items():
            wanted, holds = _OPTIONS.get(name, (None, lambda value: True))
            if not holds(value):
                raise ValueError(f"lr_schedule__{name}={value!r}: {name} must be {wanted}")

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Note the peak of each parameter group, in its state: a training may be continued."""
        for group in net.optimizer_.param_groups:
            group.setdefault("initial_lr", group["lr"])

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        """Learn where in the training this epoch stands."""
        n_batches = len(net.get_iterator(dataset_train, training=True))
        steps_an_epoch = n_batches if self.per == "batch" else 1
        self.n_steps_ = net.max_epochs * steps_an_epoch
        self.step_ = (len(net.history) - 1) * steps_an_epoch
        if self.per == "epoch":
            self._set(net)

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        """Set the rate of the step to come."""
        if training and self.per == "batch":
            self._set(net)
            self.step_ += 1

    def _set(self, net):
        share = self.share_(self.step_ / self.n_steps_, self.n_steps_)
        for group in net.optimizer_.param_groups:
            group["lr"] = group["initial_lr"] * share
