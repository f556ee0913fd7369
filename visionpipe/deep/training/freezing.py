"""Layers that stay as they are while others learn."""

__all__ = ["Freezing"]


class Freezing:
    """Keep parameters of a network, and the statistics of its normalisations, as they are.

    Parameters
    ----------
    module : torch.nn.Module
    names : collection of str
        Of parameters. Those that do not learn anyway are left alone.
    """

    def __init__(self, module, names):
        named = module.named_parameters()
        self._parameters = [p for name, p in named if name in names and p.requires_grad]
        self._parts = _parts_at_rest(module, names)
        self._is_on = False

    def switch(self, on):
        """Let the parameters rest, or learn."""
        self._is_on = on
        for parameter in self._parameters:
            parameter.requires_grad_(not on)
            if on:
                parameter.grad = None

    def rest(self):
        """While it is on, put the parts into evaluation mode, but not what is in them."""
        if self._is_on:
            for part in self._parts:
                part.training = False


def _parts_at_rest(module, frozen):
    """Parts of a network all of whose own parameters are frozen.

    One without parameters that has buffers, such as a normalisation without scales, goes with the
    part before it, the first one with the first layer. Not the network itself, whose mode says
    whether it is trained.
    """
    at_rest, rests = [], bool(frozen)
    for prefix, part in module.named_modules():
        own = [name for name, _ in part.named_parameters(prefix=prefix, recurse=False)]
        if own:
            rests = all(name in frozen for name in own)
        holds = own or any(True for _ in part.buffers(recurse=False))
        if rests and holds and part is not module:
            at_rest.append(part)
    return at_rest
