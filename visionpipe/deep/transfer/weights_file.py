"""Weights of networks trained elsewhere, read from files without running code that is in them."""

import pickle
import warnings
import zipfile
from pathlib import Path

import torch

__all__ = ["read_weights"]

_WRAPPERS = ("state_dict", "model_state_dict", "model")  # where training scripts put the weights
_DTYPES = {  # others, such as int8 and those of quantised tensors, hold no weights as they are
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64),
    *(torch.bool, torch.int32, torch.int64),
}
_PREFIXES = ("module.", "_orig_mod.")  # of DataParallel, and of torch.compile


def read_weights(path):
    """Tensors by name, from a file of safetensors or of ``torch.save(module.state_dict(), path)``.

    Files of torch are read with ``weights_only=True``: pickled objects other than tensors and plain
    containers are refused, and nothing of them is run. Checksums are compared where the format has
    any, which is that of torch since 1.6.

    Parameters
    ----------
    path : path-like
        Tensors may lie one level deeper under "state_dict", "model_state_dict" or "model", and
        names may begin with the "module." or "_orig_mod." that DataParallel and `torch.compile`
        add.

    Returns
    -------
    dict of str to Tensor
        On the CPU, in the file's order.

    Raises
    ------
    ValueError
        If there is no such file, it is damaged, of another kind, or holds other objects, tensors
        that are sparse or quantised, or values that are not finite.
    ImportError
        If it is of safetensors, and that package is missing.

    Examples
    --------
    >>> import tempfile
    >>> import torch
    >>> from visionpipe.deep.transfer.weights_file import read_weights
    >>> layer = torch.nn.Linear(3, 2)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     torch.save(layer.state_dict(), folder + "/linear.pt")
    ...     weights = read_weights(folder + "/linear.pt")
    >>> {name: tuple(tensor.shape) for name, tensor in weights.items()}
    {'weight': (2, 3), 'bias': (2,)}
    """
    path = Path(path).expanduser()
    if path.is_dir():
        raise ValueError(f"{path} is a folder; wanted the path of a weights file")
    if not path.is_file():
        raise ValueError(f"there is no weights file {path}")
    with open(path, "rb") as file:
        head = file.read(9)
    if head[:4] == b"PK\x03\x04":
        _check_checksums(path)
        content = _read_torch(path)
    elif head[:1] == b"\x80":
        content = _read_torch(path)
    elif head[8:] == b"{":
        content = _read_safetensors(path)
    else:
        raise ValueError(
            f"{path} is no file of weights; wanted one of safetensors, or of "
            "torch.save(module.state_dict(), path)"
        )
    return _named_tensors(content, path)


def _check_checksums(path):
    """Raise a ValueError if a part of the archive is damaged: torch does not look."""
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except Exception as error:  # of a damaged archive nearly any comes out of zipfile
        raise _damaged(path, error) from error
    if damaged is not None:
        raise _damaged(path, f"the checksum of its part {damaged} does not match")


def _read_torch(path):
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickles that are not torch's: errors say more
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Unsupported" not in str(error):
            raise _damaged(path, "it cannot be unpickled") from None
        raise ValueError(
            f"{path} holds pickled objects other than tensors, which could run code; none was run. "
            "Where it was made, save the weights alone: torch.save(module.state_dict(), path)"
        ) from None
    except Exception as error:  # of a damaged file nearly any comes out of torch
        raise _damaged(path, error) from error


def _read_safetensors(path):
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise ImportError(
            f"{path} is a file of safetensors, which needs that package: "
            "pip install 'visionpipe[pretrained]'"
        ) from error
    try:
        return load_file(path)
    except (SafetensorError, ValueError, OverflowError) as error:
        raise _damaged(path, error) from error


def _damaged(path, reason):
    reason = str(reason).partition("\n")[0] or type(reason).__name__
    return ValueError(f"{path} is damaged ({reason}); copy or download it again")


def _named_tensors(content, path):
    """The tensors of a file's content, without what training scripts wrap them in."""
    while isinstance(content, dict) and (inner := _wrapped(content)) is not None:
        content = inner
    if not isinstance(content, dict) or not content or not all(map(_is_weight, content.items())):
        raise ValueError(
            f"{path} holds no weights by name, but {_described(content)}; wanted a dict of name to "
            "tensor, as module.state_dict() gives it"
        )
    while prefix := _prefix_of_all(content):
        content = {name.removeprefix(prefix): tensor for name, tensor in content.items()}
    for name, tensor in content.items():
        _check(tensor, name, path)
    return dict(content)


def _check(tensor, name, path):
    is_plain = tensor.layout == torch.strided and tensor.device.type == "cpu"  # has values, that is
    if tensor.dtype not in _DTYPES or not is_plain:
        kind = f"{tensor.layout}, {tensor.dtype} on {tensor.device}".replace("torch.", "")
        raise ValueError(
            f"{path} holds {name} as a tensor of {kind}; wanted weights as floats: save them dense "
            "and not quantised"
        )
    if not tensor.isfinite().all():
        raise _damaged(path, f"{name} holds values that are not finite")


def _wrapped(content):
    inner = (content.get(name) for name in _WRAPPERS)
    return next((value for value in inner if isinstance(value, dict)), None)


def _prefix_of_all(names):
    shared = (prefix for prefix in _PREFIXES if all(name.startswith(prefix) for name in names))
    return next(shared, None)


def _is_weight(item):
    name, value = item
    return isinstance(name, str) and isinstance(value, torch.Tensor)


def _described(content):
    if not isinstance(content, dict):
        return f"an object of type {type(content).__name__}"
    others = ", ".join([repr(item[0]) for item in content.items() if not _is_weight(item)][:3])
    return f"a dict whose {others} are no names of tensors" if others else "an empty dict"
