"""CNNClassifier: images and labels of every kind in, classes and probabilities out."""

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from small_networks import SMALL_NETWORKS
from torch import nn

from visionpipe import networks
from visionpipe.deep.classifier import CNNClassifier
from visionpipe.images import as_images
from visionpipe.networks.mlp import MLP

DIGITS = load_digits()
BYTES = (DIGITS.images * 15).astype(np.uint8)[:400]  # (n, 8, 8)
LABELS = DIGITS.target[:400]


def quick(module="softmax", **params):
    return CNNClassifier(module, **{"max_epochs": 8, "lr": 0.02, "random_state": 0} | params)


class Spy(nn.Linear):
    """Softmax regression that notes what it is asked."""

    def __init__(self, *, n_channels, image_size, n_classes):
        super().__init__(n_channels * image_size[0] * image_size[1], n_classes)
        self.asked, self.seen = (n_channels, image_size, n_classes), []

    def forward(self, x):
        note = {"shape": tuple(x.shape), "mean": x.mean((0, 2, 3)), "std": x.std((0, 2, 3))}
        note |= {"inference": torch.is_inference_mode_enabled(), "training": self.training}
        self.seen.append(note)
        return super().forward(x.flatten(1))


class Normed(nn.Sequential):
    def __init__(self, *, n_channels, image_size, n_classes):
        n_pixels = n_channels * image_size[0] * image_size[1]
        super().__init__(nn.Flatten(), nn.BatchNorm1d(n_pixels), nn.Linear(n_pixels, n_classes))


class TwoLogits(nn.Sequential):
    def __init__(self, *, n_channels, image_size, n_classes):
        super().__init__(nn.Flatten(), nn.Linear(n_channels * image_size[0] * image_size[1], 20))


# ---------------------------------------------------------------------------------------- learns


def test_lenet_learns_digits():
    """With the defaults: 99.2 % of the whole set in five folds."""
    images = torch.tensor(DIGITS.images / 16, dtype=torch.float32)[:, None]
    images = nn.functional.interpolate(images, (28, 28), mode="bilinear")[:, 0].numpy()
    split = StratifiedShuffleSplit(1, test_size=0.2, random_state=0)
    train, test = next(split.split(images, DIGITS.target))
    lenet = CNNClassifier("lenet", random_state=0).fit(images[train], DIGITS.target[train])
    assert lenet.score(images[test], DIGITS.target[test]) > 0.975


@pytest.mark.parametrize("module", SMALL_NETWORKS)
def test_every_network_by_name(module):
    images = np.kron(BYTES[:60], np.ones((3, 3), dtype=np.uint8))  # (60, 24, 24)
    classifier = quick(module, max_epochs=2, lr=0.002).fit(images, LABELS[:60])
    assert type(classifier.module_) is type(
        networks.create(module, n_channels=1, image_size=(24, 24), n_classes=10)
    )
    assert classifier.predict(images).shape == (60,)


# ---------------------------------------------------------------------------------------- images


def test_bytes_and_floats_give_the_same_bits():
    from_bytes = quick("lenet", max_epochs=2).fit(BYTES, LABELS)
    from_floats = quick("lenet", max_epochs=2).fit(BYTES / 255, LABELS)
    np.testing.assert_array_equal(
        from_bytes.predict_proba(BYTES), from_floats.predict_proba(BYTES / 255)
    )
    np.testing.assert_array_equal(
        from_bytes.predict_proba(BYTES), from_bytes.predict_proba(BYTES / 255)
    )


def test_everything_as_images_takes(tmp_path):
    images = [Image.fromarray(image) for image in BYTES[:40]]
    paths = [str(tmp_path / f"{i}.png") for i in range(40)]
    for image, path in zip(images, paths, strict=True):
        image.save(path)
    expected = quick().fit(BYTES[:40], LABELS[:40]).predict_proba(BYTES[:40])
    for X in (BYTES[:40, :, :, None], list(BYTES[:40]), paths, as_images(paths)):
        np.testing.assert_array_equal(quick().fit(X, LABELS[:40]).predict_proba(X), expected)


def test_grey_images_among_rgb_ones():
    rgb = np.repeat(BYTES[:100, :, :, None], 3, axis=-1)
    mixed = [
        grey if i % 2 else colour
        for i, (grey, colour) in enumerate(zip(BYTES[:100], rgb, strict=True))
    ]
    classifier = quick().fit(mixed, LABELS[:100])
    assert classifier.image_shape_in_ == (8, 8, 3)
    expected = classifier.predict_proba(rgb)
    np.testing.assert_array_equal(classifier.predict_proba(BYTES[:100]), expected)
    np.testing.assert_array_equal(classifier.predict_proba(mixed), expected)


def test_rgb_for_a_network_of_grey_images():
    classifier = quick().fit(BYTES, LABELS)
    assert classifier.image_shape_in_ == (8, 8, 1)
    rgb = np.repeat(BYTES[:5, :, :, None], 3, axis=-1)
    with pytest.raises(ValueError, match=r"fitted on grey images and got RGB .* Grayscale\(\)"):
        classifier.predict(rgb)


def test_unequal_sizes_in_fit():
    message = r"^CNNClassifier got images of unequal sizes .*; put Resize\(\(h, w\)\) before it$"
    with pytest.raises(ValueError, match=message):
        quick().fit([BYTES[0], BYTES[1, :7]], [0, 1])


@pytest.mark.parametrize("images", [BYTES[:3, :, :7], [BYTES[0], BYTES[1, :7]]])
def test_other_sizes_in_predict(images):
    message = r"fitted on images of size \(height, width\) \(8, 8\) and got .* Resize\(\(8, 8\)\)"
    with pytest.raises(ValueError, match=message):
        quick().fit(BYTES, LABELS).predict(images)


def test_pixels_are_standardised_by_the_training_part():
    images = np.random.default_rng(0).integers(0, 90, (50, 6, 6, 3), dtype=np.uint8)
    images[..., 1] += 100
    images[..., 2] = 7  # constant: only centred
    spy = quick(Spy, batch_size=50, max_epochs=1).fit(images, np.arange(50) % 2)
    (seen,) = spy.module_.seen
    torch.testing.assert_close(seen["mean"], torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(seen["std"], torch.tensor([1.0, 1, 0]), rtol=0, atol=1e-2)
    pixels = images / 255
    np.testing.assert_allclose(spy.pixel_mean_, pixels.mean((0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(spy.pixel_std_[:2], pixels.std((0, 1, 2))[:2], rtol=1e-5)


def test_a_constant_image_set_gives_finite_numbers():
    images = np.full((20, 8, 8), 0.3)
    probabilities = quick().fit(images, np.arange(20) % 2).predict_proba(images)
    assert np.isfinite(probabilities).all()


def test_prediction_is_bounded_by_the_batch_and_makes_no_graph():
    spy = quick(Spy, batch_size=16).fit(BYTES, LABELS)
    spy.module_.seen.clear()
    spy.predict(list(BYTES[:50]))
    seen = spy.module_.seen
    assert sum(s["shape"][0] for s in seen) == 50 and max(s["shape"][0] for s in seen) <= 16
    assert all(s["inference"] and not s["training"] for s in seen)


# ---------------------------------------------------------------------------------------- labels


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed, but the target y is None"),
        (np.zeros(400), "at least 2 classes, but y holds one class, .*0"),
        (np.linspace(0, 1, 400), "Unknown label type: continuous"),
        (np.eye(400), "1d array"),
        (LABELS[:399], "inconsistent numbers of samples"),
        (np.where(LABELS == 3, np.nan, LABELS), "NaN"),
        (np.array(["a", np.nan], dtype=object)[LABELS % 2], "NaN"),
        (np.array(["a", None], dtype=object)[LABELS % 2], "types NoneType and str, .* not sort"),
        (np.array(["a", 1], dtype=object)[LABELS % 2], "types int and str, .* not sort"),
    ],
)
def test_bad_labels(y, message):
    with pytest.raises(ValueError, match=message):
        quick().fit(BYTES, y)


# --------------------------------------------------------------------- module, optimizer, loss


def test_module_class_and_its_options():
    spy = quick(Spy).fit(BYTES, LABELS)
    assert spy.module_.asked == (1, (8, 8), 10)
    mlp = quick(MLP, module__hidden=(5, 4), module__dropout=0.5).fit(BYTES, LABELS)
    assert mlp.module_.dense1.out_features == 5 and mlp.module_.dropout2.p == 0.5


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"module": MLP(n_channels=1, image_size=(8, 8), n_classes=10)}, "instance of MLP.*clone"),
        ({"module": "lenet6"}, "'lenet6' is unknown.*'lenet', .*'mlp', 'nin',"),
        ({"module": 3}, "module=3 is unknown"),
        ({"optimizer": "adm"}, "'adm' is unknown.*'adam', 'adamw', 'muon', 'nesterov', 'sgd'"),
        ({"criterion": "hinge"}, "'hinge' is unknown.*'cross_entropy'"),
        ({"device": "tpu"}, "device='tpu' is unknown"),
        ({"max_epochs": 0}, r"CNNClassifier\(max_epochs=0\): max_epochs must be a whole number"),
        ({"max_epochs": 2.5}, "max_epochs must be"),
        ({"batch_size": -1}, "batch_size must be"),
        ({"lr": 0}, "lr must be a positive number"),
        ({"lr": float("nan")}, "lr must be a positive number"),
        ({"lr": "0.1"}, "lr must be a positive number"),
        ({"validation_fraction": 1.0}, "validation_fraction must be None or a number between"),
        ({"class_weight": "balance"}, "class_weight"),
    ],
)
def test_bad_parameters_are_named_before_anything_is_read(params, message):
    with pytest.raises(ValueError, match=message):
        quick(**params).fit(["missing.png"] * 400, LABELS)


def test_a_module_that_returns_too_many_logits():
    with pytest.raises(ValueError, match=r"TwoLogits returned .*\(32, 20\).*wanted \(32, 10\)"):
        quick(TwoLogits).fit(BYTES, LABELS)


@pytest.mark.parametrize(
    ("params", "kind", "expected"),
    [
        ({"optimizer": "sgd"}, torch.optim.SGD, {"momentum": 0.9, "weight_decay": 0}),
        ({"optimizer": "sgd", "optimizer__momentum": 0.5}, torch.optim.SGD, {"momentum": 0.5}),
        ({"optimizer": "adam"}, torch.optim.Adam, {"betas": (0.9, 0.999)}),
        ({"optimizer": "adamw"}, torch.optim.AdamW, {"weight_decay": 0.01}),
        ({"optimizer": torch.optim.RMSprop}, torch.optim.RMSprop, {"alpha": 0.99}),
    ],
)
def test_optimizers(params, kind, expected):
    classifier = quick(lr_schedule=None, lr=0.004, **params).fit(BYTES, LABELS)
    optimizer = classifier.net_.optimizer_
    assert type(optimizer) is kind
    (group,) = optimizer.param_groups
    assert {name: group[name] for name in expected} == expected and group["lr"] == 0.004


@pytest.mark.parametrize(("options", "smoothing"), [({}, 0.02), ({"label_smoothing": 0}, 0)])
def test_labels_are_smoothed_a_little_unless_told_not_to(options, smoothing):
    options = {f"criterion__{name}": value for name, value in options.items()}
    criterion = quick(**options).fit(BYTES, LABELS).net_.criterion_
    assert type(criterion) is nn.CrossEntropyLoss and criterion.label_smoothing == smoothing


def test_options_of_the_loss():
    sharp = quick(max_epochs=30).fit(BYTES, LABELS).predict_proba(BYTES).max(axis=1).mean()
    smooth = quick(max_epochs=30, criterion__label_smoothing=0.5).fit(BYTES, LABELS)
    assert smooth.predict_proba(BYTES).max(axis=1).mean() < sharp - 0.2


def test_class_weight():
    rng = np.random.default_rng(0)
    y = np.where(np.arange(400) < 360, "many", "few")
    images = rng.normal(0.5, 0.1, (400, 8, 8)) + 0.01 * (y == "few")[:, None, None]
    images = images.clip(0, 1)
    share = {
        name: np.mean(quick(class_weight=weight).fit(images, y).predict(images) == "few")
        for name, weight in [
            ("none", None),
            ("balanced", "balanced"),
            ("dict", {"few": 9.0, "many": 1.0}),
            ("few", {"few": 1000.0}),
        ]
    }
    assert share["none"] < 0.15 < share["balanced"] < 0.7 < share["few"]
    assert abs(share["balanced"] - share["dict"]) < 0.02  # 9 to 1, up to a common factor


@pytest.mark.parametrize("n", [32, 33])
def test_batch_normalisation_survives_a_last_batch_of_one(n):
    classifier = quick(Normed, batch_size=16).fit(BYTES[:n], LABELS[:n])
    assert np.isfinite(classifier.predict_proba(BYTES)).all()


# ---------------------------------------------------------------------------- validation, errors


def test_validation_part():
    y = np.where(np.arange(400) % 10 == 0, "rare", "common")
    spy = quick(Spy, validation_fraction=0.25, batch_size=400, max_epochs=1).fit(BYTES, y)
    shapes = [(s["shape"][0], s["training"]) for s in spy.module_.seen]
    assert shapes == [(300, True), (100, False)]
    assert {"valid_loss", "valid_acc", "train_loss"} <= set(spy.history_[-1])
    (trained,) = (s for s in spy.module_.seen if s["training"])
    torch.testing.assert_close(trained["mean"], torch.zeros(1), rtol=0, atol=1e-5)
    assert abs(spy.pixel_mean_[0] - (BYTES / 255).mean()) > 1e-5  # that of 300, not of 400


def test_validation_is_stratified_and_seeded():
    y = np.where(np.arange(400) % 10 == 0, "rare", "common")

    def held_out(seed):
        return quick(validation_fraction=0.25, random_state=seed).fit(BYTES, y).net_.train_split

    first, again, other = held_out(0), held_out(0), held_out(1)
    valid = first.keywords["valid"]
    assert (y[valid] == "rare").sum() == 10 and len(valid) == 100
    assert not set(valid) & set(first.keywords["train"])
    np.testing.assert_array_equal(valid, again.keywords["valid"])
    assert set(valid) != set(other.keywords["valid"])


@pytest.mark.parametrize(
    ("params", "what"),
    [
        (
            {"lr": 1e30},
            r"batch 2, at a learning rate of 1e\+30: a loss became nan; lower lr=1e\+30",
        ),
        ({"lr": 1e40, "max_epochs": 1, "batch_size": 400}, "batch 1, .*: weights became infinite"),
    ],
)
def test_divergence_is_an_error(params, what):
    classifier = quick("mlp", optimizer="sgd", lr_schedule=None, **params)
    with pytest.raises(ValueError, match=f"training diverged in epoch 1, {what}"):
        classifier.fit(BYTES, LABELS)
    assert not hasattr(classifier, "net_")


def test_history():
    classifier = quick(validation_fraction=0.2).fit(BYTES, LABELS)
    assert classifier.n_iter_ == 8 == len(classifier.history_)
    losses = classifier.history_[:, "train_loss"]
    assert losses[-1] < losses[0] / 2
    first = classifier.history_[0, "batches", :, "train_loss"]
    assert len(first) == 10 and all(type(loss) is float for loss in first)
    sizes = classifier.history_[0, "batches", :, "train_batch_size"]
    assert losses[0] == pytest.approx(np.average(first, weights=sizes))


@pytest.mark.parametrize("verbose", [0, 1])
def test_verbose(verbose, capsys):
    quick(verbose=verbose).fit(BYTES, LABELS)
    assert ("train_loss" in capsys.readouterr().out) == bool(verbose)


# ------------------------------------------------------------------------------------ parameters


def test_prefixed_parameters_are_parameters():
    classifier = CNNClassifier("mlp", module__hidden=(9,), optimizer__weight_decay=0.1)
    assert classifier.get_params()["module__hidden"] == (9,)
    classifier.set_params(module__dropout=0.5, module__hidden=(8,), lr=0.5)
    copied = clone(classifier)
    for one in (classifier, copied):
        params = one.get_params()
        assert params["module__hidden"] == (8,) and params["module__dropout"] == 0.5
        assert params["optimizer__weight_decay"] == 0.1 and params["lr"] == 0.5
    copied.set_params(module__hidden=(7,))
    assert classifier.get_params()["module__hidden"] == (8,)
    assert "module__hidden=(8,)" in repr(classifier)


def test_unknown_parameters():
    with pytest.raises(TypeError, match="unexpected keyword argument 'max_epoch'"):
        CNNClassifier(max_epoch=3)
    with pytest.raises(ValueError, match="Invalid parameter 'max_epoch' for estimator"):
        CNNClassifier().set_params(max_epoch=3)
    with pytest.raises(ValueError, match="Invalid parameter 'modul' for estimator"):
        CNNClassifier().set_params(modul__hidden=3)
    with pytest.raises(TypeError, match="SoftmaxRegression.*'hidden'"):
        quick("softmax", module__hidden=(3,)).fit(BYTES, LABELS)


def test_tags_say_images_in_classes_out():
    tags = get_tags(CNNClassifier())
    assert tags.input_tags.three_d_array and not tags.input_tags.two_d_array
    assert tags.estimator_type == "classifier" and tags.target_tags.required
    assert not hasattr(quick().fit(BYTES, LABELS), "n_features_in_")  # images have no columns


def test_grid_search_inside_a_pipeline():
    pipeline = Pipeline([("network", quick("mlp", max_epochs=4))])
    grid = {"network__module__hidden": [(1,), (64,)], "network__lr": [0.01]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(as_images(BYTES), LABELS)
    assert search.best_params_["network__module__hidden"] == (64,)
    assert search.best_estimator_[-1].module_.dense1.out_features == 64
