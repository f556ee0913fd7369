"""How a net is trained: epochs of batches, and all that happens between them."""

import math
import warnings
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

import torch
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback
from torch import nn
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import Subset

from visionpipe.deep.data.augmentation import Augmentation
from visionpipe.deep.data.views import random_crop
from visionpipe.deep.net import TensorNet, memory_explained
from visionpipe.deep.stripped import plain_history
from visionpipe.deep.training.freezing import Freezing
from visionpipe.deep.training.weights import BestWeights, MovingAverage, copy_of

_BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_grad_computed")


class StoppedByCallback(KeyboardInterrupt):
    """A callback, such as skorch's EarlyStopping, wants no further epoch."""


class Diverged(ValueError):
    """A loss or a weight is no longer a finite number."""


@dataclass(frozen=True)
class TrainingOptions:
    """What a training does beside stepping down the gradient.

    Parameters
    ----------
    seed : int
        Of the augmentation that is not drawn but computed.
    augmentation : Augmentation or None
    weight_decay : float or None
        Of weights with two axes and more; None leaves it to the optimizer.
    clip_grad_norm : float or None
        Longer gradients, all weights taken together, are shortened to this.
    ema_decay : float or None
        Of the moving average of the weights.
    patience : int or None
        Epochs without a lower validation loss after which to stop, with the best weights.
    frozen : frozenset of str
        Names of parameters that stay as they are.
    freeze_epochs : int or None
        Epochs for which they do; None stands for all.
    lr_factors : dict of str to float
        By which the learning rates of parameters are multiplied, where that is not by 1.
    """

    seed: int = 0
    augmentation: Augmentation | None = None
    weight_decay: float | None = None
    clip_grad_norm: float | None = None
    ema_decay: float | None = None
    patience: int | None = None
    frozen: frozenset = frozenset()
    freeze_epochs: int | None = None
    lr_factors: dict = field(default_factory=dict)


class TrainingNet(TensorNet):
    """A net that can be trained.

    Differs from skorch's in how an epoch goes: images are augmented on the device, losses wait
    there until the epoch is over, callbacks are told of batches only if they listen, and a loss
    that is not finite stops the training.

    Parameters
    ----------
    training : TrainingOptions
    **options
        Those of `TensorNet`.
    """

    tasks_ = checkpoint_ = sample_weight_ = None  # while `train` runs
    freezing_ = None

    def __init__(self, *, training, **options):
        super().__init__(**options)
        self.training_ = training
        self.average_ = self.best_ = self.last_good_ = None

    def get_params_for_optimizer(self, prefix, named_parameters):
        """As in the parent, with groups by weight decay and by factors of the learning rate.

        Weight decay shrinks filters and matrices, not biases and scales.
        """
        named_parameters = list(named_parameters)
        (groups, *rest), options = super().get_params_for_optimizer(prefix, named_parameters)
        factors = {p: self.training_.lr_factors.get(name, 1) for name, p in named_parameters}
        split = [part for group in groups for part in self._split(group, factors)]
        # The rate of the first group is the one that the history tells of.
        split.sort(key=lambda group: group["lr_factor"] != 1)
        return (split, *rest), options

    def _split(self, group, factors):
        """Groups of parameters that share their factor, and whether weight decay shrinks them."""
        decay = self.training_.weight_decay
        parts = {}
        for parameter in group["params"]:
            shrinks = decay is not None and parameter.ndim > 1
            parts.setdefault((factors[parameter], shrinks), []).append(parameter)
        for (factor, shrinks), members in sorted(parts.items(), key=lambda part: not part[0][1]):
            decays = {} if decay is None else {"weight_decay": decay if shrinks else 0.0}
            yield {**decays, **group, "params": members, "lr_factor": factor}

    def initialize_optimizer(self, *args, **kwargs):
        """As in the parent, with each group's learning rate multiplied by its factor."""
        super().initialize_optimizer(*args, **kwargs)
        for group in self.optimizer_.param_groups:
            group["lr"] *= group.get("lr_factor", 1)  # some optimizers make groups of their own
        return self

    def train(self, X, y, tasks, *, n_epochs, sample_weight=None, checkpoint=None, state=None):
        """Train, once initialised, until there are so many epochs in all.

        Parameters
        ----------
        X : Tensor, PinnedPixels or LazyPixels (n, c, h, w)
        y : Tensor (n,)
            Class numbers.
        tasks : EpochTasks
            Told of each epoch; may stop the training.
        n_epochs : int
        sample_weight : Tensor (n,) of float32 or None
            Of mean 1. The criterion then has to return a loss for each image.
        checkpoint : CheckpointFolder or None
            Where `state` is written after each epoch.
        state : dict or None
            Of an earlier training, which is gone on with.

        Raises
        ------
        Diverged
            If a loss or a weight is no longer finite in the first epoch.
        MemoryError
            If a batch does not fit into memory.

        Warns
        -----
        ConvergenceWarning
            If that happens in a later epoch; the network has the weights of the last good one.
        """
        self._equip(state)
        if isinstance(X, torch.Tensor):  # what batches are cut from is on one device
            y = y.to(X.device)
            sample_weight = None if sample_weight is None else sample_weight.to(X.device)
        self.sample_weight_ = sample_weight
        # Not partial_fit, which takes Ctrl-C for the end of a good training: in a search, a network
        # trained by half would compete.
        self.notify("on_train_begin", X=X, y=y)
        self.tasks_, self.checkpoint_ = tasks, checkpoint
        try:
            with memory_explained(self.batch_size):
                self.fit_loop(X, y, epochs=self._n_epochs_left(n_epochs))
        except StoppedByCallback:
            tasks.end(self)  # where skorch's callbacks stopped it
        except Diverged as error:
            self._fall_back(error)
            tasks.end(self)
        finally:
            self.freezing_.switch(False)
            del self.tasks_, self.checkpoint_, self.sample_weight_  # they hold the images
            if self.best_ is not None and self.best_.weights is not None:
                self.module_.load_state_dict(self.best_.weights)
            self.notify("on_train_end", X=X, y=y)
        if checkpoint is not None:
            checkpoint.write(len(self.history), {**self.state(), "finished": True})

    def _equip(self, state):
        """Make ready what training needs beside the parent's things, as the state has it."""
        options = self.training_
        self.learnable_ = [p for _, p in self.get_all_learnable_params() if p.requires_grad]
        self.listeners_ = {hook: self._listeners(hook) for hook in _BATCH_HOOKS}
        self.freezing_ = Freezing(self.module_, options.frozen)
        if options.ema_decay is not None and self.average_ is None:
            self.average_ = MovingAverage(self.module_, options.ema_decay)
        if options.patience is not None:
            self.best_ = BestWeights(options.patience)
        self.finished_ = state is not None and state.get("finished", False)
        if state is not None:
            self.load_state(state)

    def _set_training(self, training=True):
        """As in the parent; the statistics of frozen normalisations stay as they are."""
        super()._set_training(training)
        if training and self.freezing_ is not None:
            self.freezing_.rest()

    def _listeners(self, hook):
        """The callbacks that do something when told of it; most do nothing, thousands of times."""
        idle = getattr(Callback, hook)
        called = (getattr(callback, hook) for _, callback in self.callbacks_)
        return [method for method in called if getattr(method, "__func__", None) is not idle]

    def _n_epochs_left(self, n_epochs):
        return 0 if self.finished_ else max(0, n_epochs - len(self.history))

    def notify(self, method_name, **cb_kwargs):
        """As in the parent, and tell the tasks of epochs outside of what skorch's callbacks do."""
        if self.tasks_ and method_name == "on_epoch_begin":
            self.tasks_.begin(self)
        try:
            if method_name in _BATCH_HOOKS and self.tasks_:
                for method in self.listeners_[method_name]:
                    method(self, **cb_kwargs)
            else:
                super().notify(method_name, **cb_kwargs)
        except KeyboardInterrupt as interrupt:  # how skorch's callbacks end a training
            raise StoppedByCallback from interrupt
        if self.tasks_ and method_name == "on_epoch_end":
            self._end_epoch()

    def _end_epoch(self):
        """Keep what this epoch has reached, and see whether there is to be another."""
        stop = False
        self.last_good_ = copy_of(self.module_)
        if self.best_ is not None:
            stop = self.best_.update(
                self.last_good_, float(self.history[-1, "valid_loss"]), len(self.history)
            )
        if self.checkpoint_ is not None:
            self.checkpoint_.write(len(self.history), self.state())
        if self.tasks_.end(self) or stop:
            raise StoppedByCallback

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """One pass over the data, as in the parent but for the losses.

        The parent asks for each batch's loss as a number, for which a GPU must empty its queue.
        Here history holds tensors without dimensions until the epoch is over. They format and
        compare as numbers do, should a callback look at them earlier.
        """
        if iterator is None:
            return
        records, rates = [], []
        if training:
            n_epochs = self.training_.freeze_epochs
            self.freezing_.switch(n_epochs is None or len(self.history) <= n_epochs)
            self._set_training(True)
        with self._weights_in_training() if training else nullcontext():
            try:
                for rows, batch in iterator.with_rows():
                    self.history.new_batch()
                    self.notify("on_batch_begin", batch=batch, training=training)
                    rates.append(self.optimizer_.param_groups[0]["lr"])
                    step = step_fn(batch, rows=rows)
                    records.append(self.history[-1]["batches"][-1])
                    records[-1][f"{prefix}_loss"] = step["loss"].detach()
                    records[-1][f"{prefix}_batch_size"] = len(batch[0])
                    self.notify("on_batch_end", batch=batch, training=training, **step)
            finally:  # also when a callback or the user stops the training
                _losses_to_numbers(records, f"{prefix}_loss")
        self.history.record(f"{prefix}_batch_count", len(records))
        if training:
            self.history.record("lr", rates[-1])
            self._check_finite([record[f"{prefix}_loss"] for record in records], rates)

    @contextmanager
    def _weights_in_training(self):
        """Outside, the network has the average of its weights, for whoever looks at it."""
        if self.average_ is None:
            yield
            return
        self.average_.swap()  # the first time they are equal
        try:
            yield
        finally:
            self.average_.swap()

    def train_step(self, batch, rows):
        """One step of the optimizer; returns the loss and the logits before it.

        Parameters
        ----------
        batch : (images (b, c, h, w), labels (b,))
        rows : Tensor of int64 (b,) or slice
            Their places in the data set.
        """
        images, labels, weights = self._on_device(batch, rows)
        images = self._augmented(images, rows)
        if not self.module_.training:
            self._set_training(True)
        steps = []

        def closure():
            self.optimizer_.zero_grad()
            loss, logits = self._training_loss(images, labels, weights)
            loss.backward()
            if self.listeners_["on_grad_computed"]:
                named = list(self.get_all_learnable_params())
                self.notify("on_grad_computed", named_parameters=named, batch=batch, training=True)
            if self.training_.clip_grad_norm is not None:
                clip_grad_norm_(self.learnable_, self.training_.clip_grad_norm)
            steps.append({"loss": loss, "y_pred": logits})
            return loss

        self.optimizer_.step(closure)
        if self.average_ is not None:
            self.average_.update()
        return steps[0]  # of those that some optimizers take for one, the first

    def validation_step(self, batch, rows):
        """Loss and logits of a batch, as in `train_step`, of the network as it predicts."""
        images, labels, weights = self._on_device(batch, rows)
        if self.module_.training:
            self._set_training(False)
        with torch.no_grad():
            logits = self.infer(images)
            loss = self._weighted(self._criterion(logits, labels), weights)
            return {"loss": loss, "y_pred": logits}

    def _on_device(self, batch, rows):
        images, labels = (part.to(self.device, non_blocking=True) for part in batch)
        weights = self.sample_weight_
        if weights is not None:
            weights = weights[rows].to(self.device, non_blocking=True)
        return images, labels, weights

    def _augmented(self, images, rows):
        if self.training_.augmentation is not None:
            if isinstance(rows, slice):
                rows = torch.arange(rows.start, rows.stop)
            images = self.training_.augmentation.apply(
                images, rows.to(self.device), len(self.history) - 1, self.training_.seed
            )
        return images if self.crop_size_ is None else random_crop(images, self.crop_size_)

    def _training_loss(self, images, labels, weights):
        """Loss, by the network's own ``training_loss`` if it has one, and logits (b, n_classes)."""
        if hasattr(self.module_, "training_loss"):
            with self.in_precision():
                loss, logits = self.module_.training_loss(
                    self.as_seen(images), labels, self._criterion
                )
            logits = self.checked(logits, len(labels))
        else:
            logits = self.infer(images)
            loss = self._criterion(logits, labels)
        return self._weighted(loss, weights), logits

    def _criterion(self, logits, labels):
        """Loss of logits: a single number or, where images are weighted, one for each of them."""
        logits = logits.float()
        if isinstance(self.criterion_, nn.NLLLoss):
            logits = logits.log_softmax(1)
        return self.criterion_(logits, labels)

    @staticmethod
    def _weighted(loss, weights):
        """Mean of losses (b,), weighted by weights (b,) if there are any."""
        if weights is not None:
            loss = loss * weights
        return loss.mean() if loss.ndim else loss

    def _check_finite(self, losses, rates):
        where = f"epoch {len(self.history)}"
        for number, (loss, rate) in enumerate(zip(losses, rates, strict=True), start=1):
            if not math.isfinite(loss):
                raise Diverged(
                    f"training diverged in {where}, batch {number}, at a learning rate of "
                    f"{rate:g}: a loss became {loss}; lower lr={self.lr:g}"
                )
        if not torch.stack([p.isfinite().all() for p in self.learnable_]).all():
            raise Diverged(  # in the last step, after the last loss
                f"training diverged in {where}, batch {len(losses)}, at a learning rate of "
                f"{rates[-1]:g}: weights became infinite; lower lr={self.lr:g}"
            )

    def _fall_back(self, error):
        """Go back to the weights of the last good epoch, if there is one."""
        if self.last_good_ is None:
            raise error
        self.module_.load_state_dict(self.last_good_)
        self.average_ = None  # it has taken part, as has the optimizer's memory
        self.initialize_optimizer()
        self.history.pop()
        warnings.warn(
            f"{error}; the network has the weights of epoch {len(self.history)}",
            ConvergenceWarning,
            stacklevel=4,
        )

    def state(self):
        """All that decides how the training goes on, as tensors and plain values."""
        state = {
            "seed": self.training_.seed,
            "module": self.module_.state_dict(),
            "criterion": self.criterion_.state_dict(),
            "optimizer": self.optimizer_.state_dict(),
            "history": plain_history(self.history),
            "random": torch.get_rng_state(),
            "average": None if self.average_ is None else self.average_.state(),
            "best": None if self.best_ is None else self.best_.state(),
        }
        if self.device.type == "cuda":
            state["random_of_gpu"] = torch.cuda.get_rng_state(self.device)
        return state

    def load_state(self, state):
        """Go on from a state."""
        self.module_.load_state_dict(state["module"])
        self.criterion_.load_state_dict(state["criterion"])
        self.optimizer_.load_state_dict(state["optimizer"])
        self.history.clear()
        self.history.extend({**epoch, "batches": []} for epoch in state["history"])
        torch.set_rng_state(state["random"])
        if self.device.type == "cuda" and "random_of_gpu" in state:
            torch.cuda.set_rng_state(state["random_of_gpu"], self.device)
        if self.average_ is not None:
            self.average_.load(state["average"])
        if self.best_ is not None:
            self.best_.load(state["best"])
        self.last_good_ = copy_of(self.module_)


def _losses_to_numbers(records, key):
    if records:
        losses = torch.stack([record[key] for record in records]).tolist()
        for record, loss in zip(records, losses, strict=True):
            record[key] = loss


def split_at(dataset, y=None, *, train, valid):
    """skorch's ``train_split``: rows chosen beforehand."""
    return Subset(dataset, train), Subset(dataset, valid)
