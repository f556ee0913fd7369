"""Looking inside: against slow versions, against what is known, and at clues planted by us."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC, LinearSVC
from torch import nn

from visionpipe import HOG, CNNClassifier, FeatureStore, Grayscale, Pixels, Resize
from visionpipe.deep.autoencoder import Autoencoder
from visionpipe.inspection import feature_maps, filters, grad_cam, occlusion, occlusion_map
from visionpipe.inspection.placement import Window, lay_over

RNG = np.random.default_rng(0)
CLUE = (slice(4, 12), slice(20, 28))  # rows and columns, in images of 32x32


def images_with_clues(n=60, shape=(32, 32), clue=CLUE):
    """Noise, and in every second image a bright square, at one place always."""
    images = RNG.integers(0, 120, (n, *shape), dtype=np.uint8)
    images[::2, *clue] = 250
    return images, np.where(np.arange(n) % 2, "plain", "square")


IMAGES, LABELS = images_with_clues()


class Pooled(nn.Sequential):
    """Two convolutions, means over the maps, and one dense layer; activations work in place."""

    def __init__(self, *, n_channels, image_size, n_classes):
        super().__init__(
            nn.Conv2d(n_channels, 4, 3),
            nn.BatchNorm2d(4),
            nn.ReLU(inplace=True),
            nn.Conv2d(4, 5, 3),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(5, n_classes),
        )


class Padded(Pooled):
    """The same on images with a margin."""

    def __init__(self, **options):
        super().__init__(**options)
        self.insert(0, nn.ZeroPad2d((8, 4, 12, 0)))


class OneMap(nn.Module):
    """A map that is the image times a weight, and a dense layer on it."""

    def __init__(self, *, n_channels, image_size, n_classes):
        super().__init__()
        self.scale = nn.Conv2d(n_channels, 1, 1, bias=False)
        self.dense = nn.Linear(image_size[0] * image_size[1], n_classes)

    def forward(self, x):
        return self.dense(self.scale(x).flatten(1))


LONG = {"max_epochs": 20, "lr": 0.02}


def network(module="lenet", **options):
    return CNNClassifier(module, **{"max_epochs": 3, "random_state": 0} | options)


def standardised(classifier, image):
    """The image as the module gets it, (1, 1, h, w)."""
    x = torch.tensor(image / 255, dtype=torch.float32)[None, None]
    return (x - float(classifier.pixel_mean_[0])) / float(classifier.pixel_std_[0])


def is_on_clue(heat, clue=CLUE, margin=0):
    """Whether the maximum of a map lies on the square."""
    place = np.unravel_index(heat.argmax(), heat.shape)
    pairs = zip(place, clue, strict=True)
    return all(side.start - margin <= at < side.stop + margin for at, side in pairs)


LENET = network().fit(IMAGES, LABELS)
POOLED = network(Pooled, **LONG).fit(IMAGES, LABELS)
MLP = network("mlp", module__hidden=(7,)).fit(IMAGES, LABELS)
HOG_SVM = make_pipeline(HOG(), LinearSVC()).fit(IMAGES, LABELS)


# --------------------------------------------------------------------------------------- filters


def test_filters_are_the_weights_of_the_first_convolution():
    found = filters(LENET)
    assert found.shape == (6, 5, 5, 1)
    assert found.dtype == np.float32
    weight = LENET.module_.conv1.weight
    for n, c, i, j in np.ndindex(*weight.shape):
        assert found[n, i, j, c] == weight[n, c, i, j]
    np.testing.assert_array_equal(filters(make_pipeline(Grayscale(), LENET)), found)


def test_filters_that_were_not_trained():
    airbench = network("airbench", max_epochs=1, module__widths=(4, 4, 4)).fit(IMAGES, LABELS)
    expected = airbench.module_.whiten.weight.permute(0, 2, 3, 1)
    np.testing.assert_array_equal(filters(airbench), expected)
    assert feature_maps(airbench, IMAGES[0]).shape == (8, 31, 31)
    assert grad_cam(airbench, IMAGES[0]).shape == (32, 32)


def test_filters_of_a_dense_layer_are_images():
    rgb = RNG.random((20, 6, 5, 3), dtype=np.float32)
    mlp = network("mlp", max_epochs=1, module__hidden=(7,)).fit(rgb, np.arange(20) % 2)
    found = filters(mlp)
    assert found.shape == (7, 6, 5, 3)
    image = torch.from_numpy(rgb[0]).permute(2, 0, 1)[None]  # (1, c, h, w)
    responses = F.linear(image.flatten(1), mlp.module_.dense1.weight)[0]
    expected = (found * rgb[0]).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(responses.detach().numpy(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("classifier", [LENET, MLP])
def test_filters_are_a_copy(classifier):
    before = filters(classifier)
    filters(classifier)[:] = 7
    np.testing.assert_array_equal(filters(classifier), before)


def test_filters_of_an_autoencoder():
    rgb = RNG.random((20, 6, 5, 3), dtype=np.float32)
    dense = make_pipeline(Autoencoder(n_components=7, max_epochs=1, random_state=0)).fit(rgb)
    found = filters(dense)
    assert found.shape == (7, 6, 5, 3)
    layer = dense[-1].module_.encoder.dense1
    responses = np.tensordot(rgb, found, axes=([1, 2, 3], [1, 2, 3])) + layer.bias.detach().numpy()
    np.testing.assert_allclose(dense.transform(rgb), 1 / (1 + np.exp(-responses)), rtol=1e-4)
    convolutional = Autoencoder("convolutional", n_components=7, max_epochs=1).fit(rgb)
    assert filters(convolutional).shape == (16, 4, 4, 3)


def test_filters_of_an_autoencoder_inside_of_a_pipeline():
    model = make_pipeline(Resize(8), Autoencoder(n_components=5, max_epochs=1), SVC())
    model.fit(IMAGES, LABELS)
    message = "filters got a Pipeline of Resize, Autoencoder, SVC; wanted the Autoencoder alone"
    with pytest.raises(ValueError, match=message):
        filters(model)
    assert filters(model["autoencoder"]).shape == (5, 8, 8, 1)
    np.testing.assert_array_equal(filters(model[:-1]), filters(model["autoencoder"]))
    with pytest.raises(ValueError, match="feature_maps got an Autoencoder; wanted a CNNClass"):
        feature_maps(model["autoencoder"], IMAGES[0])


# ---------------------------------------------------------------------------------- feature maps


def test_feature_maps_are_what_the_layers_give():
    x = standardised(LENET, IMAGES[0])
    for name, layer in LENET.module_.named_children():
        with torch.no_grad():
            x = layer(x)
        if x.ndim == 4:
            found = feature_maps(LENET, IMAGES[0], name)
            np.testing.assert_allclose(found, x[0].numpy(), atol=1e-5)
    np.testing.assert_array_equal(
        feature_maps(LENET, IMAGES[0]), feature_maps(LENET, IMAGES[0], "conv1")
    )


def test_an_activation_in_place_does_not_change_what_comes_before_it():
    assert feature_maps(POOLED, IMAGES[0], "1").min() < 0
    np.testing.assert_array_equal(
        feature_maps(POOLED, IMAGES[0], "2"), feature_maps(POOLED, IMAGES[0], "1").clip(0)
    )


def test_images_as_they_come(tmp_path):
    path = tmp_path / "image.png"
    Image.fromarray(IMAGES[0]).save(path)
    expected = feature_maps(LENET, IMAGES[0])
    for image in (path, str(path), IMAGES[0][..., None], IMAGES[0] / 255):
        np.testing.assert_allclose(feature_maps(LENET, image), expected, atol=1e-5)
        assert grad_cam(LENET, image).shape == (32, 32)
        assert occlusion_map(HOG_SVM, image, size=16).shape == (32, 32)


# -------------------------------------------------------------------------------------- Grad-CAM


def test_grad_cam_of_one_map_is_known():
    image = IMAGES[0, :9, :7]
    classifier = network(OneMap, max_epochs=1).fit(IMAGES[:, :9, :7], LABELS)
    with torch.no_grad():
        classifier.module_.scale.weight.fill_(2)
        classifier.module_.dense.weight.copy_(torch.arange(126).view(2, 63) - 80)
    twice = 2 * standardised(classifier, image)[0, 0].numpy()
    for label, weight in (("plain", 31 - 80), ("square", 94 - 80)):  # means of 0..62 and 63..125
        expected = np.maximum(weight * twice, 0)
        np.testing.assert_allclose(grad_cam(classifier, image, label), expected, atol=1e-3)


@pytest.mark.parametrize("layer", ["conv1", "conv2", "pool2"])
@pytest.mark.parametrize("label", ["plain", "square"])
def test_grad_cam_by_hand(layer, label):
    names, layers = zip(*LENET.module_.named_children(), strict=True)
    cut = names.index(layer) + 1
    maps = nn.Sequential(*layers[:cut])(standardised(LENET, IMAGES[0])).detach().requires_grad_()
    logits = nn.Sequential(*layers[cut:])(maps)[0]
    (gradients,) = torch.autograd.grad(logits[["plain", "square"].index(label)], maps)
    heat = np.zeros(maps.shape[2:])
    for k in range(maps.shape[1]):
        total = sum(float(gradients[0, k, i, j]) for i, j in np.ndindex(*heat.shape))
        heat += total / heat.size * maps[0, k].detach().numpy()
    heat = torch.tensor(np.maximum(heat, 0))[None, None]
    expected = F.interpolate(heat, (32, 32), mode="bilinear", align_corners=False)[0, 0]
    found = grad_cam(LENET, IMAGES[0], label, layer)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * float(expected.max()))
    assert found.dtype == np.float32
    assert found.max() > 0 or not expected.any()


def test_the_default_layer_and_class():
    predicted = LENET.predict(IMAGES[:1])[0]
    np.testing.assert_array_equal(
        grad_cam(LENET, IMAGES[0]), grad_cam(LENET, IMAGES[0], predicted, "conv2")
    )
    # what follows the last convolution without shrinking its maps
    np.testing.assert_array_equal(
        grad_cam(POOLED, IMAGES[0]), grad_cam(POOLED, IMAGES[0], layer="4")
    )
    assert (grad_cam(POOLED, IMAGES[0]) != grad_cam(POOLED, IMAGES[0], layer="0")).any()


@pytest.mark.parametrize("number", [0, 1])
def test_grad_cam_before_an_activation_in_place(number):
    """Means of rectified maps, then weights: the gradient is the weight where a map is above 0."""
    maps = feature_maps(POOLED, IMAGES[0], "3")  # (n, h, w)
    per_map = POOLED.module_[7].weight[number].detach().numpy() / maps[0].size
    weights = per_map * (maps > 0).mean(axis=(1, 2))  # (n,)
    heat = torch.tensor(np.maximum(np.tensordot(weights, maps, axes=1), 0))[None, None]
    expected = F.interpolate(heat, (32, 32), mode="bilinear", align_corners=False)[0, 0]
    found = grad_cam(POOLED, IMAGES[0], POOLED.classes_[number], "3")
    np.testing.assert_allclose(found, expected, atol=1e-4 * max(heat.max(), 1e-3))


def test_grad_cam_of_frozen_layers():
    expected = grad_cam(POOLED, IMAGES[0])
    POOLED.module_.requires_grad_(False)
    try:
        np.testing.assert_array_equal(grad_cam(POOLED, IMAGES[0]), expected)
        with torch.inference_mode():
            np.testing.assert_array_equal(grad_cam(POOLED, IMAGES[0]), expected)
    finally:
        POOLED.module_.requires_grad_(True)


@pytest.mark.parametrize("look", [grad_cam, feature_maps])
@pytest.mark.parametrize("training", [True, False])
def test_the_network_is_left_as_it_was(monkeypatch, look, training):
    module = POOLED.module_
    module.train(training)[1].eval()  # of one part, differently
    weights = {name: value.clone() for name, value in module.state_dict().items()}
    module.zero_grad()

    def check():
        assert [part.training for part in module] == [training] + [False] + [training] * 6
        assert not any(part._forward_hooks for part in module.modules())
        assert all(parameter.grad is None for parameter in module.parameters())
        for name, value in module.state_dict().items():
            assert torch.equal(value, weights[name])

    look(POOLED, IMAGES[0])
    check()

    def fail(x):
        raise RuntimeError("in the middle")

    monkeypatch.setattr(module[7], "forward", fail)
    with pytest.raises(RuntimeError, match="in the middle"):
        look(POOLED, IMAGES[0])
    check()


# ------------------------------------------------------------------------------- over the image


def test_a_map_of_the_whole_image_is_interpolated():
    values = torch.rand(5, 7)
    expected = F.interpolate(values[None, None], (40, 33), mode="bilinear", align_corners=False)
    found = lay_over(values, Window(0, 0, 40, 33), (40, 33))
    np.testing.assert_allclose(found, expected[0, 0], atol=1e-5)


def test_a_map_of_a_part_lies_on_that_part():
    values = torch.rand(4, 6)
    found = lay_over(values, Window(3, 2, 4, 6), (9, 10)).numpy()
    np.testing.assert_allclose(found[3:7, 2:8], values, atol=1e-6)
    found[3:7, 2:8] = 0
    assert not found.any()
    found = lay_over(values, Window(-1, -2, 4, 6), (2, 3)).numpy()  # more than the image
    np.testing.assert_allclose(found, values[1:3, 2:5], atol=1e-6)


@pytest.mark.parametrize("shape", [(32, 48), (50, 31), (64, 64)])
@pytest.mark.parametrize("keep_aspect", [False, "pad", "crop"])
def test_places_are_found_again_after_resizing(keep_aspect, shape):
    """Of a network that shows the image itself, the map is the image where it was seen."""
    rows, columns = np.indices(shape)
    image = ((rows / shape[0] + columns / shape[1]) * 100).astype(np.uint8)  # smooth
    resize = Resize(16, keep_aspect=keep_aspect)
    small = np.stack([*resize.transform([image] * 2)])
    classifier = network(OneMap, max_epochs=1).fit(small, ["a", "b"])
    with torch.no_grad():
        classifier.module_.scale.weight.fill_(1)
        classifier.module_.dense.weight.fill_(1)
    heat = grad_cam(make_pipeline(resize, classifier), image, "a")
    expected = standardised(classifier, image)[0, 0].clamp_min(0).numpy()
    is_seen = np.ones(shape, dtype=bool)
    if keep_aspect == "crop":
        # a pixel more than is cut off, for what is rounded
        margins = [(n - min(shape)) // 2 + 1 if n > min(shape) else 0 for n in shape]
        rows_seen, columns_seen = (
            (i >= m) & (i < length - m)
            for i, m, length in zip((rows, columns), margins, shape, strict=True)
        )
        is_seen = rows_seen & columns_seen
        assert (heat == 0)[~is_seen].sum() >= 0.75 * (~is_seen).sum()
    np.testing.assert_allclose(heat[is_seen], expected[is_seen], atol=0.25)


@pytest.mark.parametrize("shape", [(32, 32), (31, 26)])
def test_places_are_found_again_after_a_crop_by_the_network(shape):
    images = IMAGES[:, : shape[0], : shape[1]]
    classifier = network(OneMap, max_epochs=1, crop_size=(20, 17)).fit(images, LABELS)
    with torch.no_grad():
        classifier.module_.scale.weight.fill_(1)
        classifier.module_.dense.weight.fill_(1)
    top, left = (shape[0] - 20) // 2, (shape[1] - 17) // 2
    expected = np.zeros(shape)
    inside = slice(top, top + 20), slice(left, left + 17)
    expected[inside] = standardised(classifier, images[0])[0, 0].clamp_min(0)[inside]
    np.testing.assert_allclose(grad_cam(classifier, images[0]), expected, atol=1e-4)


# ------------------------------------------------------------------------------------- occlusion


def occlusion_by_hand(score, image, size, step, fill):
    """One patch after the other: `score` is of one image."""
    height, width = image.shape[:2]
    tops, lefts = (sorted({*range(0, n - size, step), n - size}) for n in (height, width))
    total, counts = np.zeros((height, width)), np.zeros((height, width))
    for top in tops:
        for left in lefts:
            covered = image.copy()
            covered[top : top + size, left : left + size] = fill
            total[top : top + size, left : left + size] += score(image) - score(covered)
            counts[top : top + size, left : left + size] += 1
    return total / counts


RGB = RNG.random((30, 13, 17, 3), dtype=np.float32)
THREE = np.arange(30) % 3
COLOURED = make_pipeline(Pixels(), LogisticRegression()).fit(RGB, THREE)
RANKED = make_pipeline(Pixels(), LinearSVC()).fit(RGB, THREE)
GREY = (RGB[..., 0] * 255).astype(np.uint8)
TWO = make_pipeline(Pixels(), LinearSVC()).fit(GREY, THREE > 0)


@pytest.mark.parametrize("n_pixels", [1, 1000, 1 << 22])
@pytest.mark.parametrize(
    ("model", "image", "label", "score"),
    [
        (COLOURED, RGB[0], 2, lambda image: COLOURED.predict_proba([image])[0, 2]),
        (RANKED, RGB[0], 1, lambda image: RANKED.decision_function([image])[0, 1]),
        (TWO, GREY[0], True, lambda image: TWO.decision_function([image])[0]),
        (TWO, GREY[0], False, lambda image: -TWO.decision_function([image])[0]),
    ],
)
def test_occlusion_by_hand(monkeypatch, model, image, label, score, n_pixels):
    monkeypatch.setattr(occlusion, "PIXELS_PER_BATCH", n_pixels)
    fill = image.mean(axis=(0, 1))
    fill = np.round(fill) if image.dtype == np.uint8 else fill
    found = occlusion_map(model, image, label, size=5, step=3)
    expected = occlusion_by_hand(score, image, 5, 3, fill)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    assert found.dtype == np.float32
    assert found.max() > 0


def test_copies_come_in_bounded_batches(monkeypatch):
    monkeypatch.setattr(occlusion, "PIXELS_PER_BATCH", 13 * 17 * 4)
    lengths = []
    predict_proba = LogisticRegression.predict_proba

    def note(self, X):
        lengths.append(len(X))
        return predict_proba(self, X)

    monkeypatch.setattr(LogisticRegression, "predict_proba", note)
    occlusion_map(COLOURED, RGB[0], 0, size=5, step=4)
    assert lengths == [1, 4, 4, 4]  # the image, then 3 times 4 places


def test_what_the_patch_is_filled_with():
    image, fill = RGB[0], (0.1, 0.5, 0.9)

    def score(image):
        return COLOURED.predict_proba([image])[0, 0]

    found = occlusion_map(COLOURED, image, 0, size=5, step=2, fill=fill)
    np.testing.assert_allclose(found, occlusion_by_hand(score, image, 5, 2, fill), atol=1e-6)
    white = np.full((13, 17), 255, dtype=np.uint8)
    np.testing.assert_allclose(occlusion_map(TWO, white, fill=255), 0, atol=1e-6)
    assert abs(occlusion_map(TWO, white, fill=0)).max() > 1e-3


def test_a_search_is_asked_as_its_best_estimator():
    search = GridSearchCV(make_pipeline(HOG(), LinearSVC()), {"linearsvc__C": [0.1]}, cv=2)
    search.fit(IMAGES, LABELS)
    found = occlusion_map(search, IMAGES[0])
    np.testing.assert_array_equal(found, occlusion_map(search.best_estimator_, IMAGES[0]))
    networks = GridSearchCV(make_pipeline(network(max_epochs=1)), {}, cv=2).fit(IMAGES, LABELS)
    assert filters(networks).shape == (6, 5, 5, 1)
    assert grad_cam(networks, IMAGES[0]).shape == (32, 32)


def test_occluded_images_are_not_stored(tmp_path):
    store = FeatureStore(tmp_path / "features.sqlite")
    model = make_pipeline(HOG(store=store), LinearSVC()).fit(IMAGES, LABELS)
    n_stored = len(store)
    found = occlusion_map(model, IMAGES[0])
    assert len(store) == n_stored > 0
    assert model[0].store is store
    np.testing.assert_allclose(found, occlusion_map(HOG_SVM, IMAGES[0]), atol=1e-5)


# ------------------------------------------------------------------------------- planted clues


def test_grad_cam_finds_the_clue():
    for image in IMAGES[:10:2]:
        assert is_on_clue(grad_cam(POOLED, image, "square"))


def test_lenet_with_a_clue_that_moves():
    images = RNG.integers(0, 120, (300, 32, 32), dtype=np.uint8)
    corners = RNG.integers(0, 24, (150, 2))
    clues = [(slice(top, top + 8), slice(left, left + 8)) for top, left in corners]
    for image, clue in zip(images[::2], clues, strict=True):
        image[clue] = 250
    lenet = network(max_epochs=8).fit(images, np.where(np.arange(300) % 2, "plain", "square"))
    pairs = zip(images[:40:2], clues, strict=False)
    found = [is_on_clue(grad_cam(lenet, image, "square"), clue, margin=2) for image, clue in pairs]
    assert sum(found) >= 14  # of 20; by chance 3


@pytest.mark.parametrize("model", [LENET, POOLED, MLP, HOG_SVM])
def test_occlusion_finds_the_clue(model):
    heat = occlusion_map(model, IMAGES[0], "square")
    assert is_on_clue(heat)
    away = np.ones((32, 32), dtype=bool)
    away[0:18, 14:32] = False
    assert abs(heat[away]).max() < heat.max() / 2
    np.testing.assert_allclose(
        occlusion_map(model, IMAGES[0], "plain").argmin(), heat.argmax(), atol=0
    )


@pytest.mark.parametrize("keep_aspect", [False, "pad", "crop"])
def test_both_find_the_clue_in_images_that_are_resized(keep_aspect):
    clue = (slice(10, 22), slice(50, 62))
    images, labels = images_with_clues(40, (48, 80), clue)
    resize = Resize(32, keep_aspect=keep_aspect)
    model = make_pipeline(resize, network(Pooled, **LONG)).fit(images, labels)
    heat = grad_cam(model, images[0], "square")
    assert heat.shape == (48, 80)
    assert is_on_clue(heat, clue, margin=2)
    assert is_on_clue(occlusion_map(model, images[0], "square"), clue)
    by_hand = make_pipeline(resize, HOG(), LinearSVC()).fit(images, labels)
    assert is_on_clue(occlusion_map(by_hand, images[0], "square"), clue, margin=2)


def test_small_images_that_the_network_pads():
    """As LeNet-5 does, which brings images of 16x16 to 32x32 by zeros: maps show these too."""
    clue = (slice(2, 8), slice(9, 15))
    images, labels = images_with_clues(60, (16, 16), clue)
    padded = network(Padded, **LONG).fit(images, labels)
    assert is_on_clue(grad_cam(padded, images[0], "square"), clue)


# ---------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize("look", [feature_maps, grad_cam, lambda model, image: filters(model)])
def test_estimators_without_a_network(look):
    with pytest.raises(ValueError, match="got a Pipeline of HOG, LinearSVC; wanted a CNNClassif"):
        look(HOG_SVM, IMAGES[0])
    with pytest.raises(ValueError, match="got a SVC; wanted a CNNClassifier.*, or a Pipeline"):
        look(SVC(), IMAGES[0])


@pytest.mark.parametrize("look", [feature_maps, grad_cam, lambda model, image: filters(model)])
@pytest.mark.parametrize("model", [network(), make_pipeline(Resize(8), network())])
def test_a_network_that_is_not_fitted(look, model):
    with pytest.raises(NotFittedError):
        look(model, IMAGES[0])


@pytest.mark.parametrize("model", [network(), make_pipeline(HOG(), LinearSVC())])
def test_any_classifier_that_is_not_fitted(model):
    with pytest.raises(NotFittedError):
        occlusion_map(model, IMAGES[0])


@pytest.mark.parametrize("look", [feature_maps, grad_cam])
@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("conv3", r"layer='conv3', unknown to LeNet5; layers with maps are 'pad', 'conv1', 'pool1"),
        ("dense1", r"layer='dense1', which gives no maps; layers with maps are 'pad', 'conv1'"),
        ("", r"layer='', which gives no maps"),
        (3, r"layer=3, unknown to LeNet5"),
    ],
)
def test_layers_without_maps(look, layer, message):
    with pytest.raises(ValueError, match=message):
        look(LENET, IMAGES[0], layer=layer)


@pytest.mark.parametrize("look", [feature_maps, grad_cam])
def test_networks_without_maps(look):
    with pytest.raises(ValueError, match="without a convolution.*MLP"):
        look(MLP, IMAGES[0])
    with pytest.raises(ValueError, match="layers with maps are none"):
        look(MLP, IMAGES[0], layer="dense1")


class Quadrants(nn.Sequential):
    """A dense layer, but not on pixels."""

    def __init__(self, *, n_channels, image_size, n_classes):
        super().__init__(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4, n_classes))


def test_weights_that_are_no_images():
    with pytest.raises(ValueError, match="Quadrants has no convolution, and no dense layer on the"):
        filters(network(Quadrants, max_epochs=1).fit(IMAGES, LABELS))


@pytest.mark.parametrize(
    ("look", "model"), [(grad_cam, LENET), (occlusion_map, LENET), (occlusion_map, HOG_SVM)]
)
def test_labels_that_are_no_classes(look, model):
    with pytest.raises(ValueError, match="label='circle', which is not a .* 'plain', 'square'"):
        look(model, IMAGES[0], "circle")


def test_images_of_another_size():
    for look in (grad_cam, feature_maps, occlusion_map):
        with pytest.raises(ValueError, match=r"put Resize\(\(32, 32\)\) before it"):
            look(LENET, IMAGES[0, :20])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, r"size=0 for an image of \(32, 32\) pixels.*from 1 to 32"),
        ({"size": 33}, "size=33"),
        ({"size": 2.5}, "size=2.5"),
        ({"step": 0}, "step=0 for a patch of 6 pixels; wanted a whole number from 1 to 6"),
        ({"size": 4, "step": 5}, "step=5"),
        ({"fill": 256}, "fill=256; wanted a number from 0 to 255"),
        ({"fill": (1, 2, 3)}, "or one for each channel"),
        ({"fill": np.nan}, "fill=nan"),
    ],
)
def test_patches_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        occlusion_map(HOG_SVM, IMAGES[0], **options)


def test_classifiers_without_scores_of_classes():
    voting = VotingClassifier([("a", LinearSVC())])
    with pytest.raises(ValueError, match="got a Pipeline without scores of classes"):
        occlusion_map(make_pipeline(Pixels(), voting).fit(RGB, THREE), RGB[0])
    with pytest.raises(ValueError, match="got a HOG without scores"):
        occlusion_map(HOG(), RGB[0])
    pairs = make_pipeline(Pixels(), SVC(decision_function_shape="ovo")).fit(RGB, THREE)
    with pytest.raises(ValueError, match="pairs of classes; set decision_function_shape='ovr'"):
        occlusion_map(pairs, RGB[0])
