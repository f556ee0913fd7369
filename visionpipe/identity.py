"""What decides a result, in a few digits: equal for equal values and code, in any process."""

import dis
import functools
import hashlib
import pickle
import sys
import types
from pathlib import Path

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.utils.metadata_routing import MetadataRequest

from visionpipe import environment, kernels

__all__ = ["code_in_use", "describe", "digest"]

_INSTALLED = {"site-packages", "dist-packages"}
_PLAIN = {bool, bytes, float, int, str, type(None)}
_CODE = (  # all of a code object but names and places for error messages
    *("co_code", "co_consts", "co_names", "co_varnames", "co_freevars", "co_cellvars", "co_flags"),
    *("co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_exceptiontable"),
)
_WRAPPERS = {  # they cannot be pickled, or go by name; the functions are in these attributes
    classmethod: ("__func__",),
    functools._lru_cache_wrapper: ("__wrapped__",),
    functools.cached_property: ("func",),
    property: ("fget", "fset", "fdel"),
    staticmethod: ("__func__",),
}


def digest(content):
    """SHA-256 of bytes.

    Parameters
    ----------
    content : bytes-like

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    return hashlib.sha256(content).hexdigest()


def describe(value, ignored=()):
    """Digest of a value, equal for equal values in any process, and where its code comes from.

    Arrays and tensors count by their elements, dtype and shape, tensors by `requires_grad` too and
    not by their device; estimators by their parameters, and in a `FrozenEstimator` by all they
    have learned. Classes and functions that can be imported count by their names. Those that
    cannot, because they stand in a script, a notebook or another function, count by their bytecode
    and that of the functions and classes they use, but not by global variables that hold data. All
    else counts by what it pickles to; dicts count with their order.

    Parameters
    ----------
    value : object
    ignored : container of str, default=()
        Parameters of estimators that do not count, at any depth.

    Returns
    -------
    digest : str
        64 hexadecimal digits.
    origins : set of (str, str or None)
        Modules and their files, for `code_in_use`.

    Raises
    ------
    ValueError
        If something in the value cannot be pickled, or refers back to itself.

    Examples
    --------
    >>> import torch
    >>> from visionpipe.identity import describe
    >>> describe(torch.ones(2))[0] == describe(torch.full((2,), 1.0))[0]
    True
    >>> describe(lambda x: x + 1)[0] == describe(lambda x: x + 2)[0]
    False
    """
    sha = hashlib.sha256()
    describer = _Describer(sha, ignored)
    try:
        describer.dump(value)
    except Exception as error:
        raise ValueError(
            f"{value!r} cannot be pickled ({type(error).__name__}: {error})"
        ) from error
    return sha.hexdigest(), describer.origins


def code_in_use(origins):
    """Versions of all that is installed and decides results, and digests of the user's own files.

    What another version of Python, torch or a kernel computes differs in some bits, so that it is
    another result.

    Parameters
    ----------
    origins : set of (str, str or None)
        As of `describe`.

    Returns
    -------
    list
        For `json.dumps`; equal for equal code. Modules that these files import are not looked into.
    """
    own = {
        (module, digest(Path(file).read_bytes()))
        for module, file in origins
        if _is_own(module, file) and Path(file).is_file()
    }
    return [environment.versions(), kernels.versions(), sorted(own)]


def _is_own(module, file):
    is_stdlib = module.partition(".")[0] in sys.stdlib_module_names
    return bool(file) and not is_stdlib and _INSTALLED.isdisjoint(Path(file).parts)


def _file_of(module):
    return getattr(sys.modules.get(module), "__file__", None)


def _can_be_imported(value):
    """Whether a class or function is what its module has under its name."""
    module, name = value.__module__, value.__qualname__
    if module == "__main__" or "<" in name:
        return False
    if not _is_own(module, _file_of(module)):
        return True
    found = sys.modules[module]
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is value


class _Describer(pickle.Pickler):
    """Pickles into a hash so that equal values give equal bytes, in any process and after copying.

    joblib.hash does not do: it counts the state of numpy's global generator, to which scipy's
    distributions refer, and the storage of tensors, and refuses lambdas.
    """

    def __init__(self, sha, ignored, *, is_fitted=False):
        super().__init__(types.SimpleNamespace(write=sha.update), protocol=4)
        self.fast = True  # no memo: equal objects and the same object twice look alike
        self.ignored, self.is_fitted = ignored, is_fitted
        self.origins, self.known = set(), {}  # known: what was made of classes and functions

    def persistent_id(self, value):
        if type(value) in _PLAIN:
            return None
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if type(value) in _WRAPPERS:
            return "wrapper", type(value), [getattr(value, n) for n in _WRAPPERS[type(value)]]
        if isinstance(value, FrozenEstimator):
            return "frozen", self._nested(value.estimator, is_fitted=True)
        if hasattr(value, "get_params") and not self.is_fitted:
            return self._estimator(value)
        if isinstance(value, (set, frozenset)):
            return "set", sorted(map(self._nested, value))
        return _content(value)

    def _class(self, cls):
        for base in cls.__mro__:
            self._note(base.__module__)
        return self._by_name_or(_members, cls)

    def _function(self, function):
        self._note(function.__module__, function.__code__)
        return self._by_name_or(self._body, function)

    def _by_name_or(self, definition, value):
        """A class or function by its name, and by its definition if it cannot be imported."""
        if _can_be_imported(value):
            return type(value).__name__, value.__module__, value.__qualname__
        # a class that was sent to a worker has lost the function around it from its __qualname__
        name = type(value).__name__, value.__module__, value.__name__
        if value not in self.known:
            self.known[value] = name  # for where its definition refers back to it
            self.known[value] = *name, self._nested(definition(value))
        return self.known[value]

    def _body(self, function):
        """What a function does and with what, but for global variables that hold data."""
        used = [(n, function.__globals__.get(n)) for n in sorted(_globals(function.__code__))]
        for _, value in used:
            if isinstance(value, types.ModuleType):
                self._note(value.__name__)
        used = [(n, v) for n, v in used if isinstance(v, (type, types.FunctionType))]
        cells = [cell.cell_contents for cell in function.__closure__ or ()]
        return function.__code__, function.__defaults__, function.__kwdefaults__, cells, used

    def _note(self, module, code=None):
        """Remember where code comes from; a worker's `__main__` is not the user's script."""
        if module != "__main__":
            self.origins.add((module, _file_of(module)))
        elif code is not None:
            self.origins.add((module, code.co_filename))

    def _nested(self, value, *, is_fitted=False):
        sha = hashlib.sha256()
        describer = _Describer(sha, self.ignored, is_fitted=is_fitted or self.is_fitted)
        describer.origins, describer.known = self.origins, self.known
        describer.dump(value)
        return sha.hexdigest()

    def _estimator(self, estimator):
        found = estimator.get_params(deep=False).items()
        params = sorted((k, v) for k, v in found if k not in self.ignored)
        requests = getattr(estimator, "_metadata_request", None)
        return "estimator", type(estimator), params, requests


def _members(cls):
    """What a class is made of, but for Python's own notes about it."""
    counted = types.FunctionType, *_WRAPPERS
    return cls.__bases__, sorted(
        (name, value)
        for name, value in vars(cls).items()
        if isinstance(value, counted) or not name.startswith(("__", "_abc_"))
    )


def _globals(code):
    """Names of the global variables that a function reads, and the functions within it."""
    names = {i.argval for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL"}
    within = (const for const in code.co_consts if isinstance(const, types.CodeType))
    return names.union(*map(_globals, within))


def _content(value):
    """Values whose pickles differ between equal ones, or that have none; None for all others."""
    if isinstance(value, types.CodeType):
        return "code", [getattr(value, name) for name in _CODE]
    if isinstance(value, torch.Tensor) and value.layout == torch.strided:
        flat = value.detach().cpu().flatten()
        kind = str(value.dtype), tuple(value.shape), value.requires_grad
        return "tensor", type(value), kind, digest(flat.view(torch.uint8).numpy())
    if isinstance(value, np.ndarray) and not isinstance(value, np.ma.MaskedArray):
        kind = str(value.dtype), value.shape
        if value.dtype.hasobject:
            return "array", kind, value.tolist()
        return "array", kind, digest(np.ascontiguousarray(value).reshape(-1).view(np.uint8))
    if isinstance(value, MetadataRequest):  # refers back to its owner
        return "requests", repr(value)
    if hasattr(value, "rvs"):  # searches draw with a generator of their own
        if hasattr(value, "dist"):  # scipy's, with its parameters
            return "drawn", type(value.dist), value.dist.name, value.args, value.kwds
        state = (value.__getstate__() or {}).items()
        return "drawn", type(value), sorted((k, v) for k, v in state if k != "_random_state")
    return None
