"""CNNFeatures: what a layer of a trained network makes of an image, as a vector."""

import json
import os
from functools import partial
from types import NoneType

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.callback import with_callbacks
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from visionpipe.base import (
    ImageTransformer,
    check_choice,
    check_positive_int,
    check_sizes,
    refuse,
    resolve_device,
    to_batch,
)
from visionpipe.deep.classifier import CNNClassifier
from visionpipe.deep.fitted import HoldsNetwork, draw_seed
from visionpipe.deep.net import memory_explained, seeded
from visionpipe.deep.options import choices
from visionpipe.deep.options.fit_check import check_network_takes
from visionpipe.deep.options.prefixed import PrefixedParams
from visionpipe.deep.stripped import strip, stripped_of
from visionpipe.deep.transfer.activations import activations, check_layer, last_layer, pooled
from visionpipe.deep.transfer.published import IMAGENET_MEAN, IMAGENET_STD, Given, published
from visionpipe.deep.transfer.weights import Weights, fit_weights, is_counter
from visionpipe.deep.transfer.weights_file import read_weights
from visionpipe.identity import code_in_use, describe
from visionpipe.images import as_images

_OF_IMAGES = ("module__image_size", "module__n_channels")  # what is not to be chosen


class CNNFeatures(HoldsNetwork, PrefixedParams, ImageTransformer):
    """What a layer of a network makes of each image, as a vector for any scikit-learn estimator.

    Parameters
    ----------
    module : str, class, CNNClassifier or FrozenEstimator, default="resnet18"
        A network by its name or class, as for `CNNClassifier`. Or a `CNNClassifier`, of which a
        clone is trained in `fit`, on images and labels of the training fold alone; or a fitted one
        in a `sklearn.frozen.FrozenEstimator`, which is used as it is, as everywhere in
        scikit-learn.
    weights : None, path-like or "pretrained", default=None
        Of a network by its name or class. None draws them: random features, a baseline. A path is
        that of a file of safetensors, or of ``torch.save(module.state_dict(), path)``, of any
        number of classes. "pretrained" takes the network of this name that torchvision publishes
        or, where that has none, timm ("timm/resnet18" names the publisher).
    layer : str, default=None
        Name of a layer of the network, whose output is taken, the first if it is called several
        times. None takes what goes into the last layer with weights: the network's own idea of an
        image before it decides.
    pool : {"mean", "max", None}, default="mean"
        What becomes of maps (c, h, w): the mean or the maximum of each, or all of their values.
    pixel_mean, pixel_std : float or sequence of floats, default=None
        By which each channel of pixels on the scale 0..1 is standardised. None takes what the
        network was trained with where that is known, else ImageNet's, their mean for grey images.
    batch_size : int, default=32
        Images at a time.
    store : FeatureStore, path-like, "auto" or None, default=None
        Where vectors are kept, so that each image is computed once, see
        `visionpipe.store.FeatureStore`.
    device : str or torch.device, default="auto"
        "auto" is a CUDA GPU if there is one, else the CPU.
    random_state : int, RandomState or None, default=None
        Draws weights, where there are none.
    **module__options
        ``module__*``: options of a network by its name or class.

    Attributes
    ----------
    image_shape_in_ : (int, int, int)
        Height, width and channels of the first image seen in `fit`.
    layer_ : str
        Name of the layer that is looked at, whose input it is if `layer` is None.
    pixel_mean_, pixel_std_ : ndarray of float32 of shape (n_channels,)
    module_ : torch.nn.Module
    net_ : skorch.NeuralNetClassifier

    Notes
    -----
    The network computes in evaluation mode; one that draws at random even then draws the same for
    all images. Images have to be of the size seen in `fit`. Grey images count as RGB where the
    network is for RGB.

    References
    ----------
    J. Donahue et al., "DeCAF: a deep convolutional activation feature for generic visual
    recognition", ICML, 2014.

    A. S. Razavian, H. Azizpour, J. Sullivan and S. Carlsson, "CNN features off-the-shelf: an
    astounding baseline for recognition", CVPR workshops, 2014.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import SVC
    >>> from visionpipe import CNNClassifier, CNNFeatures, load_faces
    >>> faces = load_faces()
    >>> lenet = CNNClassifier("lenet", max_epochs=2, random_state=0)
    >>> CNNFeatures(lenet).fit_transform(faces.images, faces.target).shape
    (200, 84)
    >>> CNNFeatures(lenet, layer="conv2").fit_transform(faces.images, faces.target).shape
    (200, 16)
    >>> make_pipeline(CNNFeatures(lenet), SVC()).fit(faces.images, faces.target)
    Pipeline(steps=[...])
    """

    _needs_one_size = True

    def __init__(
        self,
        module="resnet18",
        *,
        weights=None,
        layer=None,
        pool="mean",
        pixel_mean=None,
        pixel_std=None,
        batch_size=32,
        store=None,
        device="auto",
        random_state=None,
        **module__options,
    ):
        self.module = module
        self.weights = weights
        self.layer = layer
        self.pool = pool
        self.pixel_mean = pixel_mean
        self.pixel_std = pixel_std
        self.batch_size = batch_size
        self.store = store
        self.device = device
        self.random_state = random_state
        self._assign_prefixed(module__options)

    def set_params(self, **params):
        """Set parameters by name.

        Parameters
        ----------
        **params
            See the class; ``module__*`` are options of a network by its name or class, or the
            parameters of a classifier.

        Returns
        -------
        self
        """
        if _is_classifier(params.get("module", self.module)):
            return super(PrefixedParams, self).set_params(**params)
        return super().set_params(**params)

    @with_callbacks
    def fit(self, X, y=None):
        """Bring the network: train it, read its weights or draw them.

        Parameters
        ----------
        X : array-like of images
            Anything `as_images` takes, all of one size.
        y : array-like of shape (n,), default=None
            Labels, if there is a classifier to be trained.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter makes no sense, there is no such layer, or weights do not fit.
        ImportError
            If published weights are asked for, and no package that has them can be imported.
        """
        self._check_params()
        images = as_images(X, owner=type(self).__name__)
        vars(self).pop("_n_features_out", None)  # of an earlier fit, should this one fail
        with self._fit_task(images, y):
            shape = images.first_shape()
            if _is_classifier(self.module):
                self._take_classifier(images, y)
            elif self.weights == "pretrained":
                self._take_published()
            else:
                self._take_network(shape)
            self.image_shape_in_ = shape
            self.layer_ = self._look_up_layer()
            self._takes_input, self._pool = self.layer is None, self.pool
            vectors, _ = self._once(images[:1], self._vectors, size=None)
        self._n_features_out = vectors.shape[1]
        return self

    def transform(self, X):
        """Compute one vector for each image.

        Parameters
        ----------
        X : array-like of images
            Anything `as_images` takes, of the size seen in `fit`.

        Returns
        -------
        ndarray of float32 of shape (n_images, n_features)

        Raises
        ------
        ValueError
            If images are of another size, or RGB where the network is for grey ones.
        """
        check_is_fitted(self, "_n_features_out")
        return super().transform(X)

    def _check_params(self):
        check_choice(self, pool=("mean", "max", None))
        check_positive_int(self, "batch_size")
        if not isinstance(self.layer, (str, NoneType)):
            refuse(self, "layer", "None or the name of a layer")
        for name, least in (("pixel_mean", -np.inf), ("pixel_std", 0)):
            _check_statistic(self, name, least)
        is_classifier = _is_classifier(self.module)
        for name in self._prefixed:
            if name in _OF_IMAGES:
                raise ValueError(f"{name} is what images are seen to have; leave it out")
            if not name.startswith("module__") or is_classifier:
                raise ValueError(
                    f"{name} is no parameter of {type(self).__name__}, which takes module__*, "
                    "options of a network by its name or class"
                )
        if isinstance(self.module, BaseEstimator):
            self._check_classifier()
        elif not isinstance(self.weights, (str, os.PathLike, NoneType)):
            refuse(self, "weights", "None, the path of a file or 'pretrained'")
        elif self.weights != "pretrained":
            choices.module(self.module)

    def _check_classifier(self):
        is_frozen = isinstance(self.module, FrozenEstimator)
        classifier = self.module.estimator if is_frozen else self.module
        if not isinstance(classifier, CNNClassifier):
            frozen = "FrozenEstimator of a " if is_frozen else ""
            raise ValueError(
                f"{type(self).__name__}: module is a {frozen}{type(classifier).__name__}; wanted "
                "a CNNClassifier, which of a Pipeline is the last step, or a fitted one in a "
                "FrozenEstimator"
            )
        if self.weights is not None:
            refuse(self, "weights", "None where module is a classifier, which has its own")

    # ------------------------------------------------------------------ where networks come from

    def _take_classifier(self, images, y):
        classifier = self.module
        if isinstance(classifier, FrozenEstimator):
            classifier = classifier.estimator
            check_is_fitted(classifier, "net_")
        else:
            classifier = clone(classifier).fit(images, y)
        classifier.check_size(images.first_shape()[:2], owner=type(self).__name__)
        self._keep(strip(classifier.net_), classifier.pixel_mean_, classifier.pixel_std_)

    def _take_published(self):
        module, mean, std = published(self.module, owner="CNNFeatures(weights='pretrained')")
        self._keep(stripped_of(module, Given(module), {}), mean, std)

    def _take_network(self, shape):
        height, width, n_channels = shape
        factory = choices.module(self.module)["module"]
        options = {"image_size": (height, width), "n_classes": 2, **self._prefixed_by("module")}
        check_network_takes(
            lambda size: factory(**{**options, "n_channels": n_channels, "image_size": size}),
            (height, width),
            n_channels,
        )
        tensors = {}
        if self.weights is not None:
            weights = Weights(read_weights(self.weights), None, None, str(self.weights))
            fitted = fit_weights(weights, partial(factory, **options), n_channels, owner="weights")
            n_channels, tensors = fitted.n_channels, fitted.tensors | fitted.of_classes
            options["n_classes"] = fitted.n_classes
        options["n_channels"] = n_channels
        with seeded(draw_seed(self.random_state), torch.device("cpu")):
            module = factory(**options)
        missing = module.load_state_dict(tensors, strict=False).missing_keys
        if self.weights is not None:
            self._check_weights_of_layer(missing)
        mean, std = (_of_channels(s, n_channels) for s in (IMAGENET_MEAN, IMAGENET_STD))
        # a user's class may not do with channels side by side in memory, as in CNNClassifier
        stripped = stripped_of(module, factory, options, channels_last=isinstance(self.module, str))
        self._keep(stripped, mean, std)

    def _check_weights_of_layer(self, missing):
        """Refuse to give random features in the name of a file."""
        for name in missing:
            if name.startswith(f"{self.layer}.") and not is_counter(name):
                raise ValueError(
                    f"layer={self.layer!r} has weights {name} that are not in {self.weights}, or "
                    "do not fit; name a layer before it"
                )

    def _keep(self, stripped, mean, std):
        """Take the network, and how pixels are standardised for it."""
        for name, own in (("pixel_mean", mean), ("pixel_std", std)):
            of_user = getattr(self, name)
            if np.size(of_user) not in (1, len(own)):
                refuse(self, name, f"a number, or one for each of {len(own)} channels")
            statistic = np.float32(np.broadcast_to(own if of_user is None else of_user, len(own)))
            setattr(self, f"{name}_", statistic)
        self.net_ = self._rebuild(stripped)

    def _seen_as(self):
        return {"mean": self.pixel_mean_, "std": self.pixel_std_, "n_classes": 2}

    # -------------------------------------------------------------------------------- computing

    def _look_up_layer(self):
        height, width = self.net_.crop_size_ or self.image_shape_in_[:2]
        seen = (height, width, len(self.pixel_mean_))
        if self.layer is None:
            return last_layer(self.module_, seen)
        check_layer(self.module_, seen, self.layer)
        return self.layer

    def _setting(self):
        shown = {
            "weights": {n: np.asarray(w) for n, w in strip(self.net_)["weights"].items()},
            "network": self.net_.module,
            "code": sorted({type(part) for part in self.module_.modules()}, key=str),
            "options": self.net_.get_params_for("module"),
            "seen": (self.pixel_mean_, self.pixel_std_, self.net_.crop_size_),
            "taken": (self.layer_, self._takes_input, self._pool),
        }
        described, origins = describe(shown)
        return f"CNNFeatures {self._version} {described} {json.dumps(code_in_use(origins))}"

    def _vectors(self, batch):
        check_sizes(self, [batch.shape[2:]], self.image_shape_in_[:2])
        if batch.shape[1] > len(self.pixel_mean_):
            raise ValueError(
                f"{type(self).__name__} has a network of grey images and got RGB ones; put "
                "Grayscale() before it"
            )
        with seeded(0, batch.device):
            values = activations(
                self.module_, self.net_.as_seen(batch), self.layer_, before=self._takes_input
            )
        return pooled(values, self._pool).float()

    def _map(self, images, function):
        """One batch after the other: a network computes a batch on all cores."""
        device = resolve_device(self.device)
        self.net_.move_to(device, autocast=False)
        height, width = self.image_shape_in_[:2]
        for rows, pixels in images.batches(self.batch_size * height * width):
            with torch.inference_mode(), memory_explained(self.batch_size):
                result = function(to_batch(pixels, device))
            yield rows, result

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = True
        tags.target_tags.required = isinstance(self.module, CNNClassifier)
        return tags


def _check_statistic(features, name, least):
    """Raise a ValueError unless a parameter is None, or a finite number above that or several."""
    if getattr(features, name) is None:
        return
    values = np.asarray(getattr(features, name))
    are_numbers = values.ndim < 2 and values.dtype.kind in "iuf"
    if not are_numbers or not np.all((values > least) & np.isfinite(values)):
        above = "finite" if least < 0 else "positive"
        refuse(features, name, f"None, a {above} number, or one for each channel")


def _is_classifier(module):
    return isinstance(module, (CNNClassifier, FrozenEstimator))


def _of_channels(statistic, n_channels):
    """ImageNet's, of grey images their mean."""
    return statistic if n_channels == len(statistic) else (np.mean(statistic),) * n_channels
