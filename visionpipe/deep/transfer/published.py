"""Networks that torchvision and timm publish with their weights, where these are installed."""

import copy
from importlib import import_module

import numpy as np

__all__ = ["IMAGENET_MEAN", "IMAGENET_STD", "Given", "published"]

# Of the images of ImageNet, on the scale 0..1, as torchvision and timm give them.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def published(name, *, owner):
    """A network with its published weights, fetched by the package that publishes it.

    Parameters
    ----------
    name : str
        As torchvision or timm calls it, in this order of preference; "torchvision/resnet18" or
        "timm/resnet18" names one of them.
    owner : str
        Who asks, for messages.

    Returns
    -------
    module : torch.nn.Module
    mean, std : ndarray of float32 of shape (3,)
        By which pixels on the scale 0..1 are to be standardised.

    Raises
    ------
    ValueError
        If no package that can be imported knows the name.
    ImportError
        If none can be imported.
    """
    if not isinstance(name, str):
        raise ValueError(f"{owner}: published weights go by a network's name, but got {name!r}")
    package, _, rest = name.rpartition("/")
    if package not in ("", *_PUBLISHERS):
        package, rest = "timm", name  # "hf-hub:owner/name", say
    asked = [package] if package else list(_PUBLISHERS)
    unusable, knowing = [], []
    for publisher in asked:
        try:
            library = import_module(publisher)
            import_module(f"{publisher}.models")
        # torchvision raises RuntimeError beside a torch it was not built for, timm with it
        except (ImportError, RuntimeError) as error:
            unusable.append(f"{publisher}: {str(error).partition(chr(10))[0]}")
            continue
        knowing.append(publisher)
        found = _PUBLISHERS[publisher](library, rest)
        if found is not None:
            module, mean, std = found
            return module.eval(), np.float32(mean), np.float32(std)
    if not knowing:
        raise ImportError(
            f"{owner}: published weights need torchvision or timm: "
            f"pip install 'visionpipe[pretrained]' ({'; '.join(unusable)})"
        )
    raise ValueError(
        f"{owner}: no published network is named {rest!r} in {' or '.join(knowing)}; "
        "torchvision.models.list_models() and timm.list_pretrained() list them"
    )


class Given:
    """In place of a network's class, for one that is there already: makes a copy of it."""

    def __init__(self, module):
        self.module = module

    def __call__(self):
        """Make a copy on the CPU."""
        return copy.deepcopy(self.module).to("cpu")


def _of_torchvision(torchvision, name):
    models = torchvision.models
    if name not in models.list_models():
        return None
    weights = models.get_model_weights(name).DEFAULT
    seen_as = weights.transforms()
    mean = getattr(seen_as, "mean", IMAGENET_MEAN)
    std = getattr(seen_as, "std", IMAGENET_STD)
    return models.get_model(name, weights=weights), mean, std


def _of_timm(timm, name):
    is_elsewhere = ":" in name  # on a hub, of which timm keeps no list
    if not is_elsewhere and not timm.models.is_model_pretrained(name):
        return None
    module = timm.create_model(name, pretrained=True)
    own = getattr(module, "pretrained_cfg", {})
    return module, own.get("mean", IMAGENET_MEAN), own.get("std", IMAGENET_STD)


_PUBLISHERS = {"torchvision": _of_torchvision, "timm": _of_timm}
