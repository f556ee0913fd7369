"""CNNFeatures: activations of a network as vectors."""

import json
import pickle
import subprocess
import sys
import warnings
from importlib import import_module

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from small_networks import SMALL_NETWORKS
from torch import nn

from visionpipe.deep.classifier import CNNClassifier
from visionpipe.deep.features import CNNFeatures
from visionpipe.deep.transfer.activations import activations
from visionpipe.store import FeatureStore

DIGITS = load_digits()
IMAGES = (DIGITS.images * 15).astype(np.uint8)[:120]  # (n, 8, 8)
LABELS = DIGITS.target[:120]


def quick(module="lenet", **params):
    return CNNClassifier(module, **{"max_epochs": 1, "random_state": 0, **params})


@pytest.fixture(scope="module")
def lenet():
    return quick().fit(IMAGES, LABELS)


@pytest.fixture(scope="module")
def frozen(lenet):
    return FrozenEstimator(lenet)


def by_hand(classifier, images, last):
    """What comes out of a layer of a chain of layers, pixels standardised in float64."""
    pixels = torch.tensor(images / 255.0)[:, None]  # (n, 1, h, w)
    mean, std = (
        torch.tensor(s).view(-1, 1, 1) for s in (classifier.pixel_mean_, classifier.pixel_std_)
    )
    values = (pixels - mean) / std
    with torch.no_grad():
        for name, layer in classifier.module_.double().named_children():
            values = layer(values)
            if name == last:
                break
    classifier.module_.float()
    return values


@pytest.mark.parametrize(
    ("layer", "pool", "last", "n_features"),
    [
        (None, "mean", "relu4", 84),
        ("dense3", "mean", "dense3", 10),
        ("conv2", "mean", "conv2", 16),
        ("conv2", "max", "conv2", 16),
        ("pool2", None, "pool2", 400),
    ],
)
def test_activations_of_a_layer(lenet, frozen, layer, pool, last, n_features):
    vectors = CNNFeatures(frozen, layer=layer, pool=pool).fit_transform(IMAGES)
    assert vectors.shape == (120, n_features) and vectors.dtype == np.float32
    expected = by_hand(lenet, IMAGES, last)
    if expected.ndim == 4:
        expected = {"mean": expected.mean((2, 3)), "max": expected.amax((2, 3))}.get(
            pool, expected.flatten(1)
        )
    np.testing.assert_allclose(vectors, expected, rtol=1e-4, atol=1e-5)


def test_a_frozen_classifier_is_used_as_it_is_and_needs_no_labels(frozen):
    one = CNNFeatures(frozen).fit(IMAGES[:5]).transform(IMAGES)
    other = clone(CNNFeatures(frozen)).fit(IMAGES, LABELS).transform(IMAGES)
    np.testing.assert_array_equal(one, other)


def test_a_classifier_is_trained_in_fit_and_left_alone_itself():
    classifier = quick()
    vectors = CNNFeatures(classifier).fit(IMAGES, LABELS).transform(IMAGES)
    assert not hasattr(classifier, "net_")
    of_fitted = CNNFeatures(FrozenEstimator(quick().fit(IMAGES, LABELS))).fit_transform(IMAGES)
    np.testing.assert_array_equal(vectors, of_fitted)
    with pytest.raises(ValueError, match="requires y to be passed"):
        CNNFeatures(classifier).fit(IMAGES)


def test_what_is_learned_is_learned_from_the_training_fold_alone():
    features = CNNFeatures(quick(), random_state=0)
    half = features.fit(IMAGES[:60], LABELS[:60]).transform(IMAGES[60:])
    others = IMAGES.copy()
    others[60:] = 255 - others[60:]
    again = clone(features).fit(others[:60], LABELS[:60]).transform(IMAGES[60:])
    np.testing.assert_array_equal(half, again)
    assert not np.array_equal(half, clone(features).fit(IMAGES, LABELS).transform(IMAGES[60:]))


def test_parameters_of_the_classifier_are_searched_like_any_other():
    pipeline = make_pipeline(CNNFeatures(quick()), LinearSVC())
    grid = {"cnnfeatures__layer": [None, "conv2"], "cnnfeatures__module__max_epochs": [1, 2]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(IMAGES, LABELS)
    assert len(search.cv_results_["params"]) == 4 and search.best_score_ > 0.5


def test_weights_of_a_file_of_another_class_count(lenet, frozen, tmp_path):
    torch.save(lenet.module_.state_dict(), tmp_path / "ten.pt")
    statistics = {"pixel_mean": lenet.pixel_mean_, "pixel_std": lenet.pixel_std_}
    features = CNNFeatures("lenet", weights=tmp_path / "ten.pt", **statistics).fit(IMAGES[:2])
    expected = CNNFeatures(frozen).fit_transform(IMAGES)
    np.testing.assert_array_equal(features.transform(IMAGES), expected)
    of_classes = clone(features).set_params(layer="dense3").fit(IMAGES[:2]).transform(IMAGES)
    assert (of_classes.argmax(1) == lenet.predict(IMAGES)).all()


def test_a_file_without_the_last_layer(lenet, frozen, tmp_path):
    weights = {n: t for n, t in lenet.module_.state_dict().items() if "dense3" not in n}
    torch.save(weights, tmp_path / "w.pt")
    statistics = {"pixel_mean": lenet.pixel_mean_, "pixel_std": lenet.pixel_std_}
    features = CNNFeatures("lenet", weights=tmp_path / "w.pt", **statistics).fit(IMAGES[:2])
    expected = CNNFeatures(frozen).fit_transform(IMAGES)
    np.testing.assert_array_equal(features.transform(IMAGES), expected)


def test_random_weights_are_drawn_by_the_seed_alone():
    torch.manual_seed(3)
    state = torch.get_rng_state()
    one, same, other = (
        CNNFeatures("resnet20", random_state=seed).fit_transform(IMAGES) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other) and one.shape == (120, 64)
    assert torch.equal(torch.get_rng_state(), state)


def test_pixels_are_standardised_by_imagenet_where_nothing_is_known():
    grey = CNNFeatures("resnet20", random_state=0).fit(IMAGES)
    np.testing.assert_allclose(grey.pixel_mean_, [0.449], rtol=1e-6)
    np.testing.assert_allclose(grey.pixel_std_, [0.226], rtol=1e-6)
    rgb = CNNFeatures("resnet20", random_state=0).fit(np.zeros((2, 8, 8, 3)))
    np.testing.assert_allclose(rgb.pixel_mean_, [0.485, 0.456, 0.406], rtol=1e-6)
    own = CNNFeatures("resnet20", pixel_mean=0.5, pixel_std=[1, 2, 3]).fit(np.zeros((2, 8, 8, 3)))
    np.testing.assert_array_equal(own.pixel_mean_, np.float32([0.5] * 3))
    np.testing.assert_array_equal(own.pixel_std_, np.float32([1, 2, 3]))


def test_options_of_the_network():
    features = CNNFeatures("mlp", module__hidden=(7, 5)).fit(IMAGES)
    assert features.transform(IMAGES).shape == (120, 5)
    assert clone(features).set_params(module__hidden=(3,)).fit_transform(IMAGES).shape == (120, 3)


class Sets(nn.Module):
    """As a vision transformer has it: four vectors of each image."""

    def __init__(self, *, n_channels, image_size, n_classes):
        super().__init__()
        self.quarters = nn.Unflatten(1, (4, -1))
        self.dense = nn.Linear(n_channels * image_size[0] * image_size[1] // 4, 6)
        self.last = nn.Linear(6, n_classes)

    def forward(self, images):
        return self.last(self.dense(self.quarters(images.flatten(1))).mean(1))


@pytest.mark.parametrize(("pool", "n_features"), [("mean", 6), ("max", 6), (None, 24)])
def test_sets_of_vectors_are_pooled_over_the_set(pool, n_features):
    features = CNNFeatures(Sets, layer="dense", pool=pool, random_state=0).fit(IMAGES)
    vectors = features.transform(IMAGES)
    assert vectors.shape == (120, n_features)
    flat = CNNFeatures(Sets, layer="dense", pool=None, random_state=0).fit_transform(IMAGES)
    sets = flat.reshape(120, 4, 6)
    expected = {"mean": sets.mean(1), "max": sets.max(1)}.get(pool, flat)
    np.testing.assert_allclose(vectors, expected, rtol=1e-5, atol=1e-7)


def test_nothing_is_computed_beyond_the_layer():
    class Watched(Sets):
        def forward(self, images):
            values = self.dense(self.quarters(images.flatten(1)))
            if values.device.type != "meta":
                raise AssertionError("went on")
            return self.last(values.mean(1))

    CNNFeatures(Watched, layer="dense").fit_transform(IMAGES)


class Drawing(Sets):
    """Draws in evaluation, too."""

    def forward(self, images):
        return self.last(self.dense(self.quarters(images.flatten(1) * torch.rand(1))).mean(1))


def test_a_vector_does_not_depend_on_the_rest_of_the_batch(frozen):
    for module in (frozen, "resnet20", Drawing):
        features = CNNFeatures(module, random_state=0).fit(IMAGES)
        whole = features.transform(IMAGES)
        rows = np.random.default_rng(0).permutation(120)[:50]
        np.testing.assert_allclose(
            features.set_params(batch_size=7).transform(IMAGES[rows]),
            whole[rows],
            rtol=1e-4,
            atol=1e-5,
        )


class Odd(nn.Module):
    """Has layers of all sorts, and looks at values, which "meta" tensors have none of."""

    def __init__(self, *, n_channels, image_size, n_classes):
        super().__init__()
        self.never = nn.Identity()
        self.pair = nn.LSTM(image_size[1], 5, batch_first=True)
        self.quarters = nn.Unflatten(1, (5, 1, 1, 1))
        self.first_image = FirstImage()
        self.twice = nn.ReLU()
        self.last = nn.Linear(5, n_classes)
        self.norm = nn.BatchNorm1d(n_classes)

    def forward(self, images):
        assert images.sum().item() < np.inf
        values = self.pair(images[:, 0])[0][:, -1]
        self.quarters(values)
        self.first_image(values)
        return self.norm(self.last(input=self.twice(self.twice(values) - 0.1)))


class FirstImage(nn.Module):
    def forward(self, values):
        return values[:1]


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("never", "layer='never' is unknown; Odd has the layers 'pair', 'twice', 'last', 'norm'$"),
        ("pair", "a tuple comes out of 'pair' for 1 images; wanted maps"),
        ("quarters", "layer='quarters' gives no maps or vectors; Odd has"),
        ("first_image", "layer='first_image' gives no maps or vectors; Odd has"),
    ],
)
def test_layers_of_which_nothing_can_be_taken(layer, message):
    with pytest.raises(ValueError, match=message):
        CNNFeatures(Odd, layer=layer).fit(IMAGES)


def test_what_goes_into_the_last_layer_and_what_comes_out_first():
    before = CNNFeatures(Odd, random_state=0).fit(IMAGES)
    assert before.layer_ == "last"  # not the normalisation after it, and called with keywords
    first = CNNFeatures(Odd, layer="twice", random_state=0).fit_transform(IMAGES)
    np.testing.assert_allclose(before.transform(IMAGES), np.maximum(first - 0.1, 0), atol=1e-6)


def test_the_network_is_as_before_afterwards(lenet):
    images = torch.zeros(2, 1, 8, 8)
    expected = lenet.module_(images)
    activations(lenet.module_, images, "conv2")
    torch.testing.assert_close(lenet.module_(images), expected)
    with pytest.raises(ValueError, match="LeNet5 did not come to its layer 'never'"):
        lenet.module_.never = nn.Identity()
        lenet.module_.forward = nn.Sequential(*list(lenet.module_)[:-1]).forward
        activations(lenet.module_, images, "never")


class Viewing(nn.Module):
    """Fails where the channels of a pixel lie side by side in memory."""

    def __init__(self, *, n_channels, image_size, n_classes):
        super().__init__()
        self.conv = nn.Conv2d(n_channels, 4, 1)
        self.scores = Scores(4 * image_size[0] * image_size[1], n_classes)

    def forward(self, images):
        return self.scores(self.conv(images).view(len(images), -1))


class Scores(nn.Module):
    """With the number of classes in the last axis, other than in torch's layers."""

    def __init__(self, n_values, n_classes):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_values, n_classes) / 9)

    def forward(self, values):
        return values @ self.weight


def test_a_class_that_wants_its_own_order_of_memory_and_axes(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (12, 4, 6, 3), dtype=np.uint8)
    fitted = quick(Viewing).fit(images, np.arange(12) % 3)
    vectors = CNNFeatures(FrozenEstimator(fitted)).fit_transform(images)
    torch.save(fitted.module_.state_dict(), tmp_path / "w.pt")
    statistics = {"pixel_mean": fitted.pixel_mean_, "pixel_std": fitted.pixel_std_}
    of_file = CNNFeatures(Viewing, weights=tmp_path / "w.pt", **statistics).fit(images)
    np.testing.assert_array_equal(of_file.transform(images), vectors)
    logits = of_file.set_params(layer="scores").fit_transform(images)
    exact = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(fitted.predict_proba(images), exact, rtol=1e-4)


def test_grey_images_for_a_file_of_rgb_weights(tmp_path):
    rgb = np.repeat(IMAGES[..., None], 3, axis=-1)
    fitted = quick().fit(rgb, LABELS)
    torch.save(fitted.module_.state_dict(), tmp_path / "w.pt")
    features = CNNFeatures("lenet", weights=tmp_path / "w.pt").fit(IMAGES)
    assert features.pixel_mean_.shape == (3,)
    np.testing.assert_array_equal(features.transform(IMAGES), features.transform(rgb))


@pytest.mark.parametrize(
    "last",
    [
        {"dense3.weight": torch.zeros(10, 84), "dense3.bias": torch.zeros(7)},
        {"dense3.weight": torch.zeros(()), "dense3.bias": torch.zeros(())},
        {"dense3.weight": torch.zeros(10, 9), "dense3.bias": torch.zeros(10)},
    ],
    ids=["two numbers of classes", "no axes", "other width"],
)
def test_a_last_layer_that_does_not_fit_is_left_out(lenet, tmp_path, last):
    torch.save(lenet.module_.state_dict() | last, tmp_path / "w.pt")
    features = CNNFeatures("lenet", weights=tmp_path / "w.pt").fit(IMAGES)
    assert torch.equal(features.module_.dense2.weight, lenet.module_.dense2.weight)
    assert features.module_.dense3.weight.shape == (2, 84)
    with pytest.raises(ValueError, match=r"layer='dense3' has weights dense3.weight that are not"):
        features.set_params(layer="dense3").fit(IMAGES)


def test_the_centre_is_seen_where_a_classifier_sees_it():
    images = np.random.default_rng(0).integers(0, 256, (12, 14, 11), dtype=np.uint8)
    cropped = quick("resnet20", crop_size=(10, 8)).fit(images, np.arange(12) % 3)
    features = CNNFeatures(FrozenEstimator(cropped), layer="conv1", pool=None).fit(images)
    assert features.image_shape_in_ == (14, 11, 1) and features.transform(images).shape == (
        12,
        1280,
    )
    outside = images.copy()
    outside[:, [0, 1, 12, 13]] = 0
    np.testing.assert_array_equal(features.transform(outside), features.transform(images))
    with pytest.raises(ValueError, match=r"fitted on images of size \(height, width\) \(14, 11\)"):
        features.fit(images[:, :11, :])


class Named(nn.Module):
    """Takes images of the width of the last layer only: what it sees is the crop."""

    def __init__(self, *, n_channels, image_size, n_classes):
        super().__init__()
        self.rows = nn.Linear(image_size[1], 3)
        self.last = nn.Linear(3 * image_size[0] * n_channels, n_classes)

    def forward(self, images):
        return self.last(self.rows(images).flatten(1))


def test_layers_are_looked_up_at_the_size_that_is_seen():
    images = np.random.default_rng(0).integers(0, 256, (12, 14, 11), dtype=np.uint8)
    cropped = quick(Named, crop_size=(10, 8)).fit(images, np.arange(12) % 3)
    assert CNNFeatures(FrozenEstimator(cropped)).fit_transform(images).shape == (12, 30)
    own = CNNFeatures(Named, random_state=0).fit(images)  # of the height and width of the images
    assert own.transform(images).shape == (12, 42)


def test_parameters_that_are_set_after_fit_wait_for_the_next(frozen):
    features = CNNFeatures(frozen).fit(IMAGES)
    vectors = features.transform(IMAGES)
    features.set_params(layer="conv2", pool="max", pixel_mean=0.1)
    np.testing.assert_array_equal(features.transform(IMAGES), vectors)
    assert features.fit(IMAGES).transform(IMAGES).shape == (120, 16)
    with pytest.raises(ValueError, match="layer='conv9' is unknown"):
        features.set_params(layer="conv9").fit(IMAGES)
    with pytest.raises(NotFittedError):
        features.transform(IMAGES)


def test_a_name_gives_way_to_a_classifier_and_its_parameters():
    features = CNNFeatures("mlp").set_params(module=quick(), module__max_epochs=7)
    assert features.module.max_epochs == 7 and not features._prefixed


def test_labels_are_needed_where_a_classifier_is_trained(frozen):
    needs = [
        CNNFeatures(module).__sklearn_tags__().target_tags.required
        for module in (quick(), frozen, "lenet")
    ]
    assert needs == [True, False, False] and CNNFeatures().__sklearn_tags__().requires_fit


class Half(nn.Sequential):
    def __init__(self, *, n_channels, image_size, n_classes):
        n_pixels = n_channels * image_size[0] * image_size[1]
        super().__init__(nn.Flatten(), ToHalf(), nn.Linear(n_pixels, n_classes).bfloat16())


class ToHalf(nn.Module):
    def forward(self, values):
        return values.bfloat16()


@pytest.mark.parametrize("layer", [None, "2"])
def test_networks_in_bfloat16(layer):
    features = CNNFeatures(Half, layer=layer, random_state=0).fit(IMAGES)
    vectors = pickle.loads(pickle.dumps(features)).transform(IMAGES)
    assert features.module_[2].weight.dtype == torch.bfloat16 and vectors.dtype == np.float32
    np.testing.assert_array_equal(features.transform(IMAGES), vectors)


def test_pickles_and_copies(frozen, tmp_path):
    for features in (CNNFeatures(frozen), CNNFeatures("resnet20", layer="stage1", random_state=0)):
        vectors = features.fit_transform(IMAGES)
        loaded = pickle.loads(pickle.dumps(features))
        np.testing.assert_array_equal(loaded.transform(IMAGES), vectors)
        assert not loaded.module_.training and clone(loaded).fit(IMAGES[:1])


def test_names_and_pandas(frozen):
    features = CNNFeatures(frozen).set_output(transform="pandas")
    assert list(features.fit_transform(IMAGES).columns[:2]) == ["cnnfeatures0", "cnnfeatures1"]


@pytest.fixture
def n_seen(monkeypatch):
    """Numbers of images of which vectors were computed, batch by batch."""
    n_seen, vectors = [], CNNFeatures._vectors

    def counted(self, batch):
        n_seen.append(len(batch))
        return vectors(self, batch)

    monkeypatch.setattr(CNNFeatures, "_vectors", counted)
    return n_seen


def test_each_image_is_computed_once(frozen, tmp_path, n_seen):
    store = FeatureStore(tmp_path / "store.db")
    features = CNNFeatures(frozen, store=store)
    first = features.fit_transform(IMAGES)
    assert sum(n_seen) == 120
    np.testing.assert_array_equal(clone(features).fit(IMAGES).transform(IMAGES[::-1]), first[::-1])
    assert sum(n_seen) == 120
    features.set_params(layer="conv2").fit_transform(IMAGES)
    assert sum(n_seen) == 240
    other = quick(random_state=1).fit(IMAGES, LABELS)
    CNNFeatures(FrozenEstimator(other), store=store).fit_transform(IMAGES)
    assert sum(n_seen) == 360  # the same layer of other weights


def scaled(factor):
    """A class without an importable name, whose code is all that tells one from another."""

    class Scaled(Sets):
        def __init__(self, *, power=1, **options):
            super().__init__(**options)
            self.power = power

        def forward(self, images):
            return super().forward(images**self.power * factor)

    return Scaled


def pooling(crop_size):
    """A classifier with the same weights at any crop."""
    images = np.random.default_rng(0).integers(0, 256, (9, 12, 12), dtype=np.uint8)
    network = quick("resnet20", crop_size=crop_size, lr=1e-30).fit(images, np.arange(9) % 3)
    zeros = {name: torch.zeros_like(value) for name, value in network.module_.state_dict().items()}
    network.module_.load_state_dict(zeros)
    return FrozenEstimator(network)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"layer": "pool2"}, {"layer": "pool2", "pool": "max"}),
        ({"layer": "relu4"}, {"layer": "dense3"}),
        ({"layer": None}, {"layer": "dense3"}),
        ({"pixel_mean": 0.1}, {"pixel_mean": 0.2}),
        ({"pixel_std": 0.1}, {"pixel_std": 0.2}),
        ({"module": scaled(1)}, {"module": scaled(2)}),
        ({"module": scaled(1)}, {"module": scaled(1), "module__power": 2}),
        ({"random_state": 0}, {"random_state": 1}),
    ],
    ids=["pool", "layer", "input", "mean", "std", "code", "options", "seed"],
)
def test_what_decides_a_vector_decides_its_row(tmp_path, n_seen, one, other):
    store = FeatureStore(tmp_path / "store.db")
    for params in (one, other):
        own = {"module": "lenet", "random_state": 0, "store": store, **params}
        stored = CNNFeatures(**own).fit_transform(IMAGES[:9])
        computed = CNNFeatures(**{**own, "store": None}).fit_transform(IMAGES[:9])
        np.testing.assert_allclose(stored, computed, rtol=1e-4, atol=1e-6)
    before = sum(n_seen)
    CNNFeatures(**own).fit_transform(IMAGES[:9])
    assert sum(n_seen) == before


USERS = """
from torch import nn

class Users(nn.Module):
    def __init__(self, *, n_channels, image_size, n_classes):
        super().__init__()
        self.last = nn.Linear(n_channels * image_size[0] * image_size[1], n_classes)

    def forward(self, images):
        return self.last(images.flatten(1) * {factor})
"""


def test_code_that_was_changed_decides_a_row(tmp_path, n_seen, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    vectors = []
    for factor in (1, 2):
        (tmp_path / "users_network.py").write_text(USERS.format(factor=factor))
        monkeypatch.delitem(sys.modules, "users_network", raising=False)
        module = import_module("users_network").Users
        features = CNNFeatures(module, random_state=0, store=tmp_path / "store.db")
        vectors.append(features.fit_transform(IMAGES[:9]))
    np.testing.assert_allclose(vectors[1], 2 * vectors[0], rtol=1e-5)


def test_what_a_classifier_sees_of_an_image_decides_its_row(tmp_path, n_seen):
    images = np.zeros((1, 12, 12), dtype=np.uint8)
    for crop_size in (8, 10):
        before = sum(n_seen)
        CNNFeatures(pooling(crop_size), store=tmp_path / "store.db").fit(images)
        assert sum(n_seen) == before + 1


ELSEWHERE = """
import pickle, sys
import numpy as np
from visionpipe.deep.features import CNNFeatures

path, store = sys.argv[1:]
with open(path, "rb") as file:
    images, pickled, drawn = pickle.load(file)

def refused(self, batch):
    raise AssertionError("computed again")

CNNFeatures._vectors = refused
np.save(store + ".npy", np.stack([pickled.transform(images), drawn.fit_transform(images)]))
"""


def test_another_process_finds_the_rows(frozen, tmp_path):
    store = tmp_path / "store.db"
    pickled = CNNFeatures(frozen, layer="dense2", store=store).fit(IMAGES)
    drawn = CNNFeatures("lenet", layer="dense2", random_state=0, store=store)
    (tmp_path / "task").write_bytes(pickle.dumps((IMAGES, pickled, clone(drawn))))
    expected = [pickled.transform(IMAGES), drawn.fit_transform(IMAGES)]
    command = [sys.executable, "-c", ELSEWHERE, str(tmp_path / "task"), str(store)]
    subprocess.run(command, check=True)
    np.testing.assert_array_equal(np.load(f"{store}.npy"), expected)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"module": "lenett"}, "module='lenett' is unknown; pass a torch module class or one of"),
        ({"layer": "conv9"}, "layer='conv9' is unknown; LeNet5 has the layers 'pad', 'conv1',"),
        ({"pool": "sum"}, "pool must be one of 'mean', 'max', None"),
        ({"batch_size": 0}, "batch_size must be a positive int"),
        ({"weights": "nowhere.pt"}, "there is no weights file nowhere.pt"),
        ({"lr_schedule__every": 1}, "lr_schedule__every is no parameter of CNNFeatures"),
        ({"module": "vgg16"}, "VGG got images of 8x8 pixels .* takes 32x32 or larger"),
        ({"module": nn.Linear(2, 2)}, "module is an instance of Linear; pass the class"),
        ({"layer": ""}, "layer='' is unknown"),
        ({"layer": ["conv1"]}, "layer must be None or the name of a layer"),
        ({"module": "resnet20", "layer": "x"}, "'stage2', .* 'dense', and parts of these$"),
        ({"weights": 3}, "weights must be None, the path of a file or 'pretrained'"),
        ({"weights": ""}, "is a folder; wanted the path of a weights file"),
        ({"pixel_mean": [0.1, 0.2]}, "pixel_mean must be a number, or one for each of 1 channels"),
        ({"pixel_mean": np.nan}, "pixel_mean must be None, a finite number, or one for each"),
        ({"pixel_mean": "grey"}, "pixel_mean must be None, a finite number, or one for each"),
        ({"pixel_std": 0}, "pixel_std must be None, a positive number, or one for each"),
        ({"module__image_size": (4, 4)}, "module__image_size is what images are seen to have"),
    ],
    ids=[
        *("module", "layer", "pool", "batch", "weights", "prefix", "size", "instance"),
        *("whole network", "layers", "many layers", "weights' type", "weights' path"),
        *("two means", "nan mean", "word", "no deviation", "image size"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        CNNFeatures(**{"module": "lenet", **params}).fit(IMAGES)


def test_a_classifier_has_its_own_weights_and_options(lenet, frozen):
    with pytest.raises(ValueError, match="weights must be None where module is a classifier"):
        CNNFeatures(frozen, weights="w.pt").fit(IMAGES)
    with pytest.raises(ValueError, match="module__hidden is no parameter of CNNFeatures"):
        CNNFeatures(frozen, module__hidden=(3,)).fit(IMAGES)
    with pytest.raises(NotFittedError, match="CNNClassifier instance is not fitted yet"):
        CNNFeatures(FrozenEstimator(quick())).fit(IMAGES)


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        (LinearSVC(), "LinearSVC"),
        (FrozenEstimator(LinearSVC()), "FrozenEstimator of a LinearSVC"),
        (FrozenEstimator(make_pipeline(quick())), "FrozenEstimator of a Pipeline"),
    ],
    ids=["svm", "frozen svm", "frozen pipeline"],
)
def test_estimators_that_hold_no_network(module, kind):
    with pytest.raises(ValueError, match=f"module is a {kind}; wanted a CNNClassifier, which of a"):
        CNNFeatures(module).fit(IMAGES)


def test_images_of_another_size_or_kind(frozen):
    features = CNNFeatures(frozen)
    with pytest.raises(
        ValueError, match=r"CNNFeatures has a CNNClassifier that was fitted on .*\(8, 8\)"
    ):
        features.fit(np.zeros((3, 9, 8)))
    features.fit(IMAGES)
    with pytest.raises(ValueError, match=r"unequal sizes .*\(8, 8\) and \(9, 8\); put Resize"):
        features.transform(np.zeros((3, 9, 8)))
    with pytest.raises(ValueError, match=r"unequal sizes .*\(8, 8\) and \(30, 30\); put Resize"):
        features.transform(np.zeros((3, 30, 30)))
    with pytest.raises(ValueError, match=r"network of grey images and got RGB ones; put Grayscale"):
        features.transform(np.zeros((3, 8, 8, 3)))


@pytest.mark.parametrize("name", [*SMALL_NETWORKS, "googlenet", "nin"])
def test_networks_by_name(name):
    features = CNNFeatures(name, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vectors = features.fit_transform(np.zeros((2, 32, 32, 3), dtype=np.uint8))
    assert vectors.ndim == 2 and vectors.shape[1] > 10 and np.isfinite(vectors).all()


def test_rows_are_told_apart_by_the_code_of_all_layers():
    """A network by name stands in a file of its own, its layers maybe in others."""
    setting = CNNFeatures("mlp", module__activation="maxout").fit(IMAGES)._setting()
    _, _, _, code = setting.split(maxsplit=3)
    files = {module for module, _ in json.loads(code)[2]}
    assert {"visionpipe.networks.mlp", "visionpipe.networks.maxout"} <= files
