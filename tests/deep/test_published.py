"""Published networks, with packages in the place of torchvision and timm that are not installed."""

import pickle
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from visionpipe.deep.classifier import CNNClassifier
from visionpipe.deep.features import CNNFeatures
from visionpipe.deep.transfer.published import Given, published
from visionpipe.networks.lenet import LeNet5

IMAGES = np.random.default_rng(0).random((12, 28, 28, 3)).astype(np.float32)


def lenet(seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LeNet5(n_channels=3, image_size=(28, 28), n_classes=7)


class Renamed(nn.Module):
    """LeNet-5 as another library would have it: other names, and a view of an image before it."""

    def __init__(self, seed):
        super().__init__()
        self.features = nn.Sequential(*list(lenet(seed))[:7])
        self.classifier = nn.Sequential(*list(lenet(seed))[7:])

    def forward(self, images):
        return self.classifier(self.features(images))


SEEN_AS = SimpleNamespace(mean=[0.1, 0.2, 0.3], std=[0.4, 0.5, 0.6])
WEIGHTS = SimpleNamespace(transforms=lambda: SEEN_AS)  # of torchvision


def get_model(name, weights):
    """torchvision's."""
    assert weights is WEIGHTS
    return Renamed(1)


def create_model(name, pretrained):
    """timm's."""
    assert pretrained
    module = Renamed(2)
    module.asked_for = name
    module.pretrained_cfg = {"mean": (0.5,) * 3, "std": (0.25,) * 3}
    return module


def install(monkeypatch, *packages):
    """Put packages that know "lenet" where imports find them, and nothing else."""
    for name in ("torchvision", "timm"):
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.setitem(sys.modules, f"{name}.models", None)
    for package in packages:
        models = ModuleType(f"{package}.models")
        top = ModuleType(package)
        top.models = models
        models.list_models = lambda: ["lenet"]
        models.get_model_weights = lambda name: SimpleNamespace(DEFAULT=WEIGHTS)
        models.get_model = get_model
        models.is_model_pretrained = lambda name: name in ("lenet", "lenet.some_training")
        top.create_model = create_model
        monkeypatch.setitem(sys.modules, package, top)
        monkeypatch.setitem(sys.modules, f"{package}.models", models)


def test_torchvision_comes_first_and_each_can_be_named(monkeypatch):
    install(monkeypatch, "torchvision", "timm")
    module, mean, std = published("lenet", owner="x")
    assert torch.equal(module.features[1].weight, lenet(1).conv1.weight) and not module.training
    np.testing.assert_array_equal(mean, np.float32([0.1, 0.2, 0.3]))
    np.testing.assert_array_equal(std, np.float32([0.4, 0.5, 0.6]))
    module, mean, std = published("timm/lenet", owner="x")
    assert torch.equal(module.features[1].weight, lenet(2).conv1.weight)
    assert (mean == 0.5).all() and (std == 0.25).all() and mean.dtype == std.dtype == np.float32


def test_timm_alone(monkeypatch):
    install(monkeypatch, "timm")
    module, _, _ = published("lenet", owner="x")
    assert torch.equal(module.features[1].weight, lenet(2).conv1.weight)


@pytest.mark.parametrize("name", ["lenet.some_training", "hf-hub:someone/lenet"])
def test_names_that_timm_alone_has(monkeypatch, name):
    install(monkeypatch, "torchvision", "timm")
    module, _, _ = published(name, owner="x")
    assert module.asked_for == name


def test_imagenet_where_a_publisher_does_not_say(monkeypatch):
    install(monkeypatch, "torchvision", "timm")
    monkeypatch.setattr(sys.modules[__name__], "SEEN_AS", SimpleNamespace())
    monkeypatch.setattr(sys.modules["timm"], "create_model", lambda name, pretrained: Renamed(2))
    for name in ("torchvision/lenet", "timm/lenet"):
        _, mean, std = published(name, owner="x")
        np.testing.assert_array_equal(mean, np.float32([0.485, 0.456, 0.406]))
        np.testing.assert_array_equal(std, np.float32([0.229, 0.224, 0.225]))


def test_a_given_network_is_copied():
    module = Renamed(1)
    copy = Given(module)()
    assert torch.equal(copy.features[1].weight, module.features[1].weight)
    copy.features[1].weight.detach().zero_()
    assert module.features[1].weight.abs().sum() > 0


def test_unknown_names(monkeypatch):
    install(monkeypatch, "timm")
    with pytest.raises(ValueError, match="no published network is named 'lenet9' in timm"):
        published("lenet9", owner="x")
    with pytest.raises(ValueError, match="go by a network's name, but got"):
        published(LeNet5, owner="x")


@pytest.mark.parametrize("error", [ImportError, RuntimeError])
def test_packages_that_cannot_be_imported_make_one_line(monkeypatch, error):
    install(monkeypatch)

    class Broken:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] == "torchvision":
                raise error("operator torchvision::nms does not exist\nand more lines")
            return None

    monkeypatch.delitem(sys.modules, "torchvision")
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(ImportError, match=r"'visionpipe\[pretrained\]'.*nms does not") as raised:
        CNNFeatures("lenet", weights="pretrained").fit(IMAGES)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("grey", [False, True])
def test_features_of_a_published_network(monkeypatch, grey):
    install(monkeypatch, "torchvision")
    images = IMAGES[..., 0] if grey else IMAGES
    features = CNNFeatures("lenet", weights="pretrained")
    vectors = features.fit_transform(images)
    assert features.layer_ == "classifier.5" and vectors.shape == (12, 84)
    seen = torch.from_numpy(np.stack([images] * 3, -1) if grey else images)
    seen = (seen - torch.tensor([0.1, 0.2, 0.3])) / torch.tensor([0.4, 0.5, 0.6])
    expected = nn.Sequential(*list(lenet(1))[:-1])(seen.permute(0, 3, 1, 2))
    np.testing.assert_allclose(vectors, expected.detach(), rtol=1e-4, atol=1e-6)


def test_features_of_a_published_network_are_pickled_with_it(monkeypatch):
    install(monkeypatch, "torchvision")
    features = CNNFeatures("lenet", weights="pretrained").fit(IMAGES)
    content, vectors = pickle.dumps(features), features.transform(IMAGES)
    install(monkeypatch)
    np.testing.assert_array_equal(pickle.loads(content).transform(IMAGES), vectors)


def test_training_goes_on_from_published_weights_under_other_names(monkeypatch):
    install(monkeypatch, "torchvision")
    network = CNNClassifier(
        "lenet", init_from="pretrained", freeze="features", max_epochs=1, random_state=0
    )
    with pytest.warns(UserWarning, match="matched by their order"):
        network.fit(IMAGES, np.arange(12) % 3)
    assert torch.equal(network.module_.conv2.weight, lenet(1).conv2.weight)
    assert network.module_.dense3.weight.shape == (3, 84)
    np.testing.assert_array_equal(network.pixel_mean_, np.float32([0.1, 0.2, 0.3]))
