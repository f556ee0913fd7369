"""The engine inside CNNClassifier: a skorch net fed by whole tensors."""

import math
from contextlib import contextmanager

import numpy as np
import torch
from skorch import NeuralNetClassifier
from skorch.history import History
from skorch.utils import to_device
from torch.utils.data import Subset

from visionpipe.deep.batches import TensorBatches
from visionpipe.kernels.color import to_unit


class StoppedByCallback(KeyboardInterrupt):
    """A callback, such as skorch's EarlyStopping, wants no further epoch."""


class TensorNet(NeuralNetClassifier):
    """A skorch classifier of images held in one tensor (n, c, h, w), uint8 or float32.

    Differs from its parent in four things: batches are cut from tensors, they are standardised on
    the device, losses wait on the device until the epoch is over, and a loss that is not finite
    stops the training.

    Parameters
    ----------
    mean, std : ndarray of float32 of shape (c,)
        Subtracted from each channel, and what it is then divided by, on the scale 0..1.
    n_classes : int
    device : torch.device
    **options
        The parent's.
    """

    tasks_ = None  # EpochTasks, while `train` runs

    def __init__(self, *, mean, std, n_classes, device, **options):
        super().__init__(
            **{
                "classes": np.arange(n_classes),
                "iterator_train": TensorBatches,
                "iterator_train__shuffle": True,
                "iterator_valid": TensorBatches,
                "train_split": None,
                **options,
            },
            device=device,
        )
        self.pixel_mean_ = torch.tensor(mean, device=device).view(-1, 1, 1)  # (c, 1, 1)
        self.pixel_std_ = torch.tensor(std, device=device).view(-1, 1, 1)

    def move_to(self, device):
        """Bring what prediction needs to a device."""
        self.device = device
        self.module_.to(device)
        self.pixel_mean_, self.pixel_std_ = self.pixel_mean_.to(device), self.pixel_std_.to(device)

    def train(self, X, y, tasks):
        """Train, once initialised.

        Parameters
        ----------
        X : Tensor (n, c, h, w)
        y : Tensor (n,)
            Class numbers.
        tasks : EpochTasks
            Told of each epoch; may stop the training.

        Raises
        ------
        ValueError
            If a loss or a weight is no longer finite.
        """
        if self.device.type == "cuda" and X.nbytes < torch.cuda.mem_get_info(self.device)[0] / 4:
            X, y = X.to(self.device), y.to(self.device)  # batches are then cut on the GPU
        # Not partial_fit, which takes Ctrl-C for the end of a good training: in a search, a network
        # trained by half would compete.
        self.notify("on_train_begin", X=X, y=y)
        self.tasks_ = tasks
        try:
            self.fit_loop(X, y)
        except StoppedByCallback:
            tasks.end(self)  # where skorch's callbacks stopped it
        finally:
            del self.tasks_  # they hold the images
            self.notify("on_train_end", X=X, y=y)
        if not all(bool(p.isfinite().all()) for p in self.module_.parameters()):
            self._diverged("weights became infinite")  # in the last step, after the last loss

    def notify(self, method_name, **cb_kwargs):
        """As in the parent, and tell the tasks of epochs outside of what skorch's callbacks do."""
        if self.tasks_ and method_name == "on_epoch_begin":
            self.tasks_.begin(self)
        try:
            super().notify(method_name, **cb_kwargs)
        except KeyboardInterrupt as interrupt:  # how skorch's callbacks end a training
            raise StoppedByCallback from interrupt
        if self.tasks_ and method_name == "on_epoch_end" and self.tasks_.end(self):
            raise StoppedByCallback

    def probabilities(self, batch):
        """ndarray (b, n_classes) for images (b, c, h, w)."""
        self.module_.eval()
        with torch.inference_mode():
            return self.infer(batch).softmax(dim=1).cpu().numpy()  # (b, n_classes)

    def infer(self, x, **fit_params):
        """Logits (b, n_classes) of images (b, c, h, w)."""
        x = to_unit(to_device(x, self.device))
        logits = self.module_((x - self.pixel_mean_).div_(self.pixel_std_), **fit_params)
        if logits.shape != (len(x), len(self.classes)):
            raise ValueError(
                f"{type(self.module_).__name__} returned logits of shape {tuple(logits.shape)} for "
                f"{len(x)} images of {len(self.classes)} classes; wanted "
                f"{(len(x), len(self.classes))}"
            )
        return logits

    def check_data(self, X, y=None):
        """Nothing: CNNClassifier has checked, and the parent would sort y once more."""

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """One pass over the data, as in the parent but for the losses.

        The parent asks for each batch's loss as a number, for which a GPU must empty its queue.
        Here history holds tensors without dimensions until the epoch is over. They format and
        compare as numbers do, should a callback look at them earlier.
        """
        if iterator is None:
            return
        records = []
        try:
            for batch in iterator:
                self.notify("on_batch_begin", batch=batch, training=training)
                step = step_fn(batch, **fit_params)
                self.history.record_batch(f"{prefix}_loss", step["loss"].detach())
                self.history.record_batch(f"{prefix}_batch_size", len(batch[0]))
                records.append(self.history[-1]["batches"][-1])
                self.notify("on_batch_end", batch=batch, training=training, **step)
        finally:  # also when a callback or the user stops the training
            _losses_to_numbers(records, f"{prefix}_loss")
        self.history.record(f"{prefix}_batch_count", len(records))
        bad = [loss for r in records if not math.isfinite(loss := r[f"{prefix}_loss"])]
        if training and bad:
            self._diverged(f"a loss became {bad[0]}")

    def _diverged(self, what):
        raise ValueError(
            f"training diverged in epoch {len(self.history)} with lr={self.lr:g}: {what}; lower lr"
        )


def _losses_to_numbers(records, key):
    if records:
        losses = torch.stack([record[key] for record in records]).tolist()
        for record, loss in zip(records, losses, strict=True):
            record[key] = loss


def split_at(dataset, y=None, *, train, valid):
    """skorch's ``train_split``: rows chosen beforehand."""
    return Subset(dataset, train), Subset(dataset, valid)


@contextmanager
def seeded(seed, device):
    """Draw from this seed inside the block, and leave the caller's generators as they were.

    `torch.manual_seed` would also reseed the generators of GPUs that are none of our business.
    """
    gpus = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        torch.default_generator.manual_seed(seed)
        for gpu in gpus:
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(seed)
        yield


def strip(net):
    """What prediction needs of a fitted net, and its history by epochs: plain values and arrays.

    No module, optimizer or tensor is in it, so that it loads beside another version of torch, and
    on a machine without the GPU it was trained on.
    """
    weights = {}
    for name, value in net.module_.state_dict().items():
        if isinstance(value, torch.Tensor):
            value = value.float() if value.dtype == torch.bfloat16 else value  # numpy has none
            value = value.cpu().numpy()
        weights[name] = value
    return {
        "module": net.module,
        "options": net.get_params_for("module"),
        "weights": weights,
        "history": [{k: v for k, v in epoch.items() if k != "batches"} for epoch in net.history],
    }


def rebuild(stripped, **options):
    """A net on the CPU that predicts as the one that was stripped did."""
    cpu = torch.device("cpu")
    with seeded(0, cpu):  # initial weights are drawn, to be overwritten
        net = TensorNet(
            device=cpu,
            module=stripped["module"],
            **{f"module__{name}": value for name, value in stripped["options"].items()},
            criterion=torch.nn.CrossEntropyLoss,
            verbose=0,
            **options,
        ).initialize()
    weights = stripped["weights"]
    net.module_.load_state_dict(
        {n: torch.tensor(w) if isinstance(w, np.ndarray) else w for n, w in weights.items()}
    )
    net.module_.eval()
    net.history = History({**epoch, "batches": []} for epoch in stripped["history"])
    return net
