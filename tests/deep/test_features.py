"""CNNFeatures: activations of a network as vectors."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from small_networks import SMALL_NETWORKS
from torch import nn

from visionpipe.deep.classifier import CNNClassifier
from visionpipe.deep.features import CNNFeatures
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


def test_pickles_and_copies(frozen, tmp_path):
    for features in (CNNFeatures(frozen), CNNFeatures("resnet20", layer="stage1", random_state=0)):
        vectors = features.fit_transform(IMAGES)
        loaded = pickle.loads(pickle.dumps(features))
        np.testing.assert_array_equal(loaded.transform(IMAGES), vectors)
        assert not loaded.module_.training and clone(loaded).fit(IMAGES[:1])


def test_names_and_pandas(frozen):
    features = CNNFeatures(frozen).set_output(transform="pandas")
    assert list(features.fit_transform(IMAGES).columns[:2]) == ["cnnfeatures0", "cnnfeatures1"]


def test_each_image_is_computed_once(frozen, tmp_path, monkeypatch):
    n_seen = []
    vectors = CNNFeatures._vectors

    def counted(self, batch):
        n_seen.append(len(batch))
        return vectors(self, batch)

    monkeypatch.setattr(CNNFeatures, "_vectors", counted)
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
    ],
    ids=["module", "layer", "pool", "batch", "weights", "prefix", "size", "instance"],
)
def test_bad_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        CNNFeatures(**{"module": "lenet", **params}).fit(IMAGES)


def test_a_classifier_has_its_own_weights_and_options(lenet, frozen):
    with pytest.raises(ValueError, match="weights must be None where module is a classifier"):
        CNNFeatures(frozen, weights="w.pt").fit(IMAGES)
    with pytest.raises(ValueError, match="module__hidden is no parameter of CNNFeatures"):
        CNNFeatures(frozen, module__hidden=(3,)).fit(IMAGES)
    with pytest.raises(ValueError, match="a fitted CNNClassifier, if it is a FrozenEstimator"):
        CNNFeatures(FrozenEstimator(LinearSVC())).fit(IMAGES)


def test_images_of_another_size_or_kind(frozen):
    features = CNNFeatures(frozen)
    with pytest.raises(
        ValueError, match=r"CNNFeatures has a CNNClassifier that was fitted on .*\(8, 8\)"
    ):
        features.fit(np.zeros((3, 9, 8)))
    features.fit(IMAGES)
    with pytest.raises(ValueError, match=r"unequal sizes .*\(8, 8\) and \(9, 8\); put Resize"):
        features.transform(np.zeros((3, 9, 8)))
    with pytest.raises(ValueError, match=r"network of grey images and got RGB ones; put Grayscale"):
        features.transform(np.zeros((3, 8, 8, 3)))


@pytest.mark.parametrize("name", [*SMALL_NETWORKS, "googlenet", "nin"])
def test_networks_by_name(name):
    features = CNNFeatures(name, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vectors = features.fit_transform(np.zeros((2, 32, 32, 3), dtype=np.uint8))
    assert vectors.ndim == 2 and vectors.shape[1] > 10 and np.isfinite(vectors).all()
