"""Ready-made pipelines, one a file.

Each file has ``build(random_state=None)``, which returns a pipeline that is not fitted, and
``PARAM_GRID``, values worth searching; ``python -m pipelines.NAME DATA`` searches them.
"""

from importlib import import_module

__all__ = ["all_pipelines", "get"]

_NAMES = (
    "pixels_svm",
    "hog_svm",
    "lbp_svm",
    "color_svm",
    "sift_bovw_svm",
    "rootsift_bovw_svm",
    "dense_bovw_svm",
    "vlad_svm",
    "fisher_svm",
    "patches_linear",
    "softmax",
    "mlp",
    "lenet",
)
_ON_REQUEST = (  # a comparison of all of these too would take too long
    "autoencoder_svm",
    "caltech16_fisher",
    "cifar10_airbench",
    "cifar10_cifarnet",
    "cifar10_descriptors",
    "cifar10_fast",
    "cifar10_kmeans",
    "cifar10_patches",
    "cifarnet",
    "cnn_features_svm",
    "fashion_airbench",
    "fashion_sift",
    "fmp",
    "mnist_lenet",
    "mnist_sift",
    "resnet20",
    "transfer",
)


def all_pipelines():
    """Return the names of the ready-made pipelines that a comparison runs if none are named.

    `get` knows more, which have to be named: "autoencoder_svm", "caltech16_fisher",
    "cifar10_airbench", "cifar10_cifarnet", "cifar10_descriptors", "cifar10_fast",
    "cifar10_kmeans", "cifar10_patches", "cifarnet", "cnn_features_svm", "fashion_airbench",
    "fashion_sift", "fmp", "mnist_lenet", "mnist_sift", "resnet20" and "transfer".

    Returns
    -------
    list of str

    Examples
    --------
    >>> import pipelines
    >>> pipelines.all_pipelines()[:4]
    ['pixels_svm', 'hog_svm', 'lbp_svm', 'color_svm']
    """
    return list(_NAMES)


def get(name):
    """Return the module of a pipeline.

    Parameters
    ----------
    name : str
        One of `all_pipelines`, or of the others that its documentation names.

    Returns
    -------
    module
        With ``build(random_state=None)`` and ``PARAM_GRID``.

    Raises
    ------
    ValueError
        If there is no pipeline of that name.

    Examples
    --------
    >>> import pipelines
    >>> pipelines.get("hog_svm").build()
    Pipeline(steps=[...])
    """
    known = (*_NAMES, *_ON_REQUEST)
    if name not in known:
        raise ValueError(f"there is no pipeline {name!r}; there are {', '.join(known)}")
    return import_module(f"pipelines.{name}")
