"""What identifies a search: all that decides its results, as a digest."""

import json

from sklearn import get_config

from visionpipe import identity
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
    parts = [
        describe((type(search), wanted)),
        describe(search.estimator, ignored=_RUNNING_A_MODEL),
        *map(describe, (_content(X), y, sorted(params.items()))),
    ]
    described = [part for part, _ in parts]
    code = identity.code_in_use(set().union(*(origins for _, origins in parts)))
    routing = get_config()["enable_metadata_routing"]
    return digest(json.dumps([FORMAT_VERSION, described, code, routing], sort_keys=True).encode())


def describe(value, ignored=()):
    """`visionpipe.identity.describe`, with an error that says what to do."""
    try:
        return identity.describe(value, ignored)
    except ValueError as error:
        raise ValueError(
            f"the search cannot be recognised later, because {error}; replace what cannot, or use "
            "the plain search"
        ) from error


def digest(content):
    """As many digits as tell the lines of a journal apart."""
    return identity.digest(content)[:16]


def _content(X):
    """What stands for samples: for images their pixels or files, for all else themselves."""
    if getattr(X, "ndim", 0) == 2 or isinstance(X, Descriptors):
        return X
    try:
        return as_images(X).digests()
    except ValueError:
        return X
