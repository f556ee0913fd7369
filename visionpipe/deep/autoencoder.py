"""Autoencoder: codes of images that a network learns by drawing the images again from them."""

from functools import partial

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.utils.validation import check_array, check_is_fitted
from torch import nn

from visionpipe.base import TakesImages, resolve_device
from visionpipe.deep.data.pixels import as_images_again, bring_close, open_pixels
from visionpipe.deep.fitted import HoldsNetwork, draw_seed
from visionpipe.deep.net import memory_explained, seeded
from visionpipe.deep.options import choices, parameters
from visionpipe.deep.options.fit_check import check_network_takes
from visionpipe.deep.options.prefixed import PrefixedParams
from visionpipe.deep.training.epochs import EpochTasks
from visionpipe.deep.training.loop import TrainingNet, TrainingOptions
from visionpipe.images import as_images
from visionpipe.networks.autoencoder import ConvolutionalAutoencoder, DenseAutoencoder

__all__ = ["Autoencoder"]

_MODULES = {
    "convolutional": (ConvolutionalAutoencoder, {}),
    "dense": (DenseAutoencoder, {}),
}


class Autoencoder(
    CallbackSupportMixin,
    HoldsNetwork,
    TakesImages,
    PrefixedParams,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Codes of images, learned without labels by a network that draws the images again from them.

    An encoder turns each image into a short vector, its code, and a decoder turns that into an
    image. Both are trained together to keep the mean squared difference between pixels that came
    and pixels that were drawn small. Images may be grey or RGB, and are of one size.

    Parameters
    ----------
    module : {"dense", "convolutional"} or class, default="dense"
        "dense" is `visionpipe.networks.autoencoder.DenseAutoencoder`, one layer from pixels to the
        code and one back, from which half of the pixels are hidden in training
        (``module__corruption=0`` shows it all); "convolutional" is
        `visionpipe.networks.autoencoder.ConvolutionalAutoencoder`. A torch module class takes
        ``n_channels``, ``image_size`` and ``n_components`` by keyword; it has methods ``encode``,
        from float32 images (b, c, h, w) in 0..1 to codes (b, n_components), and ``decode`` back to
        images; called, it does both. Never an instance: `clone` would carry its weights into the
        next fold.
    n_components : int, default=100
        Length of a code.
    max_epochs : int, default=20
        Passes over the training images.
    lr : float, default=0.02
        Learning rate, the highest if there is a schedule.
    batch_size : int, default=32
        Images a step, and images at a time in `transform` and `inverse_transform`.
    optimizer : {"adam", "adamw", "muon", "nesterov", "sgd"} or class, default="adam"
        As in `CNNClassifier`.
    weight_decay : float or None, default=1e-6
        Of filters and matrices; biases are let alone. None leaves it to the optimizer. The loss is
        small, a mean over pixels: a decay usual for classifiers would be far too strong.
    lr_schedule : str or None, default="one_cycle"
        How the learning rate goes, as in `CNNClassifier`.
    callbacks : list of skorch callbacks or of (name, callback), default=None
        Each fit works on copies. Callbacks of scikit-learn go to `set_callbacks`; each epoch is a
        task to them.
    device : str or torch.device, default="auto"
        "auto" is a CUDA GPU if there is one, else the CPU. It is looked up anew in each method.
    random_state : int, RandomState or None, default=None
        Draws the weights, the order of images and what is hidden of them. An int gives the same
        network to the last bit on one machine's CPU with the same number of threads.
    verbose : int, default=0
        1 prints a line for each epoch.
    **module__options
        ``module__*``, ``optimizer__*``, ``callbacks__*`` and ``iterator_train__*``, with skorch's
        meaning, and ``lr_schedule__*``: ``module__hidden=(500,)``, ``lr_schedule__warm_up=0.1``.

    Attributes
    ----------
    image_shape_in_ : (int, int, int)
        Height, width and channels of the images seen in `fit`; 3 channels if any was RGB.
    n_iter_ : int
        Epochs trained, fewer than `max_epochs` if something stopped the training.
    history_ : skorch.history.History
        ``history_[:, "train_loss"]`` are the losses by epoch, of images with pixels hidden if there
        are such.
    module_ : torch.nn.Module
    net_ : skorch.NeuralNet

    See Also
    --------
    visionpipe.inspection.filters : Its features as images.

    Notes
    -----
    Pixels are not standardised but lie in 0..1, as what is drawn of them does.

    The defaults were chosen on MNIST: the first 10,000 training images to learn from, 5,000 other
    training images to draw again and to classify, by ``SVC(C=10)`` on the codes of the first 4,000;
    one seed. With the dense module the mean squared error is 0.0113 and 95.9 % are classified
    rightly, without corruption 0.0063 and 95.1 %; 100 principal components have 0.0057 and 95.9 %,
    the pixels themselves 95.3 %. Corruption also makes the features strokes, see
    `visionpipe.inspection.filters`: without it most look like noise. The convolutional module has
    0.0036 and 96.3 % after 5 epochs. Cross-entropy in place of squared differences gave larger
    squared errors, 0.0055 in place of 0.0049, at a rate of 0.01 without corruption and decay.
    `weight_decay` clears the weights of pixels that are always black, which keep their initial
    values otherwise.

    Pickles, copies and `joblib.dump` hold the weights as arrays and the history by epochs, but no
    optimizer.

    References
    ----------
    D. E. Rumelhart, G. E. Hinton and R. J. Williams, "Learning representations by back-propagating
    errors", Nature, 1986.

    G. E. Hinton and R. R. Salakhutdinov, "Reducing the dimensionality of data with neural
    networks", Science, 2006.

    P. Vincent, H. Larochelle, Y. Bengio and P.-A. Manzagol, "Extracting and composing robust
    features with denoising autoencoders", ICML, 2008.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from visionpipe.deep.autoencoder import Autoencoder
    >>> images = load_digits().images / 16  # (1797, 8, 8)
    >>> autoencoder = Autoencoder(n_components=10, max_epochs=3, random_state=0)
    >>> codes = autoencoder.fit_transform(images)
    >>> codes.shape, autoencoder.inverse_transform(codes).shape
    ((1797, 10), (1797, 8, 8))
    """

    def __init__(
        self,
        module="dense",
        *,
        n_components=100,
        max_epochs=20,
        lr=0.02,
        batch_size=32,
        optimizer="adam",
        weight_decay=1e-6,
        lr_schedule="one_cycle",
        callbacks=None,
        device="auto",
        random_state=None,
        verbose=0,
        **module__options,  # of every prefix, as in CNNClassifier
    ):
        self.module = module
        self.n_components = n_components
        self.max_epochs = max_epochs
        self.lr = lr
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.weight_decay = weight_decay
        self.lr_schedule = lr_schedule
        self.callbacks = callbacks
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self._assign_prefixed(module__options)

    # ------------------------------------------------------------------------------- training

    @with_callbacks
    def fit(self, X, y=None):
        """Train a fresh network to draw the images again.

        Parameters
        ----------
        X : array-like of images
            Anything `as_images` takes, all of one size.
        y : None
            Ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If images differ in size or are too small for the network, a parameter makes no sense,
            or training diverges in its first epoch.
        MemoryError
            If a batch does not fit into the device's memory.

        Warns
        -----
        ConvergenceWarning
            If training diverges later; the weights of the last good epoch are kept.
        UserWarning
            If the images do not fit into memory.
        """
        owner = type(self).__name__
        options = self._net_options()  # complain before reading files
        images = as_images(X, owner=owner)
        vars(self).pop("net_", None)  # of an earlier fit; what follows does not describe it
        task = self._init_callback_context(max_subtasks=self.max_epochs)
        task.call_on_fit_task_begin(estimator=self, X=images, y=y)
        seed = draw_seed(self.random_state)
        opened = open_pixels(images, owner)
        pixels = bring_close(opened, options["device"], owner)  # (n, c, h, w)
        seen = {"X": as_images_again(opened), "y": y}
        with seeded(seed, options["device"]):
            net = self._make_net(options, seed, pixels.shape)
            net.train(
                pixels,
                torch.zeros(len(pixels), dtype=torch.int64),  # no classes: all are of one
                EpochTasks(self, task, self._of_a_copy, **seen),
                n_epochs=self.max_epochs,
            )
        self.net_, self.n_iter_ = net, len(net.history)
        task.call_on_fit_task_end(estimator=self, reconstruction_attributes={}, **seen)
        return self

    def _check_params(self):
        for name in ("n_components", "max_epochs", "batch_size"):
            parameters.require(self, name, *parameters.COUNT)
        parameters.require(self, "lr", *parameters.POSITIVE)
        parameters.require_or_none(self, "weight_decay", *parameters.FROM_ZERO)
        parameters.check_one_weight_decay(self)

    def _net_options(self):
        """Arguments of skorch's net that the images have no say in, checked."""
        self._check_params()
        return {
            **choices.look_up("module", self.module, _MODULES),
            **choices.optimizer(self.optimizer),
            "criterion": nn.MSELoss,
            "callbacks": [
                *choices.schedule(self.lr_schedule, self._prefixed_by("lr_schedule")),
                *choices.copies_of(self.callbacks),
            ],
            "max_epochs": self.max_epochs,
            "lr": self.lr,
            "batch_size": self.batch_size,
            "device": resolve_device(self.device),
            "verbose": self.verbose,
            **self._prefixed_for_skorch(),
        }

    def _make_net(self, options, seed, shape):
        """The net with fresh weights, for images (n, c, h, w) of a shape."""
        n_channels, height, width = shape[1:]
        self.image_shape_in_ = (height, width, n_channels)
        self._n_features_out = int(self.n_components)
        check_network_takes(partial(self._build_module, options), (height, width), n_channels)
        net = ReconstructingNet(
            **_pixels_as_they_are(n_channels),
            training=TrainingOptions(seed=seed, weight_decay=self.weight_decay),
            module__n_channels=n_channels,
            module__image_size=(height, width),
            module__n_components=self._n_features_out,
            **options,
        ).initialize()
        choices.check_callbacks(net.callbacks_, self._prefixed, self.lr_schedule, validates=False)
        return net

    def _build_module(self, options, image_size):
        """A module for images of a size, as skorch will build it."""
        n_channels, n_components = self.image_shape_in_[2], self._n_features_out
        arguments = {"n_channels": n_channels, "n_components": n_components}
        arguments |= {"image_size": image_size, **self._prefixed_by("module")}
        return options["module"](**arguments)

    # ------------------------------------------------------------------------- there and back

    def transform(self, X):
        """Encode images.

        Parameters
        ----------
        X : array-like of images
            Anything `as_images` takes, of the size seen in `fit`. Grey ones count as RGB where the
            network was trained on RGB.

        Returns
        -------
        ndarray of float32 of shape (n_images, n_components)

        Raises
        ------
        ValueError
            If images are not of the size seen in `fit`, or are RGB where those were grey.
        """
        check_is_fitted(self, "net_")
        images = as_images(X, owner=type(self).__name__)
        self.net_.move_to(resolve_device(self.device), autocast=False)
        codes = np.empty((len(images), self._n_features_out), dtype=np.float32)
        for rows, batch in self._batches_as_in_fit(images):
            codes[rows] = self._run("encode", self.net_.as_seen(batch), codes.shape[1:])
        return codes

    def inverse_transform(self, X):
        """Draw images from codes.

        Parameters
        ----------
        X : array-like of shape (n_images, n_components)
            Codes, from `transform` or invented.

        Returns
        -------
        ndarray of float32 of shape (n_images, h, w) or (n_images, h, w, 3)
            Grey or RGB as those in `fit`, in 0..1.

        Raises
        ------
        ValueError
            If codes have another length.
        """
        check_is_fitted(self, "net_")
        codes = check_array(X, dtype=np.float32, input_name="codes")
        if codes.shape[1] != self._n_features_out:
            raise ValueError(
                f"{type(self).__name__} got codes of length {codes.shape[1]}; wanted "
                f"{self._n_features_out} numbers each, as transform gives them"
            )
        self.net_.move_to(resolve_device(self.device), autocast=False)
        height, width, n_channels = self.image_shape_in_
        images = np.empty((len(codes), n_channels, height, width), dtype=np.float32)
        for start in range(0, len(codes), self.batch_size):
            rows = slice(start, start + self.batch_size)
            images[rows] = self._run("decode", torch.tensor(codes[rows]), images.shape[1:])
        images = images.clip(0, 1, out=images).transpose(0, 2, 3, 1)  # (n, h, w, c)
        return images[..., 0] if n_channels == 1 else np.ascontiguousarray(images)

    def _run(self, method, batch, shape):
        """What a method of the module makes of a batch, an array (b, *shape)."""
        module = self.net_.module_.eval()
        with torch.inference_mode(), memory_explained(len(batch)):
            given = getattr(module, method)(batch.to(self.net_.device))
        _check_shape(module, method, given, (len(batch), *shape))
        return given.float().cpu().numpy()

    # -------------------------------------------------------------------------------- looking

    @property
    def history_(self):
        return self.net_.history

    def _seen_as(self):
        return _pixels_as_they_are(self.image_shape_in_[2])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = True
        return tags


class ReconstructingNet(TrainingNet):
    """A net that is trained to give back the very images that it takes."""

    def _training_loss(self, images, labels, weights):
        """Loss, and images (b, c, h, w) as they were drawn again."""
        images = self.as_seen(images)
        drawn = self.module_(images)
        _check_shape(self.module_, "forward", drawn, images.shape)
        return self.criterion_(drawn, images), drawn


def _pixels_as_they_are(n_channels):
    """Arguments of a net that takes pixels in 0..1, of a single class."""
    return {
        "mean": np.zeros(n_channels, dtype=np.float32),
        "std": np.ones(n_channels, dtype=np.float32),
        "n_classes": 1,
    }


def _check_shape(module, method, given, wanted):
    shape = getattr(given, "shape", None)
    if shape != tuple(wanted):
        got = type(given).__name__ if shape is None else f"shape {tuple(shape)}"
        raise ValueError(
            f"{type(module).__name__}.{method} returned {got} for {wanted[0]} images; wanted "
            f"{tuple(wanted)}"
        )
