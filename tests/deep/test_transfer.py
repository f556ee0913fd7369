"""Training that begins with the weights of another network."""

import pickle
import warnings
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from skorch.callbacks import Callback
from torch import nn

from visionpipe import networks
from visionpipe.deep.classifier import CNNClassifier
from visionpipe.deep.transfer.layers import layers_in_order, lr_factors
from visionpipe.deep.transfer.weights import class_tensors, weights_from
from visionpipe.networks.lenet import LeNet5

DIGITS = load_digits()
IMAGES = (DIGITS.images * 15).astype(np.uint8)[:200]  # (n, 8, 8)
LABELS = DIGITS.target[:200]
FEW = LABELS < 4  # the classes of the network to begin with


def quick(module="lenet", **params):
    return CNNClassifier(module, **{"max_epochs": 1, "random_state": 0, **params})


@pytest.fixture(scope="module")
def source():
    return quick(max_epochs=2, random_state=1).fit(IMAGES[FEW], LABELS[FEW])


def weights(classifier):
    return {name: value.clone() for name, value in classifier.module_.state_dict().items()}


def unchanged(classifier, before):
    """Names of the tensors that are as they were."""
    return {
        n
        for n, value in weights(classifier).items()
        if torch.equal(value, before.get(n, value + 1))
    }


def test_begins_with_all_weights_but_those_of_the_classes(source):
    network = quick(init_from=source, lr=1e-30).fit(IMAGES, LABELS)
    for name, value in weights(source).items():
        now = network.module_.state_dict()[name]
        if name.startswith("dense3"):
            assert len(value) == 4 and len(now) == 10
        else:
            torch.testing.assert_close(now, value, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(network.pixel_mean_, source.pixel_mean_)
    np.testing.assert_array_equal(network.pixel_std_, source.pixel_std_)


def test_the_last_layer_is_fresh_also_for_as_many_classes(source):
    network = quick(init_from=source, lr=1e-30).fit(IMAGES[FEW], LABELS[FEW])
    fresh = quick(lr=1e-30).fit(IMAGES[FEW], LABELS[FEW])
    mine, theirs = weights(network)["dense3.weight"], weights(source)["dense3.weight"]
    assert not torch.allclose(mine, theirs, atol=1e-3)
    torch.testing.assert_close(mine, weights(fresh)["dense3.weight"], rtol=0, atol=1e-6)


def test_the_source_is_left_alone(source):
    before = weights(source)
    quick(init_from=source).fit(IMAGES, LABELS)
    assert unchanged(source, before) == {*before}


def test_feature_extraction_trains_the_last_layer_alone(source):
    network = quick(init_from=source, freeze="features", weight_decay=0.1).fit(IMAGES, LABELS)
    before = weights(source)
    assert unchanged(network, before) == {*before} - {"dense3.weight", "dense3.bias"}
    assert all(parameter.requires_grad for parameter in network.module_.parameters())


@pytest.mark.parametrize("n_layers", [1, 2, 4])
def test_the_first_layers_can_be_frozen(source, n_layers):
    network = quick(init_from=source, freeze=n_layers).fit(IMAGES, LABELS)
    frozen = ["conv1", "conv2", "dense1", "dense2"][:n_layers]
    found = {name.partition(".")[0] for name in unchanged(network, weights(source))}
    assert found == {*frozen}


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "muon", "nesterov", "sgd"])
def test_frozen_layers_rest_with_every_optimizer(source, optimizer):
    network = quick(init_from=source, freeze=2, optimizer=optimizer).fit(IMAGES, LABELS)
    assert {n.partition(".")[0] for n in unchanged(network, weights(source))} == {"conv1", "conv2"}


def test_frozen_normalisation_keeps_its_statistics():
    source = quick("resnet20", max_epochs=1).fit(IMAGES[FEW], LABELS[FEW])
    network = quick("resnet20", init_from=source, freeze="features").fit(IMAGES, LABELS)
    before = weights(source)
    changed = {*before} - unchanged(network, before)
    changed = {name for name in changed if not name.endswith("num_batches_tracked")}
    assert changed == {"dense.weight", "dense.bias"}
    thawed = quick("resnet20", init_from=source).fit(IMAGES, LABELS)
    assert "stage1.block1.layers.norm1.running_mean" not in unchanged(thawed, before)


@pytest.mark.parametrize("n_epochs", [1, 2, 3])
def test_frozen_layers_learn_after_so_many_epochs(source, n_epochs):
    network = quick(init_from=source, freeze="features", freeze_epochs=n_epochs, max_epochs=2)
    network.fit(IMAGES, LABELS)
    rests = "conv1.weight" in unchanged(network, weights(source))
    assert rests == (n_epochs >= 2)


def test_thawed_layers_are_trained_as_by_a_training_that_was_never_frozen(source):
    """The second epoch starts with the optimizer's memory of frozen layers empty."""
    frozen = quick(init_from=source, freeze="features", freeze_epochs=1, max_epochs=3)
    network = frozen.set_params(lr_schedule=None, lr=0.01).fit(IMAGES, LABELS)
    step = network.net_.optimizer_.state[network.module_.conv1.weight]["step"]
    n_batches = network.net_.history[-1]["train_batch_count"]
    assert step == 2 * n_batches


def step_of(classifier, before):
    """How far plain gradient descent went, by tensor."""
    now = weights(classifier)
    return {name: (now[name] - value) for name, value in before.items() if name in now}


@pytest.mark.parametrize(
    ("lr_mult", "factors"),
    [
        (0.25, {"conv1": 0.25, "conv2": 0.25, "dense1": 0.25, "dense2": 0.25, "dense3": 1}),
        ({"conv1": 0.5, "dense3": 2.0}, {"conv1": 0.5, "conv2": 1, "dense1": 1, "dense3": 2}),
        ({"conv1": 0.5, "conv1.bias": 4.0}, {"conv1.weight": 0.5, "conv1.bias": 4}),
    ],
)
@pytest.mark.parametrize("lr_schedule", [None, "one_cycle"])
def test_learning_rates_by_layer(lr_mult, factors, lr_schedule):
    """One step of gradient descent from equal weights is as much longer as the rate is higher."""
    options = {"batch_size": 200, "optimizer": torch.optim.SGD, "lr": 0.1, "channels_last": False}
    options |= {"lr_schedule": lr_schedule}
    before = weights(quick(lr=1e-30, batch_size=200).fit(IMAGES, LABELS))
    plain = step_of(quick(**options).fit(IMAGES, LABELS), before)
    scaled = step_of(quick(lr_mult=lr_mult, **options).fit(IMAGES, LABELS), before)
    for name, step in plain.items():
        factor = next((f for n, f in factors.items() if f"{name}.".startswith(f"{n}.")), 1)
        torch.testing.assert_close(scaled[name], factor * step, rtol=1e-3, atol=1e-7)


def test_the_history_tells_of_the_rate_without_factor(source):
    network = quick(init_from=source, lr_mult=0.1, lr=0.01, lr_schedule=None, weight_decay=0.1)
    assert network.fit(IMAGES, LABELS).history_[-1, "lr"] == 0.01


def test_partial_fit_keeps_the_factors(source):
    network = quick(init_from=source, lr_mult=0.1, lr=0.01)
    network.partial_fit(IMAGES, LABELS, classes=np.arange(10))
    network.set_params(lr=0.02).partial_fit(IMAGES, LABELS)
    rates = {group["lr"] for group in network.net_.optimizer_.param_groups}
    assert sorted(rates) == pytest.approx([0.002, 0.02])


def test_partial_fit_keeps_layers_frozen_also_after_a_journey(source):
    network = quick(init_from=source, freeze=2, freeze_epochs=2)
    for n_frozen in (4, 4, 0):
        network.partial_fit(IMAGES, LABELS, classes=np.arange(10))
        network = pickle.loads(pickle.dumps(network))
        assert len(unchanged(network, weights(source))) == n_frozen


def test_a_file_of_another_class_count(source, tmp_path):
    torch.save(source.module_.state_dict(), tmp_path / "four.pt")
    network = quick(init_from=tmp_path / "four.pt", freeze="features").fit(IMAGES, LABELS)
    assert "conv1.weight" in unchanged(network, weights(source))
    assert network.module_.dense3.weight.shape == (10, 84)
    assert not np.array_equal(network.pixel_mean_, source.pixel_mean_)  # the file knows nothing


@pytest.mark.parametrize("name", ["resnet20", "googlenet", "nin", "airbench"])
def test_other_names_in_the_same_order(name, tmp_path):
    """As torchvision's and others' files have it."""

    def build(n_classes):
        return networks.create(name, n_channels=3, image_size=(32, 32), n_classes=n_classes)

    with torch.random.fork_rng():
        torch.manual_seed(0)
        own = build(7).state_dict()
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    network = quick(name, init_from=tmp_path / "w.pt", freeze="features")
    renamed = {f"x{i}.{n.rpartition('.')[2]}": value for i, (n, value) in enumerate(own.items())}
    torch.save(renamed, tmp_path / "w.pt")
    with pytest.warns(UserWarning, match="matched by their order"):
        network.fit(images, [0, 1, 0, 1])
    of_classes = class_tensors(build)
    for n, value in network.module_.state_dict().items():
        if n not in of_classes and not n.endswith("num_batches_tracked"):
            assert torch.equal(value, own[n]), n


def test_grey_images_for_a_network_of_rgb_ones():
    rgb = np.repeat(IMAGES[..., None], 3, axis=-1)
    source = quick().fit(rgb[FEW], LABELS[FEW])
    network = quick(init_from=source, freeze="features").fit(IMAGES, LABELS)
    assert network.image_shape_in_ == (8, 8, 3) and network.pixel_mean_.shape == (3,)
    of_rgb = clone(network).set_params(init_from=source).fit(rgb, LABELS)
    np.testing.assert_allclose(
        network.predict_proba(IMAGES), of_rgb.predict_proba(rgb), rtol=1e-4, atol=1e-6
    )


def test_weights_of_whole_images_for_parts_of_larger_ones():
    images = np.random.default_rng(0).integers(0, 256, (20, 40, 44), dtype=np.uint8)
    source = quick().fit(images[:, :36, :38], np.arange(20) % 3)
    network = quick(init_from=source, crop_size=(36, 38), freeze="features", lr_mult=0.5)
    network.fit(images, np.arange(20) % 2)
    assert {n.partition(".")[0] for n in weights(source)} - {"dense3"} == {
        n.partition(".")[0] for n in unchanged(network, weights(source))
    }


def test_rgb_images_for_a_network_of_grey_ones(source):
    rgb = np.repeat(IMAGES[..., None], 3, axis=-1)
    with pytest.raises(ValueError, match=r"is for grey images; put Grayscale\(\) before it"):
        quick(init_from=source).fit(rgb, LABELS)


def test_searches_take_frozen_classifiers(source):
    grid = {"init_from": [None, FrozenEstimator(source)], "freeze": [None, 2]}
    search = GridSearchCV(quick(), grid, cv=2, error_score="raise").fit(IMAGES, LABELS)
    assert len(search.cv_results_["params"]) == 4
    begun = clone(quick(init_from=FrozenEstimator(source), freeze="features")).fit(IMAGES, LABELS)
    assert "conv1.weight" in unchanged(begun, weights(source))


def test_a_clone_of_a_fitted_classifier_is_not_fitted(source):
    with pytest.raises(ValueError, match=r"not fitted.*pass FrozenEstimator"):
        clone(quick(init_from=source)).fit(IMAGES, LABELS)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"freeze": 5}, "freeze=5 leaves nothing to learn, .* LeNet5 has 5 .* from 1 to 4"),
        ({"module": "softmax", "freeze": 1}, "has 1 layers with weights; leave freeze out"),
        ({"freeze": 0}, "freeze must be None, 'features' or a whole number from 1"),
        ({"freeze": True}, "freeze must be None, 'features' or"),
        ({"freeze": "all"}, "freeze must be None, 'features' or"),
        ({"freeze_epochs": 2}, "freeze_epochs=2 has nothing to freeze"),
        ({"freeze": 1, "freeze_epochs": 0}, "freeze_epochs must be None or a whole number from 1"),
        ({"lr_mult": 0}, "lr_mult must be a positive number, or a dict"),
        ({"lr_mult": True}, "lr_mult must be a positive number, or a dict"),
        ({"lr_mult": {"conv1": "slow"}}, "lr_mult must be a positive number, or a dict"),
        ({"lr_mult": {"conv": 0.1}}, "a layer 'conv', which LeNet5 has not; .* 'conv1', 'conv2'"),
        ({"lr_mult": {1: 0.1}}, "a layer 1, which LeNet5 has not"),
        ({"init_from": 3}, "init_from is of type int; wanted a fitted CNNClassifier"),
        ({"init_from": CNNClassifier}, "init_from is of type CNNClassifier; wanted a fitted"),
        ({"init_from": make_pipeline(quick())}, "is of type Pipeline; .* is its last step"),
        ({"init_from": FrozenEstimator(SVC())}, "init_from is of type SVC; wanted a fitted"),
        ({"init_from": FrozenEstimator(quick())}, "is a CNNClassifier that is not fitted"),
        ({"init_from": ""}, "is a folder; wanted the path of a weights file"),
        ({"init_from": "nowhere.pt"}, "there is no weights file nowhere.pt"),
    ],
)
def test_bad_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        quick(**params).fit(IMAGES, LABELS)


def test_weights_of_another_network_list_the_first_mismatches(source):
    with pytest.raises(ValueError) as raised:
        quick("resnet20", init_from=source).fit(IMAGES, LABELS)
    message = str(raised.value)
    assert "init_from: a fitted CNNClassifier does not fit the network" in message
    assert "conv1.weight is of shape (6, 1, 5, 5), wanted (16, 1, 3, 3)" in message
    assert "norm1.weight of shape (16,) is missing" in message and "more. It begins" in message


def test_weights_of_another_network_are_not_taken_for_grey_ones():
    rgb = np.repeat(IMAGES[..., None], 3, axis=-1)
    with pytest.raises(ValueError, match=r"conv1.weight is of shape .* wanted \(16, 3, 3, 3\)"):
        quick("resnet20", init_from=quick().fit(rgb, LABELS)).fit(rgb, LABELS)


def test_fewer_tensors_of_other_names_do_not_fit(source, tmp_path):
    tensors = enumerate(list(source.module_.state_dict().values())[:-1])
    torch.save({f"x{i}": tensor for i, tensor in tensors}, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=r"conv1.weight of shape .* is missing.* begins with x0"):
        quick(init_from=tmp_path / "w.pt").fit(IMAGES, LABELS)


def test_tensors_that_are_left_over_are_told_of(source, tmp_path):
    """A deeper network's weights may fit the layers that this one has."""
    more = {"late.weight": torch.zeros(3, 3), "late.num_batches_tracked": torch.tensor(1)}
    torch.save(source.module_.state_dict() | more, tmp_path / "w.pt")
    with pytest.warns(UserWarning, match=r"no place for 1 tensors of .*w.pt, late.weight first"):
        network = quick(init_from=tmp_path / "w.pt", freeze="features").fit(IMAGES, LABELS)
    assert "conv1.weight" in unchanged(network, weights(source))


class Brightness(nn.Module):
    """Of images of any channels, whose mean it takes."""

    def __init__(self, *, n_channels, image_size, n_classes):
        super().__init__()
        self.last = nn.Linear(image_size[0] * image_size[1], n_classes)
        self.first = nn.Linear(image_size[0] * image_size[1], image_size[0] * image_size[1])

    def forward(self, images):
        return self.last(self.first(images.mean(1).flatten(1)).relu())


def test_statistics_of_images_of_other_channels_are_not_taken_over():
    source = quick(Brightness).fit(IMAGES[FEW], LABELS[FEW])
    rgb = np.stack([IMAGES, IMAGES // 2, IMAGES // 3], axis=-1)
    network = quick(Brightness, init_from=source, freeze="features").fit(rgb, LABELS)
    assert network.pixel_mean_.shape == (3,) and len({*network.pixel_mean_}) == 3
    assert "first.weight" in unchanged(network, weights(source))


def test_weights_for_images_of_another_size(source):
    larger = np.zeros((20, 40, 40), dtype=np.uint8)
    with pytest.raises(ValueError, match=r"dense1.weight is of shape \(120, 400\), wanted"):
        quick(init_from=source).fit(larger, np.arange(20) % 2)


def test_class_tensors_are_found_in_every_network():
    for name in networks.names():

        def build(n_classes, name=name):
            return networks.create(name, n_channels=3, image_size=(96, 96), n_classes=n_classes)

        try:
            found = class_tensors(build)
        except ValueError:  # fmp takes no images that large
            continue
        last = [n for n, _ in layers_with_weights(build)]
        assert found and all(0 <= axis < 5 for axis in found.values()), name
        assert len(found) < len(last) or name == "softmax", name


def test_class_tensors_draw_nothing_that_others_see():
    for module in (Odd, LeNet5):
        torch.manual_seed(3)
        state = torch.get_rng_state()
        class_tensors(partial(module, n_channels=1, image_size=(8, 8)))
        assert torch.equal(torch.get_rng_state(), state)


def layers_with_weights(build):
    with torch.device("meta"):
        return list(build(5).named_parameters())


def test_layers_in_order():
    network = networks.create("resnet20", n_channels=3, image_size=(32, 32), n_classes=10)
    layers = layers_in_order(network)
    assert len(layers) == 20
    assert layers[0] == ["conv1.weight", "norm1.weight", "norm1.bias"]
    assert layers[-1] == ["dense.weight", "dense.bias"]
    norm_first = nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    assert layers_in_order(norm_first) == [
        ["0.weight", "0.bias"],
        ["1.weight", "1.bias", "2.weight", "2.bias"],
    ]


def test_layers_by_number():
    """As a Sequential names them; ints do for their names."""
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    assert lr_factors(network, {1: 0.5}, ()) == {"1.weight": 0.5, "1.bias": 0.5}


class Normalised(nn.Module):
    """With normalisations without scales, the first before any layer, and weights of its own."""

    def __init__(self, *, n_channels, image_size, n_classes):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(n_channels, 1, 1))
        self.register_buffer("scale", torch.ones(()))
        self.norm0 = nn.BatchNorm2d(n_channels, affine=False)
        self.conv1 = nn.Conv2d(n_channels, 4, 3)
        self.norm1 = nn.BatchNorm2d(4, affine=False)
        self.conv2 = nn.Conv2d(4, 4, 3)
        self.norm2 = nn.BatchNorm2d(4, affine=False)
        self.last = nn.Linear(4, n_classes)

    def forward(self, images):
        maps = self.norm1(self.conv1(self.norm0(images * self.scale + self.shift)))
        return self.last(self.norm2(self.conv2(maps)).mean((2, 3)))

    def training_loss(self, images, labels, criterion):
        assert self.training
        logits = self(images)
        return criterion(logits, labels), logits


@pytest.mark.parametrize(
    ("freeze", "learn"),
    [
        (1, {"conv1", "norm1", "conv2", "norm2", "last"}),
        (2, {"conv2", "norm2", "last"}),
        (3, {"last"}),
        ("features", {"last"}),
    ],
)
def test_statistics_without_scales_rest_with_the_layer_before(freeze, learn):
    source = quick(Normalised).fit(IMAGES[FEW], LABELS[FEW])
    network = quick(Normalised, init_from=source, freeze=freeze).fit(IMAGES, LABELS)
    changed = {*weights(network)} - unchanged(network, weights(source))
    counted = {name for name in changed if not name.endswith("num_batches_tracked")}
    assert {name.partition(".")[0] for name in counted} == learn


class Block(nn.Sequential):
    def __init__(self, n_channels):
        super().__init__(nn.Conv2d(n_channels, 4, 3), nn.BatchNorm2d(4))
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images):
        return super().forward(images * self.scale)


class OfBlocks(nn.Sequential):
    def __init__(self, *, n_channels, image_size, n_classes):
        norm, pool = nn.BatchNorm2d(n_channels, affine=False), nn.AdaptiveAvgPool2d(1)
        super().__init__(norm, Block(n_channels), pool, nn.Flatten(), nn.Linear(4, n_classes))


def test_what_lies_before_the_first_layer_rests_and_what_learns_within_it_does_not():
    """The first layer is the scale of the block, in which the normalisation belongs to another."""
    source = quick(OfBlocks).fit(IMAGES[FEW], LABELS[FEW])
    network = quick(OfBlocks, init_from=source, freeze=1).fit(IMAGES, LABELS)
    same = unchanged(network, weights(source))
    assert {"0.running_mean", "1.scale"} <= same and "1.1.running_mean" not in same


def test_statistics_are_taken_again_once_layers_learn():
    source = quick(Normalised).fit(IMAGES[FEW], LABELS[FEW])
    network = quick(Normalised, init_from=source, freeze="features", freeze_epochs=1, max_epochs=2)
    same = unchanged(network.fit(IMAGES, LABELS), weights(source))
    assert not {name for name in same if "running" in name}


class AllOwn(nn.Module):
    """Has no tensor that depends on the number of classes, but always four logits."""

    def __init__(self, *, n_channels, image_size, n_classes):
        super().__init__()
        self.conv = nn.Conv2d(n_channels, 4, 3)

    def forward(self, images):
        return self.conv(images).mean((2, 3))


def test_a_network_of_which_nothing_would_learn():
    with pytest.raises(ValueError, match="freeze='features' leaves nothing to learn"):
        quick(AllOwn, freeze="features").fit(IMAGES[FEW], LABELS[FEW])


class HalfOwn(Brightness):
    """Has weights that its class has frozen."""

    def __init__(self, **options):
        super().__init__(**options)
        self.first.weight.requires_grad_(False)


@pytest.mark.parametrize("freeze_epochs", [None, 1])
def test_what_the_class_froze_is_not_thawed(freeze_epochs):
    source = quick(HalfOwn).fit(IMAGES[FEW], LABELS[FEW])
    network = quick(HalfOwn, init_from=source, freeze="features", freeze_epochs=freeze_epochs)
    network.set_params(max_epochs=2).fit(IMAGES, LABELS)
    assert "first.weight" in unchanged(network, weights(source))
    assert ("first.bias" in unchanged(network, weights(source))) == (freeze_epochs is None)
    assert (
        not network.module_.first.weight.requires_grad and network.module_.first.bias.requires_grad
    )


def test_sources_are_told_apart_by_what_they_have_learned(source, tmp_path):
    """Of two equal settings that begin with different weights, neither takes the other's result."""
    other = quick(max_epochs=2, random_state=2).fit(IMAGES[FEW], LABELS[FEW])
    for begin in (source, other):
        network = quick(init_from=begin, freeze="features", checkpoint=tmp_path / "kept")
        assert unchanged(network.fit(IMAGES, LABELS), weights(begin)) >= {"conv1.weight"}
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_nothing_is_warned_of_where_names_agree(source):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert weights_from(source, name="lenet", owner="init_from").source
        quick(init_from=source).fit(IMAGES, LABELS)


class Odd(nn.Module):
    """A user's network whose constructor looks at values, which "meta" tensors have none of."""

    def __init__(self, *, n_channels, image_size, n_classes):
        super().__init__()
        self.first = nn.Linear(n_channels * image_size[0] * image_size[1], 8)
        assert self.first.weight.abs().max().item() < 1
        self.last = nn.Linear(8, n_classes)

    def forward(self, images):
        return self.last(self.first(images.flatten(1)).relu())


def test_users_networks_that_look_at_values():
    source = quick(Odd).fit(IMAGES[FEW], LABELS[FEW])
    network = quick(Odd, init_from=source, freeze="features").fit(IMAGES, LABELS)
    assert unchanged(network, weights(source)) == {"first.weight", "first.bias"}


@pytest.mark.parametrize("n_before", [1, 2, 3])
def test_a_resumed_training_ends_with_the_same_bits(source, tmp_path, n_before):
    """Killed while layers are frozen, when they are to thaw, and after that."""
    options = {"init_from": source, "freeze": 2, "freeze_epochs": 2, "lr_mult": {"conv2": 0.3}}
    options |= {"max_epochs": 4, "ema_decay": 0.9, "lr_schedule": None}
    whole = quick(**options).fit(IMAGES, LABELS)

    class Kill(Callback):
        def on_epoch_begin(self, net, **_):
            if len(net.history) > n_before:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        quick(**options, checkpoint=tmp_path, callbacks=[Kill()]).fit(IMAGES, LABELS)
    resumed = quick(**options, checkpoint=tmp_path).fit(IMAGES, LABELS)
    assert len(list(tmp_path.iterdir())) == 1
    assert unchanged(resumed, weights(whole)) == {*weights(whole)}
