"""Which layers of a network learn, and how fast."""

__all__ = ["frozen_names", "layers_in_order", "lr_factors"]


def layers_in_order(module):
    """Names of parameters by layer, in the order in which the network's constructor made them.

    Parameters
    ----------
    module : torch.nn.Module

    Returns
    -------
    list of list of str
        A layer begins with filters or a matrix; scales of normalisation that follow belong to it.
    """
    layers = []
    for prefix, part in module.named_modules():
        own = dict(part.named_parameters(prefix=prefix, recurse=False))
        if own:
            if not layers or any(parameter.ndim > 1 for parameter in own.values()):
                layers.append([])
            layers[-1].extend(own)
    return layers


def frozen_names(module, freeze, of_classes):
    """Names of the parameters that are to stay as they are.

    Parameters
    ----------
    module : torch.nn.Module
    freeze : "features", int or None
        All layers but the one that tells classes apart, or so many from the first one on.
    of_classes : collection of str
        See `visionpipe.deep.transfer.weights.class_tensors`.

    Returns
    -------
    frozenset of str

    Raises
    ------
    ValueError
        If none would be left to learn.
    """
    if freeze is None:
        return frozenset()
    layers = layers_in_order(module)
    if freeze == "features":
        frozen = frozenset(n for n, _ in module.named_parameters() if n not in of_classes)
    else:
        frozen = frozenset(name for layer in layers[:freeze] for name in layer)
    if not any(p.requires_grad and n not in frozen for n, p in module.named_parameters()):
        raise ValueError(
            f"freeze={freeze!r} leaves nothing to learn, because {type(module).__name__} has "
            f"{len(layers)} layers with weights; "
            + (f"choose a number from 1 to {len(layers) - 1}" if layers[1:] else "leave freeze out")
        )
    return frozen


def lr_factors(module, lr_mult, of_classes):
    """By how much each parameter's learning rate is multiplied, where that is not by 1.

    Parameters
    ----------
    module : torch.nn.Module
    lr_mult : float, or dict of str to float
        For all but the layer that tells classes apart; or for layers by name, or by the beginning
        of their names up to a dot.
    of_classes : collection of str
        See `visionpipe.deep.transfer.weights.class_tensors`.

    Returns
    -------
    dict of str to float
        By the parameters' names.

    Raises
    ------
    ValueError
        If there is no such layer.
    """
    names = [name for name, _ in module.named_parameters()]
    if not isinstance(lr_mult, dict):
        factors = {name: lr_mult for name in names if name not in of_classes}
    else:
        factors = {}
        for layer in sorted(lr_mult, key=lambda name: len(str(name))):  # parts outdo their whole
            members = [name for name in names if f"{name}.".startswith(f"{layer}.")]
            if not members:
                known = dict.fromkeys(name.partition(".")[0] for name in names)
                raise ValueError(
                    f"lr_mult names a layer {layer!r}, which {type(module).__name__} has not; its "
                    f"layers with weights are {', '.join(map(repr, known))}"
                )
            factors |= dict.fromkeys(members, lr_mult[layer])
    return {name: factor for name, factor in factors.items() if factor != 1}
