"""What identifies a search: all that decides its results, as a digest."""

import hashlib
import io
import json
import pickle
import sys
import types
from importlib.metadata import packages_distributions
from pathlib import Path

import joblib
import numpy as np
from sklearn import get_config
from sklearn.frozen import FrozenEstimator
from sklearn.utils.metadata_routing import MetadataRequest

from visionpipe import environment, kernels
from visionpipe.descriptors import Descriptors
from visionpipe.images import as_images

__all__ = ["describe", "digest", "identify"]

FORMAT_VERSION = 1

# how a search runs, not what it finds: of the search itself, and of its estimator at any depth
_RUNNING_A_SEARCH = {"estimator", "n_jobs", "pre_dispatch", "verbose", "refit"}
_RUNNING_A_MODEL = {"device", "store", "n_jobs", "verbose", "memory"}


def identify(search, X, y, params):
    """Digest of all that decides the results of a search, which has its `cv` checked."""
    found = search.get_params(deep=False)
    wanted = sorted((k, v) for k, v in found.items() if k not in _RUNNING_A_SEARCH)
    own, modules = describe((type(search), wanted))
    model, more_modules = describe(search.estimator, ignored=_RUNNING_A_MODEL)
    code = [environment.versions(), kernels.versions(), _sources(modules | more_modules)]
    code.append(get_config()["enable_metadata_routing"])
    data = [_content(X), joblib.hash(y), {k: joblib.hash(v) for k, v in params.items()}]
    return digest(json.dumps([FORMAT_VERSION, own, model, code, data], sort_keys=True).encode())


def digest(content):
    return hashlib.sha256(content).hexdigest()[:16]


def _content(X):
    """Digest of samples: of images their pixels or files, of all else by value."""
    if getattr(X, "ndim", 0) == 2 or isinstance(X, Descriptors):
        return joblib.hash(X)
    try:
        images = as_images(X)
    except ValueError:
        return joblib.hash(X)
    return digest(images.digests().tobytes())


def _sources(modules):
    """Digests of the files of those modules that no installed package brings."""
    known = sys.stdlib_module_names | packages_distributions().keys()
    own = [name for name in modules if name.partition(".")[0] not in known]
    files = {name: getattr(sys.modules.get(name), "__file__", None) for name in own}
    return {k: digest(Path(v).read_bytes()) for k, v in files.items() if v and Path(v).is_file()}


def describe(value, ignored=()):
    """Digest of a value, equal for equal values in any process, and the modules it comes from."""
    file = io.BytesIO()
    describer = _Describer(file, ignored)
    try:
        describer.dump(value)
    except Exception as error:
        raise ValueError(
            f"the search cannot be recognised later, because {value!r} cannot be pickled "
            f"({type(error).__name__}: {error}); replace what cannot, or use the plain search"
        ) from error
    return digest(file.getvalue()), describer.modules


class _Describer(pickle.Pickler):
    """Pickles so that equal values give equal bytes, in any process and after copying.

    joblib.hash does not do for parameters: it counts the state of numpy's global generator, to
    which scipy's distributions refer, and refuses lambdas.
    """

    def __init__(self, file, ignored):
        super().__init__(file, protocol=4)
        self.fast = True  # no memo: equal objects and the same object twice look alike
        self.ignored, self.modules = ignored, set()

    def persistent_id(self, value):
        if isinstance(value, type):
            self.modules.update(base.__module__ for base in value.__mro__)
            return "type", value.__module__, value.__qualname__
        if isinstance(value, FrozenEstimator):
            return "frozen", joblib.hash(value.estimator)
        if hasattr(value, "get_params"):
            found = value.get_params(deep=False).items()
            params = sorted((k, v) for k, v in found if k not in self.ignored)
            return "estimator", type(value), params, getattr(value, "_metadata_request", None)
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, types.CodeType):
            return "code", value.co_code, value.co_names, value.co_consts
        if isinstance(value, np.ndarray):
            content = value.tolist() if value.dtype.hasobject else value.tobytes()
            return "array", str(value.dtype), value.shape, content
        if isinstance(value, (set, frozenset)):
            return "set", sorted(value, key=repr)
        if isinstance(value, MetadataRequest):  # refers back to its owner
            return "requests", repr(value)
        if hasattr(value, "rvs"):  # searches draw with a generator of their own
            if hasattr(value, "dist"):  # scipy's, with its parameters
                return "drawn", type(value.dist), value.dist.name, value.args, value.kwds
            state = (value.__getstate__() or {}).items()
            return "drawn", type(value), sorted((k, v) for k, v in state if k != "_random_state")
        return None

    def _function(self, function):
        self.modules.add(function.__module__)
        name = "function", function.__module__, function.__qualname__
        if function.__module__ != "__main__" and "<" not in function.__qualname__:
            return name
        cells = [cell.cell_contents for cell in function.__closure__ or ()]
        return *name, function.__code__, function.__defaults__, function.__kwdefaults__, cells
