"""CNNClassifier: a neural network as a scikit-learn classifier of images."""

from contextlib import nullcontext
from functools import partial
from numbers import Integral

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.metrics import top_k_accuracy_score
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from visionpipe.base import TakesImages, refuse, resolve_device
from visionpipe.deep.data import labels
from visionpipe.deep.data.pixels import (
    as_images_again,
    bring_close,
    open_pixels,
    pixel_statistics,
    read_all,
)
from visionpipe.deep.fitted import HoldsNetwork, draw_seed
from visionpipe.deep.net import seeded
from visionpipe.deep.options import choices, parameters
from visionpipe.deep.options.fit_check import check_network_takes
from visionpipe.deep.options.prefixed import PrefixedParams
from visionpipe.deep.training.checkpoint import CheckpointFolder, identity_of
from visionpipe.deep.training.epochs import EpochTasks, NoTasks
from visionpipe.deep.training.loop import TrainingNet, TrainingOptions, split_at
from visionpipe.deep.transfer.layers import frozen_names, lr_factors
from visionpipe.deep.transfer.weights import class_tensors, fit_weights, imagined, weights_from
from visionpipe.images import as_images

_N_TO_INITIALIZE_FROM = 5_000  # images for a network that looks at some before it is trained
# parameters that do not decide what is learned, or not alone
_NOT_IN_IDENTITY = {
    *("callbacks", "checkpoint", "device", "n_tests", "random_state", "tensorboard", "tta"),
    "verbose",
}


class CNNClassifier(
    CallbackSupportMixin,
    HoldsNetwork,
    TakesImages,
    PrefixedParams,
    ClassifierMixin,
    BaseEstimator,
):
    """Classifier of images by a neural network, trained with skorch and PyTorch.

    Pixels are standardised by the mean and deviation of each channel over the training images, and
    the network's weights start afresh at each `fit`. Whole batches are cut from one tensor on the
    device that holds the training images as they came, uint8 or float32. Images that do not fit
    stay in the host's memory, or are read anew in each epoch; a warning says so.

    Parameters
    ----------
    module : str or class, default="lenet"
        A name of `visionpipe.networks.names()`, or a torch module class that takes ``n_channels``,
        ``image_size`` and ``n_classes`` by keyword and returns logits (b, n_classes) for float32
        images (b, c, h, w). Never an instance: `clone` would carry its weights into the next fold.
        If it has a method ``initialize_from``, that is called once before training with up to 5,000
        of the training images, standardised; if it has a method ``training_loss``, that is called
        in training with images, class numbers and the criterion, and returns the loss and logits.
    max_epochs : int, default=20
        Passes over the training images.
    lr : float, default=3e-3
        Learning rate, the highest if there is a schedule.
    batch_size : int, default=32
        Images a step (Masters & Luschi 2018 find 32 and fewer to generalise best), and images at a
        time in prediction. A last training batch of one image joins the batch before it, because
        batch normalisation cannot learn from one.
    optimizer : {"adam", "adamw", "muon", "nesterov", "sgd"} or class, default="adam"
        With torch's defaults (those of Kingma & Ba 2015 for "adam"), but momentum 0.9 for "sgd" and
        "nesterov" as in Krizhevsky et al. 2012, for which an `lr` of 0.03 is a good start. "muon"
        is `visionpipe.deep.training.muon.Muon`: orthogonalised steps for the filters of
        convolutions, for which 0.03 to 0.1 is, and Adam at ``optimizer__adam_lr`` for all else.
    weight_decay : float or None, default=None
        Of filters and matrices; biases and the scales of normalisation are let alone. None leaves
        it to the optimizer, of which "adamw" has 0.01 for all weights.
    criterion : "cross_entropy" or class, default="cross_entropy"
        Loss of logits (b, n_classes) and class numbers (b,). "cross_entropy" moves 0.02 of each
        label's weight to all classes alike (Szegedy et al. 2016, who move 0.1);
        ``criterion__label_smoothing=0`` is the plain loss.
    lr_schedule : str or None, default="one_cycle"
        How the learning rate goes: "constant" or None, "cosine", "exponential", "linear",
        "one_cycle" or "step", with options as ``lr_schedule__*``, see
        `visionpipe.deep.training.schedule.Schedule`. None leaves it to a callback.
    clip_grad_norm : float or None, default=None
        Longest gradient, all weights taken together (Pascanu et al. 2013); longer ones are
        shortened to it.
    ema_decay : float in (0, 1) or None, default=None
        Of an exponential moving average of the weights, which takes their place in validation and
        prediction; 0.999 is a good start. Early on it forgets faster, as in TensorFlow.
    augmentation : Augmentation or None, default=None
        How training images are varied each time they are seen, on the device.
    crop_size : int, (int, int) or None, default=None
        Height and width of what the network sees: a random part of each image in training, the
        centre in prediction. None shows it whole images.
    tta : {"mirror", "shifts", "ten_crops"} or None, default=None
        Views of an image whose probabilities are averaged in prediction: with its mirror image,
        also shifted by a pixel to both sides, or the corners and the centre with their mirror
        images (Krizhevsky et al. 2012), which needs `crop_size`.
    n_tests : int, default=1
        Passes whose probabilities are averaged in prediction, for networks that draw at random in
        each of them, as "fmp" does (Graham 2014 takes 12).
    class_weight : None, "balanced" or dict of label to weight, default=None
        Weight of each class in the loss; "balanced" makes it inverse to the class's share, as
        everywhere in scikit-learn.
    validation_fraction : float in (0, 1) or None, default=None
        Part of the images, drawn by class, to hold out and report on as ``valid_loss`` and
        ``valid_acc`` after each epoch. None trains on all of them, but where `early_stopping` needs
        some, which are then 0.1.
    early_stopping : bool, default=False
        Whether to stop when the validation loss has not fallen for `n_iter_no_change` epochs. The
        weights of the best epoch are taken, also if training was not stopped. It suits
        ``lr_schedule=None`` better: a cycle that is cut off leaves the rate high.
    n_iter_no_change : int, default=10
        See `early_stopping`.
    init_from : CNNClassifier, FrozenEstimator, path-like, "pretrained" or None, default=None
        Weights to begin with in place of fresh ones, for all tensors whose shape does not depend on
        the number of classes; the layer that tells classes apart is always fresh. Of a fitted
        classifier of the same `module`, which in a search has to be in a
        `sklearn.frozen.FrozenEstimator`, because clones are not fitted; of a file, see
        `visionpipe.deep.transfer.weights_file.read_weights`; or those that torchvision or timm
        publish under the network's name. Pixels are standardised as they were for these weights,
        where that is known; grey images count as RGB where they are for RGB.
    freeze : "features", int or None, default=None
        Layers that do not learn: all but the one that tells classes apart, or so many from the
        first one on. Normalisations among them keep their statistics too.
    freeze_epochs : int or None, default=None
        Epochs after which these layers learn as well; None keeps them still.
    lr_mult : float, or dict of str to float, default=1.0
        Factor of `lr`: for all layers but the one that tells classes apart, or for layers by name,
        such as ``{"conv1": 0.01, "stage1": 0.1}``.
    warm_start : bool, default=False
        Whether `fit` begins with the weights of the fit before, of the same classes.
    checkpoint : path-like or None, default=None
        A folder in which the state of the training is written after each epoch. The same fit, of
        the same parameters, images, labels, `random_state`, versions of packages and code of the
        user's classes, goes on from there, and ends on a CPU with the weights it would have had
        without the interruption; one that had ended takes them from there. Each fit has a folder of
        its own in it, also in parallel. Callbacks begin anew.
    tensorboard : path-like or None, default=None
        A folder for TensorBoard's logs, in which each fit has its own, see
        `visionpipe.deep.tensorboard.log.TensorBoardLog`.
    callbacks : list of skorch callbacks or of (name, callback), default=None
        Each fit works on copies. Callbacks of scikit-learn go to `set_callbacks`, see Notes.
    channels_last : bool or "auto", default="auto"
        Whether a pixel's channels lie side by side in memory, which makes convolutions faster, but
        not every class can do with it (``x.view`` fails); "auto" has it so for networks and
        optimizers by name.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Of the network's arithmetic; weights stay float32. "auto" is bfloat16, where torch deems
        that safe, on GPUs that have it, else float32.
    device : str or torch.device, default="auto"
        "auto" is a CUDA GPU if there is one, else the CPU. It is looked up in `fit` and again in
        prediction: a classifier trained on a GPU predicts on machines without one.
    random_state : int, RandomState or None, default=None
        Draws the weights, the order of images, dropout, augmentation and the validation images. An
        int gives the same network to the last bit on one machine's CPU with the same number of
        threads; not so fits that run in several threads of one process, which draw from one
        generator. None draws a seed from numpy's global generator, as everywhere in scikit-learn;
        torch's is left alone always.
    verbose : int, default=0
        1 prints a line for each epoch.
    **module__options
        ``module__*``, ``optimizer__*``, ``criterion__*``, ``callbacks__*``, ``iterator_train__*``
        and ``iterator_valid__*``, with skorch's meaning, and ``lr_schedule__*``:
        ``module__hidden=(100,)``, ``criterion__label_smoothing=0.1``, ``lr_schedule__warm_up=0.1``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted.
    image_shape_in_ : (int, int, int)
        Height, width and channels of the images seen in `fit`; 3 channels if any was RGB.
    pixel_mean_, pixel_std_ : ndarray of float32 of shape (n_channels,)
        Of the images trained on, on the scale 0..1; 1 in place of a deviation of 0.
    n_iter_ : int
        Epochs trained, fewer than `max_epochs` if something stopped the training.
    history_ : skorch.history.History
        ``history_[:, "train_loss"]`` are the losses by epoch.
    module_ : torch.nn.Module
    net_ : skorch.NeuralNetClassifier

    Notes
    -----
    `lr`, `lr_schedule`, `max_epochs` and the smoothing of labels were chosen on scikit-learn's
    digits, scaled up bilinearly. LeNet-5 then reaches 99.1 % at 28x28 and at 32x32 (5 folds, 2
    seeds each), without smoothing 98.5 % and 98.6 %.

    `set_callbacks` takes callbacks of `sklearn.callback`, to which each epoch is a task:
    ``ProgressBar()`` shows them, ``ScoringMonitor(scoring=...)`` scores the network after each, and
    one whose ``on_fit_task_end`` returns True stops the training after that epoch. Epochs of a
    Pipeline in a GridSearchCV are shown by ``ProgressBar(max_propagation_depth=2)``, set on the
    search.

    Pickles, copies and `joblib.dump` hold the weights as arrays and the history by epochs, but no
    optimizer: `net_` of a loaded classifier predicts, and would begin training with a new one.

    References
    ----------
    B. Graham, "Fractional max-pooling", arXiv:1412.6071, 2014.

    D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization", ICLR, 2015.

    D. Masters and C. Luschi, "Revisiting small batch training for deep neural networks",
    arXiv:1804.07612, 2018.

    R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural networks",
    ICML, 2013.

    C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens and Z. Wojna, "Rethinking the Inception
    architecture for computer vision", CVPR, 2016.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from visionpipe import CNNClassifier
    >>> digits = load_digits()
    >>> images, labels = digits.images / 16, digits.target  # (1797, 8, 8)
    >>> mlp = CNNClassifier("mlp", max_epochs=5, module__hidden=(64,), random_state=0)
    >>> mlp.fit(images[:1000], labels[:1000]).score(images[1000:], labels[1000:]) > 0.9
    True
    """

    def __init__(
        self,
        module="lenet",
        *,
        max_epochs=20,
        lr=3e-3,
        batch_size=32,
        optimizer="adam",
        weight_decay=None,
        criterion="cross_entropy",
        lr_schedule="one_cycle",
        clip_grad_norm=None,
        ema_decay=None,
        augmentation=None,
        crop_size=None,
        tta=None,
        n_tests=1,
        class_weight=None,
        validation_fraction=None,
        early_stopping=False,
        n_iter_no_change=10,
        init_from=None,
        freeze=None,
        freeze_epochs=None,
        lr_mult=1.0,
        warm_start=False,
        checkpoint=None,
        tensorboard=None,
        callbacks=None,
        channels_last="auto",
        precision="auto",
        device="auto",
        random_state=None,
        verbose=0,
        **module__options,  # of every prefix; scikit-learn's checks pass this very name as well
    ):
        self.module = module
        self.max_epochs = max_epochs
        self.lr = lr
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.weight_decay = weight_decay
        self.criterion = criterion
        self.lr_schedule = lr_schedule
        self.clip_grad_norm = clip_grad_norm
        self.ema_decay = ema_decay
        self.augmentation = augmentation
        self.crop_size = crop_size
        self.tta = tta
        self.n_tests = n_tests
        self.class_weight = class_weight
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.n_iter_no_change = n_iter_no_change
        self.init_from = init_from
        self.freeze = freeze
        self.freeze_epochs = freeze_epochs
        self.lr_mult = lr_mult
        self.warm_start = warm_start
        self.checkpoint = checkpoint
        self.tensorboard = tensorboard
        self.callbacks = callbacks
        self.channels_last = channels_last
        self.precision = precision
        self.device = device
        self.random_state = random_state
        self.verbose = verbose
        self._assign_prefixed(module__options)

    def set_params(self, **params):
        """Set parameters by name, those with a prefix included, whether set before or not.

        Parameters
        ----------
        **params
            See the class.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If there is no such parameter, or it is one of an `augmentation` that is None.
        """
        ours = [name for name in params if name.startswith("augmentation__")]
        if ours and params.get("augmentation", self.augmentation) is None:
            raise ValueError(f"{ours[0]} cannot be set while augmentation is None; set that first")
        return super().set_params(**params)

    # ------------------------------------------------------------------------------- training

    @with_callbacks
    def fit(self, X, y, sample_weight=None):
        """Train a network, a fresh one but for `warm_start`.

        Parameters
        ----------
        X : array-like of images
            Anything `as_images` takes, all of one size.
        y : array-like of shape (n,)
            Class labels of any type.
        sample_weight : array-like of shape (n,), default=None
            Weight of each image in the loss; one of weight 0 is as good as absent.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If images differ in size or are too small for the network, there are fewer than two
            classes, a parameter makes no sense, weights to begin with do not fit, or training
            diverges in its first epoch.
        MemoryError
            If a batch does not fit into the device's memory.

        Warns
        -----
        ConvergenceWarning
            If training diverges later; the weights of the last good epoch are kept.
        UserWarning
            If the images do not fit into memory, or a checkpoint cannot be read.
        """
        owner = type(self).__name__
        options = self._net_options(sample_weight is not None)  # complain before reading files
        images = as_images(X, owner=owner)
        classes, numbers = labels.encode(y, owner)  # (n_classes,), (n,)
        check_consistent_length(images, numbers)
        given, earlier = self._source(), self._earlier_weights(classes)
        vars(self).pop("net_", None)  # of an earlier fit; what follows does not describe it
        self.classes_ = classes
        task = self._init_callback_context(max_subtasks=self.max_epochs)
        task.call_on_fit_task_begin(estimator=self, X=images, y=y)
        images, numbers, weights = labels.weigh(
            images, numbers, classes, sample_weight=sample_weight, class_weight=self.class_weight
        )
        seed = draw_seed(self.random_state)
        with self._checkpoints(images, numbers, weights, given, earlier) as folder:
            state = self._state_to_go_on_from(folder)
            if state is not None:
                seed = state["seed"]
            split = labels.held_out(self._validation_fraction(), numbers, seed)
            opened = open_pixels(images, owner)
            pixels = bring_close(opened, options["device"], owner)  # (n, c, h, w)
            weights = labels.normalized(weights, split.get("train"))
            # Callbacks get the images as they were read: one that predicts reads no file again.
            seen = {"X": as_images_again(opened), "y": classes[numbers]}
            with seeded(seed, options["device"]):
                net = self._make_net(options, seed, pixels, weights, split, given)
                if earlier is not None:
                    _load_earlier(net.module_, earlier)
                net.train(
                    pixels,
                    torch.from_numpy(numbers),
                    EpochTasks(self, task, self._of_a_copy, **seen),
                    n_epochs=self.max_epochs,
                    sample_weight=weights,
                    checkpoint=folder,
                    state=state,
                )
        self.net_, self.n_iter_ = net, len(net.history)
        task.call_on_fit_task_end(estimator=self, reconstruction_attributes={}, **seen)
        return self

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train for one more epoch, on some of the images.

        The learning rate is `lr`: no schedule knows how many calls will follow. Pixels are
        standardised by what the first call saw, and of the parameters, later calls take notice of
        `lr` and `batch_size` alone. Nothing is held out, and no checkpoint is written.

        Parameters
        ----------
        X : array-like of images
            Anything `as_images` takes, all of the size seen in the first call.
        y : array-like of shape (n,)
            Class labels.
        classes : array-like of shape (n_classes,), default=None
            All labels there will be; needed in the first call.
        sample_weight : array-like of shape (n,), default=None
            Weight of each image in the loss.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            As in `fit`; or if `classes` lack or differ from those of the first call, or
            `early_stopping` or balanced classes are asked for, which take all images at once.
        """
        owner = type(self).__name__
        if self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True; use fit")
        if self.class_weight == "balanced":
            raise ValueError(
                "partial_fit does not support class_weight='balanced', for which all labels have "
                "to be known; pass a dict of weights"
            )
        weighted = sample_weight is not None or choices.can_be_weighted(self.criterion)
        options = self._net_options(weighted, is_planned=False)
        images = as_images(X, owner=owner)
        is_first = labels.check_classes(self, classes) or not hasattr(self, "net_")
        numbers = labels.numbers_among(self.classes_, y, owner)
        check_consistent_length(images, numbers)
        images, numbers, weights = labels.weigh(
            images,
            numbers,
            self.classes_,
            sample_weight=sample_weight,
            class_weight=self.class_weight,
        )
        weights = labels.normalized(weights)
        n_before = 0 if is_first else self.n_iter_
        seed = draw_seed(self.random_state) + n_before  # another order each time
        seed %= np.iinfo(np.int32).max
        pixels = read_all(images, owner)
        if not is_first:
            pixels = self._as_in_fit(pixels)
        pixels = bring_close(pixels, options["device"], owner)
        with seeded(seed, options["device"]):
            if is_first:
                net = self._make_net(options, seed, pixels, weights, {}, self._source())
            else:
                net = self._net_to_go_on_with(options, seed)
            net.train(
                pixels,
                torch.from_numpy(numbers),
                NoTasks(),
                n_epochs=n_before + 1,
                sample_weight=weights,
            )
        self.net_, self.n_iter_ = net, len(net.history)
        return self

    def _net_to_go_on_with(self, options, seed):
        """The net of earlier calls, or one that is equipped to train, if it was only to predict."""
        net = self.net_
        if (
            isinstance(net, TrainingNet)
            and net.device == options["device"]
            and net.train_split is None  # else it is of `fit`, with a plan for all its epochs
            and "lr_schedule" not in dict(net.callbacks_)
        ):
            for group in net.optimizer_.param_groups:  # which keep their proportions
                group["lr"] *= self.lr / net.lr
            net.lr = self.lr
            net.set_params(batch_size=self.batch_size)
            return net
        fresh = self._initialized(options, seed, {})
        fresh.module_.load_state_dict(net.module_.state_dict())
        fresh.history = net.history
        return fresh

    def _earlier_weights(self, classes):
        """Weights to begin with, or None."""
        if not (self.warm_start and hasattr(self, "net_")):
            return None
        if not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"warm_start=True goes on with a network of the classes {self.classes_}, but y "
                f"holds {classes}; set warm_start=False"
            )
        return self.net_.module_.state_dict()

    def _validation_fraction(self):
        if self.validation_fraction is None and self.early_stopping:
            return 0.1
        return self.validation_fraction

    def _source(self):
        """Weights of `init_from`, or None."""
        if self.init_from is None:
            return None
        return weights_from(self.init_from, name=self.module, owner="init_from")

    def _checkpoints(self, images, numbers, weights, given, earlier):
        """The folder of this very fit, as a context, or None in its place."""
        if self.checkpoint is None:
            return nullcontext()
        deciding = {n: v for n, v in self.get_params().items() if n not in _NOT_IN_IDENTITY}
        if given is not None:  # what has been learned there, not how
            deciding = {n: v for n, v in deciding.items() if not n.startswith("init_from")}
            deciding["init_from"] = [value.cpu().numpy() for value in given.tensors.values()]
        if earlier is not None:
            deciding["earlier"] = [value.cpu().numpy() for value in earlier.values()]
        identity = identity_of(
            deciding,
            images,
            self.classes_[numbers],
            sample_weight=weights,
            # other seeds are drawn anew each time: the one that was drawn is in the checkpoint
            seed=self.random_state if isinstance(self.random_state, Integral) else -1,
        )
        return CheckpointFolder(self.checkpoint, identity)

    def _state_to_go_on_from(self, folder):
        """State of an earlier training, or None.

        One that has ended, of a seed that was drawn, is not what another draw would give.
        """
        state = None if folder is None else folder.latest()
        if state is None or (state.get("finished") and not isinstance(self.random_state, Integral)):
            return None
        return state

    def _net_options(self, weighted, is_planned=True):
        """Arguments of skorch's net that the images have no say in, checked.

        Without a plan, which knows the number of epochs, there is no learning-rate schedule.
        """
        parameters.check(self)
        schedule = choices.schedule(self.lr_schedule, self._prefixed_by("lr_schedule"))
        choices.tensorboard(self.tensorboard, classes=None)
        return {
            **choices.module(self.module),
            **choices.optimizer(self.optimizer),
            **choices.criterion(self.criterion, weighted or self.class_weight is not None),
            "callbacks": [
                *(schedule if is_planned else []),
                *choices.copies_of(self.callbacks),
            ],
            "max_epochs": self.max_epochs,
            "lr": self.lr,
            "batch_size": self.batch_size,
            "device": resolve_device(self.device),
            "verbose": self.verbose,
            **self._prefixed_for_skorch(),
        }

    def _make_net(self, options, seed, pixels, weights, split, given):
        """The net with fresh weights or given ones, and what it has to know of the images."""
        train = split.get("train")
        n_channels, height, width = pixels.shape[1:]
        self.image_shape_in_ = (height, width, n_channels)
        crop_size = parameters.crop_size_of(self)
        if crop_size is not None and (crop_size[0] > height or crop_size[1] > width):
            refuse(self, "crop_size", f"no larger than the images, {(height, width)}")
        size = crop_size or (height, width)
        check_network_takes(partial(self._build_module, options), size, n_channels)
        if given is not None:
            given = self._fitted_to_network(given, options, size)
        if given is None or given.mean is None:
            of_pixels = pixel_statistics(pixels, train, weights)
            n_channels = self.image_shape_in_[2]
            self.pixel_mean_, self.pixel_std_ = (np.broadcast_to(s, n_channels) for s in of_pixels)
        else:
            self.pixel_mean_, self.pixel_std_ = given.mean, given.std
        net = self._initialized(options, seed, split)
        if given is not None:
            net.module_.load_state_dict(given.tensors, strict=False)
        elif hasattr(net.module_, "initialize_from"):
            rows = np.arange(len(pixels)) if train is None else train
            some = rows[:: -(-len(rows) // _N_TO_INITIALIZE_FROM)]  # of all classes, if sorted
            net.module_.initialize_from(net.as_seen(pixels[torch.from_numpy(some)]))
        return net

    def _build_module(self, options, image_size, **given):
        """A module for images of a size, as skorch will build it but for what is given."""
        arguments = {"n_channels": self.image_shape_in_[2], "n_classes": len(self.classes_)}
        arguments |= {"image_size": image_size, **self._prefixed_by("module")}
        return options["module"](**{**arguments, **given})

    def _fitted_to_network(self, given, options, size):
        """Weights as the network for images of a size takes them."""
        build = partial(self._build_module, options, size)
        height, width, n_channels = self.image_shape_in_
        fitted = fit_weights(given, build, n_channels, owner="init_from")
        self.image_shape_in_ = (height, width, fitted.n_channels)  # 3 also of grey ones, if need be
        return fitted

    def _learning(self, options, size):
        """Which parameters learn, and how fast, as arguments of `TrainingOptions`."""
        if self.freeze is None and self.lr_mult == 1:
            return {}
        build = partial(self._build_module, options, size)
        of_classes = class_tensors(build)
        module = imagined(partial(build, n_classes=len(self.classes_)))
        return {
            "frozen": frozen_names(module, self.freeze, of_classes),
            "freeze_epochs": self.freeze_epochs,
            "lr_factors": lr_factors(module, self.lr_mult, of_classes),
        }

    def _initialized(self, options, seed, split):
        """The net with fresh weights."""
        height, width, n_channels = self.image_shape_in_
        device, crop_size = options["device"], parameters.crop_size_of(self)
        # TensorBoard first, to see the learning rates of an epoch before they are changed
        logs = choices.tensorboard(self.tensorboard, self.classes_)
        net = TrainingNet(
            mean=self.pixel_mean_,
            std=self.pixel_std_,
            n_classes=len(self.classes_),
            crop_size=crop_size,
            autocast=choices.computes_in_bfloat16(self.precision, device),
            channels_last=(
                isinstance(self.module, str) and isinstance(self.optimizer, str)
                if self.channels_last == "auto"
                else self.channels_last
            ),
            training=TrainingOptions(
                seed=seed,
                augmentation=self.augmentation,
                weight_decay=self.weight_decay,
                clip_grad_norm=self.clip_grad_norm,
                ema_decay=self.ema_decay,
                patience=self.n_iter_no_change if self.early_stopping else None,
                **self._learning(options, crop_size or (height, width)),
            ),
            module__n_channels=n_channels,
            module__image_size=crop_size or (height, width),
            module__n_classes=len(self.classes_),
            train_split=partial(split_at, **split) if split else None,
            **{**options, "callbacks": [*logs, *options["callbacks"]]},
        ).initialize()
        choices.check_callbacks(
            net.callbacks_, self._prefixed, self.lr_schedule, validates=bool(split)
        )
        return net

    # ----------------------------------------------------------------------------- prediction

    def predict_proba(self, X):
        """Probability of each class.

        Parameters
        ----------
        X : array-like of images
            Anything `as_images` takes, of the size seen in `fit`. Grey ones count as RGB where the
            network was trained on RGB.

        Returns
        -------
        ndarray of float32 of shape (n, n_classes)
            Columns in the order of `classes_`; each row sums to 1.

        Raises
        ------
        ValueError
            If images are not of the size seen in `fit`, or are RGB where those were grey.
        """
        check_is_fitted(self, "net_")
        images = as_images(X, owner=type(self).__name__)
        device = resolve_device(self.device)
        self.net_.move_to(device, choices.computes_in_bfloat16(self.precision, device))
        probabilities = np.empty((len(images), len(self.classes_)), dtype=np.float32)
        for rows, batch in self._batches_as_in_fit(images):
            probabilities[rows] = self.net_.probabilities(batch, self.tta, self.n_tests)
        return probabilities

    def predict(self, X):
        """Most probable class.

        Parameters
        ----------
        X : array-like of images
            As for `predict_proba`.

        Returns
        -------
        ndarray of shape (n,)
            Labels, of the type of `classes_`.
        """
        numbers = self.predict_proba(X).argmax(axis=1)
        return self.classes_[numbers]

    def top_k_score(self, X, y, k=5, sample_weight=None):
        """Share of images whose class is among the k most probable.

        Parameters
        ----------
        X : array-like of images
            As for `predict_proba`.
        y : array-like of shape (n,)
            True labels.
        k : int
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        float
        """
        scores = self.predict_proba(X)
        if len(self.classes_) == 2:
            scores = scores[:, 1]  # as scikit-learn has it
        return top_k_accuracy_score(
            y, scores, k=k, labels=self.classes_, sample_weight=sample_weight
        )

    # -------------------------------------------------------------------------------- looking

    @property
    def history_(self):
        return self.net_.history

    def _seen_as(self):
        return {
            "mean": self.pixel_mean_,
            "std": self.pixel_std_,
            "n_classes": len(self.classes_),
        }


def _load_earlier(module, weights):
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            "warm_start=True cannot go on with weights of another network "
            f"({' '.join(str(error).split())}); set warm_start=False"
        ) from None
