"""Images that a network takes for something else."""

from dataclasses import dataclass

import numpy as np
import torch

from visionpipe.deep.data.batches import Batches
from visionpipe.networks.dry_run import in_eval_mode

LOOKED_AT = 4096
SHOWN = 64


@dataclass(frozen=True)
class Mistakes:
    """The surest mistakes of a network, the surest first.

    Parameters
    ----------
    images : Tensor (n, c, h, w)
        uint8 or float32 in 0..1.
    true, predicted : ndarray of int of shape (n,)
        Class numbers.
    probability : ndarray of float32 of shape (n,)
        Of the predicted class.
    n_all, n_looked_at : int
        How many mistakes there are among how many images.
    """

    images: torch.Tensor
    true: np.ndarray
    predicted: np.ndarray
    probability: np.ndarray
    n_all: int
    n_looked_at: int


def find_mistakes(net, dataset, looked_at=LOOKED_AT, shown=SHOWN):
    """Find the mistakes of a network on some images of a data set, evenly spaced.

    Parameters
    ----------
    net : TensorNet
    dataset : skorch.dataset.Dataset, or a torch Subset of one
    looked_at : int, default=4096
        Images to predict at most.
    shown : int, default=64
        Mistakes to return at most.

    Returns
    -------
    Mistakes
    """
    X, y, rows = _rows(dataset)
    if len(rows) > looked_at:
        rows = rows[torch.linspace(0, len(rows) - 1, looked_at, dtype=torch.float64).long()]
    probability, predicted = _predict(net, X, rows)  # (n,), (n,)
    true = y[rows.to(y.device)].cpu()  # (n,)
    wrong = torch.nonzero(predicted != true).flatten()
    surest = wrong[probability[wrong].argsort(descending=True, stable=True)[:shown]]
    return Mistakes(
        images=_take(X, rows[surest]).cpu() if len(surest) else torch.empty(0, 1, 1, 1),
        true=true[surest].numpy(),
        predicted=predicted[surest].numpy(),
        probability=probability[surest].numpy(),
        n_all=len(wrong),
        n_looked_at=len(rows),
    )


def _rows(dataset):
    """Images and class numbers of a data set, and which of them belong to it."""
    batches = Batches(dataset)
    rows = torch.arange(len(batches.X)) if batches.rows is None else batches.rows
    return batches.X, batches.y, rows


def _take(X, rows):
    """Images (b, c, h, w) of a tensor, or of what reads them when they are asked for."""
    return X[rows.to(X.device)] if isinstance(X, torch.Tensor) else X[rows]


def _predict(net, X, rows):
    """Highest probability, and its class, of each image."""
    found = []
    with in_eval_mode(net.module_), torch.inference_mode():
        for part in rows.split(net.batch_size):
            probabilities = net.infer(_take(X, part)).float().softmax(dim=1)  # (b, n_classes)
            found.append(torch.stack(probabilities.max(dim=1)).double().cpu())  # (2, b)
    probability, predicted = torch.cat(found, dim=1)
    return probability.float(), predicted.long()


def mistakes_in_words(mistakes, class_names):
    """Say how many mistakes there are, and list them as a table in Markdown.

    Parameters
    ----------
    mistakes : Mistakes
    class_names : sequence
        By class number.

    Returns
    -------
    str
    """
    head = f"{mistakes.n_all:,} of {mistakes.n_looked_at:,} images misclassified"
    if not mistakes.n_all:
        return head
    lines = [f"{head}. The surest mistakes, row by row:", "", "true | predicted | probability"]
    lines.append("--- | --- | ---")
    found = zip(mistakes.true, mistakes.predicted, mistakes.probability, strict=True)
    lines += [f"{class_names[t]} | {class_names[p]} | {q:.3f}" for t, p, q in found]
    return "\n".join(lines)
