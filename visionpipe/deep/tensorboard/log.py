"""A training written down for TensorBoard."""

import io
import time
import warnings
from contextlib import redirect_stdout
from numbers import Real
from pathlib import Path

import torch
from skorch.callbacks import Callback

from visionpipe.deep.tensorboard.mistakes import find_mistakes, mistakes_in_words
from visionpipe.deep.tensorboard.tiles import filter_tiles, grid
from visionpipe.kernels.color import to_unit
from visionpipe.networks.dry_run import in_eval_mode

_VALUES = 100_000  # of a tensor at most, evenly spaced, in its histogram
_SPLITS = {"train": "training", "valid": "validation"}


class TensorBoardLog(Callback):
    """Write the course of a training into a folder, for ``tensorboard --logdir`` to show.

    ============================= ==========================================================
    scalars                       each number of `net.history`, such as ``loss/train``,
                                  ``loss/valid``, ``acc/valid`` and ``dur``, in seconds;
                                  ``learning_rate/0`` of the first group of parameters
    histograms                    ``weights/*``; ``gradients/*``, of an epoch's last batch
    images                        ``first_layer``: the filters of the first convolution, each
                                  between its lowest (black) and highest weight;
                                  ``misclassified/*`` at the end
    text                          the true and predicted classes of those images
    graph                         of the network, if torch can trace it
    ============================= ==========================================================

    Steps are epochs. It changes nothing in the training. Misclassified are the surest mistakes, 64
    at most, among up to 4,096 validation images, or training images if there are none.

    Parameters
    ----------
    directory : path-like
        Each training writes to a folder of its own in it, named after the time it began.
    class_names : sequence or None, default=None
        What to call the classes, by their numbers. None shows the numbers.

    Attributes
    ----------
    run_directory_ : pathlib.Path
        The folder of the last training.

    Notes
    -----
    Needs ``pip install 'visionpipe[tensorboard]'``. Copies and pickles hold no open file. Where
    another callback stops the training or sets the learning rate at the end of an epoch, put this
    one before it.

    Examples
    --------
    >>> from visionpipe import CNNClassifier
    >>> from visionpipe.deep.tensorboard.log import TensorBoardLog
    >>> cnn = CNNClassifier("lenet", callbacks=[TensorBoardLog("runs")])
    """

    def __init__(self, directory, class_names=None):
        self.directory = directory
        self.class_names = class_names

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Open the files, and draw the network."""
        writer_class = import_summary_writer(type(self).__name__)
        self._close()
        self.run_directory_ = _new_run(Path(self.directory).expanduser())
        self.writer_ = writer_class(str(self.run_directory_))
        self.last_epoch_ = len(net.history)
        self._write_graph(net, X)

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        """Write the numbers of the epoch before, when every callback has added its own."""
        self.datasets_ = {"train": dataset_train, "valid": dataset_valid}
        self._write_numbers(net.history[:-1])

    def on_epoch_end(self, net, **kwargs):
        """Write weights, gradients, filters and learning rates."""
        epoch = len(net.history)
        for name, weights in net.module_.named_parameters():
            self._write_histogram(f"weights/{name}", weights, epoch)
            self._write_histogram(f"gradients/{name}", weights.grad, epoch)
        for number, group in enumerate(net.optimizer_.param_groups):
            self.writer_.add_scalar(f"learning_rate/{number}", float(group["lr"]), epoch)
        tiles = filter_tiles(net.module_)
        if tiles is not None:
            self.writer_.add_image("first_layer", grid(tiles), epoch)

    def on_train_end(self, net, X=None, y=None, **kwargs):
        """Write the last numbers and, if the last epoch came to its end, the mistakes."""
        try:
            self._write_numbers(net.history)
            if net.history and _is_whole(net.history[-1]) and "datasets_" in vars(self):
                self._write_mistakes(net)
        finally:
            self._close()

    def _write_numbers(self, history):
        if not history or not _is_whole(history[-1]) or len(history) <= self.last_epoch_:
            return
        self.last_epoch_ = len(history)
        for name, value in history[-1].items():
            if name != "epoch" and isinstance(value, Real) and not isinstance(value, bool):
                self.writer_.add_scalar(_tag(name), float(value), self.last_epoch_)
        self.writer_.flush()

    def _write_histogram(self, tag, tensor, epoch):
        if tensor is None:
            return
        values = tensor.detach().flatten()
        values = values[:: -(-len(values) // _VALUES) or 1].float()
        values = values[values.isfinite()]
        if len(values):
            self.writer_.add_histogram(tag, values.cpu().numpy(), epoch)

    def _write_graph(self, net, X):
        gpus = [net.device] if net.device.type == "cuda" else []
        with (
            torch.random.fork_rng(devices=gpus),
            in_eval_mode(net.module_),
            torch.no_grad(),
            warnings.catch_warnings(),
            redirect_stdout(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            try:
                self.writer_.add_graph(net.module_, net.as_seen(X[:2]))
            except Exception:  # whatever a tracer cannot follow is none of the training's business
                return

    def _write_mistakes(self, net):
        split = "train" if self.datasets_["valid"] is None else "valid"
        mistakes = find_mistakes(net, self.datasets_[split])
        tag, epoch = f"misclassified/{_SPLITS[split]}", len(net.history)
        names = net.classes if self.class_names is None else self.class_names
        self.writer_.add_text(tag, mistakes_in_words(mistakes, names), epoch)
        if len(mistakes.images):
            self.writer_.add_image(tag, grid(to_unit(mistakes.images)), epoch)

    def _close(self):
        vars(self).pop("datasets_", None)
        writer = vars(self).pop("writer_", None)
        if writer is not None:
            writer.close()

    def __getstate__(self):
        return {k: v for k, v in vars(self).items() if k not in ("writer_", "datasets_")}


def import_summary_writer(owner):
    """Import torch's writer for TensorBoard, which is optional, or say how to get it."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError(
            f"{owner} needs tensorboard: pip install 'visionpipe[tensorboard]' ({error})"
        ) from error
    return SummaryWriter


def _new_run(directory):
    """Make a folder of the time it is, numbered if processes begin in the same second."""
    name, number = time.strftime("%Y-%m-%d_%H-%M-%S"), 1
    while True:
        path = directory / (name if number == 1 else f"{name}_{number:02}")
        try:
            path.mkdir(parents=True)  # of all that try, one succeeds
        except FileExistsError:
            if not path.is_dir():  # a file stands where a folder should
                raise
            number += 1
        else:
            return path


def _is_whole(row):
    """Whether an epoch came to its end: only then has it a loss."""
    return "train_loss" in row


def _tag(name):
    """``loss/train`` for ``train_loss``, so that TensorBoard shows it beside ``loss/valid``."""
    split, _, what = name.partition("_")
    return f"{what}/{split}" if split in _SPLITS else name
