"""The course of the learning rate over one training."""

import math

from skorch.callbacks import Callback


class OneCycle(Callback):
    """Raise the learning rate linearly from near 0 to ``lr``, then lower it to near 0 by a cosine.

    The rate changes with each batch; the whole course takes ``max_epochs`` epochs (Smith & Topin
    2018, with one cosine for their last two phases, and the momentum left alone). Parameter groups
    with rates of their own keep their proportions.

    Parameters
    ----------
    warm_up : float in (0, 1)
        The rising part of the training. The paper takes just under half, fast.ai a quarter.

    References
    ----------
    L. N. Smith and N. Topin, "Super-convergence: very fast training of neural networks using large
    learning rates", arXiv:1708.07120, 2018.
    """

    def __init__(self, warm_up=0.15):
        self.warm_up = warm_up

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Note the peak of each parameter group."""
        self.peaks_ = [group["lr"] for group in net.optimizer_.param_groups]
        self.step_ = 0

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        """Learn how many steps the training will take."""
        self.n_steps_ = net.max_epochs * len(net.get_iterator(dataset_train, training=True))

    def on_batch_begin(self, net, batch=None, training=False, **kwargs):
        """Set the rate of the step to come."""
        if training:
            self.step_ += 1
            share = self._share(self.step_, self.n_steps_)
            for group, peak in zip(net.optimizer_.param_groups, self.peaks_, strict=True):
                group["lr"] = peak * share

    def _share(self, step, n_steps):
        """Part of the peak at a step, counted from 1."""
        n_rising = max(1, round(self.warm_up * n_steps))
        if step <= n_rising:
            return step / n_rising
        return (1 + math.cos(math.pi * (step - n_rising) / (n_steps - n_rising + 1))) / 2
