"""Autoencoder: that it learns, against PCA and the mean image, and scikit-learn's ways."""

import copy
import pickle
import pickletools
import subprocess
import sys

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from skorch.callbacks import Callback
from torch import nn

from visionpipe import Autoencoder, Resize
from visionpipe.deep.data import pixels as pixels_module
from visionpipe.networks.autoencoder import DenseAutoencoder

DIGITS = load_digits()
IMAGES, HELD_OUT = DIGITS.images[:300] / 16, DIGITS.images[300:500] / 16
RGB = np.stack([IMAGES, IMAGES[:, ::-1], 1 - IMAGES], axis=3)[:80]  # (80, 8, 8, 3)
RNG = np.random.default_rng(0)
MODULES = ["dense", "convolutional"]


def autoencoder(module="dense", **params):
    return Autoencoder(module, **{"n_components": 12, "max_epochs": 2, "random_state": 0} | params)


def error(drawn, images):
    return np.square(drawn - images).mean()


def weights(fitted):
    return list(fitted.module_.state_dict().values())


class Tied(nn.Module):
    """One matrix for both ways, with a buffer, and weights in bfloat16, which numpy lacks."""

    def __init__(self, *, n_channels, image_size, n_components):
        super().__init__()
        self.shape = (n_channels, *image_size)
        self.dense = nn.Linear(n_channels * image_size[0] * image_size[1], n_components)
        self.register_buffer("scale", torch.full((), 0.7).bfloat16())

    def encode(self, images):
        return self.dense(images.flatten(1)) * self.scale.float()

    def decode(self, codes):
        return (codes @ self.dense.weight).view(-1, *self.shape)

    def forward(self, images):
        return self.decode(self.encode(images))


FITTED = {name: autoencoder(name).fit(IMAGES) for name in MODULES}
every_module = pytest.mark.parametrize("module", MODULES)


# ------------------------------------------------------------------------------- what it learns


@pytest.mark.parametrize(("module", "max_epochs"), [("dense", 30), ("convolutional", 10)])
def test_it_draws_new_images_better_than_their_mean(module, max_epochs):
    model = autoencoder(module, n_components=30, max_epochs=max_epochs, batch_size=16).fit(IMAGES)
    losses = model.history_[:, "train_loss"]
    assert len(losses) == model.n_iter_ == max_epochs and losses[-1] < losses[0] / 2
    drawn = model.inverse_transform(model.transform(HELD_OUT))
    assert error(drawn, HELD_OUT) < 0.5 * error(IMAGES.mean(axis=0), HELD_OUT)


def test_a_linear_one_comes_near_principal_components_and_no_further():
    options = {"activation": "linear", "output": "linear", "corruption": 0}
    model = autoencoder(
        max_epochs=60, lr=0.03, weight_decay=0, **{f"module__{n}": o for n, o in options.items()}
    ).fit(IMAGES)
    with torch.inference_mode():
        drawn = model.module_(torch.tensor(IMAGES, dtype=torch.float32)[:, None])[:, 0].numpy()
    rows = IMAGES.reshape(300, 64)
    pca = PCA(12).fit(rows)
    least = error(pca.inverse_transform(pca.transform(rows)), rows)
    assert least < error(drawn, IMAGES) < 1.1 * least


def test_the_loss_is_the_mean_square_over_pixels():
    """One step of SGD, by hand."""
    params = {"max_epochs": 1, "batch_size": 80, "optimizer": "sgd", "lr_schedule": None, "lr": 0.1}
    model = autoencoder(Tied, optimizer__momentum=0, weight_decay=None, **params).fit(RGB)
    torch.manual_seed(int(np.random.RandomState(0).randint(np.iinfo(np.int32).max)))
    by_hand = Tied(n_channels=3, image_size=(8, 8), n_components=12)
    images = torch.tensor(RGB, dtype=torch.float32).permute(0, 3, 1, 2)
    loss = ((by_hand(images) - images) ** 2).sum() / images.numel()
    loss.backward()
    np.testing.assert_allclose(model.history_[0, "train_loss"], loss.item(), rtol=1e-5)
    expected = by_hand.dense.weight - 0.1 * by_hand.dense.weight.grad
    torch.testing.assert_close(model.module_.dense.weight, expected)


def test_weight_decay_clears_what_no_pixel_ever_asks_for():
    images = IMAGES.copy()
    images[:, :, :3] = 0
    model = autoencoder(max_epochs=10).fit(images)
    weight = model.module_.encoder.dense1.weight.detach().view(12, 8, 8).abs()
    assert weight[:, :, :3].max() < 0.01 < weight[:, :, 3:].min(dim=0).values.mean()


def test_codes_serve_a_classifier_in_a_search():
    model = make_pipeline(Resize(12), autoencoder(max_epochs=5), SVC(C=10))
    labels = DIGITS.target[:300]
    grid = {"autoencoder__module": MODULES, "autoencoder__n_components": [20]}
    search = GridSearchCV(model, grid, cv=2).fit(IMAGES, labels)
    assert search.score(HELD_OUT, DIGITS.target[300:500]) > 0.6


# -------------------------------------------------------------------------------- there and back


@every_module
def test_what_comes_back_is_what_the_module_draws(module):
    for images, model in ((IMAGES, FITTED[module]), (RGB, autoencoder(module).fit(RGB))):
        codes = model.transform(images)
        assert codes.shape == (len(images), 12) and codes.dtype == np.float32
        drawn = model.inverse_transform(codes)
        assert drawn.shape == images.shape and drawn.dtype == np.float32
        assert drawn.min() >= 0 and drawn.max() <= 1
        batch = torch.tensor(images, dtype=torch.float32).view(len(images), 8, 8, -1)
        with torch.inference_mode():
            expected = model.module_(batch.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        np.testing.assert_allclose(drawn, expected.reshape(images.shape), atol=1e-6)
        assert model.image_shape_in_ == (8, 8, images.shape[3] if images.ndim == 4 else 1)


def test_pixels_of_a_linear_output_are_cut_to_0_and_1():
    model = autoencoder(module__output="linear").fit(IMAGES)
    drawn = model.inverse_transform(RNG.normal(0, 30, (50, 12)))
    assert drawn.min() == 0 and drawn.max() == 1


@every_module
def test_codes_do_not_depend_on_the_rest_of_the_batch(module):
    model = FITTED[module]
    codes = model.transform(IMAGES)
    for part in (slice(3, 4), slice(None, None, -1), slice(0, 33), [5, 5, 0]):
        np.testing.assert_allclose(model.transform(IMAGES[part]), codes[part], atol=1e-6)
    again = copy.copy(model).set_params(batch_size=7)
    np.testing.assert_allclose(again.transform(IMAGES), codes, atol=1e-6)
    np.testing.assert_allclose(
        again.inverse_transform(codes), model.inverse_transform(codes), atol=1e-6
    )


def test_nothing_is_hidden_of_images_that_are_encoded():
    model = FITTED["dense"]
    np.testing.assert_array_equal(model.transform(IMAGES), model.transform(IMAGES))


def test_grey_images_count_as_rgb_where_it_was_trained_on_rgb():
    model = autoencoder().fit(RGB)
    codes = model.transform(IMAGES)
    np.testing.assert_array_equal(codes, model.transform(np.repeat(IMAGES[..., None], 3, axis=3)))
    assert model.inverse_transform(codes).shape == (300, 8, 8, 3)
    mixed = autoencoder().fit([*IMAGES[:5], *RGB[:5]])
    assert mixed.image_shape_in_ == (8, 8, 3)


def test_bytes_and_floats_agree():
    images = (IMAGES * 255).round().astype(np.uint8)
    one, two = autoencoder().fit(images), autoencoder().fit(images / 255)
    np.testing.assert_allclose(one.transform(images), two.transform(images / 255), atol=1e-5)


def test_images_that_do_not_fit_into_memory(monkeypatch):
    expected = autoencoder().fit(IMAGES)
    monkeypatch.setattr(pixels_module, "free_memory", lambda: 60 * 64)
    with pytest.warns(UserWarning, match="Autoencoder reads 300 images anew in each epoch"):
        found = autoencoder().fit(IMAGES)
    np.testing.assert_array_equal(found.transform(IMAGES), expected.transform(IMAGES))


# ----------------------------------------------------------------------------------------- seeds


@every_module
def test_a_seed_decides_to_the_last_bit(module):
    before = torch.get_rng_state()
    other = autoencoder(module, random_state=1).fit(IMAGES)
    again = autoencoder(module).fit(IMAGES)
    assert torch.equal(torch.get_rng_state(), before)
    for one, two, three in zip(*map(weights, (FITTED[module], again, other)), strict=True):
        assert torch.equal(one, two) and not torch.equal(one, three)
    drawn = autoencoder(module, random_state=np.random.RandomState(0)).fit(IMAGES)
    np.testing.assert_array_equal(drawn.transform(IMAGES), again.transform(IMAGES))


def test_none_draws_from_numpy():
    np.random.seed(3)  # noqa: NPY002
    one, two = (autoencoder(random_state=None).fit(IMAGES).transform(IMAGES) for _ in range(2))
    np.random.seed(3)  # noqa: NPY002
    again = autoencoder(random_state=None).fit(IMAGES).transform(IMAGES)
    assert (one == again).all() and (one != two).any()


# ---------------------------------------------------------------------------------------- travel


@pytest.mark.parametrize("module", [*MODULES, Tied], ids=[*MODULES, "Tied"])
@pytest.mark.parametrize("travel", ["pickle", "deepcopy", "copy", "joblib", "memory map"])
@pytest.mark.filterwarnings("error")
def test_codes_stay_bit_for_bit(module, travel, tmp_path):
    model = FITTED.get(module) or autoencoder(module).fit(IMAGES)
    state = torch.get_rng_state()
    if travel == "pickle":
        arrived = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(model))))
    elif travel in ("copy", "deepcopy"):
        arrived = getattr(copy, travel)(model)
    else:
        joblib.dump(model, tmp_path / "model")
        arrived = joblib.load(tmp_path / "model", mmap_mode="r" if travel == "memory map" else None)
    assert torch.equal(torch.get_rng_state(), state)
    codes = model.transform(IMAGES)
    np.testing.assert_array_equal(arrived.transform(IMAGES), codes)
    np.testing.assert_array_equal(arrived.inverse_transform(codes), model.inverse_transform(codes))
    assert arrived.history_[:, "train_loss"] == model.history_[:, "train_loss"]
    assert arrived.n_iter_ == 2 and arrived.image_shape_in_ == (8, 8, 1)
    assert arrived.get_params() == model.get_params()


def test_a_pickle_holds_weights_and_little_else():
    model = autoencoder(max_epochs=10).fit(IMAGES)
    data = pickle.dumps(model)
    n_bytes = sum(p.numel() * p.element_size() for p in model.module_.parameters())
    assert n_bytes < len(data) < n_bytes + 5_000
    words = {arg for _, arg, _ in pickletools.genops(data) if isinstance(arg, str)}
    assert not [word for word in words if "torch" in word or "skorch" in word]


def test_a_pickle_loads_in_a_fresh_process(tmp_path):
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(FITTED["dense"]))
    np.save(tmp_path / "images.npy", IMAGES)
    code = (
        "import pickle, sys, numpy as np; from pathlib import Path; folder = Path(sys.argv[1])\n"
        "model = pickle.loads((folder / 'model.pickle').read_bytes())\n"
        "import torch; torch.set_num_threads(int(sys.argv[2]))\n"
        "sys.stdout.buffer.write(model.transform(np.load(folder / 'images.npy')).tobytes())"
    )
    command = [sys.executable, "-c", code, str(tmp_path), str(torch.get_num_threads())]
    output = subprocess.run(command, check=True, capture_output=True).stdout
    assert output == FITTED["dense"].transform(IMAGES).tobytes()


def test_parameters_changed_after_fit_change_nothing_that_was_learned():
    model = autoencoder().fit(IMAGES)
    codes = model.transform(IMAGES)
    model.set_params(module="convolutional", n_components=5)
    arrived = pickle.loads(pickle.dumps(model))
    for one in (model, arrived):
        np.testing.assert_array_equal(one.transform(IMAGES), codes)
        assert one.inverse_transform(codes).shape == IMAGES.shape
        assert len(one.get_feature_names_out()) == 12
    assert arrived.fit_transform(IMAGES).shape == (300, 5)


def test_the_device_is_looked_up_again():
    model = autoencoder().fit(IMAGES)
    codes = model.transform(IMAGES)
    model.set_params(device="cuda:99")
    for call in (lambda: model.transform(IMAGES), lambda: model.inverse_transform(codes)):
        with pytest.raises(ValueError, match="device='cuda:99' was asked for"):
            call()


# ----------------------------------------------------------------------------- bad input, errors


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"module": "dens"}, "module='dens' is unknown; .* one of 'convolutional', 'dense'"),
        ({"n_components": 0}, r"Autoencoder\(n_components=0\): .* a whole number from 1"),
        ({"n_components": 2.5}, "n_components must be a whole number from 1"),
        ({"max_epochs": 0}, "max_epochs must be a whole number from 1"),
        ({"batch_size": True}, "batch_size must be a whole number from 1"),
        ({"lr": 0}, "lr must be a positive number"),
        ({"lr": np.inf}, "lr must be a positive number"),
        ({"weight_decay": -1}, "weight_decay must be None or a number from 0"),
        ({"optimizer__weight_decay": 0.1}, "are both set; set one of them, or weight_decay=None"),
        ({"optimizer": "adamm"}, "optimizer='adamm' is unknown"),
        ({"lr_schedule": "cosin"}, "lr_schedule='cosin' is unknown"),
        ({"lr_schedule": None, "lr_schedule__warm_up": 0.1}, "lr_schedule=None takes no options"),
        ({"callbacks": 3}, "callbacks must be a list"),
        ({"callbacks__nobody__x": 3}, "callbacks__nobody__x is a parameter of no callback"),
        ({"device": "gpu"}, "device='gpu' is unknown"),
        ({"module__activation": "elu"}, r"activation='elu'\): activation must be one of 'linear'"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_bad_parameters_are_named(params, message):
    with pytest.raises(ValueError, match=message):
        autoencoder(**params).fit(IMAGES)


def test_an_instance_is_no_module():
    module = DenseAutoencoder(n_channels=1, image_size=(8, 8), n_components=3)
    with pytest.raises(ValueError, match="module is an instance of DenseAutoencoder; pass the cl"):
        autoencoder(module).fit(IMAGES)


def test_unknown_keywords():
    with pytest.raises(TypeError, match="unexpected keyword argument 'hidden'"):
        Autoencoder(hidden=(3,))
    with pytest.raises(TypeError, match="DenseAutoencoder.*'width'"):
        autoencoder(module__width=3).fit(IMAGES)


@pytest.mark.parametrize("shape", [(4, 11), (12,)])
def test_codes_that_are_none(shape):
    with pytest.raises(ValueError, match="codes of length 11; wanted 12|Expected 2D array"):
        FITTED["dense"].inverse_transform(np.zeros(shape))


def test_images_unlike_those_in_fit():
    with pytest.raises(ValueError, match=r"fitted on images of size.*\(8, 8\) and got \(8, 7\)"):
        FITTED["dense"].transform(IMAGES[:, :, :7])
    with pytest.raises(ValueError, match=r"fitted on grey images and got RGB ones.*Grayscale\(\)"):
        FITTED["dense"].transform(RGB)
    with pytest.raises(ValueError, match=r"unequal sizes.*\(8, 8\) and \(9, 8\).*Resize"):
        autoencoder().fit([np.zeros((8, 8)), np.zeros((9, 8))])


def test_images_that_are_too_small():
    message = "got images of 3x8 pixels .* too small for its layer conv2; it takes 4x4"
    with pytest.raises(ValueError, match=message):
        autoencoder("convolutional").fit(IMAGES[:, :3])
    assert autoencoder("convolutional").fit_transform(IMAGES[:, :4, :5]).shape == (300, 12)
    assert autoencoder().fit_transform(IMAGES[:20, 3:4, 3:4]).shape == (20, 12)


class Longer(Tied):
    def encode(self, images):
        return super().encode(images).repeat(1, 2)

    def decode(self, codes):
        return super().decode(codes[:, :12])


class Flat(Tied):
    def forward(self, images):
        return super().forward(images).flatten(1)


def test_modules_that_give_something_else():
    with pytest.raises(ValueError, match=r"Flat.forward returned shape \(32, 64\).*\(32, 1, 8, 8"):
        autoencoder(Flat).fit(IMAGES)
    with pytest.raises(ValueError, match=r"Longer.encode returned shape \(\d+, 24\) .* \(\d+, 12"):
        autoencoder(Longer).fit_transform(IMAGES)


def test_not_fitted():
    for call in ("transform", "inverse_transform"):
        with pytest.raises(NotFittedError):
            getattr(autoencoder(), call)(IMAGES)
    assert not hasattr(clone(FITTED["dense"]), "module_")


class Sabotage(Callback):
    """Make the weights infinite after the first epoch."""

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == 2:
            with torch.no_grad():
                next(net.module_.parameters()).fill_(np.inf)


def test_divergence():
    with pytest.warns(ConvergenceWarning, match="diverged in epoch 2.*weights of epoch 1"):
        model = autoencoder(callbacks=[Sabotage()]).fit(IMAGES)
    assert model.n_iter_ == 1 and np.isfinite(model.transform(IMAGES)).all()


# --------------------------------------------------------------------------- scikit-learn's ways


class Witness:
    """Note tasks and the codes of copies at the end of epochs; stop after so many."""

    def __init__(self, n_epochs):
        self.n_epochs, self.tasks, self.codes = n_epochs, [], []

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        self.tasks.append(("begin", context.task_name, context.max_subtasks))

    def on_fit_task_end(self, estimator, context, *, X=None, fitted_estimator=None):
        self.tasks.append(("end", context.task_name, context.max_subtasks))
        if context.task_name == "epoch":
            self.codes.append(fitted_estimator.transform(X))
        return len(self.codes) == self.n_epochs

    def teardown(self, estimator, context):
        pass


def test_epochs_are_tasks():
    witness = Witness(2)
    model = autoencoder(max_epochs=5, lr_schedule=None).set_callbacks(witness).fit(IMAGES)
    epochs = [("begin", "epoch", 0), ("end", "epoch", 0)] * 2
    assert witness.tasks == [("begin", "fit", 5), *epochs, ("end", "fit", 5)]
    assert model.n_iter_ == 2
    np.testing.assert_array_equal(witness.codes[-1], model.transform(IMAGES))
    assert (witness.codes[0] != witness.codes[1]).any()


def test_columns():
    model = autoencoder().set_output(transform="pandas")
    frame = model.fit_transform(IMAGES)
    assert [*frame.columns] == [f"autoencoder{i}" for i in range(12)]
    assert model.inverse_transform(frame).shape == IMAGES.shape
