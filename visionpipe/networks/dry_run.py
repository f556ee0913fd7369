"""One pass of a network that computes nothing: what runs, in which order, and of which shapes."""

from collections import namedtuple
from contextlib import contextmanager

import torch
from torch.func import functional_call

N_IMAGES = 2  # one would hide an output that lost its first axis

Call = namedtuple("Call", ["name", "module", "shape_in", "shape_out"])
Call.__doc__ = """A module that was called: its name in the network, itself, and shapes (b, ...).

The name of the network itself is "". A shape is None where there was no tensor; ``shape_out`` also
where the call failed.
"""


def dry_run(make, image_shape, device="meta"):
    """Send two imaginary images through a network, in eval mode.

    Nothing of it stays behind: no hooks, no changed mode, no random number drawn.

    Parameters
    ----------
    make : callable
        Returns the network: a fresh one or one that is in use.
    image_shape : (int, int, int)
        Height, width and channels.
    device : {"meta", "cpu"}, default="meta"
        On torch's "meta" device tensors have shapes and no values, which takes neither memory nor
        time. Modules that look at values fail there.

    Returns
    -------
    network : torch.nn.Module or None
        None if making it failed.
    calls : list of Call
        In the order they ended.
    error : Exception or None
        Why the pass stopped. The last call is then the innermost that failed.
    """
    network, calls = None, []
    try:
        with torch.random.fork_rng(devices=[]), torch.device(device):
            network = make()
            with torch.no_grad(), in_eval_mode(network), _recorded(network, calls):
                _forward(network, image_shape, device)
    except Exception as error:
        return network, calls, error
    return network, calls, None


def _forward(network, image_shape, device):
    height, width, n_channels = image_shape
    images = torch.zeros(N_IMAGES, n_channels, height, width)  # on the device, as all in this block
    tensors = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    real = {name: tensor for name, tensor in tensors.items() if tensor.device.type != "meta"}
    if device == "meta" and real:
        functional_call(network, {name: t.to("meta") for name, t in real.items()}, (images,))
    else:
        network(images.to(next(iter(tensors.values()), images).device))


@contextmanager
def in_eval_mode(network):
    """Inside the block; afterwards each module trains or not as before."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def _recorded(network, calls):
    """Append a Call for each module that ends, and for the innermost that fails."""
    running = []

    def begin(module, args, kwargs):
        running.append((names[module], module, _shape((args, kwargs))))

    def end(module, args, output):
        calls.append(Call(*running.pop(), _shape(output)))

    names = {module: name for name, module in network.named_modules()}
    hooks = [m.register_forward_pre_hook(begin, with_kwargs=True) for m in names]
    hooks += [m.register_forward_hook(end) for m in names]
    try:
        yield
    finally:
        if running:
            calls.append(Call(*running[-1], None))
        for hook in hooks:
            hook.remove()


def _shape(value):
    """Shape of the first tensor in nested tuples, lists and dicts."""
    if isinstance(value, torch.Tensor):
        return tuple(value.shape)
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return next((shape for part in value if (shape := _shape(part))), None)
    return None
