"""The engine inside CNNClassifier: a skorch net of images that lie in one tensor."""

from contextlib import contextmanager, nullcontext

import numpy as np
import torch
from skorch import NeuralNetClassifier

from visionpipe.deep.data.batches import Batches
from visionpipe.deep.data.views import centre_crop, views
from visionpipe.kernels.color import to_unit


class TensorNet(NeuralNetClassifier):
    """A skorch classifier of images held in one tensor (n, c, h, w), uint8 or float32.

    Differs from its parent in how a batch goes through it: batches are cut from tensors, and
    cropped and standardised on the device.

    Parameters
    ----------
    mean, std : ndarray of float32 of shape (c,)
        Subtracted from each channel, and what it is then divided by, on the scale 0..1.
    n_classes : int
    device : torch.device
    crop_size : (int, int) or None
        Height and width of what the network sees: a random part of an image in training, its
        centre in prediction.
    autocast : bool
        Whether to compute in bfloat16 where torch deems that safe.
    channels_last : bool
        Whether the channels of a pixel lie side by side in memory.
    **options
        The parent's.
    """

    def __init__(
        self,
        *,
        mean,
        std,
        n_classes,
        device,
        crop_size=None,
        autocast=False,
        channels_last=False,
        **options,
    ):
        super().__init__(
            **{
                "classes": np.arange(n_classes),
                "iterator_train": Batches,
                "iterator_train__shuffle": True,
                "iterator_valid": Batches,
                "train_split": None,
                **options,
            },
            device=device,
        )
        self.pixel_mean_ = torch.tensor(mean, device=device).view(-1, 1, 1)  # (c, 1, 1)
        self.pixel_std_ = torch.tensor(std, device=device).view(-1, 1, 1)
        self.crop_size_, self.autocast_, self.channels_last_ = crop_size, autocast, channels_last

    def initialize_module(self):
        """As in the parent, in the memory format asked for."""
        super().initialize_module()
        if self.channels_last_:
            self.module_.to(memory_format=torch.channels_last)
        return self

    def move_to(self, device, autocast):
        """Bring what prediction needs to a device, to compute there in bfloat16 or not."""
        self.device, self.autocast_ = device, autocast
        self.module_.to(device)
        self.pixel_mean_, self.pixel_std_ = self.pixel_mean_.to(device), self.pixel_std_.to(device)

    def probabilities(self, batch, tta=None, n_tests=1):
        """ndarray (b, n_classes) for images (b, c, h, w), as the mean over views of them.

        And over `n_tests` passes: each draws from a generator of its own seed, so that a network
        that draws in evaluation too says the same of an image each time it is asked.
        """
        self.module_.eval()
        total = 0
        with torch.inference_mode(), memory_explained(len(batch)):
            batch = batch.to(self.device)
            for seed in range(n_tests):
                with seeded(seed, self.device):
                    for images, weight in views(batch, tta, self.crop_size_):
                        total = total + weight / n_tests * self.infer(images).softmax(dim=1)
            return total.cpu().numpy()  # (b, n_classes)

    def infer(self, x, **fit_params):
        """Logits (b, n_classes) of images (b, c, h, w)."""
        with self.in_precision():
            logits = self.module_(self.as_seen(x), **fit_params)
        return self.checked(logits, len(x)).float()

    def in_precision(self):
        """Inside the context the network computes as it was asked to."""
        if self.autocast_:
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext()

    def checked(self, logits, n_images):
        """Logits as they are, or a ValueError if they are none for so many images."""
        shape = getattr(logits, "shape", None)
        if shape != (n_images, len(self.classes)):
            got = type(logits).__name__ if shape is None else f"logits of shape {tuple(shape)}"
            raise ValueError(
                f"{type(self.module_).__name__} returned {got} for {n_images} images of "
                f"{len(self.classes)} classes; wanted {(n_images, len(self.classes))}"
            )
        return logits

    def as_seen(self, x):
        """Images (b, c, h, w) as the network sees them: their centre, of mean 0 and deviation 1."""
        x = torch.as_tensor(x).to(self.device, non_blocking=True)
        if self.crop_size_ is not None and x.shape[2:] != self.crop_size_:
            x = centre_crop(x, self.crop_size_)
        x = (to_unit(x) - self.pixel_mean_).div_(self.pixel_std_)
        # pixels that were just read lie side by side with their channels
        together = torch.channels_last if self.channels_last_ else torch.contiguous_format
        return x.contiguous(memory_format=together)

    def check_data(self, X, y=None):
        """Nothing: CNNClassifier has checked, and the parent would sort y once more."""


@contextmanager
def memory_explained(batch_size):
    """Say which batch size to try where a batch does not fit into memory."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        lacks = isinstance(error, (MemoryError, torch.OutOfMemoryError))
        if not lacks and "DefaultCPUAllocator" not in str(error):
            raise
        advice = f"try batch_size={batch_size // 2}" if batch_size > 1 else "try smaller images"
        raise MemoryError(
            f"out of memory with batches of {batch_size} images ({str(error).splitlines()[0]}); "
            f"{advice}"
        ) from error


@contextmanager
def seeded(seed, device):
    """Draw from this seed inside the block, and leave the caller's generators as they were.

    `torch.manual_seed` would also reseed the generators of GPUs that are none of our business.
    """
    gpus = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=gpus):
        torch.default_generator.manual_seed(seed)
        for gpu in gpus:
            with torch.cuda.device(gpu):
                torch.cuda.manual_seed(seed)
        yield
