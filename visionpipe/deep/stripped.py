"""A fitted net as plain values and arrays: what is pickled, and made a net again elsewhere."""

import numpy as np
import torch
from skorch.history import History

from visionpipe.deep.net import TensorNet, seeded


def strip(net):
    """What prediction needs of a fitted net, and its history by epochs: plain values and arrays.

    No module, optimizer or tensor is in it, so that it loads beside another version of torch, and
    on a machine without the GPU it was trained on.
    """
    return stripped_of(
        net.module_,
        net.module,
        net.get_params_for("module"),
        crop_size=net.crop_size_,
        channels_last=net.channels_last_,
        history=net.history,
    )


def stripped_of(module, factory, options, *, crop_size=None, channels_last=True, history=()):
    """The same of a network that is in no net yet.

    Parameters
    ----------
    module : torch.nn.Module
    factory : callable
        Makes such a network of `options`.
    options : dict
    crop_size, channels_last
        As for `TensorNet`.
    history : skorch.history.History
    """
    weights = {}
    for name, value in module.state_dict().items():
        if isinstance(value, torch.Tensor):
            value = value.float() if value.dtype == torch.bfloat16 else value  # numpy has none
            value = value.cpu().contiguous().numpy()
        weights[name] = value
    return {
        "module": factory,
        "options": options,
        "seen_as": {"crop_size": crop_size, "channels_last": channels_last},
        "weights": weights,
        "history": plain_history(history),
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
            **stripped["seen_as"],
            **options,
        ).initialize()
    weights = stripped["weights"]
    net.module_.load_state_dict(
        {n: torch.tensor(w) if isinstance(w, np.ndarray) else w for n, w in weights.items()}
    )
    net.module_.eval()
    net.history = History({**epoch, "batches": []} for epoch in stripped["history"])
    return net


def plain_history(history):
    """The epochs of a history, without their batches and what is not a plain value."""
    return [
        {name: value for name, value in map(_plain_item, epoch.items()) if _is_plain(value)}
        for epoch in history
    ]


def _plain_item(item):
    name, value = item
    return name, value.item() if isinstance(value, np.generic) else value


def _is_plain(value):
    return isinstance(value, (bool, int, float, str))
